from __future__ import annotations

from typing import Any

import pytest

from agnocli.abc import ChatRequest
from agnocli.agent.models import open_model, parse_model
from agnocli.errors import ModelError
from agnocli.testing.openai_server import (
    Answer,
    Error,
    Reply,
    Step,
    tool_call,
)

from .conftest import (
    KEYS,
    PLAIN,
    Serve,
    ask,
    failure,
    model_at,
    parse,
    words,
)


def test_options_and_messages_are_sent_as_given(serve: Serve) -> None:
    server = serve(Answer("x"), Answer("x"))
    ask(model_at(server), temperature=0.5)
    ask(model_at(server), stream=False, max_tokens=5)
    assert server.requests[0] == {
        "model": "test-model",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
        ],
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert "stream" not in server.requests[1]
    assert server.requests[1]["max_tokens"] == 5


def test_a_lone_surrogate_does_not_stop_a_request(serve: Serve) -> None:
    server = serve(Answer("x"))
    list(model_at(server).stream(ChatRequest(messages=[{"role": "user", "content": "a\ud800é"}])))
    assert server.requests[0]["messages"][0]["content"] == "a?é"


def test_the_key_is_sent_or_a_word_that_says_there_is_none(serve: Serve) -> None:
    server = serve(Answer("x"), Answer("x"))
    for environ in ({}, {"OPENAI_LIKE_API_KEY": "sk-1"}):
        spec = parse_model("openai-like:m", base_url=server.base_url, environ=environ)
        list(open_model(spec).stream(PLAIN))
    sent = [one["authorization"] for one in server.headers]
    assert sent == ["Bearer not-needed", "Bearer sk-1"]


def test_openai_ids_of_the_environment_go_to_openai_only(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    server = serve(Answer("x", repeat=2))
    ask(model_at(server, "openai-like"))
    ask(model_at(server, "openai"))
    assert [one.get("openai-organization") for one in server.headers] == [None, "org-1"]


def sent_by(text: str, request: ChatRequest) -> dict[str, Any]:
    from agnocli.agent.models.request import body

    return body(parse(text, **KEYS), request)


def test_openai_gets_its_own_words_at_home_and_plain_ones_elsewhere() -> None:
    request = ChatRequest(messages=[{"role": "system", "content": "x"}], options={"max_tokens": 9})
    home, away = sent_by("openai:m", request), sent_by("openai:m@http://h/v1", request)
    assert (home["messages"][0]["role"], home.get("max_completion_tokens")) == ("developer", 9)
    assert (away["messages"][0]["role"], away.get("max_tokens")) == ("system", 9)


def test_cohere_gets_no_stream_options_and_groq_no_names() -> None:
    request = ChatRequest(messages=[{"role": "user", "content": "x", "name": "ann"}])
    assert "stream_options" not in sent_by("cohere:m", request)
    assert sent_by("groq:m", request)["messages"] == [{"role": "user", "content": "x"}]
    assert sent_by("xai:m", request)["messages"][0]["name"] == "ann"


def test_mistral_gets_tool_ids_of_nine_characters_that_still_match() -> None:
    call = tool_call("f", {}, "call_0123456789")
    request = ChatRequest(
        messages=[
            {"role": "assistant", "tool_calls": [call, tool_call("g", {}, "abcDEF123")]},
            {"role": "tool", "tool_call_id": "call_0123456789", "content": "1"},
        ]
    )
    asked, answered = sent_by("mistral:m", request)["messages"]
    ids = [one["id"] for one in asked["tool_calls"]]
    assert ids[0] == answered["tool_call_id"]
    assert len(ids[0]) == 9
    assert ids[0].isalnum()
    assert ids[1] == "abcDEF123"
    assert call["id"] == "call_0123456789"


def test_tools_for_a_model_that_has_none_are_an_error_not_a_silence() -> None:
    request = ChatRequest(messages=[], options={"tools": [{}]})
    with pytest.raises(ModelError, match="perplexity models cannot call tools"):
        sent_by("perplexity:m", request)


@pytest.mark.parametrize(
    ("refused", "message", "field"),
    [
        (400, "Unrecognized request argument supplied: stream_options", "stream_options"),
        (422, "Extra inputs are not permitted: body.stream_options", "stream_options"),
        (
            400,
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            "max_tokens",
        ),
    ],
)
def test_a_field_the_server_refuses_is_left_out_at_once_and_ever_after(
    serve: Serve, refused: int, message: str, field: str
) -> None:
    server = serve(Error(refused, message), Answer("fine"), Answer("again"))
    model = model_at(server)
    assert words(ask(model, max_tokens=5)) == "fine"
    assert words(ask(model, max_tokens=5)) == "again"
    assert [field in one for one in server.requests] == [True, False, False]
    assert all(5 in one.values() for one in server.requests)


def test_a_role_the_server_refuses_becomes_system(serve: Serve) -> None:
    def only_system(request: dict[str, Any]) -> Step:
        roles = [one["role"] for one in request["messages"]]
        assert roles[0] == "system"
        return Answer("fine")

    server = serve(Error(400, "'developer' is not one of ['system', 'user']"), Reply(only_system))
    request = ChatRequest(messages=[{"role": "developer", "content": "x"}])
    assert words(model_at(server).stream(request)) == "fine"


def test_a_refusal_is_answered_with_one_retry_only(serve: Serve) -> None:
    server = serve(Error(400, "unknown field stream_options", repeat=2))
    assert "unknown field" in failure(model_at(server)).message
    assert len(server.requests) == 2


def test_a_refusal_about_something_else_is_not_retried(serve: Serve) -> None:
    server = serve(Error(400, "max_tokens is too large: 5"))
    with pytest.raises(ModelError, match="too large"):
        ask(model_at(server), max_tokens=5)
