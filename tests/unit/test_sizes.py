"""What a session's bytes are spent on."""

from __future__ import annotations

from typing import Any

import pytest

from agnocli import codec
from agnocli.layout.sizes import Sizes, run_sizes
from agnocli.records import Document
from agnocli.testing.records import sample_run, sample_session
from tests.formats.conversations import everything

PICTURE = "iVBOR" * 200


def spent(**data: Any) -> dict[str, int]:
    return dict(run_sizes(codec.encode(data)))


@pytest.mark.parametrize(
    ("data", "cause", "least"),
    [
        ({"messages": [{"role": "user", "content": "x" * 900}]}, "text", 900),
        ({"messages": [{"role": "user", "content": "x" * 900, "from_history": True}]}, "repeated history", 900),
        ({"messages": [{"role": "tool", "content": "x" * 900}]}, "tool results", 900),
        ({"messages": [{"role": "system", "content": "x" * 900}]}, "system prompts", 900),
        ({"messages": [{"role": "user", "images": [{"content": PICTURE}]}]}, "media", 1000),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]}
                ]
            },
            "media",
            1000,
        ),
        ({"messages": [{"role": "assistant", "reasoning_content": "x" * 900}]}, "reasoning", 900),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "x" * 900}]}]}, "tool calls", 900),
        ({"tools": [{"tool_name": "a", "result": "x" * 900}]}, "tool results", 900),
        ({"tools": [{"tool_args": {"a": "x" * 900}}]}, "tool calls", 900),
        ({"events": [{"event": "x" * 900}]}, "events", 900),
        ({"session_state": {"a": "x" * 900}}, "state", 900),
        ({"input": {"input_content": "x" * 900}}, "text", 900),
        ({"input": {"images": [{"content": PICTURE}]}}, "media", 1000),
        ({"member_responses": [{"content": "x" * 900}]}, "member answers", 900),
        ({"some_new_key": "x" * 900}, "other", 900),
    ],
)  # fmt: skip
def test_bytes_are_told_by_what_they_are_spent_on(
    data: dict[str, Any], cause: str, least: int
) -> None:
    found = spent(**data)

    assert least <= found[cause] < least + 60
    assert sum(found.values()) == len(codec.encode(data))


@pytest.mark.parametrize(
    "stored",
    [
        b'{"messages": [1, null, "x", []], "tools": 7, "input": "x", "events": null}',
        b'{"messages": [{"role": "user", "content": NaN}], "content": "\\ud800"}',
        b'{ "messages" : [ { "role" : "user" , "content" : null } ] }',
        b'["no", "object"]',
        b"{broken",
        b"null",
    ],
)
def test_whatever_is_stored_the_causes_add_up_to_its_length(stored: bytes) -> None:
    assert run_sizes(Document(stored)).total() == len(stored)


def test_a_session_and_its_runs_are_added_up_as_they_go_by() -> None:
    bundle = everything()
    sizes = Sizes()

    assert list(sizes.watched(bundle.runs)) == list(bundle.runs)
    assert sizes.total == sum(len(run.run_data) for run in bundle.runs)

    before = sizes.total
    sizes.of_session(sample_session())
    assert sizes.total > before
    assert sizes.by_cause["state"] == len(sample_session().session_data or b"")


def test_one_run_is_held_at_a_time() -> None:
    sizes, read = Sizes(), []

    def runs() -> Any:
        for number in range(3):
            read.append(number)
            yield sample_run(number=number)

    next(sizes.watched(runs()))
    assert read == [0]
