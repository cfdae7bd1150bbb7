"""A model that says what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from agnocli.abc import ChatRequest, ModelEvent, ModelFinished, TextDelta

Step = str | ModelEvent | Exception | Callable[[], object]
"""Text said, an event, an error raised, or something called between two words."""


class ScriptedModel:
    """Plays one script a request; `requests` keeps what was asked. A request without a script is an error."""

    name, id, provider = "ScriptedModel", "scripted", "Tests"

    def __init__(self, *scripts: Iterable[Step]) -> None:
        self._scripts = [list(script) for script in scripts]
        self.requests: list[ChatRequest] = []

    def stream(self, request: ChatRequest) -> Iterator[ModelEvent]:
        self.requests.append(request)
        if not self._scripts:
            raise AssertionError("the model was asked more often than the script knows")
        return self._play(self._scripts.pop(0))

    def _play(self, script: list[Step]) -> Iterator[ModelEvent]:
        for step in script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, str):
                yield TextDelta(step)
            elif callable(step):
                step()
            else:
                yield step
        if not any(isinstance(step, ModelFinished) for step in script):
            yield ModelFinished(reason="stop", input_tokens=3, output_tokens=2, total_tokens=5)
