from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnocli.cli.render.text import (
    age,
    cells,
    clusters,
    fit,
    fit_around,
    iso,
    neutral,
    neutral_json,
    pad,
    seconds,
)

NOW = 1_795_444_726
FAMILY = "👨\u200d👩\u200d👧\u200d👦"


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left_in_neutral_text(text: str) -> None:
    for character in neutral(text):
        code = ord(character)
        assert character in "\n\t" or code >= 0x20
        assert not 0x7F <= code <= 0x9F
        assert not 0xD800 <= code <= 0xDFFF
        assert not 0x202A <= code <= 0x202E and not 0x2066 <= code <= 0x2069


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("\x1b]52;c;QQ\x07", "␛]52;c;QQ␇"),
        ("\x1b[2J", "␛[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("a\x7f", "a␡"),
        ("\ud800", "\ufffd"),
        ("a\u202eb", "a\\u202eb"),
        ("a\r\nb", "a\nb"),
        ("a\rb", "a␍b"),
        ("a\tb\n", "a\tb\n"),
        ("\0", "␀"),
    ],
)
def test_each_dangerous_character_has_a_visible_stand_in(stored: str, shown: str) -> None:
    assert neutral(stored) == shown


def test_what_is_kept_can_be_narrowed() -> None:
    assert neutral("a\tb\n", keep="") == "a␉b␊"


def test_json_text_keeps_its_value_when_its_controls_are_escaped() -> None:
    assert neutral_json('"\x9b\x7f\u202eé"') == '"\\u009b\\u007f\\u202eé"'


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("你好", 4),
        ("👍", 2),
        ("👍🏽", 2),
        (FAMILY, 2),
        ("❤\ufe0f", 2),
        ("🇩🇪", 2),
        ("a\u200bb", 2),
        ("한글", 4),
        ("", 0),
    ],
)
def test_width_is_what_a_terminal_shows(text: str, width: int) -> None:
    assert cells(text) == width


@given(st.text(alphabet="ab 你é\u0301👍🏽\u200d❤\ufe0f"), st.integers(0, 12))
def test_a_cut_text_is_never_wider_than_asked_and_is_the_beginning(text: str, width: int) -> None:
    cut = fit(text, width)
    assert cells(cut) <= width
    if cut != text:
        assert width == 0 or cut.endswith("…")
        assert text.startswith(cut.removesuffix("…"))


def test_a_cut_never_goes_through_a_character_of_several_code_points() -> None:
    assert fit(FAMILY + "abc", 4) == FAMILY + "a…"
    assert fit(FAMILY + "abc", 2) == "…"
    assert [one for one, _ in clusters(FAMILY + "e\u0301")] == [FAMILY, "e\u0301"]


def test_padding_counts_cells() -> None:
    assert pad("你", 4) == "你  "
    assert pad("7", 3, right=True) == "  7"


@pytest.mark.parametrize(
    ("gone", "shown"),
    [
        (0, "now"),
        (5, "5s ago"),
        (59, "59s ago"),
        (60, "1m ago"),
        (7200, "2h ago"),
        (86400, "1d ago"),
        (15 * 86400, "2w ago"),
        (70 * 86400, "2mo ago"),
        (800 * 86400, "2y ago"),
        (-7200, "in 2h"),
    ],
)
def test_ages_are_rough_and_short(gone: int, shown: str) -> None:
    assert age(NOW - gone, NOW) == shown


@pytest.mark.parametrize(
    "stored",
    [NOW, float(NOW), NOW * 1000, NOW * 10**6, NOW * 10**9, str(NOW), "2026-11-23T14:38:46Z"],
)
def test_times_are_understood_in_every_unit_that_is_found_in_stores(stored: object) -> None:
    assert iso(stored) == "2026-11-23T14:38:46Z"
    assert age(stored, NOW + 60) == "1m ago"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (None, ""),
        ("soon", "soon"),
        (-1, "1969-12-31T23:59:59Z"),
        (2**70, str(2**70)),
        (float("nan"), "nan"),
        ("1e999", "1e999"),
        (True, "True"),
        ([], "[]"),
    ],
)
def test_what_is_no_time_is_shown_as_it_is(stored: object, shown: str) -> None:
    assert iso(stored) == shown


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none()))
def test_no_stored_time_breaks_a_listing(stored: object) -> None:
    assert isinstance(iso(stored), str)
    assert isinstance(age(stored, NOW), str)
    assert seconds(stored) is None or isinstance(seconds(stored), float)


def test_what_goes_into_a_pipe_loads_neither_rich_nor_pygments() -> None:
    script = (
        "import io, sys\n"
        "from agnocli.cli.render.markdown import PlainStream\n"
        "from agnocli.cli.render import transcript\n"
        "from agnocli.cli.render import notes\n"
        "from agnocli.cli.render.listing import Column, write_listing\n"
        "for output, tty in (('tsv', False), ('csv', False), ('table', False), ('table', True)):\n"
        "    write_listing([{'a': '你'}], [Column('a', 'A')], output=output, stream=io.StringIO(),\n"
        "                  color=False, width=80, now=0, tty=tty)\n"
        "print([one for one in ('rich', 'pygments', 'markdown_it') if one in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@given(st.text(st.characters(codec="utf-8")), st.integers(0, 200), st.integers(1, 60))
def test_a_cut_around_a_place_fits_the_width_and_keeps_the_place(
    text: str, place: int, width: int
) -> None:
    text, place = neutral(text, keep=""), min(place, len(text))
    cut = fit_around(text, place, width)
    assert cells(cut) <= width
    if cells(text) <= width:
        assert cut == text
    rest = fit_around("x" * 100 + " tea " + "y" * 100, 101, max(12, width))
    assert "tea" in rest and rest.startswith("…") and rest.endswith("…")
