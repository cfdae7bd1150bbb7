"""Files that go along with a message: text in it, pictures beside it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from agnocli.cli import attachments
from agnocli.cli.repl.paths import beginning_with, typed_path
from agnocli.errors import UsageError
from agnocli.layout.media import media
from agnocli.messages import data
from agnocli.testing.openai_server import Answer, Error
from tests.cli.conftest import Agno, Serve, at
from tests.cli.repl import Prompt, asked, pasted
from tests.formats.conversations import png

PICTURE = png(4, 2)


@pytest.fixture
def prompt(agno: Agno, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(agno, capsys)


@pytest.fixture
def here(agno: Agno) -> Path:
    """The working directory, with something in it."""
    folder = Path.cwd()
    (folder / "notes.md").write_text("buy milk\n")
    (folder / "my list.txt").write_text("tea\n")
    (folder / "cup.png").write_bytes(PICTURE)
    (folder / "blob.bin").write_bytes(b"\xff\xfe\x00")
    (folder / "src").mkdir()
    (folder / "src" / "main.py").write_text("print(1)\n")
    return folder


def inlined(name: str, text: str) -> str:
    return f'<file name="{name}">\n{text}\n</file>'


MILK, TEA = inlined("notes.md", "buy milk\n"), inlined("my list.txt", "tea\n")


@pytest.mark.parametrize(
    ("typed", "files"),
    [
        ("see @notes.md", ["notes.md"]),
        ("see @notes.md, and @src/main.py.", ["notes.md", "main.py"]),
        ("(@notes.md)", []),
        ("@./notes.md @notes.md", ["notes.md"]),
        ("@notes.md and once more @notes.md", ["notes.md"]),
        ('see @"my list.txt"', ["my list.txt"]),
        ("mail me@notes.md", []),
        ("hello @alice, @property, @app.route, @angular/core", []),
        ("a word, @@notes.md", []),
        ("@", []),
    ],
)
def test_files_are_named_in_a_message(here: Path, typed: str, files: list[str]) -> None:
    _, found = attachments.named_files(typed, {})

    assert [one.name for one in found] == files


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("@@notes.md, a@@b", "@notes.md, a@@b"),
        ("SELECT @@version", "SELECT @@version"),
        ("@@ -1,2 +3,4 @@ def f():", "@@ -1,2 +3,4 @@ def f():"),
        ("@@", "@@"),
    ],
)
def test_two_at_signs_before_a_file_are_one(here: Path, typed: str, said: str) -> None:
    assert attachments.named_files(typed, {}) == (said, [])


def test_what_is_pasted_names_no_file(prompt: Prompt, agno: Agno, here: Path, serve: Serve) -> None:
    server = serve(Error(401, "no such key"), Answer("Good."), Answer("Yes."))
    from_elsewhere = pasted("see @cup.png and\n@@ -1 @@ @@notes.md")

    session = prompt(
        f"{from_elsewhere} with @notes.md", "", f"@{pasted('notes.md')}", model=at(server)[1]
    )

    words = f"see @cup.png and\n@@ -1 @@ @@notes.md with @notes.md\n\n{MILK}"
    assert asked(agno, session) == [words, words, f"@notes.md\n\n{MILK}"]
    assert all(isinstance(one["messages"][0]["content"], str) for one in server.requests)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("@nothing.txt", "@nothing.txt: No such file or directory; nothing was sent"),
        ("@src/mian", "@src/mian: No such file or directory; nothing was sent"),
        ("@./x", "@./x: No such file or directory; nothing was sent"),
        ("@/x/y", "@/x/y: No such file or directory; nothing was sent"),
        ('@"no such"', "@no such: No such file or directory; nothing was sent"),
        ("@src/", "@src/: a folder; nothing was sent"),
        ("@blob.bin", "@blob.bin: neither UTF-8 text nor a picture; nothing was sent"),
    ],
)
def test_a_file_that_cannot_go_along_is_an_error(here: Path, typed: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        attachments.named_files(f"see {typed}", {})

    assert raised.value.message == message
    assert "@@" in (raised.value.hint or "")


def test_what_is_too_large_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "LARGEST_TEXT", 4)
    with pytest.raises(UsageError, match="larger than"):
        attachments.named_files("@notes.md", {})

    monkeypatch.setattr(attachments, "LARGEST_PICTURE", 4)
    with pytest.raises(UsageError, match="larger than"):
        attachments.named_files("@cup.png", {})


def test_a_text_file_stands_in_the_message(prompt: Prompt, agno: Agno, here: Path) -> None:
    session = prompt("what is in @notes.md?")

    assert asked(agno, session) == [f"what is in @notes.md?\n\n{MILK}"]
    assert "with notes.md (text, 9 B)" in prompt.err


def test_a_missing_file_sends_nothing_and_keeps_the_line(
    prompt: Prompt, agno: Agno, here: Path
) -> None:
    session = prompt(
        "see @nothing.txt", "\x1b[F\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7fnotes.md"
    )

    assert "@nothing.txt: No such file or directory; nothing was sent" in prompt.err
    assert asked(agno, session) == [f"see @notes.md\n\n{MILK}"]


def test_files_wait_for_the_next_message_and_go_along_once(
    prompt: Prompt, agno: Agno, here: Path
) -> None:
    session = prompt('/file notes.md "my list.txt"', "one", "two")

    files = f"{MILK}\n\n{TEA}"
    assert asked(agno, session) == [f"one\n\n{files}", "two"]


def test_files_can_be_taken_away_again(prompt: Prompt, agno: Agno, here: Path) -> None:
    session = prompt("/file notes.md", "/file -", "one", "/file nothing", '/file "x', "/file")

    assert asked(agno, session) == ["one"]
    assert "nothing: No such file or directory; nothing was sent" in prompt.err
    assert "No closing quotation" in prompt.err
    assert "no files go along; /file PATH adds one" in prompt.err


def test_files_go_along_again_when_the_model_failed(
    prompt: Prompt, agno: Agno, here: Path, serve: Serve
) -> None:
    server = serve(Error(401, "no such key"), Answer("Good."))

    prompt("/file notes.md", "one", "", model=at(server)[1])

    first, second = server.requests
    assert first["messages"][-1] == second["messages"][-1]


def parts(words: str) -> list[dict[str, Any]]:
    url = f"data:image/png;base64,{b64encode(PICTURE).decode()}"
    return [{"type": "text", "text": words}, {"type": "image_url", "image_url": {"url": url}}]


def test_a_picture_is_sent_beside_the_words_with_that_turn_and_the_next(
    prompt: Prompt, agno: Agno, here: Path, serve: Serve
) -> None:
    server = serve(Answer("A cup."), Answer("Blue."))

    session = prompt("what is @cup.png", "which colour?", model=at(server)[1])

    assert "with cup.png (image/png, " in prompt.err
    first, second = server.requests
    assert first["messages"] == [{"role": "user", "content": parts("what is @cup.png")}]
    assert second["messages"][0] == first["messages"][0]
    assert second["messages"][-1] == {"role": "user", "content": "which colour?"}
    stored = data(agno.runs(session)[0])
    for holder in (stored["messages"][0], stored["input"]):
        (found,) = media(holder)
        assert (found.kind, found.mime, found.name) == ("image", "image/png", "cup.png")
        assert b64decode(found.data) == PICTURE
    assert stored["messages"][0]["content"] == "what is @cup.png"


def test_a_retry_and_an_edit_send_the_picture_again(
    prompt: Prompt, agno: Agno, here: Path, serve: Serve
) -> None:
    server = serve(*map(Answer, ("1", "2", "3")))

    prompt.keys("what is @cup.png\r/retry\r/edit\r?\r\x04", model=at(server)[1])

    words = ["what is @cup.png", "what is @cup.png", "what is @cup.png?"]
    for request, said in zip(server.requests, words, strict=True):
        assert request["messages"] == [{"role": "user", "content": parts(said)}]


def test_a_question_taken_back_and_sent_again_has_its_files_once(
    prompt: Prompt, agno: Agno, here: Path, serve: Serve
) -> None:
    server = serve(*map(Answer, ("1", "2", "3")))

    session = prompt(
        "see @cup.png and @notes.md", "/undo", "", "/undo", "other", model=at(server)[1]
    )

    first, second, third = server.requests
    assert first["messages"] == second["messages"]
    assert third["messages"] == [{"role": "user", "content": "other"}]
    assert asked(agno, session) == ["other"]


def test_one_question_from_the_shell_may_have_a_picture(
    agno: Agno, here: Path, serve: Serve
) -> None:
    server = serve(Answer("A cup."))
    model = at(server)

    ran = agno("chat", "what?", "-f", "cup.png", "-f", "notes.md", *model)
    assert ran.status == 0

    words = f"what?\n\n{MILK}"
    assert server.requests[0]["messages"] == [{"role": "user", "content": parts(words)}]
    (session,) = agno.session_ids()
    context = agno("sessions", "context", session, *model, "-o", "json").json
    assert context["messages"][0]["content"] == parts(words)
    assert 800 < context["tokens"]["messages"][0] < 900


def test_a_picture_may_go_without_words(agno: Agno, here: Path, serve: Serve) -> None:
    server = serve(Answer("A cup."), Answer("Yes."))

    assert agno("chat", "-s", "cup", "-f", "cup.png", *at(server)).status == 0
    assert agno("chat", "-s", "cup", "sure?", *at(server)).status == 0

    for request in server.requests:
        assert request["messages"][0] == {"role": "user", "content": parts("")[1:]}


def test_a_file_that_is_none_is_an_error_before_anything_is_asked(agno: Agno, here: Path) -> None:
    ran = agno("chat", "what?", "-f", "blob.bin", "-m", "echo")

    assert (ran.status, ran.out) == (2, "")
    assert "--file blob.bin: neither UTF-8 text nor a picture" in ran.err
    assert not agno.database.exists()


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("see @no", "no"),
        ("@", ""),
        ('see @"my l', '"my l'),
        ("see @notes.md ", None),
        ("me@no", None),
        ("see @@no", None),
    ],
)
def test_a_path_is_typed_behind_an_at_sign(line: str, path: str | None) -> None:
    assert typed_path(line) == path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", ["src/", "blob.bin", "cup.png", '"my list.txt"', "notes.md"]),
        ("no", ["notes.md"]),
        ("src/", ["src/main.py"]),
        ("./src/m", ["./src/main.py"]),
        ('"my', ['"my list.txt"']),
        ("nowhere/", []),
        ("~nobody-of-this-name/", []),
    ],
)
def test_tab_offers_paths(here: Path, typed: str, offered: list[str]) -> None:
    (here / ".hidden").write_text("")

    assert [path for path, _ in beginning_with(typed)] == offered


def test_hidden_files_are_offered_when_asked_for(here: Path) -> None:
    (here / ".hidden").write_text("")

    assert [path for path, _ in beginning_with(".")] == [".hidden"]


def test_tab_completes_a_path_in_a_message(prompt: Prompt, agno: Agno, here: Path) -> None:
    session = prompt("see @not\t", "/file my\t")

    assert asked(agno, session) == [f"see @notes.md\n\n{MILK}"]
