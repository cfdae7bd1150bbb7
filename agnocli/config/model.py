"""What a configuration holds. Strings are as written, with their `${…}`, until somebody chooses the entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from agnocli.config.secrets import masked

Mode = Literal["route", "coordinate", "broadcast"]
MODES: tuple[Mode, ...] = get_args(Mode)
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Amount = Annotated[float, msgspec.Meta(ge=0)]


class _Masked(msgspec.Struct, frozen=True):
    """Its repr may stand in a traceback or a log."""

    def __repr__(self) -> str:
        shown = masked({name: getattr(self, name) for name in self.__struct_fields__})
        assert isinstance(shown, dict)
        fields = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__name__}({fields})"


class BackendConfig(_Masked, frozen=True, kw_only=True):
    """A place that holds sessions; `options` are that type's own, in any of their spellings."""

    name: str
    type: str
    options: dict[str, object] = {}
    read_only: bool = False


class _Answering(_Masked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`id` and `name` are the table's key unless given. None leaves a setting to its own default."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    model: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    max_tokens: Positive | None = None
    instructions: str | tuple[str, ...] | None = None
    markdown: bool = False
    add_history_to_context: bool = True
    num_history_runs: Count | None = None
    num_history_messages: Count | None = None
    max_history_tokens: Positive | None = None
    tools: tuple[str, ...] = ()
    tool_call_limit: Count | None = None
    session_state: dict[str, Any] | None = None
    add_session_state_to_context: bool = False
    enable_session_summaries: bool = False
    session_summary_num_runs: Positive | None = None
    summary_model: str | None = None
    retries: Count = 0
    user_id: str | None = None


class AgentConfig(_Answering, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: str | None = None


class TeamConfig(_Answering, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`members` are keys of the agents' table; all else is the leader's."""

    members: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    mode: Mode = "coordinate"


class Price(_Masked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a million tokens of a model cost, in any currency.

    `cached_input_per_m` is for input that the provider still had; without it such input costs what other input costs.
    OpenAI counts it among the input tokens, Anthropic apart from them: `cached_apart`.
    """

    input_per_m: Amount
    output_per_m: Amount
    cached_input_per_m: Amount | None = None
    cached_apart: bool = False


class Config(_Masked, frozen=True, kw_only=True):
    """`path` is the file it was read from, None for the built-in defaults; `written` is what stood in it."""

    default_backend: str | None = None
    default_agent: str | None = None
    backends: dict[str, BackendConfig] = {}
    agents: dict[str, AgentConfig] = {}
    teams: dict[str, TeamConfig] = {}
    prices: dict[str, Price] = {}
    path: Path | None = None
    written: Mapping[str, Any] = {}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words, or all of them."""
    from difflib import get_close_matches  # noqa: PLC0415 - for mistakes only

    words = sorted(known)
    if near := get_close_matches(word, words, n=1):
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(words)}" if words else "there is none yet"
