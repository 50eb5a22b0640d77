"""Custom tools → the text that offers them, as Meta published it for each format.

In JSON the published prompt gives every parameter the type `object`, whatever its type is, and so does this one; the
other two formats write `param_type`. Defaults are written in all three where there are any. Knows no messages.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llama_nb.apis.messages import ToolDefinition, ToolParamDefinition, ToolPromptFormat, tool_name_str

_PYTHON_LIST_INTRODUCTION = """\
You are an expert in composing functions. You are given a question and a set of possible functions.
Based on the question, you will need to make one or more function/tool calls to achieve the purpose.
If none of the function can be used, point it out. If the given question lacks the parameters required by the function,
also point it out. You should only return the function call in tools call sections.

If you decide to invoke any of the function(s), you MUST put it in the format of \
[func_name1(params_name1=params_value1, params_name2=params_value2...), func_name2(params)]
You SHOULD NOT include any other text in the response.

Here is a list of functions in JSON format that you can invoke.

"""
_JSON_INTRODUCTION = """\
Answer the user's question by making use of the following functions if needed.
If none of the function can be used, please say so.
Here is a list of functions in JSON format:
"""
_FUNCTION_TAG_INTRODUCTION = """\
You have access to the following functions:

"""
_FUNCTION_TAG_RULES = """\
Think very carefully before calling functions.
If you choose to call a function ONLY reply in the following format with no prefix or suffix:

<function=example_function_name>{"example_name": "example_value"}</function>

Reminder:
- If looking for real time information use relevant functions before falling back to brave_search
- Function calls MUST follow the specified format, start with <function= and end with </function>
- Required parameters MUST be specified
- Only call one function at a time
- Put the entire function call reply on one line"""


def tools_text(tools: Sequence[ToolDefinition], tool_format: ToolPromptFormat, *, required_inline: bool = False) -> str:
    """The text that offers `tools`.

    Args:
        required_inline: write the names of required parameters on one line in `python_list`, as Llama Stack did.
    """
    if tool_format is ToolPromptFormat.python_list:
        return _PYTHON_LIST_INTRODUCTION + _python_list(tools, required_inline)
    if tool_format is ToolPromptFormat.function_tag:
        return _FUNCTION_TAG_INTRODUCTION + "".join(map(_tag_tool, tools)) + _FUNCTION_TAG_RULES
    return _JSON_INTRODUCTION + "".join(map(_json_tool, tools)) + "\nReturn function calls in JSON format."


def _json_tool(tool: ToolDefinition) -> str:
    properties = [{name: _property(parameter, "object")} for name, parameter in _parameters(tool).items()]
    parameters = {"type": "object", "properties": properties, "required": _required(tool)}
    definition = {
        "name": tool_name_str(tool.tool_name),
        "description": tool.description or "",
        "parameters": parameters,
    }
    return _indented({"type": "function", "function": definition}, required_inline=True) + "\n"


def _python_list(tools: Sequence[ToolDefinition], required_inline: bool) -> str:
    return _indented([_python_list_tool(tool) for tool in tools], required_inline)


def _python_list_tool(tool: ToolDefinition) -> dict[str, Any]:
    properties = {name: _property(parameter, parameter.param_type) for name, parameter in _parameters(tool).items()}
    parameters = {"type": "dict", "required": _required(tool), "properties": properties}
    return {"name": tool_name_str(tool.tool_name), "description": tool.description or "", "parameters": parameters}


def _property(parameter: ToolParamDefinition, kind: str) -> dict[str, Any]:
    return {"type": kind, "description": parameter.description or "", **_default(parameter)}


def _tag_tool(tool: ToolDefinition) -> str:
    """A sentence, which is one line whatever the description is, and the definition on another."""
    name, description = tool_name_str(tool.tool_name), " ".join((tool.description or "").splitlines())
    purpose = f" to '{description}'" if description else ""
    parameters = {name: _tag_parameter(parameter) for name, parameter in sorted(_parameters(tool).items())}
    definition = {"name": name, "description": tool.description or "", "parameters": parameters}
    return f"Use the function '{name}'{purpose}:\n{_json(definition)}\n\n"


def _tag_parameter(parameter: ToolParamDefinition) -> dict[str, Any]:
    return {
        **_default(parameter),
        "description": parameter.description or "",
        "param_type": parameter.param_type,
        "required": bool(parameter.required),
    }


def _parameters(tool: ToolDefinition) -> dict[str, ToolParamDefinition]:
    return tool.parameters or {}


def _required(tool: ToolDefinition) -> list[str]:
    return [name for name, parameter in _parameters(tool).items() if parameter.required]


def _default(parameter: ToolParamDefinition) -> dict[str, Any]:
    return {} if parameter.default is None else {"default": parameter.default}


def _indented(value: Any, required_inline: bool, margin: str = "") -> str:
    """JSON by four spaces, but for the names of required parameters, which can stand on one line."""
    deeper = margin + "    "
    if isinstance(value, dict) and value:
        lines = [
            f"{deeper}{_json(str(key))}: {_entry(key, item, required_inline, deeper)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list) and value:
        lines = [deeper + _indented(item, required_inline, deeper) for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{margin}]"
    return _json(value)


def _entry(key: str, item: Any, required_inline: bool, margin: str) -> str:
    inline = required_inline and key == "required" and isinstance(item, list)
    return _json(item) if inline else _indented(item, required_inline, margin)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
