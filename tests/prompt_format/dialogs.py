"""Dialogs and tools to lay out, and the tools as they can be read out of a prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from llama_nb.apis.messages import (
    BuiltinTool,
    CompletionMessage,
    Message,
    StopReason,
    ToolCall,
    ToolDefinition,
    ToolParamDefinition,
    ToolPromptFormat,
    UserMessage,
)
from llama_nb.prompt_format.encode import Turn
from llama_nb.prompt_format.family import Family
from llama_nb.prompt_format.render import Layout, render

DAY = date(2024, 9, 21)
JSON, TAG, PYTHON = ToolPromptFormat.json, ToolPromptFormat.function_tag, ToolPromptFormat.python_list
CALLING = [family for family in Family if family.tool_formats]
FORMATS = [(family, tool_format) for family in CALLING for tool_format in family.tool_formats]
LAYOUTS: tuple[Layout, ...] = ("published", "llama_stack")

SEARCH = ToolDefinition(tool_name=BuiltinTool.brave_search)
WOLFRAM = ToolDefinition(tool_name=BuiltinTool.wolfram_alpha)
CODE = ToolDefinition(tool_name=BuiltinTool.code_interpreter)
ADD = ToolDefinition(
    tool_name="add",
    description="Adds.",
    parameters={
        "a": ToolParamDefinition(param_type="int", description="one"),
        "b": ToolParamDefinition(param_type="int", description="two", required=False, default=0),
    },
)
ENVIRONMENT = "Environment: ipython\n"
DATED = "Cutting Knowledge Date: December 2023\nToday Date: 21 September 2024\n"
HI = UserMessage(content="hi")


def dialog(*messages: Message) -> list[Message]:
    return list(messages)


def rendered(
    family: Family,
    tools: Sequence[ToolDefinition],
    *messages: Message,
    tool_format: ToolPromptFormat | None = None,
    layout: Layout = "published",
) -> list[Turn]:
    return render(messages or [HI], tools, today=DAY, family=family, tool_prompt_format=tool_format, layout=layout)


def offered_json(turns: Sequence[Turn], tool_format: ToolPromptFormat) -> list[dict[str, Any]]:
    """The tools as a program reads them out of the prompt."""
    text = "\n".join(turn.text for turn in turns)
    if tool_format is PYTHON:
        offer = text[text.index("\n[\n") + 1 :]
        found: list[dict[str, Any]] = json.JSONDecoder().raw_decode(offer)[0]
        return found
    if tool_format is TAG:
        return [json.loads(line) for line in text.splitlines() if line.startswith('{"name": ')]
    decoder, place, tools = json.JSONDecoder(), text.index("in JSON format:\n") + 16, []
    while text[place] == "{":
        tool, place = decoder.raw_decode(text, place)
        tools.append(tool["function"])
        place += 1
    return tools


def parameters_of(tool: dict[str, Any], tool_format: ToolPromptFormat) -> dict[str, Any]:
    parameters = tool["parameters"]
    if tool_format is TAG:
        return dict(parameters)
    properties = parameters["properties"]
    if tool_format is PYTHON:
        return dict(properties)
    return {name: parameter for one in properties for name, parameter in one.items()}


def answer(*calls: ToolCall, text: str = "", stop: StopReason = StopReason.end_of_turn) -> CompletionMessage:
    return CompletionMessage(content=text, stop_reason=stop, tool_calls=list(calls))


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(call_id="1", tool_name=name, arguments=arguments)
