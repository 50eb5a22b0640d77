"""`%llama` and `%%llama`: a question as a magic, its answer below the cell.

Knows IPython; of the conversation only its public face. The magics block until the answer is complete, so Run All
means what it says, and wait in slices, so that ■ is instant; `--bg` alone returns at once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from llama_nb.errors import LlamaError, did_you_mean
from llama_nb.failures import Failures
from llama_nb.interpolation import interpolate
from llama_nb.magic_line import HELP, OPTIONS, WrongOption, parse_options, rewrite_llama_lines
from llama_nb.views import Form, cell_text, show, show_in_background, show_markdown, view_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from llama_nb.chat import Chat, Reply
    from llama_nb.engine.client import Status
    from llama_nb.stack import Stack

DEFAULT_CHAT = "default"
BUILT_IN_TOOLS: dict[str, tuple[str, dict[str, str]]] = {  # the function of `tools` that makes it, and its options
    "brave_search": ("brave_search", {}),
    "wolfram_alpha": ("wolfram_alpha", {}),
    "code_interpreter": ("code_interpreter", {"where": "notebook"}),
    "code_interpreter:process": ("code_interpreter", {"where": "process"}),
}
# The sub-commands, and how many words follow each. `error` is what jupyter-ai once called `fix`.
COMMANDS = {
    "list": 0,
    "status": 0,
    "context": 0,
    "chats": 0,
    "use": 1,
    "export": 1,
    "reset": 0,
    "stop": 0,
    "unload": 0,
    "help": 0,
}
FIX = ("fix", "error")


@magics_class
class LlamaMagics(Magics):
    """The magics, and the conversations that they share."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.failures = Failures(partial(_name_of_file, shell))
        self._conversations: dict[str, Chat] = {}
        self._name = DEFAULT_CHAT  # of the current one
        self._stack: Stack | None = None

    @property
    def chat(self) -> Chat:
        """The conversation that questions go to; the first use begins it."""
        return self._conversations.setdefault(self._name, self._conversation(self._name))

    def _conversation(self, name: str) -> Chat:
        """That of this name; a new one, not kept yet, goes on with the current one's model."""
        from llama_nb import stack
        from llama_nb.chat import Chat

        if self._stack is not stack.current():  # `configure` was called
            self._stack = stack.current()
            self._conversations.clear()
        current = self._conversations.get(self._name)
        return self._conversations.get(name) or Chat(current.model if current else None)

    @no_var_expand
    @line_magic
    def llama(self, line: str) -> Reply | None:
        """Ask a Llama: %llama why is the sky blue?   (%llama help)"""
        words = line.split()
        if not words:
            self._help()
            return None
        if words[0] in COMMANDS and len(words) == 1 + COMMANDS[words[0]]:
            with _plain_errors():
                getattr(self, f"_{words[0]}")(*words[1:])
            return None
        options, prompt = _parsed(line)
        wanted = fix_options(prompt)
        return self._ask(options, prompt) if wanted is None else self._fix(options | wanted)

    @no_var_expand
    @cell_magic("llama")  # type: ignore[arg-type]
    def llama_cell(self, line: str, cell: str) -> Reply | None:
        """Ask a Llama with a whole cell: %%llama [options]"""
        options, first = _parsed(line)
        prompt = f"{first}\n{cell}" if first.strip() else cell
        if options.get("raw"):
            return self._ask(options, prompt)
        filled = interpolate(prompt, self._names())
        return self._ask(options, filled.text, _notes(filled.put_in, filled.left))

    def _ask(self, options: dict[str, Any], prompt: str, notes: Sequence[str] = ()) -> Reply | None:
        prompt = prompt.strip("\n")
        background, _ = options.pop("background", False), options.pop("raw", False)
        form = self._form(options.pop("format", "md"), background, notes)
        if not prompt.strip() and not _stand_alone(options):
            raise UsageError("There is no question behind the options. Write it on the same line, or use %%llama.")
        with _plain_errors():
            chat = self._prepare(options)
            if not prompt.strip():
                self._status()
                return None
            reply = chat.start(prompt, **options)
            view = view_of(reply, chat, form)
            if background:
                show_in_background(reply, chat, view)
            else:
                show(reply, view)
            self._show_no_more_in_this_cell(reply)
            return reply

    def _prepare(self, options: dict[str, Any]) -> Chat:
        """Takes what holds from now on out of `options`; when something of it is wrong, all stays as it was."""
        tools = [self._tool(name) for name in options.pop("tools", [])]
        name = options.pop("chat", self._name)
        chat = self._conversation(name)
        model = chat.stack.resolve(options.pop("model", chat.model))
        self._name, self._conversations[name], chat.model = name, chat, model
        if "system" in options:
            chat.system = options.pop("system")
        for tool in tools:
            if tool is None:
                chat.tools = []
            else:
                chat.register_tool(tool)
        return chat

    def _tool(self, name: str) -> Any:
        """The tool of that name; None stands for `none`."""
        from llama_nb import tools

        if name == "none":
            return None
        root, *attributes = name.split(".")
        names = self._names()
        if root in names:
            thing = names[root]
            for attribute in attributes:
                thing = getattr(thing, attribute, None)
            if thing is None:
                raise UsageError(f"`{name}` is no tool: there is no such attribute.")
            try:
                return tools.as_tool(thing)
            except (TypeError, ValueError) as error:
                raise UsageError(f"`{name}` cannot be offered as a tool: {error}") from error
        if name in BUILT_IN_TOOLS:
            function, options = BUILT_IN_TOOLS[name]
            return getattr(tools, function)(**options)
        functions = [known for known, value in names.items() if callable(value) and not known.startswith("_")]
        raise UsageError(f"There is no tool `{name}`. {did_you_mean(name, [*BUILT_IN_TOOLS, *functions, 'none'])}")

    def _form(self, name: str, background: bool, notes: Sequence[str]) -> Form:
        if name != "code":
            return Form(name, notes=notes)
        if background:
            raise UsageError("`-f code` puts a new cell below the one that runs, so it cannot be had with `--bg`.")
        assert self.shell is not None, "the magics were registered with it"
        return Form(name, insert=partial(self.shell.set_next_input, replace=False), notes=notes)

    def _names(self) -> dict[str, Any]:
        """What a question may name: the user's own, and the history of the cells."""
        assert self.shell is not None, "the magics were registered with it"
        own, hidden = self.shell.user_ns, self.shell.user_ns_hidden
        names = {name: value for name, value in own.items() if not (name in hidden and hidden[name] is value)}
        histories = {name: own[name] for name in ("In", "Out") if name in own}
        return names | histories | {"Err": self.failures.by_number}

    def _fix(self, options: dict[str, Any]) -> Reply | None:
        failure = self.failures.last
        if failure is None:
            show_markdown("No cell has failed since llama_nb was loaded.")
            return None
        cell = "a cell" if failure.number is None else f"cell {failure.number}"
        return self._ask(options, failure.question, [f"put in: the code and the error of {cell}"])

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
            f"| {_marked(model.identifier, model.identifier == self.chat.model)} | {cell_text(model.provider_id)} "
            f"| {self.chat.stack.status(model.identifier).phase} |"
            for model in models
        ]
        show_markdown("\n".join(["| model | provider | state |", "| --- | --- | --- |", *rows]))

    def _chats(self) -> None:
        _ = self.chat  # begun by now
        rows = [
            f"| {_marked(name, name == self._name)} | {cell_text(chat.model)} | {len(chat.messages)} "
            f"| {cell_text(_tool_names(chat))} |"
            for name, chat in self._conversations.items()
        ]
        show_markdown("\n".join(["| conversation | model | messages | tools |", "| --- | --- | --- | --- |", *rows]))

    def _status(self) -> None:
        chat = self.chat
        status = chat.status
        share = f" {status.fraction:.0%}" if status.fraction is not None else ""
        answering = ", answering" if chat.under_way else ""
        named = "" if self._name == DEFAULT_CHAT else f" **{cell_text(self._name)}**"
        offered = f" Tools: {cell_text(_tool_names(chat))}." if chat.tools else ""
        detail = cell_text(status.detail) + _load(status)
        show_markdown(
            f"**{cell_text(chat.model)}**: {status.phase}{share}{answering}. {detail}  \n"
            f"{len(chat.messages)} messages in this conversation{named}.{offered}"
        )

    def _context(self) -> None:
        chat = self.chat
        count = chat.count_tokens()
        used, limit = count.prompt_tokens, count.max_seq_len
        show_markdown(
            f"This conversation has {used:,} tokens, {used / limit:.0%} of the {limit:,} that "
            f"**{cell_text(chat.model)}** takes; {max(0, limit - used):,} are left for the next question and answer."
        )

    def _use(self, model: str) -> None:
        chat = self.chat
        chat.model = chat.stack.resolve(model)

    def _export(self, path: str) -> None:
        path = os.path.expanduser(path)  # as a shell would
        self.chat.export(path)
        show_markdown(f"This conversation is now in `{cell_text(path)}`.")

    def _reset(self) -> None:
        self.chat.reset()

    def _stop(self) -> None:
        from llama_nb.chat import stop_all

        stop_all()

    def _unload(self) -> None:
        self.chat.stack.unload(self.chat.model)

    def _help(self) -> None:
        show_markdown(HELP)


def _parsed(text: str) -> tuple[dict[str, Any], str]:
    try:
        return parse_options(text)
    except WrongOption as error:
        raise UsageError(str(error)) from None


def fix_options(prompt: str) -> dict[str, Any] | None:
    """The options behind a `fix` that stands alone; None if `prompt` is a question.

    >>> fix_options("fix"), fix_options("fix -f code"), fix_options("fix my bike")
    ({}, {'format': 'code'}, None)

    Raises:
        UsageError: nothing but an option stands behind it, and that cannot be meant.
    """
    word, _, rest = prompt.strip().partition(" ")
    if word not in FIX:
        return None
    try:
        options, rest = parse_options(rest)
    except WrongOption as error:
        option, *values = rest.split()
        if option in OPTIONS and len(values) < 2:
            raise UsageError(str(error)) from None
        return None
    return None if rest.strip() else options


def _stand_alone(options: dict[str, Any]) -> bool:
    """Whether these make sense without a question: to go to a conversation, or to offer tools."""
    return bool(options.keys() & {"chat", "tools"}) and options.keys() <= {"chat", "tools", "model", "system"}


def _notes(put_in: Sequence[str], left: Sequence[str]) -> list[str]:
    return [
        *([f"put in: {', '.join(put_in)}"] if put_in else []),
        *([f"left as it stands: {', '.join(left)}"] if left else []),
    ]


def _marked(name: str, current: bool) -> str:
    return f"**{cell_text(name)}** (in use)" if current else cell_text(name)


def _load(status: Status) -> str:
    """How many requests a generator takes at once, how many wait, and what their conversations may occupy."""
    if not status.max_batch_size or not status.cache_bytes:
        return ""
    waiting = f", {status.waiting} waiting" if status.waiting else ""
    memory = f"{status.cache_bytes / 2**20:,.0f} MiB"
    return f", up to {status.max_batch_size} answers at once{waiting}, up to {memory} of conversations in memory"


def _tool_names(chat: Chat) -> str:
    return ", ".join(tool.name for tool in chat.tools)


def _name_of_file(shell: InteractiveShell, filename: str) -> str:
    """A cell's code stands in a file with a name that says nothing."""
    name = shell.compile.format_code_name(filename)
    return " ".join(name) if name else filename


class _plain_errors:  # noqa: N801 - reads as a statement
    """Our own errors show as their sentence, without the way that led to them."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, LlamaError):
            error._render_traceback_ = lambda: [f"{type(error).__name__}: {error}"]  # type: ignore[attr-defined]


def load(shell: InteractiveShell) -> None:
    """Registers the magics with `shell`."""
    magics = LlamaMagics(shell)
    shell.register_magics(magics)
    shell.events.register("post_run_cell", magics.failures.post_run_cell)
    if rewrite_llama_lines not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(rewrite_llama_lines)


def unload(shell: InteractiveShell) -> None:
    """Takes the magics away again."""
    if rewrite_llama_lines in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(rewrite_llama_lines)
    magics = shell.magics_manager.registry.pop(LlamaMagics.__name__, None)
    if isinstance(magics, LlamaMagics):
        shell.events.unregister("post_run_cell", magics.failures.post_run_cell)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("llama", None)
