"""What a search finds, on every backend, by its index and by reading everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agnocli.abc import Backend, SessionQuery
from agnocli.db.memory import MemoryDb
from agnocli.errors import UsageError
from agnocli.records import Document, SessionBundle
from agnocli.sessions.search import Found, Hit, SearchQuery, Watcher, look, search
from agnocli.sessions.search.parts import Part, parts
from agnocli.testing.records import EPOCH, document
from tests.sessions.conversations import LIBRARY, assistant, talk, turn, user
from tests.transfer.places import KINDS, Place

Where = tuple[str, str, str | None]


class Heard(Watcher):
    """Whether and what was read."""

    def __init__(self) -> None:
        self.scanned = False
        self.taken: list[int] = []
        self.changed: list[tuple[int, int]] = []

    def scanning(self, reason: str) -> None:
        self.scanned = True

    def reading(self, sessions: int, *, is_new: bool) -> None:
        self.taken.append(sessions)

    def refreshed(self, changed: int, gone: int) -> None:
        self.changed.append((changed, gone))


@pytest.fixture(scope="module", params=KINDS)
def library(request: pytest.FixtureRequest, libraries: dict[str, Place]) -> Iterator[Backend]:
    with libraries[request.param].open() as backend:
        yield backend


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("indexes")


def query(*terms: str, **more: Any) -> SearchQuery:
    return SearchQuery(terms=terms, **more)


def places(hits: list[Hit] | tuple[Hit, ...]) -> list[Where]:
    return sorted((one.session_id, one.kind, one.role) for one in hits)


FOUND: dict[tuple[str, ...], list[Where]] = {
    ("café",): [
        ("cafe", "content", "user"),
        ("decomposed", "content", "user"),
        ("tools", "tools", "assistant"),
    ],
    ("cafe\u0301 IN",): [("cafe", "content", "user")],
    ("strasse",): [("decomposed", "content", "assistant")],
    ("Straß",): [("cafe", "content", "user"), ("decomposed", "content", "assistant")],
    ("😀",): [("tokyo", "content", "assistant")],
    ("駅",): [("tokyo", "content", "user")],
    ("東京の駅",): [("tokyo", "content", "user")],
    ("旅行",): [("tokyo", "name", None)],
    ("reservé",): [("tools", "tools", "tool")],
    ("50%",): [("tools", "tools", "tool")],
    ("a_b",): [("tools", "tools", "tool")],
    ("penthouse",): [("tools", "reasoning", "assistant")],
    ("fünfhundert",): [("tools", "state", None)],
    ("vienna",): [("tools", "summary", None)],
    ("lighthouse",): [("cafe", "system", "system")],
    ("it is booked",): [("tools", "content", "assistant")],
    ("booked", "done"): [("tools", "content", "assistant")],
    ("done", "penthouse"): [],
    ('"quoted"',): [],
    ("no such words",): [],
    ("*",): [],
    ("z",): [("cafe", "content", "user")],
}


@pytest.mark.parametrize("indexed", [True, False], ids=["index", "scan"])
def test_texts_are_found_whatever_their_script_case_form_or_place(
    library: Backend, folder: Path, indexed: bool
) -> None:
    for terms, wanted in FOUND.items():
        found = look(library, query(*terms), folder=folder if indexed else None)
        assert places(found.hits) == wanted, terms
        assert (found.total, found.sessions) == (len(wanted), len(LIBRARY)), terms
        assert found.in_sessions == len({one for one, _, _ in wanted})


def test_an_index_tells_what_reading_everything_tells(library: Backend, folder: Path) -> None:
    more: list[dict[str, Any]] = [
        {},
        {"latest": True},
        {"by_session": True},
        {"limit": 2},
        {"limit": None, "context": 5},
        {"kinds": ("content", "tools")},
        {"roles": ("user", "tool")},
        {"sessions": SessionQuery(user_id="bob")},
        {"sessions": SessionQuery(since=EPOCH + 20)},
        {"case_sensitive": True},
    ]
    for terms in ("a",), ("in",), ("the", "a"), ("Caf",), ("ing",):
        for options in more:
            asked = query(*terms, **options)
            assert look(library, asked, folder=folder) == look(library, asked), asked
    asked = query(r"\b[A-Z]\w+\?$", regex=True, case_sensitive=True)
    found = look(library, asked, folder=folder)
    assert found == look(library, asked)
    assert len(found.hits) == 2


def test_only_what_changed_is_read_again(here: Place, tmp_path: Path) -> None:
    with here.open() as backend, here.open() as other:
        backend.write(LIBRARY)

        def find(*terms: str) -> tuple[list[str], Heard]:
            heard = Heard()
            found = look(backend, query(*terms), folder=tmp_path / "cache", watcher=heard)
            assert not heard.scanned
            assert found == look(backend, query(*terms)), terms
            return sorted({hit.session_id for hit in found.hits}), heard

        assert find("lake")[1].taken == [4]
        assert find("lake")[1].taken == []

        other.append_run(turn("tokyo", 1, user("Is there a Ryokan?")))
        other.update("tokyo", {"updated_at": EPOCH + 31})
        ids, heard = find("ryokan")
        assert (ids, heard.taken, heard.changed) == (["tokyo"], [1], [(1, 0)])

        other.put_run(turn("cafe", 0, user("Where is a museum in Zürich?")))
        other.update("cafe", {"updated_at": EPOCH + 10})
        assert find("museum")[0] == ["cafe"]
        assert find("lake")[0] == []

        other.delete_runs("tokyo", ["tokyo.run-1"])
        other.update("tokyo", {"updated_at": EPOCH + 31})
        assert find("ryokan")[0] == []

        other.update("cafe", {"session_data": document({"session_name": "Siesta"})})
        assert find("siesta")[0] == ["cafe"]

        other.delete(["decomposed"])
        ids, heard = find("café")
        assert (ids, heard.changed[-1][1]) == (["tools"], 1)
        other.write([talk("decomposed", turn("decomposed", 0, user("A café again")), at=20)])
        assert find("café")[0] == ["decomposed", "tools"]


def test_what_changes_twice_within_a_second_is_found(here: Place, tmp_path: Path) -> None:
    """Through other programs, whose second edit moves no time and no size."""
    with here.open() as backend:
        backend.write([talk("a", turn("a", 0, user("apples")))])
        for word in ("grapes", "quince", "apples"):
            backend.put_run(turn("a", 0, user(word)))
            backend.update("a", {"user_id": "alice"})
            assert len(look(backend, query(word), folder=tmp_path / "cache").hits) == 1, word


@pytest.mark.parametrize("here", ["sqlite", "postgres", "mysql"], indirect=True)
def test_an_edit_past_all_times_is_noticed(here: Place, tmp_path: Path) -> None:
    with here.open() as backend:
        backend.write([talk("a", turn("a", 0, user("apples"))), *LIBRARY])
        assert len(look(backend, query("apples"), folder=tmp_path / "cache").hits) == 1
        backend.put_run(turn("a", 0, user("quince")))  # which dates no session
        assert len(look(backend, query("apples"), folder=tmp_path / "cache").hits) == 0
        assert len(look(backend, query("quince"), folder=tmp_path / "cache").hits) == 1


def test_a_run_that_cannot_be_decoded_is_counted_and_the_rest_is_found(tmp_path: Path) -> None:
    bad = replace(turn("cafe", 9), run_data=Document(b'{"messages": [{"content": "mango'))
    with _durable() as backend:
        backend.write([SessionBundle(LIBRARY[0].session, (bad, *LIBRARY[0].runs))])
        for folder in (tmp_path, tmp_path, None):
            found = look(backend, query("lake"), folder=folder)
            assert (len(found.hits), found.unreadable) == (1, {"cafe": 1})


def _durable() -> MemoryDb:
    """A backend that is nobody's: it keeps what is written, and has no marks."""
    backend = MemoryDb()
    backend.capabilities = replace(backend.capabilities, durable=True)
    return backend


def test_a_backend_without_marks_is_indexed_by_what_its_listing_tells(tmp_path: Path) -> None:
    with _durable() as backend:
        backend.write(LIBRARY)
        heard = Heard()
        assert look(backend, query("lake"), folder=tmp_path, watcher=heard).total == 1
        backend.append_run(turn("tokyo", 1, user("A lake?")))
        backend.delete(["cafe"])
        found = look(backend, query("lake"), folder=tmp_path, watcher=heard)
        assert [hit.session_id for hit in found.hits] == ["tokyo"]
        assert (heard.taken, heard.changed) == ([4, 1], [(1, 1)])


def test_what_a_listing_does_not_tell_is_never_shown_as_it_was(tmp_path: Path) -> None:
    """Hits are looked up where they are kept, and what is wrong in the index is read again."""
    with _durable() as backend:
        backend.write(LIBRARY)
        assert look(backend, query("lake"), folder=tmp_path).total == 1
        backend.put_run(turn("cafe", 0, user("museum")))
        assert look(backend, query("lake"), folder=tmp_path).total == 0
        assert look(backend, query("museum"), folder=tmp_path).total == 1


def test_memory_is_searched_without_an_index(tmp_path: Path) -> None:
    with MemoryDb() as backend:
        backend.write(LIBRARY)
        assert [one.session_id for one in search(backend, query("lake"), folder=tmp_path)] == [
            "cafe"
        ]
        assert [*tmp_path.iterdir()] == []


def found_in(*texts: str, terms: tuple[str, ...] = ("tea",), **more: Any) -> Found:
    runs = [turn(f"s{n}", 0, assistant(text)) for n, text in enumerate(texts)]
    with MemoryDb() as backend:
        backend.write(talk(one.session_id, one, name="-") for one in runs)
        return look(backend, query(*terms, **more))


def test_whole_words_short_texts_and_many_places_come_first() -> None:
    long = "tea " + "and much else that is said at length " * 60
    found = found_in(long, "a steak", "tea", "no", "tea, tea and tea")
    assert [hit.session_id for hit in found.hits] == ["s4", "s2", "s1", "s0"]
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0


def test_a_name_is_told_before_what_was_said_and_that_before_instructions() -> None:
    with MemoryDb() as backend:
        backend.write(
            [talk("a", turn("a", 0, {"role": "system", "content": "tea"}, user("tea")), name="tea")]
        )
        found = look(backend, query("tea"))
    assert [hit.kind for hit in found.hits] == ["name", "content", "system"]


def test_equal_hits_come_latest_first_and_then_by_id() -> None:
    with MemoryDb() as backend:
        runs = [replace(turn(one, 0, user("tea")), created_at=EPOCH) for one in "bca"]
        later = replace(turn("d", 0, user("tea")), created_at=EPOCH + 1)
        backend.write(talk(one.session_id, one, name="-") for one in (*runs, later))
        for latest in (False, True):
            found = look(backend, query("tea", latest=latest))
            assert [hit.session_id for hit in found.hits] == ["d", "a", "b", "c"]
        found = look(backend, query("tea", limit=2))
        assert [hit.session_id for hit in found.hits] == ["d", "a"]


def test_a_limit_keeps_the_best_of_very_many() -> None:
    texts = ["steak " + "long " * (n % 70) for n in range(1000)]
    texts[700] = "tea"
    found = found_in(*texts, limit=3)
    assert [hit.session_id for hit in found.hits] == ["s700", "s0", "s140"]
    assert (found.total, found.in_sessions) == (1000, 1000)


def test_latest_goes_by_time_and_a_session_is_told_once_by_its_best() -> None:
    with MemoryDb() as backend:
        backend.write(
            [
                talk(
                    "a", turn("a", 0, user("tea tea tea")), turn("a", 1, user("some tea")), name="-"
                ),
                talk(
                    "b",
                    turn("b", 0, user("tea?")),
                    turn("b", 9, user("tea"), user("tea")),
                    name="-",
                ),
            ]
        )
        latest = look(backend, query("tea", latest=True))
        assert [(hit.session_id, hit.run) for hit in latest.hits] == [
            ("b", 10), ("b", 10), ("a", 2), ("a", 1), ("b", 1),
        ]  # fmt: skip
        each = look(backend, query("tea", by_session=True))
    assert [(hit.session_id, hit.run, hit.hits, hit.matches) for hit in each.hits] == [
        ("a", 1, 2, 3),
        ("b", 10, 3, 1),
    ]


def test_a_snippet_shows_the_words_around_and_says_what_it_leaves_out() -> None:
    text = "word " * 40 + "then\n\nthe  tea came " + "word " * 40
    (hit,) = found_in(text, context=20).hits
    assert hit.snippet == "…word then the tea came word word…"
    (hit,) = found_in("the tea\n came", context=20).hits
    assert hit.snippet == "the tea came"
    (hit,) = found_in(
        "tea " + "word " * 30 + "cake " * 2 + "tea", terms=("cake", "tea"), context=9
    ).hits
    assert "cake cake tea" in hit.snippet


def test_places_are_right_where_case_changes_the_length_of_a_text() -> None:
    (hit,) = found_in("ŉ ß İ " * 30 + "tea", context=3).hits
    assert hit.snippet == "…İ tea"


def test_a_text_longer_than_any_snippet_that_a_pattern_takes_whole_is_cut() -> None:
    (hit,) = found_in("tea " * 1000, terms=(r"(?s)tea.*",), regex=True, context=10).hits
    assert len(hit.snippet) < 250


def test_what_is_stored_once_more_from_earlier_turns_is_found_once() -> None:
    again = {**user("tea"), "from_history": True}
    with MemoryDb() as backend:
        backend.write([talk("a", turn("a", 0, user("tea")), turn("a", 1, again, user("more")))])
        assert look(backend, query("tea"), folder=None).total == 2  # and its name
        assert [hit.run for hit in search(backend, query("tea", kinds=("content",)))] == [1]


NAMES = st.sampled_from(
    [
        "role",
        "content",
        "reasoning_content",
        "tool_calls",
        "tool_call_id",
        "function",
        "name",
        "arguments",
        "type",
        "text",
        "url",
        "input",
        "messages",
        "tools",
        "tool_args",
        "result",
        "step_results",
        "steps",
        "metrics",
        "from_history",
        "metadata",
        "agnocli",
        "error",
        "references",
        "images",
        "files",
    ]
)
LEAVES = st.none() | st.integers() | st.text(max_size=3) | st.sampled_from(["user", "{\\u00e9"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5)
)


@settings(max_examples=60)
@given(st.dictionaries(NAMES, VALUES), VALUES)
def test_no_shape_of_what_is_stored_ends_a_search(run: dict[str, Any], value: object) -> None:
    stored = replace(turn("a", 0), run_data=document(run))
    session = talk("a", session_data=document({"session_state": value}), summary=document(value))
    found = [*parts(SessionBundle(session.session, (stored,)))]
    assert all(isinstance(one, Part) and one.text.encode() for one in found)


def test_text_that_no_database_holds_is_found_all_the_same(tmp_path: Path) -> None:
    odd = Document(b'{"messages": [{"role": "user", "content": "a\\u0000b tea \\ud800 cake"}]}')
    with _durable() as backend:
        backend.write([talk("a", replace(turn("a", 0), run_data=odd), name="-")])
        for word in ("tea", "cake"):
            assert look(backend, query(word), folder=tmp_path).total == 1


@pytest.mark.parametrize(
    ("terms", "options"),
    [
        ((), {}),
        (("",), {}),
        (("a", " "), {}),
        (("(",), {"regex": True}),
        (("a{9999999999}",), {"regex": True}),
    ],
)
def test_what_cannot_be_searched_for_is_refused(terms: tuple[str, ...], options: Any) -> None:
    with MemoryDb() as backend, pytest.raises(UsageError) as refused:
        look(backend, query(*terms, **options))
    assert refused.value.hint
