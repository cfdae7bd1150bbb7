"""What the seed's programs need: a key, and a model server that answers as scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agnocli.abc import Backend
from agnocli.testing.openai_server import ScriptedServer, Step

FIVE = ("sqlite", "postgres", "mysql", "redis", "mongo")

Serve = Callable[..., ScriptedServer]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """`openai:…` is the scripted server; every step of it must be used."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ExitStack() as stack:

        def start(*steps: Step) -> ScriptedServer:
            server = stack.enter_context(ScriptedServer(steps))
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            return server

        yield start


@pytest.fixture(params=FIVE)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    harness = import_module(f"tests.harness.{request.param}").Harness(tmp_path)
    yield harness
    harness.close()


@pytest.fixture
def db(harness: Any) -> Iterator[Backend]:
    with harness.open() as opened:
        yield opened
