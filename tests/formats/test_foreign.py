"""Conversations of other tools: what they become, that they do so the same each time, and what is said of bad ones."""

from __future__ import annotations

import gzip
import sqlite3
import zipfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agnocli import codec
from agnocli.errors import (
    AgnoCLIError,
    BackendError,
    BackendNotSetUpError,
    FileFormatError,
    LayoutError,
    UsageError,
)
from agnocli.formats.foreign import open_foreign
from agnocli.formats.foreign.turns import NO_RESULT, Owner
from agnocli.layout.derive import run_row
from agnocli.records import SessionBundle
from tests.formats import llm_logs

Said = list[tuple[str, Any]]


def read(path: Path, tool: str, owner: Owner = Owner()) -> list[SessionBundle]:  # noqa: B008
    source = open_foreign(str(path), tool, owner)
    try:
        found = [bundle for _, bundle in source.scan()]
        assert source.check()[:2] == (len(found), sum(len(tuple(one.runs)) for one in found))
        return found
    finally:
        source.close()


def turns(bundle: SessionBundle) -> list[dict[str, Any]]:
    return [codec.decode(run.run_data) for run in bundle.runs]


def said(turn: dict[str, Any]) -> Said:
    return [(one["role"], one["content"]) for one in turn["messages"]]


def check_as_agno_writes(bundle: SessionBundle) -> None:
    """Columns are those of the data, indexes are dense, each call has its result."""
    session = bundle.session
    assert codec.members(session.session_data)["session_state"] == {}
    for number, run in enumerate(bundle.runs):
        data = codec.decode(run.run_data)
        assert run == run_row(data, session, number, run.updated_at or 0)
        assert (run.run_type, data["agent_id"]) == ("agent", session.agent_id)
        calls = [made["id"] for one in data["messages"] for made in one.get("tool_calls", ())]
        results = [one["tool_call_id"] for one in data["messages"] if one["role"] == "tool"]
        assert calls == results == [one["tool_call_id"] for one in data["tools"]]
        for one in data["messages"]:
            assert isinstance(one["id"], str) and isinstance(one["created_at"], int)
            assert isinstance(one["content"], str)


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(codec.line(one) + "\n" for one in lines))
    return path


# OpenAI

CHAT = {
    "messages": [
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "content": "Weather in Paris?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": "Sunny."},
        {"role": "user", "content": "Thanks"},
        {"role": "assistant", "content": "Welcome"},
    ]
}


def log(question: str, answer: str, *before: str, at: int = 1_700_000_000) -> dict[str, Any]:
    roles = ("user", "assistant")
    told = [*before, question]
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(told)]
    return {
        "request": {"model": "gpt-4o", "messages": messages},
        "response": {
            "id": f"r-{question}",
            "created": at,
            "model": "gpt-4o-2024",
            "choices": [{"message": {"role": "assistant", "content": answer}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
        },
    }


def test_an_example_for_fine_tuning_becomes_a_session(tmp_path: Path) -> None:
    (bundle,) = read(write(tmp_path / "x.jsonl", CHAT), "openai")
    check_as_agno_writes(bundle)
    first, second = turns(bundle)
    assert said(first) == [
        ("system", "Be brief"),
        ("user", "Weather in Paris?"),
        ("assistant", ""),
        ("tool", "sunny"),
        ("assistant", "Sunny."),
    ]
    assert said(second) == [("user", "Thanks"), ("assistant", "Welcome")]
    assert first["input"] == {"input_content": "Weather in Paris?"}
    assert (first["content"], first["status"]) == ("Sunny.", "COMPLETED")
    (tool,) = first["tools"]
    assert (tool["tool_name"], tool["tool_args"], tool["result"]) == (
        "weather",
        {"city": "Paris"},
        "sunny",
    )
    assert first["messages"][3]["tool_name"] == "weather"
    assert codec.members(bundle.session.metadata)["agnocli"]["imported"] == {"from": "openai"}
    assert bundle.session.created_at == int((tmp_path / "x.jsonl").stat().st_mtime)


def test_a_request_log_becomes_one_session_with_times_and_tokens(tmp_path: Path) -> None:
    path = write(
        tmp_path / "log.jsonl", log("q1", "a1"), log("q2", "a2", "q1", "a1", at=1_700_000_060)
    )
    (bundle,) = read(path, "openai")
    check_as_agno_writes(bundle)
    assert [said(turn) for turn in turns(bundle)] == [
        [("user", "q1"), ("assistant", "a1")],
        [("user", "q2"), ("assistant", "a2")],
    ]
    data = codec.members(bundle.session.session_data)
    assert data["session_metrics"]["total_tokens"] == 9
    assert bundle.session.created_at == 1_700_000_060
    assert codec.members(bundle.session.agent_data)["model"]["id"] == "gpt-4o-2024"


@pytest.mark.parametrize("shape", ["array", "batch", "gzip", "bom", "crlf", "pretty"])
def test_the_same_is_read_in_every_wrapping(tmp_path: Path, shape: str) -> None:
    plain, path = codec.line(log("q", "a")), tmp_path / "log.jsonl"
    batch = log("q", "a")
    batch = {"body": batch["request"], "response": {"body": batch["response"]}}
    text = {
        "array": f"[{plain},\n {plain}]",
        "batch": codec.line(batch),
        "bom": f"\ufeff{plain}",
        "crlf": f"{plain}\r\n\r\n",
        "pretty": codec.pretty(log("q", "a")),
        "gzip": plain,
    }[shape]
    path.write_bytes(gzip.compress(text.encode()) if shape == "gzip" else text.encode())
    (bundle,) = read(path, "openai")
    (expected,) = read(write(tmp_path / "plain.jsonl", log("q", "a")), "openai")
    assert bundle == expected


def test_media_and_old_function_calls_are_understood(tmp_path: Path) -> None:
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "something_new"},
    ]
    old = {"name": "f", "arguments": "no json"}
    messages = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "function_call": old},
        {"role": "function", "name": "f", "content": "done"},
        {"role": "assistant", "content": "ok"},
    ]
    (bundle,) = read(write(tmp_path / "x.jsonl", {"messages": messages}), "openai")
    check_as_agno_writes(bundle)
    (turn,) = turns(bundle)
    question = turn["messages"][0]
    assert question["content"] == "Look\n[something_new]"
    assert [{k: v for k, v in one.items() if k != "id"} for one in question["images"]] == [
        {"url": "https://example.org/a.png"},
        {"content": "AAAA", "mime_type": "image/png"},
    ]
    assert said(turn)[2] == ("tool", "done")


def test_calls_and_results_that_are_alone_get_a_partner(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "user", "content": "r"},
        {"role": "tool", "tool_call_id": "lost", "content": "late"},
    ]
    (bundle,) = read(write(tmp_path / "x.jsonl", {"messages": messages}), "openai")
    check_as_agno_writes(bundle)
    assert said(turns(bundle)[0])[-1] == ("tool", NO_RESULT)


def test_a_question_without_an_answer_counts_as_stopped(tmp_path: Path) -> None:
    lines = {"messages": [{"role": "user", "content": "q"}]}
    (bundle,) = read(write(tmp_path / "x.jsonl", lines), "openai")
    assert [run.status for run in bundle.runs] == ["CANCELLED"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('{"messages": [{"role": "user", "content": "q"}]}\nnonsense\n', 2, "not JSON"),
        ('{"messages": [{"role": "user", "content": "q"}]}\n{"prompt": "x"}\n', 2, "no messages"),
        ('\n\n{"messages": [{"content": "q"}]}\n', 3, "without a role"),
        ('{"messages": [{"role": "user"', 1, "not JSON"),
        ("[1]", 1, "object was expected"),
        ('{"messages": []}', 1, "no messages"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=reason) as caught:
        read(path, "openai")
    assert caught.value.line == line


# ChatGPT


def node(
    key: str, parent: str | None, role: str = "", parts: Sequence[object] = (), **more: Any
) -> dict[str, Any]:
    content = more.pop("content", {"content_type": "text", "parts": list(parts)})
    author = {"role": role, **more.pop("author", {})}
    message = {"id": key, "author": author, "content": content, "metadata": {}, **more}
    return {"id": key, "parent": parent, "children": [], "message": message if role else None}


def tree(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    mapping = {one["id"]: one for one in nodes}
    for one in nodes:
        if one["parent"] in mapping:
            mapping[one["parent"]]["children"].append(one["id"])
    return {
        "conversation_id": "conv-1",
        "title": "Tea",
        "create_time": 1_700_000_000.25,
        "update_time": 1_700_000_500.75,
        "default_model_slug": "gpt-4o",
        "current_node": nodes[-1]["id"],
        "mapping": mapping,
        **more,
    }


ATTACHED = {"attachments": [{"name": "a.png", "mime_type": "image/png", "size": 12345}]}
CONVERSATION = tree(
    node("root", None),
    node("s", "root", "system", [""], metadata={"is_visually_hidden_from_conversation": True}),
    node(
        "ctx",
        "s",
        "user",
        content={"content_type": "user_editable_context", "user_profile": "A tea lover"},
        metadata={"is_visually_hidden_from_conversation": True},
    ),
    node("q0", "ctx", "user", ["old question"], create_time=1_700_000_001.0),
    node("a0", "q0", "assistant", ["old answer"], create_time=1_700_000_002.0),
    node(
        "q1",
        "ctx",
        "user",
        content={
            "content_type": "multimodal_text",
            "parts": [
                {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-9"},
                "What is it?",
            ],
        },
        metadata=ATTACHED,
        create_time=1_700_000_010.5,
    ),
    node(
        "t",
        "q1",
        "assistant",
        content={"content_type": "thoughts", "thoughts": [{"summary": "Look", "content": "hard"}]},
    ),
    node(
        "c",
        "t",
        "assistant",
        content={"content_type": "code", "text": "print(1)"},
        recipient="python",
        create_time=1_700_000_011.0,
    ),
    node(
        "r",
        "c",
        "tool",
        author={"name": "python"},
        content={"content_type": "execution_output", "text": "1"},
    ),
    node(
        "a1",
        "r",
        "assistant",
        ["A cup."],
        metadata={"model_slug": "o3"},
        create_time=1_700_000_012.0,
    ),
)


def test_chatgpts_current_branch_becomes_a_session(tmp_path: Path) -> None:
    (bundle,) = read(write(tmp_path / "conversations.json", [CONVERSATION]), "chatgpt")
    check_as_agno_writes(bundle)
    session = bundle.session
    assert (session.session_id, session.created_at, session.updated_at) == (
        "conv-1",
        1_700_000_000,
        1_700_000_500,
    )
    assert codec.members(session.session_data)["session_name"] == "Tea"
    imported = codec.members(session.metadata)["agnocli"]["imported"]
    assert imported == {"from": "chatgpt", "messages_on_other_branches": 2}
    (turn,) = turns(bundle)
    assert said(turn) == [
        ("system", "A tea lover"),
        ("user", "[image file-9]\nWhat is it?\n[attached: a.png (image/png, 12,345 bytes)]"),
        ("assistant", ""),
        ("tool", "1"),
        ("assistant", "A cup."),
    ]
    assert turn["messages"][2]["reasoning_content"] == "Look\nhard"
    assert turn["tools"][0]["tool_args"] == {"input": "print(1)"}
    assert (turn["model"], turn["created_at"]) == ("o3", 1_700_000_010)


def test_chatgpts_archive_is_read_as_it_came(tmp_path: Path) -> None:
    plain = write(tmp_path / "conversations.json", [CONVERSATION])
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.write(plain, "conversations.json")
        archive.writestr("user.json", "{}")
    assert read(tmp_path / "export.zip", "chatgpt") == read(plain, "chatgpt")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("user.json", "{}")
    with pytest.raises(FileFormatError, match=r"no conversations\.json"):
        read(tmp_path / "other.zip", "chatgpt")


def test_the_newest_branch_is_taken_where_none_is_current(tmp_path: Path) -> None:
    value = {**CONVERSATION, "current_node": None}
    (bundle,) = read(write(tmp_path / "c.json", [value]), "chatgpt")
    assert said(turns(bundle)[-1])[-1] == ("assistant", "A cup.")


def test_a_conversation_in_which_nothing_was_said_is_none(tmp_path: Path) -> None:
    assert read(write(tmp_path / "c.json", [tree(node("root", None))]), "chatgpt") == []
    assert read(write(tmp_path / "d.json", []), "chatgpt") == []


def test_a_bad_conversation_is_named(tmp_path: Path) -> None:
    circle = tree(node("a", "b", "user", ["x"]), node("b", "a", "assistant", ["y"]))
    for bad, reason in (
        ({"title": "Odd", "id": "x"}, r"line 2: conversation 2 \('Odd'\) has no mapping"),
        ({"mapping": {}}, "conversation 2 has no id"),
        (circle, r"conversation 2 \('Tea'\) goes round in a circle"),
    ):
        path = tmp_path / "c.json"
        path.write_text(f"[{codec.line(CONVERSATION)},\n{codec.line(bad)}]")
        with pytest.raises(FileFormatError, match=reason):
            read(path, "chatgpt")


# llm


@pytest.mark.parametrize("make", [llm_logs.older, llm_logs.newer])
def test_llms_log_becomes_sessions(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "logs.db")
    before = (tmp_path / "logs.db").read_bytes()
    first, second = read(tmp_path / "logs.db", "llm")
    check_as_agno_writes(first)
    check_as_agno_writes(second)
    assert [said(turn) for turn in turns(first)] == [
        [("system", "Be brief"), ("user", "hello\n[attached: /home/a.pdf]"), ("assistant", "hi")],
        [("user", "use it"), ("assistant", ""), ("tool", "ABC"), ("assistant", "done")],
    ]
    (image,) = turns(first)[0]["messages"][1]["images"]
    assert (image["content"], image["mime_type"]) == ("AAEC", "image/png")
    assert turns(first)[1]["messages"][-1]["reasoning_content"] == "think"
    assert [said(turn) for turn in turns(second)] == [
        [("user", "a long text\nand a question"), ("assistant", "ok")]
    ]
    data = codec.members(first.session.session_data)
    assert (first.session.session_id, data["session_name"]) == ("01a", "Hello")
    assert data["session_metrics"]["total_tokens"] == 24
    assert first.session.created_at == 1_764_201_600
    assert [one.name for one in tmp_path.iterdir()] == ["logs.db"]
    assert (tmp_path / "logs.db").read_bytes() == before


def test_a_conversation_that_newer_llm_went_on_with_is_there_once(tmp_path: Path) -> None:
    llm_logs.older(tmp_path / "logs.db")
    llm_logs.newer(tmp_path / "logs.db")
    assert [one.session.session_id for one in read(tmp_path / "logs.db", "llm")] == ["01a", "01b"]


def test_what_is_no_log_of_llm_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello, this is no database at all")
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE t (x)")
    llm_logs.newer(tmp_path / "logs.db")
    with closing(sqlite3.connect(tmp_path / "logs.db")) as db, db:
        db.execute("DELETE FROM messages WHERE role = 'user'")
    cases: list[tuple[str, type[AgnoCLIError], str]] = [
        ("nothing", BackendNotSetUpError, "no file"),
        ("text", BackendError, "no SQLite database"),
        ("other.db", LayoutError, "no log of llm"),
        ("logs.db", LayoutError, "conversation 01a has lost a message"),
    ]
    for name, error, reason in cases:
        with pytest.raises(error, match=reason):
            read(tmp_path / name, "llm")
    with pytest.raises(UsageError):
        open_foreign("-", "llm", Owner())


# all


@pytest.mark.parametrize("tool", ["openai", "chatgpt"])
def test_reading_again_and_reading_on_give_the_same(tmp_path: Path, tool: str) -> None:
    lines = [CHAT, log("q", "a")] if tool == "openai" else [CONVERSATION]
    lines += (
        [log("r", "b")] if tool == "openai" else [{**CONVERSATION, "conversation_id": "conv-2"}]
    )
    path = write(tmp_path / "x", *lines, *lines)
    found = read(path, tool)
    assert read(path, tool) == found
    assert len({one.session.session_id for one in found}) == len(found) == len(lines)
    source = open_foreign(str(path), tool, Owner())
    cursors = [cursor for cursor, _ in source.scan()]
    assert [one for _, one in source.scan(after=cursors[0])] == found[1:]
    only = found[-1].session.session_id
    assert [one for _, one in source.scan(wanted=lambda each: each == only)] == found[-1:]


def test_the_owner_is_who_is_asked_for(tmp_path: Path) -> None:
    owner = Owner("helper", "alice")
    (bundle,) = read(write(tmp_path / "x.jsonl", CHAT), "openai", owner)
    assert (bundle.session.agent_id, bundle.session.user_id) == ("helper", "alice")
    assert {(run.agent_id, run.user_id) for run in bundle.runs} == {("helper", "alice")}


def test_a_tool_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError):
        open_foreign("x", "cortana", Owner())
