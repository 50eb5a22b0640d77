"""The tool calls of one turn: checked, asked about, run one after the other, and answered.

Whatever becomes of a call that can be run here, a result of it goes into the history: no call is left open. Runs in
llama_nb's thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llama_nb import loop
from llama_nb.apis.messages import CompletionMessage, ToolCall, ToolResponseMessage, tool_name_str
from llama_nb.approval import Approvals
from llama_nb.errors import BadRequest, LlamaError, did_you_mean
from llama_nb.prompt_format.text import well_formed
from llama_nb.reply import ChatEvent, Reply
from llama_nb.tools.definition import Tool, as_tool
from llama_nb.tools.events import Result, State, ToolEvent, digest_of

LEAVE_S = 2.0  # how long a tool that is stopped, or past its time, may take to end; then it is left to itself
CHANGED = "not run: its arguments were changed after it was approved"


@dataclass(frozen=True)
class ToolCalls:
    """What runs the calls of one reply. `add` takes each result into the history, `tell` hears of each step."""

    reply: Reply
    tools: Mapping[str, Tool]
    approvals: Approvals
    add: Callable[[ToolResponseMessage], None]
    tell: Callable[[ChatEvent], None]

    def to_run(self, message: CompletionMessage | None) -> list[ToolCall]:
        """The calls of a message; none when one of them is for a tool that only the caller can run."""
        calls = message.tool_calls if message else []
        mine = (self.tools.get(tool_name_str(call.tool_name)) for call in calls)
        return [] if any(tool is not None and not tool.runnable for tool in mine) else list(calls)

    async def run(self, call: ToolCall) -> None:
        """Checks, asks, runs; whatever comes of it goes back to the model."""
        try:
            tool, event = self._checked(call)
        except Exception as error:  # the model can mend it, whatever it is
            text = str(error) if isinstance(error, LlamaError) else f"{type(error).__name__}: {error}"
            self._finish(ToolEvent(call, "failed", result=Result(f"not run: {text}", failed=True)))
            return
        verdict = await self.approvals.verdict(tool, event, self._show)
        self.reply._require_to_go_on()
        if not verdict.allowed:
            reason = f"denied: {verdict.reason}" if verdict.reason else "denied: the user did not allow this call"
            self._finish(replace(event, state="denied", result=Result(reason, failed=True)))
            return
        await self._run(tool, event)

    def _checked(self, call: ToolCall) -> tuple[Tool, ToolEvent]:
        name = tool_name_str(call.tool_name)
        if name not in self.tools:
            raise BadRequest(f"There is no tool `{name}`. {did_you_mean(name, self.tools)}")
        tool = self.tools[name]
        tool.check(call.arguments)
        lasting = not tool.always_asks
        return tool, ToolEvent(call, "waiting", digest_of(call), notice=tool.notice, lasting=lasting)

    async def _run(self, tool: Tool, event: ToolEvent) -> None:
        """Runs exactly what was approved, from a copy that nobody else holds."""
        call = event.call.model_copy(deep=True)
        if digest_of(call) != event.digest:
            self._finish(replace(event, state="failed", result=Result(CHANGED, failed=True)))
            return
        began = time.monotonic()
        running = replace(event, state="running")
        self._show(running)
        try:
            result = await self._result(tool, call.arguments, running)
        except asyncio.CancelledError:
            text = "stopped: the user stopped it while it ran"
            seconds = time.monotonic() - began
            self._finish(replace(event, state="stopped", result=Result(text, failed=True), seconds=seconds))
            raise
        state: State = "failed" if result.failed else "done"
        self._finish(replace(event, state=state, result=result, seconds=time.monotonic() - began))

    async def _result(self, tool: Tool, arguments: dict[str, Any], running: ToolEvent) -> Result:
        progress = _Progress(lambda text: self._show(replace(running, progress=text)))
        work = asyncio.ensure_future(tool.run(tool.check(arguments), progress.say))
        # A tool keeps its time itself; this is for one that does not.
        limit = None if tool.timeout_s is None else tool.timeout_s + LEAVE_S
        try:
            await asyncio.wait({work}, timeout=limit)
            if not work.done():
                return Result(f"failed: it did not end within {tool.timeout_s:g} seconds", failed=True)
            self.reply._require_to_go_on()
            if work.cancelled():
                return Result("failed: it ended itself without a result", failed=True)
            return work.result()
        except Exception as error:
            return Result(f"failed: {type(error).__name__}: {error}", failed=True)
        finally:
            progress.end()
            if not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=LEAVE_S)

    def _finish(self, event: ToolEvent) -> None:
        """The end of a call: told to the model, and to whoever listens."""
        assert event.result is not None, "each end has its result"
        call = event.call
        message = ToolResponseMessage(
            call_id=call.call_id, tool_name=call.tool_name, content=well_formed(event.result.text)
        )
        self.reply.messages.append(message)
        self.add(message)
        self._show(event)

    def _show(self, event: ToolEvent) -> None:
        self.reply._take_tool(event)
        self.tell(ChatEvent("tool", self.reply, tool=event))

    def refuse(self, calls: Iterable[ToolCall], reason: str) -> None:
        """Answers calls that are not run."""
        for call in calls:
            self._finish(ToolEvent(call, "stopped", result=Result(reason, failed=True)))

    def leave_none_open(self) -> None:
        """Calls that a stop or an error kept from running get a result that says so."""
        answered = sum(isinstance(message, ToolResponseMessage) for message in self.reply.messages)
        calls = [
            call
            for message in self.reply.messages
            if isinstance(message, CompletionMessage)
            for call in self.to_run(message)
        ]
        reason = "stopped: not run" if self.reply.stopped else "not run: the answer broke off"
        self.refuse(calls[answered:], reason)


class _Progress:
    """What a tool says while it runs, from any thread; of what comes faster than it is told, the latest."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._latest: str | None = None
        self._ended = False
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        with self._lock:
            on_its_way, self._latest = self._latest is not None, str(text)
        if not on_its_way:
            loop.get().call_soon_threadsafe(self._deliver)

    def end(self) -> None:
        self._ended = True

    def _deliver(self) -> None:
        with self._lock:
            text, self._latest = self._latest, None
        if text is not None and not self._ended:
            self._tell(text)


def by_name(tools: Iterable[Any]) -> dict[str, Tool]:
    """What is offered, by name.

    Raises:
        BadRequest: two tools of one name, or what is no tool.
    """
    if isinstance(tools, str | Mapping) or not isinstance(tools, Iterable):
        raise BadRequest(f"tools is {tools!r:.80}; give a list of tools, also when there is only one.")
    made: dict[str, Tool] = {}
    for tool in map(as_tool, _one_by_one(tools)):
        name = tool_name_str(tool.definition.tool_name)
        if name in made and made[name] is not tool:
            raise BadRequest(f"Two tools are called `{name}`; give one of them another name: nb.tool(name=…).")
        made[name] = tool
    return made


def _one_by_one(tools: Iterable[Any]) -> Iterator[Any]:
    """The tools of an MCP server, and other lists of tools, may stand among the others."""
    for thing in tools:
        if isinstance(thing, Sequence) and not isinstance(thing, str):
            yield from thing
        else:
            yield thing
