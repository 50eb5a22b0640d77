"""The pieces of an answer → events, as Llama Stack streams them, and at the end the message.

    answer     = undecided → text | call
    undecided    nothing, or what an offered tool's call in letters begins with: held back
    text         told as it comes; `<|python_tag|>` begins a call
    call         told as `started`, `in_progress` …, then `success` for each call, or `failure`; lasts to the end

A call's own text is told as it grows, and once more as text if it was none after all: nothing is lost. Control tokens
are known by their ids: a model that spells `<|python_tag|>` in letters has called nothing. What a text means is
`offer`'s to say. Never raises. Knows nothing of who generates.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence

from llama_nb.apis.inference import (
    ChatCompletionResponseEvent,
    ChatCompletionResponseEventType,
    ToolCallDelta,
    ToolCallParseStatus,
)
from llama_nb.apis.messages import (
    CompletionMessage,
    StopReason,
    TokenLogProbs,
    ToolCall,
    ToolDefinition,
    ToolPromptFormat,
)
from llama_nb.prompt_format.calls import Call
from llama_nb.prompt_format.family import Family
from llama_nb.prompt_format.offer import Offer, Opening, Verdict

Event = ChatCompletionResponseEvent
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class AnswerReader:
    """Reads one answer.

    Args:
        control: the ids of `<|python_tag|>` and its like, by name.
        tools: what was offered; a call of anything else is text.
        family, tool_prompt_format: how they were offered.
        prefill: what the answer was made to begin with. It is part of the message, and is told with its first piece.
        calls_allowed: False where the answer can be text only: no tool may be called, or it has another form.

    `feed` each piece, then `end`; both give the events that follow. However the same tokens are cut into pieces, the
    events tell the same story. After `end`, `message` is the whole answer, `message.malformed_call` says why something
    that looks like a call is none, and `logprobs` has one entry for each token, if any were given.

    >>> reader = AnswerReader({}, [ToolDefinition(tool_name="add")])
    >>> events = [reader.start(), *reader.feed([1, 2], "[add(a=1), "), *reader.feed([3], "add(a=2)]")]
    >>> events += reader.end(StopReason.end_of_turn)
    >>> [call.arguments for call in reader.message.tool_calls]
    [{'a': 1}, {'a': 2}]
    """

    def __init__(
        self,
        control: Mapping[str, int],
        tools: Sequence[ToolDefinition] = (),
        *,
        family: Family = Family.llama3_1,
        tool_prompt_format: ToolPromptFormat | None = None,
        prefill: str = "",
        calls_allowed: bool = True,
    ) -> None:
        self._python_tag = control.get("<|python_tag|>") if calls_allowed else None
        self._offer = Offer(tools if calls_allowed else (), family, tool_prompt_format)
        self._opening: str | None = ""  # of an undecided message: its letters without white space
        self._held: list[str] = []  # all of them
        self._text: list[str] = []
        self._call: list[list[str]] | None = None  # what was written behind each tag, or a message that began as a call
        self._tagged = False
        self._new_logprobs: list[TokenLogProbs] = []
        self.logprobs: list[TokenLogProbs] = []
        self.message: CompletionMessage | None = None
        self._hold(_HALF_CHARACTER.sub("\ufffd", prefill))

    def start(self) -> Event:
        return Event(event_type=ChatCompletionResponseEventType.start, delta="")

    def feed(
        self, tokens: Sequence[int], text: str, logprobs: Sequence[Mapping[str, float]] | None = None
    ) -> list[Event]:
        """The events of one piece: some tokens, and the text they completed ("" for a control token)."""
        if logprobs:
            self._new_logprobs += [TokenLogProbs(logprobs_by_token=dict(entry)) for entry in logprobs]
        if self._python_tag not in tokens:
            return self._grow(text)
        if tokens[0] == self._python_tag:
            return [*self._take_tag(), *self._grow(text)]
        return [*self._grow(text), *self._take_tag()]

    def end(self, stop_reason: StopReason) -> list[Event]:
        """The last events: what became of a call, and `complete`."""
        events = self._decide()
        calls: list[ToolCall] = []
        if self._call is None:
            fault = self._offer.near_miss("".join(self._text))
        else:
            verdict = self._verdict(["".join(part) for part in self._call], stop_reason)
            calls, fault = [_tool_call(call) for call in verdict.calls], verdict.fault
            events += self._outcome(calls, stop_reason)
            events += self._say(verdict.text)
        self.message = CompletionMessage(
            content="".join(self._text), stop_reason=stop_reason, tool_calls=calls, malformed_call=fault
        )
        complete = Event(event_type=ChatCompletionResponseEventType.complete, delta="", stop_reason=stop_reason)
        return [*events, self._with_logprobs(complete)]

    def _grow(self, text: str) -> list[Event]:
        text = _HALF_CHARACTER.sub("\ufffd", text)
        if self._call is not None:
            return self._write(text)
        if self._opening is None:
            return self._say(text)
        self._hold(text)
        match self._offer.opening(self._opening):
            case Opening.maybe:
                return []
            case Opening.text:
                return self._release()
            case Opening.call:
                text, self._held = "".join(self._held), []
                return [*self._begin_call(), *self._write(text)]

    def _hold(self, text: str) -> None:
        self._held.append(text)
        self._opening = (self._opening or "") + "".join(text.split())

    def _decide(self) -> list[Event]:
        """Nothing more comes that could make a call of what is held back; a prefill may be one already."""
        return [*self._grow(""), *self._release()]

    def _release(self) -> list[Event]:
        """What is still held back is text."""
        text, self._held = "".join(self._held), []
        self._opening = None
        return self._say(text)

    def _say(self, text: str) -> list[Event]:
        if not text:
            return []
        self._text.append(text)
        return [self._progress(text)]

    def _take_tag(self) -> list[Event]:
        events = self._decide()
        self._tagged = True
        if self._call is None:
            return [*events, *self._begin_call()]
        self._call.append([])
        return events

    def _begin_call(self) -> list[Event]:
        self._call = [[]]
        return [self._progress(ToolCallDelta(content="", parse_status=ToolCallParseStatus.started))]

    def _write(self, text: str) -> list[Event]:
        if self._call is None or not text:
            return []
        self._call[-1].append(text)
        return [self._progress(ToolCallDelta(content=text, parse_status=ToolCallParseStatus.in_progress))]

    def _verdict(self, parts: list[str], stop_reason: StopReason) -> Verdict:
        if self._tagged:
            return self._offer.tagged(parts, breaks_off=stop_reason is StopReason.out_of_tokens)
        return self._offer.untagged(parts[0])

    def _outcome(self, calls: list[ToolCall], stop_reason: StopReason) -> list[Event]:
        done = [ToolCallDelta(content=call, parse_status=ToolCallParseStatus.success) for call in calls]
        failed = ToolCallDelta(content="", parse_status=ToolCallParseStatus.failure)
        return [self._progress(delta, stop_reason) for delta in done or [failed]]

    def _progress(self, delta: str | ToolCallDelta, stop_reason: StopReason | None = None) -> Event:
        kind = ChatCompletionResponseEventType.progress
        return self._with_logprobs(Event(event_type=kind, delta=delta, stop_reason=stop_reason))

    def _with_logprobs(self, event: Event) -> Event:
        if self._new_logprobs:
            event.logprobs, self._new_logprobs = self._new_logprobs, []
            self.logprobs += event.logprobs
        return event


def _tool_call(call: Call) -> ToolCall:
    return ToolCall(call_id=str(uuid.uuid4()), tool_name=call.name, arguments=call.arguments)
