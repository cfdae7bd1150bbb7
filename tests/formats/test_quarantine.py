"""Sessions that were set aside: kept exactly, mended by hand, read again."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agnocli.errors import BackendError, FileFormatError
from agnocli.formats.quarantine import QuarantineWriter
from agnocli.formats.registry import open_file
from agnocli.formats.values import from_json
from agnocli.records import Document, RawPiece, Run, SessionBundle
from agnocli.testing.file_base_suite import exported, ids, read
from agnocli.testing.file_values_suite import DOCUMENTS, EXTRA
from agnocli.testing.records import sample_bundle, sample_run, sample_session

NUL = Document(rb'{"content": "a\u0000b"}')
BAD = SessionBundle(
    sample_session("bad"), (sample_run("bad", 0), sample_run("bad", 1, run_data=NUL))
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "aside.jsonl"


def add(path: Path, bundle: SessionBundle, reason: str = "holds a NUL character") -> None:
    writer = QuarantineWriter(path, backend="postgresql://localhost/agno")
    writer.add(bundle, json_path="run_data.content", reason=reason)


def test_nothing_is_made_before_something_is_set_aside(path: Path) -> None:
    QuarantineWriter(path, backend="memory://")
    assert not path.exists()
    add(path, BAD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_set_aside_says_why_and_comes_back_to_the_byte(path: Path) -> None:
    for number, text in enumerate(DOCUMENTS.values()):
        run = sample_run(f"s{number}", 0, run_data=Document(text), extra=EXTRA)
        add(path, SessionBundle(sample_session(f"s{number}", metadata=Document(text)), (run,)))
    found = read(open_file(str(path)))
    assert [run.run_data for _, (run,) in found] == list(DOCUMENTS.values())
    assert [session.metadata for session, _ in found] == list(DOCUMENTS.values())
    assert repr(found[0].runs) == repr((sample_run("s0", 0, run_data=found[0][1][0].run_data, extra=EXTRA),))  # type: ignore[index]  # fmt: skip
    header, *lines = path.read_bytes().splitlines()
    assert json.loads(header) == {"format": "agnocli-sessions", "version": 1, "kind": "quarantine"}
    assert json.loads(lines[0])["error"] == {
        "json_path": "run_data.content",
        "reason": "holds a NUL character",
        "backend": "postgresql://localhost/agno",
    }


def test_a_mended_line_is_read_as_it_is_now(path: Path, tmp_path: Path) -> None:
    add(path, sample_bundle("first"))
    add(path, BAD)
    path.write_bytes(path.read_bytes().replace(rb"\u0000", b"-"))
    session, runs = read(open_file(str(path)))[1]
    assert session == BAD.session
    assert [run.run_data for run in runs][1] == b'{"content": "a-b"}'
    mended = [bundle for _, bundle in open_file(str(path)).scan()]
    exported(mended, tmp_path / "whole.jsonl")
    assert ids(open_file(str(tmp_path / "whole.jsonl"))) == ["first", "bad"]


def test_a_value_in_its_place_counts_more_than_its_exact_form(path: Path) -> None:
    add(path, SessionBundle(sample_session("x\ud800", metadata=Document(b"NaN")), ()))
    text = path.read_bytes()
    text = text.replace(b'"session_id": null', b'"session_id": "mended"')
    path.write_bytes(text.replace(b'"metadata": null', b'"metadata": {"n": null}'))
    ((session, _),) = read(open_file(str(path)))
    assert (session.session_id, session.metadata) == ("mended", b'{"n": null}')


@pytest.mark.parametrize("broken", [b'{"session_id": ', b"{}", b"[]", b"7", b"x"])
def test_a_line_that_does_not_parse_any_more_is_named(path: Path, broken: bytes) -> None:
    for name in ("a", "b"):
        add(path, sample_bundle(name))
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], b"", broken, *lines[2:]]) + b"\n")
    with pytest.raises(FileFormatError) as caught:
        ids(open_file(str(path)))
    assert caught.value.line == 4


def test_a_line_that_a_crash_tore_is_replaced_by_the_next(path: Path) -> None:
    add(path, sample_bundle("a"))
    whole = path.read_bytes()
    add(path, BAD)
    both = path.read_bytes()
    for cut in range(0, len(both), 41):
        path.write_bytes(both[:cut])
        add(path, sample_bundle("c", 0))
        expected = ["c"] if cut < len(whole) - 1 else ["a", "c"]
        assert ids(open_file(str(path))) == expected, cut


def test_a_line_without_its_end_is_kept(path: Path) -> None:
    add(path, BAD)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    add(path, sample_bundle("c"))
    assert ids(open_file(str(path))) == ["bad", "c"]


def test_an_error_while_the_runs_are_read_leaves_nothing_of_it(path: Path) -> None:
    def runs() -> Iterator[Run]:
        yield sample_run("broken", 0)
        raise ConnectionError

    add(path, sample_bundle("a"))
    before = path.read_bytes()
    with pytest.raises(ConnectionError):
        add(path, SessionBundle(sample_session("broken"), runs()))
    assert path.read_bytes() == before


def test_another_file_is_not_written_to(path: Path) -> None:
    exported([sample_bundle("a")], path)
    before = path.read_bytes()
    with pytest.raises(FileFormatError, match="no quarantine file"):
        add(path, BAD)
    path.with_name("notes").write_text("hello")
    with pytest.raises(FileFormatError):
        add(path.with_name("notes"), BAD)
    assert path.read_bytes() == before


def test_a_place_that_is_none_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="none"):
        add(tmp_path / "none" / "aside.jsonl", BAD)


def test_several_may_set_aside_at_once(path: Path) -> None:
    threads = [
        threading.Thread(target=add, args=(path, sample_bundle(f"s{number}")))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ids(open_file(str(path)))) == [f"s{number}" for number in range(8)]


# what its source could not read


def add_raw(path: Path, session_id: str = "bad", *pieces: RawPiece) -> None:
    QuarantineWriter(path, backend="redis://new").add_raw(
        session_id,
        pieces or (RawPiece("agno:sessions:bad", b'{"half'),),
        json_path="session",
        reason="cannot be read: not JSON",
        source="redis://old",
    )


def test_bytes_are_kept_as_text_where_they_are_text(path: Path) -> None:
    odd = "a\t\n\u2028\0\x1b[1m\N{GRINNING FACE}"
    add_raw(
        path,
        "bad\ud800",
        RawPiece("text", odd.encode()),
        RawPiece("bytes", b"\xff\x00\t\n"),
        RawPiece("empty", b""),
        RawPiece("key:\udcff", b"x"),
        RawPiece("gone", None, "the file is damaged"),
    )
    _, line = path.read_bytes().splitlines()
    entry = json.loads(line)
    assert from_json(entry["session_id"]) == "bad\ud800"
    assert entry["error"] == {
        "json_path": "session",
        "reason": "cannot be read: not JSON",
        "backend": "redis://old",
    }
    assert [from_json(one["place"]) for one in entry["raw"]][3] == "key:\udcff"
    assert entry["raw"][:3] == [
        {"place": "text", "text": odd},
        {"place": "bytes", "base64": "/wAJCg=="},
        {"place": "empty", "text": ""},
    ]
    assert entry["raw"][4] == {"place": "gone", "reason": "the file is damaged"}


def test_a_line_of_bytes_whose_reason_was_lost_is_refused_too(path: Path) -> None:
    add_raw(path)
    header, _ = path.read_bytes().splitlines()
    for line in (b'{"raw": []}', b'{"session_id": 7, "error": [], "raw": 5, "runs": []}'):
        path.write_bytes(header + b"\n" + line + b"\n")
        with pytest.raises(FileFormatError, match="only as the bytes"):
            ids(open_file(str(path)))


@pytest.mark.parametrize("edited", [False, True])
def test_a_line_of_bytes_is_no_session_and_says_what_to_do(path: Path, edited: bool) -> None:
    add(path, sample_bundle("fine"))
    add_raw(path)
    add(path, sample_bundle("behind"))
    with pytest.raises(FileFormatError) as caught:
        ids(open_file(str(path), edited=edited))
    assert caught.value.line == 3
    assert "'bad' is here only as the bytes that are stored at redis://old" in caught.value.reason
    assert "not JSON" in caught.value.reason
    assert "migrate again" in (caught.value.hint or "")
    assert ids(open_file(str(path), partial=True)) == ["fine"]


def test_a_session_beside_the_bytes_is_not_taken_for_one(path: Path) -> None:
    """Whoever mends it by hand takes the bytes away."""
    add_raw(path)
    add(path, sample_bundle("bad", 0))
    header, raw, line = path.read_bytes().splitlines()
    both = raw.replace(b"]}", b"]") + b", " + line[1:]
    path.write_bytes(header + b"\n" + both + b"\n")
    with pytest.raises(FileFormatError, match="only as the bytes"):
        ids(open_file(str(path)))
    path.write_bytes(header + b"\n" + line + b"\n")
    assert ids(open_file(str(path))) == ["bad"]


def test_what_is_there_already_is_not_written_again(path: Path) -> None:
    for _ in range(2):
        add(path, BAD)
        add_raw(path)
    writer = QuarantineWriter(path, backend="postgresql://localhost/agno")
    for _ in range(2):
        writer.add(BAD, json_path="run_data.content", reason="holds a NUL character")
    assert len(path.read_bytes().splitlines()) == 3
    add(path, BAD, "of another reason")
    assert len(path.read_bytes().splitlines()) == 4
    path.unlink()
    writer.add(BAD, json_path="run_data.content", reason="holds a NUL character")
    assert ids(open_file(str(path))) == ["bad"]


def test_a_line_of_bytes_that_a_crash_tore_is_replaced_by_the_next(path: Path) -> None:
    add_raw(path)
    whole = path.read_bytes()
    for cut in range(1, len(whole), 17):
        path.write_bytes(whole[:cut])
        add_raw(path)
        assert path.read_bytes() == whole, cut


def test_an_error_while_the_bytes_are_read_leaves_nothing_of_them(path: Path) -> None:
    def pieces() -> Iterator[RawPiece]:
        yield RawPiece("a", b"b")
        raise ConnectionError

    add(path, BAD)
    before = path.read_bytes()
    with pytest.raises(ConnectionError):
        QuarantineWriter(path, backend="x").add_raw(
            "s", pieces(), json_path="x", reason="y", source="z"
        )
    assert path.read_bytes() == before
