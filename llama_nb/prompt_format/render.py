"""Messages and tools → the dialog as a Llama is to read it, still as text.

The layout is that of Meta's published prompt formats (llama-models, `llama3_1/prompt_format.md`); where it differs
from Llama Stack's, the published one holds. Control tokens are not written here: a `Turn` says which it needs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from llama_nb.apis.messages import (
    BuiltinTool,
    ImageMedia,
    InterleavedTextMedia,
    Message,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolDefinition,
    ToolResponseMessage,
    UserMessage,
    tool_name_str,
)
from llama_nb.errors import NotSupported
from llama_nb.prompt_format.encode import Turn
from llama_nb.prompt_format.text import well_formed

MONTHS = (
    "January February March April May June July August September October November December".split()  # no locale
)


def render(messages: Sequence[Message], tools: Sequence[ToolDefinition] = (), *, today: date) -> list[Turn]:
    """The dialog in the layout of Llama 3.1; `tools` are offered as JSON in a user message of their own.

    >>> render([UserMessage(content="hi")], today=date(2024, 9, 21))
    [Turn(role='user', text='hi', call=None, end_of_message=False)]
    """
    return [_well_formed(turn) for turn in _layout(messages, tools, today)]


def _well_formed(turn: Turn) -> Turn:
    call = None if turn.call is None else well_formed(turn.call)
    return Turn(turn.role, well_formed(turn.text), call, turn.end_of_message)


def _layout(messages: Sequence[Message], tools: Sequence[ToolDefinition], today: date) -> list[Turn]:
    system, rest = _split_system(messages)
    if not tools:
        head = [Turn("system", system)] if system is not None else []
        return head + [_turn(message) for message in rest]
    custom = [tool for tool in tools if not isinstance(tool.tool_name, BuiltinTool)]
    head = [Turn("system", _system_with_tools(system, tools, today))]
    if custom:
        head.append(Turn("user", _json_tools(custom)))
    return head + [_turn(message) for message in rest]


def _split_system(messages: Sequence[Message]) -> tuple[str | None, Sequence[Message]]:
    if messages and isinstance(messages[0], SystemMessage):
        return _text(messages[0].content), messages[1:]
    return None, messages


def _turn(message: Message) -> Turn:
    if isinstance(message, UserMessage):
        context = "" if message.context is None else "\n\n" + _text(message.context)
        return Turn("user", _text(message.content) + context)
    if isinstance(message, SystemMessage):
        return Turn("system", _text(message.content))
    if isinstance(message, ToolResponseMessage):
        return Turn("ipython", _text(message.content))
    call = "".join(call_text(call) for call in message.tool_calls) if message.tool_calls else None
    return Turn("assistant", _text(message.content), call, message.stop_reason is StopReason.end_of_message)


def _text(content: InterleavedTextMedia) -> str:
    items = content if isinstance(content, list) else [content]
    if any(isinstance(item, ImageMedia) for item in items):
        raise NotSupported("This message holds an image; llama_nb reads text only. Describe the image in words.")
    return " ".join(str(item) for item in items)


def call_text(call: ToolCall) -> str:
    """A tool call as the model writes it, behind `<|python_tag|>`.

    >>> call_text(ToolCall(call_id="1", tool_name="add", arguments={"a": 1}))
    '{"type": "function", "name": "add", "parameters": {"a": 1}}'
    """
    if call.tool_name is BuiltinTool.code_interpreter:
        return str(call.arguments.get("code", ""))
    if isinstance(call.tool_name, BuiltinTool):
        query = json.dumps(str(call.arguments.get("query", "")), ensure_ascii=False)
        return f"{call.tool_name.value}.call(query={query})"
    return json.dumps({"type": "function", "name": call.tool_name, "parameters": call.arguments}, ensure_ascii=False)


def _system_with_tools(system: str | None, tools: Sequence[ToolDefinition], today: date) -> str:
    named = [
        tool_name_str(tool.tool_name)
        for tool in tools
        if isinstance(tool.tool_name, BuiltinTool) and tool.tool_name is not BuiltinTool.code_interpreter
    ]
    # The published prompts have a `Tools:` line, or an empty one in its place.
    tools_line = f"Tools: {', '.join(named)}" if named else ""
    lines = [
        "Environment: ipython",
        tools_line,
        "Cutting Knowledge Date: December 2023",
        f"Today Date: {today.day:02d} {MONTHS[today.month - 1]} {today.year}",
        "",
    ]
    if system:
        lines += [system, ""]
    return "\n".join(lines)


def _json_tools(tools: Sequence[ToolDefinition]) -> str:
    return (
        "Answer the user's question by making use of the following functions if needed.\n"
        "If none of the function can be used, please say so.\n"
        "Here is a list of functions in JSON format:\n"
        + "".join(_json_tool(tool) + "\n" for tool in tools)
        + "\nReturn function calls in JSON format."
    )


def _json_tool(tool: ToolDefinition) -> str:
    parameters = tool.parameters or {}
    properties = [
        {name: {"type": "object", "description": parameter.description or ""}} for name, parameter in parameters.items()
    ]
    required = [name for name, parameter in parameters.items() if parameter.required]
    schema = {
        "type": "function",
        "function": {
            "name": tool_name_str(tool.tool_name),
            "description": tool.description or "",
            "parameters": {"type": "object", "properties": properties, "required": "REQUIRED"},
        },
    }
    # The published block writes the list of required names on one line and all else indented.
    text = json.dumps(schema, indent=4, ensure_ascii=False)
    head, _, tail = text.rpartition('"REQUIRED"')
    return head + json.dumps(required, ensure_ascii=False) + tail
