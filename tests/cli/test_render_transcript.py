from __future__ import annotations

import gc
import io
import re
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from agnocli import codec
from agnocli.cli.render.transcript import Shown, write_transcript
from agnocli.layout.members import MOST_WAITING
from agnocli.records import Document, Run, Session

NOW = 1_795_444_726
SESSION = Session(
    session_id="demo-1",
    agent_id="shop",
    user_id="alice",
    session_data=Document(
        b'{"session_name": "Trip", "session_state": {"items": ["caf\xc3\xa9"]},'
        b' "session_metrics": {"input_tokens": 1200, "output_tokens": 7}}'
    ),
    agent_data=Document(b'{"model": {"id": "gpt-x"}}'),
    summary=Document(b'{"summary": "They plan a trip."}'),
    created_at=NOW,
    updated_at=NOW + 60,
)


def message(role: str, content: object = None, **more: object) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def turn(number: int, *said: dict[str, Any], **more: Any) -> Run:
    data = {"messages": list(said)} | more.pop("data", {})
    stored = {"status": "COMPLETED", "agent_id": "shop", "run_id": f"run-{number}"} | more
    return Run(
        session_id="demo-1",
        run_index=number - 1,
        run_data=stored.pop("document", None) or codec.encode(data),
        created_at=NOW + number,
        **stored,
    )


def shown(
    *runs: Run, tty: bool = False, color: bool = False, session: Session = SESSION, **how: Any
) -> str:
    out = io.StringIO()
    count = write_transcript(
        session,
        iter(runs),
        stream=out,
        color=color,
        width=60,
        tty=tty,
        shown=Shown(now=NOW + 7200, **how),
    )
    assert count == len(runs)
    return out.getvalue()


CALL = message(
    "assistant",
    tool_calls=[{"id": "c1", "function": {"name": "add", "arguments": '{"item": "caf\\u00e9"}'}}],
)
RESULT = message("tool", "done\nand\nmore", tool_call_id="c1", tool_name="add")


def test_the_head_says_what_session_this_is() -> None:
    text = shown(backend="sqlite:///x.db", runs=3)
    for part in (
        "Trip",
        "demo-1",
        "shop",
        "gpt-x",
        "alice",
        "2026-11-23T14:38:46Z",
        "sqlite:///x.db",
        "runs     3",
        "1,200 in, 7 out",
    ):
        assert part in text
    assert "(2h ago)" in shown(tty=True) and "ago" not in text


def test_a_turn_reads_as_it_was_said() -> None:
    text = shown(turn(1, message("user", "Hi"), message("assistant", "Hello **you**")))
    assert "── 1 · 2026-11-23T14:38:47Z\nuser:\nHi\nassistant:\nHello **you**\n" in text


def test_a_pipe_gets_long_lines_unwrapped_and_no_colour() -> None:
    words = "word " * 100
    text = shown(turn(1, message("user", "q"), message("assistant", words)))
    assert words.strip() in text and "\x1b" not in text


def test_a_terminal_gets_markdown_wrapped_to_its_width() -> None:
    text = shown(turn(1, message("assistant", "**word** " * 40)), tty=True, color=True)
    assert "\x1b[1mword\x1b[0m" in text and "**" not in text
    assert max(map(len, re.sub("\x1b\\[[0-9;]*m", "", text).split("\n"))) <= 60


@pytest.mark.parametrize(
    ("more", "mark"),
    [
        ({"status": "CANCELLED"}, "stopped"),
        (
            {"status": "CANCELLED", "data": {"metadata": {"agnocli": {"interrupted": True}}}},
            "interrupted",
        ),
        ({"status": "RUNNING"}, "unfinished"),
        ({"status": "ERROR"}, "failed"),
        ({"status": "PAUSED"}, "paused"),
        ({"status": "REGENERATED"}, "replaced"),
        ({"status": "Odd\x1b"}, "odd␛"),
        ({"data": {"metadata": {"agnocli": {"finish_reason": "length"}}}}, "cut at length"),
        ({"data": {"metadata": {"agnocli": {"finish_reason": None}}}}, "broke off"),
    ],
)
def test_a_turn_that_did_not_end_well_says_how(more: dict[str, Any], mark: str) -> None:
    text = shown(turn(1, message("user", "Hi"), **more))
    assert f"Z · {mark}\n" in text


def test_a_turn_that_ended_well_has_no_mark() -> None:
    assert "Z\nuser:" in shown(turn(1, message("user", "Hi")))


def test_the_message_of_an_error_is_shown() -> None:
    text = shown(turn(1, message("user", "Hi"), status="ERROR", data={"content": "HTTP 500"}))
    assert "error: HTTP 500\n" in text and "assistant:" not in text


def test_an_error_after_some_text_shows_both() -> None:
    data = {"content": "part", "metadata": {"agnocli": {"error": "line lost"}}}
    said = (message("user", "Hi"), message("assistant", "part"))
    text = shown(turn(1, *said, status="ERROR", data=data))
    assert text.count("part") == 1 and "error: line lost\n" in text


def test_system_text_is_folded_unless_it_is_asked_for() -> None:
    run = turn(1, message("system", "Be brief.\n" + "rule " * 100), message("user", "Hi"))
    assert re.search(r"^system: Be brief\. rule .*…$", shown(run), re.MULTILINE)
    assert "rule " * 99 in shown(run, roles=("system",))
    assert "rule " * 99 in shown(run, system=True)


def test_a_tool_call_is_one_line_with_its_result() -> None:
    text = shown(turn(1, message("user", "x"), CALL, RESULT, message("assistant", "ok")))
    assert '\n⚙ add({ "item": "café" }) → done and more\nassistant:\nok' in text
    assert text.count("done") == 1


def test_tools_unfold_arguments_and_results() -> None:
    text = shown(turn(1, CALL, RESULT), tools=True)
    assert '      "item": "café"\n' in text and "    done\n    and\n    more\n" in text


def test_a_failed_tool_call_is_marked() -> None:
    assert "✗ add(" in shown(turn(1, CALL, RESULT | {"tool_call_error": True}))


def test_a_result_without_its_call_is_shown_still() -> None:
    assert "⚙ add → done and more" in shown(turn(1, RESULT))


@pytest.mark.parametrize(
    ("role", "there", "gone"),
    [
        ("user", "question", ["answer", "done"]),
        ("assistant", "answer", ["question", "done"]),
        ("tool", "done", ["question", "answer"]),
    ],
)
def test_roles_filter_what_is_shown(role: str, there: str, gone: list[str]) -> None:
    run = turn(1, message("user", "question"), CALL, RESULT, message("assistant", "answer"))
    text = shown(run, roles=(role,))
    assert there in text and not any(one in text for one in gone)


def test_reasoning_is_told_from_the_answer() -> None:
    text = shown(turn(1, message("assistant", "yes", reasoning_content="hm\nwell")))
    assert "assistant:\n~ hm\n~ well\nyes\n" in text


def test_members_stand_indented_below_their_team_though_they_are_stored_before_it() -> None:
    team = turn(
        3,
        message("user", "write"),
        run_id="t",
        team_id="desk",
        agent_id=None,
        data={"content": "P"},
    )
    first = turn(1, message("assistant", "one"), agent_id="writer", parent_run_id="t")
    second = turn(2, message("assistant", "two\n\nlines"), agent_id="editor", parent_run_id="t")
    text = shown(first, second, team)
    assert re.findall(r"^(?:│ )*──.*(?:desk|writer|editor)", text, re.MULTILINE) == [
        "── 3 · desk",
        "│ ── · writer",
        "│ ── · editor",
    ]
    assert "│ two\n│\n│ lines\n" in text and "\nuser:\nwrite\nassistant:\nP\n" in text


def test_a_member_of_a_member_is_indented_twice() -> None:
    top = turn(3, message("user", "a"), run_id="t")
    middle = turn(2, message("user", "b"), run_id="m", parent_run_id="t")
    inner = turn(1, message("user", "innermost"), parent_run_id="m")
    assert "│ │ innermost" in shown(inner, middle, top)


@pytest.mark.parametrize("count", [1, MOST_WAITING + 3])
def test_members_whose_team_never_comes_are_shown_all_the_same(count: int) -> None:
    runs = [
        turn(n, message("user", f"said-{n}"), parent_run_id="gone") for n in range(1, count + 1)
    ]
    text = shown(*runs, turn(count + 1, message("user", "top")))
    assert [f"said-{n}\n" in text for n in range(1, count + 1)] == [True] * count
    assert text.count("member of run gone") == count


def test_runs_that_are_each_others_parents_are_shown_once() -> None:
    one = turn(1, message("user", "aaa"), run_id="a", parent_run_id="b")
    other = turn(2, message("user", "bbb"), run_id="b", parent_run_id="a")
    text = shown(one, other)
    assert text.count("aaa") == text.count("bbb") == 1


def test_a_workflow_run_shows_what_went_in_and_came_out() -> None:
    run = turn(1, workflow_id="wf", agent_id=None, data={"input": "go", "content": {"a": 1}})
    assert 'user:\ngo\nassistant:\n{"a": 1}\n' in shown(run)


@pytest.mark.parametrize("document", [b'{"broken": \xff\x1b[2J', b"[1, 2]", b"", b"null"])
def test_a_turn_that_cannot_be_read_is_shown_as_stored_and_the_rest_goes_on(
    document: bytes,
) -> None:
    bad = turn(1, document=Document(document)) if document else turn(1)
    text = shown(bad, turn(2, message("user", "after")))
    assert "after" in text and "\x1b" not in text
    if document:
        assert "1 · 2026-11-23T14:38:47Z · cannot be read" in text
        assert document[:8].decode("utf-8", "backslashreplace") in text


@pytest.mark.parametrize(
    "data",
    [
        {"messages": 5},
        {"messages": ["x", None, {"role": None, "content": 5, "tool_calls": 7}]},
        {"messages": [{"role": ["user"], "content": [{"type": "image"}, {"text": "t"}, 3]}]},
        {"messages": [{"role": "tool", "tool_call_id": {}, "content": {"a": float("nan")}}]},
        {"messages": [{"role": "assistant", "reasoning_content": {}, "tool_calls": [{"id": []}]}]},
        {"metadata": {"agnocli": 3}, "metrics": [], "content": [1], "input": [{}]},
        {"metadata": [], "status": 7, "content": "\ud800"},
    ],
)
@pytest.mark.parametrize("tools", [True, False])
def test_no_stored_oddity_stops_a_transcript(data: dict[str, Any], tools: bool) -> None:
    odd = turn(1, data=data, status=None)
    text = shown(odd, turn(2, message("user", "after")), tools=tools, metrics=True)
    assert "after" in text
    text.encode()


def test_control_sequences_in_any_field_stay_out() -> None:
    evil = "x\x1b]52;c;QQ\x07\x9b2J\r"
    said = (
        message("user", evil),
        message(evil, evil),
        message("assistant", evil, reasoning_content=evil),
        message(
            "assistant", tool_calls=[{"id": "1", "function": {"name": evil, "arguments": evil}}]
        ),
        message("tool", evil, tool_call_id="1", tool_name=evil),
    )
    data = {"metadata": {"agnocli": {"error": evil}}, "agent_name": evil}
    run = turn(1, *said, status=evil, agent_id=evil, run_id=evil, parent_run_id=evil, data=data)
    named = Session(
        session_id=evil,
        user_id=evil,
        agent_id=evil,
        session_type=evil,
        session_data=codec.encode({"session_name": evil, "session_state": {evil: evil}}),
        summary=codec.encode({"summary": evil}),
        created_at=NOW,
    )
    for tty in (True, False):
        for tools in (True, False):
            text = shown(run, session=named, tty=tty, tools=tools, state=True, backend=evil)
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_summary_state_and_metrics_have_their_sections() -> None:
    text = shown(state=True, metrics=True)
    assert "── summary\nThey plan a trip.\n" in text
    assert '── state\n{\n  "items": [\n    "café"\n  ]\n}\n' in text
    assert '── metrics\n{\n  "input_tokens": 1200' in text
    assert "── state" not in shown() and "── metrics" not in shown()


def test_a_session_whose_documents_are_broken_is_shown_still() -> None:
    broken = Document(b"{oops")
    session = Session(
        session_id="s",
        session_data=broken,
        agent_data=broken,
        metadata=broken,
        summary=broken,
        created_at=NOW,
    )
    text = shown(turn(1, message("user", "hi")), session=session, state=True)
    assert "── state\n{oops\n" in text and "── summary\n{oops\n" in text and "hi" in text


class _Text(str):
    __slots__ = ("__weakref__",)


@pytest.fixture
def quick_collection() -> Iterator[None]:
    """Garbage is looked for among what a test makes only."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quick_collection")
def test_one_turn_is_held_at_a_time() -> None:
    alive: list[weakref.ref[_Text]] = []
    most = 0

    def runs() -> Iterator[Run]:
        nonlocal most
        for number in range(1, 40):
            gc.collect()
            most = max(most, sum(one() is not None for one in alive))
            marker = _Text(f"user-{number}")
            alive.append(weakref.ref(marker))
            yield turn(number, message("user", "x"), user_id=marker)
            del marker

    write_transcript(SESSION, runs(), stream=io.StringIO(), color=False, width=60, tty=False)
    assert len(alive) == 39 and most <= 2


def test_numbers_are_the_places_in_the_session_also_when_only_the_last_are_shown() -> None:
    text = shown(turn(8, message("user", "a")), turn(9, message("user", "b")))
    assert _numbers(text) == ["8", "9"]


def _numbers(text: str) -> Sequence[str]:
    return re.findall(r"^── (\d+) ·", text, re.MULTILINE)


def test_what_the_steps_of_a_workflow_said_is_shown_inner_ones_too() -> None:
    steps = [
        {
            "step_name": "research",
            "content": "Found it",
            "steps": [{"step_name": "in", "content": "x"}],
        },
        [{"step_name": "write\x1b[2J", "content": {"title": "T"}}],
        {"step_name": "silent", "content": None},
        "odd",
    ]
    page = shown(turn(1, data={"input": "Go", "step_results": steps, "content": "Found it"}))
    assert "▸ research:\nFound it\n▸ in:\nx\n▸ write␛[2J:" in page
    assert page.count("Found it") == 1
    assert "silent" not in page


def test_what_came_along_with_a_message_is_named() -> None:
    asked = message(
        "user",
        "Look",
        images=[{"content": "aGk="}, 7],
        files=[{"filename": "a\x1b.pdf"}],
        audio=None,
    )
    assert "Look\n[image]\n[file a␛.pdf]\n" in shown(turn(1, asked))
