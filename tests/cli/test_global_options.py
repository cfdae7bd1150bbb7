"""What every command understands: global options, help, errors, and what is asked of agnoctl."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import agnocli
from agnocli import codec
from agnocli.cli import app
from agnocli.testing.records import sample_bundle
from tests.cli.conftest import Agno

COMMANDS = [
    [],
    ["chat"],
    ["sessions"],
    ["sessions", "list"],
    ["sessions", "inspect"],
    ["sessions", "show"],
    ["sessions", "rename"],
    ["sessions", "delete"],
    ["backends"],
    ["backends", "list"],
    ["backends", "check"],
    ["backends", "init"],
    ["config"],
    ["config", "path"],
    ["config", "show"],
    ["config", "check"],
    ["config", "init"],
    ["models"],
    ["models", "list"],
    ["completion"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_there_at_every_level(agno: Agno, command: list[str], flag: str) -> None:
    ran = agno(*command, flag)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(['agno', *command])} ")
    assert "<str>" not in ran.out
    assert "--backend" in ran.out or "Global options" in ran.out


def test_help_shows_every_command(agno: Agno) -> None:
    out = agno("--help").out
    assert all(f"  {name} " in out for name in app.COMMANDS)
    out = agno("sessions", "--help").out
    assert all(f"  {name} " in out for name in ("list", "inspect", "rename", "delete"))


def test_help_names_what_is_required(agno: Agno) -> None:
    usage = agno("sessions", "rename", "--help").lines[0]
    assert usage == "Usage: agno sessions rename [OPTIONS] SESSION NAME"
    assert agno("chat", "--help").lines[0] == "Usage: agno chat [OPTIONS] [PROMPT]"
    assert agno("sessions", "delete", "--help").lines[0].endswith("[SESSION...]")


@pytest.mark.parametrize("group", [[], ["sessions"], ["backends"], ["config"], ["models"]])
def test_a_group_alone_shows_its_help_on_stderr(agno: Agno, group: list[str]) -> None:
    ran = agno(*group)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("Usage: agno ")
    ran = agno(*group, "-o", "json")
    assert codec.decode(ran.err)["message"] == "no command is given"


@pytest.mark.parametrize(
    "arguments", [["--version"], ["sessions", "--version"], ["sessions", "inspect", "--version"]]
)
def test_version_is_told_anywhere(agno: Agno, arguments: list[str]) -> None:
    assert agno(*arguments).out == f"agnocli {agnocli.__version__}\n"
    for line in (["-o", "json", *arguments], [*arguments, "-o", "json"]):
        assert agno(*line).json == {"name": "agnocli", "version": agnocli.__version__}


def test_version_of_the_real_program(agno: Agno) -> None:
    assert agno.process("--version").out == f"agnocli {agnocli.__version__}\n"


@pytest.mark.parametrize(
    "line",
    [
        ["-o", "json", "sessions", "list"],
        ["sessions", "-o", "json", "list"],
        ["sessions", "list", "-o", "json"],
        ["sessions", "list", "-ojson"],
        ["sessions", "list", "--output=json"],
        ["-o", "csv", "sessions", "list", "-o", "json"],
    ],
    ids=" ".join,
)
def test_global_options_stand_anywhere_and_the_last_wins(agno: Agno, line: list[str]) -> None:
    agno.store(sample_bundle("one"))
    assert agno(*line).json[0]["session_id"] == "one"


def test_the_backend_is_a_flag_a_variable_or_a_setting(agno: Agno) -> None:
    for name in ("flag", "env", "file"):
        with_name = Agno(agno.home / name)
        with_name.store(sample_bundle(f"in-{name}"))
    place = {name: str(agno.home / name / "data/agno/agno.db") for name in ("flag", "env", "file")}
    agno.configure(
        f'default_backend = "mine"\n[backends.mine]\ntype = "sqlite"\ndb_file = "{place["file"]}"\n'
    )
    listing = ["sessions", "list", "-o", "ids"]
    assert agno(*listing).lines == ["in-file"]
    agno.variables["AGNO_BACKEND"] = place["env"]
    assert agno(*listing).lines == ["in-env"]
    assert agno(*listing, "-b", f"sqlite:///{place['flag']}").lines == ["in-flag"]
    assert agno("-b", "mine", *listing).lines == ["in-file"]


def test_a_path_with_one_slash_too_many_is_still_that_path(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    assert agno("sessions", "list", "-o", "ids", "-b", f"sqlite:////{agno.database}").lines == [
        "one"
    ]


def test_a_local_configuration_goes_before_the_users(agno: Agno) -> None:
    agno.configure('default_backend = "users"\n[backends.users]\ntype = "memory"\n')
    Path("agno.toml").write_text('default_backend = "here"\n[backends.here]\ntype = "memory"\n')
    assert agno("config", "path").out == "agno.toml\n"
    assert agno("--config", str(agno.config), "config", "path").out == f"{agno.config}\n"
    assert agno("--config", "none", "config", "path", "-o", "json").json["exists"] is False


def test_the_environment_can_choose_the_output(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    agno.variables["AGNO_OUTPUT"] = "ids"
    assert agno("sessions", "list").out == "one\n"
    assert agno("sessions", "list", "-o", "csv").out.startswith("session_id,")
    agno.variables["AGNO_OUTPUT"] = "xml"
    assert agno("sessions", "list").error[0] == 2


@pytest.mark.parametrize(
    "line",
    [
        ["sessions", "inspect", "nobody", "-o", "json"],
        ["-o", "jsonl", "sessions", "inspect", "nobody"],
    ],
)
def test_errors_are_json_where_json_is_asked_for(agno: Agno, line: list[str]) -> None:
    agno.store(sample_bundle("one"))
    ran = agno(*line)
    assert (ran.status, ran.out) == (3, "")
    assert codec.decode(ran.err) == {
        "error": "session_not_found",
        "code": 3,
        "message": "no session 'nobody'",
        "hint": "agno sessions list shows what there is",
    }


@pytest.mark.parametrize(
    "line",
    [
        ["sessions", "list", "--bogus", "-o", "json"],
        ["sessions", "list", "-o", "json", "--limit", "many"],
        ["sessions", "rename", "--output=jsonl", "one"],
        ["--bogus", "-ojson"],
        ["sesions", "-o", "json"],
    ],
    ids=" ".join,
)
def test_a_line_that_cannot_be_parsed_is_json_as_well(agno: Agno, line: list[str]) -> None:
    ran = agno(*line)
    assert (ran.status, ran.out) == (2, "")
    error = codec.decode(ran.err)
    assert (error["error"], error["code"]) == ("usage", 2)
    assert "--help" in error["hint"]


@pytest.mark.parametrize(
    "line",
    [
        ["sessions", "list", "--bogus"],
        ["sessions", "list", "--limit", "0"],
        ["sessions", "list", "--limit", "x"],
        ["sessions", "list", "-o", "xml"],
        ["sessions", "list", "--color", "blue"],
        ["sessions", "list", "--sort", "size"],
        ["sessions", "list", "--type", "robot"],
        ["sessions", "list", "--cursor", "nonsense"],
        ["sessions", "list", "--page", "-1"],
        ["sessions", "list", "one", "two"],
        ["sessions", "inspect"],
        ["sessions", "inspect", "one", "--last", "0"],
        ["sessions", "delete"],
        ["chat", "hi", "--history", "-1"],
        ["chat", "hi", "-m"],
        ["completion", "powershell"],
    ],
    ids=" ".join,
)
def test_usage_errors_are_exit_2(agno: Agno, line: list[str]) -> None:
    agno.store(sample_bundle("one"))
    assert agno(*line).error[0] == 2


@pytest.mark.parametrize(
    ("line", "near"),
    [
        (["sesions"], "'sessions'"),
        (["sessions", "lst"], "'list'"),
        (["backend", "list"], "'backends'"),
        (["config", "chek"], "'check'"),
    ],
)
def test_an_unknown_command_names_the_nearest(agno: Agno, line: list[str], near: str) -> None:
    ran = agno(*line)
    assert ran.error[0] == 2
    assert f"did you mean {near}?" in ran.hint


def test_a_bug_of_ours_is_one_line_and_a_traceback_only_when_asked_for(
    agno: Agno, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of postgresql://me:hunter2@host/db with sk-hidden-1")

    monkeypatch.setattr("agnocli.cli.context.App.backend_name", broken)
    agno.variables["GROQ_API_KEY"] = "sk-hidden-1"
    ran = agno("backends", "list")
    assert ran.error[0] == 1
    assert ran.error[1].startswith("unexpected ZeroDivisionError: of postgresql://me:")
    assert "--debug" in ran.hint
    debugged = agno("backends", "list", "--debug").err
    assert "ZeroDivisionError" in debugged.split("Traceback")[1]
    for err in (ran.err, debugged):
        assert "hunter2" not in err
        assert "sk-hidden-1" not in err


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_is_no_traceback(agno: Agno, closed: str) -> None:
    agno.store(sample_bundle("one"))
    number = {"stdout": 1, "stderr": 2}[closed]
    options: dict[str, Any] = {"preexec_fn": lambda: os.close(number), closed: None}
    with agno.popen("sessions", "list", "-o", "ids", **options) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (out or b"one\n", err or b"") == (b"one\n", b"")


def test_color_is_as_asked_for(agno: Agno) -> None:
    agno.store(sample_bundle("one"))
    listing = ["sessions", "list", "-o", "table"]
    assert "\x1b[" not in agno(*listing).out
    assert "\x1b[" in agno(*listing, "--color", "always").out
    agno.variables["NO_COLOR"] = "1"
    assert "\x1b[" not in agno(*listing).out
    error = agno("sessions", "inspect", "nobody", "--color", "always").err
    assert error.startswith("\x1b[1;31merror:")


# the commands of Agno's own CLI

FAKE = """
import sys
def app():
    print("agnoctl got", *sys.argv)
    sys.exit(7)
"""


@pytest.fixture
def agnoctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    package = tmp_path / "elsewhere" / "agnoctl"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "main.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return str(package.parent)


@pytest.mark.parametrize("name", app.AGNOCTL)
def test_the_commands_of_agnoctl_are_its_own(agno: Agno, agnoctl: str, name: str) -> None:
    ran = agno.process(name, "my app", "--url=x", "-o", "json")
    assert (ran.status, ran.err) == (7, "")
    assert ran.out == f"agnoctl got agno {name} my app --url=x -o json\n"


@pytest.mark.parametrize("name", app.AGNOCTL)
def test_without_agnoctl_its_commands_are_explained(agno: Agno, name: str) -> None:
    ran = agno(name)
    assert ran.error[0] == 6
    assert f"`agno {name}` is a command of Agno's own CLI" in ran.error[1]
    assert "pip install agnoctl" in ran.hint


def test_an_agnoctl_that_is_broken_is_not_called_absent(agno: Agno, agnoctl: str) -> None:
    (Path(agnoctl) / "agnoctl" / "main.py").write_text("import not_installed_anywhere\n")
    ran = agno.process("status")
    assert ran.status == 1
    assert "not_installed_anywhere" in ran.err


def test_no_command_of_ours_has_a_name_of_agnoctls(agno: Agno) -> None:
    assert set(app.COMMANDS).isdisjoint(app.AGNOCTL)
    theirs = {"connect", "disconnect", "create", "status", "up", "down", "restart", "tokens"}
    assert set(app.AGNOCTL) == theirs


FILTERED = ("list", "search", "export", "delete", "prune", "summarize", "stats", "verify", "tag")


@pytest.mark.parametrize("command", FILTERED)
def test_commands_over_many_sessions_take_the_same_filters(agno: Agno, command: str) -> None:
    out = agno("sessions", command, "--help").out
    shown = out.partition("\nFilters:\n")[2]
    for name in ("--user", "--agent", "--since", "--until", "--name", "--tag", "--status"):
        assert name in shown
    # who writes the summaries
    assert ("--model" in shown) == (command != "summarize")


@pytest.mark.parametrize("command", FILTERED)
@pytest.mark.parametrize("value", ["--user=", "--since=whenever", "--type=robot", "--name= "])
def test_a_filter_that_means_nothing_is_refused_everywhere(
    agno: Agno, command: str, value: str
) -> None:
    more = {"search": ["x"], "prune": ["--empty"], "summarize": ["-m", "echo"]}
    ran = agno("sessions", command, *more.get(command, []), value)
    assert ran.error[0] == 2
