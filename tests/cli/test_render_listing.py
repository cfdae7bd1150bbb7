from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyte
import pytest

from agnocli import codec
from agnocli.cli.render.listing import Column, Output, write_listing
from agnocli.cli.render.table import SAMPLE
from agnocli.cli.render.text import cells
from agnocli.errors import UsageError

NOW = 1_795_444_726
COLUMNS = [
    Column("session_id", "ID", "id"),
    Column("name", "NAME"),
    Column("agent_id", "AGENT", rank=2),
    Column("user_id", "USER", rank=3),
    Column("runs", "RUNS", "number", rank=1),
    Column("status", "STATUS", "status", rank=4),
    Column("updated_at", "UPDATED", "time"),
    Column("tags", "TAGS", table=False),
]


def row(**changes: object) -> dict[str, object]:
    return {
        "session_id": "3f2a91c4-0000-4000-8000-000000000001",
        "name": "Trip",
        "agent_id": "assistant",
        "user_id": "alice",
        "runs": 3,
        "status": "COMPLETED",
        "updated_at": NOW - 7200,
        "tags": ["a", "b"],
    } | changes


def printed(
    rows: Sequence[dict[str, object]],
    output: Output = "table",
    *,
    columns: Sequence[Column] = COLUMNS,
    tty: bool = False,
    width: int = 80,
    color: bool = False,
    fields: Sequence[str] | None = None,
) -> str:
    stream = io.StringIO()
    count = write_listing(
        iter(rows),
        columns,
        output=output,
        stream=stream,
        color=color,
        width=width,
        now=NOW,
        fields=fields,
        tty=tty,
    )
    assert count == len(rows)
    return stream.getvalue()


ODD_NAMES = [
    "Short",
    "A very long name of a conversation about moving databases that goes on and on and on",
    "你好世界，这是一个很长的中文会话名称，用来测试宽度对齐，还要更长一点",
    "👨\u200d👩\u200d👧\u200d👦 family 👍🏽 trip",
    "e\u0301tude",
    "two\nlines\tand a tab",
    None,
]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_terminal_table_never_wraps(width: int) -> None:
    rows = [row(session_id=f"{n}" * 36, name=name) for n, name in enumerate(ODD_NAMES)]
    lines = printed(rows, tty=True, width=width).split("\n")
    assert len(lines) == len(rows) + 2 and lines[-1] == ""
    assert all(cells(line) <= width for line in lines)
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_columns_stand_straight_on_a_screen_with_wide_characters(width: int) -> None:
    names = ["plain", "你好世界", "e\u0301tude", "世" * 60, "x" * 100]
    rows = [row(session_id=f"{n}" * 36, name=name) for n, name in enumerate(names)]
    screen = pyte.Screen(width, 10)
    pyte.Stream(screen).feed(printed(rows, tty=True, width=width, color=True).replace("\n", "\r\n"))
    at = screen.display[0].index("UPDATED")
    for line in range(1, len(rows) + 1):
        stood = "".join(screen.buffer[line][column].data for column in range(at, width)).rstrip()
        assert stood == "2h ago"


def test_a_terminal_gets_ages_and_short_ids_and_a_pipe_the_whole() -> None:
    on_terminal, in_pipe = printed([row()], tty=True), printed([row()])
    assert "2h ago" in on_terminal and "3f2a91c4 " in on_terminal
    assert "2026-11-23T12:38:46Z" in in_pipe and "3f2a91c4-0000-4000-8000-000000000001" in in_pipe


def test_a_table_in_a_pipe_cuts_nothing() -> None:
    name = "long " * 100
    assert name.strip() in printed([row(name=name)], width=40)


def test_short_ids_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    ids = [
        "3f2a91c4-1111-aaaa-bbbb",
        "3f2a91c4-1111-aaab-bbbb",
        "00000000-9999-9999-9999",
        "brief-1",
    ]
    text = printed([row(session_id=one) for one in ids], tty=True, width=200)
    shown = [line.split()[0] for line in text.splitlines()[1:]]
    assert shown == ["3f2a91c4-1111-aaaa", "3f2a91c4-1111-aaab", "00000000", "brief-1"]


def test_an_id_that_begins_another_is_shown_whole() -> None:
    ids = ["conversation-number-1", "conversation-number-10", "conversation-number-2"]
    text = printed([row(session_id=one) for one in ids], tty=True, width=200)
    assert [line.split()[0] for line in text.splitlines()[1:]] == ids


def test_narrow_terminals_lose_the_least_important_columns_first() -> None:
    rows = [row(name="a conversation of some length")]
    assert "STATUS" in printed(rows, tty=True, width=200)
    header = printed(rows, tty=True, width=60).splitlines()[0]
    assert "STATUS" not in header and "ID" in header and "NAME" in header and "UPDATED" in header


def test_columns_that_are_empty_in_every_row_are_left_out_on_a_terminal() -> None:
    assert "USER" not in printed([row(user_id=None)], tty=True, width=200)
    assert "USER" in printed([row(user_id=None), row()], tty=True, width=200)
    assert "USER" in printed([row(user_id=None)], tty=True, fields=["session_id", "user_id"])


def test_a_column_of_rank_0_stays_though_it_is_empty() -> None:
    assert "NAME" in printed([row(name=None)], tty=True)


def test_a_name_of_a_million_characters_is_cut_at_once() -> None:
    started = time.process_time()
    assert max(map(len, printed([row(name="x" * 3_000_000)], tty=True).splitlines())) <= 80
    assert time.process_time() - started < 2


@pytest.mark.parametrize("tty", [True, False])
def test_no_escape_codes_without_color(tty: bool) -> None:
    assert "\x1b" not in printed([row(status="ERROR")], tty=tty)
    assert "\x1b[31mERROR\x1b[0m" in printed([row(status="ERROR")], tty=tty, color=True, width=200)


@pytest.mark.parametrize("output", ["table", "tsv", "csv", "ids", "json", "jsonl"])
@pytest.mark.parametrize("tty", [True, False])
def test_stored_control_sequences_reach_no_output(output: Output, tty: bool) -> None:
    evil = "x\x1b]52;c;QQ\x07\x1b[2J\x9b2J\x7f\u202e"
    text = printed([row(name=evil, session_id=evil)], output, tty=tty, width=200)
    assert not any(one in text for one in "\x1b\x07\x9b\x7f\u202e\r")


def test_json_of_no_rows_is_an_empty_array() -> None:
    assert printed([], "json") == "[]\n"
    assert printed([], "jsonl") == ""
    assert printed([], "tsv").count("\n") == 1


def test_json_keeps_exact_values_and_all_keys() -> None:
    odd = row(name="x\x1b[2J\x9b\ud800", more={"big": 2**70}, tags=[])
    assert codec.decode(printed([odd, row()], "json")) == [odd, row()]
    lines = printed([odd, row()], "jsonl").splitlines()
    assert [codec.decode(line) for line in lines] == [odd, row()]


def test_fields_pick_and_order_columns_and_keys() -> None:
    fields = ["tags", "name"]
    assert printed([row()], "tsv", fields=fields) == "tags\tname\na,b\tTrip\n"
    assert list(codec.decode(printed([row()], "json", fields=fields))[0]) == fields
    assert list(codec.decode(printed([row()], "jsonl", fields=fields))) == fields
    assert printed([row()], fields=fields, tty=True).split() == ["TAGS", "NAME", "a,b", "Trip"]


@pytest.mark.parametrize("output", ["table", "json", "tsv", "ids"])
def test_an_unknown_field_is_a_usage_error_that_lists_the_known(output: Output) -> None:
    with pytest.raises(UsageError) as caught:
        printed([row()], output, fields=["nmae"])
    assert "'name'" in str(caught.value.hint) and "session_id" in str(caught.value.hint)


def test_tabs_newlines_and_backslashes_in_a_tsv_value_can_be_undone() -> None:
    text = printed([row(name="a\tb\nc\\n\r\n")], "tsv", fields=["name"])
    assert text == "name\na\\tb\\nc\\\\n\\n\n"


def test_csv_is_read_back_by_a_csv_reader() -> None:
    name = 'say "hi", then\na new line'
    text = printed([row(name=name)], "csv")
    head, line = csv.reader(io.StringIO(text))
    assert dict(zip(head, line, strict=True))["name"] == name


def test_ids_are_the_first_column_whole() -> None:
    assert printed([row(), row(session_id="b")], "ids") == f"{row()['session_id']}\nb\n"


def test_an_empty_cell_is_empty_and_not_none() -> None:
    text = printed([row(name=None, updated_at=None)], "tsv", fields=["name", "updated_at", "runs"])
    assert text.splitlines()[1] == "\t\t3"


@pytest.mark.parametrize("output", ["table", "tsv", "json", "jsonl", "csv", "ids"])
def test_rows_are_written_as_they_come(output: Output) -> None:
    stream, last = io.StringIO(), 3 * SAMPLE
    seen: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(last):
            seen.append(len(stream.getvalue()))
            yield row(session_id=f"{number:032}")

    write_listing(
        rows(), COLUMNS, output=output, stream=stream, color=False, width=80, now=NOW, tty=True
    )
    assert 0 < seen[2 * SAMPLE] < seen[-1]


def _tea(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer("tea", text)]


SNIPPETS = [Column("id", "ID", "id"), Column("name", "NAME", rank=1),
            Column("snippet", "SNIPPET", least=30, marks=_tea)]  # fmt: skip


def test_what_was_found_stands_out_and_stays_in_sight() -> None:
    rows: list[dict[str, object]] = [
        {"id": "a", "name": "Trip", "snippet": "cup of tea, then tea"},
        {"id": "b", "name": "Trip", "snippet": "日本" * 30 + " tea " + "語" * 30},
        {"id": "c", "name": "Trip", "snippet": "\x1b[31mtea"},
    ]
    lines = printed(rows, columns=SNIPPETS, tty=True, width=40, color=True).splitlines()
    assert lines[1].endswith("  cup of \x1b[1;31mtea\x1b[0m, then \x1b[1;31mtea\x1b[0m")
    assert "本 \x1b[1;31mtea\x1b[0m 語" in lines[2]
    assert lines[3].endswith("  ␛[31m\x1b[1;31mtea\x1b[0m")
    plain = printed(rows, columns=SNIPPETS, tty=True, width=40).splitlines()
    assert all(cells(line) <= 40 for line in plain)
    assert "NAME" in plain[0] and "NAME" not in printed(rows, columns=SNIPPETS, tty=True, width=36)
    piped = printed(rows, columns=SNIPPETS).splitlines()
    assert piped[2].endswith("日本 tea " + "語" * 30)
