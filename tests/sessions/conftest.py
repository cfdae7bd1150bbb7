from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from agnocli.abc import Backend
from agnocli.testing.base_suite import BackendHarness

KINDS = ("memory", "sqlite", "postgres", "mysql", "redis", "mongo")


@pytest.fixture(params=KINDS)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BackendHarness]:
    harness = import_module(f"tests.harness.{request.param}").Harness(tmp_path)
    yield harness
    harness.close()


@pytest.fixture
def backend(harness: BackendHarness) -> Iterator[Backend]:
    """Empty."""
    with harness.open() as backend:
        yield backend
