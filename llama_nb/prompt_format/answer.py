"""The pieces of an answer → events, as Llama Stack streams them, and at the end the message.

Control tokens are known by their ids: a model that spells `<|python_tag|>` in letters has called nothing. A call in
plain JSON counts if it is the whole message; any call must name a tool that was offered and fit its parameters.
What does not is text. Never raises. Knows nothing of who generates.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from llama_nb.apis.inference import (
    ChatCompletionResponseEvent,
    ChatCompletionResponseEventType,
    ToolCallDelta,
    ToolCallParseStatus,
)
from llama_nb.apis.messages import (
    BuiltinTool,
    CompletionMessage,
    StopReason,
    TokenLogProbs,
    ToolCall,
    ToolDefinition,
    tool_name_str,
)
from llama_nb.prompt_format.calls import Call, may_become_call, read_calls

Event = ChatCompletionResponseEvent


class AnswerReader:
    """Reads one answer.

    Args:
        control: the ids of `<|python_tag|>` and its like, by name.
        tools: what was offered; a call of anything else is text.

    `feed` each piece, then `end`; both give the events that follow. After `end`, `message` is the whole answer and
    `logprobs` has one entry for each token, if any were given.
    """

    def __init__(self, control: Mapping[str, int], tools: Sequence[ToolDefinition] = ()) -> None:
        self._python_tag = control.get("<|python_tag|>")
        self._tools = {tool_name_str(tool.tool_name): tool for tool in tools}
        self._text = ""
        self._call_text: str | None = None  # what stands behind the tag, or a message that looks like a call
        self._undecided = ""  # the beginning of a message that may still become a call in plain JSON
        self._tagged = False
        self._new_logprobs: list[TokenLogProbs] = []
        self.logprobs: list[TokenLogProbs] = []
        self.message: CompletionMessage | None = None

    def start(self) -> Event:
        return Event(event_type=ChatCompletionResponseEventType.start, delta="")

    def feed(
        self, tokens: Sequence[int], text: str, logprobs: Sequence[Mapping[str, float]] | None = None
    ) -> list[Event]:
        """The events of one piece: some tokens, and the text they completed ("" for a control token)."""
        if logprobs:
            self._new_logprobs += [TokenLogProbs(logprobs_by_token=dict(entry)) for entry in logprobs]
        if self._python_tag in tokens and self._call_text is None:
            return self._open_call(tagged=True)
        if not text:
            return []
        if self._call_text is not None:
            return self._grow_call(text)
        return self._grow_text(text)

    def end(self, stop_reason: StopReason) -> list[Event]:
        """The last events: what became of a call, and `complete`."""
        calls: list[ToolCall] = []
        events: list[Event] = []
        if self._undecided:
            undecided, self._undecided = self._undecided, ""
            self._text += undecided
            events.append(self._progress(undecided))
        if self._call_text is not None:
            calls = self._calls(self._call_text)
            events += self._close_call(calls, stop_reason)
        self.message = CompletionMessage(content=self._text, stop_reason=stop_reason, tool_calls=calls)
        complete = Event(event_type=ChatCompletionResponseEventType.complete, delta="", stop_reason=stop_reason)
        return [*events, self._with_logprobs(complete)]

    def _grow_text(self, text: str) -> list[Event]:
        if self._tools and not self._text:
            self._undecided += text
            if may_become_call(self._undecided):
                opening = "".join(self._undecided.split())
                # Long enough to be sure of: what is shorter could still become ordinary JSON.
                if not opening.startswith(('{"type":"function"', '{"name":')):
                    return []
                undecided, self._undecided = self._undecided, ""
                return [*self._open_call(tagged=False), *self._grow_call(undecided)]
            text, self._undecided = self._undecided, ""
        self._text += text
        return [self._progress(text)]

    def _open_call(self, tagged: bool) -> list[Event]:
        events: list[Event] = []
        if self._undecided:
            undecided, self._undecided = self._undecided, ""
            self._text += undecided
            events.append(self._progress(undecided))
        self._call_text, self._tagged = "", tagged
        return [*events, self._progress(ToolCallDelta(content="", parse_status=ToolCallParseStatus.started))]

    def _grow_call(self, text: str) -> list[Event]:
        self._call_text = (self._call_text or "") + text
        return [self._progress(ToolCallDelta(content=text, parse_status=ToolCallParseStatus.in_progress))]

    def _close_call(self, calls: list[ToolCall], stop_reason: StopReason) -> list[Event]:
        if calls:
            done = [ToolCallDelta(content=call, parse_status=ToolCallParseStatus.success) for call in calls]
            return [self._progress(delta, stop_reason) for delta in done]
        text = self._call_text or ""
        self._text += text
        failure = ToolCallDelta(content="", parse_status=ToolCallParseStatus.failure)
        return [self._progress(failure, stop_reason), *([self._progress(text)] if text else [])]

    def _calls(self, text: str) -> list[ToolCall]:
        calls = read_calls(text)
        if calls is None and self._tagged and BuiltinTool.code_interpreter.value in self._tools and text.strip():
            calls = [Call(BuiltinTool.code_interpreter.value, {"code": text})]
        if calls is None or not all(self._fits(call) for call in calls):
            return []
        return [ToolCall(call_id=str(uuid.uuid4()), tool_name=call.name, arguments=call.arguments) for call in calls]

    def _fits(self, call: Call) -> bool:
        tool = self._tools.get(call.name)
        if tool is None:
            return False
        if tool.parameters is None or isinstance(tool.tool_name, BuiltinTool):
            return True
        required = {name for name, parameter in tool.parameters.items() if parameter.required}
        return required <= call.arguments.keys() <= tool.parameters.keys()

    def _progress(self, delta: str | ToolCallDelta, stop_reason: StopReason | None = None) -> Event:
        kind = ChatCompletionResponseEventType.progress
        return self._with_logprobs(Event(event_type=kind, delta=delta, stop_reason=stop_reason))

    def _with_logprobs(self, event: Event) -> Event:
        if self._new_logprobs:
            event.logprobs, self._new_logprobs = self._new_logprobs, []
            self.logprobs += event.logprobs
        return event
