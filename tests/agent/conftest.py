from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from agnocli.abc import ChatModel, ChatRequest, ModelEvent, TextDelta
from agnocli.agent.models import ModelSpec, open_model, parse_model
from agnocli.agent.models.providers import PROVIDERS
from agnocli.agent.models.stream import EventStream
from agnocli.errors import ConfigError, ModelError
from agnocli.testing.openai_server import (
    Raw,
    ScriptedServer,
    Step,
    sse,
)

KEYS = {name: f"key-of-{name}" for one in PROVIDERS for name in one.key_env}
AZURE = {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/", "CLOUDFLARE_ACCOUNT_ID": "acc"}
PLAIN = ChatRequest(messages=[{"role": "user", "content": "hi"}])
Serve = Callable[..., ScriptedServer]


@pytest.fixture(autouse=True)
def no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands between a test and its server, no account of the developer is used."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A scripted server for the steps given, checked at the end of the test."""
    with ExitStack() as stack:

        def start(*steps: Step) -> ScriptedServer:
            return stack.enter_context(ScriptedServer(steps))

        yield start


def model_at(server: ScriptedServer, provider: str = "openai-like", **options: int) -> ChatModel:
    spec = parse_model(f"{provider}:test-model@{server.base_url}", environ={})
    return open_model(spec, **options)


def parse(text: str, base_url: str | None = None, **environ: str) -> ModelSpec:
    return parse_model(text, base_url=base_url, environ=environ)


def refusal(text: str, base_url: str | None = None, **environ: str) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, base_url, **environ)
    return caught.value.message, caught.value.hint or ""


def ask(model: ChatModel, *, stream: bool = True, **options: object) -> list[ModelEvent]:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    return list(model.stream(ChatRequest(messages=messages, stream=stream, options=options)))


def words(events: Iterable[ModelEvent]) -> str:
    return "".join(one.text for one in events if isinstance(one, TextDelta))


def failure(model: ChatModel, *, stream: bool = True) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask(model, stream=stream)
    assert "\n" not in caught.value.message
    return caught.value


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def chunks(*given: dict[str, Any]) -> Step:
    return Raw(sse(*given), "text/event-stream")


def stopped_by(stream: EventStream, when: Callable[[], object]) -> list[ModelEvent]:
    """What still comes when another thread closes the stream as `when` returns."""

    def stop() -> None:
        when()
        stream.close()

    helper = threading.Thread(target=stop)
    helper.start()
    rest = list(stream)
    helper.join(60)
    return rest


@pytest.fixture
def join_threads() -> Callable[[], None]:
    """Waits until the requests that this test gave up are over behind their streams."""
    before = set(threading.enumerate())

    def join() -> None:
        for thread in set(threading.enumerate()) - before:
            if thread.name == "model":
                thread.join(60)
                assert not thread.is_alive()

    return join
