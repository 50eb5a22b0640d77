"""Dialogs are laid out byte for byte as Meta published it."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import llama_models
import pytest

from llama_nb.apis.messages import (
    URL,
    BuiltinTool,
    CompletionMessage,
    ImageMedia,
    Message,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolDefinition,
    ToolParamDefinition,
    ToolResponseMessage,
    UserMessage,
)
from llama_nb.errors import NotSupported
from llama_nb.prompt_format.encode import Turn
from llama_nb.prompt_format.render import render

DAY = date(2024, 9, 21)
PUBLISHED = (Path(llama_models.__file__).parent / "llama3_1" / "prompt_format.md").read_text("utf-8")
BLOCKS: list[str] = re.findall(r"```\n(.*?)\n```", PUBLISHED, re.DOTALL)
TRENDING_SONGS = ToolDefinition(
    tool_name="trending_songs",
    description="Returns the trending songs on a Music site",
    parameters={
        "n": ToolParamDefinition(param_type="int", description="The number of songs to return"),
        "genre": ToolParamDefinition(param_type="str", description="The genre of the songs to return", required=False),
    },
)
SEARCH = ToolDefinition(tool_name=BuiltinTool.brave_search)
WOLFRAM = ToolDefinition(tool_name=BuiltinTool.wolfram_alpha)
CODE = ToolDefinition(tool_name=BuiltinTool.code_interpreter)


def written(turns: list[Turn]) -> str:
    """The dialog with its control tokens spelled, and the header of the answer, as the published page shows it."""
    text = "<|begin_of_text|>"
    for turn in turns:
        call = "" if turn.call is None else "<|python_tag|>" + turn.call
        end = "<|eom_id|>" if turn.end_of_message else "<|eot_id|>"
        text += f"<|start_header_id|>{turn.role}<|end_header_id|>\n\n{turn.text}{call}{end}"
    return text + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def dialog(system: str, question: str) -> list[Message]:
    return [SystemMessage(content=system), UserMessage(content=question)]


def test_a_plain_chat_is_laid_out_as_published() -> None:
    messages = dialog("You are a helpful assistant", "Answer who are you in the form of jeopardy?")
    assert written(render(messages, today=DAY)) == BLOCKS[2]


def test_builtin_tools_are_offered_as_published() -> None:
    messages = dialog("You are a helpful assistant.", "Search the web for the latest price of 1oz gold?")
    assert written(render(messages, [SEARCH, WOLFRAM], today=DAY)) == BLOCKS[4]


def test_tools_as_json_are_offered_as_published() -> None:
    messages = dialog("You are a helpful assistant.", "Use tools to get latest trending songs")
    assert written(render(messages, [TRENDING_SONGS], today=DAY)) == BLOCKS[10]


@pytest.mark.parametrize("changed", ["system", "question", "tool", "day"])
def test_the_check_sees_any_change(changed: str) -> None:
    messages = dialog(
        "You are a helpful assistant." + " " * (changed == "system"),
        "Use tools to get latest trending songs" + "?" * (changed == "question"),
    )
    tool = TRENDING_SONGS.model_copy(update={"description": "Songs"}) if changed == "tool" else TRENDING_SONGS
    day = date(2024, 9, 2) if changed == "day" else DAY
    assert written(render(messages, [tool], today=day)) != BLOCKS[10]


def test_a_call_of_a_builtin_tool_and_its_result_are_written_as_published() -> None:
    query = {"query": "100th decimal of pi"}
    call = ToolCall(call_id="1", tool_name=BuiltinTool.wolfram_alpha, arguments=query)
    result = BLOCKS[8].split("ipython<|end_header_id|>\n\n")[1].split("<|eot_id|>")[0]
    messages: list[Message] = [
        UserMessage(content="What is the 100th decimal of pi?"),
        CompletionMessage(content="", stop_reason=StopReason.end_of_message, tool_calls=[call]),
        ToolResponseMessage(call_id="1", tool_name=BuiltinTool.wolfram_alpha, content=result),
    ]
    published = BLOCKS[8].split("<|eot_id|>", 1)[1]
    assert written(render(messages, today=DAY)) == "<|begin_of_text|>" + published


def test_code_is_written_behind_its_tag_as_published() -> None:
    code = BLOCKS[7].removeprefix("<|python_tag|>").removesuffix("<|eom_id|>")
    call = ToolCall(call_id="1", tool_name=BuiltinTool.code_interpreter, arguments={"code": code})
    message = CompletionMessage(content="", stop_reason=StopReason.end_of_message, tool_calls=[call])
    assert BLOCKS[7] in written(render([message], today=DAY))


def test_a_call_in_json_can_be_read_back_as_it_was() -> None:
    arguments = {"text": 'ünï "quoted"\n', "n": 1, "list": [1.5, None, {"a": True}]}
    call = ToolCall(call_id="1", tool_name="f", arguments=arguments)
    message = CompletionMessage(content="so:", stop_reason=StopReason.end_of_turn, tool_calls=[call])
    (turn,) = render([message], today=DAY)
    assert turn.text == "so:"
    assert json.loads(turn.call or "") == {"type": "function", "name": "f", "parameters": arguments}


def test_code_alone_is_offered_by_the_environment_alone() -> None:
    system, question = render(dialog("", "hi"), [CODE], today=DAY)
    assert system.text.startswith("Environment: ipython\n\nCutting")
    assert question == Turn("user", "hi")


def test_tools_without_a_system_message_are_offered_all_the_same() -> None:
    system, offer, question = render([UserMessage(content="hi")], [TRENDING_SONGS], today=DAY)
    assert system.text == (
        "Environment: ipython\n\nCutting Knowledge Date: December 2023\nToday Date: 21 September 2024\n"
    )
    assert "trending_songs" in offer.text
    assert question == Turn("user", "hi")


def test_context_stands_below_the_question_and_a_list_is_joined() -> None:
    message = UserMessage(content=["look", "here"], context="found")
    assert render([message], today=DAY) == [Turn("user", "look here\n\nfound")]


def test_the_day_is_written_without_the_locale_and_with_two_digits() -> None:
    system, *_ = render([UserMessage(content="hi")], [SEARCH], today=date(2025, 3, 1))
    assert "Today Date: 01 March 2025\n" in system.text


def test_an_image_is_refused_with_what_to_do() -> None:
    image = ImageMedia(image=URL(uri="file:cat.png"))
    with pytest.raises(NotSupported, match="Describe the image in words"):
        render([UserMessage(content=[image, "what is this?"])], today=DAY)
