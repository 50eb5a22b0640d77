"""One conversation: its messages, its turns, and who listens. Magics, panel and code share it.

Turns run one after the other in llama_nb's event loop, the only writer of `messages`. A question whose answer fails
before its first word leaves no trace there; a partial answer stays, and is marked.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llama_nb import loop
from llama_nb import stack as stacks
from llama_nb.apis.inference import (
    ChatCompletionResponseEvent,
    ChatCompletionResponseStreamChunk,
    LogProbConfig,
    Metrics,
    ToolCallDelta,
    ToolCallParseStatus,
    Usage,
)
from llama_nb.apis.messages import (
    CompletionMessage,
    Message,
    SamplingParams,
    StopReason,
    SystemMessage,
    TokenLogProbs,
    ToolCall,
    ToolDefinition,
    UserMessage,
)
from llama_nb.engine.client import Status
from llama_nb.errors import BadRequest, EngineError, LlamaError, did_you_mean
from llama_nb.safe_markdown import safe_markdown

log = logging.getLogger("llama_nb")

OPTIONS = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop", "logprobs")
SLICE_S = 0.1  # how long a wait lasts before Python may deliver an interrupt

_reply_ids = itertools.count(1)
_chats: weakref.WeakSet[Chat] = weakref.WeakSet()


class Reply:
    """An answer, complete or on its way.

    `str(reply)` is its text, so far. `message`, `stop_reason`, `logprobs`, `usage` and `metrics` are there when it
    has ended. `stopped`: the user stopped it, and `message` is what had come. `error`: why it failed.
    """

    def __init__(self, question: str) -> None:
        self.id = next(_reply_ids)
        self.question = question
        self.message: CompletionMessage | None = None
        self.stop_reason: StopReason | None = None
        self.logprobs: list[TokenLogProbs] | None = None
        self.usage: Usage | None = None
        self.metrics: Metrics | None = None
        self.stopped = False
        self.error: LlamaError | None = None
        self.queued = True  # an earlier turn of this chat has not ended yet
        self._text = ""
        self._open_call = ""
        self._tool_calls: list[ToolCall] = []
        self._ended = threading.Event()
        self._future: Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop_wanted = False
        self._already_shown = False

    @property
    def text(self) -> str:
        """What was said, so far."""
        return self._text

    @property
    def tool_calls(self) -> list[ToolCall]:
        return list(self._tool_calls)

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def wait(self) -> Reply:
        """Blocks until the answer is complete. An interrupt (■) stops it, keeps its text, and is raised.

        Raises:
            LlamaError: the answer failed.
        """
        if loop.is_current():
            raise RuntimeError("this would wait for llama_nb's event loop from inside of it; a listener must not wait")
        try:
            while not self._ended.wait(SLICE_S):
                pass
        except KeyboardInterrupt:
            self.stop()
            self._ended.wait(2)
            raise
        if self.error is not None:
            raise self.error
        return self

    def stop(self) -> None:
        """Ends the answer where it is. Any thread may call this, any number of times."""
        self._stop_wanted = True
        loop.get().call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        # A task that is cancelled before its first step would end without a word: so it looks for itself as well.
        if self._task is not None and not self.ended:
            self._task.cancel()

    def _take(self, chunk: ChatCompletionResponseStreamChunk) -> None:
        event = chunk.event
        if event.logprobs:
            self.logprobs = self.logprobs or []
            self.logprobs += event.logprobs
        if isinstance(event.delta, str):
            self._text += event.delta
        else:
            self._take_call(event.delta)
        self.stop_reason = event.stop_reason or self.stop_reason
        self.usage, self.metrics = chunk.usage or self.usage, chunk.metrics or self.metrics

    def _take_call(self, delta: ToolCallDelta) -> None:
        if isinstance(delta.content, ToolCall):
            self._tool_calls.append(delta.content)
        if delta.parse_status is ToolCallParseStatus.in_progress:
            self._open_call += str(delta.content)
        else:
            self._open_call = ""

    def _end(self) -> None:
        """Fixes the message. A tool call that was stopped half-written is kept as text."""
        self._text += self._open_call
        self.stop_reason = StopReason.out_of_tokens if self.stopped else self.stop_reason or StopReason.out_of_tokens
        self.message = CompletionMessage(content=self._text, stop_reason=self.stop_reason, tool_calls=self._tool_calls)

    @property
    def _empty(self) -> bool:
        return not (self._text or self._open_call or self._tool_calls)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        mark = " (stopped)" if self.stopped else "" if self.ended else " …"
        return f"Reply({self._text!r}{mark})"

    def _repr_markdown_(self) -> str:
        return reply_markdown(self)

    def _ipython_display_(self) -> None:
        """Shows nothing the first time when a magic has streamed it already."""
        if not self._already_shown:
            raise NotImplementedError  # so IPython goes on to the other representations
        self._already_shown = False


def reply_markdown(reply: Reply) -> str:
    """The answer as safe Markdown: its text, its tool calls, and whether it was stopped or failed."""
    parts = [safe_markdown(reply.text)] if reply.text else []
    for call in reply.tool_calls:
        arguments = safe_markdown(f"```json\n{call.model_dump_json(include={'arguments'}, indent=2)}\n```")
        name = safe_markdown(call.tool_name if isinstance(call.tool_name, str) else call.tool_name.value)
        parts.append(f"**Tool call** {name} — not run\n\n{arguments}")
    if reply.stopped:
        parts.append("*(stopped)*")
    elif reply.error is not None:
        parts.append("*(failed)*")
    elif reply.stop_reason is StopReason.out_of_tokens:
        parts.append("*(cut off: out of tokens)*")
    return "\n\n".join(parts)


@dataclass(frozen=True)
class ChatEvent:
    """What a listener hears. "reset": the messages were cleared or replaced; look at `chat.messages`."""

    kind: Literal["asked", "progress", "ended", "reset"]
    reply: Reply | None = None
    event: ChatCompletionResponseEvent | None = None


Listener = Callable[[ChatEvent], None]


class Chat:
    """A conversation with one model.

    Args:
        model: a name that the stack serves, or a checkpoint folder; the stack's default when None.
        system: the system message.
        tools: offered with each question. They are not run yet: a call ends the turn.
        sampling_params: the default for each question.
        stack: the one of `configure`, or the config that is found, when None.

    >>> scripted = {"provider_id": "s", "provider_type": "scripted", "config": {"answers": ["Hello!"]}}
    >>> chat = Chat(stack=stacks.Stack.from_config({"providers": {"inference": [scripted]}}))
    >>> str(chat.ask("Say hello.", temperature=0.7, seed=1))
    'Hello!'

    `ask` and `stream`, and their `_async` siblings, take temperature, top_p, top_k, max_tokens, seed, stop (a list of
    strings) and logprobs (True, or how many alternatives).
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        system: str | None = None,
        tools: Sequence[ToolDefinition] = (),
        sampling_params: SamplingParams | None = None,
        stack: stacks.Stack | None = None,
    ) -> None:
        self.stack = stack or stacks.current()
        self.model = self.stack.resolve(model or os.environ.get("LLAMA_NB_MODEL"))
        self.tools = list(tools)
        self.sampling_params = sampling_params or SamplingParams()
        self.messages: list[Message] = []
        if system is not None:
            self.system = system
        self._listeners: list[Listener] = []
        self._replies: list[Reply] = []  # those that have not ended
        self._order = asyncio.Lock()
        _chats.add(self)

    @property
    def system(self) -> str | None:
        """The system message's text; setting it holds from the next question on."""
        first = self.messages[0] if self.messages else None
        return str(first.content) if isinstance(first, SystemMessage) else None

    @system.setter
    def system(self, text: str | None) -> None:
        rest = self.messages[1:] if self.system is not None else self.messages
        self.messages[:] = rest if text is None else [SystemMessage(content=text), *rest]

    @property
    def under_way(self) -> list[Reply]:
        """The replies that have not ended: the one being answered first, then those that wait."""
        return list(self._replies)

    @property
    def status(self) -> Status:
        """How the model is: idle, loading (with a fraction), ready or failed."""
        return self.stack.status(self.model)

    def ask(self, prompt: str, **options: Any) -> Reply:
        """Asks, and blocks until the answer is complete.

        Raises:
            KeyboardInterrupt: ■ was pressed; the answer is stopped, and what had come stays in `messages`.
            LlamaError: the answer failed.
        """
        return self.start(prompt, **options).wait()

    async def ask_async(self, prompt: str, **options: Any) -> Reply:
        """As `ask`, in any event loop; cancelling the call stops the answer."""
        reply = self.start(prompt, **options)
        assert reply._future is not None, "it was started"
        try:
            await asyncio.shield(asyncio.wrap_future(reply._future))
        except asyncio.CancelledError:
            reply.stop()
            raise
        if reply.error is not None:
            raise reply.error
        return reply

    def stream(self, prompt: str, **options: Any) -> Iterator[ChatCompletionResponseEvent]:
        """Asks, and gives the events of the answer as they come; leaving the loop stops the answer."""
        return loop.iterate(self._events(prompt, options))

    def stream_async(self, prompt: str, **options: Any) -> AsyncIterator[ChatCompletionResponseEvent]:
        """As `stream`, in any event loop."""
        return loop.aiterate(self._events(prompt, options))

    def start(self, prompt: str, **options: Any) -> Reply:
        """Asks, and returns at once; the answer grows in the `Reply`."""
        return self._start(prompt, options, lambda event: None)

    def stop(self) -> None:
        """Stops whatever is being answered in this chat, or waits to be."""
        for reply in self.under_way:
            reply.stop()

    def reset(self) -> None:
        """Stops and forgets the conversation; the system message stays."""
        self.stop()
        system = self.system
        self.messages.clear()
        self.system = system
        loop.get().call_soon_threadsafe(self._tell, ChatEvent("reset"))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener` with each `ChatEvent`, in llama_nb's thread: it must not block. Gives what ends it."""
        self._listeners.append(listener)

        def unlisten() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return unlisten

    async def _events(self, prompt: str, options: dict[str, Any]) -> AsyncGenerator[ChatCompletionResponseEvent, None]:
        events: asyncio.Queue[ChatCompletionResponseEvent | None] = asyncio.Queue()
        reply = self._start(prompt, options, events.put_nowait)
        try:
            while (event := await events.get()) is not None:
                yield event
        finally:
            reply.stop()
        if reply.error is not None:
            raise reply.error

    def _start(
        self, prompt: str, options: dict[str, Any], emit: Callable[[ChatCompletionResponseEvent | None], None]
    ) -> Reply:
        params, logprobs = self._sampling(options)
        reply = Reply(prompt)
        self._replies.append(reply)
        reply._future = loop.submit(self._turn(reply, params, logprobs, emit))
        return reply

    def _sampling(self, options: dict[str, Any]) -> tuple[SamplingParams, LogProbConfig | None]:
        for name in options:
            if name not in OPTIONS:
                raise BadRequest(f"There is no option `{name}`. {did_you_mean(name, OPTIONS)}")
        given = {name: value for name, value in options.items() if value is not None}
        logprobs = given.pop("logprobs", False)
        if isinstance(given.get("stop"), str):
            given["stop"] = [given["stop"]]
        try:
            params = SamplingParams.model_validate(self.sampling_params.model_dump() | given)
            config = None if logprobs is False else LogProbConfig(top_k=0 if logprobs is True else logprobs)
        except ValueError as error:
            raise BadRequest(f"These options cannot be used: {error}") from error
        return params, config

    async def _turn(
        self,
        reply: Reply,
        params: SamplingParams,
        logprobs: LogProbConfig | None,
        emit: Callable[[ChatCompletionResponseEvent | None], None],
    ) -> None:
        reply._task = asyncio.current_task()
        self._tell(ChatEvent("asked", reply))
        try:
            if reply._stop_wanted:
                raise asyncio.CancelledError
            async with self._order:
                reply.queued = False
                question = UserMessage(content=reply.question)
                self.messages.append(question)
                try:
                    await self._answer(reply, params, logprobs, emit)
                finally:
                    self._close_turn(reply, question)
        except asyncio.CancelledError:
            reply.stopped = True
            if reply.message is None:
                reply._end()
        except Exception as error:
            reply.error = error if isinstance(error, LlamaError) else EngineError(f"{type(error).__name__}: {error}")
        finally:
            self._replies.remove(reply)
            self._tell(ChatEvent("ended", reply))
            reply._ended.set()
            emit(None)

    async def _answer(
        self,
        reply: Reply,
        params: SamplingParams,
        logprobs: LogProbConfig | None,
        emit: Callable[[ChatCompletionResponseEvent | None], None],
    ) -> None:
        chunks = self.stack.inference.chat_completion(
            model=self.model,
            messages=list(self.messages),
            sampling_params=params,
            tools=self.tools,
            stream=True,
            logprobs=logprobs,
        )
        try:
            async for chunk in chunks:
                reply._take(chunk)
                self._tell(ChatEvent("progress", reply, chunk.event))
                emit(chunk.event)
        except asyncio.CancelledError:
            reply.stopped = True
            raise
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]

    def _close_turn(self, reply: Reply, question: UserMessage) -> None:
        """Adds the answer, also a partial one; a question that failed before its first word is taken back."""
        complete = reply.stop_reason is not None
        if complete or reply.stopped or not reply._empty:
            reply._end()
            assert reply.message is not None, "it has just been fixed"
            if any(message is question for message in self.messages):  # else the chat was reset meanwhile
                self.messages.append(reply.message)
        elif self.messages and self.messages[-1] is question:
            self.messages.pop()

    def _tell(self, event: ChatEvent) -> None:
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:  # the answer goes on, whatever becomes of who listens
                log.exception("a listener of %r failed", self)

    def __repr__(self) -> str:
        return f"Chat({self.model!r}, {len(self.messages)} messages)"


def stop_all() -> None:
    """Stops every answer that is being made in this process."""
    for chat in list(_chats):
        chat.stop()
