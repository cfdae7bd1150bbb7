"""Reads a line, says or does it, until somebody leaves."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import msgspec

from agnocli.agent.runner import Conversation
from agnocli.cli import chatting
from agnocli.cli.chatting import ChatOptions
from agnocli.cli.context import App
from agnocli.cli.exit_status import ExitStatus
from agnocli.cli.render import notes
from agnocli.cli.render.text import neutral
from agnocli.cli.repl import commands
from agnocli.cli.repl.glimpse import glimpse
from agnocli.cli.repl.leaving import ENDING, Leave, ending, farewell
from agnocli.cli.repl.talk import Talk, short
from agnocli.cli.repl.terminal import held, let_go
from agnocli.errors import AgnoCLIError, UsageError
from agnocli.run import RunEnded, RunEvent, RunStarted, RunStatus

if TYPE_CHECKING:
    from agnocli.cli.attachments import Attachment, Message
    from agnocli.cli.repl.rewind import Given
    from agnocli.records import Run, Session
    from agnocli.sessions.undone import Journal


def run(app: App, options: ChatOptions, first: Message | None) -> int:
    terminal = app.terminal
    if app.options.no_input or not (terminal.stdin_tty or terminal.stderr_tty):
        raise UsageError("a conversation needs a terminal", hint='ask one thing: agno chat "…"')
    if app.options.json:
        raise UsageError("-o json is for one answer", hint='ask one thing: agno chat "…" -o json')
    return _talk(app, Talk(app, options), first)


def converse(app: App, options: ChatOptions, conversation: Conversation) -> None:
    """Talk in a library's conversation, until the user leaves."""
    terminal = app.terminal
    if not (terminal.stdin_tty or terminal.stderr_tty):
        raise UsageError("a conversation needs a terminal", hint="ask one thing: run(…)")
    _talk(app, Talk(app, options, conversation), None)


def _talk(app: App, talk: Talk, first: Message | None) -> int:
    try:
        return _until_left(app, talk, first)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        let_go()
        return ExitStatus.TERMINATED


def _until_left(app: App, talk: Talk, first: Message | None) -> ExitStatus:
    try:
        with held() as typed, ending(), closing(Repl(app, talk, typed)) as repl:
            repl.greet()
            repl.run(first)
    except Leave as leaving:
        if leaving.hung_up:
            let_go()
        farewell(talk)
        return leaving.status


PATIENCE = 2.0
"""Seconds."""


class Repl:
    """`own_runs` are the ids of the runs of this program, `attached` the files that go with the next message."""

    def __init__(self, app: App, talk: Talk, typed: str = "") -> None:
        from agnocli.cli.repl.line import Line

        self.app, self.talk = app, talk
        self.own_runs: set[str] = set()
        self.attached: list[Attachment] = []
        self.given: Given | None = None
        self._journals: dict[str, Journal] = {}
        self._measuring: threading.Thread | None = None
        self.line = Line(
            app,
            prompt=self.prompt,
            status=self.status,
            candidates=lambda line: commands.candidates(self.talk, line),
            ready=self.ready,
        )
        if typed:
            self.line.typed(typed)

    def prompt(self) -> str:
        number = self.given.number if self.given else None
        return "> " if number is None else f"edit {number}> "

    def status(self) -> str:
        count = len(self.attached)
        files = f"{count} file{'' if count == 1 else 's'} attached" if count else ""
        return " · ".join(filter(None, (self.talk.status, files)))

    def ready(self) -> None:
        """The first prompt is there: now what takes time."""
        self.preload()
        if self.talk.stored:
            self._measuring = threading.Thread(target=self._measure_behind, daemon=True)
            self._measuring.start()

    def close(self) -> None:
        """Nobody may be reading when the backend is closed; one that does not answer is not waited for."""
        if self._measuring is not None:
            self._measuring.join(PATIENCE)

    def _measure_behind(self) -> None:
        self.talk.measure()
        self.line.redraw()

    def preload(self) -> None:
        """Load what the first answer needs, while the question is being typed."""
        threading.Thread(target=_load, args=(not self.talk.is_echo,), daemon=True).start()

    def greet(self) -> None:
        talk = self.talk
        about, more = f"{talk.model} · {talk.backend_name}", "/help lists the commands"
        if len(about) + len(more) + 3 <= self.app.terminal.width:
            self.app.note(f"{about} · {more}")
        else:
            self.app.note(about)
            self.app.note(more)
        if talk.is_echo:
            self.app.note("echo is the offline test model; for a real one type")
            self.app.note("/model PROVIDER:ID, as in /model ollama:llama3.2")

    def run(self, first: Message | None) -> NoReturn:
        if first is not None:
            sys.stdout.write(f"> {neutral(first.text)}\n")
            self.guarded(partial(self.ask, first))
            self.guarded(self.talk.measure)
        while True:
            text = self.read()
            if text.strip():
                self.guarded(partial(self.take, text))
                self.guarded(self.talk.measure)

    def read(self) -> str:
        from agnocli.cli.repl.line import EndedLine

        try:
            return self.line.read()
        except KeyboardInterrupt:
            edits = self.given is not None and self.given.number is not None
            self.app.note("left as it was" if edits else "Ctrl-D leaves")
            self.given = None
            return ""
        except EOFError:
            raise Leave from None
        except EndedLine as ended:
            raise Leave(by=ended.signal) from None

    def guarded(self, act: Callable[[], object]) -> None:
        """Whatever goes wrong is said, and the prompt comes back."""
        try:
            act()
        except AgnoCLIError as error:
            self.fail(error)
        except KeyboardInterrupt:
            self.app.note("stopped")
        sys.stdout.flush()

    def fail(self, error: AgnoCLIError) -> None:
        sys.stdout.flush()
        color = {"always": True, "never": False}.get(self.app.options.color or "auto")
        notes.error(error, name="", code=0, color=color)

    def take(self, text: str) -> None:
        """Do or say a line."""
        given, self.given = self.given, None
        if commands.is_command(text):
            commands.run(self, text)
        else:
            self.say(commands.literal(text), given)

    def give(self, given: Given, *, selected: bool = True) -> None:
        """Have a question in the line once more."""
        self.given = given
        self.put_back(given.question, selected=selected)

    def put_back(self, text: str, *, selected: bool = True) -> None:
        """Have what was said, or was to be, in the line."""
        self.line.put_back(commands.typed(text), selected=selected)

    def say(self, text: str, given: Given | None) -> None:
        """Ask what was typed, with the files it names and those that wait. A file that is not there keeps it in the line.

        What was pasted names none: who wrote it is not who sends it.
        """
        from agnocli.cli.attachments import about, message, named_files
        from agnocli.cli.repl.rewind import Given

        _check(text)
        given = given or Given("")
        given = msgspec.structs.replace(given, pasted=f"{given.pasted}\n{self.line.pasted}")
        try:
            words, named = named_files(text, self.app.environ, given.known)
        except AgnoCLIError:
            self.given = given
            self.put_back(text, selected=False)
            raise
        said = message(words, [*self.attached, *named])
        if said.files:
            self.app.note(f"with {about(said.files)}")
        said = msgspec.structs.replace(said, pictures=(*given.still(text), *said.pictures))
        given = self._cut(given)
        if self.ask(said, typed=text) is RunStatus.ERROR:
            self.given = given
        else:
            self.attached.clear()

    def edit(self, wanted: int) -> None:
        """Have the question of a turn in the line; what is sent then takes its place."""
        from agnocli.cli.repl.rewind import editable

        self.must_be_stored()
        self.give(editable(self.talk.backend, self.talk.session_id, wanted), selected=False)
        self.app.note(
            "Enter asks this instead, and a fork keeps what was said; Ctrl-C twice leaves it"
        )

    def _cut(self, given: Given) -> Given:
        """Make room for a turn's question, written anew; from then on it is a question as any other."""
        from agnocli.cli.repl.rewind import cut

        talk = self.talk
        if given.number is None:
            return given
        name = f"{talk.label}, before the edit of turn {given.number}"
        kept = cut(talk.backend, talk.session_id, given.number, kept_as=name)
        self.app.note(f"what was said is kept; go there with: /switch {short(kept)}")
        self.check_summary()
        return msgspec.structs.replace(given, number=None)

    def check_summary(self) -> None:
        """After turns went: say it if the summary, which may be sent, still tells of them."""
        from agnocli.cli.repl.rewind import summary_is_ahead

        if summary_is_ahead(self.talk.backend, self.talk.session_id):
            self.app.note("the summary still tells of it; /summary refresh makes it anew")

    def turn(self, wanted: int) -> tuple[int, Run]:
        """A turn by its number, with the number it has. UsageError before the first one."""
        from agnocli.sessions.turns import numbered

        self.must_be_stored()
        return numbered(self.talk.backend, self.talk.session_id, wanted)

    def must_be_stored(self) -> Session:
        session = self.talk.conversation.stored() if self.talk.stored else None
        if session is None:
            raise UsageError("nothing has been said in this session yet")
        return session

    def journal(self) -> Journal:
        """What was taken back in this session."""
        from agnocli.sessions.undone import journal

        session_id = self.talk.session_id
        if session_id not in self._journals:
            self._journals[session_id] = journal(self.talk.backend, session_id)
        return self._journals[session_id]

    def retry(self, model: str | None = None) -> None:
        """Ask the last question again, if need be another model, this once."""
        before = self.talk.settings
        if model is not None:
            self.talk.set_model(model)
        try:
            self._retry()
        finally:
            self.talk.restored(before)

    def _retry(self) -> None:
        """The answers there were are set aside, unless no better one comes."""
        from agnocli.cli.attachments import Message
        from agnocli.sessions.turns import bring_back, last_turn, set_aside

        turn = last_turn(self.talk.backend, self.talk.session_id, own=self.own_runs)
        if not turn.question:
            raise UsageError("the last turn holds no question that can be read")
        self.app.note(f"again: {glimpse(turn.question)}")
        set_aside(self.talk.backend, turn)
        status = None
        try:
            said = Message(turn.question, turn.pictures)
            status = self.ask(said, typed=turn.question, replaces=turn.run.run_id)
        finally:
            if status is not RunStatus.COMPLETED:
                bring_back(self.talk.backend, turn)

    def ask(
        self, said: Message, *, typed: str | None = None, replaces: str | None = None
    ) -> RunStatus:
        """Say something, and show the answer. What was typed and failed is in the next line, to be sent again."""
        _check(said.text)
        typed = said.text if typed is None else typed
        came: list[int] = []
        try:
            ended = self._answer(said, replaces, came)
        except KeyboardInterrupt:
            raise Leave(ExitStatus.INTERRUPTED, by=came[0] if came else 0) from None
        except AgnoCLIError:
            self.put_back(typed)
            raise
        chatting.remarks(
            self.app, ended, stopped="stopped; what was said is kept; /retry asks again"
        )
        if self.talk.options.usage:
            self.app.note(chatting.usage(ended.output))
        if ended.error is not None:
            self.fail(ended.error)
            self.put_back(typed)
        for number in came:
            if number in ENDING:
                raise Leave(by=number)
        return ended.output.status

    def _answer(self, said: Message, replaces: str | None, came: list[int]) -> RunEnded:
        conversation = self.talk.conversation
        conversation.pictures = said.pictures
        view = chatting.answer_view(self.app, raw=self.talk.options.raw)

        def heard(events: Iterator[RunEvent]) -> Iterator[RunEvent]:
            for event in events:
                if isinstance(event, RunStarted):
                    self.talk.stored = True
                    self.own_runs.add(event.run_id)
                yield event

        with (
            chatting.stopping(conversation, came),
            closing(conversation.ask(said.text, replaces=replaces)) as events,
        ):
            ended = chatting.show(
                heard(events),
                view,
                sys.stderr,
                note=self.app.note,
                tty=self.app.terminal.stdout_tty,
            )
        if self.app.terminal.stdout_tty:
            sys.stdout.write("\n")
            sys.stdout.flush()
        return ended


def _check(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("the message is not valid UTF-8; nothing was sent") from None


def _load(real_model: bool) -> None:
    try:
        import agnocli.cli.render.markdown  # noqa: F401

        if real_model:
            from agnocli.agent.models import preload

            preload()
    except ImportError:  # comes again, and is said, when it is needed
        pass
