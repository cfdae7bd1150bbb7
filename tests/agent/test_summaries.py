"""Session summaries: when they are made, of what, and what a failure leaves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.abc import Backend, ModelFinished
from agnocli.agent import Agent, summary
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import ModelError
from agnocli.run import Notice, SummaryCompleted, SummaryStarted
from agnocli.testing.scripted_model import ScriptedModel

TURNS = [["A"], ["B"], ["C"], ["D"], ["E"], ["F"], ["G"]]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Backend]:
    with SqliteDb(db_file=tmp_path / "a.db") as opened:
        yield opened


def writes(text: str, *topics: str) -> list[Any]:
    return [codec.line({"summary": text, "topics": list(topics)})]


def talker(db: Backend, *summaries: list[Any], every: int = 2, **settings: Any) -> Agent:
    return Agent(
        model=ScriptedModel(*TURNS),
        summary_model=ScriptedModel(*summaries),
        db=db,
        session_id="s",
        **{
            "add_history_to_context": True,
            "num_history_runs": 1,
            "enable_session_summaries": True,
            "session_summary_num_runs": every,
            **settings,
        },
    )


def asked(model: Any) -> list[str]:
    """What the model was given to summarize, each time."""
    return [str(one.messages[-1]["content"]) for one in model.requests]


def test_the_first_comes_after_so_many_runs_and_then_every_so_many(db: Backend) -> None:
    agent = talker(db, writes("one and two", "numbers"), writes("one to four"))
    found = []
    for number in range(5):
        agent.run(f"q{number}")
        made = agent.get_session_summary()
        found.append(made and made.summary)
    assert found == [None, "one and two", "one and two", "one to four", "one to four"]


def test_it_is_made_of_the_last_one_and_what_that_does_not_cover(db: Backend) -> None:
    agent = talker(db, writes("first half"), writes("all"))
    for number in range(4):
        agent.run(f"q{number}")
    assert asked(agent.summary_model) == [
        "<conversation>\nUser: q0\nAssistant: A\nUser: q1\nAssistant: B\n</conversation>",
        "<summary_so_far>\nfirst half\n</summary_so_far>\n\n"
        "<conversation>\nUser: q2\nAssistant: C\nUser: q3\nAssistant: D\n</conversation>",
    ]


def test_it_is_stored_as_agno_stores_one(db: Backend) -> None:
    agent = talker(db, writes("short", "a", "b"), every=1)
    agent.run("q")
    session = db.get("s")
    stored = codec.decode(session.summary or b"")
    assert list(stored) == ["summary", "topics", "updated_at"]
    assert (stored["summary"], stored["topics"]) == ("short", ["a", "b"])
    assert datetime.fromisoformat(stored["updated_at"]).tzinfo is None
    made = agent.get_session_summary()
    assert made is not None
    assert (made.summary, made.topics, made.updated_at) == (
        "short",
        ("a", "b"),
        stored["updated_at"],
    )


def test_what_it_cost_is_counted_into_the_session(db: Backend) -> None:
    talker(db, writes("short"), every=1).run("q")
    metrics = codec.members(db.get("s").session_data)["session_metrics"]
    assert metrics["total_tokens"] == 10
    assert [one["total_tokens"] for one in metrics["details"]["session_summary_model"]] == [5]


def test_it_is_told_to_the_model_unless_that_is_not_wanted(db: Backend) -> None:
    agent = talker(db, writes("they spoke of tea"), writes("more"))
    agent.instructions = "Be brief."
    for number in range(3):
        agent.run(f"q{number}")
    model = agent.model
    assert isinstance(model, ScriptedModel)
    told = str(model.requests[2].messages[0]["content"])
    assert told.startswith("Be brief.\n\n")
    assert "<summary_of_previous_interactions>\nthey spoke of tea\n<" in told
    agent.add_session_summary_to_context = False
    agent.run("q3")
    assert model.requests[3].messages[0]["content"] == "Be brief."


def test_the_answer_is_stored_before_the_summary_is_begun(db: Backend) -> None:
    seen: list[str | None] = []
    look = [lambda: seen.extend(run.status for run in db.runs("s")), *writes("short")]
    events = [one.event for one in talker(db, look, every=1).run("q", stream=True)]
    assert seen == ["COMPLETED"]
    assert events[-3:] == ["SessionSummaryStarted", "SessionSummaryCompleted", "RunCompleted"]


def cut_off() -> list[Any]:
    return ['{"summary": "half', ModelFinished(reason="length")]


@pytest.mark.parametrize(
    "script",
    [[ModelError("busy")], [""], ['{"summary": ""}'], ['{"topics": []}'], cut_off()],
    ids=["error", "empty", "empty summary", "no summary", "cut off"],
)
def test_a_failure_keeps_the_old_one_and_says_so(db: Backend, script: list[Any]) -> None:
    agent = talker(db, writes("old"), script, writes("new"), every=1)
    agent.run("q0")
    events = list(agent.run("q1", stream=True))
    assert any(isinstance(one, Notice) and "no new summary" in one.text for one in events)
    made = agent.get_session_summary()
    assert made is not None
    assert made.summary == "old"
    output = agent.run("q2")
    assert output.notices == ()
    assert "q1" in asked(agent.summary_model)[2]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('```json\n{"summary": "S", "topics": ["t"]}\n```', ("S", ("t",))),
        ('<think>{"summary": "no"}</think>Here: {"summary": "S"}', ("S", ())),
        ('{"summary": " S ", "topics": null}', ("S", ())),
        ('{"summary": "S", "topics": ["t", 1], "more": 2}', ("S", ("t",))),
        ("They spoke of tea.", ("They spoke of tea.", ())),
    ],
    ids=["fenced", "thinking", "null", "more", "prose"],
)
def test_answers_are_read_as_models_write_them(
    db: Backend, answer: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    agent = talker(db, [answer], every=1)
    agent.run("q")
    made = agent.get_session_summary()
    assert made is not None
    assert (made.summary, made.topics) == expected


def test_what_is_too_long_for_a_request_is_taken_in_pieces(
    db: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "CHUNK_CHARACTERS", 60)
    agent = talker(db, *(writes(f"s{n}") for n in range(4)), every=3)
    for question in ("x" * 20, "ü" * 100, "z" * 20):
        agent.run(question)
    pieces = asked(agent.summary_model)
    assert len(pieces) == 4
    assert [piece.partition("\n")[0] for piece in pieces[1:]] == ["<summary_so_far>"] * 3
    assert "".join(pieces).count("ü") == 100
    made = agent.get_session_summary()
    assert made is not None
    assert made.summary == "s3"


def test_failed_turns_count_for_nothing(db: Backend) -> None:
    agent = talker(db, writes("short"))
    agent.model = ScriptedModel(["A"], [ModelError("x")], ["C"])
    agent.run("q0")
    with pytest.raises(ModelError):
        agent.run("q1")
    assert asked(agent.summary_model) == []
    agent.run("q2")
    assert "q1" not in asked(agent.summary_model)[0]


def test_a_summary_reaches_on_when_the_run_it_ends_with_is_deleted(db: Backend) -> None:
    agent = talker(db, writes("old"), writes("new"))
    agent.run("q0")
    agent.run("q1")
    runs = list(db.runs("s"))
    db.delete_runs("s", [runs[1].run_id])
    agent.run("q2")
    agent.run("q3")
    agent.run("q4")
    made = agent.get_session_summary()
    assert made is not None
    assert made.summary == "new"


def test_of_two_that_are_made_at_once_one_stays(db: Backend) -> None:
    other = talker(db, writes("theirs"), every=1)
    agent = talker(db, [lambda: other.run("meanwhile"), *writes("ours")], every=1)
    agent.run("q")
    made = agent.get_session_summary()
    assert made is not None
    assert made.summary == "theirs"
    assert codec.members(db.get("s").session_data)["session_metrics"]["total_tokens"] >= 15


def test_a_long_session_is_not_read_again_for_each_turn(db: Backend) -> None:
    agent = talker(db, writes("short"), every=5)
    for number in range(5):
        agent.run(f"q{number}")
    session = db.get("s")
    assert not summary.is_due(session, 5, 5)
    assert summary.is_due(session, 9, 5)
    assert list(summary.uncovered(db, session)) == []


def test_events_tell_of_it(db: Backend) -> None:
    events = list(talker(db, writes("short"), every=1).run("q", stream=True))
    assert SummaryStarted() in events
    assert SummaryCompleted("short") in events
