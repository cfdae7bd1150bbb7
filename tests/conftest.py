from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, settings

# how busy the machine is must not decide whether a test passes
settings.register_profile(
    "agnocli",
    settings.default,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("agnocli")

pytest.register_assert_rewrite("agnocli.testing")


def pytest_sessionfinish() -> None:
    if (spare := sys.modules.get("tests.harness._spare")) is not None:
        spare.close_all()
