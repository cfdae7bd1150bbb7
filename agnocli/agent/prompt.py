"""The system message: instructions with their variables, the summary, the session's state."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agnocli import codec
from agnocli.agent.settings import ChatSettings

_VARIABLE = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")

_ABOUT_SUMMARY = """\
What was said before, in short. It may be out of date: what is said in the conversation itself counts more.
<summary_of_previous_interactions>
{}
</summary_of_previous_interactions>"""


def system_message(
    settings: ChatSettings, state: Mapping[str, Any], summary: str | None, user_id: str | None
) -> str:
    return "\n\n".join(filter(None, _parts(settings, state, summary, user_id)))


def _parts(
    settings: ChatSettings, state: Mapping[str, Any], summary: str | None, user_id: str | None
) -> Iterator[str]:
    variables = {"user_id": user_id} if user_id is not None else {}
    yield filled(
        settings.system or "", {**variables, **settings.metadata, **settings.dependencies, **state}
    )
    yield from settings.additions
    if settings.summary_in_context and summary:
        yield _ABOUT_SUMMARY.format(summary)
    if settings.state_in_context:
        yield f"<session_state>\n{_json(state)}\n</session_state>"


def filled(text: str, variables: Mapping[str, Any]) -> str:
    """`{name}` of a known name becomes its value, `{{name}}` the text `{name}`; all else stays."""

    def value(found: re.Match[str]) -> str:
        escaped, name = found.groups()
        if (escaped or name) not in variables:
            return found[0]
        return f"{{{escaped}}}" if escaped else shown(variables[name])

    return _VARIABLE.sub(value, text)


def shown(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return codec.unescaped(codec.encode(value)).decode("utf-8", "surrogatepass")
