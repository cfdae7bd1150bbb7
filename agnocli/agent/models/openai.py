"""Chat Completions through the `openai` package: the one file that imports it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from functools import cached_property
from importlib import import_module
from typing import Any

import openai

from agnocli import codec
from agnocli.abc import ChatRequest, ModelEvent
from agnocli.agent.models import failures
from agnocli.agent.models.answer import Answer, MalformedError, ReportedError
from agnocli.agent.models.providers import ModelSpec
from agnocli.agent.models.request import CONCESSIONS, Body, body, concessions
from agnocli.agent.models.stream import EventStream, Line
from agnocli.errors import CodecError, ModelError

NO_KEY = "not-needed"

# httpx, from openai 3 on httpx2; openai 2 lets its errors through once a stream is open
_http: Any = import_module(type(openai.DEFAULT_CONNECTION_LIMITS).__module__.partition(".")[0])

_line: ContextVar[Line] = ContextVar("_line")


class OpenAIChatModel:
    """Safe to use from several threads; each answer has a connection of its own."""

    def __init__(
        self, spec: ModelSpec, *, timeout: float | None = None, max_retries: int = 2
    ) -> None:
        self.spec = spec
        self._timeout = openai.DEFAULT_TIMEOUT if timeout is None else timeout
        self._max_retries = max_retries
        self._learned: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.spec.provider.model_class

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def provider(self) -> str:
        return self.spec.provider.label

    def stream(self, request: ChatRequest) -> EventStream:
        return EventStream(lambda line: self._ask(request, line))

    def _ask(self, request: ChatRequest, line: Line) -> Generator[ModelEvent, None, None]:
        _line.set(line)
        made = body(self.spec, request, self._learned)
        answer = Answer()
        try:
            yield from self._answer(made, answer)
        except openai.OpenAIError as error:
            raise self._failure(error, answer.started) from error
        except _http.TimeoutException as error:
            raise failures.timed_out(self.spec, started=True) from error
        except _http.TransportError as error:
            raise failures.broken_off(self.spec) from error
        except ReportedError as error:
            raise failures.reported(self.spec, error.body, answer.started) from error
        except MalformedError as error:
            raise failures.malformed(self.spec, str(error)) from error
        except (CodecError, ValueError) as error:  # of the SDK's own decoding
            raise failures.malformed(self.spec, "what is not JSON") from error

    def _answer(self, made: Body, answer: Answer) -> Generator[ModelEvent, None, None]:
        if not made.get("stream"):
            yield from answer.whole(_completion(self._create(made)))
        else:
            with contextlib.closing(self._create(made)) as chunks:
                if (whole := _not_streamed(chunks.response)) is not None:
                    yield from answer.whole(whole)
                else:
                    for chunk in chunks:
                        yield from answer.chunk(chunk)
        yield answer.finished()

    def _create(self, made: Body) -> Any:
        """Post; once more without the fields that a 400 objects to, and from then on always without."""
        try:
            return self._post(made)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            conceded = concessions(made, failures.as_text(error.body))
            if not conceded:
                raise
        for name in conceded:
            made = CONCESSIONS[name](made)
        result = self._post(made)
        self._learned = tuple(dict.fromkeys((*self._learned, *conceded)))
        return result

    def _post(self, made: Body) -> Any:
        """Plain JSON values, not the SDK's typed models: servers send what those do not foresee."""
        stream = bool(made.get("stream"))
        return self._client.post(
            "/chat/completions",
            body=made,
            cast_to=object,
            stream=stream,
            stream_cls=openai.Stream[object],
        )

    @cached_property
    def _client(self) -> openai.OpenAI:
        key = self.spec.key.reveal() if self.spec.key else NO_KEY
        at_openai = self.spec.provider.key == "openai"
        # the SDK takes these two from OPENAI_ORG_ID and OPENAI_PROJECT_ID; others need not know them
        foreign = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
        return openai.OpenAI(
            api_key=key,
            base_url=self.spec.base_url,
            timeout=self._timeout,
            max_retries=self._max_retries,
            http_client=self._http_client(),
            default_headers=None if at_openai else foreign,  # type: ignore[arg-type]
        )

    def _http_client(self) -> Any:
        """No connection is kept, so that the one a request opens is the one to cut."""
        limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_keepalive_connections=0)
        try:
            return openai.DefaultHttpxClient(
                limits=limits, timeout=self._timeout, event_hooks={"request": [_watch]}
            )
        except (ImportError, ValueError, OSError) as error:
            raise failures.unusable_network(error) from error

    def _failure(self, error: openai.OpenAIError, started: bool) -> ModelError:
        if isinstance(error, openai.APIStatusError):
            wait = error.response.headers.get("retry-after")
            return failures.refused(self.spec, error.status_code, error.body, wait)
        if isinstance(error, openai.APITimeoutError):
            return failures.timed_out(self.spec, started)
        if isinstance(error, openai.APIConnectionError):
            if started:
                return failures.broken_off(self.spec)
            return failures.unreachable(self.spec, error)
        if isinstance(error, openai.APIError):
            return failures.reported(self.spec, error.body or error.message, started)
        return failures.malformed(self.spec, str(error))


def _completion(result: object) -> object:
    if isinstance(result, str):
        raise MalformedError("a web page" if result.lstrip().startswith("<") else "plain text")
    return result


def _not_streamed(response: Any) -> object | None:
    """The whole answer of a server that does not stream; None when it does."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return codec.decode(response.read()) or {}
    if kind == "text/html":
        raise MalformedError("a web page")
    return None


def _watch(request: Any) -> None:
    """Show the line of this thread the socket as soon as there is one; stop retries of a cut line."""
    line = _line.get()
    line.check()

    def trace(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            connected = info["return_value"].get_extra_info("socket")
            if isinstance(connected, socket.socket):
                line.attach(connected)

    request.extensions["trace"] = trace
