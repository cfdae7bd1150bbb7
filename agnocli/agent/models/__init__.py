"""Models to talk to. `open_model` loads `openai` when the first real model is opened, not before."""

from __future__ import annotations

from agnocli.abc import ChatModel
from agnocli.agent.models.providers import ECHO, ModelSpec, list_providers, parse_model

__all__ = ["ModelSpec", "list_providers", "open_model", "parse_model", "preload"]


def open_model(spec: ModelSpec, *, timeout: float | None = None, max_retries: int = 2) -> ChatModel:
    """`timeout` is seconds without a sign of the server; None is the SDK's ten minutes.

    `max_retries` counts further tries before the first word of an answer, never after it.
    """
    if spec.provider is ECHO:
        from agnocli.agent.models.echo import EchoModel

        return EchoModel(spec.id)
    from agnocli.agent.models.openai import OpenAIChatModel

    return OpenAIChatModel(spec, timeout=timeout, max_retries=max_retries)


def preload() -> None:
    """Import what `open_model` will need; half a second, so call it in a thread."""
    import agnocli.agent.models.openai  # noqa: F401
