# mypy: ignore-errors
"""Sessions of every kind, stored through agno's own objects or by running its teams and workflows."""

from datetime import datetime

from agents import make, model
from agno.db.sqlite import SqliteDb
from agno.media import Image
from agno.models.message import Message
from agno.models.response import ToolExecution
from agno.reasoning.step import ReasoningStep
from agno.run.agent import RunInput, RunOutput
from agno.run.base import RunStatus
from agno.session import AgentSession
from agno.session.summary import SessionSummary
from agno.team import Team
from agno.workflow import Step, Workflow

CREATED = 1_760_000_000
PNG = b"\x89PNG\r\n\x1a\n\x00\xff"


def _store(db_file, session, runs):
    db = SqliteDb(db_file=db_file)
    db.upsert_session(session)
    for index, run in enumerate(runs):
        db.upsert_run(run, session.session_id, session.user_id, index)
    db.close()


def statuses(db_file, session_id):
    """A run of every status agno has; returns their names in order."""
    session = AgentSession(
        session_id=session_id, agent_id="helper", session_data={}, created_at=CREATED
    )
    runs = [
        RunOutput(
            run_id=f"run-{status.value}",
            agent_id="helper",
            session_id=session_id,
            content=f"answer of {status.value}",
            status=status,
            created_at=CREATED + number,
            messages=[
                Message(role="user", content=f"question of {status.value}"),
                Message(role="assistant", content=f"answer of {status.value}"),
            ],
        )
        for number, status in enumerate(RunStatus)
    ]
    _store(db_file, session, runs)
    return [status.value for status in RunStatus]


def everything(db_file, session_id):
    """A session with all that can lie in one: state, summary, metadata, tools, images, reasoning, references."""
    calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": '{"city": "K\\u00f6ln"}'},
        }
        for number, name in enumerate(("weather", "clock"))
    ]
    session = AgentSession(
        session_id=session_id,
        agent_id="helper",
        user_id="alice",
        session_data={
            "session_name": "Everything \u2615",
            "session_state": {"items": ["milk", {"n": 2**70}], "empty": None},
        },
        agent_data={"agent_id": "helper", "name": "Helper", "model": {"id": "gpt-x"}},
        metadata={"tier": "gold", "tags": ["home"]},
        summary=SessionSummary(
            summary="They spoke of tea.",
            topics=["tea"],
            updated_at=datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - agno's have no zone
        ),
        created_at=CREATED,
    )
    run = RunOutput(
        run_id="run-everything",
        agent_id="helper",
        agent_name="Helper",
        session_id=session_id,
        user_id="alice",
        content="It is 5 \u00b0C",
        reasoning_content="first I look",
        reasoning_steps=[ReasoningStep(title="Look", reasoning="out of the window")],
        model="gpt-x",
        model_provider="Somebody",
        status=RunStatus.completed,
        created_at=CREATED + 1,
        metadata={"trace": "t-1"},
        session_state={"items": ["milk"]},
        images=[Image(content=PNG, mime_type="image/png")],
        input=RunInput(input_content="Weather and time?", images=[Image(content=PNG)]),
        tools=[
            ToolExecution("call_0", "weather", {"city": "K\u00f6ln"}, False, "5 \u00b0C"),
            ToolExecution("call_1", "clock", {"city": "K\u00f6ln"}, True, "no clock"),
        ],
        messages=[
            Message(role="system", content="Be\nkind."),
            Message(role="user", content="Weather and time?", images=[Image(content=PNG)]),
            Message(
                role="assistant",
                content="Let me see.",
                reasoning_content="first I look",
                tool_calls=calls,
            ),
            Message(role="tool", content="5 \u00b0C", tool_call_id="call_0", tool_name="weather"),
            Message(
                role="tool",
                content="no clock",
                tool_call_id="call_1",
                tool_name="clock",
                tool_call_error=True,
            ),
            Message(role="assistant", content="It is 5 \u00b0C"),
        ],
    )
    _store(db_file, session, [run])


def team(db_file, base_url, session_id, prompt, user_id=None, **options):
    """A team with one member, run by agno itself."""
    writer = make(db_file, base_url, id="writer", name="Writer", role="Writes")
    desk = Team(
        id="desk",
        name="Desk",
        members=[writer],
        model=model(base_url),
        db=SqliteDb(db_file=db_file),
        telemetry=False,
        **options,
    )
    return desk.run(prompt, session_id=session_id, user_id=user_id).to_dict()


def workflow(db_file, base_url, session_id, prompt, user_id=None):
    """A workflow of two steps, run by agno itself."""
    steps = [
        Step(name=name, agent=make(db_file, base_url, id=name, name=name))
        for name in ("research", "write")
    ]
    flow = Workflow(
        id="press",
        name="Press",
        steps=steps,
        db=SqliteDb(db_file=db_file),
        telemetry=False,
    )
    return flow.run(prompt, session_id=session_id, user_id=user_id).to_dict()
