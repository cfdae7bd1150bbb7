# mypy: ignore-errors
"""What a turn costs agno without its model: seconds."""

import time

from agno.agent import Agent
from agno.models.base import Model
from agno.models.response import ModelResponse
from speed import database


class Instant(Model):
    """Answers at once."""

    def __init__(self):
        super().__init__(id="instant", name="Instant", provider="Tests")

    def invoke(self, *args, **kwargs):
        return ModelResponse(role="assistant", content="Yes.")

    async def ainvoke(self, *args, **kwargs):
        return self.invoke()

    def invoke_stream(self, *args, **kwargs):
        yield self.invoke()

    async def ainvoke_stream(self, *args, **kwargs):
        yield self.invoke()

    def _parse_provider_response(self, response, **kwargs):
        return response

    def _parse_provider_response_delta(self, response):
        return response


def turns(kind, place, session_ids):
    """The least that a first turn in a session takes, and a later one, of one agent that has warmed up."""
    agent = Agent(
        id="a",
        model=Instant(),
        db=database(kind, place),
        telemetry=False,
        add_history_to_context=True,
        num_history_runs=5,
    )
    agent.run("Hello", session_id="nobody")
    rounds = max(1, 20 // len(session_ids))
    return [least_of(agent, session_ids), least_of(agent, session_ids * rounds)]


def least_of(agent, session_ids):
    found = []
    for session_id in session_ids:
        started = time.perf_counter()
        output = agent.run("Hello?", session_id=session_id)
        found.append(time.perf_counter() - started)
        assert (output.status.value, output.content) == ("COMPLETED", "Yes.")
    return min(found)
