"""The conversation as an anywidget: a chat panel that streams, and a Markdown mirror that stays when no kernel runs.

Knows traits and numbered messages; what they say is the business of `transcript`. Three rules hold it together:

* `state` is the truth, `messages` are the speed. Message n leads from state n-1 to state n; a page that missed one
  asks for a snapshot. Only llama_nb's own event loop writes, so the order on the wire is the order of the events.
* The page commands (ask, stop, decide, edit, regenerate, snapshot, mirror, here, leave) and writes nothing. A command
  carries a nonce and may come twice; its handler only enqueues, so it works from whatever thread Jupyter picked.
* Nothing that the page sends can raise here, and nothing is decided there: a decision about a tool call is the chat's.
"""

from __future__ import annotations

import contextvars
import copy
import json
import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from llama_nb import loop
from llama_nb.apis.messages import UserMessage, interleaved_text_media_as_str
from llama_nb.errors import LlamaError
from llama_nb.mirror import mirror_markdown
from llama_nb.pages import Pages
from llama_nb.prompt_format.text import well_formed
from llama_nb.transcript import Transcript

if TYPE_CHECKING:
    from llama_nb.chat import Chat
    from llama_nb.reply import ChatEvent, Reply

log = logging.getLogger("llama_nb")

TICK_S = 0.04  # at most 25 messages a second; Jupyter discards above 1,000 a second from all chats together
CHECKPOINT_S = 1.0  # how often `state` is written within an answer
CHECKPOINT_BYTES_S = 64_000  # and not so often that a long conversation costs more than this
WATCH_S = 0.25  # how often the status is looked at while something is under way
ROLL_S = 20.0  # how long a page may take to say that it is there, while a tool call waits for a decision
LONGEST_QUESTION = 1_000_000  # characters
LONGEST_REASON = 10_000
REMEMBERED = 256  # commands

STATIC = Path(__file__).parent / "static"
if not (STATIC / "panel.js").is_file():
    raise FileNotFoundError(f"{STATIC / 'panel.js'} is missing: in a checkout, build it with `npm ci && npm run build`")


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
        self._pages = Pages(chat.watch)  # while one shows us, the chat counts us among those who can decide
        self._answer_with: set[str] = set()  # of snapshot, mirror, roll: what the next message carries
        self._turn_boundary = False
        self._timer: Any = None
        self._watch_timer: Any = None
        self._roll_timer: Any = None
        self._sent_at = self._next_checkpoint = float("-inf")
        self._unlisten: Any = None
        self._closed = self._shown = False
        self._loop = loop.get()
        # An empty one: ipykernel then sends as whatever cell runs now, to which a headless run still listens.
        self._nobodys_cell = contextvars.Context()
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
        elif event.kind == "notice":
            self._transcript.notice(event.reply, event.text)
        elif event.reply is not None:
            self._heard_of(event.reply, event)
        if event.kind not in ("progress", "tool"):
            self._turn_boundary = True
        if event.kind in ("ended", "reset"):
            self._refresh_mirror()  # at once: a headless run stops listening when its last cell has ended
        self._new()

    def _heard_of(self, reply: Reply, event: ChatEvent) -> None:
        if event.kind == "asked":
            self._transcript.ask(reply)
        elif event.kind == "ended":
            self._transcript.end(reply, remembered=self._is_remembered(reply))
        elif event.tool is not None:
            self._transcript.step(reply, event.tool)
        elif event.event is not None:
            self._transcript.progress(reply, event.event.delta)

    def _is_remembered(self, reply: Reply) -> bool:
        return bool(reply.messages) and any(message is reply.messages[-1] for message in self.chat.messages)

    def _rebuild(self) -> None:
        # A copy, because a chat's messages are its user's to edit from the main thread.
        self._transcript.rebuild(list(self.chat.messages), self.chat.under_way)

    def _new(self) -> None:
        """Something is new: it is sent within a tick, together with all else that comes until then."""
        if self._timer is None and not self._closed:
            self._timer = self._loop.call_later(max(0.0, self._sent_at + TICK_S - self._loop.time()), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._look_at_status()
        if self._roll_timer is None and self._transcript.is_waiting():
            self._call_the_roll()
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
        if "roll" in self._answer_with:
            message["roll"] = True
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
        seen = {"model": well_formed(self.chat.model), **self._status_of_model(), "context": self._context()}
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

    def _context(self) -> dict[str, int] | None:
        use = self.chat.context_use
        return None if use is None else {"prompt_tokens": use.prompt_tokens, "max_seq_len": use.max_seq_len}

    def _watch(self) -> None:
        self._watch_timer = None
        if not self._closed:
            before = self._status
            self._look_at_status()
            if self._status != before:
                self._new()

    def _call_the_roll(self) -> None:
        """While a call waits, a page that does not answer counts no more: one that was closed says no goodbye.

        Else the chat would wait for it, instead of asking elsewhere.
        """
        self._roll_timer = None
        if self._closed or not self._transcript.is_waiting():
            self._pages.end_the_roll()
            return
        self._pages.call_the_roll()
        self._answer_with.add("roll")
        self._new()
        self._roll_timer = self._loop.call_later(ROLL_S, self._call_the_roll)

    def _command(self, content: Any) -> None:
        match content:
            case {"command": str(command), "nonce": str(nonce), "page": str(page)} if len(nonce + page) < 200:
                pass
            case _:
                self.refused += 1
                return
        if nonce not in self._answered:
            answer = self._obey(command, content)
            if answer is None:
                self.refused += 1
                return
            self._answered[nonce] = {"nonce": nonce, **answer}
            if len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)
        self._note_page(page, command)
        self._acks.append(self._answered[nonce])
        self._new()

    def _note_page(self, page: str, command: str) -> None:
        if command == "leave":
            self._pages.leave(page)
        elif not self._closed and self._pages.arrive(page):
            self._answer_with.add("snapshot")  # it may have missed something

    def _obey(self, command: str, content: dict[str, Any]) -> dict[str, Any] | None:
        """What the command's acknowledgement says; None if there is no such command."""
        match {**content, "command": command}:
            case {"command": "ask", "text": str(text)}:
                return self._ask(well_formed(text))
            case {"command": "stop"}:
                self.chat.stop()
            case {"command": "decide", "call": str(call), "digest": str(digest), "decision": str(decision)}:
                return self._decide(call, digest, decision, content.get("reason", ""))
            case {"command": "edit", "turn": int(turn), "text": str(text)}:
                return self._ask_again(turn, well_formed(text))
            case {"command": "regenerate", "turn": int(turn)}:
                return self._ask_again(turn, None)
            case {"command": "snapshot" | "mirror" as wanted}:
                self._answer_with.add(wanted)
            case {"command": "here" | "leave"}:
                pass
            case _:
                return None
        return {}

    def _ask(self, question: str) -> dict[str, Any]:
        return _refused(question) or self._begun(lambda: self.chat.start(question))

    def _ask_again(self, turn_id: int, text: str | None) -> dict[str, Any]:
        """Asks an earlier question again, in these words or in its own (None). What came after it is forgotten."""
        turn, index = self._transcript.find(turn_id)
        if self._transcript.is_open():
            return {"error": "An answer is under way: stop it first."}
        questions = [message.content for message in self.chat.messages if isinstance(message, UserMessage)]
        known = [well_formed(interleaved_text_media_as_str(question)) for question in questions]
        if turn is None or (self._transcript.has_trace(turn_id) and known[index : index + 1] != [turn["question"]]):
            self._rebuild()
            return {"error": "The conversation has changed in the meantime: look at it again."}
        if index == len(known):  # a question that failed, and the last
            return self._ask(turn["question"] if text is None else text)
        if text is None and self._transcript.has_trace(turn_id):
            return self._begun(lambda: self.chat.start_regenerate(index))
        question = turn["question"] if text is None else text
        return _refused(question) or self._begun(lambda: self.chat.start_edit(index, question))

    def _begun(self, start: Callable[[], Reply]) -> dict[str, Any]:
        try:
            return {"turn": start().id}
        except Exception as error:
            if not isinstance(error, LlamaError):
                log.exception("the panel's question could not be asked")
            return {"error": well_formed(str(error)) or type(error).__name__}

    def _decide(self, call: str, digest: str, decision: str, reason: Any) -> dict[str, Any] | None:
        if decision not in ("once", "chat", "deny") or not isinstance(reason, str):
            return None
        if len(reason) > LONGEST_REASON:
            return {"error": f"The reason has {len(reason):,} characters; at most {LONGEST_REASON:,} are taken."}
        if self.chat.decide(call, digest, decision, well_formed(reason)):  # type: ignore[arg-type]
            return {}
        self._answer_with.add("snapshot")
        return {"error": "This call waits no more, or is not the one that you saw: nothing was decided."}

    def _mirror_text(self) -> str:
        return mirror_markdown(self.mirror, self._transcript.turns, well_formed(self.chat.model))

    def _refresh_mirror(self) -> None:
        if self._shown:
            self._nobodys_cell.run(self._show_mirror, update=True)

    def _end(self) -> None:
        for timer in (self._timer, self._watch_timer, self._roll_timer):
            if timer is not None:
                timer.cancel()
        self._pages.close()
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


def _refused(question: str) -> dict[str, Any]:
    if not question.strip():
        return {"error": "The question is empty."}
    if len(question) > LONGEST_QUESTION:
        return {"error": f"The question has {len(question):,} characters; at most {LONGEST_QUESTION:,} are taken."}
    return {}
