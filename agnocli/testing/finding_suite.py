"""find: filters, order, pages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli.abc import Backend, Cursor, Page, SessionQuery, Sort
from agnocli.errors import UsageError
from agnocli.records import Document, SessionBundle
from agnocli.testing.base_suite import Suite
from agnocli.testing.reading_suite import STRANGE_IDS, strange_ids, tied_runs
from agnocli.testing.records import EPOCH, document, sample_bundle, sample_run, sample_session

OLDEST, NEWEST = EPOCH, EPOCH + 500

TIED = [
    # (id, created, updated) newest first; groups of 2, 4, 4 and 2 with one time each
    ("m", 5, 40),
    ("z", 1, 40),
    ("B", 2, 30),
    ("a", 9, 30),
    ("b", 3, 30),
    ("c", 30, None),
    ("d", 4, 20),
    ("e", 20, None),
    ("f", 6, 20),
    ("g", 6, 20),
    ("h", 7, 0),
    ("i", 0, None),
]

FILTERED = (
    sample_bundle("agent-1", name="Green Tea", updated_at=NEWEST),
    sample_bundle("agent-2", name="green apples", user_id="bob", metadata=None),
    sample_bundle(
        "team-1",
        name="\u00c4pfel 100%",
        session_type="team",
        agent_id=None,
        agent_data=None,
        team_id="desk",
        team_data=document({"model": {"id": "gpt-5"}}),
        metadata=document({"tags": ["home", "work"]}),
    ),
    SessionBundle(
        sample_session("nameless", session_data=None, created_at=EPOCH - 90, updated_at=None),
        (sample_run("nameless", 0), sample_run("nameless", 1, status="ERROR")),
    ),
    sample_bundle("agent_2", runs=0, name="[x]", user_id=None, agent_id="writer"),
)

FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"agent-1", "agent-2", "team-1", "nameless", "agent_2"}),
    ({"user_id": "bob"}, {"agent-2"}),
    ({"user_id": "Bob"}, set()),
    ({"agent_id": "writer"}, {"agent_2"}),
    ({"team_id": "desk"}, {"team-1"}),
    ({"session_type": "team"}, {"team-1"}),
    ({"status": "ERROR"}, {"nameless"}),
    ({"status": "COMPLETED"}, {"agent-1", "agent-2", "team-1"}),
    ({"model": "gpt-5"}, {"team-1"}),
    ({"tag": "home"}, {"agent-1", "team-1", "nameless", "agent_2"}),
    ({"tag": "work"}, {"team-1"}),
    ({"tag": "hom"}, set()),
    ({"name": "green*"}, {"agent-1", "agent-2"}),
    ({"name": "GREEN TEA"}, {"agent-1"}),
    ({"name": "tea"}, set()),
    ({"name": "\u00e4pfel*"}, {"team-1"}),
    ({"name": "*"}, {"agent-1", "agent-2", "team-1", "agent_2"}),
    ({"name": "[[]x]"}, {"agent_2"}),
    ({"text": "TEA"}, {"agent-1", "team-1"}),
    ({"text": "\u00e4PFEL"}, {"team-1"}),
    ({"text": "0%"}, {"team-1"}),
    ({"text": "e_"}, set()),
    ({"text": "cups"}, set()),
    ({"id_prefix": "agent-"}, {"agent-1", "agent-2"}),
    ({"id_prefix": "agent_"}, {"agent_2"}),
    ({"id_prefix": "Agent"}, set()),
    ({"id_prefix": "%"}, set()),
    ({"since": NEWEST}, {"agent-1"}),
    ({"since": NEWEST + 1}, set()),
    ({"until": EPOCH}, {"nameless"}),
    ({"until": EPOCH - 90}, set()),
    ({"since": EPOCH - 90, "until": EPOCH + 60}, {"nameless"}),
    ({"since": NEWEST, "sort": Sort.CREATED}, set()),
    ({"until": EPOCH + 1, "sort": Sort.CREATED}, {one.session.session_id for one in FILTERED}),
    ({"user_id": "alice", "name": "*", "since": EPOCH, "tag": "home"}, {"agent-1", "team-1"}),
]


def pages(backend: Backend, query: SessionQuery) -> Iterator[Page]:
    """Page by page; fails when there is no end."""
    for _ in range(200):
        page = backend.find(query)
        yield page
        if page.next is None:
            return
        query = replace(query, after=page.next)
    raise AssertionError("paging does not end")


def ids(page: Page) -> list[str]:
    return [info.session_id for info in page.items]


class FindingSuite(Suite):
    @pytest.fixture
    def tied(self, backend: Backend) -> Backend:
        bundles = [
            sample_bundle(
                session_id,
                1,
                created_at=EPOCH + created,
                updated_at=None if updated is None else EPOCH + updated,
            )
            for session_id, created, updated in TIED
        ]
        backend.write(random.Random(3).sample(bundles, len(bundles)))
        return backend

    @pytest.fixture
    def filtered(self, backend: Backend) -> Backend:
        backend.write(FILTERED)
        return backend

    def test_the_newest_come_first_and_ties_sort_by_id(self, tied: Backend) -> None:
        wanted = [session_id for session_id, _, _ in TIED]
        assert ids(tied.find(SessionQuery())) == wanted
        assert ids(tied.find(SessionQuery(reverse=True))) == wanted[::-1]

    def test_sorted_by_creation_too(self, tied: Backend) -> None:
        wanted = [one for one, _, _ in sorted(TIED, key=lambda row: (-row[1], row[0]))]
        assert ids(tied.find(SessionQuery(sort=Sort.CREATED))) == wanted
        assert ids(tied.find(SessionQuery(sort=Sort.CREATED, reverse=True))) == wanted[::-1]

    def test_zero_is_a_time_as_any_other(self, tied: Backend) -> None:
        tied.write([sample_bundle("zero", 0, updated_at=0)])
        assert ids(tied.find(SessionQuery(limit=None)))[-1] == "zero"
        assert ids(tied.find(SessionQuery(until=1))) == ["zero"]
        assert "zero" not in ids(tied.find(SessionQuery(since=1)))

    @pytest.mark.parametrize("decoding", [{}, {"name": "*"}, {"status": "COMPLETED"}])
    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("sort", Sort)
    @pytest.mark.parametrize("limit", [1, 3, 4, 5, 12, 13])
    def test_pages_join_to_the_whole_though_ties_cross_them(
        self, tied: Backend, limit: int, sort: Sort, reverse: bool, decoding: dict[str, str]
    ) -> None:
        query = SessionQuery(sort=sort, reverse=reverse, limit=limit, **decoding)  # type: ignore[arg-type]
        found = list(pages(tied, query))
        assert [one for page in found for one in ids(page)] == ids(
            tied.find(replace(query, limit=None))
        )
        assert {len(page.items) for page in found[:-1]} <= {limit}
        assert 0 < len(found[-1].items) <= limit

    def test_a_write_between_two_pages_repeats_nothing_and_skips_nothing(
        self, tied: Backend
    ) -> None:
        first = tied.find(SessionQuery(limit=4))
        tied.write([sample_bundle("0-new", updated_at=EPOCH + 99)])
        tied.update("m", {"user_id": "bob"})
        rest = tied.find(SessionQuery(limit=None, after=first.next))
        assert ids(first) + ids(rest) == [session_id for session_id, _, _ in TIED]

    def test_a_cursor_works_in_a_second_backend(self, tied: Backend, another: Backend) -> None:
        first = tied.find(SessionQuery(limit=5))
        rest = another.find(SessionQuery(limit=None, after=first.next))
        assert ids(first) + ids(rest) == [session_id for session_id, _, _ in TIED]

    def test_paging_stands_strange_ids(self, backend: Backend) -> None:
        backend.write([sample_bundle(session_id, 0) for session_id in strange_ids(backend)])
        found = [one for page in pages(backend, SessionQuery(limit=1)) for one in ids(page)]
        assert found == sorted(strange_ids(backend))

    @pytest.mark.parametrize("skip", [0, 1, 5, 11, 12, 40])
    def test_skip_leaves_out_the_first_matches(self, tied: Backend, skip: int) -> None:
        wanted = [session_id for session_id, _, _ in TIED]
        for query in (SessionQuery(skip=skip, limit=3), SessionQuery(skip=skip, limit=3, name="*")):
            page = tied.find(query)
            assert ids(page) == wanted[skip : skip + 3]
            assert (page.next is None) == (skip + 3 >= len(wanted))

    @pytest.mark.parametrize(
        "cursor", ["", "x", "nonsense", "WzEsMl0", "e30", "\u00e9", "=", "bnVsbA"]
    )
    def test_a_cursor_nobody_made_is_refused(self, tied: Backend, cursor: str) -> None:
        with pytest.raises(UsageError) as caught:
            tied.find(SessionQuery(after=Cursor(cursor)))
        assert caught.value.hint

    @pytest.mark.parametrize("bad", [{"limit": 0}, {"limit": -1}, {"skip": -1}])
    def test_an_impossible_page_is_refused(self, tied: Backend, bad: dict[str, int]) -> None:
        with pytest.raises(UsageError):
            tied.find(SessionQuery(**bad))  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("filters", "wanted"),
        FILTERS,
        ids=lambda value: repr(value)[:40] if isinstance(value, dict) else "",
    )
    def test_a_filter_finds_what_it_means(
        self, filtered: Backend, filters: dict[str, Any], wanted: set[str]
    ) -> None:
        page = filtered.find(SessionQuery(**filters))
        assert sorted(ids(page)) == sorted(wanted)
        assert page.total in (None, len(wanted))
        paged = [
            one for page in pages(filtered, SessionQuery(**filters, limit=1)) for one in ids(page)
        ]
        assert paged == ids(page)

    @pytest.mark.parametrize("session_id", STRANGE_IDS)
    def test_a_prefix_is_taken_to_the_letter(self, backend: Backend, session_id: str) -> None:
        there = strange_ids(backend)
        backend.write([sample_bundle(one, 0) for one in there])
        found = ids(backend.find(SessionQuery(id_prefix=session_id, limit=None)))
        assert found == sorted(one for one in there if one.startswith(session_id))

    def test_a_listing_tells_what_a_session_is(self, filtered: Backend) -> None:
        infos = {info.session_id: info for info in filtered.find(SessionQuery()).items}
        team = infos["team-1"]
        assert (team.name, team.type, team.team_id) == ("\u00c4pfel 100%", "team", "desk")
        assert (team.tags, team.model, team.runs) == (("home", "work"), "gpt-5", 2)
        assert (team.created_at, team.updated_at, team.user_id) == (EPOCH, EPOCH + 60, "alice")
        bare = infos["nameless"]
        assert (bare.name, bare.updated_at, bare.status, bare.runs) == (None, None, "ERROR", 2)
        assert (infos["agent_2"].status, infos["agent_2"].runs) == (None, 0)

    def test_the_status_is_that_of_the_last_run_in_order(self, backend: Backend) -> None:
        runs = [replace(run, status=f"AT {run.run_id}") for run in tied_runs("s")]
        for length in range(1, len(runs) + 1):
            some = random.Random(length).sample(runs[:length], length)
            backend.write([SessionBundle(sample_session("s"), some)])
            (info,) = backend.find(SessionQuery()).items
            assert (info.status, info.runs) == (runs[length - 1].status, length)
            assert ids(backend.find(SessionQuery(status=info.status))) == ["s"]
            backend.delete(["s"])

    def test_a_row_that_cannot_be_decoded_is_listed_still(self, backend: Backend) -> None:
        if not backend.capabilities.keeps_json_text:
            return
        broken = Document(b'{"session_name": "half')
        session = sample_session("broken", session_data=broken)
        backend.write([SessionBundle(session, ()), sample_bundle("fine")])
        assert sorted(ids(backend.find(SessionQuery()))) == ["broken", "fine"]
        assert ids(backend.find(SessionQuery(name="tea"))) == ["fine"]
        assert backend.get("broken") == session
