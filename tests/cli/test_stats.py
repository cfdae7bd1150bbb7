"""`agno sessions stats`, on every backend."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.cli.render.chart import bar, write_bars
from agnocli.cli.render.text import cells
from agnocli.db.sqlite import SqliteDb
from agnocli.records import Document, SessionBundle
from agnocli.testing.records import EPOCH, document, sample_run, sample_session
from tests.cli.conftest import Agno, ended
from tests.transfer.places import KINDS, Place, place

DAY = 86_400
PRICES = '[prices."openai:gpt-4o-mini"]\ninput_per_m = 1.0\noutput_per_m = 2.0\n'


def spent(number: int, model: str = "gpt-4o-mini") -> dict[str, Any]:
    tokens = {"input_tokens": number, "output_tokens": number, "total_tokens": 2 * number}
    details = {"model": [{**tokens, "id": model, "provider": "OpenAI"}]}
    return {
        "model": model,
        "model_provider": "OpenAI",
        "metrics": {**tokens, "details": details},
    }


def session(name: str, *numbers: int, model: str = "gpt-4o-mini", **columns: Any) -> SessionBundle:
    """Runs on one day after the other, each with twice its number of tokens."""
    runs = []
    for at, number in enumerate(numbers):
        sample = sample_run(name, at, created_at=EPOCH + at * DAY)
        data = {**codec.decode(sample.run_data), **spent(number, model)}
        runs.append(replace(sample, run_data=document(data)))
    columns = {"updated_at": EPOCH + 9 * DAY, **columns}
    return SessionBundle(sample_session(name, **columns), runs)


SESSIONS = [
    session("one", 10, 20, user_id="王小明", metadata=document({"tags": ["a", "b"]})),
    session("two", 100, model="gpt-4o", user_id="bob", metadata=None),
    session("empty", user_id="bob", metadata=None),
]


@pytest.fixture(params=KINDS)
def here(request: pytest.FixtureRequest, agno: Agno, tmp_path: Path) -> Iterator[Place]:
    """A backend of each kind, the configured default, with the sessions above."""
    with place("stored", request.param, tmp_path) as found:
        agno.configure(f'default_backend = "stored"\n{found.settings}{PRICES}')
        with found.open() as backend:
            backend.write(SESSIONS)
        yield found


def rows(agno: Agno, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    ran = agno("sessions", "stats", "-o", "json", *arguments)
    assert ran.status == status, ran.err
    found: list[dict[str, Any]] = ran.json
    return found


def test_every_backend_counts_the_same(agno: Agno, here: Place) -> None:
    (total,) = rows(agno)
    assert total.pop("bytes") > 1000
    assert total == {
        "sessions": 3,
        "runs": 3,
        "messages": 6,
        "input_tokens": 130,
        "output_tokens": 130,
        "tokens": 260,
        "errors": 0,
        "cost": pytest.approx(90 / 1e6),
        "unpriced_tokens": 200,
    }
    by_user = rows(agno, "--by", "user,backend")
    assert [(one["user"], one["backend"], one["tokens"]) for one in by_user] == [
        ("bob", "stored", 200),
        ("王小明", "stored", 60),
    ]
    by_day = rows(agno, "--by", "day", "--by", "model", "--user", "王小明")
    assert [(one["model"], one["tokens"]) for one in by_day] == [
        ("openai:gpt-4o-mini", 20),
        ("openai:gpt-4o-mini", 40),
    ]
    by_tag = rows(agno, "--by", "tag", "--measure", "sessions")
    assert [(one["tag"], one["sessions"]) for one in by_tag] == [(None, 2), ("a", 1), ("b", 1)]
    (single,) = rows(agno, "two")
    assert (single["sessions"], single["tokens"]) == (1, 200)


def test_what_has_no_price_is_named(agno: Agno, here: Place) -> None:
    ran = agno("sessions", "stats")
    assert "no price for openai:gpt-4o: in [prices]" in ran.err
    assert ran.lines[0].split("\t")[0] == "sessions"


def test_since_and_until_mean_what_was_said_then(agno: Agno, here: Place) -> None:
    """Sessions that have changed since are looked at as well."""
    first, second = (rows(agno, "--until", at)[0] for at in ("2025-10-10", "2025-10-11"))
    assert (first["tokens"], second["tokens"]) == (220, 260)
    (late,) = rows(agno, "--since", "2025-10-09T12:00:00Z", "--until", "2025-10-11")
    assert (late["sessions"], late["tokens"]) == (1, 40)


@pytest.fixture
def small(agno: Agno) -> Agno:
    agno.store(*SESSIONS)
    return agno


def test_without_prices_no_cost_is_told_and_none_is_asked_for(small: Agno) -> None:
    ran = small("sessions", "stats", "-o", "table")
    assert "COST" in ran.out.splitlines()[0]
    assert "price" not in ran.err
    assert rows(small)[0]["cost"] is None
    assert "no price for" in small("sessions", "stats", "--measure", "cost").err


def test_top_cuts_and_says_so(small: Agno) -> None:
    ran = small("sessions", "stats", "--by", "model", "--top", "1", "-o", "json")
    assert [one["model"] for one in ran.json] == ["openai:gpt-4o"]
    assert "1 of 3 shown; all: 3 sessions, 3 runs, 260 tokens" in ran.err


def test_fields_choose_the_columns(small: Agno) -> None:
    ran = small("sessions", "stats", "--by", "user", "--fields", "tokens,user", "-o", "csv")
    assert ran.lines == ["tokens,user", "200,bob", "60,王小明"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "hour"], "--by hour: no such choice"),
        (["--measure", "length"], "--measure length: no such choice"),
        (["--user", ""], "--user is empty"),
        (["one", "--all-backends"], "--all-backends goes with neither SESSION nor -b"),
    ],
)
def test_what_makes_no_sense_is_an_error(small: Agno, arguments: list[str], message: str) -> None:
    assert small("sessions", "stats", *arguments).error == (2, message)


def test_an_unknown_session_is_not_found(small: Agno) -> None:
    assert small("sessions", "stats", "nobody").error == (3, "no session 'nobody'")


def test_one_bad_row_breaks_nothing_and_is_told(small: Agno) -> None:
    with closing(sqlite3.connect(small.database)) as connection, connection:
        connection.execute("UPDATE agno_runs SET run_data = '{broken' WHERE session_id = 'two'")
        connection.execute(
            "UPDATE agno_sessions SET session_data = '{broken', metadata = '7' WHERE session_id = 'one'"
        )
    ran = small("sessions", "stats", "-o", "json")
    assert (ran.json[0]["runs"], ran.json[0]["tokens"]) == (3, 60)
    assert "1 run cannot be decoded" in ran.err
    assert ran.status == 0


def test_a_session_that_cannot_be_read_is_told_and_the_others_are_counted(
    agno: Agno, tmp_path: Path
) -> None:
    with place("stored", "redis", tmp_path) as found:
        agno.configure(f'default_backend = "stored"\n{found.settings}')
        with found.open() as backend:
            backend.write(SESSIONS)
        harness: Any = found._harness
        harness.client.set(f"{harness.prefix}:sessions:one", "{broken")
        ran = agno("sessions", "stats", "-o", "json")
    assert (ran.status, ran.json[0]["sessions"], ran.json[0]["tokens"]) == (9, 2, 200)
    assert "session 'one' cannot be read to its end" in ran.err


def test_all_backends_are_counted_and_one_that_fails_is_told(small: Agno) -> None:
    other = small.home / "other.db"
    with SqliteDb(other) as backend:
        backend.write([session("third", 1)])
    small.configure(
        f'[backends.other]\ntype = "sqlite"\ndb_file = "{other}"\n'
        '[backends.far]\ntype = "redis"\ndb_url = "redis://127.0.0.1:1/0"\n'
        f'[backends.new]\ntype = "sqlite"\ndb_file = "{small.home}/none.db"\n'
    )
    ran = small("sessions", "stats", "--all-backends", "--by", "backend", "-o", "json")
    assert ran.status == 9
    assert {one["backend"]: one["sessions"] for one in ran.json} == {"default": 3, "other": 1}
    assert "warning: far: " in ran.err and "it is not counted" in ran.err
    assert "new: nothing has been stored" in ran.err


# charts


def test_a_chart_draws_days_without_anything_too(small: Agno) -> None:
    small.store(session("late", 5, user_id="bob", created_at=EPOCH))
    with closing(sqlite3.connect(small.database)) as connection, connection:
        connection.execute(
            "UPDATE agno_runs SET created_at = created_at + ? WHERE session_id = 'late'", (4 * DAY,)
        )
    ran = small("sessions", "stats", "--chart")
    assert ran.lines[0] == "tokens by day"
    assert [int(line.split()[1]) for line in ran.lines[1:]] == [220, 40, 0, 0, 10]
    assert "\x1b" not in ran.out
    assert "times are local" in ran.err


def test_a_chart_fits_a_terminal_and_has_colour_there_alone(small: Agno) -> None:
    control, terminal = pty.openpty()
    command = [sys.executable, "-m", "agnocli", "sessions", "stats", "--chart", "--by", "user"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=terminal, stderr=subprocess.PIPE
    ) as process:
        os.close(terminal)
        assert ended(process).status == 0
    shown = os.read(control, 10_000).decode()
    os.close(control)
    assert "\x1b[36m█" in shown
    assert "王小明" in shown


def test_json_is_asked_for_in_vain_by_no_chart(small: Agno) -> None:
    assert rows(small, "--chart", "--by", "model") == rows(small, "--by", "model")


class Lines:
    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)


@pytest.mark.parametrize("width", [30, 80, 200])
def test_bars_fit_whatever_their_labels_are(width: int) -> None:
    lines: Any = Lines()
    write_bars(
        [("王小明 " * 9, 1000), ("😀", 1), ("e\u0301", 0), ("x\x1b[31m\ny", 500)],
        lines,
        width=width,
        color=False,
    )
    found = lines.text.splitlines()
    assert len(found) == 4
    assert max(map(cells, found)) == width
    ends = {cells(line.partition("█")[0]) for line in found if "█" in line}
    assert len(ends) == 1
    assert "\x1b" not in lines.text


@pytest.mark.parametrize(
    ("part", "drawn"),
    [(0.0, ""), (1e-9, "▏"), (0.5, "██"), (0.53125, "██▏"), (0.99, "████"), (1.0, "████")],
)
def test_a_bar_is_right_to_an_eighth(part: float, drawn: str) -> None:
    assert bar(part, 4) == drawn


def test_where_blocks_cannot_be_written_bars_are_ascii() -> None:
    lines: Any = Lines()
    lines.encoding = "ascii"
    write_bars([("a", 2), ("b", 1)], lines, width=20, color=False)
    assert lines.text.isascii()
    assert lines.text.splitlines()[0].count("#") == 2 * lines.text.splitlines()[1].count("#")


def test_undecodable_documents_are_carried(agno: Agno) -> None:
    broken = replace(sample_run("s", 0), run_data=Document(b"nope"))
    agno.store(SessionBundle(sample_session("s"), [broken]))
    assert rows(agno)[0]["runs"] == 1
