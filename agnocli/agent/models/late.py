"""A model opened when it is first asked: the client library takes half a second to load."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from agnocli.abc import ChatModel, ChatRequest, ModelEvent
from agnocli.agent.models import open_model
from agnocli.agent.models.providers import ModelSpec


class LateModel:
    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    @property
    def name(self) -> str:
        return self.spec.provider.model_class

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def provider(self) -> str:
        return self.spec.provider.label

    @cached_property
    def _model(self) -> ChatModel:
        return open_model(self.spec)

    def stream(self, request: ChatRequest) -> Iterator[ModelEvent]:
        return self._model.stream(request)
