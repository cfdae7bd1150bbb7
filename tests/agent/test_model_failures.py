from __future__ import annotations

import socket

import pytest

from agnocli.abc import TextDelta
from agnocli.agent.models import open_model, parse_model
from agnocli.errors import ModelError
from agnocli.testing.openai_server import (
    Answer,
    CutOff,
    Error,
    Gate,
    Raw,
    Silent,
)

from .conftest import (
    PLAIN,
    Serve,
    ask,
    chunk,
    chunks,
    failure,
    model_at,
    parse,
    words,
)

ONCE = {"retry-after-ms": "1"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "message", "code", "hint", "transient"),
    [
        (401, "bad key", None, "export OPENAI_LIKE_API_KEY", False),
        (403, "not for you", None, "OPENAI_LIKE_API_KEY", False),
        (404, "no such model", None, "check the model's name (test-model)", False),
        (400, "This model's maximum context length is 8 tokens", None, "--history", False),
        (400, "too much", "context_length_exceeded", "--history", False),
        (413, "too big", None, "--history", False),
        (400, "bad temperature", None, "another model", False),
        (402, "pay first", None, "no credit", False),
        (429, "You exceeded your current quota", "insufficient_quota", "no credit", False),
        (429, "slow down", None, "wait", True),
        (408, "too late", None, "ask again", True),
        (500, "oops", None, "ask again", True),
        (529, "overloaded", None, "ask again", True),
    ],
)
def test_a_refused_request_is_one_line_with_a_hint(
    serve: Serve,
    status: int,
    message: str,
    code: str | None,
    hint: str,
    transient: bool,
    stream: bool,
) -> None:
    error = failure(model_at(serve(Error(status, message, code)), max_retries=0), stream=stream)
    assert f"answered {status}: {message}" in error.message
    assert hint in (error.hint or "")
    assert error.transient is transient


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "model 'x' not found"}, "model 'x' not found"),
        ({"detail": [{"msg": "field required", "loc": ["body"]}]}, "field required"),
        ({"message": "plain\n\x1b[2Jmessage"}, "plain [2Jmessage"),
        ({"error": {"message": "long " * 200}}, "long long"),
        ({"error": {"weird": 1}}, '{"weird": 1}'),
    ],
)
def test_the_servers_own_words_are_found_and_tamed(serve: Serve, body: object, words: str) -> None:
    error = failure(model_at(serve(Error(404, body=body))))
    assert words in error.message
    assert error.message.isprintable()
    assert len(error.message) < 450


def test_a_web_page_in_place_of_an_error_is_not_printed(serve: Serve) -> None:
    page = Raw(b"<html><body>Bad Gateway</body></html>", "text/html", 404)
    assert failure(model_at(serve(page))).message.endswith("answered 404: a web page")


def test_a_key_that_a_server_repeats_is_not_shown(serve: Serve) -> None:
    server = serve(Error(401, "Incorrect API key provided: sk-s3cret"))
    environ = {"OPENAI_API_KEY": "sk-s3cret"}
    error = failure(open_model(parse_model("openai:m", base_url=server.base_url, environ=environ)))
    assert "s3cret" not in error.message
    assert "check the key in OPENAI_API_KEY" in (error.hint or "")


@pytest.mark.parametrize("by_environment", [True, False])
def test_a_missing_v1_is_guessed(serve: Serve, by_environment: bool) -> None:
    root = serve().base_url.removesuffix("/v1")
    environ = {"OPENAI_BASE_URL": root} if by_environment else {}
    spec = parse_model("openai:m", base_url=None if by_environment else root, environ=environ)
    error = failure(open_model(spec))
    assert error.message.startswith(f"the server at {root} answered 404")
    assert f"Try {root}/v1" in (error.hint or "")


def test_a_busy_server_is_asked_again_before_the_first_word(serve: Serve) -> None:
    server = serve(Error(503, "busy", headers=ONCE), Error(429, "busy", headers=ONCE), Answer("ok"))
    assert words(ask(model_at(server))) == "ok"


def test_a_server_that_stays_busy_is_given_up_after_three_times(serve: Serve) -> None:
    server = serve(Error(503, "busy", headers=ONCE, repeat=3))
    assert failure(model_at(server)).transient


@pytest.mark.parametrize("sent", [(), ("some", " words")])
def test_a_stream_that_breaks_off_is_told_and_not_asked_again(
    serve: Serve, sent: tuple[str, ...]
) -> None:
    stream = model_at(serve(CutOff(sent))).stream(PLAIN)
    for text in sent:
        assert next(stream) == TextDelta(text)
    with pytest.raises(ModelError, match="broke off") as caught:
        next(stream)
    assert caught.value.transient
    assert list(stream) == []


def test_an_answer_that_breaks_off_unstreamed_is_told(serve: Serve) -> None:
    assert "broke off" in failure(model_at(serve(CutOff()), max_retries=0), stream=False).message


@pytest.mark.parametrize(
    ("error", "words", "transient"),
    [
        ({"message": "overloaded", "type": "server_error"}, "broke off: overloaded", True),
        ({"message": "try later", "code": 502}, "answered 502: try later", True),
        ({"message": "something", "code": "odd"}, "broke off: something", False),
        ("just text", "broke off: just text", False),
        ({"message": "the context length is exceeded"}, "answered 400", False),
    ],
)
def test_an_error_inside_a_stream_is_an_error(
    serve: Serve, error: object, words: str, transient: bool
) -> None:
    stream = model_at(serve(chunks(chunk({"content": "a"}), {"error": error}))).stream(PLAIN)
    assert next(stream) == TextDelta("a")
    with pytest.raises(ModelError) as caught:
        next(stream)
    assert words in caught.value.message
    assert caught.value.transient is transient


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (Raw(b"<html>welcome</html>", "text/html"), "a web page"),
        (Raw(b"{nope"), "what is not JSON"),
        (Raw(b"[1]"), "no JSON object"),
        (Raw(b"null"), ""),
        (Raw(b'{"choices": 1}'), "without choices"),
        (Raw(b'{"choices": ["x"]}'), "a choice that is no JSON object"),
        (Raw(b'{"choices": [{"message": "x"}]}'), "message that is no object"),
        (Raw(b'{"error": {"message": "quietly broken"}}'), "did not begin: quietly broken"),
    ],
)
def test_an_answer_that_is_none_is_told(serve: Serve, reply: Raw, what: str, stream: bool) -> None:
    assert what in failure(model_at(serve(reply)), stream=stream).message


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "an empty stream"),
        (b"data: [DONE]\n\n", "an empty stream"),
        (b"data: {nope\n\n", "what is not JSON"),
        (b"data: \xff\n\n", "what is not JSON"),
        (b"data: [1]\n\n", "no JSON object"),
    ],
)
def test_a_stream_of_nonsense_is_told(serve: Serve, body: bytes, what: str) -> None:
    assert what in failure(model_at(serve(Raw(body, "text/event-stream")))).message


def test_a_server_that_is_not_running_is_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        error = failure(open_model(parse("openai-like:m", url), max_retries=0))
    assert error.message == f"cannot reach {url}: Connection refused"
    assert error.hint == f"is the server running at {url}?"
    assert error.transient


def test_https_to_a_plain_server_is_told(serve: Serve) -> None:
    url = serve().base_url.replace("http:", "https:")
    error = failure(open_model(parse("openai-like:m", url), max_retries=0))
    assert "no secure connection" in error.message
    assert "http rather than https" in (error.hint or "")


def test_a_host_that_does_not_exist_is_told() -> None:
    model = open_model(parse("openai-like:m@http://nowhere.invalid/v1"), max_retries=0)
    assert "no host 'nowhere.invalid'" in failure(model).message


def test_a_server_that_says_nothing_is_given_up_in_time(serve: Serve) -> None:
    model = open_model(parse("openai-like:m", serve(Silent()).base_url), timeout=0.2, max_retries=0)
    error = failure(model)
    assert "did not answer in time" in error.message
    assert error.transient


def test_a_stream_that_falls_silent_is_given_up_in_time(serve: Serve) -> None:
    server = serve(Answer(chunks=["a", Gate()]))
    stream = open_model(parse("openai-like:m", server.base_url), timeout=2).stream(PLAIN)
    assert next(stream) == TextDelta("a")
    with pytest.raises(ModelError, match="broke off: nothing came any more"):
        next(stream)


def test_a_proxy_setting_that_cannot_be_used_is_told(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://x")
    error = failure(model_at(serve()))
    assert "network settings" in error.message
    assert "ALL_PROXY" in (error.hint or "")
