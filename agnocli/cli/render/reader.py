"""Markdown marks within a line, read by markdown-it. Imported when the first mark is met."""

from __future__ import annotations

from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_STYLES = {"strong": "1", "em": "3", "s": "9", "link": "34"}
CODE, ADDRESS = "36", "2"


class _Reader(MarkdownIt):
    """Addresses stay as they are written."""

    def normalizeLink(self, url: str) -> str:
        return url

    def normalizeLinkText(self, url: str) -> str:
        return url

    def validateLink(self, url: str) -> bool:
        return True


def _formula(state: StateInline, silent: bool) -> bool:
    r"""Keeps the backslash of \( \) \[ \], which models write around formulas."""
    two = state.src[state.pos : state.pos + 2]
    if len(two) < 2 or two[0] != "\\" or two[1] not in "()[]":
        return False
    if not silent:
        state.pending += two
    state.pos += 2
    return True


_reader = _Reader("js-default")
_reader.inline.ruler.before("escape", "formula", _formula)


def read(text: str, base: str) -> Iterator[tuple[str, str]]:
    styles: list[str] = [base] if base else []
    addresses: list[str] = []
    label = ""
    inner = _reader.parseInline(text)[0].children or []
    for token in inner:
        codes = ";".join(styles)
        if token.type.endswith("_open"):
            styles.append(_STYLES.get(token.tag if token.tag != "a" else "link", ""))
            if token.type == "link_open":
                addresses.append(str(token.attrs.get("href", "")))
                label = ""
        elif token.type.endswith("_close"):
            styles.pop()
            if token.type == "link_close":
                yield from _address(addresses.pop(), label)
        elif token.type in ("softbreak", "hardbreak"):
            yield "\n", codes
        elif token.type == "code_inline":
            label += token.content
            yield token.content, ";".join([*styles, CODE])
        elif token.type == "image":
            yield token.content, codes
            yield from _address(str(token.attrs.get("src", "")), token.content)
        else:
            label += token.content
            yield token.content, codes


def _address(address: str, label: str) -> Iterator[tuple[str, str]]:
    if address and address not in (label, f"mailto:{label}"):
        yield f" ({address})", ADDRESS
