"""Messages and tools → the dialog as a Llama is to read it, still as text.

The layout is the one in Meta's published prompt formats (llama-models' documents for Llama 3.1 and 3.2), byte for
byte; what they leave open is decided here and said where it is. Llama Stack's own layout is there for comparison.
Control tokens are not written here: a `Turn` says which it needs. Nothing that is given is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal, NamedTuple, get_args

from llama_nb.apis.messages import (
    BuiltinTool,
    CompletionMessage,
    ImageMedia,
    InterleavedTextMedia,
    Message,
    StopReason,
    SystemMessage,
    ToolChoice,
    ToolDefinition,
    ToolPromptFormat,
    ToolResponseMessage,
    UserMessage,
    tool_name_str,
)
from llama_nb.errors import BadRequest, NotSupported, did_you_mean
from llama_nb.prompt_format.call_text import call_text, calls_text, needs_python_tag
from llama_nb.prompt_format.encode import Turn
from llama_nb.prompt_format.family import Family, tool_format_of
from llama_nb.prompt_format.text import well_formed
from llama_nb.prompt_format.tool_text import tools_text

__all__ = ["Layout", "call_text", "offered_tools", "render", "text_of"]

Layout = Literal["published", "llama_stack"]

MONTHS = (
    "January February March April May June July August September October November December".split()  # no locale
)


class _Prompt(NamedTuple):
    """What the head of a dialog is made of; `system` is "" where nobody gave one."""

    system: str
    searches: list[str]
    builtin: list[ToolDefinition]
    custom: list[ToolDefinition]
    family: Family
    tool_format: ToolPromptFormat
    today: date | None

    @property
    def tools_in_system(self) -> bool:
        return bool(self.custom) and self.tool_format is ToolPromptFormat.python_list


def render(
    messages: Sequence[Message],
    tools: Sequence[ToolDefinition] = (),
    *,
    today: date | None,
    family: Family = Family.llama3_1,
    tool_prompt_format: ToolPromptFormat | None = None,
    tool_choice: ToolChoice | str | None = ToolChoice.auto,
    layout: Layout = "published",
) -> list[Turn]:
    """The dialog, laid out for `family`.

    Args:
        today: the date that prompts with tools tell; None leaves date and knowledge cutoff out.
        tool_prompt_format: how custom tools are offered and calls are written; None is the family's own format.
        tool_choice: with `none` no tool is offered. That a tool is called is for the grammar to see to: the prompt
            is the same.
        layout: `llama_stack` places things as Llama Stack (October 2024) did. Its defects are not repeated: what
            raised there, or lost text, is as in `published`.

    >>> render([UserMessage(content="hi")], today=date(2024, 9, 21))
    [Turn(role='user', text='hi', call=None, end_of_message=False, tagged=True)]

    Raises:
        NotSupported: tools for a family that cannot call any; an image.
        BadRequest: a format that the family does not know, a choice that was not offered, an unknown layout.
    """
    if layout not in get_args(Layout):
        raise BadRequest(f"prompt layout `{layout}` is unknown. {did_you_mean(str(layout), get_args(Layout))}")
    offered = offered_tools(tools, tool_choice)
    tool_format = _tool_format(family, offered, tool_prompt_format)
    system, rest = _split_system(messages, "\n" if layout == "llama_stack" else " ")
    prompt = _prompt(system, offered, family, tool_format, today)
    if layout == "llama_stack":
        turns = _stack_head(prompt) + [_stack_turn(message, tool_format) for message in rest]
    else:
        turns = _head(prompt) + [_turn(message, tool_format) for message in rest]
    return [_well_formed(turn) for turn in turns]


def offered_tools(tools: Sequence[ToolDefinition], choice: ToolChoice | str | None) -> list[ToolDefinition]:
    """The tools that a model is told of, given what it may choose.

    >>> offered_tools([ToolDefinition(tool_name="add")], ToolChoice.none)
    []

    Raises:
        BadRequest: a tool has to be called, and none or no such tool is offered.
    """
    choice = ToolChoice.auto if choice is None else choice
    if isinstance(choice, str) and choice in ToolChoice.__members__:
        choice = ToolChoice(choice)
    if choice is ToolChoice.none:
        return []
    if choice is ToolChoice.required and not tools:
        raise BadRequest("tool_choice is `required`, and no tools are offered. Offer one, or use `auto`.")
    names = [tool_name_str(tool.tool_name) for tool in tools]
    if not isinstance(choice, ToolChoice) and tool_name_str(choice) not in names:
        known = did_you_mean(tool_name_str(choice), names) if names else "No tool is."
        raise BadRequest(f"tool_choice names `{tool_name_str(choice)}`, which is not offered. {known}")
    return list(tools)


def text_of(content: InterleavedTextMedia, separator: str = " ") -> str:
    """The text of some content, its items joined.

    Raises:
        NotSupported: it holds an image.
    """
    items = content if isinstance(content, list) else [content]
    if any(isinstance(item, ImageMedia) for item in items):
        raise NotSupported("This message holds an image; llama_nb reads text only. Describe the image in words.")
    return separator.join(str(item) for item in items)


def _tool_format(family: Family, offered: list[ToolDefinition], asked: ToolPromptFormat | None) -> ToolPromptFormat:
    """Only custom tools are offered in a format; without any, an unknown one does no harm to earlier calls."""
    if any(not isinstance(tool.tool_name, BuiltinTool) for tool in offered):
        return tool_format_of(family, asked)
    own = tool_format_of(family) if offered else family.default_tool_format or ToolPromptFormat.json
    return asked if asked in family.tool_formats else own


def _split_system(messages: Sequence[Message], separator: str) -> tuple[str, Sequence[Message]]:
    if messages and isinstance(messages[0], SystemMessage):
        return text_of(messages[0].content, separator), messages[1:]
    return "", messages


def _prompt(
    system: str, tools: list[ToolDefinition], family: Family, tool_format: ToolPromptFormat, today: date | None
) -> _Prompt:
    builtin = [tool for tool in tools if isinstance(tool.tool_name, BuiltinTool)]
    custom = [tool for tool in tools if not isinstance(tool.tool_name, BuiltinTool)]
    names = [tool_name_str(tool.tool_name) for tool in builtin]
    searches = [name for name in names if name != BuiltinTool.code_interpreter.value]
    return _Prompt(system, searches, builtin, custom, family, tool_format, today)


def _well_formed(turn: Turn) -> Turn:
    call = None if turn.call is None else well_formed(turn.call)
    return Turn(turn.role, well_formed(turn.text), call, turn.end_of_message, turn.tagged)


# The published layout -------------------------------------------------------------------------------------------------


def _head(prompt: _Prompt) -> list[Turn]:
    """The system message, and the user message that offers custom tools.

    With `python_list` the tools stand in the system message, before what the caller wrote there, and switch on no
    environment. In the other formats they have a user message of their own, in an environment.
    """
    instruction = prompt.system
    if prompt.tools_in_system:
        offer = tools_text(prompt.custom, prompt.tool_format)
        instruction = f"{offer}\n{instruction}" if instruction else offer
    offer_turns = []
    if prompt.custom and not prompt.tools_in_system:
        offer_turns = [Turn("user", tools_text(prompt.custom, prompt.tool_format))]
    if prompt.builtin or offer_turns:
        instruction = _environment(prompt, instruction)
    return ([Turn("system", instruction)] if instruction else []) + offer_turns


def _environment(prompt: _Prompt, instruction: str) -> str:
    lines = ["Environment: ipython"]
    if prompt.searches:
        lines.append(f"Tools: {', '.join(prompt.searches)}")
    if prompt.today is not None and _is_dated(prompt, instruction):
        # The published prompts have a `Tools:` line, or an empty one in its place.
        lines += [""] * (not prompt.searches) + _date_lines(prompt.today) + [""]
        lines += [instruction, ""] if instruction else []
    elif instruction:
        lines += ["", instruction, ""]
    elif prompt.searches:
        lines += [""]
    return "\n".join(lines)


def _is_dated(prompt: _Prompt, instruction: str) -> bool:
    """Whether the date is told: built-in tools alone, without a word of the caller's, are published with it for
    Llama 3.2, and without it for all others.
    """
    return prompt.family is Family.llama3_2 or bool(prompt.custom) or bool(instruction)


def _date_lines(today: date) -> list[str]:
    return [
        "Cutting Knowledge Date: December 2023",
        f"Today Date: {today.day:02d} {MONTHS[today.month - 1]} {today.year}",
    ]


def _turn(message: Message, tool_format: ToolPromptFormat) -> Turn:
    if isinstance(message, UserMessage):
        context = "" if message.context is None else "\n\n" + text_of(message.context)
        return Turn("user", text_of(message.content) + context)
    if isinstance(message, SystemMessage):
        return Turn("system", text_of(message.content))
    if isinstance(message, ToolResponseMessage):
        return Turn("ipython", text_of(message.content))
    return _answer(message, tool_format)


def _answer(message: CompletionMessage, tool_format: ToolPromptFormat) -> Turn:
    text, end_of_message = text_of(message.content), message.stop_reason is StopReason.end_of_message
    if not message.tool_calls:
        return Turn("assistant", text, None, end_of_message)
    tagged = needs_python_tag(message.tool_calls, tool_format)
    return Turn("assistant", text, calls_text(message.tool_calls, tool_format), end_of_message, tagged)


# Llama Stack's layout -------------------------------------------------------------------------------------------------


def _stack_head(prompt: _Prompt) -> list[Turn]:
    if not prompt.family.tool_formats:
        return [Turn("system", prompt.system)] if prompt.system else []
    if prompt.tool_format is ToolPromptFormat.python_list:
        return _stack_system_of_3_2(prompt)
    return _stack_head_of_3_1(prompt)


def _stack_head_of_3_1(prompt: _Prompt) -> list[Turn]:
    """Environment and date, the date in every dialog, and the caller's words right below."""
    lines = _stack_environment(prompt) if prompt.builtin or prompt.custom else []
    lines += _date_lines(prompt.today) if prompt.today is not None else []
    lines += [prompt.system] if prompt.system else []
    head = [Turn("system", "\n".join(lines))] if lines else []
    custom = list(map(_without_defaults, prompt.custom))
    return head + ([Turn("user", tools_text(custom, prompt.tool_format))] if custom else [])


def _stack_system_of_3_2(prompt: _Prompt) -> list[Turn]:
    """No date at all, and a line break behind the tools."""
    lines = _stack_environment(prompt) if prompt.builtin else []
    lines += [tools_text(prompt.custom, prompt.tool_format, required_inline=True)] if prompt.custom else []
    text = "\n".join([*lines, prompt.system])
    return [Turn("system", text)] if text else []


def _stack_environment(prompt: _Prompt) -> list[str]:
    return ["Environment: ipython", f"Tools: {', '.join(prompt.searches)}" if prompt.searches else ""]


def _without_defaults(tool: ToolDefinition) -> ToolDefinition:
    parameters = {
        name: parameter.model_copy(update={"default": None}) for name, parameter in (tool.parameters or {}).items()
    }
    return tool.model_copy(update={"parameters": parameters})


def _stack_turn(message: Message, tool_format: ToolPromptFormat) -> Turn:
    """Text beside a call stands behind the tag, with the call; the items of a list are not separated."""
    if not isinstance(message, CompletionMessage):
        return _turn(message, tool_format)
    text, end_of_message = text_of(message.content, ""), message.stop_reason is StopReason.end_of_message
    if not message.tool_calls:
        return Turn("assistant", text, None, end_of_message)
    return Turn("assistant", "", text + calls_text(message.tool_calls, tool_format), end_of_message)
