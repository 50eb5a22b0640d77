"""A conversation as the panel shows it: turns of parts, what is new in them, and the same as Markdown.

Knows messages, replies and Markdown; knows nothing of widgets. `js/src/state.ts` has the same words.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
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
from llama_nb.safe_markdown import safe_markdown

if TYPE_CHECKING:
    from llama_nb.chat import Reply


class Part(TypedDict, total=False):
    """A piece of text, or a tool call: its name, its arguments as text, and how far it is."""

    kind: str  # text, call
    text: str
    name: str
    state: str  # calling, not run, done, failed, stopped
    result: str


class Turn(TypedDict, total=False):
    id: int
    question: str
    parts: list[Part]
    phase: str  # queued, answering, done, stopped, cut, failed
    error: str
    figures: dict[str, float]


OPEN = ("queued", "answering")


class Transcript:
    """The turns of a chat as the page shows them, and what is new in them since `take` was last called."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._ops: list[dict[str, Any]] = []

    def take(self) -> list[dict[str, Any]]:
        ops, self._ops = self._ops, []
        return ops

    def is_open(self) -> bool:
        return any(turn["phase"] in OPEN for turn in self.turns)

    def note(self, op: dict[str, Any]) -> None:
        """Remembers `op`; pieces of the same part become one."""
        last = self._ops[-1] if self._ops else {}
        if op["op"] == "piece" and all(last.get(key) == op[key] for key in ("op", "turn", "part")):
            last["text"] += op["text"]
        else:
            self._ops.append(op)

    def rebuild(self, messages: Iterable[Message], under_way: Iterable[Reply] = ()) -> None:
        """Begins anew, with what was said and what is being answered."""
        self.turns = turns_of(messages)
        self._ops = [{"op": "turns", "turns": copy.deepcopy(self.turns)}]
        for reply in under_way:
            last = self.turns[-1] if self.turns else None
            if last and not (reply.queued or last["parts"]) and last["question"] == well_formed(reply.question):
                self.turns.pop()  # its question stands in the messages already
            self.ask(reply)
            self._text(self.turns[-1], reply.text)
            for call in reply.tool_calls:
                self._put(self.turns[-1], len(self.turns[-1]["parts"]), part_of(call))

    def ask(self, reply: Reply) -> Turn:
        if known := self._known(reply):
            return known
        turn = Turn(id=reply.id, question=well_formed(reply.question), parts=[], phase="queued")
        self.turns.append(turn)
        self.note({"op": "turn", "turn": copy.deepcopy(turn)})
        return turn

    def progress(self, reply: Reply, delta: str | ToolCallDelta) -> None:
        turn = self._turn(reply)
        if turn["phase"] == "queued":
            self._mark(turn, phase="answering")
        if isinstance(delta, str):
            self._text(turn, delta)
        elif delta.parse_status is ToolCallParseStatus.started:
            self._put(turn, len(turn["parts"]), Part(kind="call", name="", text="", state="calling"))
        else:
            self._call(turn, delta)

    def end(self, reply: Reply) -> None:
        turn = self._turn(reply)
        phase = "failed" if reply.error else "stopped" if reply.stopped else "done"
        if phase == "done" and reply.stop_reason is StopReason.out_of_tokens:
            phase = "cut"
        for index, part in enumerate(turn["parts"]):
            if part.get("state") == "calling":
                self._put(turn, index, Part(**{**part, "state": "stopped" if reply.stopped else "failed"}))
        # The message is what the model will remember; where the stream told another story (we came late), it wins.
        if reply.message is not None and not _same(turn["parts"], reply.message):
            turn["parts"] = parts_of(reply.message)
            self.note({"op": "turn", "turn": copy.deepcopy(turn)})
        error = {"error": well_formed(str(reply.error)) or type(reply.error).__name__} if reply.error else {}
        self._mark(turn, phase=phase, figures=_figures(reply), **error)

    def _turn(self, reply: Reply) -> Turn:
        """The turn of `reply`; an unknown one was cleared away while it ran."""
        return self._known(reply) or self.ask(reply)

    def _known(self, reply: Reply) -> Turn | None:
        return next((turn for turn in reversed(self.turns) if turn["id"] == reply.id), None)

    def _mark(self, turn: Turn, **fields: Any) -> None:
        turn.update(fields)  # type: ignore[typeddict-item]
        self.note({"op": "mark", "turn": turn["id"], "fields": fields})

    def _put(self, turn: Turn, index: int, part: Part) -> None:
        turn["parts"][index:] = [part, *turn["parts"][index + 1 :]]
        self.note({"op": "part", "turn": turn["id"], "part": index, "value": dict(part)})

    def _text(self, turn: Turn, piece: str) -> None:
        if piece:
            if not turn["parts"] or turn["parts"][-1]["kind"] != "text":
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
            name = call["name"] or _name_in(call["text"])
            if name != call["name"]:
                self._put(turn, index, Part(**{**call, "name": name}))


def turns_of(messages: Iterable[Message]) -> list[Turn]:
    """Messages → turns. Their ids are negative: those of replies are not."""
    turns: list[Turn] = []
    for message in messages:
        if isinstance(message, UserMessage) or (not turns and not _is_system(message)):
            question = interleaved_text_media_as_str(message.content) if isinstance(message, UserMessage) else ""
            turns.append(Turn(id=-1 - len(turns), question=well_formed(question), parts=[], phase="done"))
        if isinstance(message, CompletionMessage):
            turns[-1]["parts"] += parts_of(message)
            turns[-1]["phase"] = "cut" if message.stop_reason is StopReason.out_of_tokens else "done"
        elif isinstance(message, ToolResponseMessage):
            waiting = (part for part in turns[-1]["parts"] if part.get("state") == "not run")
            if part := next(waiting, None):
                part["state"] = "done"
                part["result"] = well_formed(interleaved_text_media_as_str(message.content))
    return turns


def parts_of(message: CompletionMessage) -> list[Part]:
    text = well_formed(interleaved_text_media_as_str(message.content))
    return [Part(kind="text", text=text)] * bool(text) + [part_of(call) for call in message.tool_calls]


def part_of(call: ToolCall) -> Part:
    arguments = json.dumps(call.arguments, indent=2, ensure_ascii=False, default=str)
    name = well_formed(tool_name_str(call.tool_name))
    return Part(kind="call", name=name, text=well_formed(arguments), state="not run")


def _is_system(message: Message) -> bool:
    return message.role == "system"


def _same(parts: list[Part], message: CompletionMessage) -> bool:
    """Whether the stream and the message agree; a call that was never completed stands in the stream alone."""
    if any(part.get("state") in ("failed", "stopped") for part in parts):
        return True
    said = "".join(part["text"] for part in parts if part["kind"] == "text")
    calls = [part for part in parts if part.get("state") == "not run"]
    return [part for part in parts_of(message) if part["kind"] == "call"] == calls and said == well_formed(
        interleaved_text_media_as_str(message.content)
    )


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


MARKS = {"stopped": "*Stopped.*", "cut": "*Unfinished: out of tokens.*", **dict.fromkeys(OPEN, "*Still answering.*")}


def mirror_markdown(name: str, turns: list[Turn], model: str) -> str:
    """The transcript as Markdown that is safe and readable wherever a notebook is shown."""
    heading = f"*Llama conversation {name}* · {safe_markdown(f'`{model}`')}"
    return "\n\n---\n\n".join([heading, *(_mirror_turn(turn) for turn in turns)])


def _mirror_turn(turn: Turn) -> str:
    blocks = ["**You**", safe_markdown(turn["question"]), "**Llama**"]
    for part in turn["parts"]:
        blocks += [safe_markdown(part["text"])] if part["kind"] == "text" else _mirror_call(part)
    if turn["phase"] == "failed":
        blocks.append("**Failed:** " + safe_markdown(" ".join(turn.get("error", "").split())))
    blocks.append(MARKS.get(turn["phase"], ""))
    return "\n\n".join(block for block in blocks if block.strip())


def _mirror_call(part: Part) -> list[str]:
    name = part["name"].replace("`", "'") or "?"
    blocks = [f"**Tool call** {safe_markdown(f'`{name}`')} ({part['state']})"]
    blocks.append(_fenced(part["text"], "json" if part["state"] in ("not run", "done") else "text"))
    return blocks + ([_fenced(part["result"], "text")] if "result" in part else [])


def _fenced(text: str, language: str) -> str:
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", text))]))
    return safe_markdown(f"{fence}{language}\n{text}\n{fence}")
