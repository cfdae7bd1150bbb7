"""Functions as tools: what a model is told, what a call does, what is stored of it."""

from __future__ import annotations

import dataclasses
import enum
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agnocli.abc import Backend, ModelFinished
from agnocli.agent import Agent, runner
from agnocli.agent.runner import Conversation
from agnocli.agent.tools import tool_of, toolbox
from agnocli.db.sqlite import SqliteDb
from agnocli.errors import ModelError, UsageError
from agnocli.messages import data
from agnocli.run import RunContext, RunEnded, RunStatus, ToolCallCompleted, ToolCallStarted
from agnocli.testing.openai_server import tool_call
from agnocli.testing.scripted_model import ScriptedModel


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Backend]:
    with SqliteDb(db_file=tmp_path / "a.db") as opened:
        yield opened


def asks(*calls: dict[str, Any], text: str = "") -> list[Any]:
    """A script of the model: it asks for these calls."""
    finished = ModelFinished(
        reason="tool_calls", input_tokens=3, output_tokens=2, total_tokens=5, tool_calls=calls
    )
    return [text, finished] if text else [finished]


def call(name: str, call_id: str = "call_1", /, **arguments: object) -> dict[str, Any]:
    return tool_call(name, arguments, call_id)


def results(model: ScriptedModel, request: int = 1) -> list[str]:
    """What the model read of its calls."""
    return [
        str(one["content"]) for one in model.requests[request].messages if one["role"] == "tool"
    ]


# what a model is told


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Order(BaseModel):
    item: str
    count: int = 1


def add_item(run_context: RunContext, item: str, count: int = 1, title: str | None = None) -> str:
    """Add an item to the shopping list.

    Nothing is bought yet.

    Args:
        item: What to buy.
        count (int): How many.

    Returns:
        What was done.
    """
    return f"{count} x {item}"


def test_a_function_is_described_by_its_signature_and_docstring() -> None:
    assert tool_of(add_item).schema() == {
        "type": "function",
        "function": {
            "name": "add_item",
            "description": "Add an item to the shopping list.\n\nNothing is bought yet.",
            "parameters": {
                "type": "object",
                "properties": {
                    "item": {"type": "string", "description": "What to buy."},
                    "count": {"type": "integer", "default": 1, "description": "How many."},
                    "title": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                },
                "required": ["item"],
                "additionalProperties": False,
            },
        },
    }


@pytest.mark.parametrize(
    "docstring",
    [
        "Say.\n\n    Parameters\n    ----------\n    what : str\n        The words.",
        "Say.\n\n    :param what: The words.",
        "Say.\n\n    Args:\n        what: The words.",
    ],
    ids=["numpy", "rest", "google"],
)
def test_docstrings_of_all_styles_are_read(docstring: str) -> None:
    def say(what: str) -> str:
        return what

    say.__doc__ = docstring
    tool = tool_of(say)
    assert tool.description == "Say."
    assert tool.parameters["properties"]["what"]["description"] == "The words."


def takes(annotation: Any) -> Callable[..., str]:
    def tool(value: Any) -> str:
        return repr(value)

    tool.__annotations__["value"] = annotation
    return tool


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (Any, {}),
        (Annotated[int, Field(ge=1)], {"type": "integer", "minimum": 1}),
    ],
    ids=str,
)
def test_types_become_json_schema(annotation: Any, expected: dict[str, Any]) -> None:
    assert tool_of(takes(annotation)).parameters["properties"]["value"] == expected


@pytest.mark.parametrize(
    ("annotation", "given", "got"),
    [
        (int, "3", "3"),
        (str, "none", "'none'"),
        (str, "true", "'true'"),
        (Size, "s", "<Size.SMALL: 's'>"),
        (Point, {"x": "1"}, "Point(x=1, y=0)"),
        (Order, {"item": "tea"}, "Order(item='tea', count=1)"),
        (list[Order], [{"item": "tea"}], "[Order(item='tea', count=1)]"),
    ],
    ids=str,
)
def test_a_function_gets_what_its_types_promise(
    db: Backend, annotation: Any, given: object, got: str
) -> None:
    model = ScriptedModel(asks(call("tool", value=given)), ["ok"])
    Agent(model=model, db=db, tools=[takes(annotation)]).run("go", session_id="s")
    assert results(model) == [got]


def test_the_context_is_hidden_by_its_type_too(db: Backend) -> None:
    def who(ctx: RunContext | None, again: RunContext, run_context) -> str:  # type: ignore[no-untyped-def]
        assert ctx is again is run_context
        return f"{again.session_id} {again.user_id} {again.dependencies}"

    assert tool_of(who).parameters == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }
    model = ScriptedModel(asks(call("who", ctx="mine", run_context={})), ["ok"])
    agent = Agent(model=model, db=db, tools=[who], dependencies={"k": 1})
    agent.run("go", session_id="s", user_id="u")
    assert results(model) == ["s u {'k': 1}"]


def test_tools_are_offered_in_the_order_of_their_names() -> None:
    def beta() -> None: ...
    def alpha() -> None: ...

    assert list(toolbox([beta, alpha])) == ["alpha", "beta"]


async def later() -> str:
    return "later"


def by_position(value: int, /) -> str:
    return str(value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (later, "async"),
        (by_position, "by position"),
        (functools.partial(add_item), "no name"),
        (lambda: 1, "no name"),
        (takes(threading.Thread), "no form"),
        (takes("Nowhere"), "cannot be read"),
    ],
    ids=["async", "positional", "partial", "lambda", "type", "name"],
)
def test_what_no_model_could_call_is_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        toolbox([function])


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two tools"):
        toolbox([takes(int), takes(str)])


def test_methods_are_tools_too(db: Backend) -> None:
    class Shop:
        def price(self, item: str) -> float:
            """What it costs."""
            return {"tea": 2.5}[item]

    model = ScriptedModel(asks(call("price", item="tea")), ["ok"])
    Agent(model=model, db=db, tools=[Shop().price]).run("go", session_id="s")
    assert results(model) == ["2.5"]


# what a call does


def test_model_and_tools_take_turns_until_there_is_an_answer(db: Backend) -> None:
    model = ScriptedModel(
        asks(call("add_item", item="tea"), text="Let me."),
        asks(call("add_item", "call_2", item="milk", count=2)),
        ["Done."],
    )
    output = Agent(model=model, db=db, tools=[add_item]).run("buy", session_id="s")
    assert output.content == "Let me.\n\nDone."
    assert [one["result"] for one in output.tools] == ["1 x tea", "2 x milk"]
    last = model.requests[2]
    assert [one["role"] for one in last.messages] == ["user", *["assistant", "tool"] * 2]
    assert [one["function"]["name"] for one in last.tools] == ["add_item"]  # type: ignore[index]
    assert output.metrics["total_tokens"] == 15


def test_a_stream_tells_of_each_call(db: Backend) -> None:
    model = ScriptedModel(asks(call("add_item", item="tea"), text="Let me."), ["Done."])
    agent = Agent(model=model, db=db, tools=[add_item])
    events = list(agent.run("buy", session_id="s", stream=True))
    assert [one.event for one in events] == [
        "RunStarted",
        "RunContent",
        "ToolCallStarted",
        "ToolCallCompleted",
        "RunContent",
        "RunCompleted",
    ]
    started, completed, _, ended = events[2:]
    assert started == ToolCallStarted("call_1", "add_item", {"item": "tea"})
    assert isinstance(completed, ToolCallCompleted)
    assert (completed.result, completed.failed) == ("1 x tea", False)
    assert isinstance(ended, RunEnded)
    text = "".join(one.content for one in events if one.event == "RunContent")  # type: ignore[union-attr]
    assert text == ended.content == "Let me.\n\nDone."


def test_messages_and_tools_are_stored_as_agno_stores_them(db: Backend) -> None:
    model = ScriptedModel(asks(call("add_item", item="café ☕")), ["Done."])
    Agent(model=model, db=db, tools=[add_item]).run("buy", session_id="s")
    (run,) = db.runs("s")
    document = data(run)
    user, asked, answered, said = document["messages"]
    assert list(asked) == [
        "id", "from_history", "stop_after_tool_call", "role", "tool_calls", "metrics", "created_at",
    ]  # fmt: skip
    assert asked["tool_calls"] == [call("add_item", item="café ☕")]
    assert list(answered) == [
        "id", "content", "from_history", "stop_after_tool_call", "role", "tool_call_id", "tool_name",
        "tool_args", "tool_call_error", "created_at",
    ]  # fmt: skip
    assert (answered["content"], answered["tool_args"]) == ("1 x café ☕", {"item": "café ☕"})
    assert [user["role"], said["content"]] == ["user", "Done."]
    (execution,) = document["tools"]
    assert list(execution) == [
        "tool_call_id", "tool_name", "tool_args", "tool_call_error", "result", "metrics", "child_run_id",
        "stop_after_tool_call", "created_at", "requires_confirmation", "confirmed", "confirmation_note",
        "requires_user_input", "user_input_schema", "user_feedback_schema", "answered",
        "external_execution_required", "external_execution_silent", "approval_type", "approval_id",
        "parent_tool_call_id",
    ]  # fmt: skip
    assert list(execution["metrics"]) == ["start_time", "end_time", "duration"]


def broken(item: str) -> str:
    raise KeyError(item)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (call("broken", item="tea"), "Error: KeyError: 'tea'"),
        (call("broken"), "item: Field required"),
        (call("broken", item=["x"]), "item: Input should be a valid string"),
        (call("broken", item="x", colour="red"), "colour: Extra inputs are not permitted"),
        (call("nothing", item="x"), "Error: there is no tool 'nothing'; there are: broken."),
        (tool_call("broken", [1]), "Error: the arguments are no JSON object; nothing was run."),
        (
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "broken", "arguments": "{nope"},
            },
            "not JSON",
        ),
    ],
)
def test_errors_go_to_the_model_and_the_turn_goes_on(
    db: Backend, asked: dict[str, Any], message: str
) -> None:
    model = ScriptedModel(asks(asked), ["I see."])
    output = Agent(model=model, db=db, tools=[broken]).run("go", session_id="s")
    assert message in results(model)[0]
    assert (output.content, output.status) == ("I see.", RunStatus.COMPLETED)
    assert output.tools[0]["tool_call_error"] is True


def gives(value: Any) -> Callable[[], Any]:
    def tool() -> Any:
        return value() if callable(value) else value

    return tool


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("text", "text"),
        ({"a": [1, None, "ü"]}, '{"a": [1, null, "ü"]}'),
        (None, "null"),
        (Point(1, 2), '{"x": 1, "y": 2}'),
        (Order(item="tea"), '{"item": "tea", "count": 1}'),
        (lambda: (part for part in ("one ", "two")), "one two"),
        (lambda: (n for n in (1, 2)), "[1, 2]"),
        ("nul \0 and \ud800", "nul \ufffd and ?"),
    ],
    ids=["text", "json", "none", "dataclass", "pydantic", "words", "generator", "odd text"],
)
def test_results_are_text_or_json(db: Backend, value: Any, read: str) -> None:
    model = ScriptedModel(asks(call("tool")), ["ok"])
    Agent(model=model, db=db, tools=[gives(value)]).run("go", session_id="s")
    assert results(model) == [read]


def test_calls_of_one_answer_run_side_by_side_and_answer_in_their_order(db: Backend) -> None:
    meeting = threading.Barrier(2, timeout=60)

    def meet(name: str) -> str:
        meeting.wait()
        return name

    model = ScriptedModel(asks(call("meet", "a", name="a"), call("meet", "b", name="b")), ["ok"])
    Agent(model=model, db=db, tools=[meet]).run("go", session_id="s")
    assert results(model) == ["a", "b"]


def test_at_the_limit_the_model_is_told_to_call_no_more(db: Backend) -> None:
    model = ScriptedModel(
        asks(
            call("add_item", "a", item="1"),
            call("add_item", "b", item="2"),
            call("add_item", "c", item="3"),
        ),
        ["Done."],
    )
    agent = Agent(model=model, db=db, tools=[add_item], tool_call_limit=2)
    output = agent.run("go", session_id="s")
    assert results(model)[:2] == ["1 x 1", "1 x 2"]
    assert "limit of 2" in results(model)[2]
    assert [one.tool_choice for one in model.requests] == [None, "none"]
    assert model.requests[1].tools
    (run,) = db.runs("s")
    assert len(data(run)["tools"]) == 2
    assert output.content == "Done."


def test_a_limit_of_none_at_all_is_kept_from_the_start(db: Backend) -> None:
    model = ScriptedModel(["Hm."])
    Agent(model=model, db=db, tools=[add_item], tool_call_limit=0).run("go", session_id="s")
    assert model.requests[0].tool_choice == "none"


def test_a_model_that_never_stops_calling_is_stopped(
    db: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MAX_REQUESTS", 3)
    model = ScriptedModel(*[asks(call("add_item", f"c{n}", item="x")) for n in range(3)])
    with pytest.raises(ModelError, match="3 times in a row"):
        Agent(model=model, db=db, tools=[add_item]).run("go", session_id="s")
    (run,) = db.runs("s")
    assert run.status == "ERROR"
    assert len(data(run)["tools"]) == 3


def test_what_is_about_to_be_done_is_stored_before_it_is_done(db: Backend) -> None:
    seen: list[dict[str, Any]] = []

    def look() -> str:
        (run,) = db.runs("s")
        seen.append(data(run))
        return "ok"

    model = ScriptedModel(asks(call("look")), ["ok"])
    Agent(model=model, db=db, tools=[look]).run("go", session_id="s")
    (document,) = seen
    assert document["status"] == "RUNNING"
    assert [one["role"] for one in document["messages"]] == ["user", "assistant", "tool"]
    assert document["messages"][2]["content"].startswith("Error: interrupted")
    assert document["tools"][0]["result"] is None


def test_each_result_is_stored_before_the_slowest_is_there(db: Backend) -> None:
    quick_is_stored = threading.Event()
    seen: list[str | None] = []

    def quick() -> str:
        return "quick"

    def slow() -> str:
        for _ in range(2000):
            (run,) = db.runs("s")
            seen[:] = [one["result"] for one in data(run)["tools"]]
            if "quick" in seen:
                quick_is_stored.set()
                return "slow"
            quick_is_stored.wait(0.01)
        return "never"

    model = ScriptedModel(asks(call("quick", "a"), call("slow", "b")), ["ok"])
    output = Agent(model=model, db=db, tools=[quick, slow]).run("go", session_id="s")
    assert [one["result"] for one in output.tools] == ["quick", "slow"]


def stopping(talk: Conversation, when: threading.Event) -> threading.Thread:
    """Stops the turn from another thread."""

    def stop() -> None:
        when.wait(60)
        talk.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    return stopper


def test_stopping_does_not_wait_for_a_function_that_hangs(db: Backend) -> None:
    hanging, go_on = threading.Event(), threading.Event()

    def hang() -> str:
        hanging.set()
        go_on.wait(60)
        return "late"

    model = ScriptedModel(asks(call("hang")))
    talk = Agent(model=model, db=db, tools=[hang]).conversation("s")
    stopper = stopping(talk, hanging)
    *_, ended = talk.ask("go")
    stopper.join(60)
    assert isinstance(ended, RunEnded)
    assert ended.output.status == "CANCELLED"
    (run,) = db.runs("s")
    assert run.status == "CANCELLED"
    assert data(run)["messages"][2]["content"].startswith("Error: interrupted")
    go_on.set()


def test_an_earlier_turns_calls_go_along_with_their_results(db: Backend) -> None:
    model = ScriptedModel(asks(call("add_item", item="tea")), ["Done."], ["Tea."])
    agent = Agent(model=model, db=db, tools=[add_item], add_history_to_context=True)
    agent.run("buy", session_id="s")
    agent.run("what?", session_id="s")
    assert [one["role"] for one in model.requests[2].messages] == [
        "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "add_item", "arguments": {"item": "tea"}}',
        '```json\n{"name": "add_item", "parameters": {"item": "tea"}}\n```',
    ],
    ids=["plain", "fenced"],
)
def test_a_call_that_is_written_as_text_is_run_and_told_of(db: Backend, text: str) -> None:
    model = ScriptedModel([text], ["Done."])
    output = Agent(model=model, db=db, tools=[add_item]).run("go", session_id="s")
    assert results(model) == ["1 x tea"]
    assert output.content == "Done."
    assert "as text" in output.notices[0]
    (run,) = db.runs("s")
    asked = data(run)["messages"][1]
    assert asked["tool_calls"][0]["function"]["name"] == "add_item"
    assert "content" not in asked


def test_a_call_written_again_or_at_the_limit_is_an_answer(db: Backend) -> None:
    text = '{"name": "add_item", "arguments": {"item": "tea"}}'
    again = ScriptedModel([text], [text])
    output = Agent(model=again, db=db, tools=[add_item]).run("go", session_id="s")
    assert (output.content, len(output.tools)) == (text, 1)
    limited = ScriptedModel([text], [text.replace("tea", "milk")])
    agent = Agent(model=limited, db=db, tools=[add_item], tool_call_limit=1)
    assert "milk" in agent.run("go", session_id="t").content


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "other", "arguments": {"item": "tea"}}',
        '{"name": "add_item"}',
        'Say {"name": "add_item", "arguments": {"item": "tea"}}',
        '{"name": "add_item", "arguments": {}, "note": 1}',
        '["add_item"]',
        "",
    ],
    ids=["unknown", "no arguments", "words", "more", "list", "empty"],
)
def test_what_is_no_call_stays_an_answer(db: Backend, text: str) -> None:
    output = Agent(model=ScriptedModel([text]), db=db, tools=[add_item]).run("go", session_id="s")
    assert (output.content, output.tools) == (text, ())


def test_a_call_that_is_not_allowed_is_not_run(db: Backend) -> None:
    from msgspec.structs import replace

    ran: list[str] = []

    def act(what: str) -> str:
        ran.append(what)
        return what

    model = ScriptedModel(asks(call("act", "a", what="good"), call("act", "b", what="bad")), ["ok"])
    talk = Agent(model=model, db=db, tools=[act]).conversation("s")
    talk.settings = replace(
        talk.settings, approve=lambda name, arguments, stopped: arguments["what"] == "good"
    )
    list(talk.ask("go"))
    assert ran == ["good"]
    assert results(model)[1] == "Error: the user did not allow this call; nothing was run."
