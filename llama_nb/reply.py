"""An answer as it grows, and as Markdown: its messages, its tool calls, and what became of them.

Written by one turn, in llama_nb's thread; read from anywhere. Knows nothing of who answers.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from llama_nb import loop
from llama_nb.apis.inference import (
    ChatCompletionResponseEvent,
    Metrics,
    Usage,
)
from llama_nb.apis.messages import (
    CompletionMessage,
    StopReason,
    TokenLogProbs,
    ToolCall,
    ToolResponseMessage,
    tool_name_str,
)
from llama_nb.approval import Approvals, visible
from llama_nb.errors import LlamaError
from llama_nb.prompt_format.text import well_formed
from llama_nb.round import Round
from llama_nb.safe_markdown import safe_markdown
from llama_nb.tools.events import ToolEvent

SLICE_S = 0.1  # how long a wait lasts before Python may deliver an interrupt

_reply_ids = itertools.count(1)


@dataclass(frozen=True)
class ChatEvent:
    """What a listener hears.

    "tool": a call waits, runs or has ended (`tool`). "notice": something that the user should know (`text`).
    "reset": the messages were cleared or replaced; look at `chat.messages`.
    """

    kind: Literal["asked", "progress", "tool", "notice", "ended", "reset"]
    reply: Reply | None = None
    event: ChatCompletionResponseEvent | None = None
    tool: ToolEvent | None = None
    text: str = ""


@dataclass(frozen=True)
class Part:
    """A piece of an answer, in its order: text, or a call with its latest event (None: it is not run here)."""

    text: str = ""
    call: ToolCall | None = None
    event: ToolEvent | None = None


class Reply:
    """An answer, complete or on its way.

    `str(reply)` is its text: that of the model's last message, so far. Where tools are called, an answer has several
    messages: `messages` are all that it added to the conversation, results included; `parts` is what was said and
    called, in order; `tool_events` the latest state of each call.

    `message` (the last of the model), `stop_reason` and `logprobs` are there when it has ended, and so are `usage`
    (tokens of all its messages together) and `metrics` (until the first token of all; `tokens_per_s` over all).
    `stopped`: the user stopped it, and `message` is what had come. `error`: why it failed. `notices`: what the user
    should know, such as what no longer fitted the context. `parsed`: the value that a `schema` asked for. `choices`:
    the answers that `n` asked for, the first of them in the conversation.
    """

    def __init__(self, question: str, approvals: Approvals | None = None) -> None:
        self.id = next(_reply_ids)
        self.question = question
        self.message: CompletionMessage | None = None
        self.messages: list[CompletionMessage | ToolResponseMessage] = []
        self.stop_reason: StopReason | None = None
        self.parsed: Any = None
        self.notices: list[str] = []
        self.stopped = False
        self.error: LlamaError | None = None
        self.queued = True  # an earlier turn of this chat has not ended yet
        self._approvals = approvals or Approvals()
        self._rounds = [Round()]
        self._others: list[Round] = []  # the further answers of n > 1
        self._tool_events: list[ToolEvent] = []
        self._ended = threading.Event()
        self._future: Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop_wanted = False
        self._already_shown = False

    @property
    def text(self) -> str:
        """What was said, so far, in the model's last message."""
        return self._round.text

    @property
    def tool_calls(self) -> list[ToolCall]:
        """All calls, of every message."""
        return [call for each in list(self._rounds) for call in each.tool_calls]

    @property
    def tool_events(self) -> list[ToolEvent]:
        """The latest event of each call that waited, ran or was refused, in the order of the calls."""
        return list(self._tool_events)

    @property
    def parts(self) -> list[Part]:
        """Text and calls in their order, so far."""
        events = self.tool_events

        def part(said: str | ToolCall) -> Part:
            if isinstance(said, str):
                return Part(text=said)
            return Part(call=said, event=next((event for event in events if event.call is said), None))

        return [part(said) for each in list(self._rounds) for said in list(each.parts)]

    @property
    def choices(self) -> list[CompletionMessage]:
        """The answers: one, or as many as `n` asked for."""
        return [*([self.message] if self.message else []), *(other.message() for other in list(self._others))]

    @property
    def logprobs(self) -> list[TokenLogProbs] | None:
        return self._round.logprobs

    @property
    def usage(self) -> Usage | None:
        """Tokens of all messages and choices together; None where the provider does not know them."""
        usages = [each.usage for each in [*self._rounds, *self._others] if each.usage]
        return Usage(**{name: sum(getattr(usage, name) for usage in usages) for name in FIGURES}) if usages else None

    @property
    def metrics(self) -> Metrics | None:
        """Until the first token of all, and the speed of all messages together."""
        rounds = [(each.metrics, each.usage) for each in self._rounds if each.metrics]
        return _metrics_together(rounds) if rounds else None

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def wait(self) -> Reply:
        """Blocks until the answer is complete. An interrupt (■) stops it, keeps its text, and is raised.

        In the main thread it asks at the prompt about each call that waits for a decision, when no page does.

        Raises:
            LlamaError: the answer failed.
        """
        try:
            while not self.poll(SLICE_S):
                pass
        except KeyboardInterrupt:
            self.stop()
            self._ended.wait(2)
            raise
        if self.error is not None:
            raise self.error
        return self

    def poll(self, timeout_s: float) -> bool:
        """Waits that long at most, and says whether the answer has ended. Asks at the prompt as `wait` does."""
        if loop.is_current():
            raise RuntimeError("this would wait for llama_nb's event loop from inside of it; a listener must not wait")
        self._ask_at_prompt()
        return self._ended.wait(timeout_s)

    def stop(self) -> None:
        """Ends the answer where it is. Any thread may call this, any number of times."""
        self._stop_wanted = True
        loop.get().call_soon_threadsafe(self._cancel)

    def _require_to_go_on(self) -> None:
        """Stop holds also where somebody on the way has swallowed the cancellation."""
        if self._stop_wanted:
            raise asyncio.CancelledError

    def _ask_at_prompt(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._approvals.ask_at_prompt()

    def _stay_at_prompt(self) -> Callable[[], None]:
        if threading.current_thread() is threading.main_thread():
            return self._approvals.stay()
        return lambda: None

    def _cancel(self) -> None:
        # A task that is cancelled before its first step would end without a word: so it looks for itself as well.
        if self._task is not None and not self.ended:
            self._task.cancel()

    @property
    def _round(self) -> Round:
        return self._rounds[-1]

    @property
    def _open_call(self) -> str:
        return self._round.open_call

    def _next_round(self) -> Round:
        """What grows from now on; the first one is there from the beginning."""
        if self.messages:
            self._rounds.append(Round())
        return self._round

    def _close_round(self) -> CompletionMessage:
        """Fixes the model's message."""
        if self.stopped:
            self._round.stop_reason = StopReason.out_of_tokens
        self.message = self._round.message()
        self.messages.append(self.message)
        self.stop_reason = self.message.stop_reason
        return self.message

    def _stopped(self) -> None:
        """The end of an answer that the user stopped."""
        self.stopped = True
        self.stop_reason = StopReason.out_of_tokens
        self.message = self.message or CompletionMessage(content="", stop_reason=self.stop_reason)

    def _take_tool(self, event: ToolEvent) -> None:
        """Notes the state of a call, in the place of its state before."""
        for index, known in enumerate(self._tool_events):
            if known.call is event.call:
                self._tool_events[index] = event
                return
        self._tool_events.append(event)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        mark = " (stopped)" if self.stopped else "" if self.ended else " …"
        return f"Reply({self.text!r}{mark})"

    def _repr_markdown_(self) -> str:
        return reply_markdown(self)

    def _ipython_display_(self) -> None:
        """Shows nothing the first time when a magic has streamed it already."""
        if not self._already_shown:
            raise NotImplementedError  # so IPython goes on to the other representations
        self._already_shown = False


FIGURES = ("prompt_tokens", "cached_tokens", "completion_tokens")


def _metrics_together(rounds: Sequence[tuple[Metrics, Usage | None]]) -> Metrics:
    first = rounds[0][0]
    counted = [(usage.completion_tokens, metrics.tokens_per_s) for metrics, usage in rounds if usage]
    seconds = sum(tokens / speed for tokens, speed in counted if speed)
    if len(rounds) == 1 or not seconds:
        return first
    return first.model_copy(update={"tokens_per_s": sum(tokens for tokens, speed in counted if speed) / seconds})


STATES = {
    "waiting": "waits for your decision",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "denied": "denied",
    "stopped": "stopped",
}


def reply_markdown(reply: Reply) -> str:
    """The answer as safe Markdown: its text, its tool calls and results, and whether it was stopped or failed."""
    blocks = [block for part in reply.parts for block in _part_markdown(part)]
    blocks += [safe_markdown(f"*({' '.join(notice.split())})*") for notice in list(reply.notices)]
    if reply.stopped:
        blocks.append("*(stopped)*")
    elif reply.error is not None:
        blocks.append("*(failed)*")
    elif reply.stop_reason is StopReason.out_of_tokens:
        blocks.append("*(cut off: out of tokens)*")
    return "\n\n".join(blocks)


def _part_markdown(part: Part) -> list[str]:
    if part.call is None:
        return [safe_markdown(part.text)]
    return call_markdown(part.call, part.event)


def call_markdown(call: ToolCall, event: ToolEvent | None) -> list[str]:
    """A call as blocks of safe Markdown: name and state, arguments, and what came of it."""
    state = STATES[event.state] if event else "not run"
    if event and event.seconds is not None:
        state += f" after {event.seconds:.1f} s"
    blocks = [f"**Tool call** {name_markdown(call)} — {state}", *arguments_markdown(call)]
    if event and event.result is not None:
        blocks.append(fenced(event.result.text))
    elif event and event.progress:
        blocks.append(fenced(event.progress))
    return blocks


def name_markdown(call: ToolCall | ToolResponseMessage) -> str:
    """The tool's name; as code when it is none that a tool would have."""
    name = tool_name_str(call.tool_name)
    return name if re.fullmatch(r"\w(?:[\w.-]*\w)?", name) else code_markdown(name)


def code_markdown(text: str) -> str:
    """`text` as code within a line."""
    return safe_markdown("`" + (visible(text).replace("`", "'").replace("\n", " ").strip() or "?") + "`")


def arguments_markdown(call: ToolCall) -> list[str]:
    """The arguments as JSON, or the lines of a lone piece of code; what cannot be seen has a name."""
    [*values] = call.arguments.values()
    if len(values) == 1 and isinstance(values[0], str) and ("\n" in values[0] or "code" in call.arguments):
        return [fenced(visible(values[0]), "python" if "code" in call.arguments else "text")]
    return [fenced(visible(json.dumps(call.arguments, indent=2, ensure_ascii=False, default=str)), "json")]


def fenced(text: str, language: str = "text") -> str:
    """A block of code, safe whatever stands in it."""
    text = well_formed(text)
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", text))]))
    return safe_markdown(f"{fence}{language}\n{text}\n{fence}")
