"""What the text of a file looks like."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agnocli.errors import FileFormatError
from agnocli.formats.registry import open_file
from agnocli.records import NULL, RUN_COLUMNS, SESSION_COLUMNS, Document, Session, SessionBundle
from agnocli.testing.file_base_suite import exported, ids, read
from agnocli.testing.file_values_suite import DOCUMENTS, EXTRA
from agnocli.testing.records import sample_bundle, sample_run, sample_session

quick = settings(max_examples=80)
texts = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=8)
plain = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=8)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
documents = st.one_of(
    st.none(),
    st.sampled_from(sorted(DOCUMENTS.values(), key=len)[:40]),
    st.binary(max_size=40),
    st.text(st.sampled_from('{}[]":,\\u0 \t\n\rdeE+-.'), max_size=40).map(str.encode),
).map(lambda text: text if text is None else Document(text))
bundles = st.builds(
    lambda name, user, data, summary, extra, runs: SessionBundle(
        sample_session(name, user_id=user, session_data=data, summary=summary, extra=extra),
        tuple(
            sample_run(name, number, run_id=run, run_data=data or NULL, extra=extra)
            for number, (run, data) in enumerate(runs)
        ),
    ),
    texts,
    texts,
    documents,
    documents,
    st.dictionaries(texts, values, max_size=2),
    st.lists(st.tuples(texts, documents), max_size=3),
)


def strict(text: bytes) -> Any:
    """As RFC 8259 has it."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text.decode(), parse_constant=refuse)


@quick
@given(st.lists(bundles, max_size=3, unique_by=lambda bundle: bundle.session.session_id))
@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_anything_comes_back_as_it_was(
    suffix: str, tmp_path_factory: pytest.TempPathFactory, given: list[SessionBundle]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"anything.{suffix}"
    first = exported(given, path)
    found = read(open_file(str(path)))
    assert repr(found) == repr(given)
    assert exported(found, path) == first
    assert repr(read(open_file(str(path), edited=True))) == repr(given)
    strict(first) if suffix == "json" else [strict(line) for line in first.splitlines()]


@pytest.mark.parametrize("name", ["sessions.jsonl", "sessions.jsonl.gz"])
def test_a_line_is_agnos_session_with_the_rows_of_its_runs(tmp_path: Path, name: str) -> None:
    data = exported([sample_bundle("a", 2), sample_bundle("b", 0)], tmp_path / name)
    text = gzip.decompress(data) if name.endswith(".gz") else data
    header, first, second, trailer = text.splitlines()
    assert strict(header) == {"format": "agnocli-sessions", "version": 1}
    session = strict(first)
    assert [key for key in session if key not in ("exact", "sha256")] == [*SESSION_COLUMNS, "runs"]
    assert session["session_data"] == {"session_name": "Tea", "session_state": {"cups": 2}}
    assert (session["summary"], session["exact"]) == (None, {"summary": "null"})
    assert [run["run_data"]["content"] for run in session["runs"]] == ["answer 0", "answer 1"]
    assert tuple(session["runs"][0]) == RUN_COLUMNS
    assert strict(second)["runs"] == []
    assert strict(trailer) == {
        "sessions_count": 2,
        "runs_count": 2,
        "sha256": hashlib.sha256(text[: -len(trailer) - 1]).hexdigest(),
    }


def test_a_session_is_sealed_by_the_checksum_of_all_in_front_of_it(tmp_path: Path) -> None:
    text = exported([sample_bundle("a"), sample_bundle("b")], tmp_path / "sessions.jsonl")
    for line in text.splitlines()[1:3]:
        end = text.index(line) + line.rindex(b'"sha256": "') + len(b'"sha256": "')
        assert strict(line)["sha256"] == hashlib.sha256(text[:end]).hexdigest()


def test_a_document_of_json_has_a_line_for_each_run(tmp_path: Path) -> None:
    text = exported([sample_bundle("a", 2), sample_bundle("b", 1)], tmp_path / "sessions.json")
    document = strict(text)
    assert list(document) == [
        "format",
        "version",
        "sessions",
        "sessions_count",
        "runs_count",
        "sha256",
    ]
    assert [one["session_id"] for one in document["sessions"]] == ["a", "b"]
    assert sum(line.startswith(b'{"run_id"') for line in text.splitlines()) == 3


def test_every_row_is_json_to_the_letter(tmp_path: Path) -> None:
    runs = [
        sample_run("s", number, run_data=Document(text), extra=EXTRA)
        for number, text in enumerate(DOCUMENTS.values())
        if b"7" * 5000 not in text  # more digits than Python converts
    ]
    extra = {name: value for name, value in EXTRA.items() if name != "digits"}
    bundle = SessionBundle(sample_session("s", extra=extra), runs)
    text = exported([bundle], tmp_path / "sessions.jsonl")
    assert [len(strict(line).get("runs", ())) for line in text.splitlines()] == [0, len(runs), 0]


@pytest.mark.parametrize("change", ["lost", "twice", "swapped", "from another file"])
def test_a_line_in_the_wrong_place_is_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "sessions.jsonl"
    other = exported([sample_bundle(name) for name in "xbcd"], path).splitlines(keepends=True)
    lines = exported([sample_bundle(name) for name in "abcd"], path).splitlines(keepends=True)
    changed, line = {
        "lost": (lines[:2] + lines[3:], 3),
        "twice": (lines[:3] + lines[2:], 4),
        "swapped": ([*lines[:2], lines[3], lines[2], *lines[4:]], 3),
        "from another file": ([*lines[:2], other[2], *lines[3:]], 3),
    }[change]
    path.write_bytes(b"".join(changed))
    with pytest.raises(FileFormatError, match="was altered") as caught:
        ids(open_file(str(path)))
    assert caught.value.line == line
    partial = ids(open_file(str(path), partial=True))
    assert partial == list("abcd")[: line - 2]


def test_a_line_with_a_wrong_count_is_found(tmp_path: Path) -> None:
    path = tmp_path / "sessions.jsonl"
    text = exported([sample_bundle("a")], path)
    for count in (b'"sessions_count": 1', b'"runs_count": 2'):
        path.write_bytes(text.replace(count, count[:-1] + b"3"))
        with pytest.raises(FileFormatError) as caught:
            ids(open_file(str(path)))
        assert caught.value.line == 3


def test_a_document_laid_out_anew_is_read_when_that_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    given = [sample_bundle("a\n[{", 2), sample_bundle("b", 0), sample_bundle("c", 1)]
    text = exported(given, path)
    path.write_text(json.dumps(json.loads(text), indent=4, ensure_ascii=False))
    with pytest.raises(FileFormatError, match="laid out anew") as caught:
        ids(open_file(str(path)))
    assert "--edited" in (caught.value.hint or "")
    found = read(open_file(str(path), edited=True))
    assert [values_of(one.session) for one in found] == [values_of(one.session) for one in given]
    for one, wanted in zip(found, given, strict=True):
        documents = [json.loads(run.run_data) for run in one.runs]
        assert documents == [json.loads(run.run_data) for run in wanted.runs]


def values_of(session: Session) -> dict[str, Any]:
    values = {name: getattr(session, name) for name in SESSION_COLUMNS}
    return {
        name: json.loads(value) if isinstance(value, bytes) else value
        for name, value in values.items()
    }


BROKEN = {
    "half a session": (b', "runs": [\t]', b"", 3),
    "a text that does not end": (b'"user_id": "alice"', b'"user_id": "alice', 3),
    "a bracket too many": (b'"runs": [\t]', b'"runs": [\t]]', 3),
    "a member nobody knows": (b'"user_id"', b'"user-id"', 3),
    "a member that is lost": (b'"user_id": "alice", ', b"", 3),
    "a word that is none": (b'"team_id": null', b'"team_id": nul', 3),
    "an id that is no text": (b'"session_id": "b"', b'"session_id": 7', 3),
    "an exact form that is none": (b'{"summary":"null"}', b'{"summary":1}', 3),
    "an exact form of nothing": (b'{"summary":"null"}', b'{"sum":"null"}', 3),
    "a tag that is none": (b'{"summary":"null"}', b'{"summary":{"$bytes":"?"}}', 3),
    "a last line that is lost": (b'{"sessions_count": 2, ', b"", 4),
    "runs in front": (b'{"session_id": "b"', b'{"runs": [], "session_id": "b"', 3),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_edited_line_that_is_no_session_any_more_is_named(tmp_path: Path, case: str) -> None:
    path = tmp_path / "sessions.jsonl"
    text = exported([sample_bundle("a"), sample_bundle("b", 0)], path)
    old, new, line = BROKEN[case]
    place = text.index(b'{"session_id": "b"')
    path.write_bytes(text[:place] + text[place:].replace(old, new))
    with pytest.raises(FileFormatError) as caught:
        ids(open_file(str(path), edited=True))
    assert caught.value.line == line
    assert ids(open_file(str(path), edited=True, partial=True)) == ["a", "b"][: line - 2]
