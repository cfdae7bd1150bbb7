"""A backend of somebody else's: one module, one entry point, one harness, and everything works with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agnocli.testing.backend_suite import BackendHarness, BackendSuite
from tests.cli.conftest import Agno
from tests.harness import memory

MODULE = """
from agnocli.db.memory import MemoryDb

shelves = {}

class ShelfDb(MemoryDb):
    address = "shelf://"

    def __init__(self, shelf, read_only):
        kept = shelves.get(shelf)
        self._shelf = shelf
        super().__init__(read_only=read_only)
        shelves[shelf] = kept or shelves[shelf]

    @property
    def _rows(self):
        return shelves[self._shelf]

    @_rows.setter
    def _rows(self, rows):
        shelves[self._shelf] = rows

def open_backend(options, *, name, read_only):
    return ShelfDb(options["db_url"], read_only)
"""
"""Sessions that last as long as the process, a shelf of them for each URL."""
ENTRY_POINT = "[agnocli.backends]\nshelf = agno_shelf:open_backend\n"


@pytest.fixture(autouse=True, scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    site = tmp_path_factory.mktemp("site")
    (site / "agno_shelf-1.0.dist-info").mkdir()
    (site / "agno_shelf-1.0.dist-info" / "METADATA").write_text("Name: agno-shelf\nVersion: 1.0\n")
    (site / "agno_shelf-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINT)
    (site / "agno_shelf.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield
    del sys.modules["agno_shelf"]


@pytest.fixture(autouse=True)
def nothing_stored(installed: None) -> None:
    import_module("agno_shelf").shelves.clear()


class Harness(memory.Harness):
    def open(self, *, read_only: bool = False) -> Any:
        module = import_module("agno_shelf")
        return module.open_backend({"db_url": "shelf://"}, name="shelf", read_only=read_only)

    def read_only(self) -> Any:
        return self.open(read_only=True)


class TestShelf(BackendSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> BackendHarness:
        return Harness(tmp_path)


SHELF = ("-b", "shelf://top")


def test_the_whole_command_line_works_on_it(agno: Agno) -> None:
    assert agno(*SHELF, "chat", "-m", "echo", "-s", "trip", "Hello").status == 0
    assert 'first began: "Hello"' in agno(*SHELF, "chat", "-m", "echo", "-s", "trip", "Again").out
    assert agno(*SHELF, "sessions", "rename", "trip", "Summer").status == 0
    (row,) = agno(*SHELF, "sessions", "list", "-o", "json").json
    assert (row["session_id"], row["name"], row["runs"]) == ("trip", "Summer", 2)
    runs = agno(*SHELF, "sessions", "inspect", "Summer", "-o", "json").json["runs"]
    assert [run["input"]["input_content"] for run in runs] == ["Hello", "Again"]
    assert agno("-b", "shelf://bottom", "sessions", "list", "-o", "json").json == []
    assert agno(*SHELF, "sessions", "delete", "trip", "--yes").status == 0
    assert agno(*SHELF, "sessions", "inspect", "trip").error[0] == 3


def test_sessions_move_to_it_and_back(agno: Agno) -> None:
    agno("chat", "-m", "echo", "-s", "trip", "Hello")
    there = f"sqlite:///{agno.database}"
    before = agno("-b", there, "sessions", "inspect", "trip", "-o", "json").json
    moved = agno("migrate", there, "shelf://top", "-o", "json")
    assert (moved.status, moved.json["sessions"]["verified"]) == (0, 1)
    back = agno("migrate", "shelf://top", "sqlite:///back.db", "-o", "json")
    assert (back.status, back.json["sessions"]["verified"]) == (0, 1)
    assert (
        agno("-b", "sqlite:///back.db", "sessions", "inspect", "trip", "-o", "json").json == before
    )
