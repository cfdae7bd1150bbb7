"""Tokens, each counted once: what a run's own requests took, and what runs took that are stored within another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

_SUMMARY = "session_summary_model"
"""Agno's role for the model that writes summaries."""

Named = Callable[[str | None, str | None], str | None]
"""What a model is called, by its provider and id as they are stored."""


def plainly(provider: str | None, model: str | None) -> str | None:
    if not (provider and model):
        return model or None
    return f"{provider.lower()}:{model}"


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a model took. `cached`: input that its provider still had, within `input` or apart from it as it counts."""

    model: str | None = None
    input: int = 0
    output: int = 0
    total: int = 0
    cached: int = 0
    is_summary: bool = False

    def __bool__(self) -> bool:
        return bool(self.input or self.output or self.total or self.cached)


def spent(run: Mapping[str, Any], named: Named = plainly) -> list[Spent]:
    """By this run itself. A team's run holds its leader's requests: members have runs of their own.

    By model where Agno has counted so, else the run's sum, else what its messages tell, repeated history left out.
    """
    metrics = _object(run.get("metrics"))
    if "steps" in metrics:
        of_runs = any(_items(run.get("step_executor_runs")))
        return [] if of_runs else _of_steps(metrics, named)
    model = model_of(run, named)
    return (
        _by_model(metrics, named)
        or _told([_counted(metrics, model)])
        or _told([_of_messages(run, model)])
    )


def nested(run: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Runs that are stored within this one: copies of members' runs, and steps of a workflow."""
    for key in ("member_responses", "step_executor_runs"):
        for one in _items(run.get(key)):
            yield one
            yield from nested(one)
    if isinstance(agent := run.get("workflow_agent_run"), dict):
        yield agent
        yield from nested(agent)


def model_of(run: Mapping[str, Any], named: Named = plainly) -> str | None:
    return named(_text(run.get("model_provider")), _text(run.get("model")))


def is_copy(run: Mapping[str, Any]) -> bool:
    """Whether a fork took it along from another session, where its tokens were spent."""
    return bool(run.get("forked_from_session_id"))


def summaries(session_data: Mapping[str, Any], named: Named = plainly) -> list[Spent]:
    """What summaries took by the session's own count, which may be in its runs as well."""
    details = _object(_object(session_data.get("session_metrics")).get("details"))
    return _told(_details({_SUMMARY: details.get(_SUMMARY)}, named))


def rest(told: Spent, counted: list[Spent]) -> Spent:
    """What is left of it when what was counted already is taken away."""
    same = [one for one in counted if one.model == told.model]
    return Spent(
        model=told.model,
        input=max(0, told.input - sum(one.input for one in same)),
        output=max(0, told.output - sum(one.output for one in same)),
        total=max(0, told.total - sum(one.total for one in same)),
        cached=max(0, told.cached - sum(one.cached for one in same)),
        is_summary=told.is_summary,
    )


def _of_steps(metrics: Mapping[str, Any], named: Named) -> list[Spent]:
    found = []
    for step in _object(metrics["steps"]).values():
        own = _object(_object(step).get("metrics"))
        found += _by_model(own, named) or _told([_counted(own, None)])
    return found


def _by_model(metrics: Mapping[str, Any], named: Named) -> list[Spent]:
    return _told(_details(_object(metrics.get("details")), named))


def _details(details: Mapping[str, Any], named: Named) -> Iterator[Spent]:
    for role, entries in details.items():
        for one in _items(entries):
            model = named(_text(one.get("provider")), _text(one.get("id")))
            yield msgspec.structs.replace(_counted(one, model), is_summary=role == _SUMMARY)


def _of_messages(run: Mapping[str, Any], model: str | None) -> Spent:
    own = (one for one in _items(run.get("messages")) if not one.get("from_history"))
    found = [_counted(_object(one.get("metrics")), model) for one in own]
    return Spent(
        model=model,
        input=sum(one.input for one in found),
        output=sum(one.output for one in found),
        total=sum(one.total for one in found),
        cached=sum(one.cached for one in found),
    )


def _counted(metrics: Mapping[str, Any], model: str | None) -> Spent:
    given, made = _number(metrics.get("input_tokens")), _number(metrics.get("output_tokens"))
    return Spent(
        model=model,
        input=given,
        output=made,
        total=_number(metrics.get("total_tokens")) or given + made,
        cached=_number(metrics.get("cache_read_tokens")),
    )


def _told(found: Any) -> list[Spent]:
    return [one for one in found if one]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> Iterator[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 and not isinstance(value, bool) else 0
