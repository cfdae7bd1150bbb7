"""What is being talked about: the session, and what its next turn is asked with."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from agnocli.agent.models.late import LateModel
from agnocli.agent.models.providers import ECHO, ModelSpec, find_provider
from agnocli.agent.runner import Conversation
from agnocli.agent.settings import ChatSettings
from agnocli.cli import chatting
from agnocli.cli.chatting import ChatOptions
from agnocli.cli.context import App
from agnocli.cli.render.text import amount, fit, one_line
from agnocli.errors import AgnoCLIError, UsageError

if TYPE_CHECKING:
    from agnocli.agent.tools import Tool
    from agnocli.records import SessionInfo

SHORT = 8


class Talk:
    """Starts with the session that the flags name, or a new one.

    `stored` says whether the session is in the backend, as far as is known here; `context` how many tokens the next
    request is likely to have, where that is known.
    """

    def __init__(
        self, app: App, options: ChatOptions, conversation: Conversation | None = None
    ) -> None:
        self.app, self.options, self.name = app, options, options.name
        self.is_librarys = conversation is not None
        if conversation is not None:
            self.settings, self.backend = conversation.settings, conversation.backend
            self.stored, self.backend_name = conversation.stored() is not None, self.backend.address
            self.conversation = conversation
        else:
            self.settings = chatting.settings(app, options)
            found = chatting.open_session(app, options, self.settings)
            self.backend, session_id, self.stored = found
            self.backend_name = app.backend_name() if options.save else "not saved"
            self.conversation = self._conversation(session_id)
        self.context: int | None = None
        self._all_tools, self._off = self.settings.tools, set[str]()
        if self.stored:
            self._take_up(options)

    def _conversation(self, session_id: str, *, fresh: bool = True) -> Conversation:
        state = self.options.state if fresh else None
        return Conversation(self.backend, session_id, self.settings, name=self.name, state=state)

    def _take_up(self, options: ChatOptions) -> None:
        chatting.prepare(self.app, self.conversation, options)
        info = self._info()
        self.name = info.name if info else None
        if info is not None:
            runs = amount(info.runs, "run")
            self.app.note(f"{one_line(info.title or info.session_id)} · {runs} so far")

    def _info(self) -> SessionInfo | None:
        from agnocli.abc import SessionQuery

        page = self.backend.find(SessionQuery(id_prefix=self.session_id, limit=50))
        return next((one for one in page.items if one.session_id == self.session_id), None)

    @property
    def spec(self) -> ModelSpec | None:
        """Of the model, where it was named; a library may bring one of its own."""
        model = self.settings.model
        return model.spec if isinstance(model, LateModel) else None

    @property
    def session_id(self) -> str:
        return self.conversation.session_id

    @property
    def label(self) -> str:
        """The session in a word."""
        return one_line(self.name or short(self.session_id))

    @property
    def model(self) -> str:
        if self.spec is None:
            return one_line(f"{self.settings.model.provider}:{self.settings.model.id}")
        if self.is_echo and self.spec.id == ECHO.key:
            return ECHO.key
        return one_line(f"{self.spec.provider.key}:{self.spec.id}")

    @property
    def is_echo(self) -> bool:
        return self.spec is not None and self.spec.provider is ECHO

    @property
    def status(self) -> str:
        parts = [one_line(self.backend_name), fit(self.label, 3 * SHORT), self.model]
        if self.context is not None:
            parts.append(f"~{_thousands(self.context)} tokens")
        return " · ".join(parts)

    def measure(self) -> None:
        """Estimate the next request anew. A toolbar is no place for an error: the next turn tells it."""
        from agnocli.agent.outlook import estimated

        try:
            self.context = (
                estimated(self.conversation.outlook(None)[0]) if self.stored else 0
            ) or None
        except AgnoCLIError:
            self.context = None

    def new(self, name: str | None) -> None:
        self.name, self.stored, self.context = name, False, None
        self.conversation = self._conversation(str(uuid.uuid4()))

    def switch(self, reference: str) -> None:
        """Go on with another stored session; on any error this one stays."""
        from agnocli.sessions.resolve import resolve

        before = self.conversation, self.name, self.stored
        try:
            self.name, self.stored = None, True
            self.conversation = self._conversation(resolve(self.backend, reference), fresh=False)
            self._take_up(msgspec.structs.replace(self.options, name=None, state={}))
        except BaseException:
            self.conversation, self.name, self.stored = before
            raise

    def rename(self, name: str) -> None:
        if self.stored:
            from agnocli.sessions.naming import rename

            rename(self.backend, self.session_id, name)
        self.name = self.conversation.name = name

    def set_model(self, name: str) -> None:
        """Ask another model from now on. ConfigError, and the old one stays."""
        elsewhere = find_provider(name.partition(":")[0])
        options = msgspec.structs.replace(
            self.options, model=name, base_url=None if elsewhere else self.options.base_url
        )
        agent = chatting.choose_agent(self.app, options.agent)
        self._set(model=LateModel(chatting.choose_model(self.app, options, agent)))

    def set_system(self, text: str | None) -> None:
        self._set(system=text)

    def restored(self, settings: ChatSettings) -> None:
        """Ask as before."""
        self.settings = self.conversation.settings = settings

    def tools(self) -> list[tuple[Tool, bool]]:
        """Every tool there is, and whether it is offered to the model."""
        from agnocli.agent.tools import toolbox

        return [(one, one.name not in self._off) for one in toolbox(self._all_tools).values()]

    def switch_tool(self, name: str, *, on: bool) -> None:
        """UsageError when there is none of this name."""
        known = [tool for tool, _ in self.tools()]
        if name not in [tool.name for tool in known]:
            names = ", ".join(tool.name for tool in known)
            raise UsageError(f"no tool {name!r}", hint=f"there are: {names}" if names else None)
        self._off = self._off - {name} if on else self._off | {name}
        self._set(tools=tuple(one for one in known if one.name not in self._off))

    def state(self) -> dict[str, Any]:
        """What the next turn begins with."""
        return self.conversation.state()

    def set_state(self, key: str, value: Any) -> None:
        """At once where the session is stored, else with its first turn."""
        from agnocli import codec
        from agnocli.sessions.state import set_value

        if self.stored:
            set_value(self.backend, self.session_id, key, codec.encode(value))
        else:
            self.conversation.coming[key] = value

    def unset_state(self, key: str) -> None:
        """UsageError for a key that only the configuration sets, StateKeyNotFoundError for one that is not there."""
        from agnocli.sessions.state import unset_value

        if self.stored:
            unset_value(self.backend, self.session_id, key)
        elif key in self.conversation.coming:
            del self.conversation.coming[key]
        else:
            raise UsageError(
                f"nothing sets {key!r} but the configuration, if anything", hint="/state shows all"
            )

    def _set(self, **changes: object) -> None:
        self.settings = msgspec.structs.replace(self.settings, **changes)
        self.conversation.settings = self.settings


def short(session_id: str) -> str:
    """As much of an id as is typed: its beginning where it is long."""
    return session_id if len(session_id) <= 3 * SHORT else session_id[:SHORT]


def _thousands(number: int) -> str:
    return f"{number / 1000:.1f}k" if number >= 1000 else str(number)
