"""`agno sessions list`: a page, all, or those of every backend in one order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from agnocli.abc import Backend, Page, SessionQuery
from agnocli.cli import filters
from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.session_rows import COLUMNS, row
from agnocli.errors import AgnoCLIError, BackendNotSetUpError, UsageError
from agnocli.layout.filter import sort_key
from agnocli.records import SessionInfo

PAGE = 500


def list_here(app: App, query: SessionQuery, *, everything: bool) -> int:
    backend, name = app.backend(read_only=True), app.backend_name()
    pages = _Pages(backend, query, everything)
    shown = app.list((row(info, name) for info in pages), COLUMNS)
    if pages.last.next:
        of = f" of {pages.last.total:,}" if pages.last.total is not None else ""
        app.note(f"{shown}{of} shown; more with --all or --cursor {pages.last.next}")
    elif not shown and app.terminal.stdout_tty:
        app.note(
            "no session matches"
            if filters.is_filtered(query)
            else "no sessions yet; start with: agno chat"
        )
    return ExitStatus.OK


class _Pages:
    """The rows of one page, or of all in turn; `last` is the page drawn last."""

    def __init__(self, backend: Backend, query: SessionQuery, everything: bool) -> None:
        self._backend, self._everything = backend, everything
        self._query = replace(query, limit=PAGE, skip=0) if everything else query
        self.last = backend.find(self._query)

    def __iter__(self) -> Iterator[SessionInfo]:
        yield from self.last.items
        while self._everything and self.last.next:
            self.last = self._backend.find(replace(self._query, after=self.last.next))
            yield from self.last.items


class _Place(NamedTuple):
    """A backend with the first page it gave."""

    name: str
    backend: Backend
    first: Page


def list_everywhere(app: App, query: SessionQuery, *, everything: bool) -> int:
    """Of each configured backend; one that cannot be asked is told, and the others are listed."""
    if query.after is not None or app.options.backend is not None:
        raise UsageError(
            "--all-backends goes with neither --cursor nor -b", hint="leave one of them out"
        )
    asked = replace(query, skip=0, limit=PAGE if everything else (query.limit or 0) + query.skip)
    places, failures = _places(app, asked)
    if failures and not places:
        raise failures[0]
    rows = _merged(places, asked)
    stop = None if everything or query.limit is None else query.skip + query.limit
    columns = [replace(one, table=True) if one.name == "backend" else one for one in COLUMNS]
    shown = app.list(islice(rows, query.skip, stop), columns)
    if next(rows, None) is not None:
        app.note(f"{shown:,} shown; more with --all or --page")
    return ExitStatus.PARTIAL if failures else ExitStatus.OK


def _places(app: App, query: SessionQuery) -> tuple[list[_Place], list[AgnoCLIError]]:
    """All are asked at once."""
    from concurrent.futures import ThreadPoolExecutor

    names = list(dict.fromkeys([*app.config.backends, app.backend_name()]))

    def ask(name: str) -> _Place | AgnoCLIError:
        try:
            backend = app.backend(name if name in app.config.backends else None, read_only=True)
            return _Place(name, backend, _first(backend, query))
        except AgnoCLIError as error:
            return error

    places, failures = list[_Place](), list[AgnoCLIError]()
    with ThreadPoolExecutor(len(names)) as pool:
        for name, found in zip(names, pool.map(ask, names), strict=True):
            if isinstance(found, AgnoCLIError):
                app.warn(f"{name}: {found.message}; it is not listed")
                failures.append(found)
            else:
                places.append(found)
    return places, failures


def _first(backend: Backend, query: SessionQuery) -> Page:
    try:
        return backend.find(query)
    except BackendNotSetUpError:
        return Page(())


def _merged(places: list[_Place], query: SessionQuery) -> Iterator[dict[str, object]]:
    """In the order of a listing, as if all were at one place."""

    def rows(place: _Place) -> Iterator[tuple[SessionInfo, str]]:
        page = place.first
        while True:
            yield from ((info, place.name) for info in page.items)
            if page.next is None:
                return
            page = place.backend.find(replace(query, after=page.next))

    def order(found: tuple[SessionInfo, str]) -> tuple[int, str]:
        return -sort_key(found[0], query.sort), found[0].session_id

    every = heapq.merge(*map(rows, places), key=order, reverse=query.reverse)
    return (row(info, name) for info, name in every)
