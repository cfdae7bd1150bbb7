"""The JSON form of a session: Agno's own session dict, columns as objects and the runs in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.records import SESSION_COLUMNS, SESSION_DOCUMENTS, Document, Run, Session


def session_json(session: Session, runs: Iterable[Run]) -> Iterator[str]:
    """JSON text in pieces, one run at a time; stored documents go through with their own text.

    A document that is not JSON at all becomes a JSON string of its characters.
    """
    head = []
    for name in SESSION_COLUMNS:
        value = getattr(session, name)
        text = document_text(value) if name in SESSION_DOCUMENTS else codec.line(value)
        head.append(f'"{name}": {text}')
    yield "{" + ", ".join(head) + ', "runs": ['
    for number, run in enumerate(runs):
        yield (", " if number else "") + document_text(run.run_data)
    yield "]}"


def document_text(document: Document | None) -> str:
    if document is None:
        return "null"
    try:
        codec.decode(document)
        return document.decode()
    except (CodecError, UnicodeDecodeError):
        return codec.line(document.decode("utf-8", "backslashreplace"))
