"""`agno doctor`."""

from __future__ import annotations

import msgspec

from agnocli import codec
from agnocli.records import SessionBundle
from agnocli.testing.records import sample_bundle
from tests.cli.conftest import Agno, bundle, fingerprint

KEY = "ghp_" + "a1B2" * 9


def found(agno: Agno, status: int = 0) -> dict[str, list[str]]:
    """What is worth a warning or worse, by check."""
    ran = agno("doctor", "-o", "json")
    assert ran.status == status, ran.err
    told: dict[str, list[str]] = {}
    for row in ran.json:
        if row["status"] != "ok":
            told.setdefault(row["check"], []).append(row["detail"])
    return told


def test_on_a_fresh_machine_it_finds_nothing_wrong_and_makes_nothing(agno: Agno) -> None:
    assert found(agno) == {}
    assert fingerprint(agno.home) == {}


def test_it_tells_versions_and_counts(agno: Agno) -> None:
    agno.store(sample_bundle("one", runs=3))
    lines = agno("doctor").out
    assert "openai" in lines
    assert "layout v3, 1 sessions, 3 runs" in lines


def test_the_seeds_mistakes_are_found_in_the_configuration(agno: Agno) -> None:
    agno.configure(
        "[agents.a]\nmodel = 'echo'\nnum_history_runs = 99\n"
        f"session_state = {{ token = '{KEY}' }}\n"
        "[agents.b]\nmodel = 'echo'\nadd_history_to_context = false\n"
    )
    agno.variables["APP_ENV"] = "production"
    told = found(agno)
    first, second = told["agent a"], told["agent b"]
    assert any("SQLite" in line for line in first)
    assert any("num_history_runs=99" in line for line in first)
    assert any("token looks like a secret" in line for line in first)
    assert any("not sent to the model" in line for line in second)
    assert KEY not in str(told)


def test_secrets_in_stored_state_are_found_and_not_shown(agno: Agno) -> None:
    session, runs = bundle("leaky")
    state = codec.encode({"session_state": {"account": {"api_key": KEY}}})
    agno.store(SessionBundle(msgspec.structs.replace(session, session_data=state), runs))
    told = found(agno)
    assert told == {"secrets": ["session leaky: state account.api_key looks like a secret"]}


def test_a_backend_that_cannot_be_reached_is_an_error(agno: Agno) -> None:
    agno.configure('[backends.far]\ntype = "redis"\ndb_url = "redis://127.0.0.1:1/0"\n')
    assert "backend far" in found(agno, status=1)
