from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agnocli.abc import Backend
from agnocli.db.memory import MemoryDb


@pytest.fixture
def source() -> Iterator[Backend]:
    with named_memory("memory://source") as backend:
        yield backend


@pytest.fixture
def target() -> Iterator[Backend]:
    with named_memory("memory://target") as backend:
        yield backend


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "job.ledger"


def named_memory(address: str) -> MemoryDb:
    backend = MemoryDb()
    backend.address = address
    return backend
