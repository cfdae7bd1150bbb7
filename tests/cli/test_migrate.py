"""`agno migrate`, `agno verify`, `agno sessions export` and `import`, between SQLite files and session files."""

from __future__ import annotations

import gzip
import os
import pty
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.records import SessionBundle
from agnocli.testing.records import contents, document, sample_bundle, sample_run, sample_session
from tests.cli.conftest import Agno, bundle, ended, fingerprint

OTHER = "sqlite:///other.db"


def stored(path: str | Path) -> dict[str, Any]:
    with SqliteDb(path, read_only=True) as backend:
        return contents(backend, backend.capabilities)


def keep(path: str, *bundles: SessionBundle) -> None:
    with SqliteDb(path) as backend:
        backend.write(bundles)


def source(agno: Agno) -> str:
    return f"sqlite:///{agno.database}"


@pytest.fixture
def many(agno: Agno) -> Agno:
    agno.store(*(sample_bundle(f"s{number:02}", number % 3) for number in range(20)))
    return agno


# migrate


def test_everything_is_copied_verified_and_summed_up(many: Agno) -> None:
    before = fingerprint(many.home / "data")
    ran = many("migrate", source(many), OTHER, "-o", "json")
    assert ran.status == 0
    assert stored("other.db") == stored(many.database)
    found = ran.json
    assert found["source"] == str(many.database)
    assert found["target"] == str(Path("other.db").absolute())
    assert found["sessions"] == {
        "read": 20,
        "written": 20,
        "identical": 0,
        "skipped": 0,
        "replaced": 0,
        "quarantined": 0,
        "verified": 20,
    }
    assert found["runs"]["written"] == found["runs"]["verified"] == 19
    assert found["bytes"] > 0
    assert found["not_copied"] == []
    assert found["job"]
    assert fingerprint(many.home / "data") == before


def test_once_more_it_is_all_identical(many: Agno) -> None:
    many("migrate", source(many), OTHER)
    ran = many("migrate", source(many), OTHER, "-o", "json")
    assert ran.status == 0
    assert ran.json["sessions"]["identical"] == 20


def test_a_summary_is_a_table_of_what_became_of_them(many: Agno) -> None:
    ran = many("migrate", source(many), OTHER)
    assert [line.split("\t")[:2] for line in ran.lines] == [
        ["outcome", "sessions"],
        ["read", "20"],
        ["written", "20"],
        ["verified", "20"],
    ]


def test_an_event_a_line_ends_with_the_result(many: Agno) -> None:
    ran = many("migrate", source(many), OTHER, "-o", "jsonl")
    events = [codec.decode(line) for line in ran.lines]
    assert [*dict.fromkeys(one.get("phase") for one in events)] == ["copy", "verify", None]
    assert events[-1]["sessions"]["verified"] == 20


def test_conflicts_stop_it_before_anything_is_written(many: Agno) -> None:
    keep("other.db", bundle("s05"), bundle("own"))
    before = stored("other.db")
    ran = many("migrate", source(many), OTHER)
    assert ran.status == 5
    assert "'s05' is there already and differs" in ran.err
    assert "--on-conflict" in ran.hint
    assert stored("other.db") == before
    assert many("migrate", source(many), OTHER, "--on-conflict", "skip").status == 0
    assert stored("other.db")["s05"] == before["s05"]
    assert many("migrate", source(many), OTHER, "--on-conflict", "replace").status == 0
    assert stored("other.db")["s05"] == stored(many.database)["s05"]
    assert "own" in stored("other.db")


def test_a_dry_run_tells_what_would_be_and_writes_nothing(many: Agno) -> None:
    ran = many("migrate", source(many), OTHER, "--dry-run", "-o", "json")
    assert ran.status == 0
    assert ran.json["sessions"] == {"new": 20, "identical": 0, "conflicts": 0, "quarantined": 0}
    assert not Path("other.db").exists()
    keep("other.db", bundle("s05"), sample_bundle("s06", 0))
    before = fingerprint(Path())
    ran = many("migrate", source(many), OTHER, "-n", "-o", "json")
    assert ran.status == 5
    assert ran.json["sessions"] == {"new": 18, "identical": 1, "conflicts": 1, "quarantined": 0}
    assert ran.json["conflicts"][0]["session_id"] == "s05"
    assert many("migrate", source(many), OTHER, "-n", "--on-conflict", "skip").status == 0
    assert fingerprint(Path()) == before


def test_only_what_the_filters_show_is_copied(three: Agno) -> None:
    ran = three("migrate", source(three), OTHER, "--user", "bob", "-o", "json")
    assert (ran.status, ran.json["sessions"]["verified"]) == (0, 1)
    assert set(stored("other.db")) == {"bbbb-1"}
    three("migrate", source(three), OTHER, "--agent", "writer")
    three("migrate", source(three), OTHER, "--session", "aaaa-1")
    assert set(stored("other.db")) == {"aaaa-1", "bbbb-1", "cccc-1"}
    ran = three("migrate", source(three), "sqlite:///x.db", "--session", "nobody")
    assert ran.error == (3, "no session 'nobody'")
    assert not Path("x.db").exists()
    assert three("migrate", source(three), "sqlite:///x.db", "--user", "").status == 2


def test_a_source_that_is_not_there_is_an_error_and_makes_nothing(agno: Agno) -> None:
    ran = agno("migrate", "sqlite:///none.db", OTHER)
    assert ran.status == 3
    assert "nothing has been stored" in ran.err
    assert list(Path().iterdir()) == []
    ran = agno("migrate", "none.jsonl", OTHER)
    assert ran.status == 3
    assert list(Path().iterdir()) == []


def test_a_place_is_not_copied_onto_itself(many: Agno) -> None:
    before = fingerprint(many.home / "data")
    assert many("migrate", source(many), source(many)).status == 2
    assert fingerprint(many.home / "data") == before


def test_a_read_only_target_is_refused(many: Agno) -> None:
    many.configure('[backends.ro]\ntype = "sqlite"\ndb_file = "ro.db"\nread_only = true\n')
    keep("ro.db", bundle("own"))
    assert many("migrate", source(many), "ro").status == 12
    assert set(stored("ro.db")) == {"own"}


@pytest.mark.parametrize("how", [(), ("--jobs", "2")], ids=["one process", "two processes"])
def test_a_job_that_was_terminated_says_how_to_go_on(agno: Agno, how: tuple[str, ...]) -> None:
    text = "x" * 200_000
    agno.store(
        *(
            SessionBundle(
                sample_session(f"h{number:03}"),
                (sample_run(f"h{number:03}", 0, run_data=document({"content": text})),),
            )
            for number in range(150)
        )
    )
    arguments = ("migrate", source(agno), OTHER, "--batch-bytes", "256K", "-o", "jsonl", *how)
    with agno.popen(*arguments) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        ran = ended(process)
    assert ran.status == 143
    assert "goes on from here" in ran.err
    assert "Traceback" not in ran.err
    ran = agno.process(*arguments)
    assert ran.status == 0, ran.err
    assert how or "going on behind" in ran.err
    result = codec.decode(ran.lines[-1])
    assert result["resumed"]
    assert result["sessions"]["verified"] == 150
    assert stored("other.db") == stored(agno.database)


def test_the_result_can_be_kept_in_a_file(many: Agno) -> None:
    assert many("migrate", source(many), OTHER, "--report", "r.json").status == 0
    assert codec.decode(Path("r.json").read_bytes())["sessions"]["verified"] == 20
    assert many("migrate", source(many), OTHER, "--report", "r.json").status == 5


def test_several_processes_share_the_work(many: Agno) -> None:
    began = time.monotonic()
    ran = many.process("migrate", source(many), OTHER, "--jobs", "3", "-o", "json")
    took = time.monotonic() - began
    assert ran.status == 0, ran.err
    assert took / 5 < ran.json["seconds"] < took
    assert ran.json["sessions"]["verified"] == 20
    assert len(ran.json["job"].split(",")) == 3
    assert stored("other.db") == stored(many.database)


def test_machines_share_the_work_by_parts(many: Agno) -> None:
    for part in ("1/3", "2/3", "3/3"):
        assert many("migrate", source(many), OTHER, "--shard", part).status == 0
    assert many("verify", source(many), OTHER).status == 0
    for wrong in ("0/3", "4/3", "x", "1/0"):
        assert many("migrate", source(many), OTHER, "--shard", wrong).status == 2


def test_progress_is_a_bar_on_a_terminal_and_leaves_no_trace(many: Agno) -> None:
    outer, inner = pty.openpty()
    with many.popen("migrate", source(many), OTHER, stderr=inner) as process:
        os.close(inner)
        said = b""
        while True:
            try:
                if not (some := os.read(outer, 65536)):
                    break
            except OSError:  # the terminal's other end is closed
                break
            said += some
        os.close(outer)
        ran = ended(process)
    assert ran.status == 0
    assert b"verify" in said
    assert b"20/20" in said


def test_other_data_of_the_source_is_named(many: Agno) -> None:
    with closing(sqlite3.connect(many.database)) as connection, connection:
        connection.execute("CREATE TABLE agno_memories (memory_id VARCHAR)")
        connection.execute("INSERT INTO agno_memories VALUES ('m1'), ('m2')")
    ran = many("migrate", source(many), OTHER, "-o", "json")
    assert ran.json["not_copied"] == [{"name": "agno_memories", "records": 2}]
    assert "agno_memories (2)" in ran.err


# verify


def test_two_places_with_the_same_sessions_verify(many: Agno) -> None:
    many("migrate", source(many), OTHER)
    ran = many("verify", source(many), OTHER, "-o", "json")
    assert ran.status == 0
    assert ran.json["sessions"] == {
        "same": 20,
        "different": 0,
        "missing": 0,
        "extra": 0,
        "unreadable": 0,
    }


def test_what_differs_is_listed_in_both_directions(many: Agno) -> None:
    many("migrate", source(many), OTHER)
    with SqliteDb("other.db") as other:
        other.delete(["s03"])
        other.update("s04", {"agent_id": "x"})
        other.write([bundle("own")])
    ran = many("verify", source(many), OTHER)
    assert ran.status == 10
    rows = {tuple(line.split("\t")) for line in ran.lines[1:]}
    assert {(one, finding) for one, finding, _ in rows} == {
        ("s03", "missing"),
        ("s04", "different"),
        ("own", "extra"),
    }
    back = many("verify", OTHER, source(many), "-o", "json").json
    assert (back["missing"], back["extra"]) == (["own"], ["s03"])


def test_a_place_that_is_not_there_is_no_empty_one(many: Agno) -> None:
    assert many("verify", source(many), OTHER).status == 3
    assert many("verify", OTHER, source(many)).status == 3


# files


@pytest.mark.parametrize("name", ["b.jsonl", "b.json", "b.jsonl.gz", "b.json.gz"])
def test_a_file_is_a_source_and_a_target_like_any_other(many: Agno, name: str) -> None:
    assert many("migrate", source(many), name).status == 0
    assert many("verify", source(many), name).status == 0
    assert many("verify", name, source(many)).status == 0
    assert many("migrate", name, OTHER).status == 0
    assert stored("other.db") == stored(many.database)
    again = f"again-{name}"
    assert many("migrate", OTHER, again).status == 0
    assert Path(again).read_bytes() == Path(name).read_bytes()
    assert many("verify", name, again).status == 0


def test_a_damaged_file_is_refused_with_nothing_written(many: Agno) -> None:
    many("migrate", source(many), "b.jsonl")
    text = Path("b.jsonl").read_text()
    Path("b.jsonl").write_text(text[: len(text) // 2])
    ran = many("migrate", "b.jsonl", OTHER)
    assert ran.status == 1
    assert "b.jsonl" in ran.err
    assert "line" in ran.err
    assert not Path("other.db").exists()
    ran = many("migrate", "b.jsonl", OTHER, "--partial", "-o", "json")
    assert 0 < ran.json["sessions"]["written"] < 20


def test_a_file_is_not_overwritten_unasked(many: Agno) -> None:
    many("migrate", source(many), "b.jsonl")
    before = Path("b.jsonl").read_bytes()
    assert many("migrate", source(many), "b.jsonl").status == 5
    assert many("migrate", source(many), "b.jsonl", "--user", "nobody", "--force").status == 0
    assert Path("b.jsonl").read_bytes() != before


# export and import


def test_export_and_import_are_lossless_both_ways(many: Agno) -> None:
    ran = many("sessions", "export", "--all")
    assert ran.status == 0
    Path("a.jsonl").write_text(ran.out)
    assert many("sessions", "import", "a.jsonl", "-b", OTHER).status == 0
    assert stored("other.db") == stored(many.database)
    assert many("sessions", "export", "--all", "-b", OTHER).out == ran.out


def test_export_writes_the_named_ones_into_a_file_or_a_folder(three: Agno) -> None:
    assert three("sessions", "export", "Tea", "bbbb", "--out", "two.jsonl.gz").status == 0
    assert len(gzip.decompress(Path("two.jsonl.gz").read_bytes()).splitlines()) == 4
    assert three("sessions", "export", "--all", "--format", "json", "--out", "each/").status == 0
    assert sorted(one.name for one in Path("each").iterdir()) == [
        "aaaa-1.json",
        "bbbb-1.json",
        "cccc-1.json",
    ]
    ran = three("sessions", "import", *map(str, Path("each").iterdir()), "-b", OTHER, "-o", "json")
    assert (ran.status, ran.json["sessions"]["written"]) == (0, 3)
    assert three("sessions", "export", "Tea", "--out", "two.jsonl.gz").status == 5
    assert three("sessions", "export").status == 2
    assert three("sessions", "export", "nobody").status == 3


def test_a_file_of_a_session_is_named_safely(agno: Agno) -> None:
    ids = ["../../etc/passwd", "CON", "a/b", "x" * 300, "\N{GRINNING FACE}", ".", "a b", "a_b"]
    agno.store(*map(bundle, ids))
    assert agno("sessions", "export", "--all", "--out", "each/").status == 0
    names = {one.name for one in Path("each").iterdir()}
    assert len(names) == len(ids)
    assert max(map(len, names)) < 110
    assert "a_b.jsonl" in names
    assert "CON.jsonl" not in names


def test_import_reads_a_pipe(many: Agno) -> None:
    exported = many("sessions", "export", "--all").out
    ran = many.process("sessions", "import", "-", "-b", OTHER, stdin=exported.encode())
    assert ran.status == 0, ran.err
    assert stored("other.db") == stored(many.database)


def test_what_a_reader_of_the_export_does_not_want_is_not_written(many: Agno) -> None:
    with many.popen("sessions", "export", "--all") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        ran = ended(process)
    assert ran.status in (0, 141)
    assert "Traceback" not in ran.err
