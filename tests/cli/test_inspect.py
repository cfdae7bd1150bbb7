"""What `sessions inspect` shows beside the transcript: sizes, the tree of runs, and another session's difference."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.records import Document, Run, SessionBundle
from agnocli.testing.records import sample_run, sample_session
from tests.cli.conftest import Agno, bundle
from tests.formats.conversations import everything, said
from tests.formats.conversations import run as run_of


def desk(session_id: str = "desk-1") -> SessionBundle:
    """A team's session: members are stored before the turn that they are part of."""
    session = sample_session(session_id, session_type="team", agent_id=None, team_id="desk")
    member = {"parent_run_id": f"{session_id}.2"}
    runs = [
        run_of(session_id, 0, said("user", "tariffs?"), agent_id="buyer", agent_name="Buyer", **member),
        run_of(
            session_id, 1, said("user", "and now?"), agent_id="clerk", agent_name="Clerk", status="ERROR", **member
        ),
        run_of(session_id, 2, said("user", "What does tea cost?"), said("assistant", "Much.")),
    ]  # fmt: skip
    top = codec.patch(runs[2].run_data, {"team_id": "desk", "metrics": {"duration": 1.25}})
    runs[2] = replace(runs[2], agent_id=None, team_id="desk", run_data=top)
    return SessionBundle(session, runs)


def test_the_tree_shows_members_below_the_turn_they_are_part_of(agno: Agno) -> None:
    agno.store(desk())

    *_, turn, first, second = agno("sessions", "inspect", "desk-1", "--tree").lines

    assert turn.startswith("   3 desk · 2025-10-09T08:55:20Z · 1.2 s · What does tea cost?")
    assert first == "     ├─ Buyer · 2025-10-09T08:53:20Z · tariffs?"
    assert second == "     └─ Clerk · 2025-10-09T08:54:20Z · failed · and now?"


def test_sizes_tell_what_a_session_is_large_of(agno: Agno) -> None:
    whole = everything()
    agno.store(whole)

    found = agno("sessions", "inspect", "tea-1", "--sizes", "-o", "json").json
    assert next(iter(found["by_cause"])) == "media"
    assert found["bytes"] == sum(found["by_cause"].values())
    assert found["bytes"] > sum(len(run.run_data) for run in whole.runs)

    shown = agno("sessions", "inspect", "tea-1", "--sizes").out
    assert "media               81.5 kB   94%" in shown
    assert "Patience is the best leaf" not in shown


def test_a_transcript_ends_with_the_sizes_that_matter(agno: Agno) -> None:
    agno.store(everything())

    assert agno("sessions", "inspect", "tea-1").lines[-1].startswith("87.1 kB: media 94%, text 2%")


def test_repeated_history_is_counted_instead_of_shown_again(agno: Agno) -> None:
    agno.store(everything())

    shown = agno("sessions", "inspect", "tea-1").out

    assert shown.count("Patience is the best leaf") == 1
    assert "(2 messages of earlier turns, stored once more)" in shown


def changed(run: Run, old: bytes, new: bytes) -> Run:
    assert run.run_data.count(old)
    return replace(run, run_data=Document(run.run_data.replace(old, new)))


def copy(of: SessionBundle, session_id: str) -> SessionBundle:
    """As a fork: other ids of session, runs and messages, other times."""
    runs = []
    for run in of.runs:
        data = run.run_data.replace(of.session.session_id.encode(), session_id.encode())
        run_id = run.run_id.replace(of.session.session_id, session_id)
        parent = run.parent_run_id and run.parent_run_id.replace(of.session.session_id, session_id)
        runs.append(
            replace(run, run_id=run_id, parent_run_id=parent, session_id=session_id, run_data=data, created_at=run.created_at + 9)
        )  # fmt: skip
    return SessionBundle(replace(of.session, session_id=session_id), runs)


def test_a_copy_with_other_ids_and_times_has_no_difference(agno: Agno) -> None:
    agno.store(bundle("first", runs=4), copy(bundle("first", runs=4), "second"))

    ran = agno("sessions", "inspect", "first", "--diff", "second")

    assert ran.lines[2:] == ["the same was said in both: 4 runs"]
    found = agno("sessions", "inspect", "first", "--diff", "second", "-o", "json").json
    assert (found["same"], found["common_runs"], found["runs"]) == (True, 4, [])


def test_the_difference_is_that_of_the_words_turn_by_turn(agno: Agno) -> None:
    first, second = bundle("first", runs=4), copy(bundle("first", runs=4, name="Mate"), "second")
    runs = list(second.runs)
    runs[1] = changed(runs[1], b"answer 1", b"quite another")
    extra = sample_run("second", 4)
    agno.store(first, SessionBundle(second.session, [*runs, extra]))

    ran = agno("sessions", "inspect", "first", "--diff", "second")

    assert ran.lines[2:] == [
        "3 runs in common; 1 only in the first, 2 only in the second",
        '  session_data.session_name: "Tea" → "Mate"',
        "",
        "── turn 2 · changed",
        " user:",
        "   question 1",
        " assistant:",
        "-  answer 1",
        "+  quite another",
        "",
        "── turn 5 · added",
        "+user:",
        "+  question 4",
        "+assistant:",
        "+  answer 4",
    ]
    found = agno("sessions", "inspect", "first", "--diff", "second", "-o", "json").json
    assert [(one["change"], one["left"], one["right"]) for one in found["runs"]] == [
        (
            "changed",
            {"number": 2, "run_id": "first.run-1"},
            {"number": 2, "run_id": "second.run-1"},
        ),
        ("added", None, {"number": 5, "run_id": "second.run-4"}),
    ]
    assert found["runs"][0]["messages"] == [
        {"change": "-", "role": "assistant", "content": "answer 1"},
        {"change": "+", "role": "assistant", "content": "quite another"},
    ]
    field = {"field": "session_data.session_name", "left": "Tea", "right": "Mate"}
    assert found["fields"] == [field]


def test_turns_in_common_are_found_behind_one_that_only_one_side_has(agno: Agno) -> None:
    whole = bundle("first", runs=5)
    short = copy(whole, "second")
    runs = [run for run in short.runs if run.run_index != 1]
    runs = [replace(run, run_index=number) for number, run in enumerate(runs)]
    agno.store(whole, SessionBundle(short.session, runs))

    found = agno("sessions", "inspect", "first", "--diff", "second", "-o", "json").json

    assert [(one["change"], one["left"]["number"]) for one in found["runs"]] == [("removed", 2)]
    assert found["common_runs"] == 4


def test_a_turn_more_is_found_among_many_of_the_same_words(agno: Agno) -> None:
    same = Document(sample_run("first", 0).run_data)
    runs = [sample_run("first", n, run_data=same) for n in range(300)]
    first = SessionBundle(sample_session("first"), runs)
    second = copy(
        SessionBundle(sample_session("first"), [sample_run("first", 300), *runs]), "second"
    )
    agno.store(
        first,
        SessionBundle(
            second.session, [replace(run, run_index=n) for n, run in enumerate(second.runs)]
        ),
    )

    found = agno("sessions", "inspect", "first", "--diff", "second", "-o", "json").json

    assert found["common_runs"] == 300
    assert [(one["change"], one["right"]["number"]) for one in found["runs"]] == [("added", 1)]


def test_a_picture_that_is_another_one_is_a_difference(agno: Agno) -> None:
    first, second = everything(), copy(everything(), "tea-2")
    runs = list(second.runs)
    runs[1] = changed(runs[1], b"iVBOR", b"jVBOR")
    agno.store(first, SessionBundle(second.session, runs))

    ran = agno("sessions", "inspect", "tea-1", "--diff", "tea-2")

    assert [line for line in ran.lines if line.startswith("──")] == ["── turn 2 · changed"]


def test_the_other_session_may_be_at_another_backend(agno: Agno, tmp_path: Path) -> None:
    agno.configure(f'[backends.there]\ntype = "sqlite"\ndb_file = "{tmp_path}/there.db"\n')
    agno.store(bundle("same", runs=2))
    with SqliteDb(tmp_path / "there.db") as backend:
        backend.write([bundle("same", runs=3)])

    found = agno("sessions", "inspect", "same", "--diff", "there:same", "-o", "json").json

    assert found["right"]["backend"] == f"{tmp_path}/there.db"
    assert [one["change"] for one in found["runs"]] == ["added"]


def test_stored_escapes_do_not_reach_the_terminal(agno: Agno) -> None:
    agno.store(everything(), bundle("second"))

    ran = agno("sessions", "inspect", "tea-1", "--diff", "second", "--color", "always")

    assert "\x1b]" not in ran.out
    assert "\x1b[31m-" in ran.out
    assert "\x1b[32m+" in ran.out


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (("--tree", "--sizes"), 2, "--sizes and --tree exclude each other"),
        (("--raw", "--diff", "tea-1"), 2, "--raw and --diff exclude each other"),
        (("--diff", " "), 2, "--diff is empty"),
        (("--diff", "nowhere"), 3, "no session 'nowhere'"),
    ],
)
def test_what_cannot_be_shown_is_said(
    agno: Agno, flags: tuple[str, ...], status: int, message: str
) -> None:
    agno.store(everything())

    assert agno("sessions", "inspect", "tea-1", *flags).error == (status, message)
