"""Whether two copies of a session are the same: a digest over values, not over spelling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agnocli import codec
from agnocli.records import (
    RUN_COLUMNS,
    SESSION_COLUMNS,
    SESSION_DOCUMENTS,
    Document,
    Run,
    Session,
)


class BundleDigest:
    """Digest of a session and its runs in order, taken while the runs stream past `watch`."""

    def __init__(self, session: Session) -> None:
        import hashlib

        self._hash = hashlib.sha256()
        self._add(session, SESSION_COLUMNS, SESSION_DOCUMENTS)

    def watch(self, runs: Iterable[Run]) -> Iterator[Run]:
        for run in runs:
            self._add(run, RUN_COLUMNS, ("run_data",))
            yield run

    def drain(self, runs: Iterable[Run]) -> str:
        for _ in self.watch(runs):
            pass
        return self.hexdigest()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def _add(
        self, record: Session | Run, columns: Iterable[str], documents: tuple[str, ...]
    ) -> None:
        plain = [getattr(record, name) for name in columns if name not in documents]
        extra = sorted((name, repr(value)) for name, value in record.extra.items())
        found: list[Document | None] = [getattr(record, name) for name in documents]
        self._hash.update(repr((plain, extra)).encode("utf-8", "surrogatepass"))
        self._hash.update(codec.digest(found).encode("ascii"))
