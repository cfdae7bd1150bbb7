from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agnocli import config as config_module
from agnocli.config import (
    AgentConfig,
    BackendConfig,
    Config,
    Price,
    agent_config,
    backend_config,
    cache_dir,
    config_dir,
    data_dir,
    init_config,
    load_config,
    masked,
    masked_url,
    origins,
    resolve,
    state_dir,
    team_config,
)
from agnocli.errors import ConfigError

HOME = {"HOME": "/home/u"}
Write = Callable[[str], Config]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a configuration and loads it."""

    def load(text: str) -> Config:
        file = tmp_path / "agno.toml"
        file.write_text(text)
        return load_config(str(file), {})

    return load


def refused(load: Callable[[], object]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load()
    assert "\n" not in caught.value.message
    return caught.value


# folders


@pytest.mark.parametrize(
    ("folder", "variable", "fallback"),
    [
        (config_dir, "XDG_CONFIG_HOME", ".config"),
        (data_dir, "XDG_DATA_HOME", ".local/share"),
        (state_dir, "XDG_STATE_HOME", ".local/state"),
        (cache_dir, "XDG_CACHE_HOME", ".cache"),
    ],
)
def test_a_folder_is_where_its_variable_says_else_below_home(
    folder: Callable[[dict[str, str]], Path], variable: str, fallback: str
) -> None:
    assert folder(HOME | {variable: "/x"}) == Path("/x/agno")
    assert folder(HOME) == Path("/home/u") / fallback / "agno"


@pytest.mark.parametrize("value", ["", "relative/place", "./x", "~/x"])
def test_a_relative_xdg_folder_is_ignored(value: str) -> None:
    assert data_dir(HOME | {"XDG_DATA_HOME": value}) == Path("/home/u/.local/share/agno")


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "here"}])
def test_without_a_usable_home_the_system_is_asked(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/system")
    assert data_dir(environ) == Path("/home/system/.local/share/agno")


def test_the_process_environment_counts_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/from/env")
    assert cache_dir() == Path("/from/env/agno")


# which file


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment whose user configuration exists, in a folder where a local one may be put."""
    (tmp_path / "here").mkdir()
    (tmp_path / "xdg" / "agno").mkdir(parents=True)
    (tmp_path / "xdg" / "agno" / "config.toml").write_text('default_backend = "user"')
    (tmp_path / "other.toml").write_text('default_backend = "other"')
    monkeypatch.chdir(tmp_path / "here")
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}


def test_the_local_file_comes_before_the_users(places: dict[str, str]) -> None:
    assert load_config(None, places).default_backend == "user"
    Path("agno.toml").write_text('default_backend = "local"')
    assert load_config(None, places).default_backend == "local"
    assert load_config(None, places).path == Path("agno.toml")


def test_a_named_file_comes_before_all_and_the_flag_before_the_variable(
    places: dict[str, str], tmp_path: Path
) -> None:
    Path("agno.toml").write_text('default_backend = "local"')
    named = places | {"AGNO_CONFIG": str(tmp_path / "other.toml")}
    assert load_config(None, named).default_backend == "other"
    assert load_config("agno.toml", named).default_backend == "local"
    assert load_config("~/other.toml", places).default_backend == "other"


def test_none_means_no_file_at_all(places: dict[str, str]) -> None:
    Path("agno.toml").write_text("not toml at all")
    assert load_config("none", places) == Config()
    assert load_config(None, places | {"AGNO_CONFIG": "none"}) == Config()


def test_an_empty_variable_names_no_file(places: dict[str, str]) -> None:
    assert load_config(None, places | {"AGNO_CONFIG": ""}).default_backend == "user"


def test_without_any_file_the_defaults_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(None, {"HOME": str(tmp_path)}) == Config()


def test_a_named_file_that_is_missing_is_an_error_with_who_named_it(places: dict[str, str]) -> None:
    error = refused(lambda: load_config(None, places | {"AGNO_CONFIG": "gone.toml"}))
    assert "gone.toml" in error.message
    assert "AGNO_CONFIG" in error.message
    assert "config init" in str(error.hint)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(lambda: load_config(str(tmp_path), {})).message


def test_an_unreadable_default_file_is_an_error(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    assert "Permission denied" in refused(lambda: load_config(None, places)).message


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "agno.toml"
    file.write_bytes(b'\xef\xbb\xbfdefault_backend = "memory"')
    assert load_config(str(file), {}).default_backend == "memory"


# what is wrong with a file


@pytest.mark.parametrize(
    ("text", "parts", "hint"),
    [
        ('default_backend = "x\n', ["not valid TOML", "line 1"], ""),
        ('a = 1\na = "twice"\n', ["not valid TOML", "line 2"], ""),
        ("x = " + "9" * 5000, ["not valid TOML"], ""),
        ("x = " + "[" * 100_000, ["not valid TOML"], ""),
        ("\n[backend.x]\n", ["line 2: ", "backend: unknown key"], "'backends'"),
        ("default_backend = 5", ["line 1: default_backend: expected text, got a number"], ""),
        ('agents = "x"', ["agents: expected a table, got text"], ""),
        ("[agents]\nx = 5", ["line 2: agents.x: expected a table, got a number"], ""),
        ('[agents.x]\n\nmodle = "echo"', ["line 3: agents.x.modle: unknown key"], "'model'"),
        ("agents.x.modle = 1", ["line 1: agents.x.modle: unknown key"], "'model'"),
        ('[agents."x"]\nmodel = 5', ["line 2: agents.x.model: expected str | null, got int"], ""),
        ("[agents.x]\ntools = ['a', 5]", ["line 2: agents.x.tools[1]: expected str, got int"], ""),
        ("[agents.x]\nnum_history_runs = -1", ["agents.x.num_history_runs", ">= 0"], ""),
        ("[agents.x]\nmax_tokens = 0", ["agents.x.max_tokens", ">= 1"], ""),
        ("[agents.x]\ntemperature = nan", ["agents.x.temperature", ">= 0"], ""),
        ("[agents.x]\nmarkdown = 'yes'", ["agents.x.markdown", "expected bool"], ""),
        ("[agents.x]\nsession_state = {t = 07:30:00}", ["agents.x.session_state", "time"], ""),
        ("[agents.x]\nmodel = '${evn:M}'", ["agents.x.model", "'${evn:'"], "${env:NAME}"),
        (
            'default_agent = "assistent"\n[agents.assistant]',
            ["line 1: default_agent"],
            "'assistant'",
        ),
        ('default_agent = "x"', ["default_agent: no agent 'x'"], "there is none yet"),
        ("[teams.t]", ["line 1: teams.t: ", "members"], ""),
        ("[teams.t]\nmembers = []", ["line 2: teams.t.members", "length >= 1"], ""),
        (
            "[teams.t]\nmembers = ['a']\n[agents.b]",
            ["line 2: teams.t.members: no agent 'a'"],
            "known: b",
        ),
        (
            "[agents.a]\n[teams.t]\nmembers = ['a']\nmode = 'rout'",
            ["line 4: teams.t.mode"],
            "route, coordinate, broadcast",
        ),
        ("[teams.t]\nmember = ['a']", ["teams.t.member: unknown key"], "'members'"),
        ("[backends.sqlite]", ["line 1: ", "backends.sqlite.type"], 'type = "sqlite"'),
        ("[backends.x]\ntype = 1", ["line 2: backends.x.type"], 'type = "sqlite"'),
        ("[backends.x]\ntype = 'sqlite'\ndb_fil = 'a'", ["line 3: backends.x.db_fil"], "'db_file'"),
        ("[backends.x]\ntype = 'sqlite'\nreadonly = true", ["backends.x.readonly"], "'read_only'"),
        ("[backends.x]\ntype = 'sqlite'\nread_only = 1", ["read_only: expected true or false"], ""),
        (
            "[backends.x]\ntype = 'sqlite'\ndb_file = 5",
            ["db_file: expected text, got a number"],
            "",
        ),
        (
            "[backends.x]\ntype = 'redis'\nport = '1'",
            ["port: expected a whole number, got text"],
            "",
        ),
        (
            "[backends.x]\ntype = 'redis'\nport = true",
            ["port: expected a whole number, got true"],
            "",
        ),
        ("[backends.x]\ntype = 'redis'\npassword = '${PW}'", ["'${PW}' is no reference"], ""),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_way_out(
    write: Write, text: str, parts: list[str], hint: str
) -> None:
    error = refused(lambda: write(text))
    assert "agno.toml" in error.message
    for part in parts:
        assert part in error.message
    assert hint in (error.hint or "")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "agno.toml"
    file.write_bytes(b'x = "\xff"')
    assert "not UTF-8" in refused(lambda: load_config(str(file), {})).message


@pytest.mark.parametrize("key", ["path", "written"])
def test_what_the_program_adds_cannot_be_set_by_a_file(write: Write, key: str) -> None:
    assert f"{key}: unknown key" in refused(lambda: write(f"{key} = 1")).message


def test_an_option_of_an_installed_type_is_left_to_it(write: Write) -> None:
    config = write("[backends.x]\ntype = 'elsewhere'\nsome = {thing = [1]}")
    assert backend_config(config, "x", {}).options == {"some": {"thing": [1]}}


# agents and teams


def test_an_agent_has_its_keys_name_unless_it_says_otherwise(write: Write) -> None:
    config = write("[agents.a]\n[agents.b]\nname = 'Bert'\nid = 'b-1'")
    assert (config.agents["a"].id, config.agents["a"].name) == ("a", "a")
    assert (config.agents["b"].id, config.agents["b"].name) == ("b-1", "Bert")


def test_an_agent_sends_history_unless_told_not_to(write: Write) -> None:
    config = write("[agents.a]\n[agents.b]\nadd_history_to_context = false")
    assert config.agents["a"].add_history_to_context
    assert not config.agents["b"].add_history_to_context


def test_instructions_may_be_one_text_or_several(write: Write) -> None:
    config = write("[agents.a]\ninstructions = 'x'\n[agents.b]\ninstructions = ['x', 'y']")
    assert config.agents["a"].instructions == "x"
    assert config.agents["b"].instructions == ("x", "y")


def test_prose_may_hold_what_looks_like_a_reference(write: Write) -> None:
    config = write("[agents.a]\ninstructions = 'In bash write ${x:-1} or ${y}.'")
    assert agent_config(config, "a", {}).instructions == "In bash write ${x:-1} or ${y}."


def test_references_are_looked_up_for_the_chosen_agent_only(write: Write) -> None:
    config = write(
        "[agents.a]\napi_key = '${env:A_KEY}'\ninstructions = ['Hi ${env:NAME}', 'x']\n"
        "session_state = {who = '${env:NAME}', n = [1, '${env:NAME}']}\n"
        "[agents.b]\napi_key = '${env:B_KEY}'"
    )
    chosen = agent_config(config, "a", {"A_KEY": "k", "NAME": "Al"})
    assert chosen.api_key == "k"
    assert chosen.instructions == ("Hi Al", "x")
    assert chosen.session_state == {"who": "Al", "n": [1, "Al"]}
    error = refused(lambda: agent_config(config, "b", {}))
    assert "agents.b.api_key needs the environment variable B_KEY" in error.message


def test_without_a_name_the_default_agent_answers(write: Write) -> None:
    config = write("default_agent = 'a'\n[agents.a]\nmodel = 'echo'")
    assert agent_config(config, None, {}).model == "echo"
    assert agent_config(Config(), None, {}) == AgentConfig(id="assistant", name="assistant")


def test_an_unknown_agent_or_team_is_refused_with_the_nearest(write: Write) -> None:
    config = write("[agents.helper]\n[teams.desk]\nmembers = ['helper']")
    assert refused(lambda: agent_config(config, "helpr", {})).hint == "did you mean 'helper'?"
    assert refused(lambda: team_config(config, "desc", {})).hint == "did you mean 'desk'?"
    assert team_config(config, "desk", {}).members == ("helper",)


# references


def test_a_backend_that_is_not_chosen_needs_no_variable(write: Write) -> None:
    config = write(
        "[backends.a]\ntype = 'sqlite'\ndb_file = '/a.db'\n"
        "[backends.b]\ntype = 'postgres'\ndb_url = 'postgresql://u:${env:PGPASSWORD}@h/db'"
    )
    assert backend_config(config, "a", {}).options == {"db_file": "/a.db"}
    error = refused(lambda: backend_config(config, "b", {}))
    assert "backends.b.db_url needs the environment variable PGPASSWORD" in error.message
    assert "agno.toml" in error.message
    assert "export PGPASSWORD" in str(error.hint)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("postgresql://u:${env:PW}@h/db", "postgresql://u:p%40%2F%25%23%3A%3F%20@h/db"),
        ("postgresql://${env:PW}:x@h/db", "postgresql://p%40%2F%25%23%3A%3F%20:x@h/db"),
        ("postgresql://u:a${env:ONE}b@h/${env:ONE}", "postgresql://u:a1%2Fb@h/1/"),
        ("postgresql://${env:HOST}/db", "postgresql://db.example/db"),
        ("postgresql://u:${env:ONE}@${env:HOST}/db", "postgresql://u:1%2F@db.example/db"),
        ("${env:URL}", "postgresql://u:p%40@h/db"),
        ("postgresql://u:${file:pw/a@b}@h/db", "postgresql://u:f%40@h/db"),
    ],
)
def test_what_is_put_into_the_user_part_of_a_url_is_encoded(
    write: Write, tmp_path: Path, template: str, expected: str
) -> None:
    (tmp_path / "pw").mkdir()
    (tmp_path / "pw" / "a@b").write_text("f@\n")
    config = write(f"[backends.b]\ntype = 'postgres'\ndb_url = '{template}'")
    environ = {
        "PW": "p@/%#:? ",
        "ONE": "1/",
        "HOST": "db.example",
        "URL": "postgresql://u:p%40@h/db",
    }
    assert backend_config(config, "b", environ).options == {"db_url": expected}


def test_outside_of_a_url_nothing_is_encoded_and_nothing_looked_up_twice(write: Write) -> None:
    config = write("[backends.b]\ntype = 'redis'\npassword = 'x${env:PW}'")
    assert backend_config(config, "b", {"PW": "@${env:PW}"}).options == {"password": "x@${env:PW}"}


def test_a_variable_may_be_empty(write: Write) -> None:
    config = write("[backends.b]\ntype = 'redis'\npassword = '${env:PW}'")
    assert backend_config(config, "b", {"PW": ""}).options == {"password": ""}


@pytest.mark.parametrize(
    ("content", "value"), [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), (" s", " s")]
)
def test_a_file_gives_its_text_without_the_last_line_end(
    write: Write, tmp_path: Path, content: str, value: str
) -> None:
    (tmp_path / "secret").write_bytes(content.encode())
    config = write("[backends.b]\ntype = 'redis'\npassword = '${file:secret}'")
    assert backend_config(config, "b", {}).options == {"password": value}


def test_a_file_in_the_home_folder_may_be_named(write: Write, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    config = write("[backends.b]\ntype = 'redis'\npassword = '${file:~/secret}'")
    assert backend_config(config, "b", {"HOME": str(tmp_path)}).options == {"password": "s"}


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_cannot_be_read_is_named_with_its_key(
    write: Write, tmp_path: Path, content: bytes | None
) -> None:
    if content:
        (tmp_path / "secret").write_bytes(content)
    config = write("[backends.b]\ntype = 'redis'\npassword = '${file:secret}'")
    error = refused(lambda: backend_config(config, "b", {}))
    assert f"backends.b.password needs the file {tmp_path / 'secret'}" in error.message


def test_the_xdg_folders_may_be_named(write: Write) -> None:
    config = write("[backends.b]\ntype = 'sqlite'\ndb_file = '${xdg:state}/x.db'")
    assert backend_config(config, "b", HOME).options == {"db_file": "/home/u/.local/state/x.db"}
    config = write("[backends.b]\ntype = 'sqlite'\ndb_file = '${xdg:home}/x.db'")
    error = refused(lambda: backend_config(config, "b", HOME))
    assert "backends.b.db_file" in error.message
    assert "data" in str(error.hint)


def test_a_number_may_come_out_of_a_variable(write: Write) -> None:
    config = write("[backends.b]\ntype = 'redis'\nport = '${env:PORT}'")
    assert backend_config(config, "b", {"PORT": "6380"}).options == {"port": 6380}
    error = refused(lambda: backend_config(config, "b", {"PORT": "s3cret"}))
    assert "backends.b.port must be a whole number" in error.message
    assert "s3cret" not in error.message


# choosing a backend


def test_without_a_reference_it_is_the_file_in_the_data_folder() -> None:
    assert backend_config(Config(), None, HOME) == BackendConfig(
        name="default", type="sqlite", options={"db_file": "/home/u/.local/share/agno/agno.db"}
    )


def test_a_reference_wins_over_the_variable_and_that_over_the_file(write: Write) -> None:
    config = write(
        "default_backend = 'c'\n"
        + "".join(f"[backends.{name}]\ntype = 'memory'\n" for name in "abc")
    )
    environ = {"AGNO_BACKEND": "b"}
    assert backend_config(config, "a", environ).name == "a"
    assert backend_config(config, None, environ).name == "b"
    assert backend_config(config, None, {"AGNO_BACKEND": ""}).name == "c"


def test_sqlite_and_memory_mean_something_without_a_configuration() -> None:
    assert backend_config(Config(), "sqlite", HOME).options == {
        "db_file": "/home/u/.local/share/agno/agno.db"
    }
    assert backend_config(Config(), "memory", {}).type == "memory"


def test_a_configured_name_wins_over_what_it_means_otherwise(write: Write) -> None:
    config = write(
        "[backends.sqlite]\ntype = 'sqlite'\ndb_file = '/mine.db'\n[backends.'a.db']\ntype='memory'"
    )
    assert backend_config(config, "sqlite", HOME).options == {"db_file": "/mine.db"}
    assert backend_config(config, "a.db", HOME).type == "memory"


@pytest.mark.parametrize("path", ["./x.db", "x.db", "/a/b.sqlite", "x.sqlite3"])
def test_a_path_of_an_sqlite_file_is_a_backend(path: str) -> None:
    found = backend_config(Config(), path, {})
    assert (found.type, found.options) == ("sqlite", {"db_file": path})


def test_another_path_is_refused_with_the_url_for_it() -> None:
    assert "sqlite:///dir/file" in str(
        refused(lambda: backend_config(Config(), "dir/file", {})).hint
    )


def test_an_unknown_name_is_refused_with_the_nearest_and_all(write: Write) -> None:
    config = write("[backends.prod]\ntype = 'memory'\n[backends.test]\ntype = 'memory'")
    error = refused(lambda: backend_config(config, "prd", {}))
    assert "'prd'" in error.message
    assert "'prod'" in str(error.hint)
    assert "memory, prod, sqlite, test" in str(error.hint)


def test_an_unknown_name_says_who_gave_it(write: Write) -> None:
    assert (
        "AGNO_BACKEND"
        in refused(lambda: backend_config(Config(), None, {"AGNO_BACKEND": "x"})).message
    )
    assert (
        "file" in refused(lambda: backend_config(write("default_backend = 'x'"), None, {})).message
    )
    assert refused(lambda: backend_config(Config(), "", {}))


@pytest.mark.parametrize("kind", ["postgres", "mysql", "redis", "mongo"])
def test_a_types_name_that_is_not_configured_says_how_to(kind: str) -> None:
    error = refused(lambda: backend_config(Config(), kind, {}))
    assert f"[backends.{kind}]" in str(error.hint)
    assert f'type = "{kind}"' in str(error.hint)


@pytest.mark.parametrize("option", ["db_file = 'data/x.db'", "db_url = 'sqlite:///data/x.db'"])
def test_a_relative_file_is_beside_its_configuration(
    write: Write, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(f"[backends.a]\ntype = 'sqlite'\n{option}")
    monkeypatch.chdir("/")
    assert backend_config(config, "a", {}).options == {"db_file": str(tmp_path / "data/x.db")}


def test_a_tilde_is_the_home_folder(write: Write) -> None:
    config = write("[backends.a]\ntype = 'sqlite'\ndb_file = '~/x.db'")
    assert backend_config(config, "a", HOME).options == {"db_file": "/home/u/x.db"}
    assert backend_config(config, "sqlite:///~/x.db", HOME).options == {"db_file": "/home/u/x.db"}


def test_a_table_and_its_url_are_read_together(write: Write) -> None:
    config = write(
        "[backends.a]\ntype = 'postgres'\nsession_table = 's'\n"
        "db_url = 'postgresql://h/db?schema=x&sslmode=require&read_only=true'"
    )
    found = backend_config(config, "a", {})
    assert found.options == {
        "session_table": "s",
        "schema": "x",
        "db_url": "postgresql://h/db?sslmode=require",
    }
    assert found.read_only


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ("db_url = 'mysql://h/db'", "backends.a.db_url is a mysql URL"),
        ("db_url = 'localhost'", "backends.a.db_url is not a URL"),
        ("db_url = 'postgresql://h/db?schema=x'\nschema = 'y'", "schema stands there twice"),
        ("db_url = 'postgresql://u:geheim@h:x/db'", "backends.a.db_url: postgresql://u:***@h:x/db"),
    ],
)
def test_a_url_in_a_table_must_fit_it(write: Write, options: str, part: str) -> None:
    config = write(f"[backends.a]\ntype = 'postgres'\n{options}")
    message = refused(lambda: backend_config(config, "a", {})).message
    assert part in message
    assert "agno.toml" in message
    assert "geheim" not in message


# URLs


@pytest.mark.parametrize(
    ("url", "kind", "options"),
    [
        ("sqlite:///a/b.db", "sqlite", {"db_file": "a/b.db"}),
        ("sqlite:////a/b.db", "sqlite", {"db_file": "/a/b.db"}),
        ("SQLite+pysqlite:///a.db", "sqlite", {"db_file": "a.db"}),
        ("sqlite:///a%3Fb%20c#d@e.db", "sqlite", {"db_file": "a?b c#d@e.db"}),
        (
            "sqlite:///a.db?session_table=s&runs_table=r%26r",
            "sqlite",
            {"db_file": "a.db", "session_table": "s", "runs_table": "r&r"},
        ),
        ("postgresql://u@h/db", "postgres", {"db_url": "postgresql://u@h/db"}),
        ("postgres://h/db", "postgres", {"db_url": "postgres://h/db"}),
        (
            "postgresql+psycopg://u:p%40@h:5/db?schema=ai&sslmode=require&table_name=t&a=%20",
            "postgres",
            {
                "db_url": "postgresql+psycopg://u:p%40@h:5/db?sslmode=require&a=%20",
                "schema": "ai",
                "table_name": "t",
            },
        ),
        ("postgresql:///db?host=/run/x", "postgres", {"db_url": "postgresql:///db?host=/run/x"}),
        ("postgresql://[::1]:5432/db", "postgres", {"db_url": "postgresql://[::1]:5432/db"}),
        ("mysql+pymysql://u:p@h/db", "mysql", {"db_url": "mysql+pymysql://u:p@h/db"}),
        ("mariadb://h/db?charset=x", "mysql", {"db_url": "mariadb://h/db?charset=x"}),
        (
            "redis://:p@h:6379/0?prefix=agno&expire=60&db=3",
            "redis",
            {"db_url": "redis://:p@h:6379/0?db=3", "prefix": "agno", "expire": 60},
        ),
        ("rediss://h", "redis", {"db_url": "rediss://h"}),
        (
            "mongodb://a:1,b:2/x?replicaSet=r&collection=c&db_name=d",
            "mongo",
            {"db_url": "mongodb://a:1,b:2/x?replicaSet=r", "collection": "c", "db_name": "d"},
        ),
        (
            "mongodb+srv://h/?collection=c",
            "mongo",
            {"db_url": "mongodb+srv://h/", "collection": "c"},
        ),
        ("memory://", "memory", {}),
        ("elsewhere://h/x?a=1", "elsewhere", {"db_url": "elsewhere://h/x?a=1"}),
    ],
)
def test_a_url_gives_type_and_options(url: str, kind: str, options: dict[str, object]) -> None:
    found = backend_config(Config(), url, {})
    assert (found.type, found.options) == (kind, options)
    assert not found.read_only


@pytest.mark.parametrize(
    ("userinfo", "sent"),
    [
        ("u:p@ss", "u:p%40ss"),
        ("u:50%", "u:50%25"),
        ("u:a%2Fb", "u:a%2Fb"),
        ("u:a:b c", "u:a%3Ab%20c"),
    ],
)
def test_stray_characters_of_a_password_are_encoded_for_the_driver(
    userinfo: str, sent: str
) -> None:
    found = backend_config(Config(), f"postgresql://{userinfo}@h/db", {})
    assert found.options == {"db_url": f"postgresql://{sent}@h/db"}


@pytest.mark.parametrize("password", ["s3/cret", "s3#cret", "s3?cret", "s3@x/cret", "s3/c@ret"])
def test_a_url_with_an_unclear_password_is_refused_and_never_shown(password: str) -> None:
    error = refused(lambda: backend_config(Config(), f"postgresql://u:{password}@h/db", {}))
    assert "s3" not in error.message
    assert "ret" not in error.message
    assert "%2F" in str(error.hint)


@pytest.mark.parametrize(
    ("url", "part", "hint"),
    [
        ("sqlite://", "no file", "sqlite:///PATH.db"),
        ("sqlite:///", "no file", "sqlite:///PATH.db"),
        ("sqlite://x.db", "no file", "sqlite:///x.db"),
        ("sqlite:///x.db?sesion_table=s", "unknown option 'sesion_table'", "'session_table'"),
        ("postgresql://u:geheim@h/d?schemaa=s", "unknown option 'schemaa'", "'schema'"),
        ("mysql://h/?readonly=1", "unknown option 'readonly'", "'read_only'"),
        ("redis://h/0?prefx=x", "unknown option 'prefx'", "'prefix'"),
        ("mongodb://h/?collectionn=c", "unknown option 'collectionn'", "'collection'"),
        ("sqlite:///x.db?mode=ro", "unknown option 'mode'", "session_table"),
        ("sqlite:///x.db?read_only=perhaps", "read_only must be true or false", ""),
        ("sqlite:///x.db?runs_table=a&runs_table=b", "runs_table stands there twice", ""),
        ("redis://h?expire=soon", "expire must be a whole number", ""),
        ("memory://x", "memory has no place", "memory://"),
        ("memory://?a=b", "unknown option 'a'", ""),
        ("mongo://h", "mongo:// is not read", "mongodb://"),
        ("postgresql+asyncpg://h", "postgresql+asyncpg:// is not read", "postgresql+psycopg://"),
        ("mysql+mysqldb://h", "mysql+mysqldb:// is not read", "mysql+pymysql://"),
        ("postgresql://h:port/db", "the host is not clear", "%2F"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str, part: str, hint: str) -> None:
    error = refused(lambda: backend_config(Config(), url, {}))
    assert part in error.message
    assert hint in (error.hint or "")


def test_a_url_may_ask_for_reading_only() -> None:
    found = backend_config(Config(), "sqlite:///x.db?read_only=true", {})
    assert found.read_only
    assert found.options == {"db_file": "x.db"}


def test_a_url_is_named_without_its_password_and_may_hold_references() -> None:
    found = backend_config(Config(), "redis://:geheim@h", {})
    assert found.name == "redis://:***@h"
    assert "geheim" not in repr(found)
    found = backend_config(Config(), "redis://:${env:PW}@h", {"PW": "g@"})
    assert found.name == "redis://:${env:PW}@h"
    assert found.options == {"db_url": "redis://:g%40@h"}
    error = refused(
        lambda: backend_config(Config(), None, {"AGNO_BACKEND": "redis://:${env:PW}@h"})
    )
    assert "AGNO_BACKEND" in error.message
    assert "PW" in error.message


# secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("redis://:p@h", "redis://:***@h"),
        ("postgresql://u:p@s/s%#w?d@h:1/db", "postgresql://u:***@h:1/db"),
        ("postgresql://u:${env:PW}@h/db", "postgresql://u:${env:PW}@h/db"),
        ("postgresql://u:${file:/a@b:c}@h/db", "postgresql://u:${file:/a@b:c}@h/db"),
        ("postgresql://u:x${env:PW}@${env:H}/db", "postgresql://u:***@${env:H}/db"),
        ("postgresql://h/db?password=p&sslmode=x", "postgresql://h/db?password=***&sslmode=x"),
        ("postgresql://h/db?user=a@b&password=p", "postgresql://h/db?user=a@b&password=***"),
        ("postgresql:///db?user=u@h&sslpassword=p", "postgresql:///db?user=u@h&sslpassword=***"),
        ("mongodb://h/?authMechanismProperties=A:s", "mongodb://h/?authMechanismProperties=***"),
        ("https://h/v1?api%5Fkey=k&token=${env:T}", "https://h/v1?api%5Fkey=***&token=${env:T}"),
        ("sqlite:////a:b@c.db", "sqlite:////a:b@c.db"),
        ("no url", "no url"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_secrets(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_secrets_are_hidden_wherever_they_stand() -> None:
    value = {
        "password": "a",
        "API_KEY": "a",
        "client-secret": ["a"],
        "auth": {"access_token": "a", "user": "u"},
        "max_tokens": 5,
        "token": None,
        "pwd": "${env:PW}",
        "note": "could not reach redis://:a@h and 'mysql://u:a@h'",
        "urls": ("redis://:a@h", 1),
    }
    assert masked(value) == {
        "password": "***",
        "API_KEY": "***",
        "client-secret": "***",
        "auth": {"access_token": "***", "user": "u"},
        "max_tokens": 5,
        "token": None,
        "pwd": "${env:PW}",
        "note": "could not reach redis://:***@h and 'mysql://u:***@h'",
        "urls": ("redis://:***@h", 1),
    }


def test_no_repr_shows_a_secret(write: Write) -> None:
    config = write(
        "[agents.a]\napi_key = 'geheim'\n"
        "[backends.r]\ntype = 'redis'\ndb_url = 'redis://:geheim@h'\npassword = 'geheim'"
    )
    assert "geheim" not in repr(config)
    assert "geheim" not in repr(backend_config(config, "r", {}))
    assert "geheim" not in repr(agent_config(config, "a", {}))
    assert "type='redis'" in repr(config)


# precedence


@pytest.mark.parametrize("name", ["backend", "config", "output", "model", "base_url"])
def test_flag_then_variable_then_file_then_default(name: str) -> None:
    variable = f"AGNO_{name.upper()}"
    environ = {variable: "env"}
    flag = f"flag --{name.replace('_', '-')}"
    assert resolve(name, "flag", environ, "file", "x") == ("flag", flag)
    assert resolve(name, None, environ, "file", "x") == ("env", f"env {variable}")
    assert resolve(name, None, {variable: ""}, "file", "x") == ("file", "file")
    assert resolve(name, None, {}, None, "x") == ("x", "default")
    assert resolve(name, None, {}, None, None) == (None, "default")


def test_origins_tell_where_each_setting_comes_from(write: Write) -> None:
    config = write(
        "default_backend = 'r'\ndefault_agent = 'a'\n"
        "[backends.r]\ntype = 'redis'\ndb_url = 'redis://:geheim@h'\nport = 1\n"
        "[backends.x]\ntype = 'else'\ncredentials = {user = 'geheim'}\npass = 'geheim'\n"
        "[agents.a]\nmodel = 'echo'\napi_key = 'geheim'\ntools = ['m:f']\n"
        "[teams.t]\nmembers = ['a']"
    )
    rows = origins(config, {"AGNO_MODEL": "m"}, {"backend": "redis://:geheim@x", "output": None})
    found = {key: (value, origin) for key, value, origin in rows}
    file = f"file {config.path}"
    assert len(found) == len(rows)
    assert "geheim" not in str(rows)
    assert found["backend"] == ("redis://:***@x", "flag --backend")
    assert found["model"] == ("m", "env AGNO_MODEL")
    assert found["output"] == ("auto", "default")
    assert found["config"] == (str(config.path), "default")
    assert found["default_backend"] == ("r", file)
    assert found["backends.r.db_url"] == ("redis://:***@h", file)
    assert found["backends.r.port"] == ("1", file)
    assert found["backends.x.credentials"] == ("***", file)
    assert found["agents.a.model"] == ("echo", file)
    assert found["agents.a.api_key"] == ("***", file)
    assert found["agents.a.tools"] == ('["m:f"]', file)
    assert found["agents.a.markdown"] == ("false", "default")
    assert found["teams.t.mode"] == ("coordinate", "default")


def test_origins_without_a_file_are_all_defaults() -> None:
    assert {origin for _, _, origin in origins(Config(), {}, {})} == {"default"}
    assert ("config", "none", "flag --config") in origins(Config(), {}, {"config": "none"})


def test_the_default_agents_model_is_the_files(write: Write) -> None:
    config = write("default_agent = 'a'\n[agents.a]\nmodel = 'echo'\nbase_url = 'http://x'")
    rows = origins(config, {}, {})
    assert ("model", "echo", f"file {config.path}") in rows
    assert ("base_url", "http://x", f"file {config.path}") in rows


# the starter file and the cost


@pytest.mark.parametrize("path", ["agno.toml", "/a b/{x}/c.toml", "new\nline.toml"])
def test_the_starter_file_is_valid_and_works_offline(write: Write, path: str) -> None:
    text = init_config(path)
    config = write(text)
    assert config.default_agent is not None
    assert agent_config(config, None, {}).model == "echo"
    assert backend_config(config, None, HOME) == BackendConfig(
        name="sqlite", type="sqlite", options={"db_file": "/home/u/.local/share/agno/agno.db"}
    )


def test_what_the_starter_file_comments_out_is_valid_too(write: Write) -> None:
    lines = init_config("agno.toml").splitlines()
    text = "\n".join(
        line[2:] if line.startswith(("# [", "# type", "# db_")) else line for line in lines
    )
    assert set(write(text).backends) == {"sqlite", "postgres"}


def test_importing_it_reads_no_toml_and_no_heavy_module() -> None:
    heavy = [
        "tomllib",
        "dataclasses",
        "importlib.metadata",
        "sqlalchemy",
        "rich",
        "typer",
        "difflib",
    ]
    program = (
        "import sys, agnocli.config as c; c.load_config('none', {}); "
        "c.backend_config(c.Config(), None, {'HOME': '/x'}); "
        f"print([one for one in {heavy!r} if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in config_module.__all__:
        assert getattr(config_module, name)


# prices


def test_prices_are_read_by_model(write: Write) -> None:
    config = write('[prices."openai:gpt-4.1"]\ninput_per_m = 2\noutput_per_m = 8.5\n')
    assert config.prices == {"openai:gpt-4.1": Price(input_per_m=2.0, output_per_m=8.5)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input_per_m = 1", "object missing required field output_per_m"),
        ("input_per_m = -1\noutput_per_m = 1", "input_per_m: expected float >= 0"),
        ("input_per_m = '1'\noutput_per_m = 1", "input_per_m: expected float, got str"),
        ("input = 1", "input: unknown key"),
    ],
)
def test_a_price_that_is_none_is_an_error_with_its_line(
    write: Write, text: str, message: str
) -> None:
    before = '[prices."a:b"]\ninput_per_m = 1\noutput_per_m = 1\n'
    error = refused(lambda: write(f'{before}[prices."openai:gpt-4.1"]\n{text}\n'))
    assert message in error.message
    assert int(error.message.partition("line ")[2].partition(":")[0]) >= 4
