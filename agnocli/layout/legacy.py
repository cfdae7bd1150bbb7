"""Agno 2: runs inside the session row, JSON encoded twice on SQLite. Read as Agno 3 would.

Agno 1 kept a table for each kind of session, runs inside `memory`: told apart, never read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from agnocli import codec
from agnocli.errors import CodecError, LayoutError
from agnocli.layout.derive import run_row
from agnocli.records import Document, Run, Session

MIGRATE = (
    "install agno 2 (pip install 'agno<3') and run its agno.db.migrations.v1_to_v2.migrate: what it makes is read here;"
    " do not run that of agno 3, which loses all runs"
)

_SHOWN = 40

BESIDE = "; to begin anew beside them: agno backends init"


def is_agno_1(names: Collection[str]) -> bool:
    """Whether a session record with these columns or members is Agno 1's."""
    return {"session_id", "session_data", "extra_data"} <= {*names} and "session_type" not in names


def agno_1(address: str, places: Iterable[str], *, hint: str = MIGRATE) -> LayoutError:
    """`places`: each the kind and name of something that holds them, as `table 'x'`."""
    return LayoutError(f"{address} holds sessions of Agno 1 in {', '.join(places)}", hint=hint)


def agno_1_note(place: str) -> str:
    return f"{place} holds sessions of Agno 1, which are not read; {MIGRATE}"


def unwrap(document: Document | None) -> Document | None:
    """A document without the extra layer of a JSON string around JSON, which Agno 2 put there."""
    if document is None or not document.startswith(b'"'):
        return document
    try:
        inner = codec.decode(document)
        codec.decode(inner)
    except CodecError:
        return document
    return Document(inner.encode("utf-8", "surrogatepass"))


def blob_runs(blob: Document | None, session: Session) -> Iterator[Run]:
    """The runs of a session row's own `runs` column; entries without a run id are left out, as Agno does.

    A column that cannot be read, or holds something else, has no runs for Agno; here it raises CodecError.
    """
    document = unwrap(blob)
    if codec.is_null(document):
        return
    assert document is not None
    for index, entry in enumerate(_entries(document)):
        if isinstance(entry, dict) and entry.get("run_id"):
            yield run_row(entry, session, index, _updated(session))


def _entries(document: Document) -> list[Any]:
    try:
        entries = codec.decode(document)
    except CodecError as error:
        raise CodecError(error.message, json_path="runs") from error
    if entries and not isinstance(entries, list):
        raise CodecError(f"no list of runs but {_beginning(document)}", json_path="runs")
    return entries or []


def _beginning(document: Document) -> str:
    text = document[:_SHOWN].decode("utf-8", "backslashreplace")
    return text + "…" * (len(document) > _SHOWN)


def _updated(session: Session) -> int:
    return session.updated_at or session.created_at


def merge(blob: Iterable[Run], table: Iterable[Run]) -> Iterator[Run]:
    """Half-migrated sessions: the old column's order, the table's copy of a run instead of the old one,
    then what only the table has; each run once."""
    rows = {run.run_id: run for run in table}
    seen: set[str] = set()
    for run in blob:
        if run.run_id not in seen:
            seen.add(run.run_id)
            yield rows.pop(run.run_id, run)
    yield from rows.values()


def without(blob: Document | None, run_ids: Iterable[str]) -> Document | None:
    """The `runs` column less some runs."""
    gone, document = set(run_ids), unwrap(blob)
    if codec.is_null(document):
        return blob
    assert document is not None
    entries: Any = codec.decode(document)
    if not isinstance(entries, list):
        return blob
    kept = [one for one in entries if not (isinstance(one, dict) and one.get("run_id") in gone)]
    return blob if len(kept) == len(entries) else codec.encode(kept)
