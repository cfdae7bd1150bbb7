from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agnocli.abc import Backend
from agnocli.db.memory import MemoryDb


class Telling(MemoryDb):
    """Tells whether anything was written, as most backends do."""

    def version(self) -> str:
        return str(
            [self.get(one) for one in self.ids()] + [[*self.runs(one)] for one in self.ids()]
        )

    def marks(self) -> Iterator[tuple[str, str]]:
        raise NotImplementedError


@pytest.fixture(params=[MemoryDb, Telling], ids=["source tells nothing", "source tells of changes"])
def source(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A copy of what tells of changes is known again by what was noted; else both ends are read and compared."""
    with named_memory("memory://source", request.param) as backend:
        yield backend


@pytest.fixture
def target() -> Iterator[Backend]:
    with named_memory("memory://target") as backend:
        yield backend


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "job.ledger"


def named_memory(address: str, kind: type[MemoryDb] = MemoryDb) -> MemoryDb:
    backend = kind()
    backend.address = address
    return backend
