"""The conversation as an anywidget: a chat panel that streams, and a Markdown mirror that stays when no kernel runs.

Knows traits, numbered messages and Markdown; knows nothing of models. Three rules hold it together:

* `state` is the truth, `messages` are the speed. Message n leads from state n-1 to state n; a page that missed one
  asks for a snapshot. Only llama_nb's own event loop writes, so the order on the wire is the order of the events.
* The page commands (ask, stop, snapshot, mirror, leave) and writes nothing. A command carries a nonce and may come
  twice; its handler only enqueues, so it works from whatever thread Jupyter picked.
* Nothing that the page sends can raise here.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import uuid
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import anywidget
import traitlets

from llama_nb import loop
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
from llama_nb.errors import LlamaError
from llama_nb.safe_markdown import safe_markdown

if TYPE_CHECKING:
    from llama_nb.chat import Chat, ChatEvent, Reply

log = logging.getLogger("llama_nb")

TICK_S = 0.04  # at most 25 messages a second; Jupyter discards above 1,000 a second from all chats together
CHECKPOINT_S = 1.0  # how often `state` is written within an answer
CHECKPOINT_BYTES_S = 64_000  # and not so often that a long conversation costs more than this
WATCH_S = 0.25  # how often the status is looked at while something is under way
LONGEST_QUESTION = 1_000_000  # characters
REMEMBERED = 256  # commands, and pages, that are remembered

STATIC = Path(__file__).parent / "static"
if not (STATIC / "panel.js").is_file():
    raise FileNotFoundError(f"{STATIC / 'panel.js'} is missing: in a checkout, build it with `npm ci && npm run build`")


# --- What is on the wire; js/src/state.ts has the same words ----------------------------------------------------------


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


def well_formed(text: str) -> str:
    """`text` without lone surrogates, which no UTF-8 can carry.

    >>> well_formed("a\\ud800b")
    'a\ufffdb'
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


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


# --- The mirror -------------------------------------------------------------------------------------------------------

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


# --- The widget -------------------------------------------------------------------------------------------------------


class Panel(anywidget.AnyWidget):
    """A chat in a cell's output: `Panel(chat)`, or `Panel()` for a new one.

    The kernel stays free while it answers. Several panels may show one chat.
    """

    _esm = STATIC / "panel.js"
    _css = STATIC / "panel.css"

    state = traitlets.Dict(read_only=True).tag(sync=True)
    mirror = traitlets.Unicode(read_only=True, help="The name by which the page finds the mirror.").tag(sync=True)

    @traitlets.default("mirror")
    def _new_name(self) -> str:
        return uuid.uuid4().hex[:6]

    def __init__(self, chat: Chat | None = None) -> None:
        if chat is None:
            from llama_nb.chat import Chat

            chat = Chat()
        self.chat = chat
        self.refused = 0  # trait writes and commands from the page that mean nothing
        self._transcript = Transcript()
        self._seq = 0
        self._status: dict[str, Any] = {}
        self._acks: list[dict[str, Any]] = []
        self._answered: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._pages: OrderedDict[str, None] = OrderedDict()
        self._answer_with: set[str] = set()  # of snapshot, mirror: what the next message carries
        self._turn_boundary = False
        self._timer: Any = None
        self._watch_timer: Any = None
        self._sent_at = self._next_checkpoint = float("-inf")
        self._unlisten: Any = None
        self._closed = self._shown = False
        self._loop = loop.get()
        super().__init__()
        self._on_loop(self._begin)

    # Only the loop's thread runs what follows, up to "From other threads".

    def _begin(self) -> None:
        if self._closed:
            return
        # Events come in this thread, too: none can slip in between reading the messages and listening.
        self._rebuild()
        self._unlisten = self.chat.listen(self._heard)
        self._turn_boundary = True
        self._new()

    def _heard(self, event: ChatEvent) -> None:
        if event.kind == "reset":
            self._rebuild()
        elif event.reply is not None and event.kind == "asked":
            self._transcript.ask(event.reply)
        elif event.reply is not None and event.kind == "ended":
            self._transcript.end(event.reply)
        elif event.reply is not None and event.event is not None:
            self._transcript.progress(event.reply, event.event.delta)
        if event.kind != "progress":
            self._turn_boundary = True
        if event.kind in ("ended", "reset"):
            self._refresh_mirror()  # at once: a headless run stops listening when its last cell has ended
        self._new()

    def _rebuild(self) -> None:
        # A copy, because a chat's messages are its user's to edit from the main thread.
        self._transcript.rebuild(list(self.chat.messages), list(self.chat._replies))

    def _new(self) -> None:
        """Something is new: it is sent within a tick, together with all else that comes until then."""
        if self._timer is None and not self._closed:
            self._timer = self._loop.call_later(max(0.0, self._sent_at + TICK_S - self._loop.time()), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._look_at_status()
        message: dict[str, Any] = {}
        if ops := self._transcript.take():
            self._seq += 1
            if self._pages:
                message |= {"seq": self._seq, "ops": ops}
        if self._acks:
            message["acks"], self._acks = self._acks, []
        if "snapshot" in self._answer_with:
            message["snapshot"] = self._snapshot()
        if "mirror" in self._answer_with:
            message["mirror"] = self._mirror_text()
        self._answer_with.clear()
        if message:
            self._sent_at = self._loop.time()
            self._tell(message)
        self._checkpoint(bool(ops))

    def _checkpoint(self, changed: bool) -> None:
        """Writes `state` at turn boundaries, and now and then within an answer that somebody looks at."""
        due = changed and bool(self._pages) and self._loop.time() >= self._next_checkpoint
        if not (due or self._turn_boundary):
            return
        snapshot = self._snapshot()
        size = len(json.dumps(snapshot))
        self._next_checkpoint = self._loop.time() + max(CHECKPOINT_S, size / CHECKPOINT_BYTES_S)
        try:
            self.set_trait("state", snapshot)
        except Exception:
            log.exception("the panel's state could not be sent")
        self._turn_boundary = False

    def _snapshot(self) -> dict[str, Any]:
        return {"seq": self._seq, "turns": copy.deepcopy(self._transcript.turns), "status": self._status}

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self.send(message)
        except Exception:  # a kernel that is going down; the page asks again
            log.exception("the panel's message could not be sent")

    def _look_at_status(self) -> None:
        seen = {"model": well_formed(self.chat.model), **self._status_of_model()}
        if seen != self._status:
            self._status = seen
            self._transcript.note({"op": "status", "status": seen})
        if self._watch_timer is None and (self._transcript.is_open() or seen["phase"] == "loading"):
            self._watch_timer = self._loop.call_later(WATCH_S, self._watch)

    def _status_of_model(self) -> dict[str, Any]:
        try:
            status = self.chat.status
        except LlamaError as error:  # a model that is served no more; the question will say so, too
            return {"phase": "failed", "detail": well_formed(str(error)), "fraction": None}
        return {"phase": status.phase, "detail": well_formed(status.detail or ""), "fraction": status.fraction}

    def _watch(self) -> None:
        self._watch_timer = None
        if not self._closed:
            before = self._status
            self._look_at_status()
            if self._status != before:
                self._new()

    def _command(self, content: Any) -> None:
        match content:
            case {"command": str(command), "nonce": str(nonce), "page": str(page)} if len(nonce + page) < 200:
                pass
            case _:
                self.refused += 1
                return
        if nonce not in self._answered:
            answer = self._obey(command, page, content)
            if answer is None:
                self.refused += 1
                return
            self._answered[nonce] = {"nonce": nonce, **answer}
            _forget_oldest(self._answered)
        self._acks.append(self._answered[nonce])
        self._new()

    def _obey(self, command: str, page: str, content: dict[str, Any]) -> dict[str, Any] | None:
        """What the command's acknowledgement says; None if there is no such command."""
        match command:
            case "ask" if isinstance(content.get("text"), str):
                return self._ask(well_formed(content["text"]))
            case "stop":
                self.chat.stop()
            case "snapshot":
                self._pages[page] = None
                _forget_oldest(self._pages)
                self._answer_with.add("snapshot")
            case "mirror":
                self._answer_with.add("mirror")
            case "leave":
                self._pages.pop(page, None)
            case _:
                return None
        return {}

    def _ask(self, question: str) -> dict[str, Any]:
        if not question.strip():
            return {"error": "The question is empty."}
        if len(question) > LONGEST_QUESTION:
            return {"error": f"The question has {len(question):,} characters; at most {LONGEST_QUESTION:,} are taken."}
        try:
            return {"turn": self.chat.start(question).id}
        except Exception as error:
            if not isinstance(error, LlamaError):
                log.exception("the panel's question could not be asked")
            return {"error": well_formed(str(error)) or type(error).__name__}

    def _mirror_text(self) -> str:
        return mirror_markdown(self.mirror, self._transcript.turns, well_formed(self.chat.model))

    def _refresh_mirror(self) -> None:
        if self._shown:
            self._show_mirror(update=True)

    def _end(self) -> None:
        for timer in (self._timer, self._watch_timer):
            if timer is not None:
                timer.cancel()
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None

    # From other threads: these only enqueue, or show.

    def _on_loop(self, call: Any, *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the interpreter is going down
            log.debug("llama_nb's event loop is closed")

    @traitlets.observe("comm")
    def _keep_commands_off_the_busy_shell(self, change: Any) -> None:
        # ipykernel 7.4 delivers a comm's messages to the shell that last published on it, which may be the one that
        # runs a long cell. Left alone, they come on the subshell that the page chose, and Stop works at once.
        if hasattr(change["new"], "_reply_subshell_for"):
            change["new"]._reply_subshell_for = lambda data, default: default

    def set_state(self, sync_data: Any) -> None:
        """Nothing may be written from the page."""
        self.refused += 1

    def _handle_msg(self, msg: Any) -> None:
        try:
            data = msg["content"]["data"]
            method, content = data["method"], data.get("content")
        except (KeyError, TypeError, AttributeError):
            method = content = None
        if method == "custom":
            self._on_loop(self._command, content)
        elif method == "request_state":
            self._on_loop(self.send_state)
        else:
            self.refused += 1

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle = self._repr_mimebundle_()
        if self._closed or bundle is None:
            display({"text/plain": repr(self)}, raw=True)
            return
        data, metadata = bundle
        display({**data, "text/plain": "A Llama panel; its conversation is below."}, metadata=metadata, raw=True)
        self._show_mirror(update=False)
        self._shown = True
        self._on_loop(self._refresh_mirror)

    def _show_mirror(self, update: bool) -> None:
        """The transcript in an output of its own: an update of the panel's would build the panel anew."""
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        if get_ipython() is None:  # nothing is shown anywhere
            return
        try:
            text = self._mirror_text()
            data = {"text/markdown": text, "text/plain": text}
            display(data, raw=True, display_id=f"llama_nb-{self.mirror}", update=update)
        except Exception:
            log.exception("the panel's mirror could not be shown")

    def close(self) -> None:
        """Takes the panel off the page; the chat goes on."""
        if not getattr(self, "_closed", True):
            self._closed = True
            self._on_loop(self._end)
        super().close()


def _forget_oldest(seen: OrderedDict[str, Any]) -> None:
    while len(seen) > REMEMBERED:
        seen.popitem(last=False)
