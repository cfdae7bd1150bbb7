"""What the real agno says, changes and deletes is found, found changed, and not found any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from agnocli.db.sqlite import SqliteDb
from agnocli.sessions.search import SearchQuery, look
from agnocli.testing.openai_server import Answer, tool_call
from tests.interop.agno_env import LAST_TWO, NEWEST, Agno
from tests.interop.conftest import Serve, Start


@pytest.mark.parametrize("release", [NEWEST, LAST_TWO], ids=lambda one: one.version)
def test_words_that_agno_stores_are_found_until_it_deletes_them(
    start: Start, serve: Serve, file: Path, tmp_path: Path, release: Agno
) -> None:
    agno = start(release)
    file.parent.mkdir()
    server = serve(
        Answer(tool_calls=[tool_call("add_item", {"item": "crème brûlée"})]),
        Answer("Voilà 😀"),
        Answer("東京"),
    )

    def found(*terms: str) -> list[tuple[str, str, str | None]]:
        query = SearchQuery(terms=terms)
        with SqliteDb(file) as backend:
            hits = look(backend, query, folder=tmp_path / "cache")
            assert hits == look(backend, query)
        return sorted((one.session_id, one.kind, one.role) for one in hits.hits)

    def say(words: str, session_id: str) -> None:
        agno("agents.run", str(file), server.base_url, session_id, [words], tools=["add_item"])

    say("Añade un postre", "s1")
    assert found("Brûlée") == [
        ("s1", "state", None),
        ("s1", "tools", "assistant"),
        ("s1", "tools", "tool"),
    ]
    assert found("voilà 😀") == [("s1", "content", "assistant")]
    say("Where?", "s1")
    assert found("京") == [("s1", "content", "assistant")]
    agno("stored.rename", str(file), "s1", "Dulces")
    assert found("dulces") == [("s1", "name", None)]
    agno("stored.delete", str(file), "s1")
    assert found("añade") == found("dulces") == []
