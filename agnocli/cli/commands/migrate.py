"""`agno migrate SRC DST`: sessions from one place to another, proven."""

from __future__ import annotations

from typing import Annotated

import typer

from agnocli.abc import ConflictPolicy
from agnocli.cli import filters
from agnocli.cli.context import not_empty, run
from agnocli.cli.options import application
from agnocli.cli.transferring import TransferFlags, migrate_command, shard_of, size_of
from agnocli.transfer.options import BATCH_BYTES, TransferOptions, ValuePolicy, Verify

app = application()


@app.command(cls=filters.Filtered)
def migrate(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC", help="Backend, URL or session file.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Backend, URL or session file.")],
    session: Annotated[
        list[str] | None, typer.Option("--session", metavar="ID", help="Only these sessions.")
    ] = None,
    on_conflict: Annotated[
        ConflictPolicy, typer.Option("--on-conflict", help="When the target has another one.")
    ] = ConflictPolicy.ERROR,
    verify: Annotated[
        Verify, typer.Option("--verify", help="What is read again and compared.")
    ] = Verify.FULL,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew; else a half-done job goes on.")
    ] = False,
    batch_bytes: Annotated[
        str | None, typer.Option("--batch-bytes", metavar="SIZE", help="As 4M; it adapts.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, max=64, help="So many processes beside each other.")
    ] = 1,
    on_one_machine: Annotated[bool, typer.Option("--on-one-machine", hidden=True)] = False,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="Part I of N, for N machines.")
    ] = None,
    quarantine: Annotated[
        str | None,
        typer.Option("--quarantine", metavar="FILE", help="Where what is set aside goes."),
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE", help="The whole result, as JSON.")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option("--ledger", metavar="FILE", help="Where the job keeps its state.")
    ] = None,
    on_nul: Annotated[
        ValuePolicy, typer.Option("--on-nul", help="NUL where the target has none.")
    ] = ValuePolicy.FAIL,
    on_surrogate: Annotated[
        ValuePolicy, typer.Option("--on-surrogate", help="Half a character, likewise.")
    ] = ValuePolicy.FAIL,
    on_nan: Annotated[
        ValuePolicy, typer.Option("--on-nan", help="NaN and Infinity, likewise.")
    ] = ValuePolicy.FAIL,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a session file.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Read a damaged file up to its first bad line.")
    ] = False,
    edited: Annotated[
        bool, typer.Option("--edited", help="Read a file that people have changed.")
    ] = False,
) -> int:
    """Copy sessions, then read both sides again and compare. The source is never written."""
    query = filters.query(context)
    options = TransferOptions(
        policy=on_conflict,
        verify=verify,
        query=query if filters.is_filtered(query) else None,
        session_ids=tuple(not_empty(one, "--session") for one in session or ()),
        shard=shard_of(shard) if shard is not None else None,
        batch_bytes=size_of(batch_bytes) if batch_bytes is not None else BATCH_BYTES,
        on_nul=on_nul,
        on_surrogate=on_surrogate,
        on_nan=on_nan,
    )
    flags = TransferFlags(
        restart=restart,
        jobs=jobs,
        on_one_machine=on_one_machine,
        quarantine=quarantine,
        report=report,
        ledger=ledger,
        force=force,
        partial=partial,
        edited=edited,
    )
    return run(context, lambda one: migrate_command(one, source, target, options, flags))
