"""Stored Markdown as HTML that loads nothing and runs nothing: no tags of its own, no links but to the web."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache, lru_cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.styles import get_style_by_name  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

from agnocli.layout.media import Media
from agnocli.layout.readable import neutral

COLORED = 200_000
"""Characters of code up to which it is coloured."""
_LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
_INLINE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,", re.IGNORECASE)
_ALIGNED = re.compile(r"text-align:(right|center)")
_HEADINGS_BELOW = 2
"""The page's own are h1 and h2."""


def words(text: str) -> str:
    return str(_parser().render(neutral(text)))


def code(text: str, language: str = "") -> str:
    """A block of it, coloured where the language is known."""
    text = neutral(text).rstrip("\n")
    return f"<pre><code>{_colored(text, language) or escape(text)}</code></pre>\n"


def picture(mime: str, content: bytes, name: str) -> str:
    data = b64encode(content).decode("ascii")
    return f'<img src="data:{mime};base64,{data}" alt="{escape(name)}" loading="lazy">'


def link(url: str, text: str) -> str:
    return f'<a href="{escape(url)}" rel="noopener noreferrer nofollow">{escape(text)}</a>'


def code_styles() -> str:
    """For light and for dark; the page says what is behind them."""
    styles = {"light": "xcode", "dark": "github-dark"}
    return "".join(
        f"@media (prefers-color-scheme: {scheme}) {{\n{_rules(style)}\n}}\n"
        for scheme, style in styles.items()
    )


def _rules(style: str) -> str:
    rules = _formatter(style).get_style_defs("pre").splitlines()
    return "\n".join(
        rule for rule in rules if rule.startswith("pre .") and "background" not in rule
    )


@cache
def _formatter(style: str) -> Any:
    return HtmlFormatter(style=get_style_by_name(style), nowrap=True, classprefix="c-")


def _colored(text: str, language: str) -> str:
    if not language or len(text) > COLORED:
        return ""
    lexer = _lexer(language)
    return str(highlight(text, lexer, _formatter("default"))).rstrip("\n") if lexer else ""


@lru_cache(100)
def _lexer(language: str) -> Any:
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=_Renderer)
    parser.validateLink = _is_allowed  # type: ignore[method-assign]
    return parser.enable(["table", "strikethrough"])


def _is_allowed(url: str) -> bool:
    return bool(_LINK.match(url) or _INLINE.match(url))


class _Renderer(RendererHTML):
    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return code(tokens[idx].content, tokens[idx].info.strip().partition(" ")[0])

    def code_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return code(tokens[idx].content)

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A stored picture if it is one; one on the web is a link."""
        url = str(tokens[idx].attrs["src"])
        alt = self.renderInlineAsText(tokens[idx].children, options, env)
        if inline := _INLINE.match(url):
            found = Media(kind="image", data=url[inline.end() :]).picture()
            return picture(*found, alt) if found else f"[{escape(alt or 'image')}]"
        return link(url, alt or url)

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        url = str(tokens[idx].attrs["href"])
        url = url if _LINK.match(url) else "#"
        return f'<a href="{escape(url)}" rel="noopener noreferrer nofollow">'

    def heading_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f"<{_lowered(tokens[idx])}>"

    def heading_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f"</{_lowered(tokens[idx])}>\n"

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '<div class="table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        aligned = _ALIGNED.match(str(tokens[idx].attrs.get("style", "")))
        return f"<{tokens[idx].tag}" + (f' class="{aligned[1]}">' if aligned else ">")

    td_open = th_open


def _lowered(token: Token) -> str:
    return f"h{min(6, int(token.tag[1]) + _HEADINGS_BELOW)}"
