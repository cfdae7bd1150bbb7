"""Sessions that storage is known to lose, cut, merge or change, to be moved from one place to another."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from agnocli.abc import Capabilities
from agnocli.layout.portable import misfit
from agnocli.records import SESSION_DOCUMENTS, Document, SessionBundle
from agnocli.testing.records import EPOCH, document, run_document, sample_bundle, sample_run
from agnocli.testing.values_suite import HARD, held

IDS = (
    "Abc",
    "abc",
    "abc ",
    "a:b",
    "a*",
    "a?",
    "[x]",
    "index:foo",
    "x%y_z",
    "é",
    "e\u0301",
    "\N{GRINNING FACE}",
    "مرحبا",
    "\u202ertl",
    "a/../b",
    "'; DROP TABLE agno_sessions; --",
    "x" * 128,
    "x" * 129,
    "nul\0inside",
    " ",
)
TIMES: tuple[dict[str, Any], ...] = (
    {"updated_at": None},
    {"updated_at": EPOCH - 5, "created_at": EPOCH},
    {"updated_at": 4_102_444_800, "created_at": EPOCH},
    {"updated_at": EPOCH * 1000, "created_at": EPOCH * 1000},
    {"updated_at": EPOCH, "created_at": EPOCH},
    {"created_at": 0, "updated_at": 0},
)
WORDS = (
    "plan",
    "café",
    "数据库",
    "🚀",
    'a "quote"',
    "back\\slash",
    "line\nbreak",
    "\x1b[31mred",
    "\f",
)


def tricky_sessions(count: int, *, seed: int = 7) -> Iterator[SessionBundle]:
    """So many; the first hold every case once, in an order that is shuffled but always the same."""
    rnd = random.Random(seed)
    cases = [*_cases()]
    rnd.shuffle(cases)
    yield from cases[:count]
    for number in range(len(cases), count):
        yield _ordinary(f"ordinary-{number:04}", rnd)


def holdable(bundle: SessionBundle, *places: Capabilities) -> bool:
    """Whether all of these can hold a session unchanged."""
    ids = [bundle.session.session_id, *(run.run_id for run in bundle.runs)]
    return all(
        misfit(bundle, can) is None
        and not any(one.startswith(can.reserved_id_prefixes) for one in ids)
        and all(held(hard, can) for hard in HARD.values() if _has(bundle, hard.text))
        for can in places
    )


def _has(bundle: SessionBundle, text: bytes) -> bool:
    documents = [getattr(bundle.session, name) for name in SESSION_DOCUMENTS]
    return text in [*documents, *(run.run_data for run in bundle.runs)]


def _cases() -> Iterator[SessionBundle]:
    for session_id in IDS:
        yield sample_bundle(session_id, 2)
    for number, times in enumerate(TIMES):
        yield sample_bundle(f"time-{number}", 1, **times)
    for number, (name, hard) in enumerate(HARD.items()):
        text = Document(hard.text)
        large = len(text) > 2**19  # six of them, escaped twice, would not fit into one statement
        columns: dict[str, Any] = dict.fromkeys(
            SESSION_DOCUMENTS[:1] if large else SESSION_DOCUMENTS, text
        )
        session = replace(sample_bundle(f"hard-{number}: {name}").session, **columns)
        runs = (
            sample_run(session.session_id, 0),
            sample_run(session.session_id, 1, run_data=text),
        )
        yield SessionBundle(session, runs)
    yield from _shapes()


def _shapes() -> Iterator[SessionBundle]:
    """Sessions whose rows are odd, rather than their documents."""
    yield sample_bundle("no runs", 0)
    yield sample_bundle("many runs", 300)
    nulls: dict[str, Any] = dict.fromkeys(SESSION_DOCUMENTS)
    yield sample_bundle("all NULL", 1, **nulls)
    yield sample_bundle("JSON null", 1, **dict.fromkeys(SESSION_DOCUMENTS, document(None)))
    tied = [(None, "b"), (None, "a"), (0, "d"), (4, "y"), (4, "x"), (4, "z")]
    runs = (sample_run("tied", 0, run_id=f"tied.{one}", run_index=index) for index, one in tied)
    ordered = sorted(runs, key=lambda run: (run.run_index is not None, run.run_index, run.run_id))
    yield SessionBundle(sample_bundle("tied").session, tuple(ordered))
    for kind in ("team", "workflow", "agent"):
        owner: dict[str, Any] = {f"{kind}_id": kind, f"{kind}_data": document({"name": kind})}
        yield sample_bundle(f"a {kind}'s", 1, session_type=kind, **{"agent_id": None, **owner})
    member = sample_run("team run", 1, parent_run_id="team run.run-0", run_type="agent")
    yield SessionBundle(
        sample_bundle("team run", session_type="team", team_id="desk").session,
        (sample_run("team run", 0, run_type="team", team_id="desk"), member),
    )
    for status in ("RUNNING", "PAUSED", "CANCELLED", "ERROR", None):
        yield SessionBundle(
            sample_bundle(f"status {status}").session,
            (sample_run(f"status {status}", 0, status=status, updated_at=None),),
        )
    yield sample_bundle("nobody's", 2, user_id=None, agent_id=None)
    yield sample_bundle("another user's", 2, user_id="bob")


def _ordinary(session_id: str, rnd: random.Random) -> SessionBundle:
    bundle = sample_bundle(session_id, rnd.randrange(5), name=rnd.choice(WORDS))
    runs = tuple(
        replace(
            run,
            run_data=run_document(
                run.run_id, rnd.choice(WORDS), " ".join(rnd.choices(WORDS, k=40))
            ),
        )
        for run in bundle.runs
    )
    return SessionBundle(bundle.session, runs)
