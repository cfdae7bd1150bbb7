"""The input line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Attrs, Style

from agnocli.cli.context import App
from agnocli.cli.render.text import cells, fit
from agnocli.cli.repl.folds import Folds
from agnocli.cli.repl.history import InputHistory
from agnocli.cli.repl.keys import bindings
from agnocli.cli.signals import heeding
from agnocli.config.paths import state_dir

FURTHER = "  "
EDITOR_KEY = "Ctrl-X Ctrl-E: editor"

FAINT = "dim" if "dim" in Attrs._fields else "ansibrightblack"  # new in 3.0.51
STYLE = Style.from_dict(
    {
        "prompt": "bold ansigreen",
        "auto-suggestion": f"noinherit {FAINT}",
        "bottom-toolbar": "noreverse",
        "bottom-toolbar.text": FAINT,
    }
)

Candidates = Callable[[str], Iterator[tuple[str, str, str]]]
"""For a line up to the cursor: what could stand in place of its last part, that part, and a remark."""


class EndedLine(Exception):
    """A signal came that ends the program."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


class Line:
    """Reads messages. `prompt` stands before them, `status` is the text below, `candidates` what Tab offers; `ready`
    is called once shown."""

    def __init__(
        self,
        app: App,
        *,
        prompt: Callable[[], str],
        status: Callable[[], str],
        candidates: Candidates,
        ready: Callable[[], None],
    ) -> None:
        self._folds = Folds()
        self._status, self._ready = status, ready
        self._given, self._selected = "", True
        history = InputHistory(
            state_dir(app.environ) / "history", whole=self._folds.unfold, trouble=app.warn
        )
        self._session: PromptSession[str] = PromptSession(
            lambda: [("class:prompt", prompt())],
            multiline=True,
            prompt_continuation=FURTHER,
            history=history,
            auto_suggest=AutoSuggestFromHistory(),
            completer=_Completer(candidates),
            complete_while_typing=False,
            search_ignore_case=True,
            enable_suspend=True,
            tempfile_suffix=".md",
            key_bindings=bindings(self._folds),
            bottom_toolbar=self._toolbar,
            reserve_space_for_menu=6,
            style=STYLE,
            include_default_pygments_style=False,
            color_depth=None if app.terminal.color else ColorDepth.DEPTH_1_BIT,
            input=_input(app),
            output=_output(app),
        )
        self._session.app.after_render += self._shown

    def typed(self, keys: str) -> None:
        """Take keys as if they were pressed at the next prompt."""
        pressed: list[KeyPress] = []
        Vt100Parser(pressed.append).feed_and_flush(keys)
        store_typeahead(self._session.app.input, pressed)

    def put_back(self, text: str, *, selected: bool = True) -> None:
        """Have this in the next line. Selected, Enter sends it, an arrow edits it, anything typed replaces it."""
        self._given, self._selected = text, selected

    @property
    def pasted(self) -> str:
        """What of the line that was read last was not typed."""
        return "\n".join(self._folds.pasted)

    def redraw(self) -> None:
        """Show the status anew; fit to be called from another thread."""
        # the application must not end between two steps of invalidate(), so that runs in its own thread
        prompt = self._session.app
        loop = prompt.loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile: nothing is shown any more
                loop.call_soon_threadsafe(prompt.invalidate)

    def read(self) -> str:
        """What was sent. KeyboardInterrupt for Ctrl-C on an empty line, EOFError for Ctrl-D, EndedLine."""
        self._folds.clear()
        given, self._given = self._folds.fold(self._given), ""
        select = self._select if given and self._selected else None
        with self._heeding_signals() as came:
            try:
                text = self._session.prompt(default=given, pre_run=select)
            except (EOFError, OSError):  # the terminal went with the signal
                if came:
                    raise EndedLine(came[0]) from None
                raise
        return self._folds.unfold(text).strip("\n")

    def _select(self) -> None:
        buffer = self._session.default_buffer
        buffer.cursor_position = 0
        buffer.start_selection()
        if buffer.selection_state is not None:
            buffer.selection_state.enter_shift_mode()
        buffer.cursor_position = len(buffer.text)

    def _toolbar(self) -> str:
        room = self._session.app.output.get_size().columns - 1
        status = fit(self._status(), room)
        blanks = room - cells(status) - cells(EDITOR_KEY)
        return status + " " * blanks + EDITOR_KEY if blanks > 2 else status

    def _shown(self, _: object) -> None:
        self._session.app.after_render -= self._shown
        self._ready()

    @contextmanager
    def _heeding_signals(self) -> Iterator[list[int]]:
        """SIGTERM and SIGHUP end the line in good order, so that the terminal is left as it was."""
        app, came = self._session.app, list[int]()

        def leave() -> None:
            if app.is_running and not app.is_done:
                app.exit(exception=EndedLine(came[0]))

        def heed(number: int, frame: FrameType | None) -> None:
            came.append(number)
            if app.loop is None:
                raise EndedLine(number)
            app.loop.call_soon_threadsafe(leave)

        with heeding((signal.SIGTERM, signal.SIGHUP), heed):
            yield came


class _Completer(Completer):
    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        for whole, part, remark in self._candidates(document.text_before_cursor):
            yield Completion(whole, start_position=-len(part), display_meta=remark)


class _Vt100(Vt100_Output):
    """Draws right below what was printed, without asking the terminal where that is: the answer may come late."""

    def get_rows_below_cursor_position(self) -> int:
        return 1


def _output(app: App) -> Output | None:
    """The terminal: stdout, or stderr while stdout goes elsewhere. None leaves the choice to the library."""
    terminal = app.terminal
    if app.environ.get("TERM") in ("dumb", "unknown") or not terminal.stderr_tty:
        return None
    return _Vt100.from_pty(sys.stdout if terminal.stdout_tty else sys.stderr)


def _input(app: App) -> Input | None:
    """The terminal even when stdin is not: `-i` goes on talking after piped words."""
    if app.terminal.stdin_tty or not app.terminal.stderr_tty:
        return None
    return create_input(always_prefer_tty=True)
