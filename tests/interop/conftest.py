"""The real agno in a process of its own, our command line, and a scripted model server between them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agnocli.testing.openai_server import ScriptedServer, Step
from tests.interop.agno_env import (
    FIRST_THREE,
    LAST_TWO,
    NEWEST,
    Agno,
    UnavailableError,
    python_with,
)
from tests.interop.sides import Ours, RealAgno, Talk

Start = Callable[[Agno], RealAgno]
Serve = Callable[..., ScriptedServer]

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and {"start", "agno_python"} & {*item.fixturenames}:  # type: ignore[attr-defined]
            item.add_marker("interop")
            # the first test of a machine waits for an installation
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def agno_python() -> Callable[[Agno], Path]:
    """The python of an agno release. Without one tests are skipped, but fail where CI runs them."""
    failed: dict[Agno, str] = {}

    def find(agno: Agno) -> Path:
        if agno not in failed:
            try:
                return python_with(agno)
            except UnavailableError as error:
                failed[agno] = str(error)
        if os.environ.get("CI"):
            pytest.fail(failed[agno], pytrace=False)
        pytest.skip(failed[agno])

    return find


@pytest.fixture
def start(agno_python: Callable[[Agno], Path], tmp_path: Path) -> Iterator[Start]:
    """Start a program of an agno release; ended with the test, or with its own block."""
    agno_python(NEWEST)  # to skip before anything else is begun
    with ExitStack() as running:

        def begin(agno: Agno) -> RealAgno:
            return running.enter_context(RealAgno(agno_python(agno), tmp_path, agno.version))

        yield begin


@pytest.fixture
def agno(start: Start) -> RealAgno:
    return start(NEWEST)


@pytest.fixture(params=[NEWEST, FIRST_THREE], ids=lambda agno: agno.version)
def agno_3(request: pytest.FixtureRequest, start: Start) -> RealAgno:
    return start(request.param)


@pytest.fixture
def agno_2(start: Start) -> RealAgno:
    return start(LAST_TWO)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "agno.db"


@pytest.fixture
def ours(file: Path, tmp_path: Path) -> Ours:
    home = tmp_path / "home"
    home.mkdir()
    return Ours(file, home)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A model server that answers with these steps, all of which a test must use."""
    with ExitStack() as stack:

        def with_steps(*steps: Step) -> ScriptedServer:
            return stack.enter_context(ScriptedServer(steps))

        yield with_steps


@pytest.fixture
def talk(file: Path) -> Iterator[Talk]:
    with Talk(file) as talk:
        yield talk
