"""A provider for tests: its answers are written beforehand as texts and calls; it keeps what it was asked, and counts
a token for each word.

Known as provider type `written` once `tests.stacks` is imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from llama_nb.apis.inference import (
    ChatCompletionResponseEvent,
    ChatCompletionResponseEventType,
    ChatCompletionResponseStreamChunk,
    Metrics,
    TokenCount,
    ToolCallDelta,
    ToolCallParseStatus,
    Usage,
)
from llama_nb.apis.messages import StopReason, ToolCall, interleaved_text_media_as_str
from llama_nb.apis.models import ModelDef
from llama_nb.engine.client import Status
from llama_nb.errors import ContextOverflow, NotSupported

KINDS = ChatCompletionResponseEventType


class Config(BaseModel):
    """An answer is a text, or a list of texts and calls (`{"tool_name": …, "arguments": …}`)."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    answers: list[str | list[str | dict[str, Any]]]
    max_seq_len: int = 1_000
    counts: bool = True
    usage: bool = True
    cut: bool = False  # every answer ends for want of tokens
    delay_s: float = 0.0


def create(config: Config) -> Written:
    return Written(config)


class Written:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.asked: list[dict[str, Any]] = []
        self.counted = 0

    async def list_models(self) -> list[ModelDef]:
        return [ModelDef(identifier="written", llama_model="written")]

    async def register_model(self, model: ModelDef) -> None: ...

    async def load(self, model: str) -> None: ...

    def status(self, model: str) -> Status:
        return Status("ready")

    def close(self) -> None: ...

    async def count_tokens(
        self, model: str, messages: list[Any], tools: Any = None, tool_prompt_format: Any = None
    ) -> TokenCount:
        if not self.config.counts:
            raise NotSupported("it cannot count")
        self.counted += 1
        return TokenCount(prompt_tokens=words(messages), max_seq_len=self.config.max_seq_len)

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
        *,
        response_format: Any = None,
        prefill: str = "",
    ) -> Any:
        assert stream
        asked = {"messages": list(messages), "params": sampling_params, "tools": tools, "tool_choice": tool_choice}
        asked |= {"response_format": response_format, "prefill": prefill, "tool_prompt_format": tool_prompt_format}
        answer = self.config.answers[len(self.asked) % len(self.config.answers)]
        self.asked.append(asked)
        return self._chunks(len(self.asked), answer, messages, prefill)

    async def _chunks(
        self, number: int, answer: str | list[str | dict[str, Any]], messages: list[Any], prefill: str
    ) -> AsyncIterator[ChatCompletionResponseStreamChunk]:
        prompt = words(messages)
        if prompt >= self.config.max_seq_len:
            raise ContextOverflow(f"{prompt} of {self.config.max_seq_len}")
        yield chunk(KINDS.start, "")
        parts = [answer] if isinstance(answer, str) else answer
        for place, part in enumerate([prefill, *parts]):
            await asyncio.sleep(self.config.delay_s)
            if isinstance(part, str):
                for word in part.split(" ") if self.config.delay_s else [part]:
                    await asyncio.sleep(self.config.delay_s)
                    yield chunk(KINDS.progress, word)
            else:
                call = ToolCall(**{"call_id": f"{number}.{place}", "arguments": {}, **part})
                for content, status in (("", "started"), ("…", "in_progress"), (call, "success")):
                    yield chunk(
                        KINDS.progress, ToolCallDelta(content=content, parse_status=ToolCallParseStatus(status))
                    )
        end = chunk(KINDS.complete, "", StopReason.out_of_tokens if self.config.cut else StopReason.end_of_turn)
        if self.config.usage:
            end.usage = Usage(prompt_tokens=prompt, cached_tokens=0, completion_tokens=len(parts))
            end.metrics = Metrics(time_to_first_token_s=number, tokens_per_s=10.0 * number, queue_s=0.0)
        yield end


def chunk(kind: KINDS, delta: Any, stop_reason: StopReason | None = None) -> ChatCompletionResponseStreamChunk:
    event = ChatCompletionResponseEvent(event_type=kind, delta=delta, stop_reason=stop_reason)
    return ChatCompletionResponseStreamChunk(event=event)


def words(messages: list[Any]) -> int:
    return sum(len(interleaved_text_media_as_str(message.content).split()) for message in messages)
