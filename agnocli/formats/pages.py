"""Files for people and for other tools: they are written, and never read back.

What a page leaves out or changes its module says. `jsonl` and `json` leave nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import NamedTuple, Protocol

from agnocli.abc import ConflictPolicy, WriteResult
from agnocli.errors import UsageError
from agnocli.formats.part import Part, telling
from agnocli.formats.sink import FileSink, Writing
from agnocli.records import SessionBundle


class Page(Protocol):
    """The text of a file, in pieces; each session is read run by run while it is written."""

    def head(self) -> Iterator[str]: ...

    def session(self, bundle: SessionBundle) -> Iterator[str]:
        """Nothing for a session that has no place in such a file."""

    def tail(self) -> Iterator[str]: ...

    def mark(self) -> int:
        """How far it is, for `back`."""

    def back(self, mark: int) -> None:
        """Forget the sessions since then: they are written once more."""


class PlainPage:
    """Sessions one behind the other, and nothing to remember of them."""

    def head(self) -> Iterator[str]:
        yield from ()

    def tail(self) -> Iterator[str]:
        yield from ()

    def mark(self) -> int:
        return 0

    def back(self, mark: int) -> None:
        """There is nothing to forget."""


class PageKind(NamedTuple):
    suffixes: tuple[str, ...]
    """Of file names; the first is what a file is given. None for a kind that has to be named."""
    implied: bool = True


_KINDS = {
    "markdown": PageKind((".md", ".markdown")),
    "html": PageKind((".html", ".htm")),
    "csv": PageKind((".csv",)),
    "openai": PageKind((".jsonl",), implied=False),
}


def page_kind(path: str, format: str | None) -> str | None:
    """The name of the kind of page to be written there; None for a session file."""
    if format is not None:
        return format if format in _KINDS else None
    name = path.removesuffix(".gz").lower()
    kinds = _KINDS.items()
    return next((one for one, kind in kinds if kind.implied and name.endswith(kind.suffixes)), None)


def suffix_of(format: str) -> str:
    """What a file's name ends in."""
    return _KINDS[format].suffixes[0] if format in _KINDS else f".{format}"


def open_page(path: str, kind: str, *, force: bool = False) -> PageSink:
    """Nothing is opened before it is used. `-` is standard output."""
    if kind not in _KINDS:
        raise UsageError(f"there is no format {kind!r}", hint=f"there are {' '.join(_KINDS)}")
    return PageSink(path, kind, force=force)


class PageSink(FileSink):
    """Appears under its name when it is complete, as a session file does; it is not gone on with after an error."""

    def __init__(self, path: str, kind: str, *, force: bool = False) -> None:
        super().__init__(path, force=force, restart=True)
        self._kind = kind

    def _into(self, part: Part) -> Writing:
        page: Page = import_module(f"agnocli.formats.{self._kind}").new_page()
        return _Writing(part, page, self.address)


class _Writing:
    def __init__(self, part: Part, page: Page, address: str) -> None:
        self._part, self._page, self._address = part, page, address
        self._length = 0

    def begin(self) -> None:
        with telling(self._address):
            self._part.cut(0)
        self._put(self._page.head())

    def go_on(self) -> None:
        self.begin()

    def write(self, bundles: Iterable[SessionBundle], policy: ConflictPolicy) -> WriteResult:
        written, skipped = list[str](), list[str]()
        before, mark = self._length, self._page.mark()
        try:
            for bundle in bundles:
                length = self._length
                self._put(self._page.session(bundle))
                there = written if self._length > length else skipped
                there.append(bundle.session.session_id)
            with telling(self._address):
                self._part.commit()
        except BaseException:
            self._length = before
            self._page.back(mark)
            with telling(self._address):
                self._part.cut(before)
            raise
        return WriteResult(written=tuple(written), skipped=tuple(skipped))

    def finish(self) -> None:
        self._put(self._page.tail())
        with telling(self._address):
            self._part.finish()

    def leave(self, *, keep: bool) -> None:
        self._part.discard()

    def close(self) -> None:
        """It holds nothing open."""

    def _put(self, pieces: Iterable[str]) -> None:
        for piece in pieces:
            text = piece.encode("utf-8", "replace")
            with telling(self._address):
                self._part.write(text)
            self._length += len(text)
