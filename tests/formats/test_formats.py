"""The shipped format suite over every format."""

from __future__ import annotations

import pytest

from agnocli.formats.registry import SUFFIXES
from agnocli.testing.format_suite import FormatSuite


class TestFormats(FormatSuite):
    @pytest.fixture(params=[suffix.removeprefix(".") for suffix in SUFFIXES])
    def suffix(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name
