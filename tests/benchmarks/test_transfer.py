"""Migrations beside the drivers' plain bulk speed and beside a loop over agno's own API, in turns, on one machine.

Needs `raw_limit.py`, `make_store.py` and `agno_loop.py`, in the folder that AGNOCLI_BENCH_TOOLS names or in
../shared/tools; `plain_redis.py` is as the first, and writes all that Agno writes into Redis. AGNOCLI_BENCH_REPEATS sets
how often (default 5).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import pytest

from agnocli import codec
from tests.benchmarks.conftest import as_installed
from tests.interop.agno_env import NEWEST, UnavailableError, python_with
from tests.transfer.places import KINDS, Place, place

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

HERE = Path(__file__).parents[2]
TOOLS = Path(os.environ.get("AGNOCLI_BENCH_TOOLS", HERE.parent / "shared" / "tools"))
REPEATS = int(os.environ.get("AGNOCLI_BENCH_REPEATS", "5"))
SIZES = {
    "0.5 KB": (10_000, 5, 500),
    "4 KB": (5_000, 5, 4_000),
    "40 KB": (600, 5, 40_000),
    "1 MB": (40, 3, 1_000_000),
}
"""Sessions, runs of each, bytes of a run."""
LIMIT = "raw_limit.py"
LOOP_SESSIONS = 200
"""That the loop moves: it is too slow for all."""


def tool(name: str) -> Path:
    path = TOOLS / name
    if not path.exists():
        pytest.skip(f"{name} is not there; AGNOCLI_BENCH_TOOLS names its folder")
    return path


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, made = tmp_path_factory.mktemp("stores"), {}
    for name, (sessions, runs, size) in SIZES.items():
        made[name] = folder / f"{size}.db"
        command = [tool("make_store.py"), made[name], sessions, runs, "--bytes", size]
        subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
    return made


class Target:
    """`url` is where the plain scripts write, which make it anew each time; ours is a new place for each migration."""

    def __init__(self, here: Place, folder: Path) -> None:
        self.kind, self.folder, self._made = here.kind, folder, 0
        harness: Any = here._harness
        match here.kind:
            case "sqlite":
                self.url = str(folder / "plain.db")
            case "postgres":
                self.url = harness.server
            case "mysql":
                root = urlsplit(harness.server)
                harness.execute(f"CREATE DATABASE IF NOT EXISTS {harness.schema}")
                self.url = (
                    f"mysql://{harness.schema}:pw@{root.hostname}:{root.port}/{harness.schema}"
                )
            case "redis":
                self.url = harness.url
            case "mongo":
                self.url = f"{harness.url.rstrip('/')}/{harness.database}_plain"

    @contextmanager
    def new(self) -> Iterator[Place]:
        self._made += 1
        with place(f"place-{self._made}", self.kind, self.folder) as here:
            yield here
        rmtree(self.folder / here.name)


def ours(source: Path, target: Target, *flags: str) -> dict[str, Any]:
    with target.new() as here:
        found = migrated(here, target.folder, f"sqlite:///{source}", here.name, *flags)
    assert found["sessions"]["written"] > 0
    return found


def migrated(here: Place, folder: Path, source: str, sink: str, *flags: str) -> dict[str, Any]:
    config = folder / "agno.toml"
    config.write_text(here.settings)
    environment = {**as_installed(), "AGNO_CONFIG": str(config), "XDG_STATE_HOME": str(folder)}
    command = ["migrate", source, sink, "--restart", "-q", "-o", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "agnocli", *command, *flags],
        capture_output=True, check=True, env=environment,
    )  # fmt: skip
    found: dict[str, Any] = codec.decode(done.stdout)
    return found


def plain(script: str, source: Path, target: Target) -> float:
    """Seconds."""
    if script == LIMIT:
        command = [tool(script), source, target.kind, target.url]
    else:
        command = [Path(__file__).with_name(script), source, target.url]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, check=True)
    return float(codec.decode(done.stdout)["seconds"])


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    with place("it", request.param, tmp_path) as here:
        yield Target(here, tmp_path)


@pytest.mark.parametrize("script", [LIMIT, "plain_redis.py"])
@pytest.mark.parametrize("size", SIZES)
def test_a_migration_is_as_fast_as_a_script_without_checks_and_half_as_fast_with_proof(
    target: Target,
    size: str,
    script: str,
    stores: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if script != LIMIT and target.kind not in script:
        pytest.skip("is into another database")
    unproven, proven = [], []
    seconds: dict[str, list[float]] = {"plain": [], "none": [], "full": []}
    for _ in range(REPEATS):
        seconds["plain"].append(plain(script, stores[size], target))
        for verify in ("none", "full"):
            found = ours(stores[size], target, "--verify", verify)
            assert found["sessions"]["written"] == SIZES[size][0]
            seconds[verify].append(found["seconds"])
        unproven.append(seconds["plain"][-1] / seconds["none"][-1])
        proven.append(seconds["plain"][-1] / seconds["full"][-1])
    rate = found["bytes"] / 1e6 / median(seconds["none"])
    with capsys.disabled():
        print(
            f"\n{target.kind} {size}: {script} {median(seconds['plain']):.2f} s,"
            f" ours {median(seconds['none']):.2f} s ({rate:.0f} MB/s), verified {median(seconds['full']):.2f} s;"
            f" ratios {median(unproven):.2f} ({min(unproven):.2f}-{max(unproven):.2f}),"
            f" {median(proven):.2f} ({min(proven):.2f}-{max(proven):.2f})"
        )
    assert median(unproven) >= 1.0
    assert median(proven) >= 0.5


def test_the_way_back_into_sqlite(
    target: Target, stores: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    seconds: dict[str, list[float]] = {"none": [], "full": []}
    with target.new() as here:
        migrated(here, target.folder, f"sqlite:///{stores['4 KB']}", here.name, "--verify", "none")
        for _ in range(REPEATS):
            for verify, taken in seconds.items():
                back = target.folder / "back.db"
                sink = f"sqlite:///{back}"
                found = migrated(here, target.folder, here.name, sink, "--verify", verify)
                assert found["sessions"]["written"] == SIZES["4 KB"][0]
                taken.append(found["seconds"])
                back.unlink()
    with capsys.disabled():
        print(
            f"\n{target.kind} to sqlite: {median(seconds['none']):.2f} s"
            f" ({found['bytes'] / 1e6 / median(seconds['none']):.0f} MB/s), verified {median(seconds['full']):.2f} s"
        )


def test_a_migration_is_twenty_times_as_fast_as_a_loop_over_agnos_api(
    target: Target, stores: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        python = python_with(NEWEST)
    except UnavailableError as error:
        pytest.skip(str(error))
    if target.kind == "mysql":
        pytest.skip("agno cannot store a run on MariaDB")
    url = target.url.replace("postgresql://", "postgresql+psycopg://")
    command = [
        tool("agno_loop.py"),
        stores["4 KB"],
        target.kind,
        url,
        "--limit",
        LOOP_SESSIONS,
    ]
    done = subprocess.run([python, *map(str, command)], capture_output=True, check=True)
    loop = codec.decode(done.stdout.splitlines()[-1])["sessions_per_s"]
    found = [ours(stores["4 KB"], target, "--verify", "none") for _ in range(REPEATS)]
    speed = median(SIZES["4 KB"][0] / one["seconds"] for one in found)
    with capsys.disabled():
        print(
            f"\n{target.kind}: agno's API {loop:.0f}, ours {speed:.0f} sessions/s; {speed / loop:.0f}x"
        )
    assert speed / loop >= 20
