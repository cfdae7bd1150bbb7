"""Sessions without the secrets in them, as a source: what is copied from it, in any format, has none.

Text is changed as values, so documents stay valid; a session in which nothing was found is what it was to the byte.
In its metadata `agnocli.redacted` counts what was taken out, by kind. Ids, signatures and media are never touched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Backend, Cursor, Page, SessionQuery, Wanted
from agnocli.errors import CodecError
from agnocli.records import SESSION_DOCUMENTS, Document, Run, Session, SessionBundle
from agnocli.secrets import Detector

_KEPT = re.compile(r"(?:.*_)?(?:ids?|signatures?|encrypted_content|sha256)", re.IGNORECASE)
_MEDIA = {"images", "audio", "videos", "files", "response_audio", "audio_output"}
_BASE64 = re.compile(r"(?:data:[^,]{0,200},)?[A-Za-z0-9+/\s]{200,}={0,2}\s*")


class Redacted:
    """A backend's sessions. `kinds` counts what was taken out of those that were read, each once."""

    def __init__(self, backend: Backend) -> None:
        self.address, self.capabilities = backend.address, backend.capabilities
        self._backend, self._detector = backend, Detector()
        self._found: dict[str, Counter[str]] = {}

    @property
    def kinds(self) -> dict[str, int]:
        total = Counter[str]()
        for found in self._found.values():
            total += found
        return dict(sorted(total.items()))

    def scan(
        self, *, after: Cursor | None = None, wanted: Wanted | None = None
    ) -> Iterator[tuple[Cursor, SessionBundle]]:
        for cursor, bundle in self._backend.scan(after=after, wanted=wanted):
            yield cursor, self._redacted(bundle)

    def ids(self) -> Iterator[str]:
        return self._backend.ids()

    def read(self, session_ids: Sequence[str]) -> Iterator[SessionBundle]:
        return map(self._redacted, self._backend.read(session_ids))

    def find(self, query: SessionQuery) -> Page:
        return self._backend.find(query)

    def close(self) -> None:
        self._backend.close()

    def _redacted(self, bundle: SessionBundle) -> SessionBundle:
        cleaner = Cleaner(self._detector)
        session = cleaner.session(bundle.session)
        if isinstance(bundle.runs, tuple):
            runs: Any = tuple(map(cleaner.run, bundle.runs))
        else:  # the session tells what is found in its runs, so they are read once before
            session_id = bundle.session.session_id
            for again in self._backend.read([session_id]):
                for run in again.runs:
                    cleaner.run(run)
            runs = map(Cleaner(self._detector).run, bundle.runs)
        if cleaner.found:
            self._found[session.session_id] = cleaner.found
            session = _marked(session, cleaner.found)
        return SessionBundle(session, runs)


def _marked(session: Session, found: Mapping[str, int]) -> Session:
    try:
        ours = codec.members(session.metadata).get("agnocli")
        ours = {**ours} if isinstance(ours, dict) else {}
        counted = {"agnocli": ours | {"redacted": dict(sorted(found.items()))}}
        return replace(session, metadata=codec.patch(session.metadata, counted))
    except CodecError:  # a column that is no object stays what it is
        return session


class Cleaner:
    """Of one session; `found` counts by kind what was taken out."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.found: Counter[str] = Counter()

    def session(self, session: Session) -> Session:
        documents = {
            name: self.document(document)
            for name in SESSION_DOCUMENTS
            if (document := getattr(session, name)) is not None
        }
        return replace(session, **documents, extra=self._value(dict(session.extra)))

    def run(self, run: Run) -> Run:
        return replace(
            run, run_data=self.document(run.run_data), extra=self._value(dict(run.extra))
        )

    def document(self, document: Document) -> Document:
        before = self.found.total()
        try:
            value = self._value(codec.decode(document))
        except (CodecError, RecursionError):
            text = self.text(document.decode("utf-8", "surrogateescape"))
            return Document(text.encode("utf-8", "surrogateescape"))
        return document if self.found.total() == before else codec.encode(value)

    def text(self, text: str) -> str:
        parts, place = [], 0
        for one in self._detector.find(text):
            parts += [text[place : one.start], self._instead(one.kind)]
            place = one.end
        return "".join([*parts, text[place:]]) if parts else text

    def _instead(self, kind: str) -> str:
        self.found[kind] += 1
        return f"[redacted: {kind}]"

    def _value(self, value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return self._text_of(name, value)
        if isinstance(value, list):
            return [self._value(one, name) for one in value]
        if isinstance(value, dict):
            return self._members(value, self._text_of if name not in _MEDIA else self._of_media)
        return value

    def _members(self, members: dict[Any, Any], text: Callable[[str, str], str]) -> dict[Any, Any]:
        cleaned: dict[Any, Any] = {}
        for key, value in members.items():
            name = str(key)
            new = self.text(key) if isinstance(key, str) else key
            while new in cleaned:
                new = f"{new}'"
            cleaned[new] = text(name, value) if isinstance(value, str) else self._value(value, name)
        return cleaned

    def _text_of(self, name: str, value: str) -> str:
        if _KEPT.fullmatch(name):
            return value
        if self._detector.is_assigned(name, value):
            return self._instead("Secret Keyword")
        return self.text(value)

    def _of_media(self, name: str, value: str) -> str:
        if name in ("content", "url") and _BASE64.fullmatch(value):
            return value
        return self._text_of(name, value)
