"""A conversation as a file: `.md` and `.html` to read, `.json` and `.ipynb` to read and to be taken up again.

What is read in them is safe wherever it is shown: no model's text is live, and nothing is fetched. The two that can be
read back carry each message exactly, to the last half character. Knows messages; knows nothing of who holds them.
"""

from __future__ import annotations

import html
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llama_nb.apis.messages import (
    BuiltinTool,
    CompletionMessage,
    Message,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolResponseMessage,
    UserMessage,
    interleaved_text_media_as_str,
    tool_name_str,
)
from llama_nb.approval import visible
from llama_nb.errors import BadRequest, LlamaError, did_you_mean
from llama_nb.history import turns_of
from llama_nb.prompt_format.text import well_formed
from llama_nb.reply import arguments_markdown, code_markdown, fenced, name_markdown
from llama_nb.safe_markdown import safe_markdown

FORMAT, VERSION = "llama_nb conversation", 1
CUT_OFF = "(unfinished)"


class NotWritten(LlamaError, OSError):
    """A file that cannot be written where it was to be."""


@dataclass(frozen=True)
class Conversation:
    """What a file holds: the model's name, and the messages."""

    model: str
    messages: list[Message]


def write(path: Path, said: Conversation, *, overwrite: bool = False) -> Path:
    """Writes the conversation in the form that the path's suffix names: whole, or not at all.

    Raises:
        BadRequest: an unknown suffix, or a file that is there already, without `overwrite`.
        NotWritten: there is no such folder, or it takes no file.
    """
    text = _form(path, WRITERS)(said)
    if path.exists() and not overwrite:
        raise BadRequest(f"{path} exists already. Choose another name, or give overwrite=True.")
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        os.replace(unfinished, path)
    except OSError as error:
        raise NotWritten(
            f"{path} cannot be written: {error.strerror or error}. Choose a folder that is there and may be written to."
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return path


def read(path: Path) -> Conversation:
    """The conversation in a `.json` or `.ipynb` that `write` made.

    Raises:
        BadRequest: another suffix, or a file that `write` did not make.
        OSError: it cannot be read.
    """
    take_out = _form(path, READERS)
    try:
        model, messages = take_out(json.loads(path.read_text(encoding="utf-8")))
        return Conversation(str(model), [_exact(message) for message in MESSAGES.validate_python(messages)])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(str(step) for step in first["loc"])
        raise BadRequest(f"{path} holds a message that is none, at {at}: {first['msg']}.") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadRequest(
            f"{path} is no conversation that llama_nb wrote ({error}). Chat.load reads what chat.export made."
        ) from error


def _form(path: Path, forms: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    form = forms.get(path.suffix.lower())
    if form is None:
        raise BadRequest(f"{path} ends with `{path.suffix}`. {did_you_mean(path.suffix, forms)}")
    return form


# --- Exactly, as JSON -------------------------------------------------------------------------------------------------

MESSAGES: TypeAdapter[list[Message]] = TypeAdapter(list[Message])


def _dumped(messages: Iterable[Message], indent: int | None = None, **around: Any) -> str:
    # In ASCII, so that half characters live through any editor; an Enum is the one value that json does not know.
    plain = [message.model_dump() for message in messages]
    value = {**around, "messages": plain} if around else plain
    return json.dumps(value, indent=indent, default=_value_of)


def _value_of(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    raise BadRequest(f"A tool call's argument is {value!r}, which JSON cannot carry; change it in chat.messages.")


def _exact(message: Message) -> Message:
    """A built-in tool's name is again what it is in a call."""
    if isinstance(message, ToolResponseMessage) and message.tool_name in BuiltinTool.__members__:
        message.tool_name = BuiltinTool(message.tool_name)
    return message


def _as_json(said: Conversation) -> str:
    return _dumped(said.messages, 1, format=FORMAT, version=VERSION, model=said.model) + "\n"


def _from_json(content: Any) -> tuple[str, list[Any]]:
    _require_ours(content)
    return content["model"], content["messages"]


def _require_ours(marked: dict[str, Any]) -> None:
    if marked.get("format") != FORMAT:
        raise ValueError(f"it is not marked as `{FORMAT}`")
    if marked.get("version") != VERSION:
        raise ValueError(f"it is of version {marked.get('version')!r}, and {VERSION} is known")


# --- As a notebook ----------------------------------------------------------------------------------------------------


def _as_notebook(said: Conversation) -> str:
    """A cell for each question and each answer, its messages in its metadata: as text, which no editor rewrites."""
    cells = [
        _cell("title", f"# Conversation with {code_markdown(said.model)}", said.messages[: _before(said.messages)])
    ]
    for number, turn in enumerate(turns_of(said.messages), 1):
        cells.append(_cell(f"question-{number}", "\n\n".join(_blocks(turn[:1])), turn[:1]))
        if answer := turn[1:]:
            cells.append(_cell(f"answer-{number}", "\n\n".join(_blocks(answer)), answer))
    metadata = {"llama_nb": {"format": FORMAT, "version": VERSION, "model": said.model}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1) + "\n"


def _before(messages: Sequence[Message]) -> int:
    """How many messages stand before the first question."""
    return len(messages) - sum(len(turn) for turn in turns_of(messages))


def _cell(name: str, source: str, messages: Sequence[Message]) -> dict[str, Any]:
    system = "\n\n".join(_blocks(messages)) if name == "title" else ""
    return {
        "cell_type": "markdown",
        "id": name,
        "metadata": {"llama_nb": {"messages": _dumped(messages)}},
        "source": "\n\n".join(block for block in (source, system) if block).splitlines(keepends=True),
    }


def _from_notebook(content: Any) -> tuple[str, list[Any]]:
    ours = content["metadata"].get("llama_nb", {})
    _require_ours(ours)
    cells = [cell["metadata"].get("llama_nb", {}) for cell in content["cells"]]
    messages = [message for cell in cells if "messages" in cell for message in json.loads(cell["messages"])]
    return ours["model"], messages


# --- To be read, as Markdown ------------------------------------------------------------------------------------------


def _as_markdown(said: Conversation) -> str:
    return "\n\n".join([f"# Conversation with {code_markdown(said.model)}", *_blocks(said.messages)]) + "\n"


def _blocks(messages: Iterable[Message]) -> list[str]:
    return [block for message in messages for block in _message_markdown(message) if block.strip()]


def _message_markdown(message: Message) -> list[str]:
    text = _prose(interleaved_text_media_as_str(message.content))
    match message:
        case SystemMessage():
            return ["**System**", text]
        case UserMessage():
            return ["**You**", text]
        case ToolResponseMessage():
            content = interleaved_text_media_as_str(message.content)
            return [f"**Result** of {name_markdown(message)}", fenced(content)]
        case CompletionMessage():
            calls = [block for call in message.tool_calls for block in _call_markdown(call)]
            return ["**Llama**", text, *calls, f"*{CUT_OFF}*" if _is_cut(message) else ""]


def _call_markdown(call: ToolCall) -> list[str]:
    return [f"**Tool call** {name_markdown(call)}", *arguments_markdown(call)]


def _is_cut(message: CompletionMessage) -> bool:
    return message.stop_reason is StopReason.out_of_tokens


def _prose(text: str) -> str:
    return safe_markdown(well_formed(text))


# --- To be read, as HTML ----------------------------------------------------------------------------------------------

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }}
:root {{ color-scheme: light dark }}
section {{ margin: 1.25rem 0; padding-left: .9rem; border-left: 3px solid #8888 }}
section.user {{ border-color: #3b82f6 }}
h2 {{ font-size: .9rem; margin: 0; opacity: .75 }}
p, pre {{ white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0 }}
pre {{ font: .9em/1.45 ui-monospace, monospace; padding: .5rem; background: #8881 }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def _as_html(said: Conversation) -> str:
    """One page that needs neither scripts nor the network; text stands in it as it was written."""
    body = "\n".join(_message_html(message) for message in said.messages)
    return PAGE.format(title=_escaped(f"Conversation with {visible(said.model)}"), body=body)


def _message_html(message: Message) -> str:
    text = f"<p>{_escaped(interleaved_text_media_as_str(message.content))}</p>"
    match message:
        case SystemMessage():
            heading = "System"
        case UserMessage():
            heading = "You"
        case ToolResponseMessage():
            heading = f"Result of {_escaped(visible(tool_name_str(message.tool_name)))}"
            text = f"<pre>{_escaped(interleaved_text_media_as_str(message.content))}</pre>"
        case CompletionMessage():
            heading = f"Llama {CUT_OFF}" if _is_cut(message) else "Llama"
            text += "".join(_call_html(call) for call in message.tool_calls)
    return f'<section class="{message.role}">\n<h2>{heading}</h2>\n{text}\n</section>'


def _call_html(call: ToolCall) -> str:
    arguments = visible(json.dumps(call.arguments, indent=2, ensure_ascii=False, default=str))
    name = _escaped(visible(tool_name_str(call.tool_name)))
    return f"\n<details open><summary>Tool call <code>{name}</code></summary><pre>{_escaped(arguments)}</pre></details>"


def _escaped(text: str) -> str:
    """`text` for HTML; what no HTML may hold (controls, half characters) is replaced."""
    return html.escape(re.sub(r"[^\n\t -\x7e\xa0-\U0010ffff]", "\ufffd", well_formed(text)))


WRITERS: dict[str, Callable[..., Any]] = {
    ".md": _as_markdown,
    ".html": _as_html,
    ".json": _as_json,
    ".ipynb": _as_notebook,
}
READERS: dict[str, Callable[..., Any]] = {".json": _from_json, ".ipynb": _from_notebook}
