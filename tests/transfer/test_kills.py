"""`kill -9` in the middle of a migration, on every target. AGNOCLI_TEST_KILLS sets how often (default 2)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agnocli import codec
from agnocli.layout.names import LEDGER
from agnocli.records import SessionBundle
from agnocli.testing.base_suite import everything
from agnocli.testing.records import document, sample_run, sample_session
from tests.transfer.places import KINDS, Place, place

KILLS = int(os.environ.get("AGNOCLI_TEST_KILLS", "2"))
SESSIONS = 150
PATIENCE = 90


def bundles() -> Iterator[SessionBundle]:
    """About 15 MB, so that many batches are written."""
    text = "said " * 6000
    for number in range(SESSIONS):
        session_id = f"{number:04}"
        runs = (
            sample_run(session_id, one, run_data=document({"n": one, "content": text}))
            for one in range(number % 6)
        )
        yield SessionBundle(sample_session(session_id), tuple(runs))


class Migration:
    """`agno migrate one other`, with a home of its own."""

    def __init__(self, folder: Path, *places: Place) -> None:
        config = folder / "agno.toml"
        config.write_text("\n".join(one.settings for one in places))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "AGNO_CONFIG": str(config),
            "LANG": "C.UTF-8",
        }
        if "PYTHONPATH" in os.environ:
            self.environment["PYTHONPATH"] = os.environ["PYTHONPATH"]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = ["migrate", "one", "other", "--batch-bytes", "256K", "-o", "jsonl", *arguments]
        return subprocess.Popen(
            [sys.executable, "-m", "agnocli", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )

    def killed(self, characters: int, *arguments: str) -> None:
        """After it told so much."""
        with self.start(*arguments) as process:
            assert process.stdout is not None
            process.stdout.read(characters)
            process.kill()
            process.communicate(timeout=PATIENCE)

    def finished(self, *arguments: str) -> dict[str, dict[str, int]]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err.decode()
        result: dict[str, dict[str, int]] = codec.decode(out.splitlines()[-1])
        return result


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    with place("one", "sqlite", tmp_path) as one, place("other", request.param, tmp_path) as other:
        with one.open() as source:
            source.write(bundles())
        yield one, other


@pytest.mark.timeout(120 + KILLS * 30)
def test_killed_anywhere_the_same_command_ends_with_everything_there_once(
    pair: tuple[Place, Place], tmp_path: Path
) -> None:
    moments = random.Random(11)
    migration = Migration(tmp_path, *pair)
    for _ in range(KILLS):
        migration.killed(moments.randrange(0, 2000))
    result = migration.finished()
    assert result["sessions"]["verified"] == SESSIONS
    with pair[0].open() as source, pair[1].open() as target:
        can = target.capabilities
        if can.keeps_json_text and can.keeps_null_kind:
            assert everything(target) == everything(source)
        assert target.inspect().runs == source.inspect().runs
        assert sorted(target.ids()) == sorted(source.ids())


@pytest.mark.timeout(300)
def test_what_four_machines_that_are_killed_have_done_others_go_on_with(
    pair: tuple[Place, Place], tmp_path: Path
) -> None:
    moments = random.Random(3)
    migration = Migration(tmp_path, *pair)
    shards = [f"{number}/4" for number in range(1, 5)]
    running = [migration.start("--shard", shard) for shard in shards]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.read(moments.randrange(0, 800))
        process.kill()
        process.communicate(timeout=PATIENCE)
    migration.environment["XDG_STATE_HOME"] = str(tmp_path / "another machine")
    results = [migration.finished("--shard", shard) for shard in shards]
    for one in results:
        was_done = one["sessions"]["identical"] == one["sessions"]["read"]
        assert one["resumed"] or was_done
    assert sum(one["sessions"]["verified"] for one in results) == SESSIONS
    with pair[0].open() as source, pair[1].open() as target:
        assert sorted(target.ids()) == sorted(source.ids())
        report = target.inspect()
        assert report.runs == source.inspect().runs
        assert LEDGER not in report.tables
