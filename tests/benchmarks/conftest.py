"""Measured values go to the terminal, with the machine they were measured on."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

CpuSeconds = Callable[[Sequence[str]], float]
RUNS = 9


def pytest_report_header() -> str:
    return f"benchmarks on {platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def as_installed() -> dict[str, str]:
    """An environment in which modules are compiled once, as pip does."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@pytest.fixture
def cpu_seconds(tmp_path: Path) -> CpuSeconds:
    """User and system time of a whole process; the least of nine runs, its output into a pipe."""
    environment = {
        **as_installed(),
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": "",
        "XDG_CONFIG_HOME": "",
    }

    def once(arguments: Sequence[str]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, check=True, capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    return lambda arguments: min(once(arguments) for _ in range(RUNS))


@pytest.fixture
def nothing(cpu_seconds: CpuSeconds) -> float:
    """What Python costs for nothing: the unit of every start-up ratio."""
    return cpu_seconds([sys.executable, "-c", "pass"])
