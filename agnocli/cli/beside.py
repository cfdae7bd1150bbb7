"""`agno migrate --jobs N`: a process for each part of the sessions. Only which part is told them, no session is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from agnocli import codec
from agnocli.cli.context import App
from agnocli.cli.stopping import stopped_is_told
from agnocli.cli.transferring import (
    TransferFlags,
    events,
    finish,
    place,
    target_place,
)
from agnocli.errors import AgnoCLIError, JobError, UsageError
from agnocli.transfer.options import (
    Counts,
    Progress,
    Shard,
    TransferOptions,
    TransferReport,
)

EXPECTED = (0, 9, 10)
"""Exit statuses that come with a result."""
LOOK_SECONDS = 0.2


def migrate_beside(
    app: App, source: str, target: str, options: TransferOptions, flags: TransferFlags
) -> int:
    """Each part has a ledger of its own, so that a part that was killed goes on by itself."""
    began = time.monotonic()
    _check(app, source, target, flags)
    with stopped_is_told(app, "the same command goes on from here") as stop:
        commands = [_command(part, options.shard) for part in parts_of(options.shard, flags.jobs)]
        results = _all_parts(app, commands, stop)
    kept = {one["quarantine"] for one in results if one["quarantine"]}
    whole = merged(results, time.monotonic() - began)
    status = finish(app, whole, flags, Path(kept.pop()) if len(kept) == 1 else None)
    for path in sorted(kept):
        app.note(f"what a part set aside is kept in {path}")
    return status


def _all_parts(
    app: App, commands: Sequence[list[str]], stop: Callable[[], None]
) -> list[dict[str, Any]]:
    """What each part tells at its end. When one fails, or all are to stop, the others end with their batches."""
    from agnocli.cli.render.progress import Bar

    with Bar(app.terminal, quiet=app.options.quiet, events=events(app)) as bar:
        sums = _Sums(bar.show)
        workers: list[_Worker] = []
        with ThreadPoolExecutor(len(commands)) as pool:
            try:
                for index, command in enumerate(commands):
                    workers.append(_Worker(command, index, sums))
                running = [pool.submit(worker.run) for worker in workers]
                while wait(running, LOOK_SECONDS, FIRST_EXCEPTION).not_done:
                    stop()
                    for one in running:
                        if one.done():
                            one.result()
                return [one.result() for one in running]
            except BaseException:
                for worker in workers:
                    worker.stop()
                raise


def _check(app: App, source: str, target: str, flags: TransferFlags) -> None:
    """Before several processes say the same."""
    if flags.ledger is not None:
        raise UsageError(
            "--ledger is one file, and each of several jobs has its own", hint="leave it out"
        )
    from agnocli.formats.registry import is_file_name

    for text in (source, target):
        if is_file_name(text):
            raise UsageError(
                f"{text}: a file is read and written by one job", hint="leave out --jobs"
            )
    place(app, source, flags)
    target_place(app, target, flags)


def parts_of(shard: Shard | None, jobs: int) -> list[Shard]:
    """The parts of a part."""
    whole = shard or Shard(1, 1)
    count = whole.count * jobs
    return [Shard(whole.index + whole.count * part, count) for part in range(jobs)]


def _command(part: Shard, shard: Shard | None) -> list[str]:
    """The command line as it is, less what the whole is told. Parts of no machine's shard are all done here."""
    return [
        sys.executable,
        "-m",
        "agnocli",
        *_without(sys.argv[1:], {"--jobs": 1, "--shard": 1, "--report": 1, "-o": 1, "--output": 1}),
        "--shard",
        str(part),
        *(["--on-one-machine"] if shard is None else []),
        "--no-input",
        "-o",
        "jsonl",
    ]


def _without(arguments: Sequence[str], dropped: dict[str, int]) -> list[str]:
    kept, skip = [], 0
    for one in arguments:
        name = one.partition("=")[0]
        if skip:
            skip -= 1
        elif name in dropped:
            skip = 0 if "=" in one else dropped[name]
        elif not any(len(short) == 2 and one.startswith(short) for short in dropped):
            kept.append(one)
    return kept


class _Sums:
    """Progress of all parts together."""

    def __init__(self, show: Any) -> None:
        self._show, self._lock = show, Lock()
        self._parts: dict[int, Progress] = {}

    def add(self, index: int, progress: Progress) -> None:
        with self._lock:
            self._parts[index] = progress
            parts = self._parts.values()
            phase = min((one.phase for one in parts), key=["check", "copy", "verify"].index)
            same = [one for one in parts if one.phase == phase]
            self._show(
                Progress(
                    phase=phase,
                    sessions=sum(one.sessions for one in same),
                    runs=sum(one.runs for one in same),
                    bytes=sum(one.bytes for one in same),
                    set_aside=sum(one.set_aside for one in parts),
                )
            )


class _Worker:
    def __init__(self, command: list[str], index: int, sums: _Sums) -> None:
        self._index, self._sums = index, sums
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for who started them, and handed on by that one
        )

    def run(self) -> dict[str, Any]:
        """The result of this part; JobError with what it said when there is none."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        result: dict[str, Any] | None = None
        with ThreadPoolExecutor(1) as pool:
            said = pool.submit(self._process.stderr.read)
            for line in self._process.stdout:
                event = codec.decode(line)
                if "phase" in event:
                    self._sums.add(self._index, msgspec.convert(event, Progress))
                else:
                    result = event
            status = self._process.wait()
        if status not in EXPECTED or result is None:
            raise _failure(status, said.result())
        return result

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()


def _failure(status: int, said: bytes) -> AgnoCLIError:
    for line in reversed(said.splitlines()):
        if line.startswith(b"{"):
            error = codec.decode(line)
            return JobError(f"a part failed: {error['message']}", hint=error["hint"])
    return JobError(f"a part ended with {status}", hint="the same command goes on from here")


def merged(results: Sequence[dict[str, Any]], seconds: float) -> TransferReport:
    """The results of all parts as one, and how long all of it took."""
    outcomes: dict[str, Counts] = {}
    for one in results:
        for name, number in one["sessions"].items():
            counts = outcomes.setdefault(name, Counts())
            counts.sessions += number
            counts.runs += one["runs"][name]
            counts.bytes += one["bytes"] if name == "read" else 0
    first, lists = results[0], {}
    for name in ("set_aside", "different", "missing", "unsettled"):
        lists[name] = [item for one in results for item in one[name]]
    respelled: dict[str, int] = {}
    for one in results:
        for kind, number in one["respelled"].items():
            respelled[kind] = respelled.get(kind, 0) + number
    return msgspec.convert(
        {
            "source": first["source"],
            "target": first["target"],
            "job": ",".join(one["job"] for one in results),
            "outcomes": msgspec.to_builtins(outcomes),
            "seconds": round(seconds, 3),
            "changes": sum(one["changed_values"] for one in results),
            "not_copied": {one["name"]: one["records"] for one in first["not_copied"]},
            "resumed": any(one["resumed"] for one in results),
            "respelled": respelled,
            **lists,
        },
        TransferReport,
    )
