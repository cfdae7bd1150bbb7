"""`agno sessions …`: conversations that are stored."""

from __future__ import annotations

from agnocli.cli.commands import (
    searching,
    session_context,
    session_edits,
    session_files,
    session_inspect,
    session_list,
    session_removal,
    session_state,
    session_stats,
    session_summaries,
    session_verify,
)
from agnocli.cli.filters import Filtered
from agnocli.cli.options import Command, application
from agnocli.cli.tagging import Tagging

app = application("List, search, inspect, rename, delete, export and import conversations.")
app.command("list", cls=Filtered)(session_list.list_)
app.command(cls=Filtered)(searching.search)
app.command(cls=Command)(session_inspect.inspect)
app.command("show", cls=Command, hidden=True, help="The same as inspect.")(session_inspect.inspect)
app.command(cls=Command)(session_context.context)
app.command("export", cls=Filtered)(session_files.export)
app.command("import", cls=Command)(session_files.import_)
app.command("stats", cls=Filtered)(session_stats.stats)
app.command("verify", cls=Filtered)(session_verify.verify)
app.command(cls=Command)(session_edits.rename)
app.command(cls=Tagging)(session_edits.tag)
app.command(cls=Command)(session_edits.fork)
app.add_typer(session_state.app, name="state")
app.command(cls=Filtered)(session_removal.delete)
app.command(cls=Filtered)(session_removal.prune)
app.command(cls=Command)(session_removal.restore)
app.add_typer(session_removal.trash, name="trash")
app.command(cls=Filtered)(session_summaries.summarize)
