"""Conversations to be searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agnocli.records import Run, SessionBundle
from agnocli.testing.records import EPOCH, document, sample_run, sample_session

Message = Mapping[str, Any]


def user(content: object) -> Message:
    return {"role": "user", "content": content}


def assistant(content: object, **more: object) -> Message:
    return {"role": "assistant", "content": content, **more}


def called(name: str, arguments: str, result: str) -> tuple[Message, Message]:
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return (
        assistant("", tool_calls=[call]),
        {"role": "tool", "tool_call_id": "c1", "tool_name": name, "content": result},
    )


def turn(session_id: str, number: int, *messages: Message, **more: object) -> Run:
    data = {
        "run_id": f"{session_id}.run-{number}",
        "agent_id": "assistant",
        "status": "COMPLETED",
        "messages": [*messages],
        **more,
    }
    return sample_run(session_id, number, run_data=document(data))


def talk(session_id: str, *runs: Run, at: int = 0, **columns: Any) -> SessionBundle:
    return SessionBundle(sample_session(session_id, updated_at=EPOCH + at, **columns), runs)


SYSTEM: Message = {"role": "system", "content": "You know every lighthouse."}

LIBRARY = (
    talk(
        "cafe",
        turn("cafe", 0, SYSTEM, user("Where is a good café in Zürich?"), assistant("At the lake.")),
        turn("cafe", 1, SYSTEM, user("And in STRASSBURG?"), assistant("Any bar there.")),
        name="Lunch break",
        at=10,
    ),
    talk(
        "decomposed",
        turn("decomposed", 0, user("One cafe\u0301, please"), assistant("In the Straße.")),
        name="Order",
        at=20,
    ),
    talk(
        "tokyo",
        turn("tokyo", 0, user("東京の駅はどこですか。"), assistant("丸の内です 😀")),
        name="旅行",
        at=30,
    ),
    talk(
        "tools",
        turn(
            "tools",
            0,
            user("Book it"),
            *called("book", '{"hotel": "Caf\\u00e9 Central"}', '{"ok": "Reserv\\u00e9 50% a_b"}'),
            assistant("Done.\n\nIt is\tbooked.", reasoning_content="They want a penthouse."),
        ),
        session_data=document(
            {"session_name": "Hotel", "session_state": {"budget": "Fünfhundert", "a": [1, "b"]}}
        ),
        summary=document({"summary": "A hotel in Vienna was booked.", "topics": []}),
        user_id="bob",
        at=40,
    ),
)


def many(number: int, word: str = "") -> list[SessionBundle]:
    """Of two runs each; the word is in the last session."""
    return [
        talk(
            f"s{n:05}",
            turn(f"s{n:05}", 0, user(f"question {n} about tea and biscuits")),
            turn(f"s{n:05}", 1, user("More"), assistant(word if n == number - 1 else "No more")),
        )
        for n in range(number)
    ]
