"""The JSON form of a session: Agno's own session dict, columns as objects and the runs in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agnocli import codec
from agnocli.errors import CodecError
from agnocli.records import SESSION_COLUMNS, SESSION_DOCUMENTS, Document, Run, Session


def session_json(session: Session, runs: Iterable[Run]) -> Iterator[str]:
    """JSON text in pieces and on one line, one run at a time; stored documents go through with their own text.

    A document that is not JSON at all becomes a JSON string of its characters. Columns that are not Agno's stand
    behind Agno's.
    """
    head = [f"{codec.line(name)}: {text}" for name, text in _columns(session)]
    yield "{" + ", ".join(head) + ', "runs": ['
    for number, run in enumerate(runs):
        yield (", " if number else "") + document_text(run.run_data)
    yield "]}"


def _columns(session: Session) -> Iterator[tuple[str, str]]:
    for name in SESSION_COLUMNS:
        value = getattr(session, name)
        yield name, document_text(value) if name in SESSION_DOCUMENTS else codec.line(value)
    for name, value in session.extra.items():
        yield name, codec.line(_readable(value) if isinstance(value, bytes) else value)


def document_text(document: Document | None) -> str:
    if document is None:
        return "null"
    try:
        codec.decode(document)
    except CodecError:
        return codec.line(_readable(document))
    # a bare surrogate leaves as the JSON escape of itself; line ends can only stand between tokens
    text = document.decode("utf-8", "surrogatepass").encode("utf-8", "backslashreplace").decode()
    return text.replace("\r", " ").replace("\n", " ")


def _readable(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
