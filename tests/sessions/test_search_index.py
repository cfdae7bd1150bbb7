"""The index as a file: who may read it, what becomes of it when it is killed, damaged, shared, or cannot be written."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agnocli.db.sqlite import SqliteDb
from agnocli.errors import SearchIndexError
from agnocli.sessions.search import Found, SearchQuery, Watcher, forget, look
from agnocli.sessions.search import index as index_module
from agnocli.sessions.search.index import Index, index_path
from agnocli.testing.records import EPOCH
from tests.sessions.conversations import LIBRARY, many, talk, turn, user


class Heard(Watcher):
    def __init__(self) -> None:
        self.said: list[str] = []

    def scanning(self, reason: str) -> None:
        self.said.append(f"scanning: {reason}")

    def reading(self, sessions: int, *, is_new: bool) -> None:
        self.said.append(f"{'new' if is_new else 'again'}: {sessions}")

    def rebuilding(self, reason: str) -> None:
        self.said.append(f"rebuilding: {reason}")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[SqliteDb]:
    with SqliteDb(tmp_path / "agno.db") as found:
        found.write(LIBRARY)
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "search"


def find(backend: SqliteDb, folder: Path, *terms: str) -> tuple[Found, list[str]]:
    heard = Heard()
    return look(backend, SearchQuery(terms=terms), folder=folder, watcher=heard), heard.said


def test_what_it_holds_is_for_its_owner_alone(backend: SqliteDb, folder: Path) -> None:
    before = os.umask(0)
    try:
        find(backend, folder, "lake")
        with Index(index_path(folder, backend.address)):
            modes = {one.suffix: one.stat().st_mode & 0o777 for one in folder.iterdir()}
    finally:
        os.umask(before)
    assert modes and {*modes.values()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_unchanged_file_is_not_looked_into_again(
    backend: SqliteDb, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(backend.path, (1, 1))
    os.utime(f"{backend.path}-wal", (1, 1))
    find(backend, folder, "lake")

    def no_marks() -> Any:
        raise AssertionError("marks were asked for")

    monkeypatch.setattr(backend, "marks", no_marks)
    assert find(backend, folder, "lake")[0].total == 1
    os.utime(f"{backend.path}-wal", (2, 2))
    with pytest.raises(AssertionError):
        find(backend, folder, "lake")


def test_without_the_file_it_is_made_again(backend: SqliteDb, folder: Path) -> None:
    assert find(backend, folder, "lake")[1] == ["new: 4"]
    for one in folder.iterdir():
        one.unlink()
    found, said = find(backend, folder, "lake")
    assert (found.total, said) == (1, ["new: 4"])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def _overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 512)


def _another_programs(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE parts (x)")


def _of_another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE facts SET value = '0' WHERE name = 'format'")


@pytest.mark.parametrize(
    "damage", [_cut, _garbage, _overwritten, _another_programs, _of_another_version]
)
def test_a_damaged_file_is_told_and_made_anew(backend: SqliteDb, folder: Path, damage: Any) -> None:
    find(backend, folder, "lake")
    damage(index_path(folder, backend.address))
    found, said = find(backend, folder, "lake")
    assert found.total == 1
    assert [one.partition(":")[0] for one in said] == ["rebuilding", "new"]
    assert find(backend, folder, "lake")[1] == []


def test_where_it_cannot_be_written_all_is_read(backend: SqliteDb, folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("a file, not a folder")
    found, said = find(backend, folder, "lake")
    assert found.total == 1
    assert len(said) == 1 and said[0].startswith("scanning: ") and str(folder) in said[0]


def test_an_sqlite_without_trigrams_finds_the_same(
    backend: SqliteDb, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_TRIGRAMS", "CREATE VIRTUAL TABLE t USING no_such_module")
    assert find(backend, folder, "lake")[0].total == 1
    backend.delete(["cafe"])
    assert find(backend, folder, "lake")[0].total == 0
    monkeypatch.undo()
    found, said = find(backend, folder, "café")
    assert (found.total, [one.partition(":")[0] for one in said]) == (2, ["rebuilding", "new"])


def test_an_index_that_nobody_searches_in_is_removed_after_a_while(
    backend: SqliteDb, folder: Path, tmp_path: Path
) -> None:
    """What was said is not kept for ever when its place is gone."""
    paths = {}
    for name, age in (("old", 91), ("young", 89)):
        with SqliteDb(tmp_path / f"{name}.db") as other:
            other.write(LIBRARY)
            find(other, folder, "lake")
            paths[name] = index_path(folder, other.address)
        then = time.time() - age * 86_400
        os.utime(paths[name], (then, then))
    find(backend, folder, "lake")
    assert {name: path.exists() for name, path in paths.items()} == {"old": False, "young": True}
    with SqliteDb(tmp_path / "young.db") as other:
        find(other, folder, "lake")
    assert time.time() - paths["young"].stat().st_mtime < 60


def test_places_have_indexes_of_their_own(backend: SqliteDb, folder: Path, tmp_path: Path) -> None:
    find(backend, folder, "lake")
    with SqliteDb(tmp_path / "other.db") as other:
        other.write([talk("cafe", turn("cafe", 0, user("A sea")), at=10)])
        assert find(other, folder, "lake")[0].total == 0
        assert find(other, folder, "sea")[0].total == 1
    assert find(backend, folder, "lake") == (find(backend, folder, "lake")[0], [])


SECRET = "Zwxq-swordfish-Qjvk"


def _bytes(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in folder.iterdir())


def test_what_is_forgotten_leaves_no_byte(backend: SqliteDb, folder: Path) -> None:
    backend.write([talk(f"more{n}", turn(f"more{n}", 0, user(f"words {n}"))) for n in range(50)])
    backend.write([talk("secret", turn("secret", 0, user(SECRET * 300)), at=1)])
    assert find(backend, folder, SECRET)[0].total == 1
    for trace in (SECRET, "secret.run-0", "zwx"):
        assert trace.encode() in _bytes(folder)
    backend.delete(["secret"])
    forget(backend.address, ["secret"], folder=folder)
    for trace in (SECRET, "swordfish", "secret", "zwx", "wxq", "qjv"):
        assert trace.encode() not in _bytes(folder), trace
    assert find(backend, folder, SECRET)[0].total == 0
    assert find(backend, folder, "words 33")[0].total == 1


def test_nothing_is_forgotten_where_nothing_is_known(backend: SqliteDb, folder: Path) -> None:
    forget(backend.address, ["cafe"], folder=folder)
    assert not folder.exists()
    find(backend, folder, "lake")
    forget(backend.address, ["nobody"], folder=folder)
    assert find(backend, folder, "lake")[0].total == 1


def test_a_damaged_index_is_forgotten_as_a_whole(backend: SqliteDb, folder: Path) -> None:
    find(backend, folder, "lake")
    path = index_path(folder, backend.address)
    _garbage(path)
    forget(backend.address, ["cafe"], folder=folder)
    assert not path.exists()


def test_an_index_that_cannot_forget_says_so(
    backend: SqliteDb, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_PATIENCE", 0.1)
    find(backend, folder, "lake")
    path = index_path(folder, backend.address)
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM parts").fetchone()
        with pytest.raises(SearchIndexError, match=str(path)):
            forget(backend.address, ["cafe"], folder=folder)


SEARCH = """
import sys
from pathlib import Path
from agnocli.db.sqlite import SqliteDb
from agnocli.sessions.search import SearchQuery, look
with SqliteDb(sys.argv[1]) as backend:
    found = look(backend, SearchQuery(terms=(sys.argv[3],)), folder=Path(sys.argv[2]))
    print(found.total, [hit.session_id for hit in found.hits])
"""


def _searching(backend: SqliteDb, folder: Path, word: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SEARCH, str(backend.path), str(folder), word]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _outputs(*processes: subprocess.Popen[str]) -> list[str]:
    found = [one.communicate(timeout=60)[0] for one in processes]
    assert [one.returncode for one in processes] == [0] * len(processes)
    return found


def test_a_search_waits_for_the_one_that_builds_the_index(backend: SqliteDb, folder: Path) -> None:
    waits, results = threading.Event(), list[int]()

    class Waiting(Watcher):
        def waiting(self) -> None:
            waits.set()

    def search() -> None:
        query = SearchQuery(terms=("lake",))
        results.append(look(backend, query, folder=folder, watcher=Waiting()).total)

    with Index(index_path(folder, backend.address)) as index, index.updating(lambda: None):
        thread = threading.Thread(target=search)
        thread.start()
        assert waits.wait(30)
        assert results == [] and index.count() == 0
    thread.join(30)
    assert results == [1]


def test_two_searches_at_once_build_one_index(backend: SqliteDb, folder: Path) -> None:
    backend.write(many(600, "pelican"))
    outputs = _outputs(*(_searching(backend, folder, "pelican") for _ in range(3)))
    assert outputs == ["1 ['s00599']\n"] * 3
    with Index(index_path(folder, backend.address)) as index:
        assert index.count() == 604
        assert len([*index.candidates(["pel"], ("content",), ())]) == 1


def test_what_was_built_before_a_kill_is_kept_and_the_rest_is_added(
    backend: SqliteDb, folder: Path
) -> None:
    backend.write(many(3000, "pelican"))
    path = index_path(folder, backend.address)
    slow = SEARCH.replace(
        "import sys",
        "import sys\nfrom agnocli.sessions.search import index\nindex._BATCH_BYTES = 5000",
        1,
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", slow, str(backend.path), str(folder), "pelican"]
    )
    try:
        built = _wait_for_sessions(path)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert 0 < built < 3004
    found, said = find(backend, folder, "pelican")
    assert (found.total, found.sessions) == (1, 3004)
    left = int(said[0].removeprefix("new: "))
    assert 0 < left <= 3004 - built
    with SqliteDb(backend.path) as again:
        assert look(again, SearchQuery(terms=("biscuits",)), folder=folder).total == 3000


def _wait_for_sessions(path: Path) -> int:
    for _ in range(30_000):
        if path.exists():
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                try:
                    (number,) = connection.execute("SELECT COUNT(*) FROM sessions").fetchone()
                except sqlite3.OperationalError:
                    number = 0
                if number:
                    return int(number)
        time.sleep(0.001)
    raise AssertionError("nothing was indexed")


def test_a_search_sees_what_another_process_wrote_while_it_was_open(
    backend: SqliteDb, folder: Path
) -> None:
    find(backend, folder, "lake")
    with SqliteDb(backend.path) as other:
        other.write([talk("new", turn("new", 0, user("A pelican")), at=99)])
    found, _ = find(backend, folder, "pelican")
    assert [(hit.session_id, hit.at) for hit in found.hits] == [("new", EPOCH)]
    assert _outputs(_searching(backend, folder, "pelican")) == ["1 ['new']\n"]
