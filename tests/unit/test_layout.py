from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Cursor, SessionQuery, Sort
from agnocli.errors import CodecError, ConfigError, UsageError
from agnocli.layout import derive, filter, legacy, names
from agnocli.layout.compare import BundleDigest
from agnocli.layout.form import session_json
from agnocli.records import NULL, Document, Run, Session, SessionInfo
from agnocli.testing.records import document, numbered, sample_bundle, sample_run, sample_session

OPTIONS = ("db_file", "session_table", "db_prefix")


# names


@pytest.mark.parametrize(
    ("given_names", "found"),
    [
        ((), ("agno_sessions", "agno_runs", "agno_schema_versions")),
        (("agno_sessions",), ("agno_sessions", "agno_runs", "agno_schema_versions")),
        (("chats",), ("chats", "chats_runs", "agno_schema_versions")),
        (("chats", "turns"), ("chats", "turns", "agno_schema_versions")),
        ((None, "turns", "v"), ("agno_sessions", "turns", "v")),
    ],
)
def test_a_renamed_session_table_takes_its_runs_along(
    given_names: tuple[str | None, ...], found: tuple[str, str, str]
) -> None:
    tables = names.tables(*given_names)
    assert (tables.sessions, tables.runs, tables.versions) == found


@pytest.mark.parametrize(
    ("option", "name"),
    [("db_file", "db_file"), ("table_name", "session_table"), ("prefix", "db_prefix")],
)
def test_an_option_has_one_name(option: str, name: str) -> None:
    assert names.canonical(option, OPTIONS, "backend 'x'") == name


@pytest.mark.parametrize(
    ("option", "known", "hint"),
    [
        ("db_fil", OPTIONS, "did you mean 'db_file'?"),
        ("tabel_name", OPTIONS, "did you mean 'table_name'?"),
        ("zzz", OPTIONS, "known: db_file, db_prefix, session_table"),
        ("schema", OPTIONS, "known: db_file, db_prefix, session_table"),
        ("table_name", (), "known: none"),
    ],
)
def test_an_unknown_option_is_an_error_with_the_nearest(
    option: str, known: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(ConfigError, match="backend 'x'") as caught:
        names.canonical(option, known, "backend 'x'")
    assert caught.value.hint == hint


# derive


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"agent_id": "a", "team_id": "t"}, "agent"),
        ({"agent_name": "A"}, "agent"),
        ({"agent_id": None, "team_id": "t"}, "team"),
        ({"team_name": "T", "workflow_id": "w"}, "team"),
        ({"workflow_id": "w"}, "workflow"),
        ({}, "workflow"),
    ],
)
def test_a_runs_type_follows_from_who_ran_it(data: dict[str, Any], kind: str) -> None:
    assert derive.run_type(data) == kind


def test_the_columns_of_a_run_repeat_its_data() -> None:
    session = sample_session("s", user_id="bob")
    data = {
        "run_id": "r",
        "session_id": "other",
        "team_id": "desk",
        "agent_id": "writer",
        "parent_run_id": "p",
        "status": "PAUSED",
        "created_at": 5,
        "user_id": "someone",
    }
    row = derive.run_row(data, session, 3, now=99)
    assert row == Run(
        run_id="r",
        session_id="s",
        run_type="agent",
        agent_id="writer",
        team_id="desk",
        user_id="bob",
        parent_run_id="p",
        status="PAUSED",
        run_index=3,
        run_data=codec.encode(data),
        created_at=5,
        updated_at=99,
    )
    text = Document(b'{"run_id":"r"}')
    bare = derive.run_row({"run_id": "r"}, session, None, 99, text)
    assert (bare.run_data, bare.created_at, bare.run_index) == (text, 99, None)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("  a \n\t b ", "a b"),
        ("", ""),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("y" * 58 + " zzz", "y" * 58 + "…"),
    ],
)
def test_a_title_is_one_short_line(text: str, title: str) -> None:
    assert derive.title(text) == title


def test_a_listing_row_of_documents_that_cannot_be_decoded_is_bare() -> None:
    broken = Document(b"{")
    session = sample_session("s", session_data=broken, metadata=broken, agent_data=broken)
    info = derive.session_info(session, runs=3, status="ERROR")
    assert (info.session_id, info.runs, info.status) == ("s", 3, "ERROR")
    assert (info.name, info.title, info.tags, info.model) == (None, None, (), None)


@pytest.mark.parametrize(
    "odd", [NULL, None, b"[]", b"5", b'{"session_name": 5, "tags": "x", "model": []}']
)
def test_a_listing_row_takes_only_what_has_the_right_form(odd: bytes | None) -> None:
    found = None if odd is None else Document(odd)
    session = sample_session("s", session_data=found, metadata=found, agent_data=found)
    info = derive.session_info(session, runs=0, status=None)
    assert (info.name, info.title, info.tags, info.model) == (None, None, (), None)


# legacy

ENTRIES = [{"run_id": f"r{number}", "agent_id": "a", "n": number} for number in range(4)]


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        (None, None),
        (b"null", b"null"),
        (b'{"a": 1}', b'{"a": 1}'),
        (rb'"{\"a\":  1}"', b'{"a":  1}'),
        (rb'"null"', b"null"),
        (rb'"just text"', rb'"just text"'),
        (rb'"{\"a\": \"\\ud800\"}"', rb'{"a": "\ud800"}'),
        (rb'"{\"a\": \"\u00e9\"}"', '{"a": "\u00e9"}'.encode()),
        (b'"half', b'"half'),
        (b'{"a": "{}"}', b'{"a": "{}"}'),
    ],
)
def test_an_extra_layer_of_text_is_taken_off(text: bytes | None, inner: bytes | None) -> None:
    assert legacy.unwrap(None if text is None else Document(text)) == inner


@pytest.mark.parametrize("twice", [False, True])
def test_runs_are_read_from_the_session_row(twice: bool) -> None:
    entries = [ENTRIES[0], {"no": "id"}, None, "x", {"run_id": None}, ENTRIES[1]]
    blob = document(entries)
    blob = document(blob.decode()) if twice else blob
    session = sample_session("s", updated_at=None)
    runs = list(legacy.blob_runs(blob, session))
    assert numbered(runs) == [(0, "r0"), (5, "r1")]
    assert [codec.decode(run.run_data) for run in runs] == ENTRIES[:2]
    assert {(run.session_id, run.user_id, run.created_at) for run in runs} == {
        ("s", "alice", session.created_at)
    }


@pytest.mark.parametrize("blob", [None, b"null", b"[]", b"{}", b'""', rb'"null"', rb'"[]"'])
def test_a_session_row_may_hold_no_runs(blob: bytes | None) -> None:
    found = None if blob is None else Document(blob)
    assert list(legacy.blob_runs(found, sample_session())) == []
    assert legacy.without(found, ["r0"]) == found


@pytest.mark.parametrize("blob", [b"[{", b'"[{', b'"[{"', b"5", b'{"run_id": "r"}'])
def test_runs_that_cannot_be_read_are_an_error(blob: bytes) -> None:
    with pytest.raises(CodecError) as caught:
        list(legacy.blob_runs(Document(blob), sample_session()))
    assert caught.value.json_path == "runs"


def test_the_table_wins_in_the_old_columns_place_and_adds_the_rest() -> None:
    old = [sample_run("s", run_id=name, status="OLD") for name in ("c", "a", "b")]
    new = [sample_run("s", run_id=name, status="NEW") for name in ("z", "a", "d")]
    merged = [(run.run_id, run.status) for run in legacy.merge(old, new)]
    assert merged == [("c", "OLD"), ("a", "NEW"), ("b", "OLD"), ("z", "NEW"), ("d", "NEW")]
    assert list(legacy.merge([], new)) == new
    assert list(legacy.merge(old, [])) == old


@pytest.mark.parametrize("twice", [False, True])
def test_runs_are_taken_out_of_the_old_column(twice: bool) -> None:
    blob = document([*ENTRIES, "odd"])
    blob = document(blob.decode()) if twice else blob
    kept = legacy.without(blob, ["r1", "r3", "unknown"])
    assert kept == document([ENTRIES[0], ENTRIES[2], "odd"])
    assert legacy.without(blob, ["unknown"]) == blob


# filter

infos = st.builds(
    SessionInfo,
    session_id=st.text("ab\u00e9", min_size=1, max_size=3),
    created_at=st.integers(0, 3),
    updated_at=st.none() | st.integers(0, 3),
    name=st.sampled_from([None, "x", "y"]),
)


@settings(max_examples=150)
@given(
    st.lists(infos, max_size=12, unique_by=lambda info: info.session_id),
    st.sampled_from(Sort),
    st.booleans(),
    st.integers(1, 4),
    st.none() | st.just("X"),
)
def test_pages_join_to_the_whole_listing(
    rows: list[SessionInfo], sort: Sort, reverse: bool, limit: int, name: str | None
) -> None:
    query = SessionQuery(sort=sort, reverse=reverse, limit=None, name=name)
    whole = filter.page(filter.in_order(rows, query), query, total=None).items
    down = sorted(rows, key=lambda row: (-filter.sort_key(row, sort), row.session_id))
    wanted = [row for row in (down[::-1] if reverse else down) if name is None or row.name == "x"]
    assert list(whole) == wanted
    joined: list[SessionInfo] = []
    query = replace(query, limit=limit)
    for _ in range(len(rows) + 1):
        page = filter.page(filter.in_order(rows, query), query, total=None)
        joined += page.items
        if page.next is None:
            break
        query = replace(query, after=page.next)
    assert joined == wanted


@settings(max_examples=100)
@given(st.integers(), st.text(st.characters()))
def test_a_cursor_tells_its_place_in_ascii(value: int, session_id: str) -> None:
    cursor = filter.encode_cursor(value, session_id)
    assert cursor.isascii()
    assert not set(cursor) & set(" =+/&?#%")
    assert filter.decode_cursor(cursor) == (value, session_id)


@settings(max_examples=200)
@given(st.text(max_size=12))
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(UsageError):
        filter.decode_cursor(Cursor(text))


@pytest.mark.parametrize("junk", ["!", " ", "\n", "=", "====", "\u00e9", "+"])
def test_a_cursor_with_junk_in_it_is_refused(junk: str) -> None:
    cursor = filter.encode_cursor(7, "session-1")
    for spoilt in (cursor + junk, junk + cursor, cursor[:4] + junk + cursor[4:]):
        with pytest.raises(UsageError):
            filter.decode_cursor(Cursor(spoilt))


@pytest.mark.parametrize(("updated", "listed"), [(None, 5), (0, 0), (3, 3), (9, 9)])
def test_a_row_is_listed_under_its_last_change(updated: int | None, listed: int) -> None:
    info = SessionInfo(session_id="s", created_at=5, updated_at=updated)
    assert filter.sort_key(info, Sort.UPDATED) == listed
    assert filter.sort_key(info, Sort.CREATED) == 5


def test_a_page_draws_no_more_rows_than_it_needs() -> None:
    rows = iter([SessionInfo(session_id=f"{number}", created_at=0) for number in range(10)])
    page = filter.page(rows, SessionQuery(limit=3, skip=2), total=10)
    assert [info.session_id for info in page.items] == ["2", "3", "4"]
    assert page.total == 10
    assert next(rows).session_id == "6"


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        (SessionQuery(), False),
        (SessionQuery(user_id="a", id_prefix="b", since=1, status="ERROR"), False),
        (SessionQuery(text=""), True),
        (SessionQuery(name="*"), True),
        (SessionQuery(tag="x"), True),
        (SessionQuery(model="x"), True),
    ],
)
def test_only_some_filters_look_into_documents(query: SessionQuery, needed: bool) -> None:
    assert filter.needs_decoding(query) is needed


# compare, form


def test_a_bundle_digest_counts_every_column_and_every_run() -> None:
    session, runs = sample_bundle("s", 2)
    first, second = runs
    others = [
        (replace(session, user_id=None), runs),
        (replace(session, summary=None), runs),
        (replace(session, extra={"tenant": "x"}), runs),
        (session, (second, first)),
        (session, (first,)),
        (session, (first, replace(second, run_index=None))),
        (session, (first, replace(second, run_data=NULL))),
        (session, (first, replace(second, extra={"x": 1}))),
    ]
    digests = {BundleDigest(session).drain(runs)}
    digests |= {BundleDigest(one).drain(some) for one, some in others}
    assert len(digests) == 1 + len(others)
    watched = BundleDigest(session)
    assert list(watched.watch(iter(runs))) == list(runs)
    assert watched.hexdigest() == BundleDigest(session).drain(runs)


def test_the_json_form_of_a_session_keeps_its_documents_text() -> None:
    session = sample_session(
        "s", metadata=Document(b'{"a":1.50}'), summary=Document(b"{half"), user_id='q"'
    )
    runs = [sample_run("s", 0), sample_run("s", 1, run_data=Document(b"NaN"))]
    text = "".join(session_json(session, runs))
    assert '"metadata": {"a":1.50}, ' in text
    found = codec.decode(text)
    assert (found["summary"], found["user_id"], found["team_data"]) == ("{half", 'q"', None)
    assert found["runs"][0] == codec.decode(runs[0].run_data)
    assert len(found["runs"]) == 2
    assert codec.decode("".join(session_json(session, [])))["runs"] == []


def test_a_run_that_the_old_column_holds_twice_is_read_once() -> None:
    session = Session(session_id="s", created_at=1)
    blob = codec.encode([{"run_id": "a"}, {"run_id": "b"}, {"run_id": "a"}])
    merged = legacy.merge(legacy.blob_runs(blob, session), [])
    assert [run.run_id for run in merged] == ["a", "b"]
