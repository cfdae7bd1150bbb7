"""Conversations as Markdown.

Stored words are Markdown already and stay what they are, but for what could break out of their place or run: a tag is
shown as text, a link leads to the web or a mail address, and a fence that was never closed is closed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from html import unescape
from itertools import groupby

from markdown_it import MarkdownIt
from markdown_it.token import Token

from agnocli.formats.pages import PlainPage
from agnocli.layout.media import Media
from agnocli.layout.members import in_reading_order
from agnocli.layout.readable import iso, neutral, one_line
from agnocli.layout.spoken import (
    Called,
    Said,
    Turn,
    as_stored,
    facts,
    laid_out,
    sections,
    title_of,
    turn,
)
from agnocli.messages import Usage
from agnocli.records import Session, SessionBundle

_TELLING = re.compile(
    r"\\.|(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)|(?P<tag><)(?=[A-Za-z/!?])"
    r"|\](?=\(\s*<?(?P<target>[^\s>)]*))|^ {0,3}(?=\[[^\]]+\]:\s*<?(?P<defined>\S+))",
    re.DOTALL | re.MULTILINE,
)
"""What is passed over, an escape or a span of code; and what may do harm, a tag or the target of a link."""
_ARMS = re.compile(r"<|(?<=\])\(|(?<=\]):")
_END = "end of the text"
"""Stands behind a text to see whether a fence is open there."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_SAFE_SCHEMES = ("http", "https", "mailto")
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&])")


def new_page() -> MarkdownPage:
    return MarkdownPage()


class MarkdownPage(PlainPage):
    def session(self, bundle: SessionBundle) -> Iterator[str]:
        session, runs = bundle
        yield f"# {_escaped(title_of(session))}\n\n"
        yield "".join(f"- **{label}** {_escaped(value)}\n" for label, value in facts(session))
        for placed in in_reading_order(runs):
            yield from _turn(turn(placed, session))
        yield from _sections(session)
        yield "\n"


def _turn(one: Turn) -> Iterator[str]:
    parts = [iso(one.run.created_at), one.author, one.ending, _usage(one.usage)]
    number = str(one.number) if one.number else "↳" * max(1, one.depth)
    yield f"\n## {' · '.join([number, *(_escaped(part) for part in parts if part)])}\n"
    if one.unreadable:
        yield f"\n{_escaped(one.unreadable)}; stored is:\n\n{fenced(as_stored(one.run.run_data))}\n"
    for entry in one.said:
        yield from _said(entry) if isinstance(entry, Said) else _called(entry)
    if one.error:
        yield f"\n**error** {_escaped(one_line(one.error))}\n"
    for label, text in one.aside:
        yield _folded(label, text if label == "reasoning" else fenced(text, "json"))
    if one.repeated:
        yield f"\n_{one.repeated} messages of earlier turns are stored here once more._\n"


def _said(one: Said) -> Iterator[str]:
    message = one.message
    if message.role in ("system", "developer"):
        yield _folded(message.role, fenced(message.content))
        return
    yield f"\n**{_escaped(message.role or 'message')}**\n"
    if isinstance(message.reasoning, str) and message.reasoning:
        yield _folded("reasoning", safe(message.reasoning))
    if message.content:
        yield f"\n{safe(message.content)}\n"
    yield from map(_attached, one.media)


def _called(one: Called) -> Iterator[str]:
    mark = "✗" if one.result is not None and one.result.tool_call_error else "⚙"
    inner = [fenced(laid_out(one.call.arguments), "json")] if one.call.arguments else []
    if one.result is not None:
        inner.append(f"result:\n\n{fenced(laid_out(one.result.content))}")
    yield _folded(f"{mark} {one.call.name or 'tool'}", "\n\n".join(inner))
    yield from map(_attached, one.media)


def _attached(one: Media) -> str:
    size = f", {len(one.content()):,} bytes" if one.data else ""
    what = " ".join(filter(None, (one.kind, one.name, one.web_url or one.url)))
    line = f"\n_attached: {_escaped(one_line(what))}{size}_\n"
    return line + (f"\n{fenced(one.text)}\n" if one.text else "")


def _sections(session: Session) -> Iterator[str]:
    for label, text in sections(session):
        body = safe(text) if label == "summary" else fenced(text, "json")
        yield f"\n## {label}\n\n{body}\n"


def _usage(usage: Usage) -> str:
    if not (usage.input_tokens or usage.output_tokens):
        return ""
    return f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"


def _folded(label: str, body: str) -> str:
    return f"\n<details><summary>{_html(label)}</summary>\n\n{body}\n\n</details>\n"


def _html(text: str) -> str:
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;")


def _escaped(text: str) -> str:
    """Text on one line that means just itself."""
    return _SPECIAL.sub(r"\\\1", one_line(text))


def fenced(text: str, language: str = "") -> str:
    """In a fence that is longer than any inside."""
    text = neutral(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip(chr(10))}\n{fence}"


def safe(text: str) -> str:
    """Markdown that stays in its place and runs nothing."""
    lines = neutral(text).rstrip("\n").split("\n")
    fences = _fences([*lines, "", _END])
    code = {number for one in fences if one.map for number in range(*one.map)}
    plain = _with_plain(lines, code, _disarmed)
    if not _is_harmless(plain):  # a span or link that is none to a parser
        plain = _with_plain(lines, code, lambda one: _ARMS.sub(_entity, one))
    if fences and fences[-1].content.rstrip("\n").endswith(_END):
        plain += f"\n{fences[-1].markup}"
    return plain


def _with_plain(lines: list[str], code: set[int], change: Callable[[str], str]) -> str:
    """The text with all lines changed that are no code."""
    parts = groupby(enumerate(lines), lambda numbered: numbered[0] in code)
    texts = ((is_code, "\n".join(line for _, line in part)) for is_code, part in parts)
    return "\n".join(part if is_code else change(part) for is_code, part in texts)


def _disarmed(text: str) -> str:
    """Without tags, and without links that run something."""
    return _TELLING.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    if found["tag"]:
        return "\\<"
    target = found["target"] or found["defined"]
    return found[0] if target is None or _is_safe(target) else found[0] + "\\"


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _is_safe(target: str) -> bool:
    target = unescape(re.sub(r"\\(.)", r"\1", target))
    scheme = _SCHEME.match(re.sub(r"[\x00-\x20\u2400-\u2421]", "", target))
    return scheme is None or scheme[1].lower() in _SAFE_SCHEMES


def _is_harmless(text: str) -> bool:
    """What a parser makes of it that lets everything through."""
    if "<" not in text and "](" not in text and "]:" not in text:
        return True
    for block in _everything().parse(text):
        for token in (block, *(block.children or ())):
            target = token.attrs.get("href") or token.attrs.get("src") or ""
            if token.type.startswith("html_") or not _is_safe(str(target)):
                return False
    return True


@cache
def _everything() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True})
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


@cache
def _blocks() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).disable("inline")


def _fences(lines: list[str]) -> list[Token]:
    if not any("```" in line or "~~~" in line or line.startswith(("    ", "\t")) for line in lines):
        return []
    tokens = _blocks().parse("\n".join(lines))
    return [one for one in tokens if one.type in ("fence", "code_block") and one.map]
