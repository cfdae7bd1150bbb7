"""Values a backend cannot hold are found before they are written, with their place and the reason."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from agnocli import codec
from agnocli.abc import Capabilities
from agnocli.errors import RecordRejectedError
from agnocli.layout.portable import reject_unholdable
from agnocli.records import Document
from agnocli.testing.records import sample_run, sample_session

NOTHING = Capabilities(
    keeps_json_text=False,
    holds_nul=False,
    holds_surrogates=False,
    holds_nan=False,
    holds_big_integers=False,
    holds_nul_in_ids=False,
    max_id_length=20,
    max_document_bytes=2000,
    max_depth=6,
)


def deep(levels: int) -> Any:
    return [deep(levels - 1)] if levels > 1 else []


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"a": ["x\0y"]}, r"run_data.a\[0\]", "NUL"),
        ({"a\0": 1}, r"run_data.'a\\x00' \(the key\)", "NUL"),
        ({"a": "\ud800"}, "run_data.a", "surrogate"),
        ({"a": {"b": float("nan")}}, "run_data.a.b", "nan"),
        ({"a": float("-inf")}, "run_data.a", "inf"),
        ({"a": 2**63}, "run_data.a", "64 bit"),
        ({"a": -(2**63) - 1}, "run_data.a", "64 bit"),
        ({"a": "x" * 2000}, "run_data", "bytes"),
        ({"a": deep(6)}, r"run_data.a\[0\]\[0\]\[0\]\[0\]\[0\]", "6 levels"),
    ],
)
def test_a_value_is_found_with_its_path_and_reason(value: Any, path: str, reason: str) -> None:
    run = replace(sample_run("s", 0), run_data=codec.encode(value))
    with pytest.raises(RecordRejectedError, match=f"{path} .*{reason}"):
        reject_unholdable(run, NOTHING)
    reject_unholdable(run, Capabilities())


def test_a_backend_may_hold_nul_in_values_and_not_in_keys() -> None:
    can = Capabilities(holds_nul_in_keys=False)
    reject_unholdable(replace(sample_run("s", 0), run_data=codec.encode({"a": "x\0y"})), can)
    keyed = replace(sample_run("s", 0), run_data=codec.encode({"a": [{"x\0y": 1}]}))
    with pytest.raises(RecordRejectedError, match=r"'x\\x00y' \(the key\) holds a NUL"):
        reject_unholdable(keyed, can)


@pytest.mark.parametrize(
    "value",
    [
        {"a": "the text \\u0000, not the character"},
        {"a": "😀 \ue000"},
        {"a": "NaN and Infinity, spelled"},
        {"a": 2**63 - 1, "b": -(2**63), "c": 1e99},
        {"a": "1234567890123456789012"},
        {"a": deep(5)},
        {"a": "[[[[[[[[[[[[[[["},
    ],
)
def test_what_only_looks_like_it_passes(value: Any) -> None:
    reject_unholdable(replace(sample_run("s", 0), run_data=codec.encode(value)), NOTHING)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"session_id": "x\0"}, "session_id holds a NUL"),
        ({"user_id": "\udc80"}, "user_id holds a lone surrogate"),
        ({"agent_id": "é" * 21}, "agent_id has 21 characters"),
        ({"created_at": 2**63}, "created_at is an integer"),
        ({"summary": Document(b"{not json")}, "summary is not JSON"),
    ],
)
def test_columns_are_looked_at_too(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordRejectedError, match=reason):
        reject_unholdable(replace(sample_session("s"), **changes), NOTHING)


def test_what_is_not_json_passes_where_text_is_kept() -> None:
    broken = replace(sample_session("s"), summary=Document(b"{not json"))
    reject_unholdable(broken, replace(NOTHING, keeps_json_text=True))
