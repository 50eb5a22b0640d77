"""Answers that were written beforehand, streamed as a model would: for tests, demonstrations and slides."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from llama_nb.apis.inference import (
    ChatCompletionResponse,
    ChatCompletionResponseStreamChunk,
    CompletionResponse,
    CompletionResponseStreamChunk,
    EmbeddingsResponse,
    LogProbConfig,
    ResponseFormat,
    TokenCount,
)
from llama_nb.apis.messages import (
    CompletionMessage,
    InterleavedTextMedia,
    Message,
    SamplingParams,
    StopReason,
    ToolChoice,
    ToolDefinition,
    ToolPromptFormat,
)
from llama_nb.apis.models import ModelDef
from llama_nb.engine.client import Status
from llama_nb.errors import BadRequest, ContextOverflow, NotSupported
from llama_nb.prompt_format.answer import AnswerReader
from llama_nb.prompt_format.constrain import response_grammar
from llama_nb.prompt_format.render import offered_tools, text_of

Chunk = ChatCompletionResponseStreamChunk
TextChunk = CompletionResponseStreamChunk
PYTHON_TAG, END_OF_MESSAGE = "<|python_tag|>", "<|eom_id|>"
DIMENSIONS = 32


class Config(BaseModel):
    """`answers` are given in turn, one for each request, from the first again after the last.

    `delay_s` passes before each piece. `<|python_tag|>` in an answer is that token, and `<|eom_id|>` at its end ends
    the message there. A token is a word; `max_seq_len` of them are the most that a prompt may have.
    """

    model_config = ConfigDict(extra="forbid")

    answers: list[str] = Field(min_length=1)
    delay_s: float = Field(default=0.0, ge=0)
    model: str = "scripted"
    max_seq_len: int = Field(default=8192, gt=0)


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
        tool_choice: ToolChoice | str | None = ToolChoice.auto,
        tool_prompt_format: ToolPromptFormat | None = None,
        stream: bool = False,
        logprobs: LogProbConfig | None = None,
        *,
        response_format: ResponseFormat | None = None,
        prefill: str = "",
    ) -> Any:
        """The next answer, whatever was asked; behind `prefill`, if there is one."""
        offered = offered_tools(tools or [], tool_choice)
        if response_format is not None:
            response_grammar(response_format)
        self._require_room(_words_of(messages))
        reader = AnswerReader(
            {PYTHON_TAG: 0},
            offered,
            tool_prompt_format=tool_prompt_format,
            prefill=prefill,
            calls_allowed=response_format is None,
        )
        chunks = self._chunks(self._next_answer(), reader)
        return chunks if stream else _whole(chunks, reader)

    def completion(
        self,
        model: str,
        content: InterleavedTextMedia,
        sampling_params: SamplingParams | None = None,
        stream: bool = False,
        logprobs: LogProbConfig | None = None,
        *,
        response_format: ResponseFormat | None = None,
    ) -> Any:
        """The next answer, letter by letter as it is written."""
        if response_format is not None:
            response_grammar(response_format)
        self._require_room(text_of(content).split())
        chunks = self._text_chunks(self._next_answer())
        return chunks if stream else _whole_text(chunks)

    async def embeddings(self, model: str, contents: list[InterleavedTextMedia]) -> EmbeddingsResponse:
        """Vectors that are near each other where texts share words."""
        if not contents:
            raise BadRequest("There are no contents. Give at least one text.")
        return EmbeddingsResponse(embeddings=[_vector(text_of(content).split()) for content in contents])

    async def count_tokens(
        self,
        model: str,
        messages: list[Message],
        tools: list[ToolDefinition] | None = None,
        tool_prompt_format: ToolPromptFormat | None = None,
    ) -> TokenCount:
        return TokenCount(prompt_tokens=len(_words_of(messages)), max_seq_len=self._config.max_seq_len)

    def _next_answer(self) -> str:
        text = self._config.answers[self._given % len(self._config.answers)]
        self._given += 1
        return text

    def _require_room(self, words: list[str]) -> None:
        if len(words) >= self._config.max_seq_len:
            raise ContextOverflow(
                f"The prompt has {len(words):,} words, the context of this model holds {self._config.max_seq_len:,}."
            )

    async def _chunks(self, text: str, reader: AnswerReader) -> AsyncIterator[Chunk]:
        yield Chunk(event=reader.start())
        ended = text.endswith(END_OF_MESSAGE)
        for piece in self._pieces(text.removesuffix(END_OF_MESSAGE)):
            if piece == PYTHON_TAG:
                events = reader.feed([0], "")
            else:
                await asyncio.sleep(self._config.delay_s)
                events = reader.feed([1], piece)
            for event in events:
                yield Chunk(event=event)
        *events, complete = reader.end(StopReason.end_of_message if ended else StopReason.end_of_turn)
        for event in events:
            yield Chunk(event=event)
        yield Chunk(event=complete, malformed_call=reader.message.malformed_call if reader.message else None)

    async def _text_chunks(self, text: str) -> AsyncIterator[TextChunk]:
        for piece in self._pieces(text):
            await asyncio.sleep(self._config.delay_s)
            yield TextChunk(delta=piece)
        yield TextChunk(delta="", stop_reason=StopReason.end_of_turn)

    def _pieces(self, text: str) -> list[str]:
        """Some letters each, a tag by itself."""
        tag = re.escape(PYTHON_TAG)
        return re.findall(rf"{tag}|\s*(?:(?!{tag})\S){{1,6}}|\s+", text)


async def _whole(chunks: AsyncIterator[Chunk], reader: AnswerReader) -> ChatCompletionResponse:
    async for _ in chunks:
        pass
    assert reader.message is not None, "the stream is complete"
    return ChatCompletionResponse(completion_message=reader.message)


async def _whole_text(chunks: AsyncIterator[TextChunk]) -> CompletionResponse:
    text = "".join([chunk.delta async for chunk in chunks])
    return CompletionResponse(completion_message=CompletionMessage(content=text, stop_reason=StopReason.end_of_turn))


def _words_of(messages: list[Message]) -> list[str]:
    return [word for message in messages for word in text_of(message.content).split()]


def _vector(words: list[str]) -> list[float]:
    """Of length 1; each word adds a direction of its own."""
    if not words:
        raise BadRequest("A content is empty, and nothing has no vector. Leave it out.")
    digests = [hashlib.sha256(word.lower().encode("utf-8", "surrogatepass")).digest() for word in words]
    sums = [sum(digest[place] - 127.5 for digest in digests) for place in range(DIMENSIONS)]
    length = math.hypot(*sums)
    return [value / length for value in sums]
