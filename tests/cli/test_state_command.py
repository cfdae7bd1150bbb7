"""`agno sessions state get|set|unset`."""

from __future__ import annotations

import pytest

from agnocli.records import Document
from tests.cli.conftest import Agno, bundle, fingerprint

STATE = '{"n": 1180591620717411303424, "f": 1.0, "a.b": "caf\\u00e9", "o": {"k": [1, null]}}'


@pytest.fixture
def stated(agno: Agno) -> Agno:
    data = Document(b'{"session_name": "S", "session_state": ' + STATE.encode() + b"}")
    agno.store(bundle("one", session_data=data), bundle("bare", session_data=None))
    return agno


def state(agno: Agno, *arguments: str) -> str:
    ran = agno("sessions", "state", "get", *arguments)
    assert (ran.status, ran.err) == (0, "")
    return ran.out


def test_what_is_printed_is_what_is_stored_to_the_byte(stated: Agno) -> None:
    for more in ([], ["-o", "json"], ["-o", "jsonl"]):
        assert state(stated, "one", *more) == STATE + "\n"
        assert state(stated, "one", "f", *more) == "1.0\n"
        assert state(stated, "one", "a.b", *more) == '"caf\\u00e9"\n'
    assert state(stated, "bare") == "{}\n"


def test_an_unknown_key_is_told_with_the_nearest(stated: Agno) -> None:
    ran = stated("sessions", "state", "get", "one", "a.c")
    assert ran.error == (3, "the state of session 'one' has no key 'a.c'")
    assert "'a.b'" in ran.hint
    assert stated("sessions", "state", "unset", "bare", "x").hint == "it is empty"
    failed = stated("sessions", "state", "get", "one", "k", "-o", "json")
    assert '"error": "state_key_not_found", "code": 3' in failed.err


def test_a_key_is_set_as_agno_writes_it_and_the_rest_keeps_its_text(stated: Agno) -> None:
    ran = stated("sessions", "state", "set", "S", "new", '{"é":[1.0,2e3]}', "-o", "json")
    assert ran.json == {"session_id": "one", "key": "new", "dry_run": False}
    wanted = STATE[:-1] + ', "new": {"\\u00e9": [1.0, 2000.0]}}'
    assert state(stated, "one") == wanted + "\n"
    stated("sessions", "state", "unset", "one", "new")
    assert state(stated, "one") == STATE + "\n"


def test_a_large_value_comes_from_stdin(stated: Agno) -> None:
    text = '"' + "x" * 300_000 + '"'
    assert stated("sessions", "state", "set", "bare", "k", "-", stdin=f"{text}\n").status == 0
    assert state(stated, "bare", "k") == f"{text}\n"


@pytest.mark.parametrize("text", ["tea", "{'a': 1}", "", "[1,]", "NaN", '{"a": Infinity}', "1 2"])
def test_what_is_no_json_is_refused_with_a_way_out(stated: Agno, text: str) -> None:
    before = fingerprint(stated.home)
    for arguments in (["set", "one", "k", text], ["set", "one", "k", "1", "--if", text]):
        ran = stated("sessions", "state", *arguments)
        assert ran.error[0] == 2
        assert "quotes" in ran.hint or "NaN" in ran.hint
    assert fingerprint(stated.home) == before


def test_it_is_set_only_from_what_it_is_said_to_be(stated: Agno) -> None:
    ran = stated("sessions", "state", "set", "one", "f", "2", "--if", "3")
    assert ran.error == (5, "session 'one' has another value in 'f': 1.0")
    assert stated("sessions", "state", "set", "one", "f", "2", "--if", "1").status == 0
    assert stated("sessions", "state", "set", "one", "f", "2", "--new").error[0] == 5
    assert stated("sessions", "state", "set", "one", "g", "2", "--new").status == 0
    assert stated("sessions", "state", "set", "one", "g", "2", "--new", "--if", "1").error[0] == 2
    assert stated("sessions", "state", "unset", "one", "g", "--if", "1").error[0] == 5
    assert state(stated, "one", "g") == "2\n"


def test_a_dry_run_changes_nothing(stated: Agno) -> None:
    before = fingerprint(stated.home)
    assert "would" in stated("sessions", "state", "set", "one", "f", "2", "-n").err
    assert "would" in stated("sessions", "state", "unset", "one", "f", "-n").err
    assert fingerprint(stated.home) == before


def test_an_empty_key_is_an_error(stated: Agno) -> None:
    assert stated("sessions", "state", "set", "one", "", "2").error == (2, "KEY is empty")
