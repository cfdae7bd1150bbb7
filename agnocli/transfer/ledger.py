"""What a job has done so far, in an SQLite file of its own: written after the sink has it, before anybody is told."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from agnocli import codec
from agnocli.abc import Noting
from agnocli.closing import Closing
from agnocli.errors import JobError
from agnocli.transfer.options import Change, Counts, SetAside

_TABLES = """
CREATE TABLE IF NOT EXISTS job (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    session_id BLOB PRIMARY KEY, outcome TEXT NOT NULL, digest TEXT NOT NULL,
    runs INTEGER NOT NULL, bytes INTEGER NOT NULL, adapted INTEGER NOT NULL,
    alike TEXT NOT NULL DEFAULT '', respelled TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS set_aside (
    session_id BLOB PRIMARY KEY, json_path TEXT NOT NULL, reason TEXT NOT NULL,
    unreadable INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    session_id BLOB NOT NULL, run_id BLOB, json_path TEXT NOT NULL, kind TEXT NOT NULL, before TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS changes_session ON changes (session_id);
"""


_INSERT = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class Job(msgspec.Struct, frozen=True):
    """What makes two transfers the same one: addresses, and everything that decides what arrives."""

    source: str
    target: str
    choices: str

    @property
    def id(self) -> str:
        text = codec.encode([self.source, self.target, self.choices])
        return blake2b(text, digest_size=6).hexdigest()


_NEW_COLUMNS = {
    "set_aside": {"unreadable": "INTEGER NOT NULL DEFAULT 0"},
    "sessions": {"alike": "TEXT NOT NULL DEFAULT ''", "respelled": "TEXT NOT NULL DEFAULT ''"},
}
"""That a ledger of an earlier version has not."""


class Entry(msgspec.Struct, frozen=True):
    """A session that the sink has.

    `digest` is to the byte, of what was read as far as the sink can tell it; `alike` over values, empty where it was
    not taken. `respelled` is the class of what the sink cannot tell of it, if there is any.
    """

    session_id: str
    outcome: str
    digest: str
    runs: int
    bytes: int
    adapted: bool = False
    alike: str = ""
    respelled: str = ""


class Ledger(Closing):
    """Of one job, held by one process at a time. Without a path it is gone at the end.

    JobError when another process works on this job, or the file is another job's.
    """

    def __init__(self, path: Path | None, job: Job, *, restart: bool = False) -> None:
        self.path, self.job = path, job
        self._notes: Noting | None = None
        self._lock: int | None = None
        self._one_at_a_time = Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(path)
        try:
            self._open(restart)
        except BaseException:
            self.close()
            raise

    def _open(self, restart: bool) -> None:
        with _told(self.path):
            self._db = sqlite3.connect(
                self.path or "", isolation_level=None, check_same_thread=False
            )
            if self.path is not None:
                self.path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_TABLES)
            self._complete_tables()
        self._check_job()
        self._begins_anew = restart or self.is_finished
        if self._begins_anew:
            self._forget()
        self.resumed = self._is_begun()
        self._set(
            "job", codec.encode([self.job.source, self.job.target, self.job.choices]).decode()
        )

    def share(self, notes: Noting) -> None:
        """From here on the target is told of every session too, so that another machine can go on with this job; and
        what such a one has noted there is taken over."""
        if self._begins_anew:
            notes.forget_notes(self.job.id)
        for text in notes.notes(self.job.id):
            self.record(Entry(*one) for one in codec.decode(text))
        self.resumed = self.resumed or self._is_begun()
        self._notes = notes

    def _complete_tables(self) -> None:
        for table, columns in _NEW_COLUMNS.items():
            found = self._db.execute("SELECT name FROM pragma_table_info(?)", [table]).fetchall()
            for name, kind in columns.items():
                if (name,) not in found:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")

    def _check_job(self) -> None:
        found = self._get("job")
        if found is not None and codec.decode(found) != [*msgspec.structs.astuple(self.job)]:
            source, target, _ = codec.decode(found)
            raise JobError(
                f"{self.path} is the ledger of another job: {source} to {target}",
                hint="give another file with --ledger, or none: each job finds its own",
            )

    def _forget(self) -> None:
        with self._transaction():
            for table in ("job", "sessions", "set_aside", "changes"):
                self._db.execute(f"DELETE FROM {table}")

    def _is_begun(self) -> bool:
        return self._db.execute("SELECT 1 FROM sessions LIMIT 1").fetchone() is not None

    @property
    def is_finished(self) -> bool:
        return self._get("finished") is not None

    def finish(self) -> None:
        """The next transfer of this job begins anew. What was set aside or changed stays on record here."""
        if self._notes is not None:
            self._notes.forget_notes(self.job.id)
        self._set("finished", "yes")
        with self._transaction():
            self._db.execute("DELETE FROM sessions")
        self._db.execute("VACUUM")

    @property
    def source_version(self) -> str | None:
        """What the source told when the job began."""
        return self._get("source version")

    @source_version.setter
    def source_version(self, version: str | None) -> None:
        self._set("source version", version or "")

    def _get(self, key: str) -> str | None:
        with _told(self.path):
            row = self._db.execute("SELECT value FROM job WHERE key = ?", [key]).fetchone()
        return row[0] if row else None

    def _set(self, key: str, value: str) -> None:
        with _told(self.path):
            self._db.execute("INSERT OR REPLACE INTO job VALUES (?, ?)", [key, value])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._one_at_a_time, _told(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def record(self, entries: Iterable[Entry]) -> None:
        told = [msgspec.structs.astuple(one) for one in entries]
        if self._notes is not None and told:
            self._notes.note(self.job.id, codec.encode(told))
        rows = [(_raw(session_id), *rest) for session_id, *rest in told]
        with self._transaction():
            self._db.executemany(_INSERT, rows)
            self._db.executemany(
                "DELETE FROM set_aside WHERE session_id = ?", [row[:1] for row in rows]
            )

    def set_aside(self, one: SetAside) -> None:
        with self._transaction():
            row = (_raw(one.session_id), *msgspec.structs.astuple(one)[1:])
            self._db.execute("INSERT OR REPLACE INTO set_aside VALUES (?, ?, ?, ?)", row)

    def note_changes(self, session_id: str, changes: Iterable[Change]) -> None:
        """What a policy changes in a session, before the session is written."""
        rows = [
            (
                _raw(one.session_id),
                one.run_id and _raw(one.run_id),
                one.json_path,
                one.kind,
                one.before,
            )
            for one in changes
        ]
        with self._transaction():
            self._db.execute("DELETE FROM changes WHERE session_id = ?", [_raw(session_id)])
            self._db.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", rows)

    def entry(self, session_id: str) -> Entry | None:
        with _told(self.path):
            row = self._db.execute(
                "SELECT * FROM sessions WHERE session_id = ?", [_raw(session_id)]
            ).fetchone()
        return None if row is None else _entry(row)

    def entries(self) -> Iterator[Entry]:
        for row in self._db.execute("SELECT * FROM sessions"):
            yield _entry(row)

    def knows(self, session_id: str) -> bool:
        """Whether it was copied or set aside."""
        raw = _raw(session_id)
        sql = "SELECT 1 FROM sessions WHERE session_id = ?1 UNION ALL SELECT 1 FROM set_aside WHERE session_id = ?1"
        return self._db.execute(sql, [raw]).fetchone() is not None

    def all_set_aside(self) -> list[SetAside]:
        rows = self._db.execute("SELECT * FROM set_aside ORDER BY session_id")
        return [SetAside(_text(one), path, why, bool(bad)) for one, path, why, bad in rows]

    def count_set_aside(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM set_aside").fetchone()[0])

    @property
    def has_adapted(self) -> bool:
        """Whether a policy had to change something in what was copied."""
        found = self._db.execute("SELECT 1 FROM sessions WHERE adapted LIMIT 1").fetchone()
        return found is not None

    def count_changes(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM changes").fetchone()[0])

    def changes(self) -> Iterator[Change]:
        for session_id, run_id, *rest in self._db.execute("SELECT * FROM changes ORDER BY rowid"):
            yield Change(_text(session_id), run_id and _text(run_id), *rest)

    def outcomes(self) -> dict[str, Counts]:
        rows = self._db.execute(
            "SELECT outcome, COUNT(*), SUM(runs), SUM(bytes) FROM sessions GROUP BY outcome"
        )
        return {outcome: Counts(*counts) for outcome, *counts in rows}

    def close(self) -> None:
        if (db := getattr(self, "_db", None)) is not None:
            db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(path: Path) -> int:
    lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise JobError(
            "another process is at work on this job", hint="wait for it, or stop it first"
        ) from error
    return lock


@contextmanager
def _told(path: Path | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise JobError(
            f"the ledger {path or 'of this job'} cannot be used: {error}",
            hint="what was copied is safe; free some space, or give another file with --ledger",
        ) from error


def _entry(row: tuple[Any, ...]) -> Entry:
    session_id, outcome, digest, runs, size, adapted, *rest = row
    return Entry(_text(session_id), outcome, digest, runs, size, bool(adapted), *rest)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")
