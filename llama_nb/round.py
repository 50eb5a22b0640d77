"""One message of the model, as it grows out of the events of a stream. Knows nothing of conversations."""

from __future__ import annotations

from llama_nb.apis.inference import (
    ChatCompletionResponseStreamChunk,
    Metrics,
    ToolCallDelta,
    ToolCallParseStatus,
    Usage,
)
from llama_nb.apis.messages import CompletionMessage, StopReason, TokenLogProbs, ToolCall

MALFORMED = "it began like a tool call, but is none of an offered tool with arguments that fit"


class Round:
    """One message of the model, as it grows. `parts` are its texts and calls, in the order they came."""

    def __init__(self) -> None:
        self.parts: list[str | ToolCall] = []
        self.open_call = ""
        self.logprobs: list[TokenLogProbs] | None = None
        self.stop_reason: StopReason | None = None
        self.usage: Usage | None = None
        self.metrics: Metrics | None = None
        self.malformed_call: str | None = None

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def tool_calls(self) -> list[ToolCall]:
        return [part for part in self.parts if isinstance(part, ToolCall)]

    @property
    def empty(self) -> bool:
        return not (self.parts or self.open_call)

    def take(self, chunk: ChatCompletionResponseStreamChunk) -> None:
        event = chunk.event
        if event.logprobs:
            self.logprobs = self.logprobs or []
            self.logprobs += event.logprobs
        if isinstance(event.delta, str):
            self._add_text(event.delta)
        else:
            self._take_call(event.delta)
        self.stop_reason = event.stop_reason or self.stop_reason
        self.usage, self.metrics = chunk.usage or self.usage, chunk.metrics or self.metrics
        self.malformed_call = chunk.malformed_call or self.malformed_call

    def _add_text(self, text: str) -> None:
        if text and self.parts and isinstance(self.parts[-1], str):
            self.parts[-1] += text
        elif text:
            self.parts.append(text)

    def _take_call(self, delta: ToolCallDelta) -> None:
        if isinstance(delta.content, ToolCall):
            self.parts.append(delta.content)
        if delta.parse_status is ToolCallParseStatus.failure:
            self.malformed_call = self.malformed_call or MALFORMED
        if delta.parse_status is ToolCallParseStatus.in_progress:
            self.open_call += str(delta.content)
        else:
            self.open_call = ""

    def message(self) -> CompletionMessage:
        """What came. A call that was cut off half-written is kept as text."""
        self._add_text(self.open_call)
        self.open_call = ""
        return CompletionMessage(
            content=self.text,
            stop_reason=self.stop_reason or StopReason.out_of_tokens,
            tool_calls=self.tool_calls,
            malformed_call=self.malformed_call,
        )
