"""Where Llama Stack's prompts went wrong, by the number of the defect; and its layout, for those who compare."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_nb.apis.messages import (
    BuiltinTool,
    CompletionMessage,
    Message,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolChoice,
    ToolDefinition,
    ToolParamDefinition,
    ToolPromptFormat,
    ToolResponseMessage,
    UserMessage,
)
from llama_nb.errors import BadRequest
from llama_nb.prompt_format.encode import Turn
from llama_nb.prompt_format.family import Family
from llama_nb.prompt_format.render import Layout, render
from tests.prompt_format.dialogs import (
    ADD,
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
    parameters_of,
    rendered,
)
from tests.prompt_format.published import block
from tests.prompt_format.test_published import DIALOGS, Dialog

# Llama Stack's layout -------------------------------------------------------------------------------------------------


def stack(family: Family, tools: Sequence[ToolDefinition], *messages: Message, **more: Any) -> list[Turn]:
    return rendered(family, tools, *messages, layout="llama_stack", **more)


BRIEF = SystemMessage(content=["Be", "brief."])


def spelled(dialog: Dialog, layout: Layout) -> str:
    """The prompt with its control tokens in letters."""
    turns = render(
        dialog.messages,
        dialog.tools,
        today=dialog.today,
        family=dialog.family,
        tool_prompt_format=dialog.tool_prompt_format,
        layout=layout,
    )
    text = "<|begin_of_text|>"
    for turn in turns:
        tag = "<|python_tag|>" if turn.call is not None and turn.tagged else ""
        end = "<|eom_id|>" if turn.end_of_message else "<|eot_id|>"
        text += f"<|start_header_id|>{turn.role}<|end_header_id|>\n\n{turn.text}{tag}{turn.call or ''}{end}"
    return text + "<|start_header_id|>assistant<|end_header_id|>\n\n"


# Where Llama Stack's bytes differ from the published ones; what is not here is the same.
_DATE = DATED.rstrip("\n")
_LOOSE, _TIGHT = "2024\n\nYou are a helpful assistant.\n<|eot_id|>", "2024\nYou are a helpful assistant.<|eot_id|>"
DIFFERENCES = {
    ("llama3_1", 2): [("\n\nYou are a helpful assistant", f"\n\n{DATED}You are a helpful assistant")],
    ("llama3_1", 4): [(_LOOSE, _TIGHT)],
    ("llama3_1", 6): [("ipython<|eot_id|>", f"ipython\n\n{_DATE}<|eot_id|>")],
    ("llama3_1", 8): [("wolfram_alpha\n<|eot_id|>", f"wolfram_alpha\n{_DATE}<|eot_id|>")],
    ("llama3_1", 10): [(_LOOSE, _TIGHT)],
    ("llama3_1", 12): [(_LOOSE, _TIGHT)],
    ("llama3_2_text", 0): [],
    ("llama3_2_text", 2): [
        ('[\n                "city"\n            ]', '["city"]'),
        ("\n]<|eot_id|>", "\n]\n<|eot_id|>"),
    ],
    ("llama3_2_text", 6): [("Cutting Knowledge Date: December 2023\nToday Date: 24 September 2024\n", "")],
    ("llama3_2_vision", 4): [(_LOOSE, _TIGHT)],
}


@pytest.mark.parametrize("where", DIFFERENCES, ids=str)
def test_b_37_llama_stacks_bytes_are_the_published_ones_but_for_these(where: tuple[str, int]) -> None:
    expected = block(*where)
    for published, theirs in DIFFERENCES[where]:
        assert published in expected
        expected = expected.replace(published, theirs, 1)
    assert spelled(DIALOGS[where], "llama_stack") == expected
    assert spelled(DIALOGS[where], "published") == block(*where)


@pytest.mark.parametrize("family", [Family.llama3_1, Family.llama3_2_vision])
@pytest.mark.parametrize(
    ("tools", "environment"),
    [
        ([], ""),
        ([CODE], ENVIRONMENT + "\n"),
        ([SEARCH, CODE, WOLFRAM], ENVIRONMENT + "Tools: brave_search, wolfram_alpha\n"),
        ([ADD], ENVIRONMENT + "\n"),
    ],
)
def test_b_37_llama_stacks_layout_of_3_1(family: Family, tools: list[ToolDefinition], environment: str) -> None:
    """`[tools block]`, `[date block]` and the caller's words, one line break between them and none at the end."""
    assert stack(family, tools)[0] == Turn("system", environment + DATED.rstrip("\n"))
    assert stack(family, tools, BRIEF, HI)[0] == Turn("system", f"{environment}{DATED}Be\nbrief.")


@pytest.mark.parametrize("family", [Family.llama3_2, Family.llama3_3])
def test_b_37_llama_stacks_layout_of_3_2(family: Family) -> None:
    """No date; required parameters on one line; a line break behind the list of tools."""
    assert stack(family, []) == [Turn("user", "hi")]
    assert stack(family, [CODE], BRIEF)[0].text == f"{ENVIRONMENT}\nBe\nbrief."
    (system,) = stack(family, [ADD, SEARCH], BRIEF)
    assert system.text.startswith(f"{ENVIRONMENT}Tools: brave_search\nYou are an expert")
    assert '"required": ["a"],\n' in system.text
    assert system.text.endswith("\n]\nBe\nbrief.")
    assert stack(family, [ADD], HI)[0].text.endswith("\n]\n")


@pytest.mark.parametrize("tool_format", [JSON, TAG])
def test_b_37_the_texts_that_offer_tools_are_those_of_the_published_pages(tool_format: ToolPromptFormat) -> None:
    tool = ADD.model_copy(update={"parameters": {"a": ToolParamDefinition(param_type="int")}})
    published = rendered(Family.llama3_1, [tool], tool_format=tool_format)
    assert stack(Family.llama3_1, [tool], tool_format=tool_format)[1:] == published[1:]


def test_b_37_llama_stack_wrote_a_calls_text_behind_the_tag_and_no_defaults() -> None:
    *_, turn = stack(Family.llama3_1, [ADD], HI, answer(call("add", a=1), text="so: "), tool_format=TAG)
    assert turn == Turn("assistant", "", 'so: <function=add>{"a": 1}</function>')
    assert '"default"' not in stack(Family.llama3_1, [ADD])[1].text


@pytest.mark.parametrize("family", [Family.llama3, Family.llama_guard_3])
def test_b_37_llama_stack_left_the_messages_of_other_families_alone(family: Family) -> None:
    messages = dialog(SystemMessage(content="Be brief."), HI, answer(text="ho"))
    assert stack(family, [], *messages) == rendered(family, [], *messages)


def test_b_37_the_default_layout_is_the_published_one() -> None:
    messages = dialog(SystemMessage(content="You are a helpful assistant."), HI)
    default = render(messages, [SEARCH], today=DAY)
    assert default == rendered(Family.llama3_1, [SEARCH], *messages, layout="published")
    assert default != rendered(Family.llama3_1, [SEARCH], *messages, layout="llama_stack")


# The seed's defects ---------------------------------------------------------------------------------------------------


TEXT = st.text(st.characters(), max_size=20)  # half characters, too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
CALLS = st.builds(
    ToolCall,
    call_id=TEXT,
    tool_name=TEXT | st.sampled_from(list(BuiltinTool)),
    arguments=st.dictionaries(TEXT | st.sampled_from(["query", "code"]), VALUES, max_size=3),
)
MESSAGES = st.lists(
    st.builds(UserMessage, content=TEXT | st.lists(TEXT, max_size=3), context=st.none() | TEXT)
    | st.builds(SystemMessage, content=TEXT | st.lists(TEXT, max_size=3))
    | st.builds(ToolResponseMessage, call_id=TEXT, tool_name=TEXT, content=TEXT)
    | st.builds(
        CompletionMessage, content=TEXT, stop_reason=st.sampled_from(StopReason), tool_calls=st.lists(CALLS, max_size=3)
    ),
    max_size=5,
)
PARAMETERS = st.builds(
    ToolParamDefinition,
    param_type=TEXT,
    description=st.none() | TEXT,
    required=st.sampled_from([True, False, None]),
    default=VALUES,
)
TOOLS = st.lists(
    st.builds(
        ToolDefinition,
        tool_name=TEXT | st.sampled_from(list(BuiltinTool)),
        description=st.none() | TEXT,
        parameters=st.none() | st.dictionaries(TEXT, PARAMETERS, max_size=3),
    ),
    max_size=3,
)


@given(MESSAGES, TOOLS, st.sampled_from(FORMATS), st.sampled_from(LAYOUTS), st.sampled_from([DAY, None]))
def test_b_33_any_request_is_rendered_and_left_as_it_was(
    messages: list[Message],
    tools: list[ToolDefinition],
    form: tuple[Family, ToolPromptFormat],
    layout: Layout,
    today: date | None,
) -> None:
    family, tool_format = form
    before = copy.deepcopy((messages, tools))

    def once() -> list[Turn]:
        return render(messages, tools, today=today, family=family, tool_prompt_format=tool_format, layout=layout)

    first = once()
    assert repr((messages, tools)) == repr(before)  # NaN is not equal to itself
    assert once() == first
    for turn in first:
        (turn.text + (turn.call or "")).encode()  # whole characters only


def test_b_33_a_second_rendering_has_the_system_message_too() -> None:
    messages = dialog(SystemMessage(content="Be brief."), HI)
    for _ in range(2):
        assert rendered(Family.llama3_1, [ADD], *messages)[0].text.endswith("\nBe brief.\n")
    assert len(messages) == 2


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_b_34_no_messages_or_only_a_system_message_are_a_dialog(family: Family, layout: Layout) -> None:
    today = None  # which Llama Stack tells in every dialog
    assert render([], today=today, family=family, layout=layout) == []
    only = [SystemMessage(content="Be brief.")]
    assert render(only, today=today, family=family, layout=layout) == [Turn("system", "Be brief.")]
    if family.tool_formats:
        assert render([], [ADD], today=DAY, family=family, layout=layout)[0].role == "system"


def test_b_34_a_tool_that_must_be_called_is_offered_like_any_other() -> None:
    assert render([HI], [ADD], today=DAY, tool_choice=ToolChoice.required) == rendered(Family.llama3_1, [ADD])
    with pytest.raises(BadRequest, match="`required`, and no tools are offered"):
        render([HI], today=DAY, tool_choice=ToolChoice.required)


@pytest.mark.parametrize(("family", "tool_format"), FORMATS)
@pytest.mark.parametrize("parameters", [None, {}], ids=["None", "empty"])
def test_b_34_a_tool_without_parameters_is_offered(
    family: Family, tool_format: ToolPromptFormat, parameters: dict[str, ToolParamDefinition] | None
) -> None:
    tool = ToolDefinition(tool_name="now", description="The time.", parameters=parameters)
    (offered,) = offered_json(rendered(family, [tool], tool_format=tool_format), tool_format)
    assert offered["name"] == "now"
    assert parameters_of(offered, tool_format) == {}
    assert tool_format is TAG or offered["parameters"]["required"] == []


def test_b_35_llama_3_2_has_a_format_of_its_own() -> None:
    default = rendered(Family.llama3_2, [ADD])
    assert default == rendered(Family.llama3_2, [ADD], tool_format=PYTHON)
    assert "[func_name1(params_name1=params_value1" in default[0].text


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_b_36_an_empty_system_message_is_not_sent(family: Family, layout: Layout) -> None:
    for messages in (dialog(HI), dialog(SystemMessage(content=""), HI), dialog(SystemMessage(content=[]), HI)):
        assert render(messages, today=None, family=family, layout=layout) == [Turn("user", "hi")]


def test_b_36_the_check_sees_a_system_message() -> None:
    assert rendered(Family.llama3_2, [], SystemMessage(content=" "), HI)[0] == Turn("system", " ")


NASTY = "Says \"hi\",\nthen \\ and 'bye' }]</function> é\t<|eot_id|>"


@pytest.mark.parametrize(("family", "tool_format"), FORMATS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_b_38_a_description_with_quotes_and_line_breaks_is_what_it_was(
    family: Family, tool_format: ToolPromptFormat, layout: Layout
) -> None:
    tool = ToolDefinition(
        tool_name="say",
        description=NASTY,
        parameters={"word": ToolParamDefinition(param_type="str", description=NASTY)},
    )
    turns = rendered(family, [tool, ADD], tool_format=tool_format, layout=layout)
    offered, _ = offered_json(turns, tool_format)
    assert offered["description"] == NASTY
    assert parameters_of(offered, tool_format)["word"]["description"] == NASTY


@pytest.mark.parametrize(("family", "tool_format"), FORMATS)
def test_b_38_a_missing_description_is_empty(family: Family, tool_format: ToolPromptFormat) -> None:
    tool = ToolDefinition(tool_name="f", parameters={"x": ToolParamDefinition(param_type="int")})
    turns = rendered(family, [tool], tool_format=tool_format)
    (offered,) = offered_json(turns, tool_format)
    assert offered["description"] == parameters_of(offered, tool_format)["x"]["description"] == ""
    assert "None" not in "".join(turn.text for turn in turns)


@pytest.mark.parametrize(("family", "tool_format"), FORMATS)
@pytest.mark.parametrize("default", [0, False, "", [], 0.0, "celsius"], ids=repr)
def test_b_38_a_default_that_is_false_is_a_default(
    family: Family, tool_format: ToolPromptFormat, default: object
) -> None:
    parameter = ToolParamDefinition(param_type="any", required=False, default=default)
    tool = ToolDefinition(tool_name="f", parameters={"x": parameter, "y": ToolParamDefinition(param_type="any")})
    (offered,) = offered_json(rendered(family, [tool], tool_format=tool_format), tool_format)
    parameters = parameters_of(offered, tool_format)
    assert parameters["x"]["default"] == default
    assert type(parameters["x"]["default"]) is type(default)
    assert "default" not in parameters["y"]


@pytest.mark.parametrize(("family", "tool_format"), FORMATS)
def test_b_38_the_type_of_a_parameter_is_told_except_where_the_published_page_does_not(
    family: Family, tool_format: ToolPromptFormat
) -> None:
    """The page for JSON prints `object` for an `int` and for a `str`; the bytes that the model learnt win."""
    (offered,) = offered_json(rendered(family, [ADD], tool_format=tool_format), tool_format)
    told = parameters_of(offered, tool_format)["a"]["param_type" if tool_format is TAG else "type"]
    assert told == ("object" if tool_format is JSON else "int")


@pytest.mark.parametrize(("family", "tool_format"), FORMATS)
def test_b_38_a_default_that_json_cannot_write_is_told_in_words(family: Family, tool_format: ToolPromptFormat) -> None:
    tool = ToolDefinition(tool_name="f", parameters={"day": ToolParamDefinition(param_type="date", default=DAY)})
    (offered,) = offered_json(rendered(family, [tool], tool_format=tool_format), tool_format)
    assert parameters_of(offered, tool_format)["day"]["default"] == "2024-09-21"
