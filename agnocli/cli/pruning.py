"""`agno sessions prune`: sessions that have served their time, into the trash; only told of unless `--yes`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agnocli.abc import Backend, SessionQuery
from agnocli.cli.context import App
from agnocli.cli.deleting import finish, remove
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.render.text import amount
from agnocli.cli.session_rows import COLUMNS, row
from agnocli.layout.filter import listed, sort_key
from agnocli.records import SessionInfo


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What goes must be all of this; `before` is in epoch seconds."""

    before: int | None = None
    keep: int | None = None
    empty: bool = False
    protected: tuple[str, ...] = ()


class Pruning:
    """Counts what it passes over: `kept`, and `protected` by a tag though the rules mean them."""

    def __init__(self, backend: Backend, query: SessionQuery, rules: Rules) -> None:
        self._backend, self._query, self._rules = backend, query, rules
        self.kept = self.protected = self.runs = 0

    def __iter__(self) -> Iterator[SessionInfo]:
        """The latest first, as they are listed."""
        rules = self._rules
        for place, info in enumerate(listed(self._backend, self._query)):
            stays = (
                (rules.keep is not None and place < rules.keep)
                or (rules.before is not None and sort_key(info, self._query.sort) >= rules.before)
                or (rules.empty and info.runs > 0)
            )
            if stays:
                self.kept += 1
            elif not set(rules.protected).isdisjoint(info.tags):
                self.protected += 1
            else:
                self.runs += info.runs
                yield info


def prune(app: App, query: SessionQuery, rules: Rules) -> int:
    really = app.options.yes and not app.options.dry_run
    backend = app.backend(read_only=not really)
    going = Pruning(backend, query, rules)
    if not really:
        return _planned(app, going)
    with app.waiting("pruning"):
        removed = remove(app, backend, [one.session_id for one in going])
    if not removed.deleted and not removed.changed:
        app.note(f"nothing to prune; {_in_words(going)}")
    return finish(app, removed)


def _planned(app: App, going: Pruning) -> int:
    name = app.backend_name()
    if app.options.json:
        rows = [row(info, name) for info in going]
        counts = {"runs": going.runs, "kept": going.kept, "protected": going.protected}
        app.json({"deleted": [], "dry_run": True, "would_delete": rows, **counts})
        return ExitStatus.OK
    count = app.list((row(info, name) for info in going), COLUMNS)
    if not count:
        app.note(f"nothing to prune; {_in_words(going)}")
    else:
        what = f"{amount(count, 'session')} with {amount(going.runs, 'run')}"
        app.note(f"{what} would go into the trash, with --yes; {_in_words(going)}")
    return ExitStatus.OK


def _in_words(going: Pruning) -> str:
    protected = f", {going.protected:,} protected by a tag" if going.protected else ""
    return f"{going.kept:,} kept{protected}"
