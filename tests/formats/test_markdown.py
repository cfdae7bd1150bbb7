"""Stored words as Markdown: all can be read, and nothing breaks out of its place or runs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from agnocli.formats.markdown import fenced, new_page, safe
from agnocli.records import SessionBundle
from agnocli.testing.records import sample_session
from tests.formats.conversations import HOSTILE, everything, run, said

PERMISSIVE = MarkdownIt("commonmark", {"html": True})
PERMISSIVE.validateLink = lambda url: True  # type: ignore[method-assign]

BREAKOUTS = [
    HOSTILE,
    "a ` b\n c ` <script> ` d",
    "[x](`) <script>x</script> `",
    "a ` b\n\n<script> ` c",
    "- a `\n- <b> `",
    "\\<script>",
    "\\\\<script>",
    "<!-- open",
    "<div>\n```\n</div>\ntext",
    "[a](<javascript:b>) [c](java\nscript:d) [e](j&#x61;vascript:f) [g](\\javascript:h)",
    "[a][b]\n\n[b]:\njavascript:c",
    "![a](javascript:b) [c](vbscript:d) [e](data:text/html,f) [g](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "> ```\n> open\n\n<script>",
    "1. ~~~\n   open",
    "    code <b>\n\nno code <b>",
    "[a](&#106;avascript&colon;b)",
]


def harm(text: str) -> list[str]:
    """Tags and links that a reader which lets all through would run."""
    found = []
    for block in PERMISSIVE.parse(text):
        for token in (block, *(block.children or ())):
            target = str(token.attrs.get("href") or token.attrs.get("src") or "")
            if token.type.startswith("html_"):
                found.append(token.content)
            elif re.match(r"(?!https?:|mailto:)[a-z+.-]+:", target, re.IGNORECASE):
                found.append(target)
    return found


@pytest.mark.parametrize("text", BREAKOUTS)
def test_nothing_stored_runs(text: str) -> None:
    assert harm(safe(text)) == []


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                *("`", "``", "```\n", "~~~\n", "\n", "\n\n", "- ", "> ", "    ", "a "),
                *("<b>", "</script>", "<!--", "<", ">", "&lt;", "\\", "https://x.y"),
                *("[x](", "javascript:a", ")", "[r]: ", "!["),
            ]
        ),
        max_size=14,
    ).map("".join)
)
def test_no_mixture_of_marks_runs_or_stays_open(text: str) -> None:
    found = safe(text)
    assert harm(found) == []
    headings = [one for one in PERMISSIVE.parse(f"{found}\n\n# next turn") if one.type == "inline"]
    assert headings[-1].content == "next turn"


@pytest.mark.parametrize("text", BREAKOUTS)
def test_what_follows_a_message_is_not_swallowed(text: str) -> None:
    tokens = PERMISSIVE.parse(f"{safe(text)}\n\n# next turn\n")
    assert [one.content for one in tokens if one.type == "inline"][-1] == "next turn"


def test_plain_markdown_stays_what_it_is() -> None:
    text = (
        "# Head\n\n| a | b |\n|---|---|\n| `<i>` | 1 < 2 |\n\n```html\n<b>&amp;</b>\n```\n\n"
        "[guide](https://example.org/?a=b) and `[x](y:z)`"
    )
    assert safe(text) == text


@pytest.mark.parametrize("inside", ["plain", "`", "```", "a\n````\nb", "~~~", "`````` ` ``"])
def test_a_fence_is_longer_than_any_inside(inside: str) -> None:
    (token,) = PERMISSIVE.parse(fenced(inside))
    assert (token.type, token.content) == ("fence", inside + "\n")


def test_a_conversation_reads_from_top_to_bottom() -> None:
    text = "".join(new_page().session(everything()))
    wanted = [
        "# Tea for two",
        "- **model** gpt-4o-mini",
        "- **tokens** 1,234 in, 321 out",
        "## 1 · 2025-10-09T08:53:20Z · 150 tokens in, 95 out",
        "<details><summary>system</summary>",
        "You are a tea master",
        "\n**user**\n",
        "Which tea should I make",
        "\n**assistant**\n",
        "<details><summary>reasoning</summary>",
        "<details><summary>⚙ find_tea</summary>",
        '"people": 2',
        '"grams": 8',
        "| Kyoto | 12 | 4.50 |",
        "_attached: image https://example.org/cup.jpg_",
        "Buy leaves",
        "_2 messages of earlier turns are stored here once more._",
        "␛]0;owned␇",
        "<details><summary>✗ &lt;b>x&lt;/b></summary>",
        "↳ · 2025-10-09T08:55:20Z · Buyer",
        "I looked at the shop.",
        "· failed",
        "**error** The model is away: \\<b\\>429\\</b\\>",
        "stored is:",
        "## summary",
        "They talk about **tea**.",
        "## state",
        "抹茶",
    ]
    places = [text.find(one) for one in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)
    assert text.count("Which tea should I make") == 1


def test_a_name_is_no_markdown() -> None:
    session = sample_session(name="*a* <script>\n# b [c](javascript:d)")
    text = "".join(new_page().session(SessionBundle(session, [run("s", 0, said("user", "q"))])))
    assert text.splitlines()[0] == "# \\*a\\* \\<script\\> \\# b \\[c\\](javascript:d)"
    assert harm(text) == []
