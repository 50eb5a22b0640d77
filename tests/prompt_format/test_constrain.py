"""What an answer is held to: the forms of calls, the types of arguments, and what is refused before anything runs."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
    ToolParamDefinition,
    ToolPromptFormat,
)
from llama_nb.demo import CHECKPOINT
from llama_nb.errors import BadRequest, NotSupported
from llama_nb.prompt_format.call_text import call_text
from llama_nb.prompt_format.calls import Call, read_calls
from llama_nb.prompt_format.constrain import (
    arguments_schema,
    call_grammar,
    call_guide,
    required_tools,
    response_grammar,
    type_schema,
)
from llama_nb.prompt_format.family import Family
from llama_nb.prompt_format.grammar import Grammar, compiled, refusal
from llama_nb.prompt_format.tokenizer import load_tokenizer

TAG, EOM = "<|python_tag|>", "<|eom_id|>"


@pytest.fixture(scope="module")
def fits() -> Any:
    """Whether a text, in which control tokens are spelled, is a whole sentence of a grammar."""
    from llguidance import LLMatcher
    from llguidance.tiktoken import lltokenizer_from_encoding

    tokenizer = load_tokenizer(CHECKPOINT)
    vocabulary = lltokenizer_from_encoding(tokenizer.model, n_vocab=tokenizer.n_words, eos_token=tokenizer.eot_id)

    def fits(grammar: Grammar, text: str) -> bool:
        matcher = LLMatcher(vocabulary, compiled(grammar), log_level=0)
        assert not matcher.is_error(), matcher.get_error()
        ids = tokenizer.model.encode(text, allowed_special="all")
        return matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting()

    return fits


def tool(name: str, **types: str) -> ToolDefinition:
    """A parameter whose type ends with `?` may be left out."""
    parameters = {
        parameter: ToolParamDefinition(param_type=kind.rstrip("?"), required=not kind.endswith("?"))
        for parameter, kind in types.items()
    }
    return ToolDefinition(tool_name=name, parameters=parameters)


WEATHER = tool("get_weather", city="str", days="int?", exact="bool?")
EVERYTHING = tool("f", s="string", i="integer", x="float", b="boolean", xs="list[int]", d="dict", z="Anything")
GIVEN = {"s": 'it\'s "it"\n', "i": -3, "x": 2.5, "b": True, "xs": [1, 2], "d": {"k": [None]}, "z": [{"q": "r"}, None]}
FORMS = [
    (Family.llama3_1, ToolPromptFormat.json),
    (Family.llama3_1, ToolPromptFormat.function_tag),
    (Family.llama3_2, ToolPromptFormat.python_list),
    (Family.llama3_2_vision, ToolPromptFormat.json),
    (Family.llama3_3, ToolPromptFormat.python_list),
]


def written(name: str, arguments: dict[str, Any], tool_format: ToolPromptFormat) -> str:
    text = call_text(ToolCall(call_id="1", tool_name=name, arguments=arguments), tool_format)
    return f"{TAG}{text}{EOM}" if tool_format is ToolPromptFormat.json else text


@pytest.mark.parametrize(("family", "tool_format"), FORMS)
def test_a_call_as_the_history_writes_it_is_a_sentence(
    fits: Any, family: Family, tool_format: ToolPromptFormat
) -> None:
    for offered, arguments in (
        (WEATHER, {"city": "Zürich"}),
        (WEATHER, {"city": "a", "days": 3}),
        (WEATHER, {"city": "a", "exact": False}),
        (EVERYTHING, GIVEN),
        (tool("now"), {}),
        (tool("maybe", a="int?", b="str?"), {}),
        (tool("maybe", a="int?", b="str?"), {"b": "x"}),
    ):
        grammar = call_grammar([offered], family, tool_format)
        assert fits(grammar, written(str(offered.tool_name), arguments, tool_format)), (offered, arguments)


@pytest.mark.parametrize(("family", "tool_format"), FORMS)
def test_what_does_not_fit_the_tool_is_none(fits: Any, family: Family, tool_format: ToolPromptFormat) -> None:
    for offered, name, arguments in (
        (WEATHER, "get_weathers", {"city": "a"}),
        (WEATHER, "get_weather", {}),
        (WEATHER, "get_weather", {"city": 3}),
        (WEATHER, "get_weather", {"city": "a", "days": "3"}),
        (WEATHER, "get_weather", {"city": "a", "other": 1}),
        (EVERYTHING, "f", GIVEN | {"i": 2.5}),
        (EVERYTHING, "f", GIVEN | {"xs": ["a"]}),
        (EVERYTHING, "f", GIVEN | {"d": [1]}),
    ):
        grammar = call_grammar([offered], family, tool_format)
        assert not fits(grammar, written(name, arguments, tool_format)), (name, arguments)
        assert not fits(grammar, "Let me see. " + written("get_weather", {"city": "a"}, tool_format))


def test_a_python_list_may_be_several_calls_in_either_quotes(fits: Any) -> None:
    grammar = call_grammar([WEATHER, tool("now")], Family.llama3_2)
    assert fits(grammar, "[get_weather(city='San Francisco', days=3), now(), get_weather(city=\"x\")]")
    assert not fits(grammar, "[]")
    assert not fits(grammar, "[now(),]")


def test_built_in_tools_have_their_own_form_in_every_family(fits: Any) -> None:
    builtin = [ToolDefinition(tool_name=name) for name in ("brave_search", "wolfram_alpha")]
    for family, tool_format in FORMS:
        grammar = call_grammar([*builtin, WEATHER], family, tool_format)
        assert fits(grammar, f'{TAG}brave_search.call(query="the \\"best\\" llamas"){EOM}')
        assert fits(grammar, written("get_weather", {"city": "a"}, tool_format))
        assert not fits(grammar, f'{TAG}photogen.call(query="a llama"){EOM}')
        assert not fits(grammar, f'brave_search.call(query="a llama"){EOM}')
    code = call_grammar([ToolDefinition(tool_name=BuiltinTool.code_interpreter)], Family.llama3_1)
    assert fits(code, f"{TAG}def f(n):\n    return [n, n**2]\n\nprint(f(3)){EOM}")
    assert not fits(code, "print(3)")


def test_a_tool_whose_parameters_are_not_known_takes_any(fits: Any) -> None:
    anything = ToolDefinition(tool_name="any")
    assert fits(call_grammar([anything], Family.llama3_1), written("any", {"a": [1]}, ToolPromptFormat.json))
    assert fits(call_grammar([anything], Family.llama3_2), "[any()]")


def test_formats_and_families_are_refused_as_in_a_prompt() -> None:
    with pytest.raises(BadRequest, match="does not know the tool_prompt_format `json`"):
        call_grammar([WEATHER], Family.llama3_2, ToolPromptFormat.json)
    with pytest.raises(NotSupported, match="Llama Guard 3"):
        call_grammar([WEATHER], Family.llama_guard_3)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(NAMES, NAMES)
@example("\x7f", "\x7f")
@example("f", '"')
def test_whatever_a_tool_is_called_a_call_is_understood_or_refused(fits: Any, name: str, parameter: str) -> None:
    offered = ToolDefinition(tool_name=name, parameters={parameter: ToolParamDefinition(param_type="int")})
    for family, tool_format in FORMS[:3]:
        call = ToolCall(call_id="1", tool_name=name, arguments={parameter: 3})
        if read_calls(call_text(call, tool_format)) == [Call(name, {parameter: 3})]:
            assert refusal(call_grammar([offered], family, tool_format)) == ""
        else:
            assert tool_format is not ToolPromptFormat.json
            with pytest.raises(BadRequest, match="could not be understood"):
                call_grammar([offered], family, tool_format)


@pytest.mark.parametrize("name", ["3d_model", "server/tool", "get-weather", "music.play", "天気"])
@pytest.mark.parametrize("parameter", ["$filter", "my param", "2d", "a.b", "filter[name]", "größe"])
def test_names_that_are_none_in_python_can_be_called(fits: Any, name: str, parameter: str) -> None:
    offered = ToolDefinition(tool_name=name, parameters={parameter: ToolParamDefinition(param_type="int")})
    for family, tool_format in FORMS:
        text = written(name, {parameter: 3}, tool_format)
        assert fits(call_grammar([offered], family, tool_format), text)
        assert read_calls(text.removeprefix(TAG).removesuffix(EOM)) == [Call(name, {parameter: 3})]


@pytest.mark.parametrize("name", ["get weather", "f<g>", "x.call"])
def test_a_name_that_a_form_cannot_hold_is_refused_with_what_to_do(name: str) -> None:
    offered = ToolDefinition(tool_name=name, parameters={"query": ToolParamDefinition(param_type="str")})
    with pytest.raises(BadRequest, match=f"call of `{name}`.*`python_list`.*Give it names of letters"):
        call_grammar([offered], Family.llama3_2)
    assert call_guide([offered], Family.llama3_2) is None, "nobody has asked for a call"
    assert call_grammar([offered], Family.llama3_1)


def test_the_tools_of_which_one_must_be_called() -> None:
    tools = [WEATHER, tool("now"), ToolDefinition(tool_name="brave_search")]
    assert required_tools(tools, ToolChoice.required) == required_tools(tools, "required") == tools
    assert required_tools(tools, "now") == [tools[1]]
    assert required_tools(tools, "brave_search") == required_tools(tools, BuiltinTool.brave_search) == [tools[2]]
    for choice in (None, ToolChoice.auto, ToolChoice.none, "auto", "none"):
        assert list(required_tools(tools, choice)) == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("str String", "string"),
        ("int integer", "integer"),
        ("float number", "number"),
        ("bool boolean", "boolean"),
        ("list array list[dict[str,int]] tuple[int,...]", "array"),
        ("dict object dict[str,int]", "object"),
        ("Celsius int|None", None),
    ],
)
def test_types_are_known_as_people_write_them(words: str, kind: str | None) -> None:
    for word in words.split():
        assert type_schema(word).get("type") == kind, word


def test_arguments_are_an_object_of_the_parameters_and_no_others() -> None:
    schema = arguments_schema(WEATHER)
    assert list(schema["properties"]) == ["city", "days", "exact"]
    assert (schema["required"], schema["additionalProperties"]) == (["city"], False)
    assert arguments_schema(ToolDefinition(tool_name="any")) == {"type": "object"}


# --- Forms of the user's choice -----------------------------------------------------------------------------------------


def test_each_form_is_its_grammar(fits: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}
    grammar = response_grammar(JsonSchemaResponseFormat(json_schema=schema))
    assert fits(grammar, '{"a": 1, "b": [true]}')
    assert not fits(grammar, '{"a":1}'), "one way of writing, so that white space has an end"
    assert not fits(grammar, '{"a": 1, "c": 2}'), "what the schema does not name"
    assert fits(response_grammar(RegexResponseFormat(regex="(?i)yes|no")), "YES")
    assert fits(response_grammar(GrammarResponseFormat(grammar='start: "a" b\nb: /[0-9]+/')), "a12")


@given(st.lists(NAMES, min_size=1, max_size=4))
@example(["\x7f"])
def test_a_choice_is_of_the_very_letters(fits: Any, choices: list[str]) -> None:
    grammar = response_grammar(ChoiceResponseFormat(choices=choices))
    assert refusal(grammar) == ""
    spelled = [choice for choice in choices if "<|" not in choice and "�" not in choice]
    assert all(fits(grammar, choice) for choice in spelled)
    assert not fits(grammar, choices[0] + choices[0] + "§")


@pytest.mark.parametrize(
    ("response_format", "words"),
    [
        (JsonSchemaResponseFormat(json_schema={"patternProperties": {}}), r"`patternProperties` at `\$`"),
        (JsonSchemaResponseFormat(json_schema={"type": "strin"}), "Invalid type: strin"),
        (JsonSchemaResponseFormat(json_schema={"$ref": "#/$defs/x"}), "does not exist"),
        (JsonSchemaResponseFormat(json_schema={"properties": {"a": {}}, "required": 3}), "'required', got 3"),
        (JsonSchemaResponseFormat(json_schema={"properties": {"a": {}}, "required": [[1]]}), "'required' item"),
        (JsonSchemaResponseFormat(json_schema={"properties": {"a": {}}, "minProperties": "x"}), "'minProperties'"),
        (JsonSchemaResponseFormat(json_schema={"type": "integer", "minimum": 3, "maximum": 1}), "Unsatisfiable"),
        (JsonSchemaResponseFormat(json_schema={"oneOf": [{"minimum": 1}, {"maximum": 2}]}), "oneOf"),
        (RegexResponseFormat(regex="a(?!b)"), "look-around"),
        (RegexResponseFormat(regex="("), "unclosed group"),
        (ChoiceResponseFormat(choices=[""]), "empty text"),
        (GrammarResponseFormat(grammar=""), "held to this grammar"),
        (GrammarResponseFormat(grammar="start: %json {"), "held to this grammar"),
    ],
)
def test_what_no_answer_can_be_held_to_is_refused_with_the_reason(response_format: Any, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        response_grammar(response_format)


def test_a_schema_that_is_no_json_is_refused() -> None:
    for value in ({1, 2}, math.nan, b"x"):
        with pytest.raises(BadRequest, match="not JSON"):
            response_grammar(JsonSchemaResponseFormat(json_schema={"const": value}))
    with pytest.raises(BadRequest):
        response_grammar(JsonSchemaResponseFormat(json_schema={"const": "\ud800"}))
    with pytest.raises(BadRequest):
        response_grammar(RegexResponseFormat(regex="\ud800"))
    with pytest.raises(BadRequest):
        response_grammar(ChoiceResponseFormat(choices=["\ud800"]))
