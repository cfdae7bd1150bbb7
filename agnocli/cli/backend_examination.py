"""What `agno doctor` looks at in each backend: side by side, and no longer than they are given."""

from __future__ import annotations

import re
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from shlex import quote
from threading import Thread

from agnocli.abc import Backend, BackendReport, SessionQuery
from agnocli.cli.examination import Finding, Place
from agnocli.errors import AgnoCLIError, BackendNotSetUpError, CodecError, LayoutError
from agnocli.layout.names import RUNS, SCHEMA_VERSION, SESSIONS
from agnocli.records import SessionInfo

LATEST = 20
"""Sessions whose state is looked at, and unfinished ones."""
SAMPLE, MOSTLY = 20, 0.9
"""So many sessions of users, and such a part of them with one run, look like a program that names no session."""
LOOK_BACK = 5
"""Runs of an unfinished session."""


def examined(places: Iterable[Place], seconds: float) -> Iterator[Finding]:
    """All begin at once; what one has told when its time is up is told, and that it is up."""
    looking = [_Looking(one) for one in places]
    deadline = time.monotonic() + seconds
    for one in looking:
        yield from one.told(deadline, seconds)


class _Looking(Thread):
    """A daemon: one that hangs in its driver ends with the program."""

    def __init__(self, place: Place) -> None:
        super().__init__(daemon=True)
        self._place = place
        self._found: SimpleQueue[Finding | BaseException | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        try:
            for finding in self._findings():
                self._found.put(finding)
            self._found.put(None)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asks
            self._found.put(error)

    def _findings(self) -> Iterator[Finding]:
        backend = self._place.backend
        if isinstance(backend, Finding):
            yield backend
            return
        with backend:
            yield from findings(self._place.check, backend, read_only=self._place.read_only)

    def told(self, deadline: float, seconds: float) -> Iterator[Finding]:
        while True:
            try:
                found = self._found.get(timeout=max(0.001, deadline - time.monotonic()))
            except Empty:
                yield Finding(
                    self._place.check,
                    "error",
                    f"no answer within {seconds:g} s",
                    "is the server up, and is this its address? --timeout gives it longer",
                )
                return
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found


def findings(check: str, backend: Backend, *, read_only: bool) -> Iterator[Finding]:
    try:
        yield from _of_report(check, backend.inspect(), "read-only, " if read_only else "")
        yield from _of_file(check, backend.address)
        yield from _unfinished(check, backend)
        page = backend.find(SessionQuery(limit=5 * LATEST)).items
        yield from _nameless(check, page)
        yield from _secrets(check, backend, page[:LATEST])
    except BackendNotSetUpError as error:
        yield Finding(check, "ok", error.message, error.hint)
    except AgnoCLIError as error:
        yield Finding(check, "error", error.message, error.hint)


def _of_report(check: str, report: BackendReport, how: str) -> Iterator[Finding]:
    counts = f"{how}layout {report.layout}, {report.sessions} sessions, {report.runs} runs"
    yield Finding(check, "ok", f"{report.address}: {counts}")
    if report.layout in ("v2", "mixed"):
        yield Finding(
            check,
            "warning",
            f"layout {report.layout}: runs of Agno 2 are inside session rows; they are read from there",
            f"agno migrate {check.partition(' ')[2]} NEW writes all in the layout of Agno 3, elsewhere",
        )
    for table in (SESSIONS, RUNS):
        version = report.versions.get(table, SCHEMA_VERSION)
        if _numbers(version) > _numbers(SCHEMA_VERSION):
            yield Finding(
                check,
                "warning",
                f"{table} is of version {version}, this program knows {SCHEMA_VERSION}",
                "pip install --upgrade agnocli",
            )
    for note in report.notes:
        yield Finding(check, "ok", note)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _of_file(check: str, address: str) -> Iterator[Finding]:
    """What is true of conversations in a file of this machine."""
    path = Path(address.partition("?")[0])
    if "://" in address or not path.is_file():
        return
    if path.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve()):
        yield Finding(
            check,
            "warning",
            f"{path} is in a folder for temporary files, which is emptied one day",
            f"agno migrate {path} ~/.local/share/agno/agno.db",
        )
    if path.stat().st_mode & stat.S_IROTH:
        yield Finding(
            check,
            "warning",
            f"{path} can be read by every user of this machine",
            f"chmod 600 {path}",
        )


def _unfinished(check: str, backend: Backend) -> Iterator[Finding]:
    from agnocli.agent.recovery import is_stale

    for info in backend.find(SessionQuery(status="RUNNING", limit=LATEST)).items:
        runs = backend.runs(info.session_id, last=LOOK_BACK)
        stale = sum(is_stale(run, time.time()) for run in runs)
        if stale:
            yield Finding(
                check,
                "warning",
                f"session {info.session_id}: {stale} turns are RUNNING that nobody is at work on",
                f"agno sessions verify {info.session_id} --fix",
            )


def _nameless(check: str, page: Iterable[SessionInfo]) -> Iterator[Finding]:
    of_users = [info for info in page if info.user_id is not None and info.runs]
    single = sum(info.runs == 1 for info in of_users)
    if len(of_users) >= SAMPLE and single >= MOSTLY * len(of_users):
        yield Finding(
            check,
            "warning",
            f"{single} of the {len(of_users)} latest sessions of users have a single run: "
            "does the program that writes them name the session?",
            "give agent.run(…, session_id=…) one id for a whole conversation",
        )


def _secrets(check: str, backend: Backend, page: Iterable[SessionInfo]) -> Iterator[Finding]:
    """Secrets in what is stored as plain text."""
    from agnocli.agent.sessions import stored_state
    from agnocli.secrets import secret_places

    for info in page:
        try:
            state = stored_state(backend.get(info.session_id))
        except (CodecError, LayoutError) as error:
            yield Finding(
                check,
                "error",
                f"session {info.session_id} cannot be read: {error.message}",
                f"agno sessions verify {info.session_id}",
            )
            continue
        for place in secret_places(state):
            yield Finding(
                check,
                "warning",
                f"session {info.session_id}: state {place} looks like a secret",
                _without(info.session_id, place),
            )


def _without(session_id: str, place: str) -> str:
    """How a value is taken out of a state, of which single keys can be changed."""
    key = re.split(r"[.\[]", place, maxsplit=1)[0]
    of = f"{quote(session_id)} {quote(key)}"
    if key == place:
        return f"agno sessions state unset {of}; and change the secret"
    return f"agno sessions state get {of}, then set {of} to it without the secret; and change the secret"
