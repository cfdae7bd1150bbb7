"""How sessions stand in a listing."""

from __future__ import annotations

from agnocli.cli.render.table import Column
from agnocli.records import SessionInfo

COLUMNS = [
    Column("session_id", "ID", "id"),
    Column("title", "TITLE"),
    Column("name", "NAME", table=False),
    Column("type", "TYPE", rank=3),
    Column("agent_id", "AGENT", rank=2),
    Column("team_id", "TEAM", rank=4),
    Column("workflow_id", "WORKFLOW", rank=5),
    Column("user_id", "USER", rank=3),
    Column("runs", "RUNS", "number", rank=1),
    Column("created_at", "CREATED", "time", table=False),
    Column("updated_at", "UPDATED", "time", rank=1),
    Column("model", "MODEL", rank=6),
    Column("status", "STATUS", "status", rank=4),
    Column("tags", "TAGS", rank=5),
    Column("backend", "BACKEND", table=False),
]
PROMISED = [
    "session_id",
    "name",
    "title",
    "type",
    "agent_id",
    "team_id",
    "workflow_id",
    "user_id",
    "runs",
    "created_at",
    "updated_at",
    "backend",
]


def row(info: SessionInfo, backend: str) -> dict[str, object]:
    found: dict[str, object] = {name: getattr(info, name, None) for name in PROMISED}
    more = {"status": info.status, "model": info.model, "tags": info.tags}
    return found | {"backend": backend} | more
