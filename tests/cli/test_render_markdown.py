from __future__ import annotations

import io
import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agnocli.cli.render.markdown import AnswerStream, MarkdownStream, PlainStream
from agnocli.cli.render.text import cells

SGR = re.compile("\x1b\\[[0-9;]*m")


def streamed(pieces: Sequence[str], *, width: int = 60, color: bool = True) -> str:
    out = io.StringIO()
    stream = MarkdownStream(out, width=width, color=color)
    for piece in pieces:
        stream.feed(piece)
    stream.finish()
    return out.getvalue()


def seen(text: str, **how: int) -> str:
    return SGR.sub("", streamed([text], width=how.get("width", 60)))


def cut(text: str, sizes: Sequence[int]) -> list[str]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    return [*pieces, text[at:]]


LANGUAGES = """
python js ts bash sh json yaml html xml sql rust go cpp java markdown diff toml ini php
ruby console pycon text nosuchlanguage {.python} jinja vue kotlin swift perl lua r
"""


class Numbered:
    """Hands out words that are all different, so that losing, doubling or moving one shows."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, shape: str) -> str:
        text = ""
        for character in shape:
            if character == "W":
                text += f"w{self.count}w"
                self.count += 1
            else:
                text += character
        return text


LINES = st.sampled_from(
    [
        "W W W",
        "# W W",
        "### W",
        "- W **W W** W",
        "  - W `W W`",
        "* W",
        "10. W",
        "1) W W",
        "   W",
        "        W W",
        "> W *W* W",
        "> > W",
        "> - W",
        ">",
        "",
        "",
        "---",
        "===",
        "***",
        "```python",
        "```",
        "~~~",
        "    W",
        "W [W W](W) W",
        "![W](W)",
        "<W> &amp; W\\*",
        "W **W",
        "W** W",
        "`W",
        "W`` W",
        "~~W~~ ~W",
        "_W_ W_W",
        "W ``W ` W`` W",
        "~~W W~~ W",
        "[W",
        "W](W",
        "W " * 30,
        "W" * 30,
        "世界W你好，W。「W」",
        "| W | W |",
        "|---|:-:|",
        "| **W** | `W` | W |",
        "|",
        "-",
        "- - W",
        "- # W",
        "1.",
        "+",
        "/* W",
        '"""W',
        "def W(W): # W",
    ]
)
DOCUMENTS = st.lists(LINES, max_size=25).map(lambda lines: Numbered()("\n".join(lines)))
SIZES = st.lists(st.integers(1, 30), max_size=200)


@settings(max_examples=400)
@given(DOCUMENTS, SIZES, st.sampled_from([20, 33, 80, 200]), st.booleans())
@example("a\r\nb", [2], 20, True)
@example("| a | b |\n|---|---|\n| 1 | 2 |", [1] * 40, 80, True)
def test_how_an_answer_is_dealt_out_makes_no_difference(
    text: str, sizes: Sequence[int], width: int, color: bool
) -> None:
    assert streamed(cut(text, sizes), width=width, color=color) == streamed(
        [text], width=width, color=color
    )


@settings(max_examples=400)
@given(DOCUMENTS.filter(lambda text: "|--" not in text), st.sampled_from([20, 80, 200]))
def test_every_word_is_printed_once_and_in_order(text: str, width: int) -> None:
    for color in (True, False):
        shown = SGR.sub("", streamed([text], width=width, color=color))
        letters = re.sub(r"[^w0-9]", "", shown)
        numbers = re.findall(r"w(\d+)w", letters)
        assert numbers == re.findall(r"w(\d+)w", text)


@settings(max_examples=200)
@given(st.text(alphabet="mn *_`~[]()#>-+|=\\\n\t1.!<&;你，\x1b\x9b\r", max_size=120), SIZES)
def test_any_text_at_all_can_be_streamed(text: str, sizes: Sequence[int]) -> None:
    shown = streamed(cut(text, sizes), width=20)
    assert shown == streamed([text], width=20)
    bare = SGR.sub("", shown)
    assert not any(one in bare for one in "\x1b\x9b\r")
    assert re.sub("[^mn]", "", bare) == re.sub("[^mn]", "", text)


@settings(max_examples=200)
@given(DOCUMENTS, st.sampled_from([20, 40, 80]))
def test_lines_fit_have_no_blanks_at_their_ends_and_start_and_end_right(
    text: str, width: int
) -> None:
    shown = SGR.sub("", streamed([text], width=width))
    lines = shown.split("\n")
    assert lines[-1] == ""
    assert shown == "" or lines[0] != ""
    assert all(line == line.rstrip(" \t") for line in lines)
    if "```" not in text and "~~~" not in text and "    " not in text:
        assert all(cells(line) <= width for line in lines)


@settings(max_examples=100)
@given(DOCUMENTS, SIZES)
def test_what_is_printed_is_only_ever_added_to(text: str, sizes: Sequence[int]) -> None:
    out = io.StringIO()
    stream = MarkdownStream(out, width=40, color=True)
    for piece in cut(text, sizes):
        before = out.getvalue()
        stream.feed(piece)
        assert out.getvalue().startswith(before)
    assert all(code[-1] == "m" for code in re.findall("\x1b\\[[^a-zA-Z]*[a-zA-Z]", out.getvalue()))


def test_finished_words_are_printed_while_their_line_is_still_open() -> None:
    out = io.StringIO()
    stream = MarkdownStream(out, width=60, color=True)
    stream.feed("The quick brown fo")
    assert out.getvalue() == "The quick brown"
    stream.feed("x **jum")
    assert out.getvalue() == "The quick brown fox"
    stream.feed("ps** ov")
    assert SGR.sub("", out.getvalue()) == "The quick brown fox jumps"


def test_chinese_is_printed_character_by_character() -> None:
    out = io.StringIO()
    stream = MarkdownStream(out, width=60, color=True)
    stream.feed("你好世界再见")
    assert len(out.getvalue()) >= 4


def test_a_code_line_is_printed_when_it_ends() -> None:
    out = io.StringIO()
    stream = MarkdownStream(out, width=60, color=True)
    stream.feed("```\none\ntw")
    assert SGR.sub("", out.getvalue()) == "```\none\n"


def test_code_is_neither_wrapped_nor_padded_nor_read_as_markdown() -> None:
    long = "x = '" + "**a** " * 40 + "'"
    assert (
        seen(f"```\n{long}\n\n  y  \n```\nafter", width=30) == f"```\n{long}\n\n  y\n```\nafter\n"
    )


def test_code_is_highlighted_and_a_docstring_goes_on_over_lines() -> None:
    text = streamed(['```python\ndef f():\n    """for\n    if it\n    """\n    return 1\n```\n'])
    assert "\x1b[35mdef\x1b[0m" in text and "\x1b[35mreturn\x1b[0m" in text
    assert "\x1b[35mif\x1b[0m" not in text and "\x1b[35mfor\x1b[0m" not in text


@pytest.mark.parametrize("language", ["js", "c", "java", "css", "go"])
def test_a_comment_goes_on_over_lines(language: str) -> None:
    text = streamed([f"```{language}\n/* if\n   return 1\n*/\n```\n"])
    assert "\x1b[2m   return 1\x1b[0m" in text


@pytest.mark.parametrize("language", LANGUAGES.split())
def test_code_in_any_language_comes_out_as_it_is(language: str) -> None:
    code = (
        "def f(x): return {'a': [1, 2.5], \"b\": `c`} /* x */ // y # z\n<a b='c'>&d;</a> $v @e\n"
        "--- a\n+++ b\n- x: y\n  | z\n{% if a %}{{ b }}<?php echo 1; ?>\n/* open\n still\n*/ end\n"
        '"""doc\n more"""\n$ ls\n>>> 1\n1\n```inner'
    )
    assert seen(f"~~~{language}\n{code}\n~~~") == f"~~~{language}\n{code}\n~~~\n"


def test_marks_become_styles() -> None:
    text = streamed(["a **b** *c* `d` ~~e~~ [f](http://g)\n\n# h"])
    for part in ("\x1b[1mb", "\x1b[3mc", "\x1b[36md", "\x1b[9me", "\x1b[34mf", "\x1b[1;4mh"):
        assert part in text
    assert seen("a **b** [f](http://g) <http://h>") == "a b f (http://g) http://h\n"


def test_without_color_marks_stay_as_they_are_written() -> None:
    text = "# a **b**\n\n- `c` [d](e)\n"
    assert streamed([text], color=False) == text


@pytest.mark.parametrize(
    "text",
    [
        "5 * 3 * 2",
        "snake_case_name __x",
        "a ~5 b",
        "x < y > z",
        "1984. It was",
        "C# and #tag",
        "\\(x_1\\) and \\[y\\]",
        "*never closed",
        "`never closed",
        "[never closed",
        "a | b",
        "2024-01-01",
        "-5",
        "**",
    ],
)
def test_marks_that_are_none_stay_text(text: str) -> None:
    assert seen("say " + text) == f"say {text}\n"


def test_a_tilde_for_roughly_holds_nothing_back() -> None:
    out = io.StringIO()
    MarkdownStream(out, width=60, color=True).feed("about ~5 or ~6 ")
    assert out.getvalue() == "about ~5 or ~6"


def test_a_mark_left_open_holds_text_back_for_a_while_only() -> None:
    out = io.StringIO()
    stream = MarkdownStream(out, width=60, color=True)
    stream.feed("a *" + "word " * 400)
    assert out.getvalue().count("word") > 300


def test_lists_are_indented_and_wrapped_under_their_text() -> None:
    text = "- one two three four five six\n  - nested one two three\n- b\n\n  more of b\n\nend"
    assert seen(text, width=20) == (
        "• one two three four\n  five six\n  • nested one two\n    three\n• b\n\n  more of b\n\nend\n"
    )


def test_numbers_of_a_list_stay_the_numbers_that_were_said() -> None:
    assert seen("3. c\n7. g\n10. j") == "3. c\n7. g\n10. j\n"


def test_any_number_opens_an_item_after_a_blank_line() -> None:
    assert seen("a\n\n7. one two three four five", width=20) == (
        "a\n\n7. one two three\n   four five\n"
    )


def test_code_in_a_list_item_is_indented_with_it() -> None:
    assert seen("1. a\n   ```\n   x\n     y\n   ```\n2. b") == (
        "1. a\n   ```\n   x\n     y\n   ```\n2. b\n"
    )


def test_quotes_carry_their_bar_on_every_line() -> None:
    assert seen("> one two three four five\n>\n> six\n\nend", width=20) == (
        "│ one two three four\n│ five\n│\n│ six\n\nend\n"
    )


def test_a_table_is_drawn_in_straight_columns() -> None:
    text = seen("| Name | n |\n|:--|--:|\n| 你好 | 1 |\n| b | 22 |\n| c \\| d | 3 |\n\nend")
    assert text.split("\n") == [
        "Name     n",
        "──────────",
        "你好     1",
        "b       22",
        "c | d    3",
        "",
        "end",
        "",
    ]


def test_a_table_too_wide_for_the_terminal_is_listed_with_nothing_lost() -> None:
    head, cell = "h" * 15, "c" * 15
    text = seen(f"| {head}1 | {head}2 |\n|--|--|\n| {cell}1 | {cell}2 |\n", width=24)
    assert [word in text for word in (f"{head}1", f"{head}2", f"{cell}1", f"{cell}2")] == [True] * 4
    assert all(cells(line) <= 24 for line in text.split("\n"))


def test_lines_with_bars_that_are_no_table_are_text() -> None:
    assert seen("| a\n| b\n") == "| a\n| b\n"
    assert seen("|---|\nend") == "|---|\nend\n"


def test_a_table_without_headings_has_no_empty_line_for_them() -> None:
    assert seen("| | |\n|-|-|\n| a | |\n| b | c |") == "a\nb   c\n"


def test_chinese_lines_neither_start_with_a_comma_nor_end_with_an_opening_mark() -> None:
    assert seen("世界你好世界你好世界，再见", width=20) == "世界你好世界你好世\n界，再见\n"
    assert seen("世界你好世界你好世「界」", width=20) == "世界你好世界你好世\n「界」\n"


def test_an_address_is_shown_as_it_is_written() -> None:
    assert seen("<http://a/%20ü> [b](http://a/%20ü)") == "http://a/%20ü b (http://a/%20ü)\n"


@pytest.mark.parametrize(
    "text",
    [
        "a\x1b[2Jb",
        "&#27;[2J",
        "&#x9b;2J",
        "a &#x202e; b",
        "<http://a/%1b]52;c;x>",
        "```\n\x1b[2J\n```",
        "`\x1b[2J`",
    ],
)
def test_control_sequences_get_through_in_no_disguise(text: str) -> None:
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", seen(text))


def test_nothing_said_prints_nothing() -> None:
    out = io.StringIO()
    for stream in (MarkdownStream(out, width=60, color=True), PlainStream(out)):
        stream.feed("")
        stream.finish()
    assert out.getvalue() == ""


def test_a_stream_can_be_used_again_after_it_was_finished() -> None:
    out = io.StringIO()
    streams: list[AnswerStream] = [MarkdownStream(out, width=60, color=True), PlainStream(out)]
    for stream in streams:
        for _ in range(2):
            stream.feed("```\na")
            stream.finish()
    assert SGR.sub("", out.getvalue()) == "```\na\n" * 4


@given(st.text(alphabet="ab \n\r\x1b*", max_size=40), SIZES)
def test_plain_text_is_printed_as_it_comes_with_one_line_end(
    text: str, sizes: Sequence[int]
) -> None:
    out = io.StringIO()
    stream = PlainStream(out)
    for piece in cut(text, sizes):
        stream.feed(piece)
    stream.finish()
    expected = text.replace("\r\n", "\n").replace("\r", "␍").replace("\x1b", "␛").rstrip("\n")
    assert out.getvalue() == (expected + "\n" if expected else "")


@pytest.mark.parametrize(
    "text",
    [
        "word **bold** and `code` " * 1500,
        "```python\n" + "def f(x): return 'abc' + 1  # c\n" * 1200,
        "x" * 40_000,
        "a" + "*" * 40_000,
        "- item *with* text\n" * 2000,
        "| " + "a " * 20_000,
        "`" + "a " * 20_000,
        "世界你好，" * 8000,
    ],
    ids=["paragraph", "code", "word", "stars", "list", "bar", "open", "chinese"],
)
def test_cost_grows_with_the_length_of_the_answer_only(text: str) -> None:
    def seconds(part: str) -> float:
        started = time.process_time()
        streamed([part[at : at + 4] for at in range(0, len(part), 4)], width=80)
        return time.process_time() - started

    short = min(seconds(text[: len(text) // 8]) for _ in range(3))
    assert seconds(text) < 40 * short + 0.2
