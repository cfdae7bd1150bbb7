from __future__ import annotations

from typing import Any

import pytest

from agnocli import codec, messages
from agnocli.errors import CodecError
from agnocli.messages import Message, ToolCall, Usage
from agnocli.records import Document
from agnocli.testing.records import sample_run


def read(*items: object) -> list[Message]:
    return list(messages.messages(sample_run(run_data=codec.encode({"messages": items}))))


def test_messages_come_in_order() -> None:
    found = list(messages.messages(sample_run("s", 3)))
    assert [(one.role, one.content) for one in found] == [
        ("user", "question 3"),
        ("assistant", "answer 3"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"messages": None},
        {"messages": 5},
        {"messages": "text"},
        {"messages": {"role": "user"}},
        [1],
    ],
    ids=repr,
)
def test_a_run_without_a_list_of_messages_has_none(data: Any) -> None:
    assert list(messages.messages(sample_run(run_data=codec.encode(data)))) == []


def test_what_is_no_object_is_no_message() -> None:
    assert [one.role for one in read(None, "x", 5, [], {"role": "user"})] == ["user"]


def test_a_run_that_is_not_json_says_so() -> None:
    with pytest.raises(CodecError):
        list(messages.messages(sample_run(run_data=Document(b"{"))))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("", ""),
        ("a\nb", "a\nb"),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "image_url", "image_url": {"url": "x"}}, "b"], "[image_url]\nb"),
        ([{"type": "text", "text": 5}, {}, None, "c"], "[text]\n[object]\nc"),
        ([["a", ["b"]]], "a\nb"),
        ({"answer": 42}, '{"answer": 42}'),
        (5, "5"),
        (False, "false"),
    ],
)
def test_content_of_any_kind_has_a_text(content: object, text: str) -> None:
    assert messages.text(content) == text
    assert read({"role": "user", "content": content})[0].content == text


def test_a_message_shows_its_parts() -> None:
    (found,) = read(
        {
            "role": "tool",
            "content": "9",
            "reasoning_content": "hm",
            "tool_call_id": "c1",
            "tool_name": "add",
            "tool_call_error": True,
            "from_history": True,
            "created_at": 7,
            "metrics": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "cost": 4},
        }
    )
    assert found == Message(
        role="tool",
        content="9",
        reasoning="hm",
        tool_call_id="c1",
        tool_name="add",
        tool_call_error=True,
        from_history=True,
        created_at=7,
        usage=Usage(1, 2, 3),
    )


@pytest.mark.parametrize(
    ("call", "seen"),
    [
        (
            {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a":  1}'}},
            ToolCall("c", "add", '{"a":  1}'),
        ),
        (
            {"id": "c", "function": {"name": "add", "arguments": {"a": 1}}},
            ToolCall("c", "add", '{"a": 1}'),
        ),
        ({"function": "add"}, ToolCall(None, "", "null")),
        ({}, ToolCall(None, "", "null")),
    ],
)
def test_a_tool_call_keeps_the_text_the_model_wrote(call: object, seen: ToolCall) -> None:
    assert read({"role": "assistant", "tool_calls": [None, call]})[0].tool_calls == (seen,)


@pytest.mark.parametrize("calls", [None, 5, "x", {"id": "c"}])
def test_tool_calls_that_are_no_list_are_none(calls: object) -> None:
    assert read({"role": "assistant", "tool_calls": calls})[0].tool_calls == ()


@pytest.mark.parametrize(
    ("metrics", "usage"),
    [
        (None, Usage()),
        ([1], Usage()),
        ({"input_tokens": None, "output_tokens": "5", "total_tokens": 9}, Usage(0, 0, 9)),
    ],
)
def test_tokens_nobody_counted_are_none(metrics: object, usage: Usage) -> None:
    assert messages.usage(metrics) == usage
