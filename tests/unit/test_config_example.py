"""config.example.toml is complete, and what it shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agnocli.config import AgentConfig, Config, Price, TeamConfig, backend_config, load_config
from agnocli.config.urls import TYPES

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
ENVIRON = {
    "HOME": "/home/u",
    "PGPASSWORD": "p@ss",
    "MYSQL_PASSWORD": "m",
    "REDIS_PASSWORD": "r",
    "MY_API_KEY": "k",
}


@pytest.fixture
def example() -> Config:
    return load_config(str(EXAMPLE), {})


def section(header: str) -> str:
    """The text of one table, up to the next."""
    text = EXAMPLE.read_text()
    start = text.index(f"\n[{header}]") + 1
    end = re.compile(r"^(# )?\[", re.MULTILINE).search(text, start + 1)
    return text[start : end.start() if end else None]


def keys(header: str) -> set[str]:
    return set(re.findall(r"^(?:# )?([a-z_]+) = ", section(header), re.MULTILINE))


def uncommented() -> str:
    """The example with every commented key and table in force."""
    text = EXAMPLE.read_text()
    return re.sub(r"^# (?=[a-z_]+ = |\[[a-z]+\.[a-z]+\]|\[prices)", "", text, flags=re.MULTILINE)


def test_it_has_the_five_backends_under_the_names_of_their_types(example: Config) -> None:
    assert {name: backend.type for name, backend in example.backends.items()} == {
        name: name for name in ("sqlite", "postgres", "mysql", "redis", "mongo")
    }


def test_every_backend_in_it_can_be_chosen(example: Config) -> None:
    chosen = {name: backend_config(example, name, ENVIRON).options for name in example.backends}
    assert chosen == {
        "sqlite": {"db_file": "/home/u/.local/share/agno/agno.db"},
        "postgres": {"db_url": "postgresql+psycopg://agno:p%40ss@localhost:5432/agno"},
        "mysql": {"db_url": "mysql+pymysql://agno:m@localhost:3306/agno"},
        "redis": {"db_url": "redis://localhost:6379/0"},
        "mongo": {"db_url": "mongodb://localhost:27017"},
    }


def test_its_defaults_need_no_variable_but_the_home(example: Config) -> None:
    assert backend_config(example, None, {"HOME": "/home/u"}).name == "sqlite"
    assert example.default_agent in example.agents


@pytest.mark.parametrize("field", AgentConfig.__struct_fields__)
def test_every_key_of_an_agent_stands_in_it(field: str) -> None:
    assert field in keys("agents.assistant")


@pytest.mark.parametrize("field", TeamConfig.__struct_fields__)
def test_every_key_of_a_team_stands_in_it(field: str) -> None:
    assert field in keys("teams.desk")


@pytest.mark.parametrize("kind", sorted(set(TYPES) - {"memory"}))
def test_every_option_of_a_backend_stands_in_it(kind: str) -> None:
    others = {"table_name", "schema", "prefix", "collection", "collection_name"}
    assert set(TYPES[kind].options) - others <= keys(f"backends.{kind}")


def test_what_is_commented_out_is_valid_too(tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    file.write_text(uncommented())
    config = load_config(str(file), {})
    written = config.written["agents"]["assistant"]
    assert set(written) == set(AgentConfig.__struct_fields__)
    assert set(config.written["teams"]["desk"]) == set(TeamConfig.__struct_fields__)
    assert {"scratch", "redis"} <= set(config.backends)
    assert set(config.written["prices"]["openai:gpt-4o-mini"]) == set(Price.__struct_fields__)


def test_no_price_is_in_force_that_the_user_did_not_give(example: Config) -> None:
    assert example.prices == {}


@pytest.mark.parametrize(
    "field",
    ["markdown", "add_session_state_to_context", "enable_session_summaries"],
)
def test_a_default_it_states_is_the_default(field: str) -> None:
    stated = re.search(rf"^# {field} = (\w+)", section("agents.assistant"), re.MULTILINE)
    assert stated
    assert stated.group(1) == str(getattr(AgentConfig(), field)).lower()


def test_it_says_nothing_about_a_secret(example: Config) -> None:
    assert "p%40ss" not in repr(backend_config(example, "postgres", ENVIRON))
