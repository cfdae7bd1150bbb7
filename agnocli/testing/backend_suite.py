"""The contract of `agnocli.abc.Backend`, as tests.

    class TestMyBackend(BackendSuite):
        @pytest.fixture
        def harness(self, tmp_path): ...        # a BackendHarness

For readable failures put `pytest.register_assert_rewrite("agnocli.testing")` into a conftest.py, before the import.
"""

from __future__ import annotations

from agnocli.testing.audit_suite import AuditSuite
from agnocli.testing.base_suite import BackendHarness
from agnocli.testing.concurrency_suite import ConcurrencySuite
from agnocli.testing.editing_suite import EditingSuite
from agnocli.testing.erasing_suite import ErasingSuite
from agnocli.testing.finding_suite import FindingSuite
from agnocli.testing.lifecycle_suite import LifecycleSuite
from agnocli.testing.marking_suite import MarkingSuite
from agnocli.testing.noting_suite import NotingSuite
from agnocli.testing.reading_suite import ReadingSuite
from agnocli.testing.salvage_suite import SalvageSuite
from agnocli.testing.scale_suite import ScaleSuite
from agnocli.testing.values_suite import ValuesSuite
from agnocli.testing.writing_suite import WritingSuite


class BackendSuite(
    LifecycleSuite,
    ReadingSuite,
    FindingSuite,
    MarkingSuite,
    NotingSuite,
    WritingSuite,
    EditingSuite,
    ErasingSuite,
    ValuesSuite,
    ScaleSuite,
    ConcurrencySuite,
    AuditSuite,
    SalvageSuite,
):
    """Every promise of the contract; `capabilities` alone decides what differs between backends."""


__all__ = ["BackendHarness", "BackendSuite"]
