"""Logical names to physical ones, and the spellings of the seed."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

import msgspec

from agnocli.errors import ConfigError

SESSIONS, RUNS, VERSIONS = "agno_sessions", "agno_runs", "agno_schema_versions"
LEDGER = "agnocli_ledger"
"""Ours: what the machines that move one store together have done; not there when nobody does."""
SCHEMA_VERSION = "3.0.0"
"""What Agno 3 stamps on a table it creates: its last migration, not the package's version."""

OTHER_SPELLINGS = {
    "table_name": "session_table",
    "collection_name": "session_collection",
    "prefix": "db_prefix",
    "schema": "db_schema",
    "collection": "session_collection",
}


class Tables(msgspec.Struct, frozen=True):
    """Physical table or collection names."""

    sessions: str = SESSIONS
    runs: str = RUNS
    versions: str = VERSIONS


def tables(
    session_table: str | None = None,
    runs_table: str | None = None,
    versions_table: str | None = None,
) -> Tables:
    """Agno's rule: a renamed sessions table takes its runs table with it, as `<sessions>_runs`."""
    sessions = session_table or SESSIONS
    runs = runs_table or (RUNS if sessions == SESSIONS else f"{sessions}_runs")
    return Tables(sessions, runs, versions_table or VERSIONS)


def placed(address: str, chosen: Tables, what: str = "table") -> str:
    """The address of these tables among others at one place."""
    usual = tables(chosen.sessions)
    told = (("session", chosen.sessions, SESSIONS), ("runs", chosen.runs, usual.runs))
    parts = [f"{kind}_{what}={found}" for kind, found, plain in told if found != plain]
    return address + ("&" if "?" in address else "?") * bool(parts) + "&".join(parts)


def canonical(option: str, known: Collection[str], where: str) -> str:
    """The present name of an option; ConfigError with the nearest for one nobody knows."""
    name = option if option in known else OTHER_SPELLINGS.get(option, option)
    if name in known:
        return name
    accepted = [*known, *(old for old, new in OTHER_SPELLINGS.items() if new in known)]
    near = get_close_matches(option, accepted, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
    raise ConfigError(f"{where}: unknown option {option!r}", hint=hint)
