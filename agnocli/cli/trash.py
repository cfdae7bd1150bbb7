"""Deleted sessions, until they are restored or the trash is emptied.

A deletion is two files: NAME.jsonl.gz, a session file like any other, and NAME.index, which comes last and makes it
one: a line on the deletion, then a line for each session that is to be had back.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from agnocli import codec
from agnocli.config.paths import Environ, data_dir
from agnocli.errors import BackendError, CodecError, FileFormatError
from agnocli.formats.part import created, sync, sync_folder, telling
from agnocli.formats.registry import SessionFile, open_file
from agnocli.layout.compare import BundleDigest, to_the_byte
from agnocli.layout.derive import session_info
from agnocli.records import Run, Session, SessionBundle

Record = TypeVar("Record", Session, Run)

BUNDLE, INDEX = ".jsonl.gz", ".index"


class Trashed(msgspec.Struct, frozen=True, kw_only=True):
    """A session that can be had back. Times are epoch seconds; `backend` is the address it was deleted from."""

    session_id: str
    name: str | None = None
    title: str | None = None
    type: str = "agent"
    user_id: str | None = None
    runs: int = 0
    updated_at: int | None = None
    tags: tuple[str, ...] = ()
    deleted_at: int
    backend: str
    file: str


class Trash:
    def __init__(self, environ: Environ) -> None:
        self.folder = data_dir(environ) / "trash"

    def put(self, address: str, bundles: Iterable[SessionBundle]) -> tuple[Path, dict[str, str]]:
        """Keep sessions, durably and to the byte. Returns the file, and by id the exact digest of what was kept.

        BackendError when that cannot be done; then it keeps nothing. No file when there is no session.
        """
        digests: dict[str, str] = {}
        with _not_deleted(), telling(str(self.folder)):
            self._make()
            moment = time.time()
            path = self.folder / f"{_stamp(moment)}-{token_hex(4)}{BUNDLE}"
            with _Index(path) as index:
                index.add({"backend": address, "deleted_at": int(moment)})
                kept = _counted(bundles, digests, index.add)
                open_file(str(path), restart=True).write(kept)
                if digests:
                    index.finish()
                else:
                    path.unlink()
        return path, digests

    def items(self, address: str | None = None) -> Iterator[Trashed]:
        """What can be had back, the latest deletion first; from one backend if asked."""
        for path in self._indexes():
            head = _head(path)
            if address is None or head["backend"] == address:
                where = {**head, "file": str(_bundle(path))}
                yield from (msgspec.convert({**row, **where}, Trashed) for row in _rows(path))

    def file(self, path: str) -> SessionFile:
        return open_file(path)

    def drop(self, path: str, session_ids: Collection[str]) -> None:
        """Sessions that are no longer to be had back; a file that has none left goes."""
        index = _index(Path(path))
        with self._alone(), _Index(Path(path)) as left:
            left.add(_head(index))
            for row in _rows(index):
                if row["session_id"] not in session_ids:
                    left.add(row)
            if left.rows > 1:
                left.finish()
            else:
                _remove(index)

    def forget(self, address: str, session_ids: Collection[str]) -> None:
        """Leave nothing of these sessions of a backend, nor of what was once restored."""
        for index in list(self._indexes()):
            if _head(index)["backend"] == address:
                if _bundle(index).exists():
                    self._rewrite(_bundle(index), session_ids)
                if any(row["session_id"] in session_ids for row in _rows(index)):
                    self.drop(str(_bundle(index)), session_ids)

    def empty(self, before: float | None = None) -> int:
        """Remove deletions, or only those of before a moment, and what broken-off ones left; returns how many files."""
        count = 0
        with telling(str(self.folder)):
            for path in list(self._indexes()):
                if before is None or _head(path)["deleted_at"] < before:
                    _remove(path)
                    count += 1
            for path in list(self._leftovers(before)):
                path.unlink(missing_ok=True)
        return count

    def _make(self) -> None:
        """So that it is there after a power cut, too."""
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for above in (self.folder.parent, self.folder.parent.parent):
                sync_folder(above)

    def _indexes(self) -> Iterator[Path]:
        yield from sorted(self.folder.glob(f"*{INDEX}"), reverse=True)

    def _leftovers(self, before: float | None) -> Iterator[Path]:
        """Old enough that nobody is writing them."""
        settled = min(time.time() - 3600, before or time.time())
        for path in self.folder.glob("*-*.*"):
            whole = {path.with_name(path.name.partition(".")[0] + kind) for kind in (INDEX, BUNDLE)}
            if (path not in whole or not all(map(Path.exists, whole))) and (
                path.stat().st_mtime < settled
            ):
                yield path

    def _rewrite(self, path: Path, session_ids: Collection[str]) -> None:
        with self._alone(), telling(str(path)):
            file = open_file(str(path), force=True, restart=True)
            if not any(one.session.session_id in session_ids for _, one in file.scan()):
                return
            file.write(one for _, one in file.scan(wanted=lambda one: one not in session_ids))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two programs that change one index do so one after the other."""
        with telling(str(self.folder)), created(self.folder / ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Index:
    """Appears when it is finished."""

    def __init__(self, bundle: Path) -> None:
        self._path = _index(bundle)
        self._part = self._path.with_name(f"{self._path.name}.part")

    def __enter__(self) -> _Index:
        self._file = created(self._part)
        self._file.truncate()
        self.rows = 0
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def add(self, row: dict[str, Any]) -> None:
        self._file.write(codec.line(row).encode() + b"\n")
        self.rows += 1

    def finish(self) -> None:
        sync(self._file)
        self._part.replace(self._path)
        sync_folder(self._path.parent)


@contextmanager
def _not_deleted() -> Iterator[None]:
    try:
        yield
    except BackendError as error:
        if isinstance(error.__cause__, OSError):
            error.hint = "nothing was deleted; make room there, or delete for good with --purge"
        raise


def lasting(record: Record) -> Record:
    """Without when it expires: some servers tell that anew, and a little otherwise, each time."""
    return record if record.expires_at is None else replace(record, expires_at=None)


def digest_of(bundle: SessionBundle) -> str:
    """Of what `put` keeps."""
    return BundleDigest(lasting(bundle.session), to_the_byte).drain(map(lasting, bundle.runs))


def _counted(
    bundles: Iterable[SessionBundle],
    digests: dict[str, str],
    tell: Callable[[dict[str, Any]], None],
) -> Iterator[SessionBundle]:
    """The same sessions, each told of once its runs have passed."""
    for session, runs in bundles:
        digest, count, status = BundleDigest(lasting(session), to_the_byte), 0, None

        def passing(runs: Iterable[Run] = runs, digest: BundleDigest = digest) -> Iterator[Run]:
            nonlocal count, status
            for run in runs:
                count, status = count + 1, run.status
                digest.drain(iter([lasting(run)]))
                yield run

        yield SessionBundle(session, passing())
        info = session_info(session, runs=count, status=status)
        digests[session.session_id] = digest.hexdigest()
        row = {name: getattr(info, name) for name in _KEPT}
        tell(row)


_KEPT = ("session_id", "name", "title", "type", "user_id", "runs", "updated_at", "tags")


def _head(index: Path) -> dict[str, Any]:
    return next(_lines(index))


def _rows(index: Path) -> Iterator[dict[str, Any]]:
    return islice(_lines(index), 1, None)


def _lines(index: Path) -> Iterator[dict[str, Any]]:
    """Of the deletion, then of its sessions. FileFormatError."""
    with telling(str(index), "read"), index.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield codec.decode(line)
            except CodecError as error:
                hint = f"the sessions are in {_bundle(index)}; agno sessions import reads it"
                raise FileFormatError(str(index), number, error.message, hint=hint) from error


def _stamp(moment: float) -> str:
    """Sorts by time, to the microsecond."""
    whole = time.strftime("%Y%m%dT%H%M%S", time.gmtime(moment))
    return f"{whole}_{int(moment % 1 * 1e6):06}"


def _index(bundle: Path) -> Path:
    return bundle.with_name(bundle.name.removesuffix(BUNDLE) + INDEX)


def _bundle(index: Path) -> Path:
    return index.with_name(index.name.removesuffix(INDEX) + BUNDLE)


def _remove(index: Path) -> None:
    """The index first: a bundle without one is no deletion."""
    index.unlink(missing_ok=True)
    _bundle(index).unlink(missing_ok=True)
    sync_folder(index.parent)
