"""Large copies verified by more processes: one interpreter reads with one processor."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import BinaryIO

from agnocli.abc import Backend, Capabilities
from agnocli.closing import Closing
from agnocli.errors import AgnoCLIError
from agnocli.transfer.ledger import Entry
from agnocli.transfer.recognizing import Seen, recognize

LARGE = 32 * 2**20
"""Bytes of documents that are worth the start of more interpreters."""
MOST = 4
PATIENCE = 5.0
"""Seconds that one has to end by itself."""


class Verifiers(Closing):
    """Processes that read a copy beside this one, none until there is much of it. `open_copy` must be picklable."""

    def __init__(self, open_copy: Callable[[], Backend], can: Capabilities) -> None:
        self._job = pickle.dumps((open_copy, can, gc.get_threshold()))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._free = SimpleQueue[subprocess.Popen[bytes]]()

    def __len__(self) -> int:
        return len(self._processes)

    def expect(self, size: int) -> None:
        """So many bytes will have to be read. From LARGE on one starts for each processor but the caller's, and makes
        ready while that goes on."""
        if size < LARGE or self._processes:
            return
        with suppress(OSError):  # where no more can be had, fewer do
            for _ in range(min(_processors() - 1, MOST)):
                self._start_one()

    def _start_one(self) -> None:
        process = subprocess.Popen(
            # not from the folder that the user is in
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        self._free.put(process)
        with suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.write(self._job)
            process.stdin.flush()

    def recognize(self, entries: Sequence[Entry]) -> list[Seen] | None:
        """None when all are busy, or the one that was free could not, for whatever reason."""
        try:
            process = self._free.get_nowait()
        except Empty:
            return None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump(entries, process.stdin)
            process.stdin.flush()
            found: list[Seen] | None = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):  # it is not there any more
            return None
        finally:
            self._free.put(process)
        return found

    def close(self) -> None:
        for process in self._processes:
            with suppress(BrokenPipeError):
                assert process.stdin is not None
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self._processes.clear()


def _processors() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Recognize what is asked for, until nobody asks any more."""
    open_copy, can, threshold = pickle.load(asked)
    gc.set_threshold(*threshold)
    with closing(open_copy()) as copy:
        while True:
            try:
                entries = pickle.load(asked)
            except EOFError:
                return
            found: list[Seen] | None = None
            with suppress(AgnoCLIError):  # who asks reads himself then, and is told
                found = recognize(copy, entries, can)
            pickle.dump(found, answers)
            answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks has it too, and ends this
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # lest a library's words come between
        serve(sys.stdin.buffer, answers)
    # all is closed, and somebody waits: the interpreter's own end takes a tenth of a second
    os._exit(0)
