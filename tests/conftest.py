from __future__ import annotations

import sys

import pytest

pytest.register_assert_rewrite("agnocli.testing")


def pytest_sessionfinish() -> None:
    if (spare := sys.modules.get("tests.harness._spare")) is not None:
        spare.close_all()
