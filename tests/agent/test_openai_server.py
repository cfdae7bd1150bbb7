from __future__ import annotations

import http.client
import threading
from typing import Any

import pytest

from agnocli import codec
from agnocli.testing.openai_server import (
    Answer,
    CutOff,
    Error,
    Gate,
    Raw,
    Reply,
    ScriptedServer,
    Silent,
    Step,
    sse,
    tool_call,
)

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def send(server: ScriptedServer, body: dict[str, Any]) -> http.client.HTTPConnection:
    host = server.base_url.removeprefix("http://").removesuffix("/v1")
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("POST", "/v1/chat/completions", codec.encode(body))
    return connection


def post(server: ScriptedServer, **fields: object) -> tuple[int, bytes]:
    connection = send(server, {**ASK, **fields})
    try:
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def events(body: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in body.splitlines() if line]
    return [line.decode() if line == b"[DONE]" else codec.decode(line) for line in lines]


def test_a_request_that_does_not_stream_gets_one_completion() -> None:
    step = Answer("Hello", usage=(3, 1), reasoning="hm", tool_calls=[tool_call("f", {"a": 1})])
    with ScriptedServer([step]) as server:
        status, body = post(server)
    completion = codec.decode(body)
    assert status == 200
    assert completion["model"] == "m"
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert completion["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "hm",
        "tool_calls": [tool_call("f", {"a": 1})],
    }
    assert completion["usage"]["total_tokens"] == 4


def test_a_streaming_request_gets_the_chunks_then_the_reason_then_done() -> None:
    with ScriptedServer([Answer(chunks=["He", "llo"], finish_reason="length")]) as server:
        got = events(post(server, stream=True)[1])
    choices = [one["choices"][0] for one in got[:-1]]
    assert [one["delta"].get("content") for one in choices] == ["", "He", "llo", None]
    assert [one["finish_reason"] for one in choices] == [None, None, None, "length"]
    assert got[-1] == "[DONE]"


def test_an_answer_without_a_finish_reason_ends_without_one() -> None:
    with ScriptedServer([Answer("Hello", finish_reason=None)]) as server:
        got = events(post(server, stream=True)[1])
    assert [one["choices"][0]["finish_reason"] for one in got[:-1]] == [None, None]


@pytest.mark.parametrize(("asked", "given"), [(True, True), (False, False)])
def test_usage_is_streamed_only_when_asked_for(asked: bool, given: bool) -> None:
    with ScriptedServer([Answer("Hello", usage=(3, 1))]) as server:
        body = post(server, stream=True, stream_options={"include_usage": asked})[1]
    assert any("usage" in one for one in events(body)[:-1]) is given


def test_a_tool_call_is_streamed_in_fragments_of_one_index() -> None:
    with ScriptedServer([Answer(tool_calls=[tool_call("f", {"a": 1}, "id-1")])]) as server:
        got = events(post(server, stream=True)[1])
    deltas = [one["choices"][0]["delta"] for one in got[:-1]]
    parts = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [one.get("id") for one in parts] == ["id-1", None, None]
    assert "".join(one["function"]["arguments"] for one in parts) == '{"a": 1}'
    assert {one["index"] for one in parts} == {0}


def test_requests_and_their_headers_are_kept_in_order() -> None:
    with ScriptedServer([Answer("a"), Answer("b")]) as server:
        post(server, user="first")
        post(server, user="second")
    assert [one["user"] for one in server.requests] == ["first", "second"]
    assert all("content-length" in one for one in server.headers)


def test_an_error_step_answers_with_its_status_headers_and_body() -> None:
    with ScriptedServer([Error(429, "slow down", "busy", headers={"Retry-After": "7"})]) as server:
        connection = send(server, ASK)
        response = connection.getresponse()
        error = codec.decode(response.read())["error"]
        connection.close()
    assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert (error["message"], error["code"]) == ("slow down", "busy")


def test_a_raw_step_is_sent_as_it_is() -> None:
    with ScriptedServer([Raw(sse({"x": 1}), "text/event-stream", 201)]) as server:
        assert post(server) == (201, b'data: {"x": 1}\n\ndata: [DONE]\n\n')


@pytest.mark.parametrize("stream", [True, False])
def test_a_cut_off_answer_ends_in_a_lost_connection(stream: bool) -> None:
    with ScriptedServer([CutOff(["partial"])]) as server:
        connection = send(server, {**ASK, "stream": stream})
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()
        connection.close()


def test_a_gate_holds_the_chunks_behind_it_back() -> None:
    gate = Gate()
    with ScriptedServer([Answer(chunks=["before", gate, "behind"])]) as server:
        connection = send(server, {**ASK, "stream": True})
        response = connection.getresponse()
        gate.wait()
        received = b""
        while b"before" not in received:
            received += response.read1()
        assert b"behind" not in received
        gate.open()
        assert b"behind" in response.read()
        connection.close()


def test_a_silent_step_says_nothing_and_hangs_up_when_released() -> None:
    silent = Silent()
    with ScriptedServer([silent]) as server:
        connection = send(server, ASK)
        silent.gate.wait()
        silent.gate.open()
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
        connection.close()


def test_a_client_that_leaves_is_noticed() -> None:
    with ScriptedServer([Silent()]) as server:
        connection = send(server, ASK)
        server.wait_for_requests(1)
        assert not server.hung_up.is_set()
        connection.close()
        server.wait_for_hang_up()


def test_a_reply_decides_by_the_request() -> None:
    reply = Reply(lambda request: Answer(request["messages"][0]["content"].upper()))
    with ScriptedServer([reply]) as server:
        assert codec.decode(post(server)[1])["choices"][0]["message"]["content"] == "HI"


def test_what_a_reply_asserts_fails_the_test() -> None:
    def refuse(request: dict[str, Any]) -> Step:
        raise AssertionError("wrong question")

    with (
        pytest.raises(AssertionError, match="a step failed: AssertionError: wrong question"),
        ScriptedServer([Reply(refuse)]) as server,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        post(server)


def test_a_step_left_over_fails_the_test() -> None:
    with (
        pytest.raises(AssertionError, match=r"step 2 was left over: Answer.*second"),
        ScriptedServer([Answer("first"), Answer("second")]) as server,
    ):
        post(server)


def test_a_request_too_many_is_refused_and_fails_the_test() -> None:
    with (
        pytest.raises(AssertionError, match="request 2 was not scripted"),
        ScriptedServer([Answer("only")]) as server,
    ):
        post(server)
        assert post(server)[0] == 500


def test_an_error_of_the_test_itself_is_not_covered_by_steps_left_over() -> None:
    with pytest.raises(ZeroDivisionError), ScriptedServer([Answer("unused")]):
        raise ZeroDivisionError


def test_a_repeated_step_serves_parallel_requests() -> None:
    with ScriptedServer([Answer("x", repeat=40), Answer("y")]) as server:
        threads = [threading.Thread(target=post, args=(server,)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert codec.decode(post(server)[1])["choices"][0]["message"]["content"] == "y"


def test_an_endless_step_may_be_asked_any_number_of_times_but_once_at_least() -> None:
    with ScriptedServer([Answer("x", repeat=None)]) as server:
        for _ in range(3):
            post(server)
    with pytest.raises(AssertionError, match="left over"), ScriptedServer([Answer(repeat=None)]):
        pass


def test_models_are_listed() -> None:
    with ScriptedServer([], models=("a", "b")) as server:
        host = server.base_url.removeprefix("http://").removesuffix("/v1")
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("GET", "/v1/models")
        listed = codec.decode(connection.getresponse().read())
        connection.close()
    assert [one["id"] for one in listed["data"]] == ["a", "b"]
