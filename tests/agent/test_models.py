from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agnocli.abc import ChatRequest, ModelEvent, ModelFinished, ReasoningDelta, TextDelta
from agnocli.agent.models import open_model
from agnocli.agent.models.stream import EventStream
from agnocli.errors import ConfigError
from agnocli.testing.openai_server import (
    Answer,
    Gate,
    Raw,
    tool_call,
)

from .conftest import (
    PLAIN,
    Serve,
    ask,
    chunk,
    chunks,
    model_at,
    parse,
    stopped_by,
    words,
)


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_comes_as_text_then_its_end_with_tokens(serve: Serve, stream: bool) -> None:
    server = serve(Answer("Hello you", usage=(7, 2), reasoning="let me see"))
    assert ask(model_at(server), stream=stream) == [
        ReasoningDelta("let me see"),
        TextDelta("Hello you"),
        ModelFinished(reason="stop", input_tokens=7, output_tokens=2, total_tokens=9),
    ]


def test_text_arrives_while_the_server_is_still_writing(serve: Serve) -> None:
    gate = Gate()
    stream = model_at(serve(Answer(chunks=["one", gate, "two"]))).stream(PLAIN)
    assert next(stream) == TextDelta("one")
    gate.wait()
    gate.open()
    assert words(stream) == "two"


@pytest.mark.parametrize("reason", ["length", None])
def test_how_an_answer_ended_is_told(serve: Serve, reason: str | None) -> None:
    finished = ask(model_at(serve(Answer("cut", finish_reason=reason))))[-1]
    assert finished == ModelFinished(reason=reason)


@pytest.mark.parametrize("stream", [True, False])
def test_tool_calls_are_handed_over_whole(serve: Serve, stream: bool) -> None:
    calls = (tool_call("add", {"item": "milk"}, "a"), tool_call("now", {}, "b"))
    finished = ask(model_at(serve(Answer(tool_calls=calls))), stream=stream)[-1]
    assert isinstance(finished, ModelFinished)
    assert finished.tool_calls == calls


def fragment(
    call_id: str | None, name: str | None, arguments: object, **more: object
) -> dict[str, Any]:
    call = {"function": {"name": name, "arguments": arguments}, **more}
    return chunk({"tool_calls": [call | ({"id": call_id} if call_id else {})]})


@pytest.mark.parametrize(
    "fragments",
    [
        [("a", "f", "{}", {"index": 0}), ("b", "g", "[]", {"index": 0})],
        [("a", "f", "{}", {}), ("b", "g", "[", {}), (None, None, "]", {})],
        [
            ("a", "f", "{", {"index": 0}),
            ("b", "g", "[]", {"index": 1}),
            ("a", "f", "}", {"index": 0}),
        ],
        [("a", "f", {}, {"index": 0}), ("b", "g", [], {"index": 1})],
    ],
    ids=[
        "new id under an old index",
        "no index",
        "interleaved, ids repeated",
        "arguments as values",
    ],
)
def test_fragments_of_tool_calls_find_their_call(serve: Serve, fragments: list[Any]) -> None:
    sent = [fragment(one, name, arguments, **more) for one, name, arguments, more in fragments]
    finished = ask(model_at(serve(chunks(*sent, chunk({}, "tool_calls")))))[-1]
    assert isinstance(finished, ModelFinished)
    assert [(one["id"], one["function"]) for one in finished.tool_calls] == [
        ("a", {"name": "f", "arguments": "{}"}),
        ("b", {"name": "g", "arguments": "[]"}),
    ]


def test_a_tool_call_keeps_what_its_provider_added_and_always_has_an_id(serve: Serve) -> None:
    sent = fragment(None, "f", "{}", index=0, extra_content={"google": {"sign": "x"}})
    finished = ask(model_at(serve(chunks(sent))))[-1]
    assert isinstance(finished, ModelFinished)
    assert finished.tool_calls[0]["extra_content"] == {"google": {"sign": "x"}}
    assert str(finished.tool_calls[0]["id"]).startswith("call_")


def test_calls_without_ids_are_told_apart_by_index(serve: Serve) -> None:
    sent = [fragment(None, name, "{}", index=index) for index, name in enumerate("fg")]
    finished = ask(model_at(serve(chunks(*sent))))[-1]
    assert isinstance(finished, ModelFinished)
    assert [one["function"] for one in finished.tool_calls] == [
        {"name": "f", "arguments": "{}"},
        {"name": "g", "arguments": "{}"},
    ]


def test_a_total_that_is_not_counted_is_the_sum(serve: Serve) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    finished = ask(model_at(serve(chunks(chunk({}), {"choices": [], "usage": usage}))))[-1]
    assert finished == ModelFinished(input_tokens=3, output_tokens=4, total_tokens=7)


def test_reasoning_is_found_where_servers_put_it(serve: Serve) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "c"}]},
        {"type": "text", "text": "d"},
    ]
    sent = [
        chunk({"reasoning_content": "a"}),
        chunk({"reasoning": "b"}),
        chunk({"content": parts}),
        chunk({"refusal": "no"}),
    ]
    assert ask(model_at(serve(chunks(*sent))))[:-1] == [
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        ReasoningDelta("c"),
        TextDelta("d"),
        TextDelta("no"),
    ]


def test_a_server_that_does_not_stream_is_understood_anyway(serve: Serve) -> None:
    reply = Raw(b'{"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}')
    assert words(ask(model_at(serve(reply)))) == "whole"


def echo(
    *messages: tuple[str, str], model_id: str = "echo", stream: bool = True
) -> list[ModelEvent]:
    given = [{"role": role, "content": content} for role, content in messages]
    model = open_model(parse(f"echo:{model_id}"))
    return list(model.stream(ChatRequest(messages=given, stream=stream)))


def test_echo_says_what_it_is_and_what_it_was_given() -> None:
    history = [("user", "My name is Alice"), ("assistant", "Hi"), ("user", "x"), ("assistant", "y")]
    events = echo(("system", "Be very brief"), *history, ("user", "What is my name?"))
    assert words(events) == (
        "I am echo, agnocli's offline test model. I was given a system prompt of 3 words. "
        'You said: "What is my name?". Before that this conversation held 2 turns; '
        'the first began: "My name is Alice".'
    )
    assert isinstance(events[-1], ModelFinished)
    assert (events[-1].reason, events[-1].input_tokens) == ("stop", 14)
    assert events[-1].output_tokens == len(words(events).split()) == len(events) - 1
    assert events[-1].total_tokens == events[-1].input_tokens + events[-1].output_tokens


def test_echo_answers_the_same_each_time_streamed_or_not() -> None:
    streamed, whole = echo(("user", "a\n  b")), echo(("user", "a\n  b"), stream=False)
    assert words(streamed) == words(whole) == words(echo(("user", "a\n  b")))
    assert "held nothing" in words(whole)
    assert len(whole) == 2


def test_echo_answers_a_conversation_without_a_question() -> None:
    assert "You said nothing." in words(echo())


def test_echo_can_be_slow_and_is_given_up_at_once(join_threads: Callable[[], None]) -> None:
    stream = open_model(parse("echo:slow=3600000")).stream(PLAIN)
    assert isinstance(stream, EventStream)
    assert stopped_by(stream, lambda: None) == []
    join_threads()
    assert words(echo(("user", "x"), model_id="slow=1")).startswith("I am echo")


@pytest.mark.parametrize("model_id", ["slow=", "slow=fast", "slow=-1", "slow"])
def test_echo_refuses_a_pace_it_cannot_read(model_id: str) -> None:
    with pytest.raises(ConfigError, match="is not a pace"):
        open_model(parse(f"echo:{model_id}"))
