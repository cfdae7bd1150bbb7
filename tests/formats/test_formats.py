"""The shipped format suite over every format."""

from __future__ import annotations

import pytest

from agnocli.testing.file_damage_suite import FileDamageSuite
from agnocli.testing.file_writing_suite import FileWritingSuite
from agnocli.testing.format_suite import FormatSuite


class TestFormats(FormatSuite):
    @pytest.fixture(params=["jsonl", "json"])
    def suffix(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name


class TestPacked(FileDamageSuite, FileWritingSuite):
    @pytest.fixture(params=["jsonl.gz", "json.gz"])
    def suffix(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name
