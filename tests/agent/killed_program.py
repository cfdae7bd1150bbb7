"""What test_killed.py kills: an agent or a team, whose model is the server at a URL. Takes file, URL and what to be."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from agnocli.agent import Agent
from agnocli.db.sqlite import SqliteDb
from agnocli.run import RunContext
from agnocli.team import Team


def hang(run_context: RunContext, mark: str) -> str:
    """Never end."""
    run_context.session_state["begun"] = True
    Path(mark).touch()
    time.sleep(600)
    return "too late"


def note(run_context: RunContext) -> str:
    """Note something."""
    run_context.session_state["noted"] = True
    return "noted"


def main(file: str, url: str, kind: str) -> None:
    db, model = SqliteDb(db_file=file), f"openai-like:m@{url}"
    agent = Agent(
        id="a",
        model=model,
        db=db,
        tools=[hang, note],
        add_history_to_context=True,
        enable_session_summaries=kind == "summary",
        session_summary_num_runs=1,
    )
    if kind == "team":
        Team(id="t", model=model, db=db, members=[agent]).run("Go", session_id="s")
    else:
        agent.run("Go", session_id="s")


if __name__ == "__main__":
    main(*sys.argv[1:])
