"""Turns that were taken back, kept until they are wanted again: files in the user's state directory, one a turn."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import msgspec

from agnocli.abc import Backend
from agnocli.config.paths import Environ, state_dir
from agnocli.errors import RecordRejectedError, UndoneError
from agnocli.records import Run

_SUFFIX = ".turn"


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """A turn's runs as they were stored, and the id of the run that they stood behind."""

    session_id: str
    behind: str | None
    question: str
    runs: tuple[Run, ...]
    state_before: bytes | None = None
    state_after: bytes | None = None
    """The session's state before the turn and at its end, as JSON."""


class Journal:
    """The turns of one session, the one taken back last on top. Without a folder they are kept in memory alone."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: list[Undone] = []

    def keep(self, turn: Undone) -> None:
        """Durably, so that it may be deleted where it was."""
        if self._folder is None:
            self._held.append(turn)
            return
        try:
            packed = msgspec.msgpack.encode(turn)
        except (TypeError, ValueError) as error:
            raise RecordRejectedError(
                turn.session_id, "a run", f"holds what cannot be kept for /redo: {error}"
            ) from error
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(packed)
        except OSError as error:
            raise UndoneError(
                f"{self._folder}: {error.strerror}; nothing was taken back",
                hint="free some space, or set XDG_STATE_HOME to another folder",
            ) from error

    def _write(self, packed: bytes) -> None:
        assert self._folder is not None
        part = self._folder / f"part-{os.getpid()}"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        try:
            self._link(part)
        finally:
            part.unlink()

    def _link(self, part: Path) -> None:
        """Under the next free number: another program may be taking turns back too."""
        assert self._folder is not None
        number = max((int(path.stem) for path in self._files()), default=0)
        while True:
            number += 1
            with suppress(FileExistsError):
                os.link(part, self._folder / f"{number:08}{_SUFFIX}")
                return

    def last(self) -> Undone | None:
        if self._folder is None:
            return self._held[-1] if self._held else None
        path = max(self._files(), default=None)
        if path is None:
            return None
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=Undone)
        except (OSError, msgspec.MsgspecError) as error:
            raise UndoneError(
                f"{path}: cannot be read: {error}", hint="move it away to get at the turn before it"
            ) from error

    def drop(self) -> None:
        """Forget the last one."""
        if self._folder is None:
            self._held.pop()
        else:
            max(self._files()).unlink()

    def __len__(self) -> int:
        return len(self._held) if self._folder is None else sum(1 for _ in self._files())

    def _files(self) -> Iterator[Path]:
        assert self._folder is not None
        return (path for path in self._folder.glob(f"*{_SUFFIX}") if path.stem.isdecimal())

    def forget(self) -> None:
        """Delete all of them, with the session they are of."""
        self._held.clear()
        if self._folder is None or not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()


def journal(backend: Backend, session_id: str) -> Journal:
    """Of a session that is kept in memory, in memory."""
    if not backend.capabilities.durable:
        return Journal(None)
    return Journal(_folder(backend.address, session_id))


def forget(environ: Environ, address: str, session_ids: Iterable[str]) -> None:
    """Leave nothing of what was taken back in these sessions of a backend."""
    for session_id in session_ids:
        Journal(_folder(address, session_id, environ)).forget()


def _folder(address: str, session_id: str, environ: Environ | None = None) -> Path:
    place = f"{address}\0{session_id}".encode("utf-8", "surrogatepass")
    return state_dir(environ) / "undone" / blake2b(place, digest_size=16).hexdigest()
