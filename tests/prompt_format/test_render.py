"""What a dialog looks like to a Llama, beside the published pages: any tools, any family, any history.

The published prompts themselves are in `test_published`, calls that are written and read again in `test_call_text`,
what Llama Stack did otherwise in `test_render_defects`.
"""

from __future__ import annotations

import re
from datetime import date

import pytest

from llama_nb.apis.messages import (
    URL,
    BuiltinTool,
    CompletionMessage,
    ImageMedia,
    Message,
    StopReason,
    SystemMessage,
    ToolChoice,
    ToolDefinition,
    ToolPromptFormat,
    ToolResponseMessage,
    UserMessage,
)
from llama_nb.errors import BadRequest, NotSupported
from llama_nb.prompt_format.encode import Turn
from llama_nb.prompt_format.family import Family
from llama_nb.prompt_format.render import Layout, render
from tests.prompt_format.dialogs import (
    ADD,
    CALLING,
    CODE,
    DATED,
    DAY,
    ENVIRONMENT,
    FORMATS,
    HI,
    JSON,
    LAYOUTS,
    PYTHON,
    SEARCH,
    TAG,
    WOLFRAM,
    answer,
    call,
    dialog,
    offered_json,
    rendered,
)
from tests.prompt_format.published import block

# The head of a dialog -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", Family)
def test_without_tools_messages_stay_as_they_are(family: Family) -> None:
    messages = dialog(SystemMessage(content="Be brief."), HI, SystemMessage(content="now"))
    assert rendered(family, [], *messages) == [
        Turn("system", "Be brief."),
        Turn("user", "hi"),
        Turn("system", "now"),
    ]


@pytest.mark.parametrize("family", CALLING)
def test_code_alone_is_offered_by_the_environment_alone(family: Family) -> None:
    system, question = rendered(family, [CODE])
    assert system.text == (f"{ENVIRONMENT}\n{DATED}" if family is Family.llama3_2 else ENVIRONMENT.rstrip())
    assert question == Turn("user", "hi")


@pytest.mark.parametrize("family", CALLING)
def test_beside_a_system_message_builtin_tools_come_with_the_date(family: Family) -> None:
    system, _ = rendered(family, [WOLFRAM, CODE, SEARCH], SystemMessage(content="Be brief."), HI)
    assert system.text == f"{ENVIRONMENT}Tools: wolfram_alpha, brave_search\n{DATED}\nBe brief.\n"


@pytest.mark.parametrize(
    ("tools", "system", "text"),
    [
        ([CODE], None, "Environment: ipython"),
        ([SEARCH], None, "Environment: ipython\nTools: brave_search\n"),
        ([CODE], "Be brief.", "Environment: ipython\n\nBe brief.\n"),
        ([SEARCH, ADD], "Be brief.", "Environment: ipython\nTools: brave_search\n\nBe brief.\n"),
    ],
)
@pytest.mark.parametrize("family", [Family.llama3_1, Family.llama3_2_vision])
def test_without_a_day_there_is_no_date(
    tools: list[ToolDefinition], system: str | None, text: str, family: Family
) -> None:
    head = [] if system is None else [SystemMessage(content=system)]
    turns = render([*head, HI], tools, today=None, family=family)
    assert turns[0] == Turn("system", text)
    assert not any("Date" in turn.text for turn in turns)


def test_custom_tools_without_a_system_message_have_environment_and_date() -> None:
    system, offer, question = rendered(Family.llama3_1, [ADD])
    assert system == Turn("system", f"{ENVIRONMENT}\n{DATED}")
    assert offer.role == "user"
    assert '"name": "add"' in offer.text
    assert question == Turn("user", "hi")


@pytest.mark.parametrize("family", [Family.llama3_2, Family.llama3_3])
def test_a_python_list_stands_before_the_callers_own_words(family: Family) -> None:
    system, question = rendered(family, [ADD], SystemMessage(content="Be brief."), HI)
    assert system.text.startswith("You are an expert in composing functions.")
    assert system.text.endswith("\n]\nBe brief.")
    assert "Environment" not in system.text
    assert question == Turn("user", "hi")


@pytest.mark.parametrize("family", [Family.llama3_2, Family.llama3_3])
def test_a_python_list_beside_builtin_tools_stands_in_their_environment(family: Family) -> None:
    system, _ = rendered(family, [ADD, SEARCH], SystemMessage(content="Be brief."), HI)
    assert system.text.startswith(f"{ENVIRONMENT}Tools: brave_search\n{DATED}\nYou are an expert")
    assert system.text.endswith("\n]\nBe brief.\n")


@pytest.mark.parametrize(("family", "tool_format"), FORMATS)
def test_several_tools_are_offered_in_the_order_they_came_in(family: Family, tool_format: ToolPromptFormat) -> None:
    tools = [ToolDefinition(tool_name=name) for name in ("zeta", "alpha", "mid")]
    turns = rendered(family, tools, tool_format=tool_format)
    assert [tool["name"] for tool in offered_json(turns, tool_format)] == ["zeta", "alpha", "mid"]


def test_the_day_is_written_without_the_locale_and_with_two_digits() -> None:
    system, *_ = render([HI], [ADD], today=date(2025, 3, 1))
    assert "Today Date: 01 March 2025\n" in system.text


# The dialog itself ----------------------------------------------------------------------------------------------------


def test_context_stands_below_the_question_and_a_list_is_joined() -> None:
    message = UserMessage(content=["look", "here"], context="found")
    assert render([message], today=DAY) == [Turn("user", "look here\n\nfound")]


IMAGE = ImageMedia(image=URL(uri="file:cat.png"))


@pytest.mark.parametrize(
    "message",
    [
        UserMessage(content=IMAGE),
        UserMessage(content=[IMAGE, "what is this?"]),
        UserMessage(content="what is this?", context=[IMAGE]),
        SystemMessage(content=[IMAGE]),
        ToolResponseMessage(call_id="1", tool_name="f", content=IMAGE),
        CompletionMessage(content=[IMAGE], stop_reason=StopReason.end_of_turn),
    ],
    ids=lambda message: message.role,
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_image_is_refused_with_what_to_do_wherever_it_stands(message: Message, layout: Layout) -> None:
    with pytest.raises(NotSupported, match="Describe the image in words"):
        render([message], today=DAY, family=Family.llama3_2_vision, layout=layout)


def test_code_is_written_behind_its_tag_as_published() -> None:
    published = block("llama3_1", 7)
    code = published.removeprefix("<|python_tag|>").removesuffix("<|eom_id|>")
    (turn,) = render([answer(call("code_interpreter", code=code), stop=StopReason.end_of_message)], today=DAY)
    assert turn == Turn("assistant", "", code, end_of_message=True, tagged=True)


@pytest.mark.parametrize(
    ("family", "tool_format", "text", "tagged"),
    [
        (Family.llama3_1, JSON, '{"type": "function", "name": "add", "parameters": {"a": 1}}', True),
        (Family.llama3_1, TAG, '<function=add>{"a": 1}</function>', False),
        (Family.llama3_2, PYTHON, "[add(a=1)]", True),
        (Family.llama3_3, JSON, '{"type": "function", "name": "add", "parameters": {"a": 1}}', True),
    ],
)
def test_earlier_calls_are_written_in_the_format_of_the_tools(
    family: Family, tool_format: ToolPromptFormat, text: str, tagged: bool
) -> None:
    """The published answer in `<function=…>` has no `<|python_tag|>`, all others have."""
    *_, turn = rendered(family, [ADD], HI, answer(call("add", a=1), text="so: "), tool_format=tool_format)
    assert turn == Turn("assistant", "so: ", text, tagged=tagged)


@pytest.mark.parametrize("family", Family)
def test_earlier_calls_are_written_when_nothing_is_offered_any_more(family: Family) -> None:
    messages = dialog(HI, answer(call("add", a=1)), ToolResponseMessage(call_id="1", tool_name="add", content="1"))
    _, turn, result = rendered(family, [], *messages)
    assert turn.call == ("[add(a=1)]" if PYTHON is family.default_tool_format else
                         '{"type": "function", "name": "add", "parameters": {"a": 1}}')  # fmt: skip
    assert result == Turn("ipython", "1")


def test_a_format_that_is_not_needed_is_not_refused() -> None:
    """Clients of Llama Stack name `json` in every request, with tools or without."""
    for tools in ([], [CODE]):
        *_, turn = rendered(Family.llama3_2, tools, answer(call("add", a=1)), tool_format=JSON)
        assert turn.call == "[add(a=1)]"
    *_, turn = rendered(Family.llama3_3, [], answer(call("add", a=1)), tool_format=TAG)
    assert turn.call == '<function=add>{"a": 1}</function>'


# What cannot be -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [Family.llama3, Family.llama_guard_3])
@pytest.mark.parametrize("tool", [ADD, SEARCH, CODE], ids=lambda tool: str(tool.tool_name))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_family_that_cannot_call_says_who_can(family: Family, tool: ToolDefinition, layout: Layout) -> None:
    with pytest.raises(NotSupported, match=rf"{family.title} has no prompt for tools\..*Llama 3\.1, .*Llama 3\.3\."):
        rendered(family, [tool], layout=layout)


@pytest.mark.parametrize("family", CALLING)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_format_of_another_family_is_refused_with_those_it_knows(family: Family, layout: Layout) -> None:
    for tool_format in set(ToolPromptFormat) - set(family.tool_formats):
        with pytest.raises(
            BadRequest, match=f"{re.escape(family.title)} does not know.*`{family.tool_formats[0].value}`"
        ):
            rendered(family, [ADD], tool_format=tool_format, layout=layout)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"`publishd` is unknown\. Did you mean `published`"):
        rendered(Family.llama3_1, [], layout="publishd")  # type: ignore[arg-type]


# The choice of a tool -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", Family)
def test_with_tool_choice_none_no_tool_is_offered(family: Family) -> None:
    expected = rendered(family, [])
    for choice in (ToolChoice.none, "none"):
        assert render([HI], [ADD, CODE], today=DAY, family=family, tool_choice=choice) == expected


@pytest.mark.parametrize("choice", [ToolChoice.auto, ToolChoice.required, "auto", "required", "add", "brave_search",
                                    BuiltinTool.brave_search.value, None])  # fmt: skip
@pytest.mark.parametrize("family", CALLING)
def test_a_choice_of_tools_leaves_the_prompt_as_it_is(family: Family, choice: ToolChoice | str | None) -> None:
    tools = [ADD, SEARCH]
    assert render([HI], tools, today=DAY, family=family, tool_choice=choice) == rendered(family, tools)


def test_a_tool_that_is_not_offered_cannot_be_chosen() -> None:
    with pytest.raises(BadRequest, match=r"`ad`, which is not offered\. Did you mean `add`"):
        render([HI], [ADD], today=DAY, tool_choice="ad")
    with pytest.raises(BadRequest, match="`add`, which is not offered"):
        render([HI], today=DAY, tool_choice="add")
