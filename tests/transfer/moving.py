"""How tests move sessions, and ends that fail on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agnocli.abc import Capabilities, ConflictPolicy, Cursor, Source, Wanted, WriteResult
from agnocli.records import RawPiece, SessionBundle
from agnocli.transfer.copying import Quarantine
from agnocli.transfer.engine import Transfer, job_of
from agnocli.transfer.ledger import Ledger
from agnocli.transfer.options import Observer, TransferOptions, TransferReport
from agnocli.transfer.verifiers import Verifiers


def move(
    source: Source,
    target: Any,
    options: TransferOptions | None = None,
    *,
    ledger_file: Path | None = None,
    beside: Sequence[Any] = (),
    verifiers: Verifiers | None = None,
    quarantine: Quarantine | None = None,
    restart: bool = False,
    observer: Observer = lambda progress: None,
) -> TransferReport:
    options = options or TransferOptions()
    with Ledger(ledger_file, job_of(source, target, options), restart=restart) as ledger:
        transfer = Transfer(
            source,
            target,
            options,
            ledger,
            copy=target,
            beside=beside,
            verifiers=verifiers,
            quarantine=quarantine,
            observer=observer,
        )
        return transfer.run()


class Kept:
    """A quarantine in memory."""

    def __init__(self) -> None:
        self.bundles: list[tuple[SessionBundle, str, str]] = []
        self.raw: list[tuple[str, list[RawPiece], str, str]] = []

    def add(self, bundle: SessionBundle, *, json_path: str, reason: str) -> None:
        whole = SessionBundle(bundle.session, tuple(bundle.runs))
        self.bundles.append((whole, json_path, reason))

    def add_raw(
        self,
        session_id: str,
        pieces: Iterable[RawPiece],
        *,
        json_path: str,
        reason: str,
        source: str,
    ) -> None:
        self.raw.append((session_id, list(pieces), json_path, reason))


class Through:
    """An end with something done before each of its calls; all else is the backend's own."""

    def __init__(self, backend: Any, **before: Callable[..., None]) -> None:
        self._backend, self._before = backend, before
        self.address = backend.address

    @property
    def capabilities(self) -> Capabilities:
        found: Capabilities = self._backend.capabilities
        return found

    def _do(self, name: str, *arguments: Any) -> None:
        if name in self._before:
            self._before[name](*arguments)

    def scan(
        self, *, after: Cursor | None = None, wanted: Wanted | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        for step in self._backend.scan(after=after, wanted=wanted):
            self._do("scan", step[1])
            yield step

    def ids(self) -> Iterator[str]:
        found: Iterator[str] = self._backend.ids()
        return found

    def read(self, session_ids: Any) -> Iterator[SessionBundle]:
        for session_id in session_ids:
            self._do("read", session_id)
        found: Iterator[SessionBundle] = self._backend.read(session_ids)
        return found

    def find(self, query: Any) -> Any:
        return self._backend.find(query)

    def inspect(self) -> Any:
        return self._backend.inspect()

    def write(
        self, bundles: Iterable[SessionBundle], policy: ConflictPolicy = ConflictPolicy.ERROR
    ) -> WriteResult:
        held = list(bundles)
        self._do("write", held)
        result: WriteResult = self._backend.write(held, policy)
        self._do("written", result)
        return result

    def close(self) -> None:
        self._backend.close()


class Times:
    """Calls its first `good` times without effect, then raises `error` so many times, then no more."""

    def __init__(self, good: int, error: BaseException, times: int = 1) -> None:
        self._left, self._error, self._times = good, error, times

    def __call__(self, *arguments: Any) -> None:
        self._left -= 1
        if self._left < 0 and self._times:
            self._times -= 1
            raise self._error
