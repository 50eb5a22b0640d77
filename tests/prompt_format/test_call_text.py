"""A call that is written down can be read again, and is what it was."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_nb.apis.messages import BuiltinTool, ToolCall, ToolPromptFormat, tool_name_str
from llama_nb.prompt_format.call_text import call_text, calls_text, needs_python_tag
from llama_nb.prompt_format.calls import Call, read_calls
from tests.prompt_format.published import block

JSON, TAG, PYTHON = ToolPromptFormat.json, ToolPromptFormat.function_tag, ToolPromptFormat.python_list
SEARCHES = [BuiltinTool.brave_search, BuiltinTool.wolfram_alpha, BuiltinTool.photogen]


def call(name: BuiltinTool | str, **arguments: Any) -> ToolCall:
    return ToolCall(call_id="1", tool_name=name, arguments=arguments)


def as_read(calls: list[ToolCall]) -> list[Call]:
    return [Call(tool_name_str(one.tool_name), one.arguments) for one in calls]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ['"', "'", "\\", '\\"', "\n", "</function>", "; ", "]", ")", '{"name": "f"}', "#", "\x00", "\u2028", "[f(x=1)]"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,12}([.-][a-z]{1,5})?", fullmatch=True)
KEYS = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,12}", fullmatch=True) | st.sampled_from(["from", "class", "query"])
CALLS = st.lists(
    st.builds(call, NAMES | st.sampled_from(SEARCHES))
    | st.builds(ToolCall, call_id=st.just("1"), tool_name=NAMES, arguments=st.dictionaries(KEYS, VALUES, max_size=4))
    | st.builds(lambda name, query: call(name, query=query), st.sampled_from(SEARCHES), WORDS)
    | st.builds(lambda code, more: call(BuiltinTool.code_interpreter, code=code, **more), WORDS, st.just({"n": 1})),
    min_size=1,
    max_size=4,
)


@given(CALLS, st.sampled_from(ToolPromptFormat))
def test_all_calls_of_a_message_are_read_as_they_were(calls: list[ToolCall], tool_format: ToolPromptFormat) -> None:
    assert read_calls(calls_text(calls, tool_format)) == as_read(calls)


@given(CALLS)
def test_a_python_list_of_calls_holds_python_literals(calls: list[ToolCall]) -> None:
    """Read by Python itself, but for names that Python does not allow."""
    for one in calls:
        if isinstance(one.tool_name, str):
            values = {f"k{index}": value for index, value in enumerate(one.arguments.values())}
            text = call_text(call("f", **values), PYTHON)
            (tree,) = ast.parse(text, mode="eval").body.elts  # type: ignore[attr-defined]
            assert {word.arg: ast.literal_eval(word.value) for word in tree.keywords} == values


def test_one_call_in_each_format() -> None:
    one = call("get_weather", city="San Francisco", metric="celsius")
    assert call_text(one) == (
        '{"type": "function", "name": "get_weather", "parameters": {"city": "San Francisco", "metric": "celsius"}}'
    )
    assert call_text(one, TAG) == '<function=get_weather>{"city": "San Francisco", "metric": "celsius"}</function>'
    assert f"<|python_tag|>{call_text(one, PYTHON)}<|eot_id|>" in block("llama3_2_text", 8)


@pytest.mark.parametrize("tool_format", ToolPromptFormat)
def test_the_published_search_and_code_are_the_same_in_every_format(tool_format: ToolPromptFormat) -> None:
    search = call(BuiltinTool.brave_search, query="latest price of 1oz gold")
    code = block("llama3_1", 7).removeprefix("<|python_tag|>").removesuffix("<|eom_id|>")
    assert f"<|python_tag|>{call_text(search, tool_format)}<|eom_id|>" == block("llama3_1", 5)
    assert call_text(call(BuiltinTool.code_interpreter, code=code), tool_format) == code
    assert needs_python_tag([search], tool_format)


def test_several_calls_in_each_format() -> None:
    two = [call("f", a=1), call("g", b="x")]
    assert calls_text(two, JSON) == (
        '{"type": "function", "name": "f", "parameters": {"a": 1}}; '
        '{"type": "function", "name": "g", "parameters": {"b": "x"}}'
    )
    assert calls_text(two, TAG) == '<function=f>{"a": 1}</function><function=g>{"b": "x"}</function>'
    assert calls_text(two, PYTHON) == '[f(a=1), g(b="x")]'
    searches = [call(BuiltinTool.brave_search, query="a"), call(BuiltinTool.wolfram_alpha, query="b")]
    assert calls_text(searches) == 'brave_search.call(query="a")\nwolfram_alpha.call(query="b")'


def test_what_would_be_ambiguous_in_its_own_form_is_written_with_the_rest() -> None:
    code, search = call(BuiltinTool.code_interpreter, code="1 + 1"), call(BuiltinTool.brave_search, query="a")
    assert calls_text([code, search], PYTHON) == '[code_interpreter(code="1 + 1"), brave_search(query="a")]'
    assert not needs_python_tag([code, search], TAG)
    assert call_text(call(BuiltinTool.brave_search, query="a", n=3), PYTHON) == '[brave_search(query="a", n=3)]'
    assert json.loads(call_text(call(BuiltinTool.brave_search)))["parameters"] == {}


def test_what_json_cannot_write_is_written_in_words() -> None:
    odd = call("f", where={1}, when={2: (1, 2)}, much=float("inf"))
    assert call_text(odd) == (
        '{"type": "function", "name": "f", "parameters": {"where": "{1}", "when": {"2": [1, 2]}, "much": Infinity}}'
    )
    assert call_text(odd, PYTHON) == '[f(where="{1}", when={"2": [1, 2]}, much=inf)]'


@given(WORDS)
def test_b_32_a_query_with_quotes_can_be_read_again(query: str) -> None:
    for quoted in (query, f'what is "{query}"?'):
        search = call(BuiltinTool.wolfram_alpha, query=quoted)
        assert read_calls(call_text(search)) == as_read([search])


def test_b_32_a_quote_in_a_query_is_escaped() -> None:
    assert call_text(call(BuiltinTool.brave_search, query='say "hi"\n')) == r'brave_search.call(query="say \"hi\"\n")'


def test_b_32_a_python_list_holds_dicts_and_words_of_python() -> None:
    one = call("f", where={"k": "v", "deep": [True, None, 1.5]}, on=False)
    assert call_text(one, PYTHON) == '[f(where={"k": "v", "deep": [True, None, 1.5]}, on=False)]'


def test_b_32_the_check_sees_a_query_that_is_not_escaped() -> None:
    broken = re.sub(r"\\", "", call_text(call(BuiltinTool.brave_search, query='say "hi"')))
    assert read_calls(broken) is None
