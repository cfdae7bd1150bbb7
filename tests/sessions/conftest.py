from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest

from agnocli.abc import Backend
from agnocli.testing.base_suite import BackendHarness
from tests.transfer import places

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


@pytest.fixture(params=places.KINDS)
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[places.Place]:
    """An empty place of each of the five kinds."""
    with places.place("here", request.param, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, places.Place]]:
    """A place of each kind that was used, holding the same conversations; to be read only."""
    with ExitStack() as stack:
        yield _Libraries(stack, tmp_path_factory.mktemp("libraries"))


class _Libraries(dict[str, places.Place]):
    def __init__(self, stack: ExitStack, folder: Path) -> None:
        super().__init__()
        self._stack, self._folder = stack, folder

    def __missing__(self, kind: str) -> places.Place:
        from tests.sessions.conversations import LIBRARY

        found = self._stack.enter_context(places.place(kind, kind, self._folder))
        with found.open() as backend:
            backend.write(LIBRARY)
        self[kind] = found
        return found
