"""How an answer is shown below its cell: as it grows, in the form that was asked for, and as what is saved.

Knows replies and Jupyter's displays. Everything that a model wrote passes through `safe_markdown`, or is plain text.
"""

from __future__ import annotations

import contextvars
import functools
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from llama_nb import loop
from llama_nb.safe_markdown import safe_markdown

if TYPE_CHECKING:
    from llama_nb.chat import Chat
    from llama_nb.reply import ChatEvent, Part, Reply

REFRESH_S = 0.1

_FENCED = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)(?:^[ \t]*(?P=fence)|\Z)", re.MULTILINE | re.DOTALL
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Form:
    """What is made of an answer: "md", "text", "code" (which `insert` puts into a new cell) or "json".

    `notes` stand above it: what the question was filled with.
    """

    name: str = "md"
    insert: Callable[[str], None] | None = None
    notes: Sequence[str] = ()

    def close(self, reply: Reply) -> str:
        """Does what is left to do with a whole answer, and gives a word on it."""
        if reply.message is None or reply.stopped or reply._stop_wanted or reply.error is not None:
            return ""
        if self.name == "json":
            reply.parsed, why = json_of(reply.text)
            return f"this is not JSON: {why}" if why else ""
        if self.insert is None:
            return ""
        code = code_of(reply.text)
        if code:
            self.insert(code)
        return "code inserted below" if code else "there is no code to insert"


def code_of(text: str) -> str:
    r"""The first block of code in `text`, or all of it when there is none.

    >>> code_of("So:\n```python\nx = 1\n```\nThat is all.")
    'x = 1'
    """
    found = _FENCED.search(text)
    return (found["code"] if found else text).strip("\n").rstrip()


def json_of(text: str) -> tuple[Any, str]:
    r"""The value of `text`, or of its first block of code, as JSON, and "" or why there is none.

    >>> json_of('```json\n{"a": [1]}\n```'), json_of("[1, NaN]")
    (({'a': [1]}, ''), (None, 'NaN is no value of JSON'))
    """
    try:
        return json.loads(code_of(text), parse_constant=_no_constant), ""
    except RecursionError:
        return None, "it is nested too deeply"
    except ValueError as error:
        return None, str(error)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON")


class View(Protocol):
    def refresh(self) -> None:
        """Shows what has come so far."""

    def finish(self) -> None:
        """Shows the whole answer, and does what its form asks for."""


def view_of(reply: Reply, chat: Chat, form: Form) -> View:
    return NotebookView(reply, chat, form) if in_notebook() else TerminalView(reply, form)


def show(reply: Reply, view: View) -> Reply:
    """Streams `reply` below the cell until it is complete, asking at the prompt about its tools, and gives it back."""
    try:
        view.refresh()
        while not reply.poll(REFRESH_S):
            view.refresh()
    except KeyboardInterrupt:
        reply.stop()
        reply._ended.wait(2)
        view.finish()
        raise
    view.finish()
    if reply.error is not None:
        raise reply.error
    return reply


def show_in_background(reply: Reply, chat: Chat, view: View) -> None:
    """Lets `reply` grow below the cell from llama_nb's thread; returns at once."""
    if in_notebook():
        view.refresh()  # here, so that the output belongs to this cell
    Background(reply, chat, view)


class Background:
    """Tells a view of a reply's events. All of it runs in llama_nb's thread, so the view has one writer."""

    def __init__(self, reply: Reply, chat: Chat, view: View) -> None:
        self._reply, self._view = reply, view
        self._timer: Any = None
        self._finished = False
        # An empty one: ipykernel then sends as whatever cell runs now, to which a headless run still listens.
        self._nobodys_cell = contextvars.Context()
        self._unlisten = chat.listen(self._heard)
        loop.run(self._begin())  # so that from here on the view is finished before the reply has ended for others

    async def _begin(self) -> None:
        if self._reply.ended:  # before anybody listened
            self._finish()

    def _heard(self, event: ChatEvent) -> None:
        if event.reply is not self._reply or self._finished:
            return
        if event.kind == "ended":
            self._finish()
        elif self._timer is None and in_notebook():  # a terminal gets the whole answer at once
            self._timer = loop.get().call_later(REFRESH_S, self._refresh)

    def _refresh(self) -> None:
        self._timer = None
        if not self._finished:
            self._nobodys_cell.run(self._view.refresh)

    def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            if self._timer is not None:
                self._timer.cancel()
            self._unlisten()
            self._nobodys_cell.run(self._view.finish)


class NotebookView:
    """One output that is replaced as the answer grows, and ends as what is saved."""

    def __init__(self, reply: Reply, chat: Chat, form: Form) -> None:
        self._reply, self._chat, self._form = reply, chat, form
        self._shown: dict[str, str] = {}
        self._handle: Any = None  # shown first by `refresh`, where an interrupt is caught

    def refresh(self) -> None:
        from llama_nb.reply import reply_markdown  # here, so that `%load_ext` need not load it

        text = self._form.name == "text"
        self._put(self._plain() if text else self._markdown(reply_markdown(self._reply) or self._waiting()))

    def finish(self) -> None:
        note = self._form.close(self._reply)
        if self._form.name == "text":
            return self._put(self._plain(), self._metadata())
        blocks = [self._answer(note)]
        if self._reply.error is not None:
            blocks.append(f"**{type(self._reply.error).__name__}**: {cell_text(str(self._reply.error))}")
        if note:
            blocks.append(f"*({cell_text(note)})*")
        return self._put(self._markdown("\n\n".join(blocks).strip("\n") or " "), self._metadata())

    def _answer(self, note: str) -> str:
        from llama_nb.reply import fenced, reply_markdown

        whole = self._reply.message is not None and not self._reply.stopped and self._reply.error is None
        if self._form.name != "json" or not whole:
            return reply_markdown(self._reply)
        if note:
            return fenced(self._reply.text)
        return fenced(json.dumps(self._reply.parsed, indent=2, ensure_ascii=False), "json")

    def _waiting(self) -> str:
        status = self._chat.status
        if status.phase != "loading":
            return "*…*"
        return f"*loading {cell_text(self._chat.model)}: {cell_text(status.detail)} {status.fraction or 0:.0%}*"

    def _markdown(self, answer: str) -> dict[str, str]:
        notes = [f"*{cell_text(note)}*" for note in self._form.notes]
        return {"text/markdown": "\n\n".join([*notes, answer]), "text/plain": self._reply.text}

    def _plain(self) -> dict[str, str]:
        parts = [*self._form.notes, *([""] if self._form.notes else []), plain_text(self._reply)]
        return {"text/plain": _CONTROL.sub("\ufffd", "\n".join(parts))}

    def _put(self, bundle: dict[str, str], metadata: dict[str, Any] | None = None) -> None:
        from IPython.display import display

        if bundle != self._shown or metadata:
            self._shown = bundle
            put = self._handle.update if self._handle else functools.partial(display, display_id=True)
            self._handle = put(bundle, raw=True, metadata=metadata or {}) or self._handle

    def _metadata(self) -> dict[str, Any]:
        reply = self._reply
        known = {
            "model": self._chat.model,
            "stop_reason": reply.stop_reason.value if reply.stop_reason else None,
            "stopped": reply.stopped,
            "usage": reply.usage.model_dump() if reply.usage else None,
        }
        return {"llama_nb": known | ({"notes": list(self._form.notes)} if self._form.notes else {})}


class TerminalView:
    """Text as it comes, since a terminal cannot take back what it has shown."""

    def __init__(self, reply: Reply, form: Form) -> None:
        self._reply, self._form = reply, form
        self._part = 0  # all before it are written
        self._written = 0  # characters of its text, or lines of its call
        self._began = False

    def refresh(self) -> None:
        if not self._began:
            self._began = True
            self._write("".join(f"({note})\n" for note in self._form.notes))
        parts = self._reply.parts
        while self._part < len(parts) and self._write_part(parts[self._part], last=self._part == len(parts) - 1):
            self._part, self._written = self._part + 1, 0

    def finish(self) -> None:
        self.refresh()
        note = self._form.close(self._reply)
        self._write(f"\n({note})\n" if note else "\n")

    def _write_part(self, part: Part, last: bool) -> bool:
        """Writes what is new of it, and says whether nothing more can come."""
        if part.call is None:
            self._write(part.text[self._written :] + ("" if last else "\n"))
            self._written = len(part.text)
            return not last
        if part.event is None and last and not self._reply.ended:
            return False  # whether it will run is not known yet
        if not self._written:
            self._write(f"{_call_line(part)}\n")
            self._written = 1
        over = part.event is None or part.event.result is not None
        if over and part.event and part.event.result:
            self._write(f"[{part.event.state}] {part.event.result.text}\n")
        return over

    def _write(self, text: str) -> None:
        sys.stdout.write(_CONTROL.sub("\ufffd", text))  # a terminal obeys some of them
        sys.stdout.flush()


def plain_text(reply: Reply) -> str:
    """All that was said and called, and what came of it, without markup."""
    blocks: list[str] = []
    for part in reply.parts:
        if part.call is None:
            blocks.append(part.text)
        else:
            blocks.append(_call_line(part))
            if part.event and part.event.result:
                blocks.append(f"[{part.event.state}] {part.event.result.text}")
    blocks += [f"({notice})" for notice in reply.notices]
    return "\n".join([*blocks, *(["(stopped)"] if reply.stopped else [])])


def _call_line(part: Part) -> str:
    from llama_nb.apis.messages import tool_name_str

    assert part.call is not None, "it is a call"
    mark = "tool call" if part.event else "tool call, not run"
    arguments = json.dumps(part.call.arguments, ensure_ascii=False, default=str)
    return f"[{mark}] {tool_name_str(part.call.tool_name)} {arguments}"


def in_notebook() -> bool:
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")


def show_markdown(text: str) -> None:
    from IPython.display import display

    display({"text/markdown": text, "text/plain": text}, raw=True)  # type: ignore[no-untyped-call]


def cell_text(text: str) -> str:
    """`text` inside a Markdown table or line: safe, and on one line."""
    return safe_markdown(" ".join(text.split())).replace("|", "&#124;")
