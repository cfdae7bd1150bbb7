"""Which past messages are sent: one rule."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from agnocli import codec
from agnocli.agent.history import estimated_tokens, history, recent_turns, wire, wire_messages
from agnocli.db.memory import MemoryDb
from agnocli.records import Document, Run, Session, SessionBundle
from agnocli.testing.records import sample_run
from tests.formats.conversations import png


def run(index: int, messages: list[dict[str, Any]] | None = None, **columns: Any) -> Run:
    said = [{"role": "user", "content": f"q{index}"}, {"role": "assistant", "content": f"a{index}"}]
    return Run(
        run_id=f"r{index:05}", session_id="s", run_index=index, created_at=1,
        run_data=codec.encode({"messages": said if messages is None else messages}),
        **{"status": "COMPLETED", **columns},
    )  # fmt: skip


class CountingDb(MemoryDb):
    """Counts the runs it gives out."""

    given = 0

    def runs(self, session_id: str, *, last: int | None = None) -> Iterator[Run]:
        for one in super().runs(session_id, last=last):
            self.given += 1
            yield one


def db(*runs: Run) -> CountingDb:
    backend = CountingDb()
    backend.write([SessionBundle(Session(session_id="s", created_at=1), runs)])
    return backend


def ids(runs: list[Run]) -> list[str]:
    return [one.run_id for one in runs]


def test_the_last_turns_come_oldest_first() -> None:
    assert ids(recent_turns(db(*map(run, range(5))), "s", 2)) == ["r00003", "r00004"]


@pytest.mark.parametrize("status", ["PAUSED", "CANCELLED", "ERROR", "REGENERATED", "RUNNING"])
def test_turns_that_did_not_complete_are_neither_sent_nor_counted(status: str) -> None:
    backend = db(run(0), run(1), run(2, status=status), run(3, status=status))
    assert ids(recent_turns(backend, "s", 2)) == ["r00000", "r00001"]


def test_a_members_part_of_a_team_run_is_not_a_turn() -> None:
    backend = db(run(0), run(1, parent_run_id="r00002"), run(2))
    assert ids(recent_turns(backend, "s", 2)) == ["r00000", "r00002"]


def test_of_ten_thousand_runs_only_the_needed_ones_are_read() -> None:
    backend = db(*(run(index, messages=[]) for index in range(10_000)))
    assert len(recent_turns(backend, "s", 5)) == 5
    assert backend.given == 5


def test_looking_past_hidden_runs_stays_proportional_to_them() -> None:
    hidden = [run(index, status="ERROR") for index in range(100, 110)]
    backend = db(*map(run, range(100)), *hidden)
    assert len(recent_turns(backend, "s", 2)) == 2
    assert backend.given < 70


def test_no_history_reads_nothing() -> None:
    backend = db(run(0))
    assert recent_turns(backend, "s", 0) == []
    assert backend.given == 0


def test_all_turns_can_be_asked_for() -> None:
    assert len(recent_turns(db(*map(run, range(30))), "s", None)) == 30


def test_replayed_and_system_messages_are_not_sent_again() -> None:
    said: list[dict[str, Any]] = [
        {"role": "system", "content": "S"},
        {"role": "developer", "content": "D"},
        {"role": "user", "content": "old", "from_history": True},
        {"role": "user", "content": "new"},
    ]
    assert wire_messages([run(0, said)]) == [{"role": "user", "content": "new"}]


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_a_tool_call_goes_with_its_result() -> None:
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "It is 42"},
    ]
    assert wire_messages([run(0, said)]) == [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "It is 42"},
    ]


def test_a_call_without_a_result_and_a_result_without_a_call_are_left_out() -> None:
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "Let me", "tool_calls": [CALL]},
        {"role": "tool", "content": "7", "tool_call_id": "call_9"},
        {"role": "assistant", "tool_calls": [CALL]},
    ]
    assert wire_messages([run(0, said)]) == [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "Let me"},
    ]


def test_a_run_that_cannot_be_read_does_not_stop_the_conversation() -> None:
    broken = Run(
        run_id="r",
        session_id="s",
        status="COMPLETED",
        created_at=1,
        run_data=Document(b"{not json"),
    )
    assert wire_messages([broken, run(1)]) == [
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "a1"},
    ]


@dataclass
class Limits:
    history_runs: int | None
    history_messages: int | None
    history_tokens: int | None = None


def said(backend: CountingDb, *, runs: int | None = None, messages: int | None = None) -> list[str]:
    """First words of the turns that are sent."""
    found = history(backend, "s", Limits(runs, messages))
    return [one["content"] for one in found.messages if one["role"] == "user"]


@pytest.mark.parametrize(
    ("messages", "expected"), [(0, []), (1, ["q4"]), (2, ["q4"]), (3, ["q4"]), (4, ["q3", "q4"])]
)
def test_a_number_of_messages_is_cut_between_turns(messages: int, expected: list[str]) -> None:
    assert said(db(*map(run, range(5))), messages=messages) == expected


def test_a_turn_with_tools_is_not_cut_in_its_middle() -> None:
    turn: list[dict[str, Any]] = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "It is 42"},
    ]
    found = history(db(run(0), run(1, turn)), "s", Limits(None, 3))
    assert [one["role"] for one in found.messages] == ["user", "assistant", "tool", "assistant"]


def test_a_number_of_messages_reads_no_more_runs_than_it_takes() -> None:
    backend = db(*map(run, range(10_000)))
    assert len(said(backend, messages=10)) == 5
    assert backend.given <= 10


def test_both_limits_hold_when_runs_are_counted_too() -> None:
    assert said(db(*map(run, range(5))), runs=3) == ["q2", "q3", "q4"]


def test_the_oldest_turns_are_left_out_when_all_are_too_many_tokens() -> None:
    backend = db(*map(run, range(4)))
    one_turn = estimated_tokens(wire_messages([run(0)]))
    found = history(backend, "s", Limits(4, None, 2 * one_turn))
    assert (len(found.messages), found.dropped) == (4, 2)
    assert found.messages[0]["content"] == "q2"
    nothing = history(backend, "s", Limits(4, None, one_turn - 1))
    assert (list(nothing.messages), nothing.dropped) == ([], 4)


@pytest.mark.parametrize(
    "text", ["word " * 400, "слово " * 300, "語" * 500], ids=["en", "ru", "zh"]
)
def test_tokens_are_estimated_on_the_safe_side_of_half_and_double(text: str) -> None:
    """Tokens of o200k: 401, 301 and some 500."""
    tokens = {"w": 401, "с": 301, "語": 500}[text[0]]
    estimate = estimated_tokens([{"role": "user", "content": text}])
    assert tokens / 2 < estimate < 3 * tokens


def test_runs_that_somebody_has_just_read_are_not_read_again() -> None:
    backend = db(*map(run, range(9)))
    newest = list(backend.runs("s", last=5))
    backend.given = 0
    found = history(backend, "s", Limits(3, None), seen=newest)
    assert [one["content"] for one in found.messages if one["role"] == "user"] == ["q6", "q7", "q8"]
    assert backend.given == 0
    assert len(history(backend, "s", Limits(6, None), seen=newest).messages) == 12
    assert history(backend, "s", Limits(0, None), seen=newest).messages == []


PICTURE = b64encode(png(4, 2)).decode()
URL = f"data:image/png;base64,{PICTURE}"


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ({"content": "see", "images": [{"content": PICTURE}]}, ["see", URL]),
        ({"content": "see", "images": [{"url": URL}]}, ["see", URL]),
        ({"content": "see", "images": [{"url": "https://a.example/b.png"}]}, ["see", "https://a.example/b.png"]),
        ({"content": "see", "images": [{"url": "file:///etc/passwd"}]}, "see"),
        ({"content": "see", "images": [{"content": b64encode(b"<svg/>").decode()}]}, "see"),
        ({"content": "see", "images": [{"content": "no base64"}, 7, None]}, "see"),
        ({"content": "see", "audio": [{"content": PICTURE}], "files": [{"content": PICTURE}]}, "see"),
        ({"content": None, "images": [{"content": PICTURE}]}, [URL]),
        (
            {"content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": URL}}]},
            ["see", URL],
        ),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
    ],
)  # fmt: skip
def test_pictures_go_again_with_the_words_they_came_with(
    stored: dict[str, Any], sent: list[str] | str
) -> None:
    said = sample_run(run_data=codec.encode({"messages": [{"role": "user", **stored}]}))

    (message,) = wire(said)

    parts = message["content"]
    if isinstance(parts, list):
        parts = [one["text"] if one["type"] == "text" else one["image_url"]["url"] for one in parts]
    assert parts == sent


def test_a_picture_is_taken_for_some_hundred_tokens_whatever_its_size() -> None:
    picture = {"type": "image_url", "image_url": {"url": "x" * 1_000_000}}

    found = estimated_tokens(
        [{"role": "user", "content": [{"type": "text", "text": "see"}, picture]}]
    )

    assert 800 <= found < 820
