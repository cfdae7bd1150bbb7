"""`agno sessions restore` and `trash`: what was deleted, back as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from difflib import get_close_matches
from itertools import groupby

from msgspec.structs import replace

from agnocli.abc import HELD_BYTES, Backend, Source
from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.render.table import Column
from agnocli.cli.trash import Trash, Trashed
from agnocli.errors import (
    AgnoCLIError,
    AmbiguousReferenceError,
    SessionConflictError,
    SessionNotFoundError,
)
from agnocli.layout.compare import Comparison
from agnocli.records import SessionBundle

COLUMNS = [
    Column("session_id", "ID", "id"),
    Column("title", "TITLE"),
    Column("name", "NAME", table=False),
    Column("type", "TYPE", rank=5),
    Column("user_id", "USER", rank=4),
    Column("runs", "RUNS", "number", rank=1),
    Column("updated_at", "UPDATED", "time", table=False),
    Column("tags", "TAGS", rank=6),
    Column("deleted_at", "DELETED", "time", rank=1),
    Column("backend", "FROM", rank=2, table=False),
    Column("file", "FILE", table=False),
]
EVERYWHERE = [replace(one, table=True) if one.name == "backend" else one for one in COLUMNS]
SHORTEST_PREFIX = 4
TOGETHER = 50
"""Sessions that are written at once."""


def list_trash(app: App, *, everywhere: bool) -> int:
    trash, address = Trash(app.environ), app.backend(read_only=True).address
    found = trash.items(None if everywhere else address)
    rows = ({name: getattr(one, name) for name in Trashed.__struct_fields__} for one in found)
    if not app.list(rows, EVERYWHERE if everywhere else COLUMNS):
        others = sum(1 for _ in trash.items())
        app.note(f"nothing was deleted from {address}" + (_elsewhere(others) if others else ""))
    return ExitStatus.OK


def _elsewhere(count: int) -> str:
    return f"; {count:,} from elsewhere, shown with --all-backends"


def restore(app: App, references: Sequence[str], *, last: bool) -> int:
    trash = Trash(app.environ)
    backend = app.backend(read_only=app.options.dry_run)
    wanted = _last(trash, backend) if last else _meant(trash, backend, references)
    if app.options.dry_run:
        return _finish(app, sorted(one.session_id for one in wanted), [])
    restored: list[str] = []
    failures: list[AgnoCLIError] = []
    with app.waiting("restoring"):
        for file, items in groupby(wanted, key=lambda one: one.file):
            for found in _put_back(trash, file, {one.session_id for one in items}, backend):
                if isinstance(found, AgnoCLIError):
                    failures.append(found)
                else:
                    restored.append(found)
    return _finish(app, restored, failures)


def _finish(app: App, restored: list[str], failures: list[AgnoCLIError]) -> int:
    if failures and not restored:
        raise failures[0]
    dry = app.options.dry_run
    app.json({"restored": [] if dry else restored, "dry_run": dry} | _would(restored, dry))
    what = ", ".join(restored) if len(restored) <= 3 else f"{len(restored):,} sessions"
    app.note(f"would restore {what}" if dry else f"restored {what}")
    for failure in failures:
        app.warn(f"{failure.message}; {failure.hint}")
    return ExitStatus.PARTIAL if failures else ExitStatus.OK


def _would(restored: list[str], dry: bool) -> dict[str, list[str]]:
    return {"would_restore": restored} if dry else {}


def _put_back(
    trash: Trash, file: str, ids: set[str], backend: Backend
) -> Iterator[str | AgnoCLIError]:
    """What was read again and is the same leaves the trash."""
    back, lost = set[str](), {*ids}
    try:
        for batch in _batches(trash.file(file), ids):
            lost -= {one.session.session_id for one in batch}
            failed = _write(backend, batch)
            yield from failed.values()
            kept = [one for one in batch if one.session.session_id not in failed]
            _prove(backend, kept, trash.file(file))
            back |= {one.session.session_id for one in kept}
            yield from sorted(one.session.session_id for one in kept)
        for session_id in sorted(lost):
            yield SessionNotFoundError(session_id, hint=f"{file} does not hold it any more")
    finally:
        trash.drop(file, back)


def _batches(source: Source, ids: set[str]) -> Iterator[list[SessionBundle]]:
    """Small sessions together; one whose runs can be read but once by itself."""
    batch, size = list[SessionBundle](), 0
    for _, bundle in source.scan(wanted=ids.__contains__):
        if not isinstance(bundle.runs, tuple):
            yield [bundle]
            continue
        batch.append(bundle)
        size += sum(len(run.run_data) for run in bundle.runs)
        if size > HELD_BYTES or len(batch) == TOGETHER:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write(backend: Backend, batch: Sequence[SessionBundle]) -> dict[str, SessionConflictError]:
    """Those that cannot be, as another one is there."""
    try:
        backend.write(batch)
    except SessionConflictError as error:
        if len(batch) == 1:
            session_id = batch[0].session.session_id
            hint = "it stays in the trash; rename or delete the other one, then restore it"
            return {session_id: SessionConflictError(session_id, error.reason, hint=hint)}
        found: dict[str, SessionConflictError] = {}
        for one in batch:
            found |= _write(backend, [one])
        return found
    return {}


def _prove(backend: Backend, kept: Sequence[SessionBundle], source: Source) -> None:
    """Read again and compare, to the value."""
    can = replace(backend.capabilities, keeps_expiry=False)  # some tell it anew each time
    by_id = {one.session.session_id: one for one in kept}
    missing = {*by_id}
    for stored in backend.read(list(by_id)):
        session_id = stored.session.session_id
        missing.remove(session_id)
        with _again(by_id[session_id], source) as meant:
            where = Comparison(meant, stored, can).difference
        if where is not None:
            raise SessionConflictError(
                session_id, f"differs from what was deleted: {where}", hint="it stays in the trash"
            )
    for session_id in missing:
        raise SessionNotFoundError(session_id, hint="it was stored and is not there; try again")


@contextmanager
def _again(bundle: SessionBundle, source: Source) -> Iterator[SessionBundle]:
    """A session that was written, and whose runs have thereby been read, if they could be read but once."""
    if isinstance(bundle.runs, tuple):
        yield bundle
        return
    with closing(source.scan(wanted=lambda one: one == bundle.session.session_id)) as found:  # type: ignore[type-var]
        yield next(found)[1]


def _last(trash: Trash, backend: Backend) -> list[Trashed]:
    """All of the latest deletion."""
    items = trash.items(backend.address)
    if (first := next(items, None)) is None:
        raise SessionNotFoundError("--last", hint=f"nothing was deleted from {backend.address}")
    return [first, *_of(items, first.file)]


def _of(items: Iterable[Trashed], file: str) -> Iterator[Trashed]:
    for one in items:
        if one.file != file:
            return
        yield one


def _meant(trash: Trash, backend: Backend, references: Sequence[str]) -> list[Trashed]:
    items = list(trash.items(backend.address))
    found = {id(one): one for one in (_resolved(trash, items, text) for text in references)}
    return sorted(found.values(), key=lambda one: one.file)


def _resolved(trash: Trash, items: Sequence[Trashed], reference: str) -> Trashed:
    """As a session is meant elsewhere; of one that was deleted more than once the latest copy."""
    for matches in (
        [one for one in items if one.session_id == reference],
        [one for one in items if one.name == reference],
        [one for one in items if one.session_id.startswith(reference)]
        if len(reference) >= SHORTEST_PREFIX
        else [],
    ):
        ids = list(dict.fromkeys(one.session_id for one in matches))
        if len(ids) > 1:
            raise AmbiguousReferenceError(reference, ids)
        if matches:
            return matches[0]
    raise SessionNotFoundError(reference, hint=_hint(trash, items, reference))


def _hint(trash: Trash, items: Sequence[Trashed], reference: str) -> str:
    for one in trash.items():
        if reference in (one.session_id, one.name):
            return f"it was deleted from {one.backend}: name that with -b"
    known = dict.fromkeys(
        filter(None, (text for one in items for text in (one.name, one.session_id)))
    )
    if near := get_close_matches(reference, known, n=3, cutoff=0.4):
        return f"not in the trash; did you mean {', '.join(map(repr, near))}?"
    return "not in the trash; agno sessions trash list shows what is"


def empty(app: App, before: float | None) -> int:
    trash = Trash(app.environ)
    items = [one for one in trash.items() if before is None or one.deleted_at < before]
    count = len(items)
    what = f"{count:,} session{'s' * (count != 1)}"
    if app.options.dry_run:
        app.note(f"would remove {what} from the trash")
    elif count and not app.confirm(f"Remove {what} from the trash, for good?"):
        app.note("nothing was removed")
        return ExitStatus.FAILED
    else:
        trash.empty(before)
        app.note(f"removed {what} from the trash")
    app.json({"removed": 0 if app.options.dry_run else count, "dry_run": app.options.dry_run})
    return ExitStatus.OK
