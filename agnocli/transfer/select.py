"""Which sessions of a source are meant."""

from __future__ import annotations

from agnocli.abc import Searchable, SessionQuery, Source
from agnocli.errors import SessionNotFoundError
from agnocli.layout import filter as listing
from agnocli.layout.derive import session_info
from agnocli.layout.filter import listed
from agnocli.records import Run, SessionBundle
from agnocli.transfer.options import TransferOptions


class Selection:
    """`wanted` chooses by id alone; `means` has a look at the session as well, where the source cannot list."""

    def __init__(self, source: Source, options: TransferOptions) -> None:
        self._shard, self._query = options.shard, options.query
        self._ids: frozenset[str] | None = None
        if options.session_ids:
            self._ids = frozenset(options.session_ids)
            _check_there(source, self._ids)
        if self._query is not None and isinstance(source, Searchable):
            found = frozenset(one.session_id for one in listed(source, self._query))
            self._ids = found if self._ids is None else found & self._ids
            self._query = None

    @property
    def is_all(self) -> bool:
        return self._ids is None and self._query is None and self._shard is None

    @property
    def total(self) -> int | None:
        return len(self._ids) if self._ids is not None and self._shard is None else None

    def wanted(self, session_id: str) -> bool:
        if self._ids is not None and session_id not in self._ids:
            return False
        return self._shard is None or self._shard.has(session_id)

    def means(self, bundle: SessionBundle) -> bool:
        return self._query is None or _means(self._query, bundle)


def _means(query: SessionQuery, bundle: SessionBundle) -> bool:
    last: Run | None = bundle.runs[-1] if isinstance(bundle.runs, tuple) and bundle.runs else None
    info = session_info(bundle.session, runs=0, status=last.status if last else None)
    return listing.matches(info, query)


def _check_there(source: Source, ids: frozenset[str]) -> None:
    found = {bundle.session.session_id for _, bundle in source.scan(wanted=ids.__contains__)}
    for session_id in sorted(ids - found):
        raise SessionNotFoundError(session_id, hint="agno sessions list shows what is there")
