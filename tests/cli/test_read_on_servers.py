"""Reading, forking and rewinding conversations by the commands and the prompt, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agnocli.messages import data
from agnocli.testing.openai_server import Answer
from agnocli.testing.records import sample_bundle
from tests.cli.conftest import Agno, Serve, at
from tests.cli.repl import CTRL_D, Prompt
from tests.transfer.places import KINDS, Place, place


@pytest.fixture(params=KINDS)
def there(request: pytest.FixtureRequest, agno: Agno, tmp_path: Path) -> Iterator[Place]:
    with place("there", request.param, tmp_path) as found:
        agno.configure(f'default_backend = "there"\n{found.settings}')
        yield found


def test_a_session_is_inspected_compared_and_its_next_request_told(
    there: Place, agno: Agno, serve: Serve
) -> None:
    server = serve(Answer("Here."))
    with there.open() as backend:
        backend.write([sample_bundle("first", 7)])
    (fork,) = agno("sessions", "fork", "first", "--at", "3").lines

    sizes = agno("sessions", "inspect", "first", "--sizes", "-o", "json").json
    assert sum(sizes["by_cause"].values()) == sizes["bytes"]
    assert sizes["by_cause"]["text"] > 100
    assert len(agno("sessions", "inspect", "first", "--tree").lines) > 7
    found = agno("sessions", "inspect", "first", "--diff", fork, "-o", "json").json
    assert (found["common_runs"], found["forked_at"], len(found["runs"])) == (3, 3, 4)
    told = agno("sessions", "context", "first", "More?", *at(server), "-o", "json").json
    assert told["left_out"] == [{"reason": "older than the last 5 turns", "runs": 2}]
    assert agno("chat", "More?", "-s", "first", *at(server)).status == 0
    assert server.requests[0]["messages"] == told["messages"]


def test_the_prompt_takes_back_puts_back_edits_and_forks(
    there: Place, agno: Agno, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = Prompt(agno, capsys)

    session = prompt.keys(
        "one\rtwo\rthree\r/undo 2\r\x03/redo 2\r/state set n 1\r/edit 2\r!\r/tag work\r"
        f"/fork 1\rother\r/switch first\r{CTRL_D}",
        session="first",
    )

    assert (session, "error" in prompt.err) == ("first", False)
    with there.open() as backend:
        said = {
            one: [data(run)["input"]["input_content"] for run in backend.runs(one)]
            for one in backend.ids()
        }
        assert sorted(said.values()) == [
            ["one", "other"],
            ["one", "two", "three"],
            ["one", "two!"],
        ]
        assert said["first"] == ["one", "two!"]
        assert [run.run_index for run in backend.runs("first")] == [0, 1]
