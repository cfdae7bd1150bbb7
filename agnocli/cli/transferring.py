"""What commands that move sessions share: places, the job's files, progress, the result."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agnocli.abc import Noting, Readable
from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.options import Output
from agnocli.cli.render.table import Column
from agnocli.cli.render.text import amount
from agnocli.cli.stopping import stopped_is_told
from agnocli.errors import BackendNotSetUpError, ExistsError, UsageError
from agnocli.transfer.options import Progress, Shard, TransferOptions, TransferReport

if TYPE_CHECKING:
    from agnocli.abc import Backend
    from agnocli.formats.registry import SessionFile
    from agnocli.transfer.ledger import Job
    from agnocli.transfer.verifiers import Verifiers

COLUMNS = [
    Column("outcome", ""),
    Column("sessions", "SESSIONS", "number"),
    Column("runs", "RUNS", "number"),
    Column("bytes", "BYTES", "number"),
]
OUTCOMES = ("read", "written", "identical", "skipped", "replaced", "quarantined", "verified")
STREAM = "-"
NAMED = 10
"""Sessions that are named one by one in a summary; the report has all."""

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


class TransferFlags(msgspec.Struct, frozen=True, kw_only=True):
    """How, not what."""

    restart: bool = False
    jobs: int = 1
    on_one_machine: bool = False
    """All parts are done here: nobody else will go on with one."""
    quarantine: str | None = None
    report: str | None = None
    ledger: str | None = None
    force: bool = False
    partial: bool = False
    edited: bool = False


def size_of(text: str) -> int:
    """Bytes, as 500000, 512K, 4M."""
    match = re.fullmatch(r"(\d{1,12})\s*([kmg]?)i?b?", text.strip(), re.IGNORECASE)
    if match is None or not int(match[1]):
        raise UsageError(f"{text!r} is not a size", hint="as 512K, 4M or 4194304")
    return int(match[1]) * _UNITS[match[2].lower()]


def shard_of(text: str) -> Shard:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"{text!r} is not a part", hint="as 2/8: the second of eight parts")
    return Shard(int(match[1]), int(match[2]))


def place(app: App, text: str, flags: TransferFlags | None = None) -> Backend | SessionFile:
    """A backend by name or URL, or a session file by its name, to be read."""
    if (file := _file(app, text, flags or TransferFlags())) is not None:
        return file
    backend = app.backend(text, read_only=True)
    backend.connect()
    return backend


def target_place(app: App, text: str, flags: TransferFlags) -> Backend | SessionFile:
    """Likewise, to be written; nothing needs to be there yet."""
    if (file := _file(app, text, flags)) is not None:
        return file
    backend = app.backend(text, read_only=app.options.dry_run)
    with suppress(BackendNotSetUpError):
        backend.connect()
    return backend


def _file(app: App, text: str, flags: TransferFlags) -> SessionFile | None:
    from agnocli.formats.registry import is_file_name, open_file

    if not is_file_name(text) or text in app.config.backends:
        return None
    path = text if text == STREAM else str(Path(text).absolute())
    # what a file has so far is checked against the source as well, so it can just begin anew
    return open_file(
        path, force=flags.force, restart=True, partial=flags.partial, edited=flags.edited
    )


def migrate_command(
    app: App, source: str, target: str, options: TransferOptions, flags: TransferFlags
) -> int:
    if app.options.dry_run:
        return planned(app, place(app, source, flags), target_place(app, target, flags), options)
    if flags.jobs > 1:
        from agnocli.cli.beside import migrate_beside

        return migrate_beside(app, source, target, options, flags)
    one, other = place(app, source, flags), target_place(app, target, flags)
    report, quarantine = transferred(app, one, other, options, flags)
    return finish(app, report, flags, quarantine)


def transferred(
    app: App, source: Any, sink: Any, options: TransferOptions, flags: TransferFlags
) -> tuple[TransferReport, Path]:
    """The result, and the file of what was set aside. Ctrl-C and SIGTERM say how to go on."""
    whole = isinstance(sink, Readable)
    then = "the same command goes on from here" if whole else "no file was made"
    with stopped_is_told(app, then) as stop:
        return _transfer(app, source, sink, options, flags, stop)


def _transfer(
    app: App,
    source: Any,
    sink: Any,
    options: TransferOptions,
    flags: TransferFlags,
    stop: Callable[[], None],
) -> tuple[TransferReport, Path]:
    from agnocli.cli.render.progress import Bar
    from agnocli.formats.quarantine import QuarantineWriter
    from agnocli.transfer.ends import check_ends
    from agnocli.transfer.engine import Transfer, job_of
    from agnocli.transfer.ledger import Ledger

    check_ends(source, sink)
    job = job_of(source, sink, options)
    path = _ledger_path(app, source, sink, job, flags)
    with Ledger(path, job, restart=flags.restart) as ledger:
        if options.shard is not None and not flags.on_one_machine and isinstance(sink, Noting):
            ledger.share(sink)
        quarantine = _quarantine_path(app, job, flags, resumed=ledger.resumed)
        with (
            _verifiers(app, sink, flags) as verifiers,
            Bar(
                app.terminal,
                quiet=app.options.quiet,
                events=None if sink.address == STREAM else events(app),
            ) as bar,
        ):

            def show(progress: Progress) -> None:
                bar.show(progress)
                stop()

            transfer = Transfer(
                source,
                sink,
                options,
                ledger,
                copy=sink if sink.address != STREAM and hasattr(sink, "scan") else None,
                beside=app.beside(sink),
                verifiers=verifiers,
                quarantine=QuarantineWriter(quarantine, backend=sink.address),
                observer=show,
            )
            if ledger.resumed:
                done = sum(one.sessions for one in ledger.outcomes().values())
                app.note(f"going on behind {done:,} sessions that are there; --restart begins anew")
            return transfer.run(), quarantine


def _verifiers(
    app: App, sink: Any, flags: TransferFlags
) -> AbstractContextManager[Verifiers | None]:
    from agnocli.transfer.verifiers import Verifiers

    opener = None if flags.on_one_machine else app.opener(sink)  # there all processors are busy
    return nullcontext() if opener is None else Verifiers(opener, sink.capabilities)


def _ledger_path(app: App, source: Any, sink: Any, job: Job, flags: TransferFlags) -> Path | None:
    """None into a file, which appears when it is whole, and out of a pipe: there is nothing to go on with."""
    from agnocli.config.paths import state_dir

    if flags.ledger is not None:
        return Path(flags.ledger)
    if not isinstance(sink, Readable) or source.address == STREAM:
        return None
    return state_dir(app.environ) / "transfers" / f"{job.id}.ledger"


def _quarantine_path(app: App, job: Job, flags: TransferFlags, *, resumed: bool) -> Path:
    """What an earlier run of the job set aside is kept under another name."""
    from agnocli.config.paths import state_dir

    if flags.quarantine is not None:
        return Path(flags.quarantine)
    path = state_dir(app.environ) / "transfers" / f"{job.id}.quarantine.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and not resumed:
        path.replace(path.with_name(f"{job.id}.{path.stat().st_mtime_ns}.quarantine.jsonl"))
    return path


def events(app: App) -> Callable[[Progress], None] | None:
    """With -o jsonl progress goes to stdout, an event a line; the last line is the result."""
    if app.options.output is not Output.JSONL:
        return None
    from agnocli import codec

    def write(progress: Progress) -> None:
        sys.stdout.write(codec.line(msgspec.to_builtins(progress)) + "\n")
        sys.stdout.flush()

    return write


def planned(app: App, source: Any, target: Any, options: TransferOptions) -> int:
    """Print what a transfer would do; its exit status."""
    from agnocli.cli.render.progress import Bar
    from agnocli.transfer.plan import plan

    with Bar(app.terminal, quiet=app.options.quiet) as bar:
        found = plan(source, target, options, bar.show)
    if not app.json(found.as_json()):
        app.list(found.rows(), COLUMNS)
        for line in found.in_words():
            app.note(line)
    return ExitStatus.CONFLICT if found.stops else ExitStatus.OK


def as_json(report: TransferReport, quarantine: Path | None) -> dict[str, Any]:
    counts = {name: report.count(name) for name in OUTCOMES}
    return {
        "source": report.source,
        "target": report.target,
        "sessions": {name: one.sessions for name, one in counts.items()},
        "runs": {name: one.runs for name, one in counts.items()},
        "bytes": counts["read"].bytes,
        "seconds": report.seconds,
        "not_copied": [
            {"name": name, "records": number} for name, number in report.not_copied.items()
        ],
        "job": report.job,
        "resumed": report.resumed,
        "set_aside": msgspec.to_builtins(report.set_aside),
        "quarantine": str(quarantine) if report.set_aside and quarantine else None,
        "changed_values": report.changes,
        "different": msgspec.to_builtins(report.different),
        "missing": report.missing,
        "unsettled": report.unsettled,
        "extra": report.extra,
        "respelled": dict(report.respelled),
        "redacted": dict(report.redacted),
    }


def finish(app: App, report: TransferReport, flags: TransferFlags, quarantine: Path | None) -> int:
    """Print the result; its exit status."""
    if flags.report is not None:
        _write_report(Path(flags.report), as_json(report, quarantine), force=flags.force)
    if report.target != STREAM and not app.json(as_json(report, quarantine)):
        app.list(_rows(report), COLUMNS)
    _say(app, report, quarantine)
    if report.is_mismatch:
        return ExitStatus.MISMATCH
    return ExitStatus.PARTIAL if report.is_partial else ExitStatus.OK


def _rows(report: TransferReport) -> Iterator[dict[str, object]]:
    for name in OUTCOMES:
        counts = report.count(name)
        if counts.sessions or name in ("read", "written", "verified"):
            yield {
                "outcome": name,
                "sessions": counts.sessions,
                "runs": counts.runs,
                "bytes": counts.bytes,
            }


def _say(app: App, report: TransferReport, quarantine: Path | None) -> None:
    for one in report.set_aside[:NAMED]:
        app.warn(f"set aside: session {one.session_id!r}: {one.json_path} {one.reason}")
    if len(report.set_aside) > NAMED:
        app.warn(f"… and {len(report.set_aside) - NAMED:,} more were set aside")
    if quarantine is not None and quarantine.exists():
        _say_how_to_mend(app, report, quarantine)
    for difference in report.different[:NAMED]:
        app.warn(f"session {difference.session_id!r} differs in the target: {difference.where}")
    for session_id in report.missing[:NAMED]:
        app.warn(f"session {session_id!r} is missing in the target")
    if report.is_mismatch:
        count = len(report.different) + len(report.missing)
        app.warn(f"{count:,} sessions do not match; --restart --on-conflict replace copies anew")
    for session_id in report.unsettled[:NAMED]:
        app.warn(f"session {session_id!r} is changing in the source all the time; run this again")
    _say_what_else(app, report)


def _say_how_to_mend(app: App, report: TransferReport, quarantine: Path) -> None:
    unreadable = sum(one.unreadable for one in report.set_aside)
    if len(report.set_aside) > unreadable:
        app.note(f"they are kept in {quarantine}; mend it, then: agno sessions import {quarantine}")
    if unreadable:
        app.note(
            f"{unreadable:,} could not be read; their bytes are kept in {quarantine};"
            " mend them in the source, then run this again"
        )


def _in_words(report: TransferReport) -> str:
    read, verified = report.count("read"), report.count("verified").sessions
    proof = f"{verified:,} read again and the same" if verified else "nothing was verified"
    moved = (
        f"{amount(read.sessions, 'session')}, {read.bytes / 1e6:,.1f} MB, {report.seconds:,.1f} s"
    )
    return f"{moved}; {proof}"


def _say_what_else(app: App, report: TransferReport) -> None:
    if report.target != STREAM:
        app.note(_in_words(report))
    if report.changes:
        app.note(f"{report.changes:,} values were changed as asked; --report lists how")
    if report.not_copied:
        named = ", ".join(f"{name} ({number:,})" for name, number in report.not_copied.items())
        app.note(f"not copied, as it is no session: {named}")
    if report.redacted:
        kinds_found = ", ".join(f"{name} ({number:,})" for name, number in report.redacted.items())
        app.note(f"redacted: {kinds_found}")
    if report.extra:
        app.note(f"the target holds {report.extra:,} sessions that are not from here")
    kinds = {
        "json_text": "JSON in another spelling",
        "null_kind": "JSON null as no value",
        "expiry": "no time to live",
    }
    for kind, number in report.respelled.items():
        app.detail(f"{number:,} sessions are kept with {kinds.get(kind, kind)} by the target")


def _write_report(path: Path, value: object, *, force: bool) -> None:
    from agnocli import codec

    if path.exists() and not force:
        raise ExistsError(f"there is a file {path} already")
    try:
        path.write_text(codec.pretty(value) + "\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
