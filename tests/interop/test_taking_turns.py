"""We and the real agno go on with one session, by turns and at the same time."""

from __future__ import annotations

import threading
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.agent.history import wire_messages
from agnocli.testing.openai_server import Answer, Reply, ScriptedServer, Step, tool_call
from tests.formats.conversations import png
from tests.interop.agno_env import NEWEST
from tests.interop.conftest import Serve, Start
from tests.interop.sides import Ours, RealAgno, Talk, rows, run_rows, said

OPTIONS: dict[str, Any] = {"add_history_to_context": True, "num_history_runs": 20}
TURNS = 10
Pairs = list[tuple[str, str]]


def turn(question: str, answer: str) -> Pairs:
    return [("user", question), ("assistant", answer)]


def test_we_it_we_it(agno_3: RealAgno, ours: Ours, talk: Talk, serve: Serve) -> None:
    server = serve(*(Answer(f"answer {n} ☕ {{x}}", usage=(5, 2)) for n in range(6)))
    past: Pairs = []
    where: dict[str, Any] = {"at": server.base_url}

    def it_goes_on(n: int) -> None:
        words = f"it asks {n}\n$HOME"
        agno_3("agents.run", str(ours.file), server.base_url, "s1", [words], **OPTIONS)
        expect(n, words)

    def expect(n: int, words: str) -> None:
        assert said(server.requests[n]) == [*past, ("user", words)]
        past.extend(turn(words, f"answer {n} ☕ {{x}}"))

    for n in (0, 1):
        talk("s1", f"we ask {n} “ü”", **where)
        expect(n, f"we ask {n} “ü”")
    it_goes_on(2)
    assert [row["run_index"] for row in run_rows(ours.file, "s1")] == [0, 1, 2]
    assert ours.list()["s1"]["runs"] == 3
    assert ours.chat("s1", "we go on", **where) == "answer 3 ☕ {x}"
    expect(3, "we go on")
    it_goes_on(4)
    talk("s1", "the last", **where)
    expect(5, "the last")
    runs = ours.inspect("s1")["runs"]
    assert [(m["role"], m["content"]) for run in runs for m in run["messages"]] == past
    assert [row["run_index"] for row in run_rows(ours.file, "s1")] == list(range(6))
    metrics = ours.inspect("s1")["session_data"]["session_metrics"]
    assert (metrics["total_tokens"], len(metrics["details"]["model"])) == (42, 1)
    assert agno_3.warnings == []


def test_a_picture_that_one_was_given_is_seen_by_the_other(
    agno_3: RealAgno, ours: Ours, serve: Serve, tmp_path: Path
) -> None:
    server = serve(*map(Answer, ("A cup.", "Blue.", "Both are.", "Two.")))
    picture = tmp_path / "cup.png"
    picture.write_bytes(png(4, 2))
    coded = b64encode(png(4, 2)).decode()
    url = f"data:image/png;base64,{coded}"

    ours.chat("s1", "what?", at=server.base_url, arguments=("-f", str(picture)))
    agno_3("agents.run", str(ours.file), server.base_url, "s1", ["which colour?"], **OPTIONS)
    more = {"pictures": [coded], **OPTIONS}
    agno_3("agents.run", str(ours.file), server.base_url, "s1", ["and this?"], **more)
    ours.chat("s1", "how many?", at=server.base_url)

    sent = [_pictures(request["messages"]) for request in server.requests]
    assert sent == [
        {"what?": url},
        {"what?": url},
        {"what?": url, "and this?": url},
        {"what?": url, "and this?": url},
    ]
    assert agno_3.warnings == []


def _pictures(messages: list[dict[str, Any]]) -> dict[str, str]:
    """The picture that goes with each text."""
    found = {}
    for message in messages:
        if isinstance(message["content"], list):
            words, picture = message["content"]
            found[words["text"]] = picture["image_url"]["url"]
    return found


def test_name_state_and_title_survive_each_other(
    agno: RealAgno, ours: Ours, talk: Talk, serve: Serve
) -> None:
    add = tool_call("add_item", {"item": "milk"})
    server = serve(
        Answer("Hello"),
        Answer("", tool_calls=[add], finish_reason="tool_calls"),
        Answer("Added"),
        Answer("Milk"),
    )
    ours.chat("s1", "Hi there", at=server.base_url, arguments=("--name", "Shopping"))
    agno("agents.run", str(ours.file), server.base_url, "s1", ["Add milk"], tools=["add_item"])
    talk("s1", "What is on it?", at=server.base_url)
    data = ours.inspect("s1")["session_data"]
    assert (data["session_name"], data["title"]) == ("Shopping", "Hi there")
    assert data["session_state"] == {"items": ["milk"]}
    assert codec.decode(run_rows(ours.file, "s1")[2]["run_data"])["session_state"] == {
        "items": ["milk"]
    }


def test_our_next_request_holds_its_tool_calls_and_their_results(
    agno: RealAgno, talk: Talk, file: Path, serve: Serve
) -> None:
    calls = [tool_call("add_item", {"item": one}, f"call_{one}") for one in ("milk", "tea")]
    server = serve(
        Answer("Let me", tool_calls=calls, finish_reason="tool_calls"),
        Answer("Done"),
        Answer("Yes"),
    )
    agno("agents.run", str(file), server.base_url, "s1", ["Add both"], tools=["add_item"])
    talk("s1", "Both?", at=server.base_url)
    assert server.requests[2]["messages"] == [
        {"role": "user", "content": "Add both"},
        {"role": "assistant", "content": "Let me", "tool_calls": calls},
        {"role": "tool", "content": "added milk", "tool_call_id": "call_milk"},
        {"role": "tool", "content": "added tea", "tool_call_id": "call_tea"},
        {"role": "assistant", "content": "Done"},
        {"role": "user", "content": "Both?"},
    ]


def test_its_streamed_turns_and_system_messages_go_on_with_us(
    agno: RealAgno, talk: Talk, file: Path, serve: Serve
) -> None:
    server = serve(Answer(chunks=["It ", "streams"]), Answer("So do we"))
    text = agno(
        "agents.stream", str(file), server.base_url, "s1", "Hi", instructions="Talk like a pirate."
    )
    assert text == "It streams"
    talk("s1", "And you?", at=server.base_url, system="Be brief.")
    assert said(server.requests[1]) == [
        ("system", "Be brief."), *turn("Hi", "It streams"), ("user", "And you?")
    ]  # fmt: skip


def test_it_leaves_our_runs_and_their_own_keys_as_they_are(
    agno: RealAgno, talk: Talk, file: Path, serve: Serve
) -> None:
    server = serve(Answer("cut", finish_reason="length"), Answer("on"))
    talk("s1", "Hi", at=server.base_url)
    before = run_rows(file, "s1")[0]
    assert codec.decode(before["run_data"])["metadata"] == {"agnocli": {"finish_reason": "length"}}
    agno("agents.run", str(file), server.base_url, "s1", ["Go on"], **OPTIONS)
    assert run_rows(file, "s1")[0] == before


def echo(request: dict[str, Any]) -> Step:
    return Answer("re: " + request["messages"][-1]["content"])


def echoing(serve: Serve) -> ScriptedServer:
    return serve(Reply(echo, repeat=2 * TURNS))


def everything_said(file: Path) -> list[Pairs]:
    found = [codec.decode(row["run_data"]) for row in run_rows(file, "s1")]
    return [[(one["role"], one["content"]) for one in run["messages"]] for run in found]


def test_turn_about_from_two_processes_every_turn_is_there_in_order(
    agno: RealAgno, talk: Talk, file: Path, serve: Serve
) -> None:
    server, expected = echoing(serve), []
    for n in range(TURNS):
        talk("s1", f"we {n}", at=server.base_url, history_runs=None)
        agno("agents.run", str(file), server.base_url, "s1", [f"it {n}"], **OPTIONS)
        expected += [turn(f"{who} {n}", f"re: {who} {n}") for who in ("we", "it")]
    assert everything_said(file) == expected
    assert [row["run_index"] for row in run_rows(file, "s1")] == list(range(2 * TURNS))
    assert said(server.requests[-1])[:-1] == [pair for pairs in expected[:-1] for pair in pairs]


@pytest.mark.parametrize("first", ["we", "it"])
def test_at_the_same_time_from_two_processes_every_turn_is_there(
    start: Start, talk: Talk, file: Path, serve: Serve, first: str
) -> None:
    server, agno = echoing(serve), start(NEWEST)
    prompts = {who: [f"{who} {n}" for n in range(TURNS)] for who in ("we", "it")}

    def we(questions: list[str]) -> None:
        for words in questions:
            talk("s1", words, at=server.base_url)

    def it(questions: list[str]) -> None:
        agno("agents.run", str(file), server.base_url, "s1", questions, **OPTIONS)

    {"we": we, "it": it}[first](prompts[first][:1])
    prompts[first] = prompts[first][1:]
    beside = threading.Thread(target=we, args=[prompts["we"]])
    beside.start()
    it(prompts["it"])
    beside.join(60)
    asked = [pairs[0][1] for pairs in everything_said(file)]
    assert sorted(asked) == sorted(f"{who} {n}" for who in ("we", "it") for n in range(TURNS))
    for who in ("we", "it"):
        assert [words for words in asked if words.startswith(who)] == [
            f"{who} {n}" for n in range(TURNS)
        ]
    in_our_order = [[one["role"], one["content"]] for one in wire_messages(talk.runs("s1"))]
    assert agno("stored.history", str(file), "s1") == in_our_order
    assert rows(file, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
