"""`agno sessions export` for people and tools, `--redact`, and `agno sessions import --from`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.records import SessionBundle
from agnocli.testing.records import document, sample_run, sample_session
from tests.cli.conftest import Agno
from tests.formats import llm_logs
from tests.formats.test_foreign import CHAT, CONVERSATION, write

SECRET = "AKIA" + "2E0A8F3B244C9986"
BEGINS = {
    "markdown": "# ",
    "html": "<!doctype html>",
    "csv": "session_id,",
    "openai": '{"messages": [',
}


@pytest.fixture
def leaky(agno: Agno) -> Agno:
    run = sample_run("leaky")
    data = codec.decode(run.run_data)
    data["messages"][0]["content"] = f"my key is {SECRET}"
    session = sample_session("leaky", summary=document({"summary": SECRET}))
    agno.store(SessionBundle(session, [replace(run, run_data=document(data))]))
    return agno


@pytest.mark.parametrize("format_", BEGINS)
def test_a_page_goes_to_stdout_and_nothing_else_does(three: Agno, format_: str) -> None:
    ran = three("sessions", "export", "--all", "--format", format_)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(BEGINS[format_])
    for answer in ("answer 0", "answer 2"):
        assert answer in ran.out


@pytest.mark.parametrize(
    ("name", "format_"), [("a.md", "markdown"), ("a.html", "html"), ("a.csv", "csv")]
)
def test_a_files_name_tells_its_format(three: Agno, name: str, format_: str) -> None:
    assert three("sessions", "export", "Tea", "--out", name).status == 0
    assert Path(name).read_text().startswith(BEGINS[format_])
    refused = three("sessions", "export", "Tea", "--out", name)
    assert refused.status == 5
    assert "--force" in refused.hint
    assert three("sessions", "export", "Tea", "--out", name, "--force").status == 0
    assert sorted(one.name for one in Path().iterdir()) == [name]


def test_a_folder_gets_a_file_for_each_session(three: Agno) -> None:
    ran = three(
        "sessions", "export", "--all", "--format", "markdown", "--out", "each/", "-o", "json"
    )
    assert ran.json["sessions"]["written"] == 3
    names = sorted(one.name for one in Path("each").iterdir())
    assert names == ["aaaa-1.md", "bbbb-1.md", "cccc-1.md"]
    assert "question 2" in Path("each/bbbb-1.md").read_text()


def test_what_is_listed_is_what_is_exported(three: Agno) -> None:
    rows = csv.DictReader(
        io.StringIO(three("sessions", "export", "--user", "bob", "--format", "csv").out)
    )
    assert {row["session_id"] for row in rows} == {"bbbb-1"}


def said(err: str) -> list[str]:
    """Without the progress that a slow machine is told."""
    return [line for line in err.splitlines() if not line.startswith("copy: ")]


@pytest.mark.parametrize("format_", ["jsonl", "json", *BEGINS])
def test_no_secret_is_in_a_redacted_export_or_in_what_is_said_of_it(
    leaky: Agno, format_: str
) -> None:
    plain = leaky("sessions", "export", "leaky", "--format", format_)
    assert SECRET in plain.out
    ran = leaky("sessions", "export", "leaky", "--format", format_, "--redact")
    assert ran.status == 0
    assert SECRET not in ran.out + ran.err
    assert "AWS Access Key" in ran.out
    assert said(ran.err) == ["redacted: AWS Access Key (2)"]


def test_a_redacted_session_file_is_whole_and_tells_what_is_gone(leaky: Agno) -> None:
    ran = leaky("sessions", "export", "--all", "--redact", "--out", "safe.jsonl.gz", "-o", "json")
    assert ran.json["redacted"] == {"AWS Access Key": 2}
    assert ran.json["sessions"]["verified"] == 1
    other = "sqlite:///other.db"
    assert leaky("sessions", "import", "safe.jsonl.gz", "-b", other).status == 0
    found = leaky("sessions", "inspect", "leaky", "-b", other, "-o", "json").json
    assert found["metadata"] == {"tags": ["home"], "agnocli": {"redacted": {"AWS Access Key": 2}}}
    assert found["summary"] == {"summary": "[redacted: AWS Access Key]"}
    each = leaky("sessions", "export", "--all", "--redact", "--out", "each/", "-o", "json")
    assert each.json["redacted"] == {"AWS Access Key": 2}


def test_an_export_without_secrets_says_so(three: Agno) -> None:
    ran = three("sessions", "export", "Tea", "--redact")
    assert said(ran.err) == ["redacted: nothing, no secrets were found"]
    assert ran.out == three("sessions", "export", "Tea").out


# import --from


@pytest.mark.parametrize("tool", ["openai", "chatgpt", "llm"])
def test_importing_twice_stores_once(agno: Agno, tool: str) -> None:
    path = Path("given")
    if tool == "llm":
        llm_logs.newer(path)
    else:
        write(path, CHAT if tool == "openai" else [CONVERSATION])
    before = path.read_bytes()
    first = agno("sessions", "import", "--from", tool, "given", "-u", "alice", "-o", "json")
    assert first.status == 0
    sessions = first.json["sessions"]
    assert sessions["written"] == sessions["verified"] == len(agno.session_ids()) > 0
    again = agno("sessions", "import", "--from", tool, "given", "-u", "alice", "-o", "json")
    assert (again.json["sessions"]["written"], again.json["sessions"]["identical"]) == (
        0,
        sessions["written"],
    )
    listed = agno("sessions", "list", "--user", "alice", "-o", "json").json
    assert {one["agent_id"] for one in listed} == {"assistant"}
    assert path.read_bytes() == before


def test_an_imported_conversation_is_gone_on_with(agno: Agno) -> None:
    write(Path("c.json"), [CONVERSATION])
    assert agno("sessions", "import", "--from", "chatgpt", "c.json").status == 0
    assert agno("chat", "-s", "Tea", "-m", "echo", "and now?").status == 0
    assert [run.run_index for run in agno.runs("conv-1")] == [0, 1]
    assert "A cup." in agno("sessions", "inspect", "Tea").out


def test_a_dry_run_and_a_bad_file_write_nothing(agno: Agno) -> None:
    write(Path("good.jsonl"), CHAT)
    Path("bad.jsonl").write_text(f"{codec.line(CHAT)}\n{{}}\n")
    dry = agno("sessions", "import", "--from", "openai", "good.jsonl", "-n", "-o", "json")
    assert dry.json["sessions"]["new"] == 1
    ran = agno("sessions", "import", "--from", "openai", "good.jsonl", "bad.jsonl")
    assert ran.error == (1, f"{Path('bad.jsonl').absolute()}, line 2: holds no messages")
    assert not agno.database.exists()


def test_standard_input_is_read_too(agno: Agno) -> None:
    given = codec.line([CONVERSATION]).encode()
    ran = agno.process("sessions", "import", "--from", "chatgpt", "-", stdin=given)
    assert ran.status == 0, ran.err
    assert agno.session_ids() == ["conv-1"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--user", "alice", "x.jsonl"],
        ["--agent", "helper", "x.jsonl"],
        ["--from", "openai", "--edited", "x.jsonl"],
        ["--from", "openai", "--user", "", "x.jsonl"],
        ["--from", "cortana", "x.jsonl"],
        ["--from", "llm", "-"],
    ],
)
def test_flags_that_mean_nothing_together_are_refused(agno: Agno, arguments: list[str]) -> None:
    assert agno("sessions", "import", *arguments).status == 2
