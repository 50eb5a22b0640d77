"""What an answer is asked to be → the grammar that it is held to: a form of the user's choice, or a tool call.

A call is written in the form in which its tool was offered, with the types of its parameters where they are known.
What no answer could be held to is refused here, before anything runs. Knows nothing of tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llama_nb.apis import inference
from llama_nb.apis.inference import (
    ChoiceResponseFormat,
    GrammarResponseFormat,
    JsonSchemaResponseFormat,
    RegexResponseFormat,
)
from llama_nb.apis.messages import (
    BuiltinTool,
    ToolCall,
    ToolChoice,
    ToolDefinition,
    ToolPromptFormat,
    tool_name_str,
)
from llama_nb.errors import BadRequest
from llama_nb.prompt_format import schemas
from llama_nb.prompt_format.call_text import call_text
from llama_nb.prompt_format.calls import Call, read_calls
from llama_nb.prompt_format.family import Family, tool_format_of
from llama_nb.prompt_format.grammar import JSON_STYLE, Grammar, Guide, refusal

MOST_CALLS = 8  # of a list that must be one: a small model would go on and on

# The whole numbers that every reader of JSON gets right; beyond them, too, a small model would go on and on.
_INTEGER = {"type": "integer", "minimum": -(2**53) + 1, "maximum": 2**53 - 1}
_TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "string": {"type": "string"},
    "int": _INTEGER,
    "integer": _INTEGER,
    "float": {"type": "number"},
    "number": {"type": "number"},
    "double": {"type": "number"},
    "bool": {"type": "boolean"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array"},
    "array": {"type": "array"},
    "tuple": {"type": "array"},
    "dict": {"type": "object"},
    "object": {"type": "object"},
    "none": {"type": "null"},
    "null": {"type": "null"},
}
_OF_ITEMS = re.compile(r"(?:list|array|tuple)\[([^,\[\]]+)(?:, *\.\.\.)?\]")
# Values as Python writes them; strings have no line breaks, and only escapes that JSON has, too.
_PYTHON_VALUES = r"""
py_value: py_string | py_number | py_bool | py_none | py_list | py_dict
py_string: /"([^"\\\x00-\x1f]|\\["\\nrt])*"/ | /'([^'\\\x00-\x1f]|\\['\\nrt])*'/
py_integer: /-?(0|[1-9][0-9]{0,17})/
py_number: /-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][-+]?[0-9]{1,2})?/
py_bool: "True" | "False"
py_none: "None"
py_list: "[" (py_value (", " py_value)*)? "]"
py_dict: "{" (py_string ": " py_value (", " py_string ": " py_value)*)? "}"
"""
_PYTHON_TYPES = {
    "string": "py_string",
    "integer": "py_integer",
    "number": "py_number",
    "boolean": "py_bool",
    "array": "py_list",
    "object": "py_dict",
    "null": "py_none",
}

ResponseFormat = JsonSchemaResponseFormat | RegexResponseFormat | ChoiceResponseFormat | GrammarResponseFormat


def response_grammar(response_format: ResponseFormat | Mapping[str, Any]) -> Grammar:
    """The grammar of an answer in that form, which may be given as the dict that JSON has of it.

    Raises:
        BadRequest: no answer can be held to it; with the reason.

    >>> response_grammar(ChoiceResponseFormat(choices=["yes", "no"]))
    Grammar(kind='lark', text='start: "yes" | "no"')
    """
    response_format = response_format_of(response_format)
    if isinstance(response_format, JsonSchemaResponseFormat):
        schemas.check(response_format.json_schema)
        grammar = Grammar("json_schema", json.dumps(schemas.readable(schemas.closed(response_format.json_schema))))
    elif isinstance(response_format, RegexResponseFormat):
        grammar = Grammar("regex", schemas.plain_digits(response_format.regex))
    elif isinstance(response_format, ChoiceResponseFormat):
        if "" in response_format.choices:
            raise BadRequest("response_format.choices holds an empty text, which is no answer. Leave it out.")
        grammar = Grammar("lark", "start: " + " | ".join(map(_literal, response_format.choices)))
    else:
        grammar = Grammar("lark", response_format.grammar)
    _require_sound(grammar)
    return grammar


def response_format_of(given: ResponseFormat | Mapping[str, Any]) -> ResponseFormat:
    """A response format, also from the dict that JSON has of it.

    Raises:
        BadRequest: it is none; with the reason.
    """
    try:
        read: ResponseFormat = TypeAdapter(inference.ResponseFormat).validate_python(given)
    except ValidationError as error:
        known = "json_schema, regex, choice, grammar"
        raise BadRequest(f"response_format cannot be used: {error}\nIts `type` is one of {known}.") from error
    return read


def required_tools(offered: Sequence[ToolDefinition], tool_choice: ToolChoice | str | None) -> Sequence[ToolDefinition]:
    """Those of the offered tools of which one must be called; none when nothing must.

    >>> required_tools([ToolDefinition(tool_name="add"), ToolDefinition(tool_name="sub")], "add")[0].tool_name
    'add'
    """
    if tool_choice in (ToolChoice.required, ToolChoice.required.value):
        return offered
    if tool_choice is None or isinstance(tool_choice, ToolChoice) or tool_choice in ToolChoice.__members__:
        return ()
    return [tool for tool in offered if tool_name_str(tool.tool_name) == tool_name_str(tool_choice)]


def call_guide(
    tools: Sequence[ToolDefinition], family: Family, tool_prompt_format: ToolPromptFormat | None = None
) -> Guide | None:
    """What a message is held to that begins to call one of `tools`: names and arguments are then those of a tool.

    None where that would hold it to nothing (code may be any text), or where a tool cannot be written as a grammar.

    >>> add = ToolDefinition(tool_name="add", parameters={})
    >>> call_guide([add], Family.llama3_1, ToolPromptFormat.function_tag).openings
    ['<function=']
    """
    if any(tool.tool_name is BuiltinTool.code_interpreter for tool in tools):
        return None
    names = [tool_name_str(tool.tool_name) for tool in tools if not isinstance(tool.tool_name, BuiltinTool)]
    openings: list[str] = []
    if names:
        tool_format = tool_format_of(family, tool_prompt_format)
        if tool_format is ToolPromptFormat.function_tag:
            openings = ["<function="]
        elif tool_format is ToolPromptFormat.python_list:
            openings = [f"[{name}(" for name in names]
    try:
        return Guide(call_grammar(tools, family, tool_prompt_format, several=True), openings)
    except BadRequest:  # nobody has asked for it: the call is as free as it was
        return None


def call_grammar(
    tools: Sequence[ToolDefinition],
    family: Family,
    tool_prompt_format: ToolPromptFormat | None = None,
    *,
    several: bool = False,
) -> Grammar:
    """The grammar of a message that calls one of `tools`, in the form of `family`.

    In the form of a Python list it may be several calls, and with `several` in JSON, too. Built-in tools have forms of
    their own, the same everywhere.

    Raises:
        BadRequest: a call would not be understood, because of its tool's name or a parameter's.

    >>> add = ToolDefinition(tool_name="add", parameters={})
    >>> call_grammar([add], Family.llama3_2).text.splitlines()[0]
    'start: "[" py_call (", " py_call){0,7} "]"'
    """
    custom = [tool for tool in tools if not isinstance(tool.tool_name, BuiltinTool)]
    tool_format = tool_format_of(family, tool_prompt_format if custom else None)
    for tool in custom:
        _require_readable(tool, tool_format)
    tagged = [_builtin(tool.tool_name) for tool in tools if isinstance(tool.tool_name, BuiltinTool)]
    plain: list[str] = []
    rules = ""
    if custom and tool_format is ToolPromptFormat.json:
        tagged.append("json_call" + (f' ("; " json_call){{0,{MOST_CALLS - 1}}}' if several else ""))
        rules = "\njson_call: " + _json({"anyOf": [_json_call(tool) for tool in custom]})
    elif custom and tool_format is ToolPromptFormat.function_tag:
        plain += [_tag_call(tool) for tool in custom]
    elif custom:
        more = f' (", " py_call){{0,{MOST_CALLS - 1}}}'
        plain.append(f'"[" py_call{more} "]"')
        rules += "\npy_call: " + " | ".join(map(_python_call, custom)) + _PYTHON_VALUES
    if tagged:
        plain.append(f"<|python_tag|> ({' | '.join(tagged)}) <|eom_id|>")
    grammar = Grammar("lark", "start: " + " | ".join(plain) + rules)
    _require_sound(grammar)
    return grammar


def _require_readable(tool: ToolDefinition, tool_format: ToolPromptFormat) -> None:
    """JSON can hold any name, the other forms cannot: `[my tool(a=1)]` is read as no call."""
    meant = Call(tool_name_str(tool.tool_name), dict.fromkeys(tool.parameters or {}))
    call = ToolCall(call_id="", tool_name=meant.name, arguments=meant.arguments)
    if read_calls(call_text(call, tool_format)) != [meant]:
        raise BadRequest(
            f"A call of `{meant.name}` could not be understood in the format `{tool_format.value}`, because of its "
            "name or a parameter's. Give it names of letters, digits and `_`, or another tool_prompt_format."
        )


def _builtin(name: BuiltinTool) -> str:
    if name is BuiltinTool.code_interpreter:
        return r"/[^\s{\[<](?s:.*)/"  # what begins otherwise reads as a call that went wrong
    return f'{_literal(f"{name.value}.call(query=")} {_json({"type": "string", "minLength": 1})} ")"'


def _json_call(tool: ToolDefinition) -> dict[str, Any]:
    name = tool_name_str(tool.tool_name)
    parts = {"type": {"const": "function"}, "name": {"const": name}, "parameters": arguments_schema(tool)}
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}


def _tag_call(tool: ToolDefinition) -> str:
    opening = f"<function={tool_name_str(tool.tool_name)}>"
    return f'{_literal(opening)} {_json(arguments_schema(tool))} "</function>"'


def _python_call(tool: ToolDefinition) -> str:
    """`name(a=1, b="x")`: the parameters in their order, what is not required may be left out."""
    opening = _literal(f"{tool_name_str(tool.tool_name)}(")
    if tool.parameters is None:
        return f'{opening} ")"'
    needed = {name for name, parameter in tool.parameters.items() if parameter.required}
    return f'{opening} {_python_arguments(list(tool.parameters), needed, tool)} ")"'


def _python_arguments(names: list[str], needed: set[str], tool: ToolDefinition) -> str:
    """One alternative for each parameter that can come first; behind it, those that can follow."""
    firsts: list[str] = []
    for index, name in enumerate(names):
        rest = "".join(
            f' (", " {_python_argument(later, tool)})' + ("" if later in needed else "?")
            for later in names[index + 1 :]
        )
        firsts.append(_python_argument(name, tool) + rest)
        if name in needed:
            return f"({' | '.join(firsts)})"
    return f"({' | '.join(firsts)})?" if firsts else ""


def _python_argument(name: str, tool: ToolDefinition) -> str:
    schema = type_schema((tool.parameters or {})[name].param_type)
    items = schema.get("items", {}).get("type")
    value = _PYTHON_TYPES.get(schema.get("type", ""), "py_value")
    if items:
        item = _PYTHON_TYPES[items]
        value = f'"[" ({item} (", " {item})*)? "]"'
    return f"{_literal(name + '=')} {value}"


def arguments_schema(tool: ToolDefinition) -> dict[str, Any]:
    """A JSON schema of a tool's arguments. A tool whose parameters are not known takes any.

    >>> from llama_nb.apis.messages import ToolParamDefinition
    >>> x = ToolParamDefinition(param_type="float")
    >>> arguments_schema(ToolDefinition(tool_name="f", parameters={"x": x}))["properties"]
    {'x': {'type': 'number'}}
    """
    if tool.parameters is None:
        return {"type": "object"}
    return {
        "type": "object",
        "properties": {name: type_schema(parameter.param_type) for name, parameter in tool.parameters.items()},
        "required": [name for name, parameter in tool.parameters.items() if parameter.required],
        "additionalProperties": False,
    }


def type_schema(param_type: str) -> dict[str, Any]:
    """The JSON schema of a parameter's type as people write it; of an unknown one, any value.

    >>> type_schema("str"), type_schema("list[bool]"), type_schema("Celsius")
    ({'type': 'string'}, {'type': 'array', 'items': {'type': 'boolean'}}, {})
    """
    name = param_type.strip().lower()
    listed = _OF_ITEMS.fullmatch(name)
    if listed:
        items = _TYPES.get(listed[1].strip())
        return {"type": "array", **({"items": dict(items)} if items else {})}
    return dict(_TYPES.get(name) or _TYPES.get(name.partition("[")[0]) or {})


def _json(schema: Mapping[str, Any]) -> str:
    return "%json " + json.dumps({"x-guidance": JSON_STYLE, **schema})


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one letter that Lark wants escaped


def _require_sound(grammar: Grammar) -> None:
    kinds = {"json_schema": "JSON schema", "regex": "regular expression", "lark": "grammar"}
    if why := refusal(grammar):
        raise BadRequest(f"An answer cannot be held to this {kinds[grammar.kind]}: {why}")
