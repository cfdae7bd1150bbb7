"""One command over all configured backends: who cannot be reached is told, and the others answer."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.errors import AgnoCLIError, BackendNotSetUpError, UsageError
from agnocli.layout.filter import sort_key

if TYPE_CHECKING:
    from concurrent.futures import Future

    from agnocli.abc import Backend, SessionQuery
    from agnocli.records import SessionInfo

Result = TypeVar("Result")

_PAGE = 500


class Everywhere:
    """`backends` are those that answered, by name; of the others it is told that they are `left_out`.

    When none answered, the error of the first.
    """

    def __init__(self, app: App, left_out: str) -> None:
        if app.options.backend is not None:
            raise UsageError("--all-backends goes with no -b", hint="leave one of the two out")
        self._app, self._left_out = app, left_out
        self._failed: list[AgnoCLIError] = []
        opened = [(name, self.tried(name, partial(self._open, name))) for name in _names(app)]
        self.backends = self._connected([(name, one) for name, one in opened if one is not None])
        if self._failed and not self.backends:
            raise self._failed[0]

    def _open(self, name: str) -> Backend:
        is_configured = name in self._app.config.backends
        return self._app.backend(name if is_configured else None, read_only=True)

    def _connected(self, opened: list[tuple[str, Backend]]) -> list[tuple[str, Backend]]:
        """At the same time, so that one that does not answer is waited for only once."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=max(1, len(opened))) as pool:
            tries = [pool.submit(backend.connect) for _, backend in opened]
        return [
            one
            for one, attempt in zip(opened, tries, strict=True)
            if self.tried(one[0], partial(_done, attempt))
        ]

    def tried(self, name: str, action: Callable[[], Result]) -> Result | None:
        """What it gives; None when it failed, which is told, or where nothing is stored yet."""
        try:
            return action()
        except BackendNotSetUpError as error:
            self._app.note(f"{name}: {error.message}")
        except AgnoCLIError as error:
            self._failed.append(error)
            self._app.warn(f"{name}: {error.message}; it is {self._left_out}")
        return None

    @property
    def status(self) -> int:
        return ExitStatus.PARTIAL if self._failed else ExitStatus.OK

    def listed(self, query: SessionQuery) -> Iterator[tuple[str, SessionInfo]]:
        """The sessions of all in the order of the query, ties by id and then by the backend's name."""
        streams = [self._stream(name, backend, query) for name, backend in self.backends]

        def place(row: tuple[str, SessionInfo]) -> tuple[int, str, str]:
            name, info = row
            return -sort_key(info, query.sort), info.session_id, name

        return heapq.merge(*streams, key=place, reverse=query.reverse)

    def _stream(
        self, name: str, backend: Backend, query: SessionQuery
    ) -> Iterator[tuple[str, SessionInfo]]:
        limit = _PAGE if query.limit is None else min(_PAGE, query.skip + query.limit + 1)
        query = replace(query, limit=limit, skip=0)
        while (page := self.tried(name, partial(backend.find, query))) is not None:
            yield from ((name, info) for info in page.items)
            if page.next is None:
                return
            query = replace(query, after=page.next)


def _done(attempt: Future[None]) -> bool:
    attempt.result()
    return True


def _names(app: App) -> list[str]:
    """All that are configured, and the one that is used when none is named."""
    return list(dict.fromkeys([*app.config.backends, app.backend_name()]))


def page_of(
    places: Everywhere, query: SessionQuery
) -> tuple[Iterator[tuple[str, SessionInfo]], Callable[[], bool]]:
    """The rows of a page, and whether there are more behind it, to be asked when they are read."""
    rows = places.listed(query)
    if query.limit is None:
        return rows, lambda: False
    return islice(rows, query.skip, query.skip + query.limit), lambda: next(rows, None) is not None
