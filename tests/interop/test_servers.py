"""We and the real agno on one database server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.abc import SessionQuery
from agnocli.agent.models import open_model, parse_model
from agnocli.agent.runner import Conversation
from agnocli.agent.settings import ChatSettings
from agnocli.db.sql.store import SQLStore
from agnocli.messages import messages
from agnocli.run import RunEnded
from agnocli.testing.openai_server import Answer
from tests.interop.conftest import Serve
from tests.interop.sides import RealAgno, said

OPTIONS: dict[str, Any] = {"add_history_to_context": True, "num_history_runs": 20}
WORDS = "caf\u00e9 \u2615 \x1b[1m"


class Server:
    """A place on a server, and what agno calls it."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.harness = import_module(f"tests.harness.{kind}").Harness(folder)
        scheme = {"postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}[kind]
        # not as our user: the connections of its pool are no leak of ours
        url = re.sub(r"^[a-z+]+://", f"{scheme}://", self.harness.server)
        self.agnos = (kind, url, self.harness.schema)

    def say(self, backend: SQLStore, words: str, at: str) -> None:
        """A turn of ours."""
        model = open_model(parse_model(f"openai-like:test-model@{at}", environ={}), max_retries=0)
        *_, ended = Conversation(backend, "s1", ChatSettings(model=model)).ask(words)
        assert isinstance(ended, RunEnded)


def server(kind: str, folder: Path) -> Iterator[Server]:
    place = Server(kind, folder)
    yield place
    place.harness.close()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Server]:
    yield from server("postgres", tmp_path)


@pytest.fixture
def mysql(tmp_path: Path) -> Iterator[Server]:
    yield from server("mysql", tmp_path)


def stored(backend: SQLStore) -> list[tuple[str, str]]:
    return [(one.role, one.content) for run in backend.runs("s1") for one in messages(run)]


def turn(question: str, answer: str) -> list[tuple[str, str]]:
    return [("user", question), ("assistant", answer)]


def test_agno_goes_on_with_our_session_and_we_with_its(
    postgres: Server, agno_3: RealAgno, serve: Serve
) -> None:
    model = serve(*(Answer(f"answer {n} {WORDS}") for n in range(4)))
    past: list[tuple[str, str]] = []
    with postgres.harness.open() as backend:
        for n in (0, 1):
            postgres.say(backend, f"we ask {n} {WORDS}", model.base_url)
            past += turn(f"we ask {n} {WORDS}", f"answer {n} {WORDS}")
        history = agno_3("servers.history", *postgres.agnos, "s1")
        assert [(role, content) for role, content in history] == past
        asked = ["s1", ["it asks"]]
        agno_3("servers.run", *postgres.agnos, model.base_url, *asked, **OPTIONS)
        assert said(model.requests[2]) == [*past, ("user", "it asks")]
        assert [run.run_index for run in backend.runs("s1")] == [0, 1, 2]
        # agno itself drops control characters of what it stores here
        past += turn("it asks", f"answer 2 {WORDS}".replace("\x1b", ""))
        assert stored(backend) == past
        postgres.say(backend, "we go on", model.base_url)
        assert said(model.requests[3]) == [*past, ("user", "we go on")]
    assert agno_3.warnings == []


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_we_read_and_continue_what_agno_began(
    kind: str, request: pytest.FixtureRequest, agno: RealAgno, serve: Serve
) -> None:
    place: Server = request.getfixturevalue(kind)
    model = serve(*(Answer(f"answer {n}") for n in range(3)))
    agno("servers.run", *place.agnos, model.base_url, "s1", ["one", "two"], **OPTIONS)
    past = [*turn("one", "answer 0"), *turn("two", "answer 1")]
    with place.harness.open() as backend:
        assert stored(backend) == past
        assert backend.inspect().layout == "v3"
        place.say(backend, "three", model.base_url)
        assert said(model.requests[2]) == [*past, ("user", "three")]
        assert [run.run_index for run in backend.runs("s1")] == [0, 1, 2]


def run_ids(backend: SQLStore) -> list[str]:
    return [run.run_id for run in backend.runs("s1")]


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_sessions_of_agno_2_are_read_continued_and_migrated(
    kind: str, request: pytest.FixtureRequest, agno_2: RealAgno, agno: RealAgno, serve: Serve
) -> None:
    place: Server = request.getfixturevalue(kind)
    # on MariaDB neither release reads back its own JSON columns, and the migration fails
    reads_back = kind == "postgres"
    model = serve(*(Answer(f"answer {n}") for n in range(4 if reads_back else 3)))
    agno_2("servers.run", *place.agnos, model.base_url, "s1", ["one", "two"], **OPTIONS)
    past = [*turn("one", "answer 0"), *turn("two", "answer 1")]
    with place.harness.open() as backend:
        found = backend.inspect()
        assert (found.layout, found.sessions, found.runs) == ("v2", 1, 2)
        assert stored(backend) == past
        first = run_ids(backend)
        if reads_back:
            theirs = agno_2("servers.session", *place.agnos, "s1")["runs"]
            assert first == [one["run_id"] for one in theirs]
        (listed,) = backend.find(SessionQuery()).items
        assert (listed.session_id, listed.runs, listed.status) == ("s1", 2, "COMPLETED")
        place.say(backend, "three", model.base_url)
        assert said(model.requests[2]) == [*past, ("user", "three")]
        before = run_ids(backend)
        assert before[:-1] == first
        assert backend.inspect().layout == "mixed"
        bodies = [run.run_data for run in backend.runs("s1")]
        if reads_back:
            agno("servers.migrate", *place.agnos)
    with place.harness.open() as backend:
        assert run_ids(backend) == before
        assert [run.run_index for run in backend.runs("s1", last=9)] == [0, 1, 2]
        assert [codec.decode(run.run_data) for run in backend.runs("s1")] == [
            *map(codec.decode, bodies)
        ]
        assert backend.inspect().runs == 3
        if reads_back:
            agno("servers.run", *place.agnos, model.base_url, "s1", ["four"], **OPTIONS)
            assert said(model.requests[3])[:-1] == [*past, *turn("three", "answer 2")]
            assert run_ids(backend)[:-1] == before
            theirs = agno("servers.session", *place.agnos, "s1")["runs"]
            assert [one["run_id"] for one in theirs] == run_ids(backend)


COLUMNS = (
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable"
    " FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position"
)
DESCRIBED = {
    "postgres": (
        COLUMNS,
        "SELECT indexname, replace(indexdef, schemaname, '') FROM pg_indexes WHERE schemaname = %s ORDER BY 1",
        "SELECT conname, replace(pg_get_constraintdef(oid), connamespace::regnamespace::text, '')"
        " FROM pg_constraint WHERE connamespace = %s::regnamespace AND contype <> 'n' ORDER BY 1",
        "SELECT 1 WHERE %s = ''",
    ),
    "mysql": (
        COLUMNS,
        "SELECT index_name, table_name, column_name, seq_in_index, non_unique FROM information_schema.statistics"
        " WHERE table_schema = %s ORDER BY 1, 2, 4",
        "SELECT constraint_name, table_name, delete_rule FROM information_schema.referential_constraints"
        " WHERE constraint_schema = %s ORDER BY 1",
        "SELECT constraint_name, table_name, constraint_type FROM information_schema.table_constraints"
        " WHERE table_schema = %s ORDER BY 1, 2",
    ),
}


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_our_tables_are_those_that_agno_makes(
    kind: str, agno: RealAgno, serve: Serve, tmp_path: Path
) -> None:
    model = serve(Answer("answer"))
    described = []
    for making in ("agno", "we"):
        place = Server(kind, tmp_path)
        if making == "agno":
            agno("servers.run", *place.agnos, model.base_url, "s1", ["one"])
        with place.harness.open() as backend:
            backend.setup()
            versions = backend.inspect().versions
        schema = place.harness.schema
        described.append(
            [[*map(tuple, place.harness.execute(sql, schema))] for sql in DESCRIBED[kind]]
        )
        assert versions == {"agno_sessions": "3.0.0", "agno_runs": "3.0.0"}
        place.harness.close()
    theirs, ours = described
    assert len(ours[1]) >= 13
    assert ours == theirs
