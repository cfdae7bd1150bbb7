"""Session state: what tools see and change of it, and what is kept when several change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnocli.abc import Backend
from agnocli.agent import Agent
from agnocli.agent.state import merge, over
from agnocli.db.sqlite import SqliteDb
from agnocli.edit import edit_members
from agnocli.errors import ModelError
from agnocli.messages import data
from agnocli.run import RunContext
from agnocli.testing.scripted_model import ScriptedModel

from .test_tools import asks, call, results

State = dict[str, Any]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
STATES = st.dictionaries(st.sampled_from("xyz"), JSON, max_size=3)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Backend]:
    with SqliteDb(db_file=tmp_path / "a.db") as opened:
        yield opened


def add_item(run_context: RunContext, item: str) -> str:
    """Add an item to the shopping list."""
    items = run_context.session_state.get("items", [])
    items.append(item)
    run_context.session_state["items"] = items
    return f"Added {item}"


def shop(db: Backend, *scripts: list[Any], **settings: Any) -> Agent:
    return Agent(model=ScriptedModel(*scripts), db=db, **{"tools": [add_item], **settings})


def does(change: Callable[[State], object]) -> Callable[..., str]:
    def act(run_context: RunContext) -> str:
        change(run_context.session_state)
        return "done"

    return act


# merging


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        ({}, {"a": 1}, {"b": 2}, {"b": 2, "a": 1}),
        ({"a": 1, "b": 1}, {"b": 1}, {"a": 1, "b": 2}, {"b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}),
        ({"a": 1}, {"a": 2}, {}, {"a": 2}),
        ({"a": 1}, {"a": True}, {"a": 1}, {"a": True}),
        ({"o": {"a": 1}}, {"o": {"a": 1, "b": 2}}, {"o": {}}, {"o": {"b": 2}}),
        ({"l": [1]}, {"l": [1, 2]}, {"l": [1, 3]}, {"l": [1, 3, 2]}),
        ({"l": [1, 2]}, {"l": [2]}, {"l": [1, 2, 3]}, {"l": [2, 3]}),
        ({"l": []}, {"l": [1]}, {"l": [1]}, {"l": [1]}),
        ({"l": [{"n": 1}]}, {"l": [{"n": 1}, {"n": 2}]}, {"l": []}, {"l": [{"n": 2}]}),
    ],
    ids=str,
)
def test_what_two_made_of_one_state_comes_together(
    base: State, mine: State, theirs: State, merged: State
) -> None:
    assert merge(base, mine, theirs) == merged


@given(base=STATES, mine=STATES)
def test_whoever_is_alone_has_it_as_he_wants_it(base: State, mine: State) -> None:
    assert merge(base, mine, base) == mine
    assert merge(base, base, mine) == mine
    assert merge(base, mine, mine) == mine


@given(below=STATES, above=STATES)
def test_what_lies_above_is_seen_and_what_lies_below_is_not_lost(
    below: State, above: State
) -> None:
    merged = over(below, above)
    assert list(merged) == list(dict.fromkeys([*below, *above]))
    assert over(merged, above) == merged
    assert over(below, {}) == below


# in a session


def test_tools_change_the_state_of_the_session(db: Backend) -> None:
    agent = shop(db, asks(call("add_item", item="milk")), ["ok"], session_state={"items": []})
    agent.run("buy", session_id="s")
    assert agent.get_session_state("s") == {"items": ["milk"]}
    (run,) = db.runs("s")
    assert data(run)["session_state"] == {"items": ["milk"]}
    assert agent.session_state == {"items": []}


def test_calls_side_by_side_all_count(db: Backend) -> None:
    calls = [call("add_item", f"c{n}", item=str(n)) for n in range(6)]
    agent = shop(db, asks(*calls), ["ok"])
    agent.run("buy", session_id="s")
    assert agent.get_session_state()["items"] == [str(n) for n in range(6)]


def test_a_later_call_sees_what_an_earlier_one_did(db: Backend) -> None:
    agent = shop(db, *[asks(call("add_item", f"c{n}", item=str(n))) for n in range(3)], ["ok"])
    agent.run("buy", session_id="s")
    assert agent.get_session_state()["items"] == ["0", "1", "2"]


def test_keys_can_be_taken_out_and_the_state_replaced(db: Backend) -> None:
    def renew(run_context: RunContext) -> None:
        run_context.session_state = {"new": True}

    agent = shop(db, asks(call("renew")), ["ok"], tools=[renew], session_state={})
    agent.run("go", session_id="s", session_state={"old": 1})
    assert agent.get_session_state() == {"new": True}


def test_new_defaults_reach_an_old_session_and_change_nothing_in_it(db: Backend) -> None:
    shop(db, ["a"], session_state={"items": ["tea"], "o": {"a": 1}}).run("x", session_id="s")
    agent = shop(db, ["b"], session_state={"items": [], "size": 3, "o": {"a": 9, "b": 2}})
    agent.run("y", session_id="s")
    assert agent.get_session_state("s") == {"items": ["tea"], "size": 3, "o": {"a": 1, "b": 2}}


def test_what_a_call_brings_lies_over_what_is_stored(db: Backend) -> None:
    agent = shop(db, ["a"], ["b"], session_state={"o": {"a": 1}, "l": [1]})
    agent.run("x", session_id="s")
    agent.run("y", session_id="s", session_state={"o": {"b": 2}, "l": [2]})
    assert agent.get_session_state() == {"o": {"a": 1, "b": 2}, "l": [2]}


def test_the_model_sees_the_state_as_json(db: Backend) -> None:
    agent = shop(db, ["a"], session_state={"é": [None, True]}, add_session_state_to_context=True)
    agent.run("x", session_id="s")
    model = agent.model
    assert isinstance(model, ScriptedModel)
    assert model.requests[0].messages[0]["content"] == (
        '<session_state>\n{"é": [null, true]}\n</session_state>'
    )


def test_state_is_stored_before_the_turn_is_over(db: Backend) -> None:
    seen: list[State] = []

    def look() -> None:
        seen.append(shop(db).get_session_state("s"))

    agent = shop(db, asks(call("add_item", item="milk")), [look, "ok"])
    agent.run("buy", session_id="s")
    assert seen == [{"items": ["milk"]}]


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"x", {("a", 1): 2}], ids=["object", "set", "bytes", "key"]
)
def test_state_that_is_no_json_fails_its_call_and_nothing_else(db: Backend, value: Any) -> None:
    spoil = does(lambda state: state.update(bad=value))
    model = ScriptedModel(asks(call("add_item", "a", item="milk"), call("act", "b")), ["ok"])
    agent = Agent(model=model, db=db, tools=[add_item, spoil])
    output = agent.run("go", session_id="s")
    assert output.content == "ok"
    assert results(model)[0] == "Added milk"
    assert results(model)[1].startswith("Error: the session state cannot be stored")
    assert agent.get_session_state() == {"items": ["milk"]}


def test_values_are_at_once_what_they_will_be_when_read_back(db: Backend) -> None:
    seen: list[Any] = []
    write = does(lambda state: state.update(day=date(2026, 1, 2), pair=(1, 2)))

    def read(run_context: RunContext) -> str:
        seen.append(run_context.session_state)
        return "ok"

    agent = shop(db, asks(call("act")), asks(call("read")), ["ok"], tools=[write, read])
    agent.run("go", session_id="s")
    assert seen == [{"day": "2026-01-02", "pair": [1, 2]}] == [agent.get_session_state()]


def test_what_a_tool_did_before_it_failed_counts(db: Backend) -> None:
    def half(run_context: RunContext) -> None:
        run_context.session_state["begun"] = True
        raise RuntimeError("and no further")

    agent = shop(db, asks(call("half")), [ModelError("gone")], tools=[half])
    with pytest.raises(ModelError):
        agent.run("go", session_id="s")
    assert agent.get_session_state() == {"begun": True}


def test_what_others_change_meanwhile_stays(db: Backend) -> None:
    def theirs() -> None:
        def change(found: State) -> State:
            state = found["session_state"]
            return {
                "session_state": {"items": [*state["items"], "theirs"], "new": 1},
                "session_name": "named",
            }

        edit_members(db, "s", "session_data", change)

    agent = shop(
        db,
        ["a"],
        [theirs, *asks(call("add_item", item="mine"))],
        ["ok"],
        session_state={"items": [], "gone": 1},
    )
    agent.run("x", session_id="s")
    agent.run("y", session_id="s")
    assert agent.get_session_state() == {"items": ["theirs", "mine"], "new": 1, "gone": 1}


def test_two_threads_in_one_session_lose_nothing(db: Backend) -> None:
    turns = 8

    def work(name: str) -> None:
        scripts = [
            script
            for n in range(turns)
            for script in (asks(call("add_item", item=f"{name}{n}")), ["ok"])
        ]
        agent = shop(db, *scripts, add_history_to_context=True)
        for n in range(turns):
            agent.run("buy", session_id="s", session_state={f"{name}{n}": n})

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, "ab"))
    state = shop(db).get_session_state("s")
    expected = {f"{name}{n}" for name in "ab" for n in range(turns)}
    assert set(state) == expected | {"items"}
    assert sorted(state["items"]) == sorted(expected)
    runs = list(db.runs("s"))
    assert [run.run_index for run in runs] == list(range(2 * turns))
    assert {run.status for run in runs} == {"COMPLETED"}
