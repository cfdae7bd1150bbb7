"""Deletions that leave no byte in a database file, nor in the files beside it; and the search that proves it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from agnocli import codec
from agnocli.abc import Traces
from agnocli.errors import BackendUnavailableError
from agnocli.layout.standing import standing

_BESIDE = ("", "-wal", "-journal")

TOLD = 10
"""Ids that are looked for in all records, if they stand in the files."""

Open = Callable[[], sqlite3.Connection]


@contextmanager
def erasing(path: Path, opened: Open) -> Iterator[None]:
    """Deletions within are to overwrite what they delete (`secure_delete`); then the file is written anew."""
    with closing(opened()) as connection:
        _settle(connection, path, "nothing was deleted")
    yield
    with closing(opened()) as connection:
        hint = f"what was deleted may stand in free pages; then: sqlite3 {path} VACUUM"
        try:
            connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise _barred(path, hint) from error
            raise
        _settle(connection, path, hint)


def _settle(connection: sqlite3.Connection, path: Path, otherwise: str) -> None:
    """Bring the log into the file and empty it; without a log, make sure that nobody reads."""
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal":
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise _barred(path, otherwise)
        return
    try:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        raise _barred(path, otherwise) from error


def _barred(path: Path, otherwise: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"{path} is being read by another program, so it cannot be written anew",
        hint=f"close that program; {otherwise}",
    )


def traces(path: Path, opened: Open, ids: Collection[str]) -> Traces:
    files = [Path(f"{path}{more}") for more in _BESIDE]
    places = [one for one in files if one.exists()]
    found = {one for file in places for one in _standing(file, ids)}
    told = [one for one in ids if one in found][:TOLD]
    with closing(opened()) as connection:
        named = {one: tuple(_naming(connection, one)) for one in told}
    return Traces(
        places=tuple(map(str, places)),
        named={one: columns for one, columns in named.items() if columns},
        raw=tuple(one for one, columns in named.items() if not columns),
    )


def _standing(file: Path, ids: Collection[str]) -> set[str]:
    """As another process sees it: to close the file in this one would end the locks that this one has on it."""
    command = [sys.executable, "-m", standing.__module__, str(file)]
    done = subprocess.run(command, input=codec.encode([*ids]), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise BackendUnavailableError(
            f"{file} could not be searched for what was deleted: {said}",
            hint=f"it is deleted; to see whether an id still stands there: grep -c ID {file}",
        )
    return set(codec.decode(done.stdout))


def _naming(connection: sqlite3.Connection, session_id: str) -> Iterator[str]:
    """Columns of records, of whatever program, that hold it."""
    raw = session_id.encode("utf-8", "surrogatepass")
    tables = connection.execute(
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
        " WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL %'"
    ).fetchall()
    for table, column in tables:
        table, column = (one.replace('"', '""') for one in (table, column))
        sql = f'SELECT 1 FROM "{table}" WHERE instr(CAST("{column}" AS BLOB), ?) LIMIT 1'
        if connection.execute(sql, [raw]).fetchone():
            yield f"{table}.{column}"
