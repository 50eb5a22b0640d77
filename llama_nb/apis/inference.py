"""Asking a model: requests, responses, and the events of a streamed answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from enum import Enum
from typing import Literal, Protocol, overload

from pydantic import BaseModel, Field

from llama_nb.apis.messages import (
    CompletionMessage,
    Message,
    SamplingParams,
    StopReason,
    TokenLogProbs,
    ToolCall,
    ToolChoice,
    ToolDefinition,
    ToolPromptFormat,
)


class LogProbConfig(BaseModel):
    """`top_k` alternatives are given beside the chosen token; 0 gives the chosen token alone."""

    top_k: int | None = 0


class ChatCompletionResponseEventType(Enum):
    start = "start"
    complete = "complete"
    progress = "progress"


class ToolCallParseStatus(Enum):
    started = "started"
    in_progress = "in_progress"
    failure = "failure"
    success = "success"


class ToolCallDelta(BaseModel):
    """A piece of a tool call: its text as it grows, or the whole call once it is understood."""

    content: str | ToolCall
    parse_status: ToolCallParseStatus


class ChatCompletionResponseEvent(BaseModel):
    """One event of a stream: `start`, any number of `progress`, `complete`.

    `logprobs` belong to the tokens of this event alone; joined over a stream they are those of the whole answer.
    """

    event_type: ChatCompletionResponseEventType
    delta: str | ToolCallDelta
    logprobs: list[TokenLogProbs] | None = None
    stop_reason: StopReason | None = None


class Usage(BaseModel):
    """Tokens: in the prompt, of these taken from the cache, and generated (the one that ends the answer included)."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class Metrics(BaseModel):
    """Times of one answer, measured where it was made. `tokens_per_s` counts from the first token on."""

    time_to_first_token_s: float
    tokens_per_s: float
    queue_s: float


class ChatCompletionResponseStreamChunk(BaseModel):
    """An event; the last chunk of a stream also carries its usage and metrics, where the provider knows them."""

    event: ChatCompletionResponseEvent
    usage: Usage | None = None
    metrics: Metrics | None = None


class ChatCompletionResponse(BaseModel):
    completion_message: CompletionMessage
    logprobs: list[TokenLogProbs] | None = None
    usage: Usage | None = None
    metrics: Metrics | None = None


class ChatCompletionRequest(BaseModel):
    model: str
    messages: list[Message]
    sampling_params: SamplingParams = Field(default_factory=SamplingParams)
    tools: list[ToolDefinition] = Field(default_factory=list)
    tool_choice: ToolChoice = ToolChoice.auto
    tool_prompt_format: ToolPromptFormat = ToolPromptFormat.json
    stream: bool = False
    logprobs: LogProbConfig | None = None


class Inference(Protocol):
    """A provider of answers.

    `chat_completion` is a plain `def`, as in Llama Stack of October 2024: with `stream=True` it returns an
    asynchronous iterator to loop over, without it an awaitable response.
    """

    @overload
    def chat_completion(
        self,
        model: str,
        messages: list[Message],
        sampling_params: SamplingParams | None = None,
        tools: list[ToolDefinition] | None = None,
        tool_choice: ToolChoice | None = ToolChoice.auto,
        tool_prompt_format: ToolPromptFormat | None = ToolPromptFormat.json,
        stream: Literal[False] = False,
        logprobs: LogProbConfig | None = None,
    ) -> Awaitable[ChatCompletionResponse]: ...

    @overload
    def chat_completion(
        self,
        model: str,
        messages: list[Message],
        sampling_params: SamplingParams | None = None,
        tools: list[ToolDefinition] | None = None,
        tool_choice: ToolChoice | None = ToolChoice.auto,
        tool_prompt_format: ToolPromptFormat | None = ToolPromptFormat.json,
        *,
        stream: Literal[True],
        logprobs: LogProbConfig | None = None,
    ) -> AsyncIterator[ChatCompletionResponseStreamChunk]: ...
