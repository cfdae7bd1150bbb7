"""Whatever is stored comes back from a file as it was, and makes the same bytes again."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from agnocli.errors import RecordRejectedError
from agnocli.formats.registry import open_file
from agnocli.records import NULL, SESSION_DOCUMENTS, Document, SessionBundle
from agnocli.testing.file_base_suite import FileSuite, exported, read
from agnocli.testing.records import sample_bundle, sample_run, sample_session
from agnocli.testing.values_suite import HARD

DOCUMENTS = {name: hard.text for name, hard in HARD.items() if len(hard.text) < 100_000} | {
    "raw bytes that are no text": b'{"a": "\xff\xfe"}',
    "raw surrogates": b'{"a": "\xed\xa0\xbd\xed\xb8\x80"}',
    "a raw NUL": b'{"a": "\x00"}',
    "pretty printed": b'{\n  "a": [\n    1\n  ]\n}\n',
    "line ends of Windows": b'{"a":\r\n1}',
    "tabs": b'{\t"a":\t1}',
    "a blank in front": b' {"a": 1}',
    "a blank behind": b'{"a": 1} ',
    "only blanks": b" ",
    "a raw line end in a text": b'{"a": "x\ny"}',
    "JSON null": b"null",
    "null in blanks": b" null ",
    "looks like a row": b'{"run_data": {}, "runs": [], "sha256": "", "exact": {"run_data": "x"}}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "128 levels": b'{"a":' * 128 + b"1" + b"}" * 128,
    "129 levels": b'{"a":' * 129 + b"1" + b"}" * 129,
    "many shallow ones": b"[" + b",".join([b'{"a": []}'] * 500) + b"]",
}

EXTRA: Mapping[str, object] = {
    "none": None,
    "text": "é\N{GRINNING FACE}\u2028\x00\n\t",
    "half a pair": "x\ud800y",
    "two halves": "\ud83d\ude00",
    "true": True,
    "integer": 2**70,
    "digits": 10**4000,
    "float": 0.1,
    "minus zero": -0.0,
    "nan": float("nan"),
    "infinity": float("-inf"),
    "bytes": b"\x00\xff",
    "empty": b"",
    "decimal": Decimal("1.10"),
    "moment": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC),
    "local": datetime.datetime(2026, 1, 2),  # noqa: DTZ001 - drivers give such
    "day": datetime.date(2026, 1, 2),
    "time": datetime.time(3, 4, 5),
    "span": datetime.timedelta(days=-1, microseconds=7),
    "uuid": UUID(int=7),
    "list": [1, [b"x", None], {"a": b"y"}],
    "tuple": (1, (2,)),
    "$bytes": {"$bytes": "AA=="},
    "keys": {1: "a", "b": {2.5: b"c"}, "\ud800": 1},
    "": {},
    "runs": [],
    "session_id": "of its own",
}


class FileValuesSuite(FileSuite):
    def check_kept(self, bundle: SessionBundle, path: Path) -> None:
        """Between two others, so that nothing spills over."""
        bundles = [sample_bundle("before"), bundle, sample_bundle("behind")]
        first = exported(bundles, path)
        found = read(open_file(str(path)))
        assert repr(found) == repr(bundles)  # NaN is not itself, and 1 is True
        assert exported(found, path) == first
        assert repr(read(open_file(str(path), edited=True))) == repr(bundles)

    @pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
    def test_a_document_is_kept_to_the_byte_in_every_column(self, path: Path, text: bytes) -> None:
        columns: dict[str, Any] = dict.fromkeys(SESSION_DOCUMENTS, Document(text))
        runs = (sample_run("s", 0, run_data=Document(text)), sample_run("s", 1))
        self.check_kept(SessionBundle(sample_session("s", **columns), runs), path)

    def test_the_two_kinds_of_null_stay_what_they_are(self, path: Path) -> None:
        session = sample_session("s", summary=NULL, metadata=None, session_data=None)
        run = sample_run("s", 0, run_index=None, updated_at=None, run_data=NULL)
        zero = sample_run("s", 1, run_index=0, created_at=0, status="", user_id="null")
        self.check_kept(SessionBundle(session, (run, zero)), path)

    @pytest.mark.parametrize("name", EXTRA)
    def test_a_column_that_is_not_agnos_is_kept_with_its_type(self, path: Path, name: str) -> None:
        extra = {name: EXTRA[name], "another": "x"}
        run = sample_run("s", 0, extra=extra)
        self.check_kept(SessionBundle(sample_session("s", extra=extra), (run,)), path)

    @pytest.mark.parametrize("depth", [200, 5000])
    def test_a_column_that_is_nested_too_deeply_is_rejected(self, path: Path, depth: int) -> None:
        value: object = 1
        for _ in range(depth):
            value = [value]
        with pytest.raises(RecordRejectedError, match="extra is nested too deeply"):
            open_file(str(path)).write([sample_bundle("s", extra={"deep": value})])
        assert not path.exists()

    def test_a_value_no_file_can_hold_is_rejected_by_its_type(self, path: Path) -> None:
        bundle = sample_bundle("s", extra={"odd": object()})
        with pytest.raises(RecordRejectedError) as caught:
            open_file(str(path)).write([sample_bundle("fine"), bundle])
        assert (caught.value.session_id, caught.value.json_path) == ("s", "extra")
        assert "object" in caught.value.reason
        assert not path.exists()

    @pytest.mark.parametrize(
        "text", ["", " ", "null", "a\tb\nc\r", "\x00", "\ud800", "\ud83d\ude00", '"\\', "\u2028é"]
    )
    def test_ids_and_texts_may_be_anything(self, path: Path, text: str) -> None:
        columns: dict[str, Any] = dict.fromkeys(
            ("agent_id", "team_id", "workflow_id", "user_id"), text
        )
        run = replace(sample_run("s"), run_id=text, session_id=text, parent_run_id=text, **columns)
        session = sample_session("s", session_type=text, **columns)
        self.check_kept(SessionBundle(session, (run,)), path)
        self.check_kept(sample_bundle(text), path)

    @pytest.mark.parametrize("odd", [b"\x00", 1.5, True, "later", Decimal(1)])
    def test_a_column_of_the_wrong_type_is_kept(self, path: Path, odd: Any) -> None:
        run = sample_run("s", 0, user_id=odd, run_index=odd, updated_at=odd)
        self.check_kept(SessionBundle(sample_session("s", user_id=odd), (run,)), path)

    @pytest.mark.parametrize("moment", [0, -1, 1_760_000_000_000, 2**63, 10**4000])
    def test_odd_times_are_kept(self, path: Path, moment: int) -> None:
        run = sample_run("s", 0, created_at=moment, updated_at=moment, expires_at=1)
        session = sample_session("s", created_at=moment, expires_at=1_760_000_000_123)
        self.check_kept(SessionBundle(session, (run,)), path)

    def test_an_integer_of_any_length_is_kept(self, path: Path) -> None:
        run = sample_run("s", created_at=-(10**5000), extra={"digits": 10**5000})
        exported([SessionBundle(sample_session("s"), (run,))], path)
        ((_, (found,)),) = read(open_file(str(path)))
        assert (found.created_at, found.extra["digits"]) == (-(10**5000), 10**5000)

    def test_runs_keep_their_order_whatever_their_index(self, path: Path) -> None:
        indexes = [3, None, 3, 0, None]
        runs = tuple(sample_run("s", n, run_index=index) for n, index in enumerate(indexes))
        self.check_kept(SessionBundle(sample_session("s"), runs), path)

    def test_sessions_keep_their_order(self, path: Path) -> None:
        names = ["b", "a", "ä", "A", "10", "9"]
        exported([sample_bundle(name) for name in names], path)
        assert [one.session.session_id for one in read(open_file(str(path)))] == names

    def test_no_session_at_all_is_a_whole_file(self, path: Path) -> None:
        exported([], path)
        assert read(open_file(str(path))) == []
        assert open_file(str(path)).check() == (0, 0, None)
        assert read(open_file(str(path), edited=True)) == []
