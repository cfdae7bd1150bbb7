"""What is likely to be meant otherwise in an agent's configuration: said once, and by `agno doctor`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from agnocli.agent import configured
from agnocli.agent.recovery import Recovery

if TYPE_CHECKING:
    from agnocli.agent.runnable import Runnable

MANY_RUNS = 20
"""More past turns than this cost more than they help."""

_log = logging.getLogger("agnocli")
_said: set[str] = set()


def advice(owner: Runnable, environ: Mapping[str, str]) -> Iterator[str]:
    """One line each, beginning with who is meant."""
    for line in _advice(owner, environ):
        yield f"{owner.kind} {owner.known_as!r}: {line}"


def _advice(owner: Runnable, environ: Mapping[str, str]) -> Iterator[str]:
    runs, every = configured.history_runs(owner), configured.summary_every(owner)
    if owner.db is not None and not owner.add_history_to_context and every is None:
        yield "past turns are stored and not sent to the model; add_history_to_context=True sends them"
    if owner.db is None and owner.add_history_to_context:
        yield "without db= the conversation ends with this process"
    if owner.db is not None and is_production(environ) and "://" not in owner.db.address:
        yield "SQLite serves one machine and one writer at a time; in production use PostgresDb or MySQLDb"
    if owner.num_history_runs is not None and owner.num_history_messages is not None:
        yield "num_history_messages is not looked at beside num_history_runs"
    if runs is not None and runs > MANY_RUNS:
        yield f"num_history_runs={runs} fills the model's context with old turns; summaries keep it short"
    if every is not None and runs is not None and 0 < runs < every - 1:
        yield (
            f"up to {every - runs - 1} turns are neither in the last {runs} that are sent nor yet in the summary; "
            f"session_summary_num_runs={runs + 1} closes the gap"
        )
    from agnocli.secrets import secret_places

    for place in secret_places(owner.session_state or {}):
        yield f"session_state.{place} looks like a secret, and is stored as plain text"


def is_production(environ: Mapping[str, str]) -> bool:
    """Whether what deployments set says so."""
    names = ("AGNO_ENV", "APP_ENV", "ENVIRONMENT", "ENV", "NODE_ENV", "FLASK_ENV", "RAILS_ENV")
    said = {environ.get(name, "").strip().lower() for name in names}
    workers = environ.get("WEB_CONCURRENCY", "").strip()
    several = workers.isdecimal() and int(workers) > 1
    return bool(said & {"prod", "production"}) or several or "KUBERNETES_SERVICE_HOST" in environ


def warn(owner: Runnable, session_id: str | None) -> None:
    """Log what is to be said of this agent, each thing once in a process."""
    if not owner.advised:
        owner.advised = True
        for line in advice(owner, os.environ):
            _once(line)
    if session_id is None and owner.db is not None:
        _once(
            f"{owner.kind} {owner.known_as!r}: without session_id= each run is a session of its own; "
            "its id is the session_id of the run's output"
        )


def tell(recovery: Recovery) -> None:
    """Log what was found of turns that did not end."""
    for run_id in recovery.interrupted:
        _log.warning("run %s was interrupted; what was said of it is kept", run_id)


def notice(text: str) -> None:
    _log.warning(text)


def _once(line: str) -> None:
    if line not in _said:
        _said.add(line)
        _log.warning(line)
