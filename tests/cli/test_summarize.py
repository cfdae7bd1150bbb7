"""`agno sessions summarize`."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from agnocli import codec
from agnocli.db.sqlite import SqliteDb
from agnocli.testing.openai_server import Answer, Error, Gate, Reply, Silent
from agnocli.testing.records import sample_bundle
from tests.cli.conftest import Agno, Serve, at, ended, fingerprint

SHORT = Answer('{"summary": "Short.", "topics": ["a"]}')


def stored(agno: Agno, session_id: str = "one") -> object:
    with SqliteDb(agno.database, read_only=True) as db:
        return codec.decode(db.get(session_id).summary or b"null")


def test_a_summary_is_stored_as_agno_stores_one_and_printed(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("one", runs=3))
    server = serve(SHORT)
    before = agno("sessions", "list", "-o", "json").json[0]["updated_at"]
    ran = agno("sessions", "summarize", "one", *at(server))
    assert (ran.out, ran.err, ran.status) == ("Short.\n", "", 0)
    summary = stored(agno)
    assert isinstance(summary, dict)
    assert list(summary) == ["summary", "topics", "updated_at"]
    said = server.requests[0]["messages"][1]["content"]
    assert "question 0" in said
    assert "answer 2" in said
    assert agno("sessions", "list", "-o", "json").json[0]["updated_at"] == before


def test_only_what_is_new_is_summarized_unless_forced(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("one", runs=2))
    server = serve(SHORT, Answer("said"), SHORT, SHORT)
    agno("sessions", "summarize", "one", *at(server))
    again = agno("sessions", "summarize", "one", *at(server))
    assert (again.out, again.err) == ("Short.\n", "one: nothing new to summarize\n")
    agno("chat", "-s", "one", *at(server), "more")
    agno("sessions", "summarize", "one", *at(server))
    news = server.requests[2]["messages"][1]["content"]
    assert news.startswith("<summary_so_far>\nShort.\n")
    assert "question 0" not in news
    assert agno("sessions", "summarize", "one", "--force", *at(server)).out == "Short.\n"
    assert "question 0" in server.requests[3]["messages"][1]["content"]


def test_printing_alone_stores_nothing(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("one", runs=2))
    before = fingerprint(agno.home)
    ran = agno("sessions", "summarize", "one", "--print", "-o", "json", *at(serve(SHORT)))
    assert ran.json == {
        "session_id": "one",
        "stored": False,
        "summary": "Short.",
        "topics": ["a"],
    }
    assert fingerprint(agno.home) == before


def test_stale_ones_are_those_with_something_new(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("one", runs=2), sample_bundle("two", runs=2))
    server = serve(SHORT, SHORT)
    agno("sessions", "summarize", "one", *at(server))
    ran = agno("sessions", "summarize", "--stale", "-o", "json", *at(server))
    assert [row["session_id"] for row in ran.json] == ["two"]
    nothing = agno("sessions", "summarize", "--stale", "-o", "json", *at(server))
    assert nothing.json == []


def test_a_failure_keeps_what_is_stored_and_the_others_go_on(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("one", runs=2), sample_bundle("two", runs=2))
    server = serve(Error(400, "no"), SHORT)
    ran = agno("sessions", "summarize", "one", "two", *at(server))
    assert ran.status == 9
    assert "one: " in ran.err
    assert stored(agno) != {"summary": "Short."}
    for more in (["one"], ["one", "two", "--force", "-o", "json"]):
        none = agno("sessions", "summarize", *more, *at(serve(Error(400, "no", repeat=None))))
        assert (none.status, none.out) == (8, "")


def test_it_must_be_told_which(agno: Agno) -> None:
    assert agno("sessions", "summarize", "-m", "echo").error[0] == 2
    assert agno("sessions", "summarize", "x", "--all", "-m", "echo").error[0] == 2


def test_filters_choose_which_are_summarized(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("one", user_id="bob"), sample_bundle("two"), sample_bundle("empty", 0))
    ran = agno("sessions", "summarize", "--user", "bob", *at(serve(SHORT)), "-o", "jsonl")
    assert [codec.decode(line)["session_id"] for line in ran.lines] == ["one"]
    ran = agno("sessions", "summarize", "--all", "--stale", *at(serve(SHORT)), "-o", "ids")
    assert ran.lines == ["two"]
    assert agno("sessions", "summarize", "one", "--user", "bob", "-m", "echo").error[0] == 2


def test_a_dry_run_lists_what_would_be_asked_for(agno: Agno) -> None:
    agno.store(sample_bundle("one"), sample_bundle("two"), sample_bundle("empty", 0))
    before = fingerprint(agno.home)
    ran = agno("sessions", "summarize", "--all", "-m", "echo", "-n", "-o", "ids")
    assert sorted(ran.lines) == ["one", "two"]
    assert ran.err == "would summarize 2 sessions\n"
    assert fingerprint(agno.home) == before


def test_as_many_as_asked_for_are_at_work_at_once(agno: Agno, serve: Serve) -> None:
    agno.store(*(sample_bundle(f"s{number}") for number in range(6)))
    gate = Gate()
    server = serve(Answer(chunks=[gate, SHORT.text], repeat=3), replace(SHORT, repeat=3))
    with ThreadPoolExecutor(1) as pool:
        arguments = ("sessions", "summarize", "--all", "--jobs", "3", *at(server))
        running = pool.submit(agno.process, *arguments, "-o", "ids")
        server.wait_for_requests(3)
        assert len(server.requests) == 3
        gate.open()
        ran = running.result(60)
    assert (ran.status, len(ran.lines)) == (0, 6)
    for number in range(6):
        assert stored(agno, f"s{number}")


def test_stopped_half_way_the_same_command_goes_on(agno: Agno, serve: Serve) -> None:
    agno.store(*(sample_bundle(f"s{number}") for number in range(4)))
    server = serve(SHORT, Silent(), replace(SHORT, repeat=3))
    with agno.popen("sessions", "summarize", "--all", *at(server)) as process:
        server.wait_for_requests(2)
        process.send_signal(signal.SIGINT)
        ran = ended(process)
    assert ran.status == 130
    assert "1 are done" in ran.err
    again = agno("sessions", "summarize", "--all", "--stale", *at(server), "-o", "ids")
    assert (again.status, len(again.lines)) == (0, 3)
    assert len(server.requests) == 5


def test_a_session_deleted_meanwhile_is_one_failure_among_others(agno: Agno, serve: Serve) -> None:
    agno.store(sample_bundle("one"), sample_bundle("two"))

    def delete(request: object) -> Answer:
        with SqliteDb(agno.database) as db:
            db.delete(["one"])
        return SHORT

    ran = agno("sessions", "summarize", "one", "two", *at(serve(Reply(delete), SHORT)))
    assert ran.status == 9
    assert "one: no session 'one'" in ran.err
    assert ran.lines[0] == "two"
