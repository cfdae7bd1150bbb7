"""What the policies change, and the record of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Capabilities
from agnocli.records import Document, SessionBundle
from agnocli.testing.records import document, sample_run, sample_session
from agnocli.transfer.options import Change, TransferOptions, ValuePolicy
from agnocli.transfer.policies import Adapter

FAIL, REPLACE, STRIP = ValuePolicy.FAIL, ValuePolicy.REPLACE, ValuePolicy.STRIP
NOTHING = replace(
    Capabilities(),
    holds_nul=False,
    holds_surrogates=False,
    holds_nan=False,
    holds_nul_in_keys=False,
)


def adapted(
    value: Document, can: Capabilities = NOTHING, **how: ValuePolicy
) -> tuple[object, list[Change]]:
    bundle = SessionBundle(sample_session("s"), (sample_run("s", 0, run_data=value),))
    changes: list[Change] = []
    (run,) = Adapter(can, TransferOptions(**how)).adapt(bundle, changes).runs  # type: ignore[arg-type]
    return codec.decode(run.run_data), changes


@pytest.mark.parametrize(("policy", "text"), [(REPLACE, "a\u2400b"), (STRIP, "ab"), (FAIL, "a\0b")])
def test_a_nul_is_replaced_stripped_or_left(policy: ValuePolicy, text: str) -> None:
    value, changes = adapted(document({"x": ["a\0b"]}), on_nul=policy)
    assert value == {"x": [text]}
    noted = [Change("s", "s.run-0", "run_data.x[0]", "nul", '"a\\u0000b"')]
    assert changes == ([] if policy is FAIL else noted)


def test_half_a_character_and_a_nul_in_one_text_are_both_noted() -> None:
    value, changes = adapted(document("\0\ud800"), on_nul=STRIP, on_surrogate=REPLACE)
    assert value == "\ufffd"
    assert [one.kind for one in changes] == ["nul", "surrogate"]


def test_a_pair_of_halves_is_a_whole_character() -> None:
    value, changes = adapted(Document(rb'"\ud83d\ude00"'), on_surrogate=STRIP)
    assert (value, changes) == ("\N{GRINNING FACE}", [])


@pytest.mark.parametrize(
    ("policy", "values"), [(REPLACE, ["NaN", "Infinity", "-Infinity"]), (STRIP, [None] * 3)]
)
def test_what_is_no_number_becomes_its_name_or_null(
    policy: ValuePolicy, values: list[object]
) -> None:
    value, changes = adapted(Document(b"[NaN, 1e400, -Infinity]"), on_nan=policy)
    assert value == values
    assert [one.before for one in changes] == ["NaN", "Infinity", "-Infinity"]


def test_two_keys_do_not_become_one() -> None:
    value, changes = adapted(document({"a\0": 1, "a": 2, "\0a": 3}), on_nul=STRIP)
    assert value == {"a_": 1, "a": 2, "a__": 3}
    assert len(changes) == 2


def test_what_the_target_can_hold_is_not_touched() -> None:
    text = Document(b'{"a": "x\\u0000y", "b": NaN, "c": 1.50}')
    bundle = SessionBundle(sample_session("s"), (sample_run("s", 0, run_data=text),))
    everything = TransferOptions(on_nul=STRIP, on_surrogate=STRIP, on_nan=STRIP)
    adapter = Adapter(Capabilities(), everything)
    assert not adapter.does_anything
    assert adapter.adapt(bundle) == bundle


def test_ids_and_other_columns_are_never_changed() -> None:
    session = sample_session("a\0b", user_id="c\0d", session_data=document("\0"))
    changes: list[Change] = []
    adapter = Adapter(NOTHING, TransferOptions(on_nul=STRIP))
    found = adapter.adapt(SessionBundle(session, ()), changes).session
    assert (found.session_id, found.user_id) == ("a\0b", "c\0d")
    assert found.session_data == document("")
    assert [(one.run_id, one.json_path) for one in changes] == [(None, "session_data")]


def test_what_is_not_json_is_left_for_the_target_to_refuse() -> None:
    text = Document(b'{"a": "half \\u0000')
    bundle = SessionBundle(sample_session("s"), (sample_run("s", 0, run_data=text),))
    assert Adapter(NOTHING, TransferOptions(on_nul=STRIP)).adapt(bundle) == bundle
