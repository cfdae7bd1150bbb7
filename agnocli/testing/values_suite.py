"""Values that storage likes to change, lose or choke on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from agnocli import canonical, codec
from agnocli.abc import Backend, Capabilities, SessionQuery
from agnocli.errors import AgnoCLIError, RecordRejectedError, SessionNotFoundError
from agnocli.records import SESSION_DOCUMENTS, Document, SessionBundle
from agnocli.testing.base_suite import BackendHarness, Suite, everything, given
from agnocli.testing.records import document, sample_bundle, sample_run, sample_session


class Hard(NamedTuple):
    """A document, the capabilities it takes to hold it, between blanks, and how deep it is nested."""

    text: bytes
    needs: str | None = None
    depth: int = 0


HARD = {
    "NUL": Hard(rb'{"a": "x\u0000y"}', "holds_nul"),
    "NUL in a key": Hard(rb'{"x\u0000y": 1}', "holds_nul holds_nul_in_keys"),
    "NUL spelled out": Hard(rb'{"a": "x\\u0000y"}'),
    "control characters": Hard(rb'{"a": "\u0001\u001b[31m\u007f\u0085\f\b\t\r\n"}'),
    "lone surrogate": Hard(rb'{"a": "x\ud800y"}', "holds_surrogates"),
    "lone surrogates": Hard(rb'{"\udfff": ["\udc00\ud800"]}', "holds_surrogates"),
    "surrogate pair": Hard(rb'{"a": "\ud83d\ude00"}'),
    "noncharacters": Hard(rb'{"a": "\ufffe\uffff\ufdd0\ufeff"}'),
    "raw characters": Hard('{"é": "\N{GRINNING FACE}\u2028e\u0301\u202e"}'.encode()),
    "NaN": Hard(b'{"a": NaN}', "holds_nan"),
    "infinity": Hard(b'{"a": [Infinity, -Infinity]}', "holds_nan"),
    "1e400": Hard(b'{"a": 1e400}', "holds_nan"),
    "2**53 + 1": Hard(b'{"a": 9007199254740993}'),
    "2**63 - 1": Hard(b'{"a": [9223372036854775807, -9223372036854775808]}'),
    "2**64": Hard(b'{"a": 18446744073709551616}', "holds_big_integers"),
    "2**70": Hard(b'{"a": 1180591620717411303424}', "holds_big_integers"),
    "5,000 digits": Hard(b'{"a": -' + b"7" * 5000 + b"}", "holds_big_integers"),
    "doubles written out": Hard(
        b'{"a": [1' + b"0" * 23 + b", -17976931348623157" + b"0" * 292 + b"]}"
    ),
    "floats": Hard(b'{"a": [0.1, -0.5, 1e-300, 1.7976931348623157e308, 0.30000000000000004]}'),
    "numbers spelled oddly": Hard(b'{"a": [1.0, 1e0, -0, 1.50, 10E+2]}'),
    "repeated keys": Hard(b'{"a": 1, "b": 2, "a": 3}'),
    "blanks and key order": Hard(b' {"b" :1,\n\t"a":[ ] , "aa": { } } '),
    "awkward keys": Hard(b'{"a.b": 1, "$set": {"$a": 2}, "": 3, "__proto__": 4, "a b": {"": 5}}'),
    "JSON in a string": Hard(rb'{"a": "{\"b\": \"null\"}", "c": "null", "d": "1"}'),
    "empty things": Hard(b'{"a": {}, "b": [], "c": "", "d": null, "e": false, "f": 0}'),
    "30 levels": Hard(b'{"a":' * 30 + b"1" + b"}" * 30),
    "90 levels": Hard(b'{"a":' * 90 + b"1" + b"}" * 90, depth=90),
    "20,000 levels": Hard(b"[" * 20_000 + b"]" * 20_000, "keeps_json_text"),
    "not JSON": Hard(b'{"a": "half', "keeps_json_text"),
    "nothing at all": Hard(b"", "keeps_json_text"),
    "an empty object": Hard(b"{}"),
    "an array": Hard(b'[1, {"a": 2}, "x"]'),
    "a text": Hard(b'"just text"'),
    "a number": Hard(b"42"),
    "false": Hard(b"false"),
    "1 MB": Hard(b'{"content": "' + "aé\\n".encode() * 262_144 + b'"}'),
}

DOORS: dict[str, Callable[[Backend, Document], object]] = {
    "write a session": lambda backend, hard: backend.write(
        [SessionBundle(sample_session("new", session_data=hard), ())]
    ),
    "write a run": lambda backend, hard: backend.write(
        [SessionBundle(sample_session("new"), (sample_run("new", 0, run_data=hard),))]
    ),
    "append_run": lambda backend, hard: backend.append_run(sample_run("old", 2, run_data=hard)),
    "put_run": lambda backend, hard: backend.put_run(sample_run("old", 1, run_data=hard)),
    "update": lambda backend, hard: backend.update("old", {"metadata": hard}),
}


def held(hard: Hard, capabilities: Capabilities) -> bool:
    if capabilities.max_depth is not None and hard.depth > capabilities.max_depth:
        return False
    return all(getattr(capabilities, one) for one in (hard.needs or "").split())


def equal(found: Document | None, wanted: bytes, capabilities: Capabilities) -> bool:
    if capabilities.keeps_json_text or found is None:
        return found == wanted
    return canonical.digest([found]) == canonical.digest([Document(wanted)])


class ValuesSuite(Suite):
    @pytest.mark.parametrize("hard", HARD.values(), ids=HARD)
    def test_a_document_is_kept_in_every_column_or_rejected(
        self, backend: Backend, hard: Hard
    ) -> None:
        columns: dict[str, Any] = dict.fromkeys(SESSION_DOCUMENTS, Document(hard.text))
        runs = (sample_run("s", 0), sample_run("s", 1, run_data=Document(hard.text)))
        bundle = SessionBundle(sample_session("s", **columns), runs)
        if not held(hard, backend.capabilities):
            self.check_rejected(backend, bundle)
            return
        backend.write([bundle])
        session, (_, run) = backend.get("s"), backend.runs("s")
        for name in SESSION_DOCUMENTS:
            assert equal(getattr(session, name), hard.text, backend.capabilities), name
        assert equal(run.run_data, hard.text, backend.capabilities)
        assert [info.session_id for info in backend.find(SessionQuery()).items] == ["s"]
        assert backend.write([bundle]).identical == ("s",)

    def check_rejected(self, backend: Backend, bundle: SessionBundle) -> None:
        backend.write([sample_bundle("other")])
        with pytest.raises(RecordRejectedError) as caught:
            backend.write([bundle])
        assert caught.value.session_id == "s"
        assert caught.value.json_path
        assert everything(backend) == given(sample_bundle("other"), by=backend)

    @pytest.mark.parametrize("door", DOORS)
    @pytest.mark.parametrize("hard", HARD.values(), ids=HARD)
    def test_every_way_in_keeps_a_document_or_rejects_it(
        self, backend: Backend, hard: Hard, door: str
    ) -> None:
        backend.write([sample_bundle("old")])
        if not held(hard, backend.capabilities):
            with pytest.raises(RecordRejectedError):
                DOORS[door](backend, Document(hard.text))
            assert everything(backend) == given(sample_bundle("old"), by=backend)
            return
        DOORS[door](backend, Document(hard.text))
        stored = self.all_documents(backend)
        assert any(equal(one, hard.text, backend.capabilities) for one in stored)

    def all_documents(self, backend: Backend) -> list[Document]:
        found: list[Document | None] = []
        for _, bundle in backend.scan():
            found += [getattr(bundle.session, name) for name in SESSION_DOCUMENTS]
            found += [run.run_data for run in bundle.runs]
        return [one for one in found if one is not None]

    @pytest.mark.parametrize(
        "text",
        ["", " ", "Bob", "bob ", "\u00e9", "\N{GRINNING FACE}", "a'b\"c%d_e", "null", "0", "\n"],
    )
    def test_text_columns_keep_their_text(self, backend: Backend, text: str) -> None:
        names = ("user_id", "agent_id", "team_id", "workflow_id", "session_type")
        columns: dict[str, Any] = dict.fromkeys(names, text)
        run = sample_run("s", 0, user_id=text, parent_run_id=text, status=text, run_type=text)
        bundle = SessionBundle(sample_session("s", **columns), (run,))
        other = SessionBundle(sample_session("t", user_id=None), ())
        backend.write([bundle, other])
        assert everything(backend) == given(bundle, other, by=backend)
        found = backend.find(SessionQuery(user_id=text)).items
        assert [info.session_id for info in found] == ["s"]

    @pytest.mark.parametrize("moment", [0, -1, 1_760_000_000_000, 2**53 + 1])
    def test_odd_times_are_kept(self, backend: Backend, moment: int) -> None:
        run = sample_run("s", 0, created_at=moment, updated_at=moment)
        session = sample_session("s", created_at=moment, updated_at=moment)
        bundle = SessionBundle(session, (run,))
        backend.write([bundle])
        assert everything(backend) == given(bundle, by=backend)

    @pytest.mark.parametrize("bad", ["x\ud800y", "\udc80", "\x00", "x\x00y"])
    def test_an_id_that_cannot_be_held_is_rejected_whole(self, backend: Backend, bad: str) -> None:
        backend.write([sample_bundle("other")])
        holds = "\x00" in bad and backend.capabilities.holds_nul
        if holds:
            backend.write([sample_bundle(bad)])
            assert everything(backend) == given(
                sample_bundle("other"), sample_bundle(bad), by=backend
            )
            assert backend.delete([bad]) == 1
            return
        run = sample_run("other", 2, run_id=bad)
        for write in (
            lambda: backend.write([sample_bundle(bad, 0)]),
            lambda: backend.write(
                [SessionBundle(sample_session("s"), [replace(run, session_id="s")])]
            ),
            lambda: backend.append_run(run),
        ):
            with pytest.raises(RecordRejectedError):
                write()
        assert everything(backend) == given(sample_bundle("other"), by=backend)

    def test_an_id_that_is_reserved_is_rejected_whole(self, backend: Backend) -> None:
        backend.write([sample_bundle("other")])
        for prefix in backend.capabilities.reserved_id_prefixes:
            run = sample_run("other", 2, run_id=f"{prefix}x")
            stolen = replace(run, session_id="s")
            for write in (
                lambda bad=f"{prefix}x": backend.write([sample_bundle(bad, 0)]),
                lambda bad=stolen: backend.write([SessionBundle(sample_session("s"), [bad])]),
                lambda bad=run: backend.append_run(bad),
            ):
                with pytest.raises(RecordRejectedError):
                    write()
            with pytest.raises(SessionNotFoundError):
                backend.get(f"{prefix}x")
        assert everything(backend) == given(sample_bundle("other"), by=backend)

    @pytest.mark.parametrize("verb", ["get", "runs", "delete", "find"])
    def test_an_id_that_cannot_exist_is_not_found(self, backend: Backend, verb: str) -> None:
        backend.write([sample_bundle("other")])
        if verb == "find":
            assert backend.find(SessionQuery(id_prefix="o\ud800")).items == ()
            return
        argument = ["o\ud800"] if verb == "delete" else "o\ud800"
        with pytest.raises(SessionNotFoundError):
            getattr(backend, verb)(argument)

    def test_columns_that_are_not_agnos_survive_every_write(
        self, backend: Backend, harness: BackendHarness
    ) -> None:
        harness.add_column("sessions", "tenant")
        harness.add_column("runs", "trace")
        if not backend.capabilities.keeps_extra_columns:
            return
        session = sample_session("s", extra={"tenant": "acme"})
        run = sample_run("s", 0, extra={"trace": "t-1"})
        backend.write([SessionBundle(session, (run,)), sample_bundle("plain")])
        wanted = given(SessionBundle(session, (run,)), sample_bundle("plain"), by=backend)
        assert everything(backend) == wanted
        backend.update("s", {"user_id": "bob"})
        backend.append_run(sample_run("s", 1))
        backend.put_run(sample_run("s", 0, status="ERROR"))
        backend.delete_runs("s", ["s.run-1"])
        assert dict(backend.get("s").extra) == {"tenant": "acme"}
        (kept,) = backend.runs("s")
        assert dict(kept.extra) == {"trace": "t-1"}
        assert kept.status == "ERROR"

    def test_a_column_that_a_place_has_not_is_kept_or_rejected(self, backend: Backend) -> None:
        bundle = SessionBundle(sample_session("s", extra={"no_such_column": "x"}), ())
        try:
            backend.write([bundle])
        except RecordRejectedError as error:
            assert "no_such_column" in str(error)
            assert everything(backend) == {}
        else:
            assert everything(backend) == given(bundle, by=backend)

    def test_an_error_is_one_line_fit_to_show(self, backend: Backend) -> None:
        backend.write([sample_bundle("a\nb")])
        for attempt in (
            lambda: backend.get("no\nbody"),
            lambda: backend.append_run(sample_run("a\nb", 0)),
            lambda: backend.delete_runs("a\nb", ["x\ny"]),
        ):
            with pytest.raises(AgnoCLIError) as caught:
                attempt()
            assert "\n" not in str(caught.value)

    def test_keys_nobody_knows_stay_in_their_documents(self, backend: Backend) -> None:
        data = document({"run_id": "s.run-0", "future": {"deep": [1, {"x": None}]}, "messages": []})
        bundle = SessionBundle(
            sample_session("s", metadata=data), (sample_run("s", run_data=data),)
        )
        backend.write([bundle])
        assert codec.decode(next(backend.runs("s")).run_data) == codec.decode(data)
        assert codec.members(backend.get("s").metadata) == codec.decode(data)
