"""`agno sessions export` and `import`: conversations into files and back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from agnocli.abc import Backend, ConflictPolicy, SessionQuery
from agnocli.cli import filters
from agnocli.cli.context import App, not_empty, run
from agnocli.cli.exit_status import ExitStatus
from agnocli.errors import UsageError

if TYPE_CHECKING:
    from agnocli.transfer.options import TransferOptions, TransferReport

STREAM = "-"
"""Standard input or output."""


class Format(StrEnum):
    JSONL = "jsonl"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    OPENAI = "openai"


def export(
    context: typer.Context,
    session: Annotated[
        list[str] | None, typer.Argument(help="Ids, names, beginnings of ids, or @last.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All sessions.")] = False,
    format_: Annotated[
        Format | None, typer.Option("--format", help="By the file's name if not given.")
    ] = None,
    out: Annotated[
        str, typer.Option("--out", metavar="FILE|DIR/|-", help="A name in .gz is packed.")
    ] = STREAM,
    redact: Annotated[
        bool, typer.Option("--redact", help="Take keys, tokens and passwords out of the text.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite.")] = False,
) -> int:
    """Write conversations into a file: jsonl and json to the byte as they are stored, import reads them back.

    markdown and html are for people, csv for spreadsheets (a ' stands in front of what one would run as a formula),
    openai for fine-tuning.
    """
    query = filters.query(context)
    filtered = filters.is_filtered(query)
    if not (session or all_ or filtered):
        raise UsageError("which sessions?", hint="name some, or choose with --all or a filter")
    chosen = query if filtered else None
    where = Where(format_, out, redact, force)
    return run(context, lambda one: _export(one, session or [], chosen, where))


class Where(NamedTuple):
    """Into what sessions are written, and how."""

    format: Format | None
    out: str
    redact: bool
    force: bool


def _export(app: App, references: list[str], query: SessionQuery | None, where: Where) -> int:
    from agnocli.cli.transferring import TransferFlags, finish
    from agnocli.sessions.resolve import resolve
    from agnocli.transfer.options import TransferOptions

    out, backend = where.out, app.backend(read_only=True)
    ids = [resolve(backend, not_empty(one, "SESSION")) for one in references]
    options = TransferOptions(query=query, session_ids=tuple(dict.fromkeys(ids)))
    source: Any = _redacted(backend) if where.redact else backend
    if out.endswith("/") or (out != STREAM and Path(out).is_dir()):
        report = _into_folder(app, source, options, where)
    else:
        report = into(app, source, options, where, out)
    if where.redact:
        report.redacted = source.kinds
        if not report.redacted:
            app.note("redacted: nothing, no secrets were found")
    if out != STREAM or report.set_aside or report.is_mismatch or report.redacted:
        return finish(app, report, TransferFlags(), None)
    return ExitStatus.OK


def _redacted(backend: Backend) -> Any:
    from agnocli.sessions.redact import Redacted

    return Redacted(backend)


def into(app: App, source: Any, options: TransferOptions, where: Where, out: str) -> TransferReport:
    from agnocli.cli.transferring import TransferFlags, transferred
    from agnocli.formats.pages import open_page, page_kind
    from agnocli.formats.registry import open_file

    path = out if out == STREAM else str(Path(out).absolute())
    file: Any
    if (kind := page_kind(path, where.format)) is not None:
        file = open_page(path, kind, force=where.force)
    else:
        file = open_file(path, format=where.format, force=where.force, restart=True)
    report, _ = transferred(app, source, file, options, TransferFlags())
    return report


def _into_folder(app: App, source: Any, options: TransferOptions, where: Where) -> TransferReport:
    """A file for each session."""
    from msgspec.structs import replace

    from agnocli.cli.beside import merged
    from agnocli.cli.transferring import as_json
    from agnocli.formats.pages import suffix_of
    from agnocli.transfer.select import Selection

    began = time.monotonic()
    selection, folder = Selection(source, options), Path(where.out)
    where = where._replace(format=where.format or Format.JSONL)
    folder.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    for session_id in filter(selection.wanted, list(source.ids())):
        out = folder / f"{file_name(session_id)}{suffix_of(where.format or Format.JSONL)}"
        chosen = replace(options, query=None, session_ids=(session_id,))
        results.append(as_json(into(app, source, chosen, where, str(out)), None))
    if not results:
        raise UsageError("no session matches", hint="agno sessions list shows what is there")
    report = merged(results, time.monotonic() - began)
    report.target = f"{folder}/"
    return report


def file_name(session_id: str) -> str:
    """Of letters, digits, dots and dashes, at most 100; another id gets another name."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", session_id).strip("._")[:80]
    if safe == session_id and safe.partition(".")[0].upper() not in _RESERVED:
        return safe
    from hashlib import blake2b  # every listing loads this module

    mark = blake2b(session_id.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{safe or 'session'}-{mark}"


_RESERVED = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{one}{n}" for one in ("COM", "LPT") for n in range(10)),
}
"""What some systems take for a device."""


class From(StrEnum):
    OPENAI = "openai"
    CHATGPT = "chatgpt"
    LLM = "llm"


class Read(NamedTuple):
    """How files are read."""

    partial: bool
    edited: bool
    tool: From | None
    user: str | None
    agent: str


def import_(
    context: typer.Context,
    file: Annotated[list[str], typer.Argument(help="Session files, quarantine files; - is stdin.")],
    on_conflict: Annotated[
        ConflictPolicy, typer.Option("--on-conflict", help="When there is another one already.")
    ] = ConflictPolicy.ERROR,
    partial: Annotated[
        bool, typer.Option("--partial", help="Take a damaged file up to its first bad line.")
    ] = False,
    edited: Annotated[
        bool, typer.Option("--edited", help="Take a file that people have changed.")
    ] = False,
    tool: Annotated[
        From | None,
        typer.Option(
            "--from",
            help="What wrote it: openai (chat JSONL, request logs), chatgpt (conversations.json or"
            " its zip), llm (logs.db).",
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="With --from: whose they become.")
    ] = None,
    agent: Annotated[
        str, typer.Option("--agent", help="With --from: the agent they become a session of.")
    ] = "assistant",
) -> int:
    """Store the conversations of files. A damaged file is refused before anything is written."""
    how = Read(partial, edited, tool, user, not_empty(agent, "--agent"))
    if user is not None:
        not_empty(user, "--user")
    if tool is None and (user is not None or agent != "assistant"):
        raise UsageError("a session file tells whose sessions are", hint="--user is for --from")
    if tool is not None and (partial or edited):
        raise UsageError("--partial and --edited are for session files, not for --from")
    return run(context, lambda one: _import(one, file, on_conflict, how))


def _import(app: App, files: list[str], policy: ConflictPolicy, how: Read) -> int:
    from agnocli.cli.beside import merged
    from agnocli.cli.transferring import TransferFlags, as_json, finish, planned, transferred
    from agnocli.transfer.options import TransferOptions

    began = time.monotonic()
    # a foreign file is known by its content: what is there already is found identical
    options, flags = TransferOptions(policy=policy), TransferFlags(restart=how.tool is not None)
    sources = list(_opened(files, how))
    if app.options.dry_run:
        target = app.backend(read_only=True)
        return max(planned(app, source, target, options) for source in sources)
    sink = app.backend()
    for source in sources:
        source.check()
    done = [transferred(app, source, sink, options, flags) for source in sources]
    if len(done) == 1:
        return finish(app, done[0][0], flags, done[0][1])
    results = [as_json(report, None) for report, _ in done]
    report = merged(results, time.monotonic() - began)
    report.source = ", ".join(report.source for report, _ in done)
    quarantine = next((path for report, path in done if report.set_aside), None)
    return finish(app, report, flags, quarantine)


def _opened(files: list[str], how: Read) -> Iterator[Any]:
    """A file is a file here, whatever its name."""
    from agnocli.formats.registry import open_file

    for one in files:
        path = one if one == STREAM else str(Path(one).absolute())
        if how.tool is not None:
            from agnocli.formats.foreign import open_foreign
            from agnocli.formats.foreign.turns import Owner

            yield open_foreign(path, how.tool, Owner(how.agent, how.user))
        else:
            yield open_file(path, format="jsonl", partial=how.partial, edited=how.edited)
