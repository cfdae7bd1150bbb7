from __future__ import annotations

import gc
import socket
import subprocess
import sys
from collections.abc import Callable

from agnocli.abc import TextDelta
from agnocli.agent.models.stream import EventStream, Line
from agnocli.testing.openai_server import (
    Answer,
    Error,
    Gate,
    Silent,
)

from .conftest import (
    PLAIN,
    Serve,
    model_at,
    stopped_by,
    words,
)


def test_closing_from_another_thread_ends_a_stream_that_waits_for_its_next_word(
    serve: Serve,
) -> None:
    gate = Gate()
    server = serve(Answer(chunks=["a", gate, "b"]))
    stream = model_at(server).stream(PLAIN)
    assert isinstance(stream, EventStream)
    assert next(stream) == TextDelta("a")
    assert stopped_by(stream, gate.wait) == []
    server.wait_for_hang_up()


def test_closing_ends_a_request_that_waits_for_its_first_word(serve: Serve) -> None:
    silent = Silent()
    server = serve(silent)
    stream = model_at(server).stream(PLAIN)
    assert isinstance(stream, EventStream)
    assert stopped_by(stream, silent.gate.wait) == []
    server.wait_for_hang_up()


def test_a_stream_that_was_closed_is_not_retried(
    serve: Serve, join_threads: Callable[[], None]
) -> None:
    server = serve(Error(503, "busy", headers={"retry-after-ms": "100"}))
    stream = model_at(server).stream(PLAIN)
    assert isinstance(stream, EventStream)
    assert stopped_by(stream, lambda: server.wait_for_requests(1)) == []
    join_threads()
    assert len(server.requests) == 1


def test_a_connection_made_after_the_closing_is_cut_at_once() -> None:
    line = Line()
    line.cut()
    here, there = socket.socketpair()
    with here, there:
        line.attach(here)
        there.settimeout(20)
        assert there.recv(1) == b""


def test_dropping_a_stream_ends_its_request(serve: Serve) -> None:
    gate = Gate()
    server = serve(Answer(chunks=["a", gate]))
    stream = model_at(server).stream(PLAIN)
    next(stream)
    gate.wait()
    del stream
    gc.collect()
    server.wait_for_hang_up()


def test_a_stream_asks_nothing_before_its_first_step_nor_after_being_closed(serve: Serve) -> None:
    stream = model_at(serve()).stream(PLAIN)
    assert isinstance(stream, EventStream)
    stream.close()
    stream.close()
    assert list(stream) == []


def test_a_closed_stream_leaves_others_of_the_same_model_alone(serve: Serve) -> None:
    gates = Gate(), Gate()
    server = serve(*(Answer(chunks=["a", gate, "b"]) for gate in gates))
    model = model_at(server)
    first, second = model.stream(PLAIN), model.stream(PLAIN)
    assert isinstance(first, EventStream)
    assert next(first) == next(second) == TextDelta("a")
    first.close()
    server.wait_for_hang_up()
    gates[1].wait()
    gates[1].open()
    assert words(second) == "b"


def test_a_program_ends_while_a_model_is_still_silent(serve: Serve) -> None:
    server = serve(Silent())
    code = f"""
import threading
from agnocli.agent.models import open_model, parse_model
from agnocli.abc import ChatRequest
model = open_model(parse_model("openai-like:m", base_url={server.base_url!r}, environ={{}}))
stream = model.stream(ChatRequest(messages=[]))
threading.Thread(target=lambda: list(stream), daemon=True).start()
import sys
sys.stdin.readline()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    server.wait_for_requests(1)
    process.communicate(b"\n", timeout=60)
    assert process.returncode == 0
