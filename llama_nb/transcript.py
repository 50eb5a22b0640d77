"""A conversation as the panel shows it: turns of parts, and what is new in them.

Knows messages, replies and tool events; knows nothing of widgets. `js/src/state.ts` has the same words.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from llama_nb.apis.inference import ToolCallDelta, ToolCallParseStatus
from llama_nb.apis.messages import (
    CompletionMessage,
    Message,
    StopReason,
    ToolCall,
    ToolResponseMessage,
    UserMessage,
    interleaved_text_media_as_str,
    tool_name_str,
)
from llama_nb.prompt_format.text import well_formed

if TYPE_CHECKING:
    from llama_nb.reply import Reply
    from llama_nb.tools.events import ToolEvent


class Part(TypedDict, total=False):
    """A piece of text, a notice, or a tool call: what it would run, how far it is, and what came of it."""

    kind: str  # text, notice, call
    text: str  # of a call: its arguments as JSON, or the code that would run
    id: str  # none while the call is still being written
    name: str
    language: str  # json, python
    state: str  # calling, not run, waiting, running, done, failed, denied, stopped
    digest: str  # what a decision on a waiting call has to name
    notice: str  # what who decides should read, beside the call
    lasting: bool  # False: it may be allowed once, and not for the chat
    progress: str
    result: str  # what the model reads
    bundle: dict[str, str]  # MIME type → what the page may show instead
    seconds: float


class Turn(TypedDict, total=False):
    id: int
    question: str
    parts: list[Part]
    phase: str  # queued, answering, done, stopped, cut, failed
    error: str
    figures: dict[str, float]


OPEN = ("queued", "answering")
ENDED = ("done", "failed", "denied", "stopped")
SHOWN = ("text/html", "image/svg+xml", "image/png", "image/jpeg", "text/markdown")  # the best first
LONGEST_PROGRESS = 2_000  # characters
LONGEST_RESULT = 100_000
LARGEST_BUNDLE = 400_000  # characters, in each of its representations
LARGEST_BUNDLES = 4_000_000  # in all that are kept: the whole transcript is sent now and again


class Transcript:
    """The turns of a chat as the page shows them, and what is new in them since `take` was last called."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._ops: list[dict[str, Any]] = []
        self._traceless: set[int] = set()  # turns that the chat does not remember

    def take(self) -> list[dict[str, Any]]:
        ops, self._ops = self._ops, []
        return ops

    def is_open(self) -> bool:
        return any(turn["phase"] in OPEN for turn in self.turns)

    def is_waiting(self) -> bool:
        """Whether a call waits for a decision."""
        return any(part.get("state") == "waiting" for turn in self.turns for part in turn["parts"])

    def find(self, turn_id: int) -> tuple[Turn | None, int]:
        """A turn, and its place among those that the chat remembers; one that it does not stands before the next."""
        place = 0
        for turn in self.turns:
            if turn["id"] == turn_id:
                return turn, place
            place += turn["id"] not in self._traceless
        return None, place

    def has_trace(self, turn_id: int) -> bool:
        """Whether the chat remembers this turn. It forgets a question that failed before its first word."""
        return turn_id not in self._traceless

    def note(self, op: dict[str, Any]) -> None:
        """Remembers `op`; pieces of the same part become one, and so do steps of the same call."""
        last = self._ops[-1] if self._ops else {}
        same = all(last.get(key) == op.get(key) for key in ("op", "turn", "part"))
        if same and op["op"] == "piece":
            last["text"] += op["text"]
        elif same and op["op"] == "step":
            last["fields"] |= op["fields"]
        else:
            self._ops.append(op)

    def rebuild(self, messages: Sequence[Message], under_way: Iterable[Reply] = ()) -> None:
        """Begins anew, with what was said and what is being answered.

        A turn that is still as it was stays what it is: only the page knows what its tools have shown.
        """
        before = self.turns
        self.turns = turns_of(messages)
        remembered = (turn for turn in before if self.has_trace(turn["id"]))
        for index, (new, old) in enumerate(zip(self.turns, remembered, strict=False)):
            if new["question"] != old["question"] or _said(new["parts"]) != _said(old["parts"]):
                break
            self.turns[index] = old
        self._traceless.clear()
        for reply in under_way:
            if self.turns and _is_last_in(messages, reply):
                self.turns.pop()
            self.turns += [turn for turn in before if turn["id"] == reply.id]
            if not self._known(reply):
                self._join(reply)
        self._ops = [{"op": "turns", "turns": copy.deepcopy(self.turns)}]

    def _join(self, reply: Reply) -> None:
        """Takes up a turn that began before we listened."""
        turn = self.ask(reply)
        for part in reply.parts:
            self._text(turn, part.text)
            if part.call is not None:
                self._put(turn, len(turn["parts"]), part_of(part.call))
            if part.event is not None:
                self.step(reply, part.event)
        for text in reply.notices:
            self.notice(reply, text)

    def ask(self, reply: Reply) -> Turn:
        if known := self._known(reply):
            return known
        turn = Turn(id=reply.id, question=well_formed(reply.question), parts=[], phase="queued")
        self.turns.append(turn)
        self.note({"op": "turn", "turn": copy.deepcopy(turn)})
        return turn

    def progress(self, reply: Reply, delta: str | ToolCallDelta) -> None:
        turn = self._answering(reply)
        if isinstance(delta, str):
            self._text(turn, delta)
        elif delta.parse_status is ToolCallParseStatus.started:
            self._put(turn, len(turn["parts"]), Part(kind="call", name="", text="", state="calling"))
        else:
            self._call(turn, delta)

    def step(self, reply: Reply, event: ToolEvent) -> None:
        """What happens to a call after it was understood."""
        turn = self._answering(reply)
        if (index := _index_of(turn, event.call.call_id)) is None:
            index = len(turn["parts"])
            self._put(turn, index, part_of(event.call))
        self._change(turn, index, **_fields_of(event))
        self._forget_old_bundles()

    def notice(self, reply: Reply | None, text: str) -> None:
        """Something to know about the conversation; it stands in the turn of `reply`, else in the latest."""
        turn = self._turn(reply) if reply is not None else self.turns[-1] if self.turns else None
        if turn is not None:
            self._put(turn, len(turn["parts"]), Part(kind="notice", text=well_formed(text)))

    def end(self, reply: Reply, remembered: bool = True) -> None:
        """Closes the turn of `reply`, which the chat remembers or not."""
        turn = self._turn(reply)
        phase = "failed" if reply.error else "stopped" if reply.stopped else "done"
        if phase == "done" and reply.stop_reason is StopReason.out_of_tokens:
            phase = "cut"
        for index, part in enumerate(turn["parts"]):
            if part.get("state") in ("calling", "waiting", "running"):
                self._change(turn, index, state="stopped" if reply.stopped else "failed", digest="", progress="")
        self._agree(turn, reply.messages)
        if not remembered:
            self._traceless.add(turn["id"])
        error = {"error": well_formed(str(reply.error)) or type(reply.error).__name__} if reply.error else {}
        self._mark(turn, phase=phase, figures=_figures(reply), **error)

    def _agree(self, turn: Turn, messages: Sequence[Message]) -> None:
        """The messages are what the model will remember: where the stream told another story, they win.

        A call that was never completed stands in the stream alone; so do notices, and what became of a call.
        """
        told: list[Part] = []
        for message in messages:
            _add(told, message)
        unfinished = any(part["kind"] == "call" and "id" not in part for part in turn["parts"])
        if not messages or unfinished or _said(told) == _said(turn["parts"]):
            for part in told:
                if part["kind"] == "notice":
                    self._put(turn, len(turn["parts"]), part)
            return
        known = {part["id"]: part for part in turn["parts"] if "id" in part}
        notices = [part for part in turn["parts"] if part["kind"] == "notice"]
        turn["parts"] = notices + [known.get(part.get("id", ""), part) for part in told]
        self.note({"op": "turn", "turn": copy.deepcopy(turn)})

    def _turn(self, reply: Reply) -> Turn:
        """The turn of `reply`; an unknown one was cleared away while it ran."""
        return self._known(reply) or self.ask(reply)

    def _answering(self, reply: Reply) -> Turn:
        turn = self._turn(reply)
        if turn["phase"] == "queued":
            self._mark(turn, phase="answering")
        return turn

    def _known(self, reply: Reply) -> Turn | None:
        return next((turn for turn in reversed(self.turns) if turn["id"] == reply.id), None)

    def _mark(self, turn: Turn, **fields: Any) -> None:
        turn.update(fields)  # type: ignore[typeddict-item]
        self.note({"op": "mark", "turn": turn["id"], "fields": fields})

    def _put(self, turn: Turn, index: int, part: Part) -> None:
        turn["parts"][index:] = [part, *turn["parts"][index + 1 :]]
        self.note({"op": "part", "turn": turn["id"], "part": index, "value": dict(part)})

    def _change(self, turn: Turn, index: int, **fields: Any) -> None:
        part = turn["parts"][index]
        news = {name: value for name, value in fields.items() if _told(part.get(name)) != _told(value)}
        if news:
            part.update(news)  # type: ignore[typeddict-item]
            self.note({"op": "step", "turn": turn["id"], "part": index, "fields": news})

    def _text(self, turn: Turn, piece: str) -> None:
        if not piece:
            return
        last = turn["parts"][-1] if turn["parts"] else Part(kind="")
        if last.get("state") == "failed" and "id" not in last and last["text"] in piece:
            # It began like a call, and was text after all: told as text, it is none any more.
            self._put(turn, len(turn["parts"]) - 1, Part(kind="text", text=""))
        elif last["kind"] != "text":
            self._put(turn, len(turn["parts"]), Part(kind="text", text=""))
        self._append(turn, piece)

    def _append(self, turn: Turn, piece: str) -> None:
        piece = well_formed(piece)
        turn["parts"][-1]["text"] += piece
        self.note({"op": "piece", "turn": turn["id"], "part": len(turn["parts"]) - 1, "text": piece})

    def _call(self, turn: Turn, delta: ToolCallDelta) -> None:
        if not turn["parts"] or turn["parts"][-1].get("state") != "calling":
            self._put(turn, len(turn["parts"]), Part(kind="call", name="", text="", state="calling"))
        index, call = len(turn["parts"]) - 1, turn["parts"][-1]
        if isinstance(delta.content, ToolCall):
            self._put(turn, index, part_of(delta.content))
        elif delta.parse_status is ToolCallParseStatus.failure:
            self._put(turn, index, Part(**{**call, "state": "failed", "text": call["text"] + delta.content}))
        elif delta.content:
            self._append(turn, delta.content)
            self._change(turn, index, name=call["name"] or _name_in(call["text"]))

    def _forget_old_bundles(self) -> None:
        room = LARGEST_BUNDLES
        for turn in reversed(self.turns):
            for index in reversed(range(len(turn["parts"]))):
                bundle = turn["parts"][index].get("bundle", {})
                room -= sum(map(len, bundle.values()))
                if bundle and room < 0:
                    self._change(turn, index, bundle={})


def turns_of(messages: Iterable[Message]) -> list[Turn]:
    """Messages → turns. Their ids are negative: those of replies are not."""
    turns: list[Turn] = []
    for message in messages:
        if isinstance(message, UserMessage) or (not turns and not _is_system(message)):
            question = interleaved_text_media_as_str(message.content) if isinstance(message, UserMessage) else ""
            turns.append(Turn(id=-1 - len(turns), question=well_formed(question), parts=[], phase="done"))
        if turns:
            _add(turns[-1]["parts"], message)
        if isinstance(message, CompletionMessage):
            turns[-1]["phase"] = "cut" if message.stop_reason is StopReason.out_of_tokens else "done"
    return turns


def _add(parts: list[Part], message: Message) -> None:
    """What `message` adds to a turn: its text and its calls, or the result of a call before."""
    if isinstance(message, CompletionMessage):
        text = well_formed(interleaved_text_media_as_str(message.content))
        parts += [Part(kind="text", text=text)] * bool(text) + [part_of(call) for call in message.tool_calls]
        if message.malformed_call:
            why = f"This is text, and was not run as a tool call. {message.malformed_call}"
            parts.append(Part(kind="notice", text=well_formed(why)))
    elif isinstance(message, ToolResponseMessage):
        for part in parts:
            if part.get("id") == well_formed(message.call_id) and part["state"] == "not run":
                part["state"] = _state_told_by(str(message.content))
                part["result"] = _shortened(interleaved_text_media_as_str(message.content), LONGEST_RESULT)
                return


def _state_told_by(result: str) -> str:
    """What became of a call, as far as the text tells that was left for the model.

    >>> _state_told_by("denied: too dear"), _state_told_by("12 degrees")
    ('denied', 'done')
    """
    states = {"denied:": "denied", "stopped:": "stopped", "not run:": "failed", "failed:": "failed"}
    return next((state for opening, state in states.items() if result.startswith(opening)), "done")


def part_of(call: ToolCall) -> Part:
    """A call with all that it would run, nothing left out.

    >>> part_of(ToolCall(call_id="1", tool_name="code_interpreter", arguments={"code": "print(1)"}))["text"]
    'print(1)'
    """
    name = well_formed(tool_name_str(call.tool_name))
    part = Part(kind="call", id=well_formed(call.call_id), name=name, state="not run")
    match call.arguments:
        case {"code": str(code), **others} if name == "code_interpreter" and not others:
            return Part(**part, language="python", text=well_formed(code))
    arguments = json.dumps(call.arguments, indent=2, ensure_ascii=False, default=str)
    return Part(**part, language="json", text=re.sub("[\ud800-\udfff]", _escaped, arguments))


def _escaped(surrogate: re.Match[str]) -> str:
    return f"\\u{ord(surrogate[0]):x}"


def _fields_of(event: ToolEvent) -> dict[str, Any]:
    call = part_of(event.call)
    fields: dict[str, Any] = {name: call[name] for name in ("name", "text", "language")}
    fields |= {"state": event.state, "digest": event.digest if event.state == "waiting" else ""}
    fields |= {"notice": well_formed(event.notice)} | ({} if event.lasting else {"lasting": False})
    fields["progress"] = _shortened(event.progress, LONGEST_PROGRESS) if event.state == "running" else ""
    if event.result is not None:
        fields["result"] = _shortened(event.result.text, LONGEST_RESULT)
        fields["bundle"] = shown(event.result.bundle)
    return fields | ({} if event.seconds is None else {"seconds": round(event.seconds, 3)})


def _told(value: Any) -> Any:
    """What says nothing need not be there; a False says something."""
    return value if value is False else value or None


def shown(bundle: dict[str, str]) -> dict[str, str]:
    """The best of what a page can show, and the plain text; what is too large for the wire is left out.

    >>> shown({"text/html": "<b>1</b>", "image/png": "iVBO", "text/plain": "1", "application/x": "?"})
    {'text/html': '<b>1</b>', 'text/plain': '1'}
    """
    small = {kind: content for kind, content in bundle.items() if 0 < len(content) <= LARGEST_BUNDLE}
    best = [kind for kind in SHOWN if kind in small][:1]
    return {kind: well_formed(small[kind]) for kind in (*best, "text/plain") if kind in small}


def _shortened(text: str, most: int) -> str:
    text = well_formed(text)
    return text if len(text) <= most else f"{text[:most]}\n… ({len(text) - most:,} more characters are not shown)"


def _is_system(message: Message) -> bool:
    return message.role == "system"


def _index_of(turn: Turn, call_id: str) -> int | None:
    """Where a call stands. Calls run in their order: of several with one id, it is the first that has not ended."""
    places = [index for index, part in enumerate(turn["parts"]) if part.get("id") == well_formed(call_id)]
    open_places = [index for index in places if turn["parts"][index]["state"] not in ENDED]
    return next(iter(open_places or places[-1:]), None)


def _said(parts: list[Part]) -> tuple[str, list[tuple[str, ...]]]:
    """What the model said in all, whatever became of its calls."""
    text = "".join(part["text"] for part in parts if part["kind"] == "text")
    return text, [(part.get("id", ""), part["name"], part["text"]) for part in parts if part["kind"] == "call"]


def _is_last_in(messages: Sequence[Message], reply: Reply) -> bool:
    """Whether the last turn of `messages` is the one that is being answered."""
    last = messages[-1]
    if reply.queued or reply.messages:
        return not reply.queued and last is reply.messages[-1]
    return isinstance(last, UserMessage) and interleaved_text_media_as_str(last.content) == reply.question


def _name_in(text: str) -> str:
    """The tool's name in a call that is still being written, as far as it can be told.

    >>> _name_in('{"type": "function", "name": "get_weather", "par'), _name_in("<function=add>{"), _name_in("[a(")
    ('get_weather', 'add', 'a')
    """
    found = re.search(r'"name"\s*:\s*"([^"\\]{1,100})"|<function=([^>]{1,100})>|^\s*\[?(\w{1,100}(?:\.\w+)*)\(', text)
    return next(name for name in found.groups() if name) if found else ""


def _figures(reply: Reply) -> dict[str, float]:
    usage = reply.usage.model_dump() if reply.usage else {}
    metrics = reply.metrics.model_dump() if reply.metrics else {}
    return {name: value for name, value in {**usage, **metrics}.items() if value is not None}
