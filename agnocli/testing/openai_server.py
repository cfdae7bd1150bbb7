"""A scripted OpenAI-compatible server, over real HTTP, for tests.

    with ScriptedServer([Answer("Hello"), Error(429, "slow down")]) as server:
        ...  # talk to server.base_url
    assert server.requests[0]["messages"] == [...]

Each request to `/v1/chat/completions` takes the next step. Leaving the block raises AssertionError when a step was
left over, when more was asked than scripted, or when a step itself failed.
"""

from __future__ import annotations

import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias

from agnocli import codec

PATIENCE = 30.0
"""Seconds after which any wait of a test is an error."""

Request: TypeAlias = dict[str, Any]


class Gate:
    """A place in an answer where the server waits: the test sees it `reached`, and opens it."""

    def __init__(self) -> None:
        self._reached, self._opened = threading.Event(), threading.Event()

    def wait(self) -> None:
        """Until the server stands before the gate, all chunks in front of it sent."""
        if not self._reached.wait(PATIENCE):
            raise AssertionError("the server never came to this gate")

    def open(self) -> None:
        self._opened.set()

    def pass_through(self, keep_waiting: Callable[[], None]) -> None:
        """The server's side; `keep_waiting` raises when there is no more reason to."""
        self._reached.set()
        deadline = time.monotonic() + PATIENCE
        while not self._opened.wait(0.01):
            keep_waiting()
            if time.monotonic() > deadline:
                raise AssertionError("nobody opened this gate")


@dataclass(frozen=True, kw_only=True)
class Step:
    """`repeat` is for how many requests the step stands; None for any number of them, one at least."""

    repeat: int | None = field(default=1)


@dataclass(frozen=True)
class Answer(Step):
    """A good answer. `chunks` (text and gates) in place of `text` say how it is cut; `delay` is seconds between them.

    `usage` is (input, output) tokens, streamed only when the request asks for it. `finish_reason` None leaves it out.
    """

    text: str = ""
    chunks: Sequence[str | Gate] = field(default=(), kw_only=True)
    delay: float = field(default=0, kw_only=True)
    reasoning: str = field(default="", kw_only=True)
    tool_calls: Sequence[Mapping[str, Any]] = field(default=(), kw_only=True)
    finish_reason: str | None = field(default="stop", kw_only=True)
    usage: tuple[int, int] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class CutOff(Step):
    """The connection is lost behind these chunks."""

    chunks: Sequence[str | Gate] = ()


@dataclass(frozen=True)
class Error(Step):
    """An error answer. `body` replaces the usual error object."""

    status: int
    message: str = ""
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    body: object = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Raw(Step):
    """Exactly these bytes; see `sse` for streams."""

    body: bytes = b""
    content_type: str = "application/json"
    status: int = 200


@dataclass(frozen=True)
class Silent(Step):
    """Takes the request and says nothing until the gate opens, then hangs up."""

    gate: Gate = field(default_factory=Gate)


@dataclass(frozen=True)
class Reply(Step):
    """Decides by the request; what the function asserts fails the test."""

    decide: Callable[[Request], Step]


def tool_call(name: str, arguments: object, call_id: str = "call_1") -> dict[str, Any]:
    function = {"name": name, "arguments": codec.line(arguments)}
    return {"id": call_id, "type": "function", "function": function}


def sse(*events: object, done: bool = True) -> bytes:
    """A stream of JSON values as server-sent events."""
    lines = [codec.encode(one) for one in events] + ([b"[DONE]"] if done else [])
    return b"".join(b"data: " + line + b"\n\n" for line in lines)


class HungUpError(Exception):
    """The client went away."""


class ScriptedServer:
    """`requests` are the decoded bodies, `headers` those of each, in the order they came."""

    def __init__(self, steps: Sequence[Step], *, models: Sequence[str] = ("scripted",)) -> None:
        self.models = tuple(models)
        self.requests: list[Request] = []
        self.headers: list[dict[str, str]] = []
        self.hung_up = threading.Event()
        """Set when a client leaves before its answer is over."""
        self._script = list(steps)
        self._used = [0] * len(steps)
        self._failures: list[str] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.script = self

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def wait_for_requests(self, count: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE):
                raise AssertionError(f"{len(self.requests)} requests came, {count} were due")

    def wait_for_hang_up(self) -> None:
        if not self.hung_up.wait(PATIENCE):
            raise AssertionError("no client hung up")

    def __enter__(self) -> Self:
        serve = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        serve.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        problems = [*self._failures, *self._left_over()]
        if problems and error is None:
            raise AssertionError("; ".join(problems))

    def _left_over(self) -> Iterator[str]:
        for number, (step, used) in enumerate(zip(self._script, self._used, strict=True), 1):
            if used < (1 if step.repeat is None else step.repeat):
                yield f"step {number} was left over: {step}"

    def take(self, request: Request, headers: Mapping[str, str]) -> Step:
        """The step for this request."""
        with self._changed:
            self.requests.append(request)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            self._changed.notify_all()
            step = self._next(len(self.requests))
        return step.decide(request) if isinstance(step, Reply) else step

    def _next(self, number: int) -> Step:
        for place, step in enumerate(self._script):
            if step.repeat is None or self._used[place] < step.repeat:
                self._used[place] += 1
                return step
        self._failures.append(f"request {number} was not scripted")
        return Error(500, "not scripted", headers={"x-should-retry": "false"})

    def fail(self, problem: str) -> None:
        """Make the end of the block raise."""
        with self._changed:
            self._failures.append(problem)

    def check(self, client: socket.socket) -> None:
        """HungUpError when the client is gone or the server is to close."""
        readable = select.select([client], [], [], 0)[0]
        if self._closing.is_set() or (readable and not client.recv(1, socket.MSG_PEEK)):
            raise HungUpError


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    script: ScriptedServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if isinstance(error, HungUpError | ConnectionError):
            self.script.hung_up.set()
        else:
            self.script.fail(f"a step failed: {type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            return self._json(404, _error(f"no {self.path} here"))
        models = [{"id": name, "object": "model"} for name in self.server.script.models]
        return self._json(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/v1/chat/completions":
            return self._json(404, _error(f"no {self.path} here"))
        request = codec.decode(content)
        return self._play(self.server.script.take(request, dict(self.headers.items())), request)

    def _play(self, step: Step, request: Request) -> None:
        match step:
            case Answer():
                self._stream(step, request) if request.get("stream") else self._whole(step, request)
            case CutOff():
                self._cut_off(step, request)
            case Error():
                body = step.body if step.body is not None else _error(step.message, step.code)
                self._json(step.status, body, step.headers)
            case Raw():
                self._send(step.status, step.body, {"Content-Type": step.content_type})
            case Silent():
                self._pass(step.gate)
                self.close_connection = True
            case _:
                raise TypeError(f"no step: {step!r}")

    def _whole(self, step: Answer, request: Request) -> None:
        text = "".join(self._paced(step.chunks or (step.text,), step.delay))
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if step.reasoning:
            message["reasoning_content"] = step.reasoning
        if step.tool_calls:
            message["tool_calls"] = list(step.tool_calls)
        choice = {"index": 0, "message": message, "finish_reason": step.finish_reason}
        completion = {**_frame(request, "chat.completion"), "choices": [choice]}
        self._json(200, completion | ({"usage": _usage(step.usage)} if step.usage else {}))

    def _stream(self, step: Answer, request: Request) -> None:
        self._open_stream()
        for delta in self._deltas(step):
            self._delta(request, delta)
        if step.finish_reason is not None:
            self._delta(request, {}, step.finish_reason)
        if step.usage and (request.get("stream_options") or {}).get("include_usage"):
            frame = _frame(request, "chat.completion.chunk")
            self._chunk(sse({**frame, "choices": [], "usage": _usage(step.usage)}, done=False))
        self._chunk(sse())
        self._chunk(b"")

    def _deltas(self, step: Answer) -> Iterator[dict[str, Any]]:
        yield {"role": "assistant", "content": ""}
        if step.reasoning:
            yield {"reasoning_content": step.reasoning}
        for text in self._paced(step.chunks or (step.text,), step.delay):
            yield {"content": text}
        for index, call in enumerate(step.tool_calls):
            for fragment in _fragments(call):
                yield {"tool_calls": [{"index": index, **fragment}]}

    def _cut_off(self, step: CutOff, request: Request) -> None:
        self.close_connection = True
        if request.get("stream"):
            self._open_stream()
            for text in self._paced(step.chunks):
                self._delta(request, {"content": text})
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b'{"choices": [')

    def _paced(self, chunks: Sequence[str | Gate], delay: float = 0) -> Iterator[str]:
        for chunk in chunks:
            if isinstance(chunk, Gate):
                self._pass(chunk)
                continue
            self.server.script.check(self.connection)
            yield chunk
            time.sleep(delay)

    def _pass(self, gate: Gate) -> None:
        gate.pass_through(lambda: self.server.script.check(self.connection))

    def _open_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _delta(self, request: Request, delta: object, reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        event = {**_frame(request, "chat.completion.chunk"), "choices": [choice]}
        self._chunk(sse(event, done=False))

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        self._send(
            status, codec.encode(value), {"Content-Type": "application/json", **(headers or {})}
        )

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _frame(request: Request, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1700000000, "model": request["model"]}


def _usage(usage: tuple[int, int]) -> dict[str, int]:
    read, written = usage
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _error(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "scripted", "param": None, "code": code}}


def _fragments(call: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A tool call as OpenAI streams it: a head, then its arguments in pieces."""
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    half = len(arguments) // 2
    yield {**call, "function": {"name": name, "arguments": ""}}
    for piece in (arguments[:half], arguments[half:]):
        yield {"function": {"arguments": piece}}
