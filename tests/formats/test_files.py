"""Files as a user names them: by suffix, as standard input and output, in several processes."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agnocli.abc import Loader
from agnocli.errors import UsageError
from agnocli.formats import part
from agnocli.formats.registry import is_file_name, open_file
from agnocli.records import SessionBundle
from agnocli.testing.file_base_suite import exported, ids, read
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session

ALL = [sample_bundle(f"s{number}", 2) for number in range(5)]


@pytest.mark.parametrize(
    ("text", "is_file"),
    [
        ("backup.jsonl", True),
        ("backup.jsonl.gz", True),
        ("../x y/backup.json", True),
        ("backup.json.gz", True),
        ("-", True),
        ("backup.jsonl.part", False),
        ("backup.gz", False),
        ("json", False),
        ("sqlite", False),
        ("sqlite:///backup.json", False),
        ("", False),
    ],
)
def test_a_session_file_is_told_from_a_backend_by_its_name(text: str, is_file: bool) -> None:
    assert is_file_name(text) is is_file


def test_a_name_that_tells_no_format_is_refused() -> None:
    for path in ("backup", "backup.txt", "backup.gz"):
        with pytest.raises(UsageError, match="no name of a session file"):
            open_file(path)
    with pytest.raises(UsageError):
        open_file("-", format="yaml")


def test_a_file_is_read_as_what_it_is_whatever_its_name(tmp_path: Path) -> None:
    for suffix in ("jsonl", "json", "jsonl.gz", "json.gz"):
        data = exported(ALL, tmp_path / f"x.{suffix}")
        (tmp_path / "y.jsonl").write_bytes(data)
        assert read(open_file(str(tmp_path / "y.jsonl"))) == ALL


def test_a_packed_file_holds_no_time_and_no_name(tmp_path: Path) -> None:
    one, other = (exported(ALL, tmp_path / name) for name in ("one.jsonl.gz", "other.jsonl.gz"))
    assert one == other
    assert one[3:8] == bytes(5)
    assert gzip.decompress(one) == exported(ALL, tmp_path / "plain.jsonl")


def batches(count: int) -> list[list[SessionBundle]]:
    chance = random.Random(1)
    bodies = [document({"content": chance.randbytes(300).hex()}) for _ in range(count)]
    runs = [sample_run(f"s{number}", run_data=body) for number, body in enumerate(bodies)]
    bundles = [SessionBundle(sample_session(run.session_id), (run,)) for run in runs]
    return [bundles[start : start + 3] for start in range(0, count, 3)]


def test_a_packed_file_is_the_same_however_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "CHUNK", 700)  # a session is longer, two batches are many chunks
    every = batches(30)
    whole = exported([bundle for batch in every for bundle in batch], tmp_path / "x.jsonl.gz")
    assert ids(open_file(str(tmp_path / "x.jsonl.gz"))) == [f"s{n}" for n in range(30)]
    path = tmp_path / "y.jsonl.gz"
    for end, batch in enumerate(every, 1):
        with pytest.raises(KeyboardInterrupt), (file := open_file(str(path))).loading():
            file.write(batch)
            again = file.write([every[0][0], batch[-1]])
            assert len(again.identical) == 2
            raise KeyboardInterrupt
        if end % 4 == 0:
            with path.with_name(f"{path.name}.part").open("r+b") as torn:
                torn.truncate(torn.seek(0, os.SEEK_END) - 5)
            with pytest.raises(KeyboardInterrupt), (file := open_file(str(path))).loading():
                assert file.write([one for part in every[:end] for one in part]).identical
                raise KeyboardInterrupt
    with (file := open_file(str(path))).loading():
        pass
    assert path.read_bytes() == whole


def test_a_packed_file_that_is_started_over_holds_nothing_of_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "CHUNK", 700)
    path = tmp_path / "x.jsonl.gz"
    with pytest.raises(KeyboardInterrupt), (file := open_file(str(path))).loading():
        file.write(batches(9)[0])
        raise KeyboardInterrupt
    with (file := open_file(str(path), restart=True)).loading():
        assert file.write(ALL[:1]).written == ("s0",)
    assert path.read_bytes() == exported(ALL[:1], tmp_path / "y.jsonl.gz")


PROGRAM = """
import sys
from agnocli.formats.registry import open_file
from agnocli.testing.records import sample_bundle

file = open_file(sys.argv[1])
with file.loading():
    for number in range(100_000):
        file.write([sample_bundle(f"s{number}", 2)])
        print(number, flush=True)
"""


@pytest.mark.parametrize("suffix", ["jsonl", "json.gz"])
def test_what_was_written_is_there_after_a_kill(tmp_path: Path, suffix: str) -> None:
    path, said = tmp_path / f"x.{suffix}", -1
    command = [sys.executable, "-c", PROGRAM, str(path)]
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(40):
                said = max(said, int(next(writer.stdout)))
            writer.kill()
            said = max([said, *map(int, writer.stdout.read().split()[:-1])])
    assert writer.returncode == -signal.SIGKILL
    assert not path.exists()
    with (file := open_file(str(path))).loading():
        result = file.write([sample_bundle(f"s{number}", 2) for number in range(said + 1)])
    assert result.identical == tuple(f"s{number}" for number in range(said + 1))


PIPE = """
import sys
from agnocli.formats.registry import open_file

source, sink = open_file("-"), open_file("-", format=sys.argv[1])
with sink.loading():
    for _, bundle in source.scan():
        sink.write([bundle, bundle])
"""


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("format", ["jsonl", "json"])
def test_sessions_go_through_a_pipe(tmp_path: Path, format: str, packed: bool) -> None:
    data = exported(ALL, tmp_path / f"x.jsonl{'.gz' if packed else ''}")
    command = [sys.executable, "-c", PIPE, format]
    found = subprocess.run(command, input=data, capture_output=True, check=True)
    assert found.stderr == b""
    assert found.stdout == exported(ALL, tmp_path / f"y.{format}")


def test_a_pipe_that_is_cut_off_writes_nothing(tmp_path: Path) -> None:
    data = exported(ALL, tmp_path / "x.jsonl")
    command = [sys.executable, "-c", PIPE, "jsonl"]
    found = subprocess.run(command, input=data[:-1], capture_output=True)
    assert found.stdout == b""
    assert b"FileFormatError: -, line 7: the file is cut off here" in found.stderr


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    data = exported(ALL, tmp_path / "x.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    with subprocess.Popen(["tee", tmp_path / "pipe.jsonl"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as tee:  # fmt: skip
        assert tee.stdin is not None
        tee.stdin.write(data)
        tee.stdin.close()
        file = open_file(str(tmp_path / "pipe.jsonl"))
        assert read(file) == ALL
        assert read(file) == ALL
        file.close()


def test_a_file_is_a_loader(tmp_path: Path) -> None:
    assert isinstance(open_file(str(tmp_path / "x.json")), Loader)
