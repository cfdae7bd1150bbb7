from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Agno, fingerprint

SECRETS = """
default_backend = "main"
default_agent = "writer"

[backends.main]
type = "postgres"
db_url = "postgresql://agno:hunter2@localhost/agno?sslpassword=hunter2"

[backends.cache]
type = "redis"
host = "localhost"
password = "hunter2"

[backends.safe]
type = "mysql"
db_url = "mysql://agno:${env:MYSQL_PASSWORD}@localhost/agno"

[agents.writer]
model = "openai:gpt-4o-mini"
api_key = "hunter2"
"""


def test_path_is_the_file_in_use_or_where_one_would_be(agno: Agno) -> None:
    ran = agno("config", "path")
    assert ran.out == f"{agno.config}\n"
    assert "agno config init" in ran.err
    assert agno("config", "path", "-o", "json").json == {"path": str(agno.config), "exists": False}
    agno.configure("")
    ran = agno("config", "path")
    assert (ran.out, ran.err) == (f"{agno.config}\n", "")
    assert agno("config", "path", "-o", "json").json["exists"] is True


def test_init_writes_a_file_that_is_right(agno: Agno) -> None:
    assert agno("config", "init").out == f"{agno.config}\n"
    assert agno("config", "check").status == 0
    ran = agno("chat", "hi")
    assert ran.out.startswith("I am echo")
    assert agno.database.exists()


def test_init_overwrites_only_when_told_to(agno: Agno) -> None:
    agno.configure("# mine\n")
    ran = agno("config", "init")
    assert ran.error == (5, f"{agno.config} is there already")
    assert "--force" in ran.hint
    assert agno.config.read_text() == "# mine\n"
    assert agno("config", "init", "--force", "-n").status == 0
    assert agno.config.read_text() == "# mine\n"
    assert agno("config", "init", "--force").status == 0
    assert agno.config.read_text() != "# mine\n"


def test_init_writes_where_it_is_told_to(agno: Agno) -> None:
    place = agno.home / "deep" / "er" / "agno.toml"
    ran = agno("config", "init", "--config", str(place), "-o", "json")
    assert ran.json == {"path": str(place), "dry_run": False}
    assert place.exists()
    ran = agno("config", "init", "--config", "/proc/nowhere/x.toml")
    assert ran.error[0] == 6


def test_init_as_a_dry_run_writes_nothing(agno: Agno) -> None:
    assert agno("config", "init", "-n").out == f"{agno.config}\n"
    assert fingerprint(agno.home) == {}


@pytest.mark.parametrize("output", ["table", "tsv", "csv", "json", "jsonl", "ids"])
def test_show_masks_secrets_everywhere(agno: Agno, output: str) -> None:
    agno.configure(SECRETS)
    agno.variables["MYSQL_PASSWORD"] = "hunter2"
    for more in ([], ["--origin"], ["-v"], ["--debug"]):
        ran = agno("config", "show", "-o", output, *more)
        assert ran.status == 0
        assert "hunter2" not in ran.out + ran.err
    assert "${env:MYSQL_PASSWORD}" in agno("config", "show", "-o", "json").out


def test_no_command_shows_a_secret(agno: Agno) -> None:
    agno.configure(SECRETS)
    for line in (
        ["config", "check"],
        ["config", "path"],
        ["backends", "list"],
        ["backends", "check"],
        ["sessions", "list"],
        ["sessions", "list", "-b", "cache"],
        ["chat", "hi"],
        ["models", "list"],
    ):
        ran = agno(*line, "-v", "--debug")
        assert "hunter2" not in ran.out + ran.err, line


def test_show_tells_where_each_value_comes_from(agno: Agno) -> None:
    agno.configure('default_backend = "mine"\n[backends.mine]\ntype = "memory"\n')
    agno.variables["AGNO_MODEL"] = "echo"
    rows = agno("config", "show", "--origin", "-o", "json").json
    found = {row["key"]: (row["value"], row["origin"]) for row in rows}
    assert found["backend"] == ("mine", f"file {agno.config}")
    assert found["model"] == ("echo", "env AGNO_MODEL")
    assert found["output"][1] == "default"
    flagged = agno("config", "show", "--origin", "-o", "json", "-b", "memory").json
    assert {row["key"]: row["origin"] for row in flagged}["backend"] == "flag --backend"
    assert "origin" not in agno("config", "show", "-o", "csv").lines[0]


def test_check_names_every_problem(agno: Agno) -> None:
    agno.configure(
        'default_backend = "nowhere"\n'
        '[backends.a]\ntype = "sqlite"\ndb_file = "${env:NOT_SET}"\n'
        '[backends.b]\ntype = "nosuch"\n'
        '[agents.x]\nmodel = "opnai:gpt-4o"\n'
        '[agents.y]\nmodel = "echo"\n'
    )
    ran = agno("config", "check", "-o", "json")
    assert ran.status == 6
    assert ran.json["path"] == str(agno.config)
    assert ran.json["ok"] is False
    keys = [problem.partition(":")[0] for problem in ran.json["problems"]]
    assert keys == ["default_backend", "backends.a", "backends.b", "agents.x"]
    text = agno("config", "check")
    assert len(text.lines) == 4
    assert text.err == f"{agno.config}: 4 problems\n"


def test_check_accepts_the_defaults_and_an_agents_own_key(agno: Agno) -> None:
    assert agno("config", "check").err == "built-in defaults: all right\n"
    agno.configure('[agents.x]\nmodel = "openai:gpt-4o"\napi_key = "k"\n')
    assert agno("config", "check", "-o", "json").json == {
        "path": str(agno.config),
        "ok": True,
        "problems": [],
    }


def test_a_configuration_of_the_folder_is_found(agno: Agno) -> None:
    Path("agno.toml").write_text('[agents.x]\nmodel = "echo"\n')
    assert agno("config", "check").err == "agno.toml: all right\n"
