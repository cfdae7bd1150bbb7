"""The client's text itself, where it lies beside the checkout: its programs run with the import root replaced."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agnocli.abc import Backend, SessionQuery
from agnocli.agent import Agent
from agnocli.db.sqlite import SqliteDb
from agnocli.testing.openai_server import Answer

from .conftest import Serve

SEED = Path(__file__).parents[3] / "shared" / "seed.md"
BEGINS = ("from agno", "db = ", "agent = ", "agent1 = ", "# Start")


def programs(text: str) -> Iterator[str]:
    """Blocks of code; the text has lost its fences, and the bodies of functions their indentation."""
    lines = list(_indented(text.splitlines()))
    place = 0
    while place < len(lines):
        end = next((end for end in range(len(lines), place, -1) if _parses(lines[place:end])), 0)
        if lines[place].startswith(BEGINS) and end:
            yield "\n".join(lines[place:end])
            place = end
        else:
            place += 1


def _indented(lines: list[str]) -> Iterator[str]:
    within = False
    for line in lines:
        yield f"    {line}" if within else line
        within = line.startswith("def ") or (within and not line.startswith("return "))


def _parses(lines: list[str]) -> bool:
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError:
        return False
    said = (one.value for one in tree.body if isinstance(one, ast.Expr))
    # else it is a heading, as Redis, Anti-Patterns or PostgreSQL (Production)
    return all(isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) for one in said)


@pytest.mark.skipif(not SEED.exists(), reason="the seed does not lie beside this checkout")
def test_every_program_of_the_seed_runs(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [one.replace("agno.", "agnocli.") for one in programs(SEED.read_text())]
    assert len(found) == 11
    monkeypatch.chdir(tmp_path)
    serve(*(Answer(f"answer {n}") for n in range(5)))
    known: dict[str, Any] = {"Agent": Agent}
    opened: list[Backend] = []
    for program in found:
        exec(compile(program, "seed.md", "exec"), known)
        opened.append(known["db"])
        # the servers it names are not ours: what comes next talks to a file
        known["db"] = SqliteDb(db_file="tmp/agents.db")
    for db in opened:
        db.close()
    with SqliteDb(db_file="tmp/agents.db") as db:
        stored = {info.session_id: info.runs for info in db.find(SessionQuery()).items}
    assert stored == {"session-1": 2, "thread-42": 2, "thread-99": 1}
    assert known["agent"].enable_session_summaries
    assert known["team"].members == [known["agent1"], known["agent2"]]
