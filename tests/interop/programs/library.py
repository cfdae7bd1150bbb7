# mypy: ignore-errors
"""Agents and teams with tools, state and summaries, at any place; and their sessions as objects."""

from agents import TOOLS, model
from agno.agent import Agent
from agno.db.base import SessionType
from agno.session.summary import SessionSummaryManager
from agno.team import Team
from speed import database


def agent(kind, place, base_url, tools=(), summaries=False, **options):
    if summaries:
        manager = SessionSummaryManager(model=model(base_url))
        options = {**options, "session_summary_manager": manager, "enable_session_summaries": True}
    return Agent(
        **{"id": "shop", "name": "Shop", **options},
        model=model(base_url),
        db=database(kind, place),
        tools=[TOOLS[name] for name in tools],
        telemetry=False,
    )


def run(kind, place, base_url, session_id, prompt, **options):
    """One run; how it ended, what was said, and the state after it."""
    one = agent(kind, place, base_url, **options)
    output = one.run(prompt, session_id=session_id)
    return [output.status.value, output.content, one.get_session_state(session_id=session_id)]


def team(kind, place, base_url, session_id, prompt, **options):
    desk = Team(
        id="desk",
        name="Desk",
        members=[agent(kind, place, base_url, id="writer", name="Writer", tools=("add_item",))],
        model=model(base_url),
        db=database(kind, place),
        telemetry=False,
        **options,
    )
    output = desk.run(prompt, session_id=session_id)
    return [output.status.value, output.content, desk.get_session_state(session_id=session_id)]


def loaded(kind, place, session_id, session_type="agent"):
    """What is in a session's object, by what its classes are called."""
    found = database(kind, place).get_session(session_id, session_type=SessionType(session_type))
    return {
        "class": type(found).__name__,
        "runs": [
            {
                "class": type(one).__name__,
                "status": one.status.value if hasattr(one.status, "value") else one.status,
                "content": one.content,
                "parent": bool(one.parent_run_id),
                "messages": [type(each).__name__ + " " + each.role for each in one.messages or ()],
                "tools": [
                    [type(each).__name__, each.tool_name, each.tool_args, each.result]
                    for each in one.tools or ()
                ],
            }
            for one in found.runs or ()
        ],
        "state": found.session_data.get("session_state"),
        "summary": found.summary and [type(found.summary).__name__, found.summary.summary],
        "history": [[one.role, one.content] for one in found.get_messages(skip_roles=["system"])],
    }
