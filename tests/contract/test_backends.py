"""The shipped contract suite over every backend that has a harness, which every backend must have."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import agnocli.db
import tests.harness
from agnocli.testing.backend_suite import BackendHarness, BackendSuite
from tests.harness import _spare

HARNESSES = sorted(
    module.name
    for module in pkgutil.iter_modules(tests.harness.__path__)
    if not module.name.startswith("_") and not module.name.endswith(("_server", "servers"))
)
NOT_BACKENDS = {"registry"}


class TestBackends(BackendSuite):
    @pytest.fixture(params=HARNESSES)
    def harness(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BackendHarness]:
        kind = import_module(f"tests.harness.{request.param}").Harness
        if "backend" in request.fixturenames:  # which sets up
            harness = _spare.take(kind, tmp_path)
            yield harness
            _spare.give_back(harness)
        else:
            harness = kind(tmp_path)
            yield harness
            harness.close()


def test_every_backend_has_a_harness() -> None:
    modules = pkgutil.iter_modules(agnocli.db.__path__)
    backends = {one.name for one in modules if not one.ispkg and not one.name.startswith("_")}
    # a second harness of a backend is `<backend>_<what differs>`
    assert backends - NOT_BACKENDS == {name.partition("_")[0] for name in HARNESSES}
