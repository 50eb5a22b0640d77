"""Who decides whether a tool call runs: the tool's own policy, a page, code, or somebody at the prompt.

A decision names the call's id and the digest of its arguments, and holds for these alone. Every wait has an end: when
nobody can decide, the answer is no, and says why. Knows tool events; knows neither models nor pages.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from llama_nb.apis.messages import ToolCall, tool_name_str
from llama_nb.errors import BadRequest, did_you_mean
from llama_nb.tools.definition import Approval, Tool
from llama_nb.tools.events import Decision, ToolEvent

APPROVAL_S = 600.0  # how long a call waits for a decision
UNATTENDED_S = 15.0  # and how long when nobody is there who could decide: long enough for a page to be reloaded
NO_STDIN = (EOFError, OSError, ValueError, NotImplementedError, RuntimeError)  # there is none, or it has ended
LOOK_S = 0.1  # how often it is looked whether somebody is there

NOBODY = (
    "nobody could be asked. To be asked, show the conversation with nb.Panel(chat), or call chat.ask in the main "
    "thread of a program with a terminal; to decide from code, hold chat.watch() and call chat.decide; to allow it "
    'beforehand, give approval="allow"'
)


class Verdict(NamedTuple):
    """Whether the call may run, and if not, why."""

    allowed: bool
    reason: str = ""


class _Waiting(NamedTuple):
    event: ToolEvent
    future: asyncio.Future[tuple[Decision, str]]


class Approvals:
    """The decisions of one conversation. Any thread may decide; one call waits at a time.

    `policy` stands above that of each tool, when it is not None.
    """

    def __init__(self, policy: Approval | None = None) -> None:
        self.policy = policy
        self.watchers = 0  # how many will call `decide`
        self._staying = 0  # how many will ask at the prompt
        self._attended_at = float("-inf")  # when somebody at the prompt was last seen to wait
        self._allowed: dict[
            str, object
        ] = {}  # "for this chat": the tool itself, so that another of its name is asked for
        self._waiting: _Waiting | None = None
        self._lock = threading.Lock()

    @property
    def policy(self) -> Approval | None:
        return self._policy

    @policy.setter
    def policy(self, policy: Approval | None) -> None:
        if policy is not None and policy not in get_args(Approval):
            raise BadRequest(f"approval is {policy!r}. {did_you_mean(str(policy), get_args(Approval))}")
        self._policy = policy

    @property
    def pending(self) -> list[ToolEvent]:
        """The calls that wait for a decision."""
        waiting = self._waiting
        return [waiting.event] if waiting else []

    def watch(self) -> Callable[[], None]:
        """Says that somebody is there who will call `decide`; gives what takes it back."""
        return self._count("watchers")

    def stay(self) -> Callable[[], None]:
        """Says that somebody will ask at the prompt, now or later; gives what takes it back."""
        return self._count("_staying")

    def _count(self, name: str) -> Callable[[], None]:
        left = threading.Lock()

        def add(number: int) -> None:
            with self._lock:
                setattr(self, name, getattr(self, name) + number)

        def leave() -> None:
            if left.acquire(blocking=False):  # the first time only
                add(-1)

        add(1)
        return leave

    def attend(self) -> None:
        """Says that somebody waits at the prompt now."""
        self._attended_at = time.monotonic()

    def forget(self) -> None:
        """Takes back what was allowed for this chat."""
        self._allowed.clear()

    def decide(self, call_id: str, digest: str, decision: Decision, reason: str = "") -> bool:
        """Decides about the call that waits; False when none with this id and digest does, or does any more."""
        if decision not in get_args(Decision):
            raise BadRequest(f"decision is {decision!r}. {did_you_mean(str(decision), get_args(Decision))}")
        with self._lock:
            waiting = self._waiting
            if waiting is None or (waiting.event.call.call_id, waiting.event.digest) != (call_id, digest):
                return False
            self._waiting = None
        waiting.future.get_loop().call_soon_threadsafe(_settle, waiting.future, (decision, reason))
        return True

    async def verdict(self, tool: Tool, event: ToolEvent, tell: Callable[[ToolEvent], None]) -> Verdict:
        """May this call of `tool` run? `tell` hears of the call when it has to wait.

        A tool that always asks is neither allowed beforehand nor for longer than once.
        """
        policy = self.policy or tool.approval
        if policy == "deny":
            return Verdict(False, "this tool is not allowed to run here")
        if not tool.always_asks and (policy == "allow" or self._allowed.get(tool.name) is tool):
            return Verdict(True)
        decision, reason = await self._decision(event, tell)
        if decision == "chat":
            self._allowed[tool.name] = tool
        return Verdict(decision != "deny", reason)

    async def _decision(self, event: ToolEvent, tell: Callable[[ToolEvent], None]) -> tuple[Decision, str]:
        future: asyncio.Future[tuple[Decision, str]] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting = _Waiting(event, future)
        try:
            tell(event)
            if (given_up := await self._given_up(future)) and self._withdraw(future):
                return "deny", given_up
            return await future  # also a decision that came at the very last moment
        finally:
            self._withdraw(future)

    async def _given_up(self, future: asyncio.Future[tuple[Decision, str]]) -> str:
        """Waits for the decision; gives "" when it came, else why there will be none."""
        began = attended_at = time.monotonic()
        while not future.done():
            await asyncio.wait({future}, timeout=LOOK_S)
            now = time.monotonic()
            attended_at = now if self.watchers or self._staying else max(attended_at, self._attended_at)
            if now - began > APPROVAL_S:
                return f"nobody decided within {APPROVAL_S:.0f} seconds"
            if now - attended_at > UNATTENDED_S:
                return NOBODY
        return ""

    def _withdraw(self, future: asyncio.Future[tuple[Decision, str]]) -> bool:
        """Lets the call wait no longer; False when it was decided before."""
        with self._lock:
            if self._waiting is None or self._waiting.future is not future:
                return False
            self._waiting = None
            return True

    def ask_at_prompt(self) -> None:
        """Asks whoever sits at the prompt about the call that waits, when no page watches. For the main thread.

        Raises:
            KeyboardInterrupt: ■ or Ctrl-C instead of an answer.
        """
        self.attend()
        waiting = self._waiting
        if waiting is None or self.watchers:
            return
        leave = self.stay()  # for as long as it takes to answer
        try:
            decision, reason = _asked(waiting.event)
        finally:
            leave()
            self.attend()
        self.decide(waiting.event.call.call_id, waiting.event.digest, decision, reason)


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _asked(event: ToolEvent) -> tuple[Decision, str]:
    notice = f"\n\n{visible(event.notice)}" if event.notice else ""
    choices = "[o]nce, for this [c]hat, or [n]o and why: " if event.lasting else "[o]nce, or [n]o and why: "
    question = f"The model wants to run\n\n{call_as_text(event.call)}{notice}\n\nAllow it? {choices}"
    while True:
        try:
            answer, _, reason = input(question).strip().partition(" ")
        except NO_STDIN:
            return "deny", NOBODY
        match answer.lower().rstrip(",:;."):
            case "o" | "once":
                return "once", ""
            case "c" | "chat" if event.lasting:
                return "chat", ""
            case "n" | "no":
                return "deny", reason.strip()
        question = choices


def call_as_text(call: ToolCall) -> str:
    r"""What would run, whole, in letters that can all be seen; code keeps its lines.

    >>> print(call_as_text(ToolCall(call_id="1", tool_name="run", arguments={"code": "a = 1\nb = '\u202e'", "n": 2})))
    run
      code:
        a = 1
        b = '⟨U+202E⟩'
      n: 2
    """
    lines = [visible(tool_name_str(call.tool_name)).replace("\n", "⟨U+000A⟩")]
    for name, value in call.arguments.items():
        name = visible(name).replace("\n", "⟨U+000A⟩")
        if isinstance(value, str) and "\n" in value:
            lines += [f"  {name}:", *(f"    {line}" for line in visible(value).split("\n"))]
        else:
            lines.append(f"  {name}: {visible(json.dumps(value, ensure_ascii=False, default=str))}")
    return "\n".join(lines)


def visible(text: str) -> str:
    r"""`text` with a name for each character that cannot be seen, or that changes how its neighbours are shown.

    >>> visible("a\u202eb\x1b[2J\u200b\td\n")
    'a⟨U+202E⟩b⟨U+001B⟩[2J⟨U+200B⟩\td\n'
    """
    return "".join(f"⟨U+{ord(character):04X}⟩" if _hidden(character) else character for character in text)


def _hidden(character: str) -> bool:
    if character in "\n\t \u3000":
        return False
    # Controls, formats (bidi, zero width), lone surrogates, private and unassigned ones, separators; and odd blanks.
    return unicodedata.category(character)[0] in "CZ" or character in "\u034f\u115f\u1160\u3164\uffa0\u2800"
