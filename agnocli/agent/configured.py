"""From an agent's or a team's configuration to the settings that its conversations are led with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from agnocli.abc import ChatModel
from agnocli.agent.history import DEFAULT_RUNS
from agnocli.agent.models.keys import model_with_key
from agnocli.agent.models.late import LateModel
from agnocli.agent.settings import SUMMARY_RUNS, ChatSettings

if TYPE_CHECKING:
    from agnocli.agent.runnable import Runnable

DEFAULT_MODEL = "openai:gpt-4o-mini"

MARKDOWN = (
    "<additional_information>\n- Use markdown to format your answers.\n</additional_information>"
)


def settings_of(
    owner: Runnable,
    *,
    stream: bool = True,
    user_id: str | None = None,
    model: ChatModel | None = None,
) -> ChatSettings:
    """`model` is asked where the configuration names none. ConfigError for a model that cannot be had."""
    opened = opened_model(owner) if owner.model is not None or model is None else model
    told = owner.add_session_summary_to_context
    return ChatSettings(
        model=opened,
        kind=owner.kind,
        agent_id=owner.known_as,
        agent_name=owner.name or owner.known_as,
        system=system_text(owner.about()) or None,
        additions=tuple(_additions(owner)),
        history_runs=history_runs(owner),
        history_messages=owner.num_history_messages if owner.num_history_runs is None else None,
        history_tokens=owner.max_history_tokens,
        user_id=user_id if user_id is not None else owner.user_id,
        stream=stream,
        options=_options(owner),
        tools=(*owner.tools, *owner.own_tools(opened)),
        tool_call_limit=owner.tool_call_limit,
        state=owner.session_state or {},
        state_in_context=owner.add_session_state_to_context,
        summary_every=summary_every(owner),
        summary_in_context=owner.enable_session_summaries if told is None else told,
        summary_model=_summary_model(owner),
        retries=owner.retries,
        dependencies=owner.dependencies or {},
        metadata=owner.metadata or {},
    )


def opened_model(owner: Runnable) -> ChatModel:
    """One client for all runs of an agent. ConfigError."""
    named = owner.model or DEFAULT_MODEL
    if not isinstance(named, str):
        return named
    key = (named, owner.base_url, owner.api_key)
    if owner.opened is None or owner.opened[0] != key:
        owner.opened = (key, LateModel(model_with_key(*key, os.environ)))
    return owner.opened[1]


def _summary_model(owner: Runnable) -> ChatModel | None:
    named = owner.summary_model
    return (
        LateModel(model_with_key(named, None, None, os.environ))
        if isinstance(named, str)
        else named
    )


def history_runs(owner: Runnable) -> int | None:
    """How many past turns are sent; None where only messages are counted."""
    if not owner.add_history_to_context:
        return 0
    if owner.num_history_runs is not None:
        return max(0, owner.num_history_runs)
    return None if owner.num_history_messages is not None else DEFAULT_RUNS


def summary_every(owner: Runnable) -> int | None:
    if not owner.enable_session_summaries:
        return None
    return max(1, owner.session_summary_num_runs or SUMMARY_RUNS)


def slug(name: str) -> str:
    """A name as an id, as Agno makes one."""
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def _options(owner: Runnable) -> Mapping[str, object]:
    given = {"temperature": owner.temperature, "max_tokens": owner.max_tokens}
    return {name: value for name, value in given.items() if value is not None}


def _additions(owner: Runnable) -> Iterator[str]:
    yield from owner.context()
    if owner.markdown:
        yield MARKDOWN
    if owner.expected_output:
        yield f"<expected_output>\n{owner.expected_output}\n</expected_output>"
    if owner.additional_context:
        yield owner.additional_context


def system_text(parts: Sequence[str | None]) -> str:
    return "\n\n".join(filter(None, parts))


def listed(instructions: str | Sequence[str] | None) -> str | None:
    """Several instructions as a list; where one has several lines, as paragraphs."""
    if not instructions:
        return None
    if isinstance(instructions, str):
        return instructions
    if any("\n" in one for one in instructions):
        return "\n\n".join(instructions)
    bullet = "- " if len(instructions) > 1 else ""
    return "\n".join(bullet + one for one in instructions)


def role_text(role: str | None) -> str | None:
    return f"<your_role>\n{role}\n</your_role>" if role else None
