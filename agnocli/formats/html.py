"""Conversations as one page that stands alone: it asks the network for nothing, and reads without its script.

The script is the search box. A policy in the page allows that script, these styles and pictures it holds itself, and
nothing else. Pictures are shown if they are stored here and are PNG, JPEG, GIF or WebP; those on the web are links.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files

from agnocli.formats.html_parts.words import code, code_styles, link, picture, words
from agnocli.layout.media import Media
from agnocli.layout.members import in_reading_order
from agnocli.layout.readable import iso, one_line
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
from agnocli.records import Session, SessionBundle

_SUMMARY = 120
"""Characters of a call's arguments that its folded line shows."""


def new_page() -> HtmlPage:
    return HtmlPage()


class HtmlPage:
    """The index comes last, as only then all sessions are known; the styles put it in front."""

    def __init__(self) -> None:
        self._number = 0
        self._index: list[str] = []

    def head(self) -> Iterator[str]:
        yield from ()

    def session(self, bundle: SessionBundle) -> Iterator[str]:
        session, runs = bundle
        title = one_line(title_of(session))
        if not self._number:
            yield _head(title)
        self._number += 1
        key, turns = f"s{self._number}", 0
        yield f'<article class="session" id="{key}">\n<header>\n<h1>{escape(title)}</h1>\n'
        yield f"{_facts(facts(session))}</header>\n"
        for turns, placed in enumerate(in_reading_order(runs), 1):
            yield from _turn(turn(placed, session), f"{key}-{turns}")
        yield from _sections(session)
        yield "</article>\n"
        self._index.append(_entry(key, title, session, turns))

    def tail(self) -> Iterator[str]:
        if not self._number:
            yield _head("No conversations")
        yield "</main>\n"
        if self._number > 1:
            yield '<nav id="index" aria-label="Conversations">\n'
            yield f"<h2>{self._number:,} conversations</h2>\n<ol>\n"
            yield from self._index
            yield "</ol>\n</nav>\n"
        yield f"<script>{_part('page.js')}</script>\n</body>\n</html>\n"

    def mark(self) -> int:
        return self._number

    def back(self, mark: int) -> None:
        self._number = mark
        del self._index[mark:]


@cache
def _part(name: str) -> str:
    return (files("agnocli.formats.html_parts") / name).read_text("utf-8")


@cache
def _style() -> str:
    return _part("page.css") + code_styles()


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _head(title: str) -> str:
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(_style())}; "
        f"script-src {_hash(_part('page.js'))}; base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="agnocli">
<title>{escape(title)}</title>
<style>{_style()}</style>
</head>
<body>
<div class="bar"><div><a class="brand" href="#">agno</a>
<div class="find" role="search" hidden><input type="search" placeholder="Search  /" aria-label="Search"><output></output></div></div></div>
<main>
"""


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    cells = (
        f"<div><dt>{label}</dt><dd>{_fact(label, value)}</dd></div>\n" for label, value in rows
    )
    return f'<dl class="facts">\n{"".join(cells)}</dl>\n'


def _fact(label: str, value: str) -> str:
    if label in ("created", "updated"):
        return _time(value)
    shown = escape(one_line(value))
    return f"<code>{shown}</code>" if label == "session" else shown


def _time(moment: str) -> str:
    shown = moment.replace("T", " ").removesuffix(":00Z").removesuffix("Z")
    return f'<time datetime="{escape(moment)}">{escape(shown[:16])} UTC</time>'


def _entry(key: str, title: str, session: Session, turns: int) -> str:
    day = iso(session.updated_at or session.created_at)[:10]
    count = f"{turns:,} turn{'' if turns == 1 else 's'}"
    return f'<li><a href="#{key}">{escape(title)}<small>{escape(day)} · {count}</small></a></li>\n'


def _turn(one: Turn, key: str) -> Iterator[str]:
    kind = "turn inner" if one.depth else "turn"
    yield f'<section class="{kind}" id="{key}">\n{_turn_head(one, key)}'
    if one.unreadable:
        yield f'<p class="error">{escape(one_line(one.unreadable))}; this is stored:</p>\n'
        yield code(as_stored(one.run.run_data))
    for entry in one.said:
        yield from _said(entry) if isinstance(entry, Said) else _called(entry)
    if one.error:
        yield f'<p class="error">{escape(one_line(one.error))}</p>\n'
    for label, text in one.aside:
        body = words(text) if label == "reasoning" else code(text, "json")
        yield _folded(label, body, "reasoning" if label == "reasoning" else "")
    if one.repeated:
        yield f'<p class="note">{one.repeated} messages of earlier turns are stored here once more.</p>\n'
    yield "</section>\n"


def _turn_head(one: Turn, key: str) -> str:
    number = str(one.number) if one.number else "↳"
    parts = [f'<h2><a href="#{key}">{number}</a></h2>', _time(iso(one.run.created_at))]
    if one.author:
        parts.append(f"<span>{escape(one_line(one.author))}</span>")
    if one.usage.input_tokens or one.usage.output_tokens:
        parts.append(
            f"<span>{one.usage.input_tokens:,} → {one.usage.output_tokens:,} tokens</span>"
        )
    if one.ending:
        parts.append(f'<span class="badge">{escape(one_line(one.ending))}</span>')
    return f"<header>{''.join(parts)}</header>\n"


def _said(one: Said) -> Iterator[str]:
    message, role = one.message, one_line(one.message.role) or "message"
    if message.role in ("system", "developer"):
        yield _folded(role, code(message.content), "system")
        return
    kind = "said user" if message.role == "user" else "said"
    yield f'<div class="{kind}"><span class="role">{escape(role)}</span>\n'
    if isinstance(message.reasoning, str) and message.reasoning:
        yield _folded("reasoning", words(message.reasoning), "reasoning")
    if message.content:
        yield f'<div class="words">{words(message.content)}</div>\n'
    yield from map(_attached, one.media)
    yield "</div>\n"


def _called(one: Called) -> Iterator[str]:
    failed = one.result is not None and one.result.tool_call_error
    arguments = laid_out(one.call.arguments)
    body = [_labelled("arguments", arguments)] if one.call.arguments else []
    if one.result is not None:
        body.append(_labelled("result", laid_out(one.result.content)))
    name = f"<b>{escape(one_line(one.call.name) or 'tool')}</b>"
    shown = escape(one_line(" ".join(arguments.split()))[:_SUMMARY])
    mark = "✗" if failed else "⚙"
    kind = "tool failed" if failed else "tool"
    yield f'<details class="{kind}"><summary>{mark} {name} {shown}</summary>'
    yield f'<div class="in">{"".join(body)}</div></details>\n'
    yield from map(_attached, one.media)


def _labelled(label: str, text: str) -> str:
    language = "json" if text.lstrip().startswith(("{", "[")) else ""
    return f'<p class="label">{label}</p>\n{code(text, language)}'


def _folded(label: str, body: str, kind: str = "") -> str:
    return (
        f'<details class="{kind}"><summary>{escape(label)}</summary>'
        f'<div class="in">{body}</div></details>\n'
    )


def _attached(one: Media) -> str:
    name = one_line(one.name)
    if (found := one.picture()) is not None:
        caption = f"<figcaption>{escape(name)}</figcaption>" if name else ""
        return f"<figure>{picture(*found, name)}{caption}</figure>\n"
    shown = " ".join(filter(None, (one.kind, name or one_line(one.url))))
    body = link(one.web_url, shown) if one.web_url else escape(shown)
    size = f" · {len(one.content()):,} bytes" if one.data else ""
    text = _folded(f"words of {shown}", code(one.text)) if one.text else ""
    return f'<p><span class="file">{body}{size}</span></p>\n{text}'


def _sections(session: Session) -> Iterator[str]:
    for label, text in sections(session):
        body = f'<div class="words">{words(text)}</div>' if label == "summary" else ""
        yield f"<section>{f'<h2>{label}</h2>{body}' if body else _folded(label, code(text, 'json'))}</section>\n"
