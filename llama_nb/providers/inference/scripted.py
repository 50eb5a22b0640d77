"""Answers that were written beforehand, streamed as a model would: for tests, demonstrations and slides."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from llama_nb.apis.inference import ChatCompletionResponse, ChatCompletionResponseStreamChunk, LogProbConfig
from llama_nb.apis.messages import Message, SamplingParams, StopReason, ToolChoice, ToolDefinition, ToolPromptFormat
from llama_nb.apis.models import ModelDef
from llama_nb.engine.client import Status
from llama_nb.errors import NotSupported
from llama_nb.prompt_format.answer import AnswerReader

Chunk = ChatCompletionResponseStreamChunk
PYTHON_TAG = "<|python_tag|>"


class Config(BaseModel):
    """`answers` are given in turn, from the first again after the last; `delay_s` passes before each piece.

    An answer that begins with `<|python_tag|>` is a tool call.
    """

    model_config = ConfigDict(extra="forbid")

    answers: list[str] = Field(min_length=1)
    delay_s: float = Field(default=0.0, ge=0)
    model: str = "scripted"


def create(config: Config) -> Scripted:
    return Scripted(config)


class Scripted:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._given = 0

    async def list_models(self) -> list[ModelDef]:
        return [ModelDef(identifier=self._config.model, llama_model=self._config.model)]

    async def register_model(self, model: ModelDef) -> None:
        raise NotSupported(f"A scripted provider has one model only (asked for `{model.identifier}`).")

    async def load(self, model: str) -> None:
        """Nothing is to be loaded."""

    def status(self, model: str) -> Status:
        return Status("ready", "scripted")

    def close(self) -> None:
        """Nothing is held."""

    def chat_completion(
        self,
        model: str,
        messages: list[Message],
        sampling_params: SamplingParams | None = None,
        tools: list[ToolDefinition] | None = None,
        tool_choice: ToolChoice | None = ToolChoice.auto,
        tool_prompt_format: ToolPromptFormat | None = ToolPromptFormat.json,
        stream: bool = False,
        logprobs: LogProbConfig | None = None,
    ) -> Any:
        text = self._config.answers[self._given % len(self._config.answers)]
        self._given += 1
        reader = AnswerReader({PYTHON_TAG: 0}, tools or [])
        chunks = self._chunks(text, reader)
        return chunks if stream else _whole(chunks, reader)

    async def _chunks(self, text: str, reader: AnswerReader) -> AsyncIterator[Chunk]:
        yield Chunk(event=reader.start())
        if text.startswith(PYTHON_TAG):
            text = text.removeprefix(PYTHON_TAG)
            for event in reader.feed([0], ""):
                yield Chunk(event=event)
        for piece in re.findall(r"\s*\S{1,6}|\s+", text):
            await asyncio.sleep(self._config.delay_s)
            for event in reader.feed([1], piece):
                yield Chunk(event=event)
        for event in reader.end(StopReason.end_of_turn):
            yield Chunk(event=event)


async def _whole(chunks: AsyncIterator[Chunk], reader: AnswerReader) -> ChatCompletionResponse:
    async for _ in chunks:
        pass
    assert reader.message is not None, "the stream is complete"
    return ChatCompletionResponse(completion_message=reader.message)
