"""What is counted, how often, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.config import Price
from agnocli.errors import CodecError
from agnocli.records import Document, Run, SessionBundle
from agnocli.sessions.stats import Dimension, Group, Measure, Statistics, ranked
from agnocli.testing.records import EPOCH, document, sample_run, sample_session

MINI = {"id": "gpt-4o-mini", "provider": "OpenAI"}


def tokens(given: int, made: int) -> dict[str, int]:
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}


def metrics(given: int, made: int, **model: str) -> dict[str, Any]:
    spent = tokens(given, made)
    return {**spent, "details": {"model": [{**spent, **(model or MINI)}]}}


def run(session_id: str, number: int, data: dict[str, Any], **columns: Any) -> Run:
    sample = sample_run(session_id, number)
    whole = {**codec.decode(sample.run_data), **data}
    return replace(sample, run_data=document(whole), **columns)


def counted(*bundles: SessionBundle, by: Sequence[Dimension] = (), **more: Any) -> Statistics:
    found = Statistics(by, **more)
    for bundle in bundles:
        found.add(bundle, "here")
    return found


def one(*runs: Run, **columns: Any) -> SessionBundle:
    return SessionBundle(sample_session("s", **columns), runs)


def test_a_session_is_counted_with_its_runs_messages_and_bytes() -> None:
    bundle = one(sample_run("s", 0), sample_run("s", 1, status="ERROR"))
    total = counted(bundle).total
    stored = sum(len(run.run_data) for run in bundle.runs)
    own = [bundle.session.session_data, bundle.session.agent_data, bundle.session.metadata]
    own += [bundle.session.summary]
    assert (total.sessions, total.runs, total.messages, total.errors) == (1, 2, 4, 1)
    assert total.bytes == stored + sum(len(column or b"") for column in own)


def test_prompts_and_repeated_history_are_no_messages() -> None:
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "old", "from_history": True},
        {"role": "user", "content": "new"},
        {"role": "tool", "content": "3"},
        "no message",
    ]
    assert counted(one(run("s", 0, {"messages": said}))).total.messages == 2


def test_tokens_of_repeated_history_are_not_counted_again() -> None:
    said = [
        {"role": "assistant", "metrics": tokens(900, 90), "from_history": True},
        {"role": "assistant", "metrics": tokens(10, 1)},
        {"role": "assistant", "metrics": tokens(20, 2)},
    ]
    total = counted(one(run("s", 0, {"messages": said}))).total
    assert (total.input_tokens, total.output_tokens, total.tokens) == (30, 3, 33)


def team_session(**of_team: Any) -> SessionBundle:
    """As Agno stores it: the member's run first, each run with its own tokens, their sum in the session."""
    member = {"run_id": "m", "metrics": metrics(100, 10), "agent_id": "writer"}
    leader = {"run_id": "t", "team_id": "desk", "metrics": metrics(1000, 100), **of_team}
    return SessionBundle(
        sample_session(
            "s",
            session_type="team",
            team_id="desk",
            session_data=document({"session_metrics": metrics(1100, 110)}),
        ),
        [
            run("s", 0, member, run_id="m", parent_run_id="t", agent_id="writer"),
            run("s", 1, leader, run_id="t", run_type="team", team_id="desk", agent_id=None),
        ],
    )


def test_a_members_tokens_are_counted_once_beside_the_leaders() -> None:
    assert counted(team_session()).total.tokens == 1210


def test_a_members_tokens_are_counted_once_when_the_leader_keeps_a_copy_of_its_run() -> None:
    copy = {"run_id": "m", "metrics": metrics(100, 10), "agent_id": "writer"}
    found = counted(team_session(member_responses=[copy]), by=[Dimension.AGENT])
    assert found.total.tokens == 1210
    assert {key: group.tokens for key, group in found.groups.items()} == {
        ("writer",): 110,
        (None,): 1100,
    }


def test_a_run_that_is_stored_within_another_one_only_is_counted() -> None:
    inner = {"run_id": "inner", "metrics": metrics(5, 5)}
    member = {"run_id": "lost", "metrics": metrics(100, 10), "member_responses": [inner]}
    assert counted(team_session(member_responses=[member])).total.tokens == 1210 + 110 + 10


def test_steps_of_a_workflow_are_counted_once() -> None:
    steps = {"steps": {"draft": {"metrics": metrics(7, 3)}}}
    ran = [{"run_id": "step", "metrics": metrics(7, 3)}]
    with_runs = run("s", 0, {"metrics": steps, "step_executor_runs": ran})
    assert counted(one(with_runs)).total.tokens == 10
    assert counted(one(run("s", 0, {"metrics": steps}))).total.tokens == 10


def test_what_a_fork_took_along_is_counted_where_it_was_spent() -> None:
    spent = {"metrics": metrics(10, 1)}
    copied = run("s", 0, {**spent, "forked_from_session_id": "root"})
    found = counted(one(copied, run("s", 1, spent)))
    assert (found.total.runs, found.total.tokens, found.copies) == (2, 11, 1)


@pytest.mark.parametrize(("in_run", "wanted"), [(0, 60), (50, 60), (20, 60)])
def test_tokens_of_summaries_are_counted_once(in_run: int, wanted: int) -> None:
    """Agno counts them into the run as well, this program into the session alone."""
    details: dict[str, Any] = {"model": [{**tokens(8, 2), **MINI}]}
    if in_run:
        details["session_summary_model"] = [{**tokens(in_run, 0), **MINI}]
    of_session = {"session_summary_model": [{**tokens(50, 0), **MINI}]}
    bundle = one(
        run("s", 0, {"metrics": {"details": details}}),
        session_data=document({"session_metrics": {"details": of_session}}),
    )
    assert counted(bundle).total.tokens == wanted


def test_each_model_is_told_its_own_tokens() -> None:
    spent = {"model": [{**tokens(10, 0), **MINI}, {**tokens(1, 0), "id": "m", "provider": "Groq"}]}
    data = {"model": "gpt-4o-mini", "model_provider": "OpenAI", "metrics": {"details": spent}}
    found = counted(one(run("s", 0, data)), by=[Dimension.MODEL])
    assert {key: (one.sessions, one.runs, one.tokens) for key, one in found.groups.items()} == {
        ("openai:gpt-4o-mini",): (1, 1, 10),
        ("groq:m",): (1, 0, 1),
    }


def test_a_session_counts_once_in_each_of_its_groups() -> None:
    day = 86_400
    bundle = one(*(run("s", n, {}, created_at=EPOCH + n // 2 * day) for n in range(4)))
    found = counted(bundle, by=[Dimension.DAY])
    assert [(one.sessions, one.runs) for one in found.groups.values()] == [(1, 2), (1, 2)]
    assert (found.total.sessions, found.total.runs) == (1, 4)


def test_the_rows_of_a_dimension_add_up_to_the_whole() -> None:
    bundles = [
        SessionBundle(
            sample_session(f"s{n}", user_id="ab"[n % 2], created_at=EPOCH + n * 50_000),
            [run(f"s{n}", k, {"metrics": metrics(k, n)}) for k in range(n)],
        )
        for n in range(5)
    ]
    total = counted(*bundles).total
    for by in ([Dimension.DAY], [Dimension.USER, Dimension.MODEL], [Dimension.AGENT]):
        found = counted(*bundles, by=by)
        assert found.total == total
        for measure in (Measure.RUNS, Measure.TOKENS, Measure.BYTES, Measure.MESSAGES):
            parts = sum(getattr(one, measure) for one in found.groups.values())
            assert parts == getattr(total, measure), (by, measure)


def test_a_session_counts_under_each_tag_and_one_without_under_none() -> None:
    bundles = [
        SessionBundle(sample_session(f"s{n}", metadata=document({"tags": tags})), ())
        for n, tags in enumerate((["a", "b"], ["a"], []))
    ]
    found = counted(*bundles, by=[Dimension.TAG])
    assert {key: one.sessions for key, one in found.groups.items()} == {
        ("a",): 2,
        ("b",): 1,
        (None,): 1,
    }


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_days_weeks_and_months_are_local(far_east: None) -> None:
    """There it is the next day already, of the next month and week."""
    sunday = 1_772_361_000  # 2026-03-01T10:30:00Z
    bundle = one(run("s", 0, {}, created_at=sunday - 86_400))
    found = counted(bundle, by=[Dimension.DAY, Dimension.WEEK, Dimension.MONTH])
    assert list(found.groups) == [("2026-03-01", "2026-W09", "2026-03")]


def test_a_time_that_is_none_has_no_day() -> None:
    found = counted(one(run("s", 0, {}, created_at=10**30)), by=[Dimension.DAY])
    assert list(found.groups) == [(None,)]


def test_only_what_was_said_in_a_time_that_is_asked_for_counts() -> None:
    day = 86_400
    runs = [run("s", n, {"metrics": metrics(n, 0)}, created_at=EPOCH + n * day) for n in range(4)]
    found = counted(one(*runs), since=EPOCH + day, until=EPOCH + 3 * day)
    assert (found.total.sessions, found.total.runs, found.total.tokens) == (1, 2, 3)
    later = counted(one(*runs), since=EPOCH + 4 * day)
    assert later.total == Group()
    assert counted(one(), since=EPOCH).total.sessions == 1
    assert counted(one(), since=EPOCH + 1).total == Group()


# costs

PRICE = Price(input_per_m=2.0, output_per_m=10.0)


def cost(price: Price, **cached: int) -> float | None:
    spent = {**tokens(1_000_000, 100_000), **cached}
    data = {"model": "m", "model_provider": "P", "metrics": spent}
    return counted(one(run("s", 0, data)), prices={"p:M": price}).total.cost


def test_a_cost_is_what_the_prices_say() -> None:
    assert cost(PRICE) == pytest.approx(3.0)


def test_cached_input_costs_what_its_price_says() -> None:
    cheap = replace(PRICE, cached_input_per_m=0.5)
    assert cost(cheap, cache_read_tokens=400_000) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 1)
    apart = replace(cheap, cached_apart=True)
    assert cost(apart, cache_read_tokens=400_000) == pytest.approx(2 + 0.4 * 0.5 + 1)
    assert cost(PRICE, cache_read_tokens=400_000) == pytest.approx(3.0)


def test_what_has_no_price_has_no_cost_and_is_named() -> None:
    priced = run("s", 0, {"metrics": metrics(1_000_000, 0)})
    free = run("s", 1, {"metrics": metrics(7, 0, id="local", provider="Ollama")})
    odd = run("s", 2, {"metrics": tokens(1, 0)})
    found = counted(one(priced, free, odd, agent_data=None), prices={"gpt-4o-mini": PRICE})
    assert found.total.cost == pytest.approx(2.0)
    assert found.total.unpriced_tokens == 8
    assert found.without_price == {"ollama:local", ""}
    assert counted(one(free)).total.cost is None


# what cannot be read


def test_a_run_that_cannot_be_decoded_counts_as_a_run_and_is_told() -> None:
    broken = replace(sample_run("s", 0), run_data=Document(b"{broken"))
    found = counted(one(broken, run("s", 1, {"metrics": metrics(1, 1)})))
    assert (found.total.runs, found.total.tokens, found.undecodable) == (2, 2, 1)


def test_what_was_counted_before_a_session_ends_in_an_error_stays() -> None:
    def runs() -> Iterator[Run]:
        yield run("s", 0, {"metrics": metrics(1, 1)})
        raise CodecError("broken")

    found = Statistics()
    with pytest.raises(CodecError):
        found.add(SessionBundle(sample_session("s"), runs()))
    assert (found.total.sessions, found.total.runs, found.total.tokens) == (1, 1, 2)


@pytest.mark.parametrize(
    "data",
    [
        {"metrics": [1]},
        {"metrics": {"details": {"model": "x"}, "input_tokens": True}},
        {"metrics": {"steps": []}},
        {"metrics": {"steps": {"a": None}}},
        {"metrics": {"input_tokens": -5, "output_tokens": "7"}},
        {"messages": {"role": "user"}},
        {"member_responses": [None, "x"], "model": 7},
    ],
)
def test_odd_shapes_count_as_nothing(data: dict[str, Any]) -> None:
    total = counted(one(run("s", 0, data))).total
    assert (total.runs, total.tokens) == (1, 0)


def test_the_largest_groups_come_first_ties_by_name_and_times_in_their_order() -> None:
    found = Statistics([Dimension.USER])
    found.groups = {(name,): Group(tokens=size) for name, size in (("b", 1), ("a", 1), ("c", 2))}
    assert [key for key, _ in ranked(found, Measure.TOKENS, None)] == [("c",), ("a",), ("b",)]
    assert [key for key, _ in ranked(found, Measure.TOKENS, 2)] == [("c",), ("a",)]
    found.by = (Dimension.DAY,)
    assert [key for key, _ in ranked(found, Measure.TOKENS, 2)] == [("a",), ("c",)]
