"""Asking a model: requests, responses, and the events of a streamed answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from enum import Enum
from typing import Annotated, Any, Literal, Protocol, overload

from pydantic import BaseModel, Field

from llama_nb.apis.messages import (
    CompletionMessage,
    InterleavedTextMedia,
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


class JsonSchemaResponseFormat(BaseModel):
    """The answer is JSON that validates against this JSON schema."""

    type: Literal["json_schema"] = "json_schema"
    json_schema: dict[str, Any]


class RegexResponseFormat(BaseModel):
    """The whole answer matches this regular expression (Rust's `regex` syntax: no look-around, no back-references)."""

    type: Literal["regex"] = "regex"
    regex: str


class ChoiceResponseFormat(BaseModel):
    """The answer is one of these."""

    type: Literal["choice"] = "choice"
    choices: list[str] = Field(min_length=1)


class GrammarResponseFormat(BaseModel):
    """The answer is a sentence of this context-free grammar, in llguidance's dialect of Lark."""

    type: Literal["grammar"] = "grammar"
    grammar: str


ResponseFormat = Annotated[
    JsonSchemaResponseFormat | RegexResponseFormat | ChoiceResponseFormat | GrammarResponseFormat,
    Field(discriminator="type"),
]


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
    """An event; the last chunk of a stream also carries its usage and metrics, where the provider knows them.

    `malformed_call`, on the last chunk, is that of the `CompletionMessage`.
    """

    event: ChatCompletionResponseEvent
    malformed_call: str | None = None
    usage: Usage | None = None
    metrics: Metrics | None = None


class ChatCompletionResponse(BaseModel):
    completion_message: CompletionMessage
    logprobs: list[TokenLogProbs] | None = None
    usage: Usage | None = None
    metrics: Metrics | None = None


class ChatCompletionRequest(BaseModel):
    """The arguments of `chat_completion`. `response_format` and `prefill` are ours."""

    model: str
    messages: list[Message]
    sampling_params: SamplingParams = Field(default_factory=SamplingParams)
    tools: list[ToolDefinition] = Field(default_factory=list)
    tool_choice: ToolChoice | str = ToolChoice.auto
    tool_prompt_format: ToolPromptFormat | None = None
    stream: bool = False
    logprobs: LogProbConfig | None = None
    response_format: ResponseFormat | None = None
    prefill: str = ""


class CompletionRequest(BaseModel):
    model: str
    content: InterleavedTextMedia
    sampling_params: SamplingParams = Field(default_factory=SamplingParams)
    stream: bool = False
    logprobs: LogProbConfig | None = None
    response_format: ResponseFormat | None = None


class CompletionResponse(BaseModel):
    """A message rather than a string, as in Llama Stack of October 2024."""

    completion_message: CompletionMessage
    logprobs: list[TokenLogProbs] | None = None
    usage: Usage | None = None
    metrics: Metrics | None = None


class CompletionResponseStreamChunk(BaseModel):
    """A piece of text; the last chunk has the stop reason, and usage and metrics where the provider knows them."""

    delta: str
    stop_reason: StopReason | None = None
    logprobs: list[TokenLogProbs] | None = None
    usage: Usage | None = None
    metrics: Metrics | None = None


class EmbeddingsRequest(BaseModel):
    model: str
    contents: list[InterleavedTextMedia]


class EmbeddingsResponse(BaseModel):
    """One vector for each content, in their order."""

    embeddings: list[list[float]]


class TokenCount(BaseModel):
    """How long a prompt would be, and how much prompt and answer together may be."""

    prompt_tokens: int
    max_seq_len: int


class Inference(Protocol):
    """A provider of answers.

    `completion` and `chat_completion` are plain `def`s, as in Llama Stack of October 2024: with `stream=True` they
    return an asynchronous iterator to loop over, without it an awaitable response. `tool_prompt_format` None is the
    default of the model's family. What stands behind the star is ours.
    """

    @overload
    def chat_completion(
        self,
        model: str,
        messages: list[Message],
        sampling_params: SamplingParams | None = None,
        tools: list[ToolDefinition] | None = None,
        tool_choice: ToolChoice | str | None = ToolChoice.auto,
        tool_prompt_format: ToolPromptFormat | None = None,
        stream: Literal[False] = False,
        logprobs: LogProbConfig | None = None,
        *,
        response_format: ResponseFormat | None = None,
        prefill: str = "",
    ) -> Awaitable[ChatCompletionResponse]: ...

    @overload
    def chat_completion(
        self,
        model: str,
        messages: list[Message],
        sampling_params: SamplingParams | None = None,
        tools: list[ToolDefinition] | None = None,
        tool_choice: ToolChoice | str | None = ToolChoice.auto,
        tool_prompt_format: ToolPromptFormat | None = None,
        *,
        stream: Literal[True],
        logprobs: LogProbConfig | None = None,
        response_format: ResponseFormat | None = None,
        prefill: str = "",
    ) -> AsyncIterator[ChatCompletionResponseStreamChunk]: ...

    @overload
    def completion(
        self,
        model: str,
        content: InterleavedTextMedia,
        sampling_params: SamplingParams | None = None,
        stream: Literal[False] = False,
        logprobs: LogProbConfig | None = None,
        *,
        response_format: ResponseFormat | None = None,
    ) -> Awaitable[CompletionResponse]: ...

    @overload
    def completion(
        self,
        model: str,
        content: InterleavedTextMedia,
        sampling_params: SamplingParams | None = None,
        *,
        stream: Literal[True],
        logprobs: LogProbConfig | None = None,
        response_format: ResponseFormat | None = None,
    ) -> AsyncIterator[CompletionResponseStreamChunk]: ...

    async def embeddings(self, model: str, contents: list[InterleavedTextMedia]) -> EmbeddingsResponse: ...

    async def count_tokens(
        self,
        model: str,
        messages: list[Message],
        tools: list[ToolDefinition] | None = None,
        tool_prompt_format: ToolPromptFormat | None = None,
    ) -> TokenCount:
        """How long the prompt of such a `chat_completion` is. Ours."""
        ...
