"""Python functions as tools: what a model is told of them, and how one is called."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from threading import Lock
from types import GeneratorType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec

from agnocli import codec
from agnocli.errors import UsageError
from agnocli.run import RunContext, RunEvent

if TYPE_CHECKING:
    from agnocli.agent.calls import Job

Emit = Callable[[RunEvent], None]


class ToolCallError(Exception):
    """A call that failed; its text is what the model reads."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """`parameters` is a JSON schema. `run` gives the text that the model reads, or raises ToolCallError.

    The result of one that `ends_turn` is the answer. `delegates`: it is run by agents, needs nobody's approval,
    and ends by itself when the turn is stopped.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[[Job, Emit], str]
    ends_turn: bool = False
    delegates: bool = False

    def schema(self) -> dict[str, Any]:
        """As Chat Completions takes it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }
        return {"type": "function", "function": function}


def toolbox(given: Sequence[Callable[..., Any] | Tool]) -> dict[str, Tool]:
    """Tools by name, in the order of their names: what is sent is the same every time. UsageError."""
    found: dict[str, Tool] = {}
    for one in given:
        tool = one if isinstance(one, Tool) else tool_of(one)
        if tool.name in found:
            raise UsageError(f"two tools are named {tool.name!r}", hint="rename one of them")
        found[tool.name] = tool
    return dict(sorted(found.items()))


_made: WeakKeyDictionary[Callable[..., Any], Tool] = WeakKeyDictionary()
_making = Lock()


def tool_of(function: Callable[..., Any]) -> Tool:
    """The tool that a function is. UsageError for one that no model could call."""
    if not inspect.isfunction(function):
        return _make(function)
    with _making:
        if function not in _made:
            _made[function] = _make(function)
        return _made[function]


def _make(function: Callable[..., Any]) -> Tool:
    name = getattr(function, "__name__", "")
    if not callable(function) or not name.isidentifier():
        raise UsageError(f"{function!r} cannot be a tool: it has no name", hint="give a function")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(
            f"tool {name!r} is async, and tools are run in threads", hint="write it with def"
        )
    context_names, parameters = _parameters(function, name)
    short, described = _described(function)
    model = _model(name, parameters, described)
    return Tool(
        name=name,
        description=short,
        parameters=_schema(model),
        run=partial(_call, function, model, context_names),
    )


def _parameters(
    function: Callable[..., Any], name: str
) -> tuple[list[str], dict[str, inspect.Parameter]]:
    """Names of those that take the RunContext, and the others, their annotations looked up."""
    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        raise UsageError(
            f"the signature of tool {name!r} cannot be read: {error}",
            hint="what its annotations name must be importable where it stands",
        ) from error
    contexts: list[str] = []
    others: dict[str, inspect.Parameter] = {}
    for one in signature.parameters.values():
        hint = hints.get(one.name, Any)
        if one.name == "run_context" or RunContext in (hint, *typing.get_args(hint)):
            contexts.append(one.name)
        elif one.kind is one.POSITIONAL_ONLY:
            raise UsageError(
                f"tool {name!r} takes {one.name!r} by position only", hint="take the / out"
            )
        elif one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            others[one.name] = one.replace(annotation=hint)
    return contexts, others


def _described(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What the docstring says of the function, and of each parameter."""
    from docstring_parser import parse

    found = parse(inspect.getdoc(function) or "")
    parts = (found.short_description, found.long_description)
    parameters = {one.arg_name: (one.description or "").strip() for one in found.params}
    return "\n\n".join(part.strip() for part in parts if part), parameters


def _model(
    name: str, parameters: Mapping[str, inspect.Parameter], described: Mapping[str, str]
) -> Any:
    """A pydantic model of the arguments. Its own names are numbers: a parameter may be called as it likes."""
    from pydantic import ConfigDict, Field, create_model
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

    fields: dict[str, Any] = {}
    for number, (key, one) in enumerate(parameters.items()):
        default = ... if one.default is one.empty else one.default
        field = Field(default, alias=key, description=described.get(key) or None)
        fields[f"p{number}"] = (one.annotation, field)
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    try:
        model: Any = create_model(name, __config__=config, **fields)
        model.model_json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise UsageError(
            f"tool {name!r} takes what JSON has no form for: {str(error).splitlines()[0]}",
            hint="annotate its parameters with plain types, dataclasses or pydantic models",
        ) from error
    return model


def _schema(model: Any) -> dict[str, Any]:
    schema: dict[str, Any] = _untitled(model.model_json_schema(by_alias=True))
    return {"type": "object", "properties": {}, **schema}


def _untitled(value: Any) -> Any:
    """Without the titles that pydantic makes of every name; a property may be called `title`."""
    if isinstance(value, list):
        return [_untitled(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: one for key, one in value.items() if key != "title" or not isinstance(one, str)}
    return {key: _untitled(one) for key, one in kept.items()}


def _call(
    function: Callable[..., Any], model: Any, contexts: Sequence[str], job: Job, emit: Emit
) -> str:
    from pydantic import ValidationError

    given = {key: one for key, one in job.call.arguments.items() if key not in contexts}
    try:
        read = model.model_validate(given)
    except ValidationError as error:
        raise ToolCallError("\n".join(_complaints(error))) from error
    names = {field: info.alias for field, info in type(read).model_fields.items()}
    arguments = {alias: getattr(read, field) for field, alias in names.items()}
    try:
        result = function(**arguments, **dict.fromkeys(contexts, job.context))
        return as_text(result)
    except Exception as error:  # the model reads it, and goes on
        raise ToolCallError(_failure(error)) from error


def _complaints(error: Any) -> Iterator[str]:
    yield "Error: these arguments do not fit:"
    for one in error.errors(include_url=False, include_input=False):
        place = ".".join(map(str, one["loc"]))
        yield f"{place}: {one['msg']}"


def _failure(error: Exception) -> str:
    return clean(f"Error: {type(error).__name__}: {error}")


def as_text(result: object) -> str:
    """A result as the model reads it: text as it is, all else as JSON."""
    if isinstance(result, GeneratorType):
        parts = list(result)
        result = "".join(parts) if all(isinstance(one, str) for one in parts) else parts
    if isinstance(result, str):
        return clean(result)
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(result, fallback=str)
    return clean(codec.unescaped(codec.encode(plain)).decode("utf-8", "surrogatepass"))


def clean(text: str) -> str:
    """Without what some backends or providers do not take: NUL, and halves of characters."""
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
