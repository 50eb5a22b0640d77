"""A provider for tests: it fails where it is told to, and keeps what it was asked.

Known as provider type `faulty` once `tests.stacks` is imported.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from llama_nb.apis.inference import ChatCompletionResponseStreamChunk
from llama_nb.apis.messages import StopReason
from llama_nb.apis.models import ModelDef
from llama_nb.engine.client import Status
from llama_nb.errors import BadRequest
from llama_nb.prompt_format.answer import AnswerReader


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    models: list[str] = ["faulty"]
    fails: Literal["never", "when asked", "before the first word", "half way", "silently"] = "never"
    times: int = 1  # so often, then it works


def create(config: Config) -> Faulty:
    return Faulty(config)


class Faulty:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.asked: list[dict[str, Any]] = []
        self.registered: list[str] = []
        self.loads = 0
        self.closed = 0

    async def list_models(self) -> list[ModelDef]:
        return [ModelDef(identifier=model, llama_model=model) for model in self.config.models]

    async def register_model(self, model: ModelDef) -> None:
        if model.identifier.startswith("bad"):
            raise BadRequest("not this one")
        self.registered.append(model.identifier)

    async def load(self, model: str) -> None:
        self.loads += 1

    def status(self, model: str) -> Status:
        return Status("ready")

    def close(self) -> None:
        self.closed += 1

    def chat_completion(
        self,
        model: str,
        messages: list[Any],
        sampling_params: Any = None,
        tools: Any = None,
        tool_choice: Any = None,
        tool_prompt_format: Any = None,
        stream: bool = False,
        logprobs: Any = None,
    ) -> Any:
        assert stream, "that is all that these tests need"
        asked = {"model": model, "messages": list(messages), "params": sampling_params, "logprobs": logprobs}
        self.asked.append(asked | {"tools": tools})
        fails = self.config.fails if len(self.asked) <= self.config.times else "never"
        if fails == "when asked":
            raise BadRequest("it cannot be asked so")
        return self._chunks(fails)

    async def _chunks(self, fails: str) -> AsyncIterator[ChatCompletionResponseStreamChunk]:
        reader = AnswerReader({})
        yield ChatCompletionResponseStreamChunk(event=reader.start())
        if fails == "before the first word":
            raise BadRequest("no word came")
        for word in ("It ", "works."):
            for event in reader.feed([1], word):
                yield ChatCompletionResponseStreamChunk(event=event)
            if fails == "half way":
                raise ZeroDivisionError("something broke")
            if fails == "silently":
                return
        for event in reader.end(StopReason.end_of_turn):
            yield ChatCompletionResponseStreamChunk(event=event)
