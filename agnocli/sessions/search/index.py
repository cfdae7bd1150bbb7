"""The texts of a backend's sessions in an SQLite file of our own, found by their trigrams.

It holds nothing that is not in the backend, and may be deleted at any time. Beside the texts lies, for each session,
the mark it was read under: what has another mark by now is read again.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from sys import intern
from typing import Any

from agnocli.closing import Closing
from agnocli.errors import SearchIndexDamagedError, SearchIndexError
from agnocli.records import SessionBundle
from agnocli.sessions.search.parts import Part, parts
from agnocli.sessions.search.query import fold

_FORMAT = "1"
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    n INTEGER PRIMARY KEY, session_id BLOB NOT NULL UNIQUE, mark TEXT, unreadable INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    id INTEGER PRIMARY KEY, n INTEGER NOT NULL, kind TEXT NOT NULL, role TEXT NOT NULL, run_id BLOB NOT NULL,
    run INTEGER NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS parts_n ON parts (n);
CREATE TEMP TABLE IF NOT EXISTS now (session_id BLOB PRIMARY KEY, mark TEXT NOT NULL) WITHOUT ROWID;
"""
# without positions: a third of the size, and what is found is looked at anyway
_TRIGRAMS = """
CREATE VIRTUAL TABLE IF NOT EXISTS trigrams USING fts5(
    text, content = '', columnsize = 0, detail = none, tokenize = 'trigram case_sensitive 1')
"""
_UNUSED = 90 * 86_400
"""Seconds after which an index that nobody searched in is removed."""
_PATIENCE = 30.0
_BATCH_BYTES = 8 * 2**20
"""Of texts that are made durable at once."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def index_path(folder: Path, address: str) -> Path:
    """Where a backend's index is; one folder may hold those of many."""
    name = blake2b(address.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    return folder / f"{name}.db"


class Index(Closing):
    """Of one backend. One process at a time writes, under `updating`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told():
            _make(path)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> None:
        with suppress(sqlite3.OperationalError):  # another search makes the file at this moment
            self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA secure_delete = ON")
        self._db.executescript(_TABLES)
        try:
            self._db.execute(_TRIGRAMS)
            self.has_trigrams = True
        except sqlite3.OperationalError:  # an SQLite without FTS5, or before 3.34
            self.has_trigrams = False
        form = f"{_FORMAT}, trigrams" if self.has_trigrams else _FORMAT
        if self.fact("format") not in (None, form):
            raise SearchIndexDamagedError(f"{self.path} is of another version")
        self.set_fact("format", form)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Failures of the file as SearchIndexError: damaged, or not to be used."""
        try:
            yield
        except OSError as error:
            raise SearchIndexError(f"{self.path}: {error.strerror}") from error
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                raise SearchIndexDamagedError(f"{self.path} is damaged") from error
            if "no such " in str(error) or "malformed" in str(error):
                raise SearchIndexDamagedError(f"{self.path} is damaged") from error
            raise SearchIndexError(f"{self.path}: {error}") from error

    @contextmanager
    def updating(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Alone at it; `waiting` is called when another process is. It lets go however it ends."""
        with self._told():
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the first error tells
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, sql: str, bound: Sequence[Any] = ()) -> Iterator[Any]:
        with self._told():
            yield from self._db.execute(sql, bound)

    def fact(self, name: str) -> str | None:
        row = next(self._rows("SELECT value FROM facts WHERE name = ?", [name]), None)
        return row[0] if row else None

    def set_fact(self, name: str, value: str) -> None:
        if self.fact(name) != value:
            with self._told():
                self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])

    # what has changed

    def compare(self, marks: Iterable[tuple[str, str]]) -> tuple[int, int]:
        """Take the marks of all sessions there are; returns how many are to be read, and how many are gone."""
        with self._transaction():
            self._db.execute("DELETE FROM temp.now")
            rows = ((raw(one), mark) for one, mark in marks)
            self._db.executemany("INSERT OR REPLACE INTO temp.now VALUES (?, ?)", rows)
        changed = next(self._rows(f"SELECT COUNT(*) {_CHANGED}"))[0]
        gone = [text(one) for (one,) in self._rows(_GONE)]
        self.forget(gone)
        return changed, len(gone)

    def changed(self, number: int, after: str) -> dict[str, str]:
        """So many ids, with their marks, of those to be read that come after one."""
        sql = (
            f"SELECT now.session_id, now.mark {_CHANGED} AND now.session_id > ? ORDER BY 1 LIMIT ?"
        )
        return {text(one): mark for one, mark in self._rows(sql, [raw(after), number])}

    def count(self) -> int:
        return int(next(self._rows("SELECT COUNT(*) FROM sessions"))[0])

    # writing

    def store(self, bundles: Iterable[tuple[SessionBundle, str]]) -> Iterator[int]:
        """Sessions with their marks, in the place of what is known of them; gives the bytes of text of each."""
        waiting = iter(bundles)
        more = True
        while more:
            more, sizes, size = False, list[int](), 0
            with self._transaction():
                for bundle, mark in waiting:
                    sizes.append(self._store(bundle, mark))
                    size += sizes[-1]
                    if size > _BATCH_BYTES:
                        more = True
                        break
            yield from sizes

    def _store(self, bundle: SessionBundle, mark: str | None) -> int:
        session_id = raw(bundle.session.session_id)
        self._drop(session_id)
        n = self._db.execute(
            "INSERT INTO sessions (session_id, mark, unreadable) VALUES (?, NULL, 0)", [session_id]
        ).lastrowid
        size = unreadable = 0
        for part in parts(bundle):
            if isinstance(part, Part):
                self._add(n, part)
                size += len(part.text)
            else:
                unreadable += 1
        self._db.execute(
            "UPDATE sessions SET mark = ?, unreadable = ? WHERE n = ?", [mark, unreadable, n]
        )
        return size

    def _add(self, n: int | None, part: Part) -> None:
        row = (n, part.kind, part.role, raw(part.run_id), part.run, part.at, part.text)
        number = self._db.execute(
            "INSERT INTO parts (n, kind, role, run_id, run, at, text) VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        ).lastrowid
        if self.has_trigrams:
            self._db.execute(
                "INSERT INTO trigrams (rowid, text) VALUES (?, ?)", [number, fold(part.text)]
            )

    def _drop(self, session_id: bytes) -> None:
        found = self._db.execute("SELECT n FROM sessions WHERE session_id = ?", [session_id])
        for (n,) in found.fetchall():
            if self.has_trigrams:
                rows = self._db.execute("SELECT id, text FROM parts WHERE n = ?", [n])
                gone = (("delete", number, fold(stored)) for number, stored in rows)
                self._db.executemany(
                    "INSERT INTO trigrams (trigrams, rowid, text) VALUES (?, ?, ?)", gone
                )
            self._db.execute("DELETE FROM parts WHERE n = ?", [n])
            self._db.execute("DELETE FROM sessions WHERE n = ?", [n])

    def unmark(self, session_ids: Iterable[str]) -> None:
        """They are read again the next time, whatever their mark."""
        with self._transaction():
            self._db.executemany(
                "UPDATE sessions SET mark = NULL WHERE session_id = ?",
                [[raw(one)] for one in session_ids],
            )
            self._unsettle()

    def _unsettle(self) -> None:
        """The next search compares all marks."""
        self._db.execute("UPDATE facts SET value = '' WHERE name = 'version'")

    def forget(self, session_ids: Iterable[str], *, wholly: bool = False) -> None:
        """Take sessions out; `wholly` leaves no byte of them in the file."""
        with self._transaction():
            for session_id in session_ids:
                self._drop(raw(session_id))
            self._unsettle()
            if wholly and self.has_trigrams:
                self._db.execute("INSERT INTO trigrams (trigrams) VALUES ('optimize')")
        if wholly and next(self._rows("PRAGMA wal_checkpoint(TRUNCATE)"))[0]:
            raise SearchIndexError(f"{self.path} is being read by another search")

    # reading

    def candidates(
        self, trigrams: Sequence[str], kinds: Sequence[str], roles: Sequence[str]
    ) -> Iterator[tuple[str, int, Part]]:
        """Every part that may be meant, and maybe others: its session's id, its place among all, itself."""
        where, bound = [f"kind IN ({_places(kinds)})"], [*kinds]
        if roles:
            where.append(f"LOWER(role) IN ({_places(roles)})")
            bound += roles
        if trigrams and self.has_trigrams:
            where.append("id IN (SELECT rowid FROM trigrams WHERE trigrams MATCH ?)")
            bound.append(" AND ".join('"' + one.replace('"', '""') + '"' for one in trigrams))
        sql = (
            "SELECT session_id, id, kind, text, role, run_id, run, at FROM parts"
            f" JOIN sessions ON sessions.n = parts.n WHERE {' AND '.join(where)}"
        )
        for session_id, number, kind, found, role, run_id, run, at in self._rows(sql, bound):
            part = Part(intern(kind), found, intern(role), text(run_id), run, at)
            yield intern(text(session_id)), number, part

    def unreadable(self) -> dict[str, int]:
        """How many runs could not be decoded, by session."""
        found = self._rows("SELECT session_id, unreadable FROM sessions WHERE unreadable")
        return {text(one): number for one, number in found}


def _places(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


_CHANGED = (
    "FROM temp.now AS now LEFT JOIN sessions ON sessions.session_id = now.session_id"
    " WHERE sessions.mark IS NOT now.mark"
)
_GONE = "SELECT session_id FROM sessions WHERE session_id NOT IN (SELECT session_id FROM temp.now)"


def _make(path: Path) -> None:
    """For its owner alone: it holds what was said."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    with suppress(FileExistsError):  # to close it would end the locks that this process has on it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    os.utime(path)
    for other in path.parent.glob("*.db"):  # also of places that are no more
        with suppress(FileNotFoundError):
            if time.time() - other.stat().st_mtime > _UNUSED:
                remove(other)


def remove(path: Path) -> None:
    """The file and what SQLite keeps beside it."""
    for beside in ("", "-wal", "-shm"):
        Path(f"{path}{beside}").unlink(missing_ok=True)


def raw(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def text(value: bytes) -> str:
    return value.decode("utf-8", "surrogatepass")
