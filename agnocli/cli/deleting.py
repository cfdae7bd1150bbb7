"""`agno sessions delete` and `prune`: into the trash first, or for good; never more than was shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import msgspec

from agnocli.abc import Backend
from agnocli.cli.choosing import Choice, infos
from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.render.text import amount
from agnocli.cli.session_rows import COLUMNS, row
from agnocli.errors import SessionConflictError, SessionNotFoundError
from agnocli.records import SessionInfo

CHUNK = 100
"""Sessions that are compared with their copies, then deleted, at once."""
NAMED = 3


class Removed(msgspec.Struct, kw_only=True):
    """What became of sessions that were to go. `changed` were written to meanwhile, and stay.

    Of a purge: files that were `searched`, ids that are still `named` by other records and files and those that stand in the
    files without that, and where copies may be `kept` out of reach.
    """

    deleted: list[str] = []
    changed: list[str] = []
    trash: str | None = None
    searched: tuple[str, ...] = ()
    named: dict[str, list[str]] = {}
    raw: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def delete(app: App, chosen: Choice, confirmed: int | None, *, purge: bool) -> int:
    if app.options.dry_run:
        return _planned(app, chosen, purge)
    backend = app.backend()
    first = list(islice(found := _meant(app, backend, chosen, purge), NAMED))
    ids = list(dict.fromkeys(one.session_id for one in chain(first, found)))
    if not ids:
        app.note("no session matches; nothing was deleted")
        app.json(_json(Removed(), purge))
        return ExitStatus.OK
    question = f"Delete {_what(first, len(ids))} at {backend.address}{_how(purge)}?"
    if not app.confirm_count(question, len(ids), confirmed):
        app.note("nothing was deleted")
        return ExitStatus.FAILED
    with app.waiting("deleting"):
        removed = remove(app, backend, ids, purge=purge)
    return finish(app, removed, purge=purge)


def _planned(app: App, chosen: Choice, purge: bool) -> int:
    backend, name = app.backend(read_only=True), app.backend_name()
    rows = (row(info, name) for info in _meant(app, backend, chosen, purge))
    if app.options.json:
        app.json({"deleted": [], "dry_run": True, "would_delete": [*rows]})
        return ExitStatus.OK
    count = app.list(rows, COLUMNS)
    app.note(f"would delete {amount(count, 'session')}" if count else "no session matches")
    return ExitStatus.OK


def _meant(app: App, backend: Backend, chosen: Choice, purge: bool) -> Iterator[SessionInfo]:
    """Of a purge also what is in the trash alone, as after one that was broken off."""
    if not (purge and chosen.references):
        yield from infos(backend, chosen)
        return
    for reference in chosen.references:
        try:
            yield from infos(backend, chosen._replace(references=[reference]))
        except SessionNotFoundError:
            if (found := _in_trash(app, backend, reference)) is None:
                raise
            yield found


def _in_trash(app: App, backend: Backend, session_id: str) -> SessionInfo | None:
    from agnocli.cli.trash import Trash

    for one in Trash(app.environ).items(backend.address):
        if one.session_id == session_id:
            known = {name: getattr(one, name) for name in ("session_id", "title", "runs")}
            return SessionInfo(**known, created_at=one.updated_at or one.deleted_at)
    return None


def _what(first: Sequence[SessionInfo], count: int) -> str:
    if count == 1:
        title = f" {first[0].title!r}" if first[0].title else ""
        return f"session {first[0].session_id}{title}"
    names = ", ".join(one.name or one.session_id for one in first)
    return f"{count:,} sessions ({names}{', …' if count > len(first) else ''})"


def _how(purge: bool) -> str:
    return ", for good: nothing brings it back" if purge else ", into the trash"


def remove(app: App, backend: Backend, ids: Sequence[str], *, purge: bool = False) -> Removed:
    """What goes into the trash is compared with what is stored just before it is deleted."""
    backend.probe()  # a place that cannot be written leaves nothing in the trash
    if purge:
        from agnocli.cli.purging import purged

        return purged(app, backend, ids)
    from agnocli.cli.trash import Trash

    trash = Trash(app.environ)
    path, digests = trash.put(backend.address, backend.read(ids))
    removed = Removed(trash=str(path) if digests else None)
    waiting = iter(digests)
    while chunk := list(islice(waiting, CHUNK)):
        gone = delete_present(backend, list(_unchanged(backend, chunk, digests)))
        removed.deleted += gone
        left = [one for one in chunk if one not in gone]
        removed.changed += [one.session.session_id for one in backend.read(left)]
    if removed.changed:
        trash.drop(str(path), removed.changed)
    return removed


def _unchanged(backend: Backend, ids: Sequence[str], digests: dict[str, str]) -> Iterator[str]:
    from agnocli.cli.trash import digest_of

    for bundle in backend.read(ids):
        if digest_of(bundle) == digests[bundle.session.session_id]:
            yield bundle.session.session_id


def delete_present(backend: Backend, ids: Iterable[str]) -> list[str]:
    """Delete those that are there still, and prove it by reading again; returns their ids."""
    there = dict.fromkeys(ids)
    while there:
        try:
            backend.delete(list(there))
            break
        except SessionNotFoundError as error:  # another program was quicker
            del there[error.session_id]
    for session, _ in backend.read(list(there)):
        raise SessionConflictError(
            session.session_id,
            "is there again",
            hint="another program wrote it; delete it once more",
        )
    return list(there)


def finish(app: App, removed: Removed, *, purge: bool = False) -> int:
    """Tell what was done; the exit status."""
    app.json(_json(removed, purge))
    if removed.deleted:
        app.note(_done(removed, purge))
    if purge:
        _say_proof(app, removed)
    for session_id in removed.changed[:NAMED]:
        app.warn(f"{session_id} was changed by another program meanwhile and stays")
    if len(removed.changed) > NAMED:
        app.warn(f"so do {len(removed.changed) - NAMED:,} more")
    if removed.raw:
        return ExitStatus.MISMATCH
    return ExitStatus.PARTIAL if removed.changed or removed.named else ExitStatus.OK


def _done(removed: Removed, purge: bool) -> str:
    many = len(removed.deleted) > NAMED
    what = amount(len(removed.deleted), "session") if many else ", ".join(removed.deleted)
    back = removed.deleted[0] if len(removed.deleted) == 1 else "--last"
    return f"purged {what}" if purge else f"deleted {what}; back with: agno sessions restore {back}"


def _say_proof(app: App, removed: Removed) -> None:
    for session_id, places in list(removed.named.items())[:NAMED]:
        app.warn(f"{session_id} is still named elsewhere, in {', '.join(places)}")
    for session_id in removed.raw[:NAMED]:
        app.warn(f"{session_id} still stands in {', '.join(removed.searched)}; purge again")
    if removed.searched and not (removed.raw or removed.named):
        app.note(f"no byte of them is in {', '.join(removed.searched)}")
    if removed.kept:
        app.note(f"out of reach from here, and not looked at: {', '.join(removed.kept)}")


def _json(removed: Removed, purge: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"deleted": removed.deleted, "dry_run": False}
    if removed.changed:
        row["changed"] = removed.changed
    if not purge:
        return row | {"trash": removed.trash}
    proof = {"searched": removed.searched, "named": removed.named, "raw": removed.raw}
    return row | {"purged": True, **proof, "may_remain_in": removed.kept}
