"""What commands share: options, configuration, the backend, and what is known of the terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, TextIO, cast

import typer

from agnocli.cli.options import GlobalOptions, Output
from agnocli.errors import ConfirmationRequiredError, UsageError

if TYPE_CHECKING:
    from agnocli.abc import Backend
    from agnocli.cli.render.listing import Column
    from agnocli.config import BackendConfig, Config


FEW = 20
"""Up to so many sessions are deleted with a simple yes."""


class Terminal:
    """Facts about the streams. Width is in cells; a pipe has no width."""

    def __init__(self, options: GlobalOptions) -> None:
        self._options = options
        self.stdin_tty = sys.stdin is not None and sys.stdin.isatty()
        self.stdout_tty = sys.stdout.isatty()
        self.stderr_tty = sys.stderr.isatty()

    @property
    def width(self) -> int:
        return shutil.get_terminal_size((80, 24)).columns

    @property
    def color(self) -> bool:
        if self._options.color in ("always", "never"):
            return self._options.color == "always"
        dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
        return self.stdout_tty and not dumb

    @property
    def can_page(self) -> bool:
        told = self._options.no_pager or self._options.no_input or os.environ.get("TERM") == "dumb"
        return self.stdin_tty and self.stdout_tty and not told

    @property
    def can_ask(self) -> bool:
        return self.stdin_tty and self.stderr_tty and not self._options.no_input


class App:
    """One invocation."""

    def __init__(self, options: GlobalOptions) -> None:
        self.options = options
        self.environ: Mapping[str, str] = os.environ
        self.terminal = Terminal(options)
        self._config: Config | None = None
        self._opened: list[tuple[Backend, BackendConfig]] = []

    @property
    def config(self) -> Config:
        if self._config is None:
            from agnocli.config import load_config

            self._config = load_config(self.options.config, self.environ)
            self.detail(f"configuration: {self._config.path or 'built-in defaults'}")
        return self._config

    def backend(self, reference: str | None = None, *, read_only: bool = False) -> Backend:
        """The chosen backend; closed when the command ends."""
        from agnocli.config import backend_config
        from agnocli.db.registry import open_backend

        chosen = backend_config(self.config, reference or self.options.backend, self.environ)
        backend = open_backend(chosen, read_only=read_only)
        self._opened.append((backend, chosen))
        self.detail(f"backend {chosen.name}: {backend.address}")
        return backend

    def beside(self, sink: object) -> list[Backend]:
        """More connections to a place that was opened here and that is written faster by several; else none."""
        from agnocli.db.registry import open_backend

        again = [
            (open_backend(chosen), chosen)
            for backend, chosen in self._opened
            if backend is sink and backend.capabilities.writes_beside
        ]
        self._opened += again
        return [backend for backend, _ in again]

    def opener(self, sink: object) -> Callable[[], Backend] | None:
        """What opens a place, that was opened here, once more and in any process, to be read; None for any other."""
        from agnocli.db.registry import open_backend

        for backend, chosen in self._opened:
            if backend is sink and backend.capabilities.durable:
                return partial(open_backend, chosen, read_only=True)
        return None

    def backend_name(self) -> str:
        from agnocli.config import backend_config

        return backend_config(self.config, self.options.backend, self.environ).name

    def close(self) -> None:
        for backend, _ in self._opened:
            backend.close()

    @property
    def output(self) -> Output:
        """The chosen format; on its own a table for a person and tabs for a program."""
        chosen = self.options.output or Output.AUTO
        if chosen is not Output.AUTO:
            return chosen
        return Output.TABLE if self.terminal.stdout_tty else Output.TSV

    def list(self, rows: Iterable[Mapping[str, object]], columns: Sequence[Column]) -> int:
        """Print rows in the chosen format, paged on a terminal; returns how many."""
        from agnocli.cli.render.listing import write_listing

        if self.tells_fields(columns):
            return 0
        shown = 0

        def counted() -> Iterator[Mapping[str, object]]:
            nonlocal shown
            for row in rows:
                shown += 1
                yield row

        fields = [one.strip() for one in (self.options.fields or "").split(",") if one.strip()]
        with self.paged() as stream:
            write_listing(
                counted(),
                columns,
                output=self.output.value,  # type: ignore[arg-type]
                stream=stream,
                color=self.terminal.color,
                width=self.terminal.width,
                now=time.time(),
                fields=fields or None,
                tty=self.terminal.stdout_tty,
            )
        return shown

    def tells_fields(self, columns: Sequence[Column]) -> bool:
        """Print the fields of a listing, if `--fields help` asks for them."""
        if (self.options.fields or "").strip() != "help":
            return False
        names = [one.name for one in columns]
        if not self.json(names):
            sys.stdout.write("\n".join(names) + "\n")
        return True

    @contextmanager
    def paged(self) -> Iterator[TextIO]:
        """stdout; on a terminal by way of a pager, when what comes is taller. Who quits it ends the body quietly."""
        if not self.terminal.can_page:
            yield sys.stdout
            return
        from agnocli.cli.paging import Pager, PagerClosed, pager_command

        if not (command := pager_command(self.environ)):
            yield sys.stdout
            return
        lines = shutil.get_terminal_size((80, 24)).lines - 1
        pager = Pager(sys.stdout, command, lines, self.environ)
        try:
            with suppress(PagerClosed):
                yield cast(TextIO, pager)
        finally:
            pager.finish()
        if pager.missing and command != ["less"]:
            self.warn(f"there is no pager {command[0]!r}; AGNO_PAGER or PAGER names it")

    def json(self, value: object) -> bool:
        """Print one value if JSON is wanted; says whether it was."""
        from agnocli import codec
        from agnocli.cli.render.text import neutral_json

        if self.options.json:
            write = codec.pretty if self.options.output is Output.JSON else codec.line
            sys.stdout.write(neutral_json(write(value)) + "\n")
        return self.options.json

    def note(self, text: str) -> None:
        """Tell the person, on stderr."""
        if not self.options.quiet:
            from agnocli.cli.render.notes import note

            note(text, color=self._stderr_color())

    def detail(self, text: str) -> None:
        """What only --verbose tells."""
        if self.options.verbose:
            self.note(text)

    def warn(self, text: str) -> None:
        from agnocli.cli.render.notes import warn

        warn(text, color=self._stderr_color())

    def waiting(self, label: str) -> AbstractContextManager[object]:
        """A sign of life on a terminal, for what may take its time."""
        if self.options.quiet:
            return nullcontext()
        from agnocli.cli.render.notes import Waiting

        return Waiting(label=label)

    def _stderr_color(self) -> bool | None:
        return {"always": True, "never": False}.get(self.options.color or "auto")

    def confirm(self, question: str) -> bool:
        """Ask on stderr. ConfirmationRequiredError when nobody is there to be asked."""
        if self.options.yes:
            return True
        if not self.terminal.can_ask:
            raise ConfirmationRequiredError(f"{question} Nobody is there to be asked.")
        from agnocli.cli.render.text import one_line

        sys.stderr.write(f"{one_line(question)} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def confirm_count(self, question: str, count: int, given: int | None) -> bool:
        """As `confirm`; where it is about many, the number is to be typed, or was given beforehand."""
        if given is not None and given != count:
            raise ConfirmationRequiredError(
                f"{count:,} sessions are meant, not {given:,}",
                hint=f"look at them with --dry-run; then: --confirm {count}",
            )
        if given is not None or self.options.yes or count <= FEW:
            return given is not None or self.confirm(question)
        if not self.terminal.can_ask:
            raise ConfirmationRequiredError(
                f"{question} Nobody is there to be asked.", hint=f"add --confirm {count}, or --yes"
            )
        from agnocli.cli.render.text import one_line

        sys.stderr.write(f"{one_line(question)} Type {count} to go ahead: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().replace(",", "") == str(count)


def run(context: typer.Context, body: Callable[[App], int | None]) -> int:
    """Run a command's body with its App; the exit status it gives, or 0."""
    app = App(context.find_root().ensure_object(GlobalOptions))
    try:
        return body(app) or 0
    finally:
        app.close()


def not_empty(value: str, what: str) -> str:
    """An empty argument is an error, never "all"."""
    if not value.strip():
        raise UsageError(f"{what} is empty", hint="an unset variable in a script?")
    return value
