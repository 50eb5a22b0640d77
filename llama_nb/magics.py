"""`%llama` and `%%llama`: a question as a magic, its answer as Markdown below the cell.

Knows IPython; of the conversation only its public face. The magics block until the answer is complete, so Run All
means what it says, and wait in slices, so that ■ is instant.
"""

from __future__ import annotations

import functools
import re
import sys
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.display import display

from llama_nb.errors import LlamaError, did_you_mean

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from llama_nb.chat import Chat, Reply

HELP = """\
**%llama** *question* asks, and **%%llama** asks with the whole cell. Options stand before the question:

| option | |
| --- | --- |
| `-m NAME` | the model, or a checkpoint folder, from now on |
| `-s "TEXT"` | the system message, from now on |
| `-T 0.7` | temperature; 0, the default, is greedy |
| `-n 100` | at most so many tokens |
| `--seed 1` | makes a temperature above 0 repeatable |
| `--` | ends the options |

`%llama list` · `status` · `use NAME` · `reset` · `stop` · `unload` · `help` stand alone on their line.
"""

OPTIONS = {"-m": "model", "-s": "system", "-T": "temperature", "-n": "max_tokens", "--seed": "seed"}
NUMBERS: dict[str, type] = {"temperature": float, "max_tokens": int, "seed": int}
REFRESH_S = 0.1

_OPTION = re.compile(r"""\s*(--?[A-Za-z][\w-]*)(?:[ \t=]+("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\S+))?""")
# `%llama?` itself asks IPython for help, and a backslash at the end goes on in the next line.
_MAGIC_LINE = re.compile(r"(\s*)((?:[A-Za-z_]\w*\s*=\s*)?)%llama(?:[ \t](.*)|)(?<!\\)")
# Comments and complete strings, so that what is left of `"""` is open.
_STRING = re.compile(
    r"""
      \#[^\n]*
    | (?P<quotes>"{3}|'{3}) (?:[^\\]|\\.)*? (?P=quotes)
    | (?P<open>"{3}|'{3})
    | (?P<quote>["']) (?:(?!(?P=quote))[^\\\n]|\\.)* (?P=quote)
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@magics_class
class LlamaMagics(Magics):
    """The magics, and the conversation that they share."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._chat: Chat | None = None

    @property
    def chat(self) -> Chat:
        """The notebook's conversation; the first use begins it."""
        from llama_nb import stack
        from llama_nb.chat import Chat

        if self._chat is None or self._chat.stack is not stack.current():
            self._chat = Chat()
        return self._chat

    @no_var_expand
    @line_magic
    def llama(self, line: str) -> Reply | None:
        """Ask a Llama: %llama why is the sky blue?   (%llama help)"""
        words = line.split()
        command = getattr(self, f"_{words[0]}", None) if words and words[0] in COMMANDS else None
        wanted = COMMANDS.get(words[0], 0) if words else 0
        if command is not None and len(words) == 1 + wanted:
            with _plain_errors():
                command(*words[1:])
            return None
        if not words:
            self._help()
            return None
        return self._ask(*parse_options(line))

    @no_var_expand
    @cell_magic("llama")  # type: ignore[arg-type]
    def llama_cell(self, line: str, cell: str) -> Reply | None:
        """Ask a Llama with a whole cell: %%llama [options]"""
        options, first = parse_options(line)
        return self._ask(options, f"{first}\n{cell}" if first.strip() else cell)

    def _ask(self, options: dict[str, Any], prompt: str) -> Reply:
        if not prompt.strip():
            raise UsageError("There is no question behind the options. Write it on the same line, or use %%llama.")
        with _plain_errors():
            chat = self.chat
            if "model" in options:
                self._use(options.pop("model"))
            if "system" in options:
                chat.system = options.pop("system")
            reply = show(chat.start(prompt.strip("\n"), **options), chat)
            self._show_no_more_in_this_cell(reply)
            return reply

    def _show_no_more_in_this_cell(self, reply: Reply) -> None:
        """It has been shown as it came, so it is not again when it is also what the cell results in."""
        assert self.shell is not None, "the magics were registered with it"
        events = self.shell.events

        def cell_is_over(*_: Any) -> None:
            events.unregister("post_run_cell", cell_is_over)
            reply._already_shown = False

        reply._already_shown = True
        events.register("post_run_cell", cell_is_over)

    def _list(self) -> None:
        from llama_nb import loop

        models = loop.run(self.chat.stack.models.list_models())
        rows = [
            f"| {'**' if model.identifier == self.chat.model else ''}{_cell(model.identifier)}"
            f"{'** (in use)' if model.identifier == self.chat.model else ''} | {_cell(model.provider_id)} "
            f"| {self.chat.stack.status(model.identifier).phase} |"
            for model in models
        ]
        _show_markdown("\n".join(["| model | provider | state |", "| --- | --- | --- |", *rows]))

    def _status(self) -> None:
        chat = self.chat
        status = chat.status
        share = f" {status.fraction:.0%}" if status.fraction is not None else ""
        answering = ", answering" if chat.under_way else ""
        _show_markdown(
            f"**{_cell(chat.model)}**: {status.phase}{share}{answering}. {_cell(status.detail)}  \n"
            f"{len(chat.messages)} messages in this conversation."
        )

    def _use(self, model: str) -> None:
        chat = self.chat
        chat.model = chat.stack.resolve(model)

    def _reset(self) -> None:
        self.chat.reset()

    def _stop(self) -> None:
        from llama_nb.chat import stop_all

        stop_all()

    def _unload(self) -> None:
        self.chat.stack.unload(self.chat.model)

    def _help(self) -> None:
        _show_markdown(HELP)


# The sub-commands, and how many words follow each.
COMMANDS = {"list": 0, "status": 0, "use": 1, "reset": 0, "stop": 0, "unload": 0, "help": 0}


def parse_options(text: str) -> tuple[dict[str, Any], str]:
    """The options at the beginning of `text`, and the rest, verbatim.

    >>> parse_options('-T 0.5 -s "Be brief." what\\'s {this}?')
    ({'temperature': 0.5, 'system': 'Be brief.'}, "what's {this}?")
    """
    options: dict[str, Any] = {}
    while found := _OPTION.match(text):
        name, value = found[1], found[2]
        if name not in OPTIONS:
            raise UsageError(
                f"There is no option {name}. {did_you_mean(name, OPTIONS)} "
                "A question that begins with a dash stands behind ` -- `."
            )
        if value is None:
            raise UsageError(f"The option {name} needs a value.")
        options[OPTIONS[name]] = _value(name, value)
        text = text[found.end() :].removeprefix(" ")
    return options, re.sub(r"^\s*--(?:\s|$)", "", text)


def _value(name: str, value: str) -> Any:
    if value[0] in "\"'" and value[-1] == value[0] and len(value) > 1:
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    kind = NUMBERS.get(OPTIONS[name], str)
    try:
        return kind(value)
    except ValueError:
        raise UsageError(f"The option {name} takes a number, not `{value}`.") from None


def show(reply: Reply, chat: Chat) -> Reply:
    """Streams `reply` below the cell until it is complete, and gives it back."""
    view = _NotebookView(reply, chat) if _in_notebook() else _TerminalView(reply)
    try:
        view.refresh()
        while not reply._ended.wait(REFRESH_S):
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


class _NotebookView:
    """One output that is replaced as the answer grows, and ends as what is saved."""

    def __init__(self, reply: Reply, chat: Chat) -> None:
        self._reply, self._chat = reply, chat
        self._shown = ""
        self._handle: Any = None  # shown first by `refresh`, where an interrupt is caught

    def refresh(self) -> None:
        from llama_nb.chat import reply_markdown

        self._put(reply_markdown(self._reply) or self._waiting())

    def finish(self) -> None:
        from llama_nb.chat import reply_markdown

        self._put(reply_markdown(self._reply) or " ", self._metadata())

    def _waiting(self) -> str:
        status = self._chat.status
        if status.phase != "loading":
            return "*…*"
        return f"*loading {_cell(self._chat.model)}: {_cell(status.detail)} {status.fraction or 0:.0%}*"

    def _put(self, markdown: str, metadata: dict[str, Any] | None = None) -> None:
        if markdown != self._shown or metadata:
            self._shown = markdown
            show = self._handle.update if self._handle else functools.partial(display, display_id=True)
            self._handle = show(self._bundle(markdown), raw=True, metadata=metadata or {}) or self._handle

    def _bundle(self, markdown: str) -> dict[str, str]:
        return {"text/markdown": markdown, "text/plain": self._reply.text}

    def _metadata(self) -> dict[str, Any]:
        reply = self._reply
        return {
            "llama_nb": {
                "model": self._chat.model,
                "stop_reason": reply.stop_reason.value if reply.stop_reason else None,
                "stopped": reply.stopped,
                "usage": reply.usage.model_dump() if reply.usage else None,
            }
        }


class _TerminalView:
    """Text as it comes, since a terminal cannot take back what it has shown."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._written = 0

    def refresh(self) -> None:
        text = self._reply.text
        self._write(text[self._written :])
        self._written = len(text)

    def finish(self) -> None:
        from llama_nb.apis.messages import tool_name_str

        self.refresh()
        for call in self._reply.tool_calls:
            self._write(f"[tool call, not run] {tool_name_str(call.tool_name)} {call.arguments}")
        self._write("\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(_CONTROL.sub("\ufffd", text))  # a terminal obeys some of them
        sys.stdout.flush()


def _in_notebook() -> bool:
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")


def _show_markdown(text: str) -> None:
    display({"text/markdown": text, "text/plain": text}, raw=True)


def _cell(text: str) -> str:
    """`text` inside a Markdown table: safe, and on one line."""
    from llama_nb.safe_markdown import safe_markdown

    return safe_markdown(" ".join(text.split())).replace("|", "&#124;")


class _plain_errors:  # noqa: N801 - reads as a statement
    """Our own errors show as their sentence, without the way that led to them."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, LlamaError):
            error._render_traceback_ = lambda: [f"{type(error).__name__}: {error}"]  # type: ignore[attr-defined]


def rewrite_llama_lines(lines: list[str]) -> list[str]:
    """Turns `%llama …` into a call before IPython sees it.

    IPython would take a trailing `?` for a request for help, and stumble over an open quote or bracket.
    """
    if lines and lines[0].startswith("%%"):
        return lines
    rewritten: list[str] = []
    for line in lines:
        found = _MAGIC_LINE.fullmatch(line.rstrip("\n"))
        if found and not _inside_string(rewritten):
            indent, assignment, prompt = found.groups("")
            line = f"{indent}{assignment}get_ipython().run_line_magic('llama', {prompt!r})\n"
        rewritten.append(line)
    return rewritten


def _inside_string(lines: list[str]) -> bool:
    return any(found["open"] for found in _STRING.finditer("".join(lines)))


def load(shell: InteractiveShell) -> None:
    """Registers the magics with `shell`."""
    shell.register_magics(LlamaMagics)
    if rewrite_llama_lines not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(rewrite_llama_lines)


def unload(shell: InteractiveShell) -> None:
    """Takes the magics away again."""
    if rewrite_llama_lines in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(rewrite_llama_lines)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("llama", None)
