"""From a path to the session file it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from agnocli.abc import ConflictPolicy, Cursor, WriteResult
from agnocli.errors import UsageError
from agnocli.formats.json import JSON
from agnocli.formats.jsonl import JSONL
from agnocli.formats.sink import RecordSink
from agnocli.formats.source import STDIO, Checked, FileSource
from agnocli.records import SessionBundle

_SHAPES = {shape.name: shape for shape in (JSONL, JSON)}
SUFFIXES = tuple(f".{name}{packed}" for name in _SHAPES for packed in ("", ".gz"))


def is_file_name(text: str) -> bool:
    """Whether this names a session file, and no backend."""
    return text == STDIO or (text.endswith(SUFFIXES) and "://" not in text)


def open_file(
    path: str,
    *,
    format: str | None = None,
    force: bool = False,
    restart: bool = False,
    partial: bool = False,
    edited: bool = False,
) -> SessionFile:
    """A source and a sink; nothing is opened before it is used. `-` is standard input or output.

    Written by its name, or as `format` (jsonl, json); read as what it is. `force` overwrites a complete file, `restart`
    one that an earlier loading left half done. `partial` reads up to the first bad line, `edited` what people have
    changed: any layout, no checksums.
    """
    name = path.removesuffix(".gz").rpartition(".")[2]
    shape = _SHAPES.get(format or ("jsonl" if path == STDIO else name))
    if shape is None:
        raise UsageError(
            f"{path} is no name of a session file", hint=f"such a name ends in {' '.join(SUFFIXES)}"
        )
    return SessionFile(
        FileSource(path, partial=partial, edited=edited),
        RecordSink(path, shape, force=force, restart=restart),
    )


class SessionFile:
    """`Source`, `Sink` and `Loader`."""

    def __init__(self, source: FileSource, sink: RecordSink) -> None:
        self._source, self._sink = source, sink
        self.address = source.address
        self.capabilities = sink.capabilities

    def check(self) -> Checked:
        return self._source.check()

    def scan(
        self, *, after: Cursor | None = None, wanted: Callable[[str], bool] | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        return self._source.scan(after=after, wanted=wanted)

    def write(
        self, bundles: Iterable[SessionBundle], policy: ConflictPolicy = ConflictPolicy.ERROR
    ) -> WriteResult:
        return self._sink.write(bundles, policy)

    def loading(self) -> AbstractContextManager[None]:
        return self._sink.loading()

    def close(self) -> None:
        self._source.close()
