from __future__ import annotations

import sys

import pytest

pytest.register_assert_rewrite("agnocli.testing")


def pytest_sessionfinish() -> None:
    if (servers := sys.modules.get("tests.harness.mongo_server")) is not None:
        servers.stop_all()
