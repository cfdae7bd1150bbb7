"""The file that `config init` writes."""

from __future__ import annotations

from pathlib import Path

_STARTER = """\
# {path}: where agno keeps conversations, and who answers. `agno config check` reads it,
# `agno config show --origin` shows what is in force.

default_backend = "sqlite"
default_agent = "assistant"

[backends.sqlite]
type = "sqlite"
db_file = "${{xdg:data}}/agno/agno.db"

# [backends.postgres]
# type = "postgres"
# db_url = "postgresql+psycopg://agno:${{env:PGPASSWORD}}@localhost:5432/agno"

[agents.assistant]
# PROVIDER:ID, PROVIDER:ID@BASE_URL, or "echo", which is no model: it repeats what it is told, offline.
# Its key comes from the provider's variable, as OPENAI_API_KEY.
model = "echo"
# model = "openai:gpt-4o-mini"
instructions = "You are a helpful assistant."
num_history_runs = 5
"""


def init_config(path: str | Path) -> str:
    """Text for a new file at `path`, which the caller writes."""
    name = "".join(one if one.isprintable() else "?" for one in str(path))
    return _STARTER.format(path=name)
