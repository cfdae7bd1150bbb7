"""State, summary, exports, tools, tags: what the prompt does beside talking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.cli.chatting import ChatOptions
from agnocli.cli.context import App
from agnocli.cli.options import GlobalOptions
from agnocli.cli.repl import commands
from agnocli.cli.repl.talk import Talk
from agnocli.db.sqlite import SqliteDb
from agnocli.testing.openai_server import Answer, Error
from tests.cli.conftest import Agno, Serve, at, said
from tests.cli.repl import Prompt, asked

TOOLS = '''
def add_item(item: str) -> str:
    """Put something on the list.

    And more."""
    return "done"

def clear() -> str:
    """Empty the list."""
    return "done"
'''


@pytest.fixture
def prompt(agno: Agno, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(agno, capsys)


@pytest.fixture
def shop(agno: Agno) -> Agno:
    agno.configure(
        'default_agent = "shop"\n[agents.shop]\ntools = ["cellar:add_item", "cellar:clear"]\n'
        'session_state = { currency = "EUR" }\nadd_session_state_to_context = true\n'
    )
    (agno.config.parent / "cellar.py").write_text(TOOLS)
    return agno


def column(agno: Agno, session: str, name: str) -> Any:
    with SqliteDb(agno.database) as backend:
        return codec.members(getattr(backend.get(session), name))


def offered(talk: Talk, line: str) -> list[str]:
    return [text for text, _, _ in commands.candidates(talk, line)]


# state


def test_state_is_set_shown_and_unset(prompt: Prompt, agno: Agno) -> None:
    session = prompt(
        "hi", '/state set items ["milk"]', "/state set n 1", "/state unset n", "/state get items"
    )

    assert column(agno, session, "session_data")["session_state"] == {"items": ["milk"]}
    assert prompt.out.endswith('[\n  "milk"\n]\n')


def test_state_set_before_the_first_turn_goes_with_it(prompt: Prompt, shop: Agno) -> None:
    session = prompt("/state set n 1", "/state set m 2", "/state unset m", "/state", "hi")

    state = {"currency": "EUR", "n": 1}
    assert column(shop, session, "session_data")["session_state"] == state
    assert codec.decode(prompt.out[: prompt.out.index("}") + 1]) == state


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/state get nix", "has no 'nix'"),
        ("/state unset nix", "has no key 'nix'"),
        ("/state set n milk", "not JSON"),
        ("/state set n", "not understood"),
        ("/state nix", "not understood"),
    ],
)
def test_what_cannot_be_done_to_the_state_is_said(
    prompt: Prompt, agno: Agno, line: str, message: str
) -> None:
    session = prompt("hi", line)

    assert message in prompt.err
    assert "hint: " in prompt.err
    assert column(agno, session, "session_data")["session_state"] == {}


def test_keys_of_the_state_are_completed(prompt: Prompt, shop: Agno) -> None:
    talk = Talk(App(GlobalOptions()), ChatOptions(model="echo"))

    assert offered(talk, "/state ") == ["get ", "set ", "unset "]
    assert offered(talk, "/state get c") == ["get currency"]


# summary


def test_a_summary_is_made_when_asked_for(prompt: Prompt, agno: Agno, serve: Serve) -> None:
    made = Answer('{"summary": "They greet.", "topics": ["greeting"]}')
    server = serve(Answer("Hello."), made)

    session = prompt("hi", "/summary", "/summary refresh", "/summary", model=at(server)[1])

    assert "there is no summary yet; /summary refresh makes one" in prompt.err
    assert prompt.out.endswith("They greet.\nThey greet.\n")
    assert column(agno, session, "summary")["summary"] == "They greet."


def test_a_summary_that_tells_of_what_was_taken_back_is_told(
    prompt: Prompt, agno: Agno, serve: Serve
) -> None:
    made = [Answer('{"summary": "They greet.", "topics": []}') for _ in range(2)]
    server = serve(Answer("1"), Answer("2"), made[0], made[1])

    prompt("one", "two", "/summary refresh", "/undo", "/summary refresh", model=at(server)[1])

    assert prompt.err.count("the summary still tells of it; /summary refresh makes it anew") == 1
    prompt("one", "two", "/undo")
    assert "the summary" not in prompt.err


def test_a_summary_that_fails_leaves_the_prompt_and_the_old_one(
    prompt: Prompt, agno: Agno, serve: Serve
) -> None:
    server = serve(Answer("Hello."), Error(401, "no such key"), Answer("Still here."))

    session = prompt("hi", "/summary refresh", "still?", "/summary x", model=at(server)[1])

    assert "no such key" in prompt.err
    assert "/summary x: not understood" in prompt.err
    assert asked(agno, session) == ["hi", "still?"]


# export


@pytest.mark.parametrize(
    ("line", "name", "begins"),
    [
        ("/export", "Lisbon.md", "# Lisbon"),
        ("/export html", "Lisbon.html", "<!doctype html>"),
        ("/export jsonl kept.jsonl", "kept.jsonl", "{"),
        ("/export kept.json", "kept.json", "{"),
        ("/export a trip.md", "a trip.md", "# Lisbon"),
    ],
)
def test_a_session_is_written_into_a_file(
    prompt: Prompt, line: str, name: str, begins: str
) -> None:
    prompt("hi", line, name="Lisbon")

    assert Path(name).read_text().lower().startswith(begins.lower())
    assert f"written: {name}" in prompt.err


def test_a_file_that_is_there_is_not_overwritten(prompt: Prompt) -> None:
    Path("Lisbon.md").write_text("mine")

    prompt("hi", "/export", name="Lisbon")

    assert Path("Lisbon.md").read_text() == "mine"
    assert "error: " in prompt.err


def test_an_export_may_go_to_the_screen(prompt: Prompt) -> None:
    prompt("hi", "/export markdown -", name="Lisbon")

    assert "# Lisbon" in prompt.out
    assert list(Path.cwd().iterdir()) == []


# tools


def test_tools_are_listed_and_one_can_be_kept_from_the_model(
    prompt: Prompt, shop: Agno, serve: Serve
) -> None:
    server = serve(*map(Answer, "123"))

    prompt("a", "/tools off clear", "b", "/tools", "/tools on clear", "c", model=at(server)[1])

    names = [[tool["function"]["name"] for tool in one["tools"]] for one in server.requests]
    assert names == [["add_item", "clear"], ["add_item"], ["add_item", "clear"]]
    listed = [line for line in prompt.out.splitlines() if line.startswith(("on ", "off"))]
    assert listed == [
        "on  add_item  Put something on the list.",
        "off clear     Empty the list.",
    ]


def test_a_tool_that_is_not_there_is_said(prompt: Prompt, shop: Agno) -> None:
    prompt("/tools off nix", "/tools clear")

    assert "no tool 'nix'" in prompt.err
    assert "hint: there are: add_item, clear" in prompt.err
    assert "/tools clear: not understood" in prompt.err


def test_tools_are_completed_with_what_can_be_done(prompt: Prompt, shop: Agno) -> None:
    talk = Talk(App(GlobalOptions()), ChatOptions(model="echo"))
    talk.switch_tool("clear", on=False)

    assert offered(talk, "/tools o") == ["off add_item", "on clear"]


def test_without_tools_it_is_said_where_they_come_from(prompt: Prompt) -> None:
    prompt("/tools")

    assert "there are no tools; the configuration of an agent names them" in prompt.err


# context


def test_context_shows_what_the_next_turn_sends(prompt: Prompt, shop: Agno, serve: Serve) -> None:
    server = serve(Answer("One."), Answer("Two."))

    prompt("first", "/context", "second", model=at(server)[1])

    rows = [line.split() for line in prompt.out.splitlines()]
    assert [row[:2] for row in rows if row and row[0] in ("user", "assistant", "tools")] == [
        ["user", "turn"],
        ["assistant", "turn"],
        ["tools", "2"],
    ]
    assert [role for role, _ in said(server.requests[1])] == ["system", "user", "assistant", "user"]


def test_the_toolbar_has_an_estimate_once_something_is_said(prompt: Prompt, agno: Agno) -> None:
    session = prompt("hello there")
    talk = Talk(App(GlobalOptions()), ChatOptions(model="echo", session=session))

    talk.measure()

    assert talk.status.endswith(" · echo · ~45 tokens")
    talk.new(None)
    talk.measure()
    assert talk.status.endswith(" · echo")


# the session as a whole


def test_tags_are_put_on_and_taken_off(prompt: Prompt, agno: Agno) -> None:
    session = prompt("hi", "/tag", "/tag +work draft", "/tag -draft", "/tag +")

    assert column(agno, session, "metadata")["tags"] == ["work"]
    assert "no tags" in prompt.err
    assert "tags: work, draft" in prompt.err
    assert "a tag is empty" in prompt.err


def test_diff_tells_what_this_session_has_otherwise(prompt: Prompt, agno: Agno) -> None:
    first = prompt("one", "two", session="first")
    prompt("/diff first", session=first)
    assert "the same was said in both: 2 runs" in prompt.out

    prompt("/fork 1", "other", "/diff first", session=first)

    told = prompt.out[prompt.out.index("--- ") :]
    assert "the second is a fork of the first, at turn 1" in told
    assert "1 run in common; 1 only in the first, 1 only in the second" in told
    assert "-  two\n+  other\n" in told


def test_delete_moves_the_session_to_the_trash_and_begins_another(
    prompt: Prompt, agno: Agno
) -> None:
    first = prompt("hi", session="first")
    second = prompt("/delete", "again", session=first)

    assert agno.session_ids() == [second]
    assert "back with: agno sessions restore first" in prompt.err
    assert agno("sessions", "restore", "first").status == 0
    assert asked(agno, "first") == ["hi"]


def test_info_tells_what_is_known(prompt: Prompt, agno: Agno) -> None:
    session = prompt("/info", "one", "two", "/undo", "/info")

    assert f"session   {session}\n" in prompt.out
    assert "stored    nothing yet\n" in prompt.out
    assert f"backend   {agno.database}\n" in prompt.out
    assert "undone    1 turn, /redo brings it back\n" in prompt.out


def test_turns_are_completed_with_their_questions(prompt: Prompt, agno: Agno) -> None:
    session = prompt("first question", "second question")
    talk = Talk(App(GlobalOptions()), ChatOptions(model="echo", session=session))

    found = [(text, remark) for text, _, remark in commands.candidates(talk, "/edit ")]

    assert found == [("2", "second question"), ("1", "first question")]


def test_arguments_are_completed_wherever_they_can_be_known(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one")
    talk = Talk(App(GlobalOptions()), ChatOptions(model="echo", session=session))

    found = {line: offered(talk, line) for line in ("/fork ", "/retry e", "/summary ", "/context ")}

    assert found == {
        "/fork ": ["1"],
        "/retry e": ["echo"],
        "/summary ": ["refresh"],
        "/context ": ["full"],
    }
    assert offered(talk, "/diff ") == offered(talk, "/switch ") == [session]
    assert offered(talk, "/export ht") == ["html "]


def test_nothing_is_asked_of_the_backend_before_something_is_said(
    prompt: Prompt, agno: Agno
) -> None:
    talk = Talk(App(GlobalOptions()), ChatOptions(model="echo"))

    for line in ("/edit ", "/copy ", "/state get ", "/switch "):
        assert offered(talk, line) == []
    assert not agno.database.exists()


def test_clear_is_of_the_screen_alone(prompt: Prompt, agno: Agno) -> None:
    session = prompt("one", "/clear", "two")

    assert asked(agno, session) == ["one", "two"]
    assert "\x1b[2J" not in prompt.out


# search and cost


def test_search_finds_what_was_said_in_any_session(prompt: Prompt, agno: Agno) -> None:
    prompt("the tea is from Hangzhou", session="first")
    prompt("coffee", session="second")

    prompt("/search hangzhou", "/search nowhere", '/search "is from" tea', session="second")

    hits = [line for line in prompt.out.splitlines() if line.startswith("first")]
    assert len(hits) >= 2
    assert "Hangzhou" in hits[0]
    assert "nothing found" in prompt.err


def test_search_at_a_session_that_is_not_saved_leaves_no_index(prompt: Prompt, agno: Agno) -> None:
    prompt("the tea is from Hangzhou", "/search Hangzhou", save=False)

    assert "Hangzhou" in prompt.out.split("/search")[-1]
    assert not list(agno.home.rglob("*search*"))


def test_cost_is_told_by_the_users_own_prices(prompt: Prompt, agno: Agno, serve: Serve) -> None:
    server = serve(Answer("one", usage=(1_000_000, 200_000)))
    agno.configure('[prices."openai:m"]\ninput_per_m = 0.25\noutput_per_m = 2.0\n')

    prompt("a", "/model echo", "b", "/cost", model=at(server)[1])

    told = prompt.out.splitlines()[-3:]
    assert told[0].split() == ["openai:m", "1,000,000", "in,", "200,000", "out", "cost", "0.6500"]
    assert told[1].startswith("echo:echo ")
    assert told[2].startswith("together ")
    assert "no price for echo:echo: [prices] of the configuration has them" in prompt.err


def test_without_prices_the_tokens_are_told(prompt: Prompt, agno: Agno) -> None:
    prompt("a", "/cost")

    assert prompt.out.splitlines()[-1].startswith("echo:echo  1 in, ")
    assert "cost" not in prompt.out.splitlines()[-1]
