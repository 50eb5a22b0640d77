"""Tool calls → the text a model writes for them, such that the same calls can be read out of it again.

A search has its own form, `brave_search.call(query="…")`, and code is just code. Any other call is written in the
format in which its tool was offered. Knows nothing of prompts or tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llama_nb.apis.messages import BuiltinTool, ToolCall, ToolPromptFormat, tool_name_str


def call_text(call: ToolCall, tool_format: ToolPromptFormat = ToolPromptFormat.json) -> str:
    """One call as the model writes it.

    >>> call = ToolCall(call_id="1", tool_name="add", arguments={"a": 1, "b": None})
    >>> call_text(call)
    '{"type": "function", "name": "add", "parameters": {"a": 1, "b": null}}'
    >>> call_text(call, ToolPromptFormat.function_tag)
    '<function=add>{"a": 1, "b": null}</function>'
    >>> call_text(call, ToolPromptFormat.python_list)
    '[add(a=1, b=None)]'
    """
    return calls_text([call], tool_format)


def calls_text(calls: Sequence[ToolCall], tool_format: ToolPromptFormat = ToolPromptFormat.json) -> str:
    """All calls of one message.

    Searches stand below each other, Python calls in one list, JSON objects behind `; `, tags behind each other. What
    would be ambiguous in a form of its own (code beside another call, a search with more than a query) is written in
    `tool_format` with all the rest.
    """
    if len(calls) == 1 and _is_code(calls[0]):
        return str(calls[0].arguments["code"])
    if all(map(_is_search, calls)):
        return "\n".join(map(_search, calls))
    if tool_format is ToolPromptFormat.python_list:
        return "[" + ", ".join(map(_python_call, calls)) + "]"
    if tool_format is ToolPromptFormat.function_tag:
        return "".join(map(_tagged_call, calls))
    return "; ".join(map(_json_call, calls))


def needs_python_tag(calls: Sequence[ToolCall], tool_format: ToolPromptFormat) -> bool:
    """Whether the message's calls stand behind `<|python_tag|>`: all do but those in `<function=…>`."""
    own_form = all(map(_is_search, calls)) or (len(calls) == 1 and _is_code(calls[0]))
    return own_form or tool_format is not ToolPromptFormat.function_tag


def _is_code(call: ToolCall) -> bool:
    return (
        call.tool_name is BuiltinTool.code_interpreter
        and call.arguments.keys() == {"code"}
        and isinstance(call.arguments["code"], str)
    )


def _is_search(call: ToolCall) -> bool:
    return (
        isinstance(call.tool_name, BuiltinTool)
        and call.tool_name is not BuiltinTool.code_interpreter
        and call.arguments.keys() == {"query"}
        and isinstance(call.arguments["query"], str)
    )


def _search(call: ToolCall) -> str:
    return f"{tool_name_str(call.tool_name)}.call(query={_json(call.arguments['query'])})"


def _json_call(call: ToolCall) -> str:
    return _json({"type": "function", "name": tool_name_str(call.tool_name), "parameters": call.arguments})


def _tagged_call(call: ToolCall) -> str:
    return f"<function={tool_name_str(call.tool_name)}>{_json(call.arguments)}</function>"


def _python_call(call: ToolCall) -> str:
    arguments = ", ".join(f"{name}={_python(value)}" for name, value in call.arguments.items())
    return f"{tool_name_str(call.tool_name)}({arguments})"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _python(value: Any) -> str:
    """A Python literal, its strings in double quotes as in the published history; JSON's escapes are Python's too."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(str(key))}: {_python(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_python, value)) + "]"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    return _json(str(value))
