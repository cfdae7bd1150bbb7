"""What a sink cannot hold, changed on request, with a record of what it was."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Capabilities
from agnocli.errors import CodecError
from agnocli.records import SESSION_DOCUMENTS, Document, Run, Session, SessionBundle
from agnocli.transfer.options import Change, TransferOptions, ValuePolicy

_SURROGATE = re.compile("[\ud800-\udfff]")
VISIBLE_NUL, UNKNOWN = "\u2400", "\ufffd"

Note = Callable[[str, str, object], None]
"""Told of a change: JSON path, kind, value before."""


class Adapter:
    """Applies the policies to documents; ids and other columns are never changed."""

    def __init__(self, can: Capabilities, options: TransferOptions) -> None:
        self._texts: list[tuple[str, re.Pattern[str], str]] = []
        if not (can.holds_nul and can.holds_nul_in_keys):
            self._on_text("nul", re.compile("\0"), options.on_nul, VISIBLE_NUL)
        if not can.holds_surrogates:
            self._on_text("surrogate", _SURROGATE, options.on_surrogate, UNKNOWN)
        self._on_nan = options.on_nan if not can.holds_nan else ValuePolicy.FAIL

    def _on_text(
        self, kind: str, pattern: re.Pattern[str], policy: ValuePolicy, stand_in: str
    ) -> None:
        if policy is not ValuePolicy.FAIL:
            new = stand_in if policy is ValuePolicy.REPLACE else ""
            self._texts.append((kind, pattern, new))

    @property
    def does_anything(self) -> bool:
        return bool(self._texts) or self._on_nan is not ValuePolicy.FAIL

    def adapt(self, bundle: SessionBundle, changes: list[Change] | None = None) -> SessionBundle:
        """What is written instead; `changes` gets the record. Lazy runs stay lazy."""
        changes = [] if changes is None else changes
        session = self._session(bundle.session, changes)
        runs = (self._run(run, changes) for run in bundle.runs)
        return SessionBundle(session, tuple(runs) if isinstance(bundle.runs, tuple) else runs)

    def _session(self, session: Session, changes: list[Change]) -> Session:
        changed = {}
        for name in SESSION_DOCUMENTS:
            document = getattr(session, name)
            note = _noting(changes, session.session_id, None)
            if document is not None and (new := self._document(document, name, note)) is not None:
                changed[name] = new
        return replace(session, **changed) if changed else session

    def _run(self, run: Run, changes: list[Change]) -> Run:
        new = self._document(run.run_data, "run_data", _noting(changes, run.session_id, run.run_id))
        return run if new is None else replace(run, run_data=new)

    def _document(self, document: Document, path: str, note: Note) -> Document | None:
        """None when nothing has to change, or nothing can be read."""
        try:
            value = codec.decode(document)
        except CodecError:
            return None
        noted = 0

        def counting(path: str, kind: str, before: object) -> None:
            nonlocal noted
            noted += 1
            note(path, kind, before)

        new = self._value(value, path, counting)
        return codec.encode(new) if noted else None

    def _value(self, value: Any, path: str, note: Note) -> Any:
        if isinstance(value, str):
            return self._text(value, path, note)
        if isinstance(value, float) and not math.isfinite(value):
            return self._number(value, path, note)
        if isinstance(value, list):
            return [self._value(one, f"{path}[{index}]", note) for index, one in enumerate(value)]
        if isinstance(value, dict):
            return dict(self._members(value, path, note))
        return value

    def _members(self, value: dict[str, Any], path: str, note: Note) -> Iterator[tuple[str, Any]]:
        taken = set(value)
        for key, one in value.items():
            new = self._text(key, f"{path}.{key!r} (the key)", note)
            while new != key and new in taken:  # two keys must not become one
                new += "_"
            taken.add(new)
            yield new, self._value(one, f"{path}.{key}", note)

    def _text(self, text: str, path: str, note: Note) -> str:
        for kind, pattern, stand_in in self._texts:
            if pattern.search(text):
                note(path, kind, text)
                text = pattern.sub(stand_in, text)
        return text

    def _number(self, value: float, path: str, note: Note) -> object:
        if self._on_nan is ValuePolicy.FAIL:
            return value
        note(path, "nan", value)
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return name if self._on_nan is ValuePolicy.REPLACE else None


def _noting(changes: list[Change], session_id: str, run_id: str | None) -> Note:
    def note(path: str, kind: str, before: object) -> None:
        changes.append(Change(session_id, run_id, path, kind, codec.line(before)))

    return note
