"""What every part of the contract suite starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol

import pytest

from agnocli.abc import Backend, Capabilities
from agnocli.records import Session, SessionBundle
from agnocli.testing.records import Whole, comparable, contents, whole

Part = Literal["session", "run", "old runs"]
"""Of what is stored of a session: its own record, its last run's, the runs that Agno 2 left in its own."""


class BackendHarness(Protocol):
    """How the suite gets at a kind of backend. One harness serves one test."""

    def open(self) -> Backend:
        """A backend on a place of this test's own, where nothing was ever stored."""

    def reopen(self) -> Backend | None:
        """A second one on the same place; None when what it holds is not durable."""

    def read_only(self) -> Backend:
        """A read-only one on the same place; on an empty one when what it holds is not durable."""

    def opener(self) -> Callable[[], Backend] | None:
        """`reopen` for another process: it can be pickled."""

    def add_column(self, table: Literal["sessions", "runs"], name: str) -> None:
        """Give the place a column of text that is not Agno's, where columns must be declared."""

    def lose_session(self, session_id: str) -> bool:
        """Take the record of a session away and leave its runs, as a crash does; False where there is no such thing."""

    def damage(self, session_id: str, part: Part) -> bytes | None:
        """Spoil what is stored of a session such that it cannot be read; bytes that stand there then, or None where
        that part cannot be spoilt so."""

    def fingerprint(self) -> Mapping[str, str]:
        """What lies at the place, in a form that differs when a byte does; empty when nothing does."""

    def close(self) -> None:
        """Leave nothing behind."""


class Suite:
    """Base of the parts. Inherit from `BackendSuite` and give it a fixture `harness`."""

    @pytest.fixture
    def untouched(self, harness: BackendHarness) -> Iterator[Backend]:
        """Never set up."""
        with harness.open() as backend:
            yield backend

    @pytest.fixture
    def backend(self, untouched: Backend) -> Backend:
        """Set up and empty."""
        untouched.setup()
        return untouched

    @pytest.fixture
    def capabilities(self, untouched: Backend) -> Capabilities:
        return untouched.capabilities

    @pytest.fixture
    def another(self, backend: Backend, harness: BackendHarness) -> Iterator[Backend]:
        """A second backend on the same place, where there can be one; else the first again."""
        second = harness.reopen()
        if second is None:
            yield backend
        else:
            with second:
                yield second


def everything(backend: Backend) -> dict[str, Whole]:
    return contents(backend, backend.capabilities)


def given(*bundles: SessionBundle, by: Backend) -> dict[str, Whole]:
    """What `everything` is to return when just these are stored. Their runs must not be one-shot."""
    return {bundle.session.session_id: whole(bundle, by.capabilities) for bundle in bundles}


def same(found: Session, wanted: Session, backend: Backend) -> bool:
    return comparable(found, backend.capabilities) == comparable(wanted, backend.capabilities)
