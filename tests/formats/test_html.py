"""The page that stands alone: it asks for nothing, runs nothing that is stored, and reads well without its script."""

from __future__ import annotations

import re
import shutil
import subprocess
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agnocli.formats.html import new_page
from agnocli.formats.html_parts.words import words
from agnocli.formats.pages import open_page
from agnocli.records import SessionBundle
from agnocli.testing.records import sample_bundle, sample_session
from tests.formats.conversations import HOSTILE, everything, png, run, said

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Read(HTMLParser):
    """Tags with their attributes, and the text that is shown."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        self._raw: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._raw = [tag] if tag in ("script", "style", "title") else []

    def handle_endtag(self, tag: str) -> None:
        self._raw = []

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.texts[self._raw[0]] = data
        else:
            self.shown.append(data)

    @property
    def text(self) -> str:
        return "".join(self.shown)


def page(*bundles: SessionBundle) -> str:
    made = new_page()
    parts = [one for bundle in bundles for one in made.session(bundle)]
    return "".join([*made.head(), *parts, *made.tail()])


@pytest.fixture(scope="module")
def found() -> Read:
    return Read(page(everything(), sample_bundle("two", 3, name="Coffee")))


ALLOWED = {
    *("html", "head", "meta", "title", "style", "script", "body", "main", "article", "header"),
    *("section", "nav", "div", "span", "h1", "h2", "h3", "h4", "h5", "h6", "p", "a", "small"),
    *("dl", "dt", "dd", "ul", "ol", "li", "blockquote", "hr", "br", "em", "strong", "s", "b"),
    *("code", "pre", "time", "details", "summary", "figure", "figcaption", "img"),
    *("table", "thead", "tbody", "tr", "th", "td", "input", "output"),
}


def test_there_are_no_tags_and_attributes_but_the_pages_own(found: Read) -> None:
    attributes = {name for _, given in found.tags for name in given}
    assert {tag for tag, _ in found.tags} <= ALLOWED
    assert not {one for one in attributes if one.startswith("on") or one in ("style", "srcset")}
    assert [tag for tag, _ in found.tags].count("script") == 1
    assert [tag for tag, _ in found.tags].count("style") == 1


def test_links_lead_to_the_web_or_into_the_page(found: Read) -> None:
    links = [str(given["href"]) for tag, given in found.tags if tag == "a"]
    assert {one.partition(":")[0] for one in links if not one.startswith("#")} == {"https"}
    ids = {given["id"] for _, given in found.tags if "id" in given}
    assert {one[1:] for one in links if one.startswith("#") and one != "#"} <= ids
    outside = [given for tag, given in found.tags if tag == "a" and "rel" in given]
    assert {given["rel"] for given in outside} == {"noopener noreferrer nofollow"}


def test_only_pictures_that_are_stored_are_shown(found: Read) -> None:
    (source,) = {given["src"] for tag, given in found.tags if tag == "img"}
    assert source and b64decode(source.removeprefix("data:image/png;base64,")) == png()
    assert not [given for tag, given in found.tags if "src" in given and tag != "img"]


def test_the_policy_allows_its_own_script_and_styles_and_nothing_else(found: Read) -> None:
    (policy,) = (str(given["content"]) for _, given in found.tags if "http-equiv" in given)

    def allowed(name: str) -> str:
        return b64encode(sha256(found.texts[name].encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{allowed('style')}'; "
        f"script-src 'sha256-{allowed('script')}'; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"url\(|@import|https?:", found.texts["style"])
    assert not re.search(r"fetch|XMLHttp|import|https?:|innerHTML|eval", found.texts["script"])


def test_hostile_words_are_shown_as_words(found: Read) -> None:
    for words_said in (
        "<script>document.documentElement.dataset.hurt=1</script>",
        '<img src=x onerror="document.documentElement.dataset.hurt=2">',
        "[click](javascript:document.documentElement.dataset.hurt=3)",
        "</div></article></main><style>body{display:none}</style>",
        "The model is away: <b>429</b>",
        '{"messages": [<script>document.documentElement.dataset.hurt=8</script>',
        "␛]0;owned␇␛[31mred␛[0m \\u202egnp.exe",
    ):
        assert words_said in found.text


def test_all_of_a_conversation_is_there(found: Read) -> None:
    for words_said in (
        "Tea for two",
        "150 → 95 tokens",
        "You are a tea master. Be brief.",
        "They want tea.",
        "find_tea",
        '"grams": 8',
        "Hangzhou",
        "def brew(leaves: int",
        "Buy leaves",
        "2 messages of earlier turns",
        "Buyer",
        "failed",
        "They talk about tea.",
        "抹茶",
        "2 conversations",
    ):
        assert words_said in found.text, words_said
    assert found.text.count("Which tea should I make") == 1


def test_one_conversation_has_no_index_and_gives_the_page_its_title() -> None:
    single = Read(page(everything(name="A <b> & c")))
    assert single.texts["title"] == "A <b> & c"
    assert "nav" not in [tag for tag, _ in single.tags]
    assert Read(page()).texts["title"] == "No conversations"


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**a** ~~b~~", "<p><strong>a</strong> <s>b</s></p>\n"),
        ("# a", "<h3>a</h3>\n"),
        ("|a|\n|-:|\n|1|", '<th class="right">'),
        ("a\nb", "<br"),
        ("```nosuchlanguage\n<b>\n```", "<pre><code>&lt;b&gt;</code></pre>"),
        ("```python\nif x:\n```", '<span class="c-k">if</span>'),
        ("[a](//evil.example)", "[a](//evil.example)"),
        ("[a](data:image/png;base64,AAAA)", '<a href="#"'),
        ("![a](data:image/png;base64,AAAA)", "<p>[a]</p>"),
        ("![a](data:image/svg+xml;base64,AAAA)", "![a](data"),
        ("![pixel](https://t.example/p.gif)", '<a href="https://t.example/p.gif"'),
        ("<details><b>", "&lt;details&gt;&lt;b&gt;"),
        ("<https://example.org>", '<a href="https://example.org"'),
    ],
)
def test_markdown_becomes_safe_html(markdown: str, html: str) -> None:
    assert html in words(markdown)


def test_a_picture_is_known_by_its_content_and_not_by_its_name() -> None:
    fake = {"content": b64encode(b"<svg onload=x>").decode(), "mime_type": "image/png"}
    broken = {"content": "!!!", "mime_type": "image/png"}
    turn = run("s", 0, said("user", "look", images=[fake, broken]))
    tags = Read(page(SessionBundle(sample_session("s"), [turn]))).tags
    assert "img" not in [tag for tag, _ in tags]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on this machine")
def test_a_browser_reads_the_page_and_runs_only_its_search(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    open_page(str(path), "html").write([everything(), sample_bundle("two", 2, name="Coffee")])
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    ran = subprocess.run(
        [*command, profile, path.as_uri()], capture_output=True, timeout=100, check=True
    )
    seen = Read(ran.stdout.decode())
    tags = dict(reversed(seen.tags))
    assert "data-hurt" not in tags["html"]
    (search,) = (given for _, given in seen.tags if given.get("role") == "search")
    assert "hidden" not in search
    assert seen.texts["title"] == "2 conversations"
    assert HOSTILE.splitlines()[0] in seen.text
