from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from msgspec.structs import replace

from agnocli import codec, messages
from agnocli.abc import Capabilities
from agnocli.records import NULL, RUN_COLUMNS, SESSION_COLUMNS, SESSION_DOCUMENTS, Document
from agnocli.testing.records import (
    comparable,
    sample_bundle,
    sample_run,
    sample_session,
)


def test_columns_are_agnos_in_agnos_order() -> None:
    ids = ("agent_id", "team_id", "workflow_id", "user_id")
    times = ("created_at", "updated_at")
    assert ("session_id", "session_type", *ids, *SESSION_DOCUMENTS, *times) == SESSION_COLUMNS
    facts = ("parent_run_id", "status", "run_index", "run_data")
    assert ("run_id", "session_id", "run_type", *ids, *facts, *times) == RUN_COLUMNS


@pytest.mark.parametrize("record", [sample_session(), sample_run()], ids=["session", "run"])
def test_a_record_cannot_be_changed(record: object) -> None:
    with pytest.raises((AttributeError, FrozenInstanceError)):
        record.user_id = "bob"  # type: ignore[attr-defined]


def test_sample_documents_are_json_of_the_shape_agno_writes() -> None:
    session, runs = sample_bundle("s", 2, name="Walk")
    assert codec.members(session.session_data)["session_name"] == "Walk"
    assert [one.role for run in runs for one in messages.messages(run)] == ["user", "assistant"] * 2
    assert [codec.members(run.run_data)["run_id"] for run in runs] == [run.run_id for run in runs]


def test_sample_runs_belong_to_their_session_and_have_ids_of_their_own() -> None:
    runs = [run for name in "ab" for run in sample_bundle(name, 3).runs]
    assert [run.session_id for run in runs] == ["a"] * 3 + ["b"] * 3
    assert len({run.run_id for run in runs}) == 6


def test_records_compare_by_value_where_text_is_not_kept() -> None:
    one = sample_session(metadata=Document(b'{"a": 1, "b": 2}'), extra={"x": None})
    other = sample_session(metadata=Document(b'{"b":2,"a":1.0}'))
    keeps, loses = Capabilities(), Capabilities(keeps_json_text=False)
    assert comparable(one, keeps) != comparable(other, keeps)
    assert comparable(one, loses) == comparable(other, loses)
    for change in (None, NULL, Document(b'{"a": 1}')):
        changed = replace(other, metadata=change)
        assert comparable(one, loses) != comparable(changed, loses)
