"""Files for people and other tools, whatever they hold: when they appear, and that they never replace one unasked."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.errors import BackendUnavailableError, ExistsError, UsageError
from agnocli.formats import csv as csv_page
from agnocli.formats.pages import Page, open_page, page_kind
from agnocli.records import Document, Run, SessionBundle
from agnocli.testing.records import sample_bundle, sample_run, sample_session
from tests.formats.conversations import call, everything, run, said

KINDS = ("markdown", "html", "csv", "openai")


def written(kind: str, *bundles: SessionBundle) -> str:
    page = new_page(kind)
    parts = [*page.head()]
    for bundle in bundles:
        parts += page.session(bundle)
    return "".join([*parts, *page.tail()])


def new_page(kind: str) -> Page:
    page: Page = import_module(f"agnocli.formats.{kind}").new_page()
    return page


@pytest.mark.parametrize(
    ("path", "format", "kind"),
    [
        ("a.md", None, "markdown"),
        ("a.MARKDOWN", None, "markdown"),
        ("a.html.gz", None, "html"),
        ("a.htm", None, "html"),
        ("a.csv", None, "csv"),
        ("a.jsonl", None, None),
        ("a.jsonl", "openai", "openai"),
        ("a.csv", "json", None),
        ("-", "markdown", "markdown"),
        ("-", None, None),
    ],
)
def test_a_kind_is_named_or_told_by_the_file(
    path: str, format: str | None, kind: str | None
) -> None:
    assert page_kind(path, format) == kind


def test_a_kind_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError):
        open_page("a.pdf", "pdf")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_never_replaced_unasked(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "page"
    path.write_text("mine")
    with pytest.raises(ExistsError):
        open_page(str(path), kind).write([sample_bundle()])
    assert path.read_text() == "mine"
    open_page(str(path), kind, force=True).write([sample_bundle()])
    assert path.read_bytes().decode() == written(kind, sample_bundle())
    assert [one.name for one in tmp_path.iterdir()] == ["page"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_in_gz_is_packed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "page.gz"
    open_page(str(path), kind).write([everything()])
    assert gzip.decompress(path.read_bytes()).decode() == written(kind, everything())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_file_that_failed(tmp_path: Path, kind: str) -> None:
    def failing() -> Iterator[SessionBundle]:
        yield sample_bundle()
        raise BackendUnavailableError("away")

    with pytest.raises(BackendUnavailableError):
        open_page(str(tmp_path / "page"), kind).write(failing())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_failed_can_be_written_once_more(tmp_path: Path, kind: str) -> None:
    def runs() -> Iterator[Run]:
        yield sample_run("two")
        raise BackendUnavailableError("away")

    one, two = sample_bundle("one"), sample_bundle("two")
    sink = open_page(str(tmp_path / "page"), kind)
    with sink.loading():
        sink.write([one])
        with pytest.raises(BackendUnavailableError):
            sink.write([sample_bundle("three"), SessionBundle(two.session, runs())])
        sink.write([two])
    assert (tmp_path / "page").read_bytes().decode() == written(kind, one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_a_turn_is_written_before_the_next_is_read(kind: str) -> None:
    read = 0

    def runs() -> Iterator[Run]:
        nonlocal read
        for number in range(50):
            read += 1
            yield sample_run("long", number)

    pieces = new_page(kind).session(SessionBundle(sample_session("long"), runs()))
    for piece in pieces:
        if "question 3" in piece:
            break
    assert read < 10


@pytest.mark.parametrize("kind", KINDS)
def test_no_page_holds_a_control_character(kind: str) -> None:
    text = written(kind, everything())
    found = {one for one in text if one < " " or "\x7f" <= one < "\xa0" or one == "\u202e"}
    assert found <= ({"\n", "\r", "\t"} if kind == "csv" else {"\n", "\t"})
    if kind == "csv":
        assert "\r" not in text.replace("\r\n", "")


# CSV


def rows(*bundles: SessionBundle) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written("csv", *bundles), newline="")))


def test_csv_has_a_row_for_each_message_and_repeats_none() -> None:
    found = rows(everything())
    assert [one["role"] for one in found[:7]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]
    assert {one["session_id"] for one in found} == {"tea-1"}
    question = found[1]
    assert question["content"] == "Which tea should I make for two, and how?"
    assert question["created_at"] == "2025-10-09T08:53:20Z"
    assert (question["run_index"], question["message_index"]) == ("0", "1")
    asking, result, answer = found[2:5]
    assert asking["tool_name"] == result["tool_name"] == "find_tea"
    assert codec.decode(asking["tool_calls"])[0]["arguments"] == '{"people": 2, "kind": "green"}'
    assert result["tool_call_id"] == "c1"
    assert (answer["input_tokens"], answer["output_tokens"]) == ("120", "88")
    assert found[5]["attachments"] == "image, https://example.org/cup.jpg, image, notes.txt"
    assert found[-1]["role"] == "unreadable"
    assert "<script>" in found[-1]["content"]


@pytest.mark.parametrize(
    ("said_text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\n=1", "'\n=1"),
        (" =1", "' =1"),
        ("＝1", "'＝1"),
        ("1=1", "1=1"),
        ("'quoted'", "'quoted'"),
        ('a, "b"\nc', 'a, "b"\nc'),
    ],
)
def test_csv_has_no_cell_that_a_spreadsheet_would_run(said_text: str, cell: str) -> None:
    bundle = SessionBundle(sample_session(), [run("session-1", 0, said("user", said_text))])
    assert rows(bundle)[0]["content"] == cell


def test_csv_has_a_row_for_a_session_without_messages() -> None:
    (row,) = rows(SessionBundle(sample_session("empty"), ()))
    assert (row["session_id"], row["run_id"], row["content"]) == ("empty", "", "")
    assert tuple(row) == csv_page.COLUMNS


# OpenAI


def messages(*bundles: SessionBundle) -> list[list[dict[str, object]]]:
    lines = written("openai", *bundles).splitlines()
    return [codec.decode(line)["messages"] for line in lines]


def is_trainable(conversation: list[dict[str, object]]) -> bool:
    """What fine-tuning asks of an example."""
    open_calls: set[object] = set()
    for one in conversation:
        if one["role"] == "tool":
            assert one["tool_call_id"] in open_calls
            open_calls.discard(one["tool_call_id"])
            continue
        assert not open_calls
        assert one["role"] in ("system", "user", "assistant")
        assert set(one) <= {"role", "content", "tool_calls"}
        calls = one.get("tool_calls", [])
        assert isinstance(calls, list)
        open_calls = {made["id"] for made in calls}
    return conversation[-1]["role"] == "assistant" and not open_calls


def test_an_openai_line_is_an_example_to_learn_from() -> None:
    (found,) = messages(everything())
    assert is_trainable(found)
    assert [one["role"] for one in found] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]
    assert str(found).count("Which tea should I make") == 1
    assert "The model is away" not in str(found)
    assert "I looked at the shop" not in str(found)


def test_an_openai_line_keeps_pictures_a_model_can_see() -> None:
    (found,) = messages(everything())
    content: Any = found[5]["content"]
    words, picture, link = content
    assert words == {"type": "text", "text": "What is on this picture?\n\nAnd in the notes?"}
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert link["image_url"]["url"] == "https://example.org/cup.jpg"


def test_an_openai_line_says_the_system_message_once() -> None:
    turns = [
        run("s", n, said("system", "Be brief"), said("user", f"q{n}"), said("assistant", f"a{n}"))
        for n in range(3)
    ]
    (found,) = messages(SessionBundle(sample_session("s"), turns))
    assert [one["content"] for one in found] == ["Be brief", "q0", "a0", "q1", "a1", "q2", "a2"]


@pytest.mark.parametrize("status", ["ERROR", "CANCELLED", "REGENERATED", "PAUSED", "RUNNING"])
def test_a_turn_that_did_not_count_is_no_example(tmp_path: Path, status: str) -> None:
    turn = run("s", 0, said("user", "q"), said("assistant", "half"), status=status)
    bundle = SessionBundle(sample_session("s"), [turn])
    assert messages(bundle) == []
    result = open_page(str(tmp_path / "x"), "openai").write([bundle, sample_bundle("t")])
    assert (result.skipped, result.written) == (("s",), ("t",))


def test_a_call_without_a_result_is_no_example() -> None:
    turns = [
        run("s", 0, said("user", "q"), said("assistant", "", tool_calls=[call("f", "{}")])),
        run(
            "s",
            1,
            said("tool", "lost", tool_call_id="c9"),
            said("user", "r"),
            said("assistant", "a"),
        ),
    ]
    (found,) = messages(SessionBundle(sample_session("s"), turns))
    assert [one["content"] for one in found] == ["q", "r", "a"]


def test_half_a_character_is_replaced_where_readers_are_strict() -> None:
    data = Document(
        b'{"messages": [{"role": "user", "content": "\\ud83d!"}, {"role": "assistant", "content": "\\ud83c\\udf75"}]}'
    )
    bundle = SessionBundle(sample_session(), [sample_run(run_data=data)])
    assert [one["content"] for one in messages(bundle)[0]] == ["\ufffd!", "🍵"]
