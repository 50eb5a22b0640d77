"""Calls are read out of every form as they were meant; what cannot be read is no call, and nothing raises."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_nb.apis.messages import BuiltinTool, ToolCall, ToolPromptFormat
from llama_nb.prompt_format.call_text import calls_text
from llama_nb.prompt_format.calls import Call, read, read_calls
from llama_nb.prompt_format.literals import DEPTH, Scanner, Unreadable
from tests.counts import full
from tests.prompt_format.answers import FORMS, a_call, written

ADD = Call("add", {"a": 1})
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


# --- Values -----------------------------------------------------------------------------------------------------------


def value_of(text: str) -> Any:
    scanner = Scanner(text)
    value = scanner.value()
    assert scanner.peek() == "", f"{text!r} was not read to its end"
    return value


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_json_is_read_as_json(value: Any, indent: int | None, ascii_: bool) -> None:
    assert value_of(json.dumps(value, indent=indent, ensure_ascii=ascii_)) == value


@given(JSON)
def test_python_literals_are_read_as_python(value: Any) -> None:
    assert value_of(repr(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it\\'s'", "it's"),
        ('"it\'s"', "it's"),
        ('"two\nlines"', "two\nlines"),
        (r'"\d+ \\ \/ \x41 \u00e9 \ud83d\ude00"', "\\d+ \\ / A é 😀"),
        (r'"\ud83d"', "\ufffd"),
        ("[true, True, false, False, null, None]", [True, True, False, False, None, None]),
        ("(1, 2)", [1, 2]),
        ("(1 , )", [1]),
        ("(1)", 1),
        ("([1],)", [[1]]),
        ("()", []),
        ("{'a': [1, 2, ], }", {"a": [1, 2]}),
    ],
)
def test_what_else_a_value_may_be(text: str, value: Any) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nul",
        "inf",
        "NaN",
        "-Infinity",
        "1e999",
        "-1e999999",
        "9" * 5_000,
        "012",
        "1.",
        "9**9**9",
        "1+1",
        "[1 2]",
        "[,]",
        "[1,,2]",
        '{"a"}',
        "{1: 2}",
        "{1, 2}",
        '"open',
        "'open\\'",
        "f(1)",
        "x",
        "__import__('os')",
        "[" * (DEPTH + 1) + "]" * (DEPTH + 1),
        "[" * 1_000_000,
        '{"a":' * 1_000_000,
        "(" * 1_000_000,
    ],
)
def test_what_is_no_value_says_so(text: str) -> None:
    with pytest.raises((Unreadable, AssertionError)):
        value_of(text)


def test_values_may_be_nested_deeply() -> None:
    value = value_of("[" * DEPTH + "]" * DEPTH)
    call = ToolCall(call_id="1", tool_name="f", arguments={"a": value})
    assert ToolCall.model_validate_json(call.model_dump_json()) == call, "as deep as pydantic can carry it"


# --- Forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('{"type": "function", "name": "add", "parameters": {"a": 1}}', [ADD]),
        ('\n{"name":"add","arguments":{"a":1}}  ', [ADD]),
        ('{"parameters": {"a": 1}, "name": "add"}', [ADD]),
        ('{"type": "function", "name": "now"}', [Call("now", {})]),
        ('{"type": "function", "name": "now", "parameters": null}', [Call("now", {})]),
        ('<function=add>{"a": 1}</function>', [ADD]),
        ('<function=add> {"a": 1} </function>\n', [ADD]),
        ("<function=add>{'a': 'it\\'s'}</function>", [Call("add", {"a": "it's"})]),
        ("[add(a=1)]", [ADD]),
        ("[ add( a = 1 , ) , ]", [ADD]),
        ("[now()]", [Call("now", {})]),
        ("[music.play(song='x')]", [Call("music.play", {"song": "x"})]),
        ("[get-weather(city='x')]", [Call("get-weather", {"city": "x"})]),
        ("[3d/box(2d = 1, $top=2,\n my size\n=3)]", [Call("3d/box", {"2d": 1, "$top": 2, "my size": 3})]),
        ("add(a=1)", [ADD]),
        ('brave_search.call(query="x")', [Call("brave_search", {"query": "x"})]),
        ("brave_search.call(query='it\\'s')", [Call("brave_search", {"query": "it's"})]),
        ('[brave_search.call(query="x")]', [Call("brave_search", {"query": "x"})]),
        ("run.call(code='x')", [Call("run.call", {"code": "x"})]),
        ("[add(a=1), add(a=1)]", [ADD, ADD]),
        ("[add(a=1)]\n[add(a=1)]", [ADD, ADD]),
        ('{"name": "add", "parameters": {"a": 1}}; {"name": "add", "parameters": {"a": 1}};', [ADD, ADD]),
        ('{"name": "add", "parameters": {"a": 1}},\n{"name": "add", "parameters": {"a": 1}}', [ADD, ADD]),
        ('{"name": "add", "parameters": {"a": 1}}{"name": "add", "parameters": {"a": 1}}', [ADD, ADD]),
        ('[{"name": "add", "parameters": {"a": 1}}, {"name": "add", "parameters": {"a": 1}}]', [ADD, ADD]),
        ('<function=add>{"a": 1}</function><function=add>{"a": 1}</function>', [ADD, ADD]),
        ('a.call(query="x")\nb.call(query="y")', [Call("a", {"query": "x"}), Call("b", {"query": "y"})]),
        ('a.call(query="x"); b.call(query="y")', [Call("a", {"query": "x"}), Call("b", {"query": "y"})]),
    ],
)
def test_every_form_is_read(text: str, calls: list[Call]) -> None:
    assert read_calls(text) == calls


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "breaks off"),
        ("prose", "a call is missing at character 1"),
        ('{"name": "Bob"}', "no `.parameters.`"),
        ('{"name": "add", "parameters": [1]}', "no `.parameters.`"),
        ('{"name": 1, "parameters": {}}', "no `.name.`"),
        ('{"name": "add", "parameters": {"a": 1', "breaks off"),
        ('{"name": "add", "parameters": {"a": "1', "breaks off in a string"),
        ('["add", {"a": 1}]', "a call is missing"),
        ("[]", "a call is missing"),
        ("[add(1)]", "name of an argument is missing at character 6"),
        ("[add(a=b)]", "`b` is no value"),
        ("[add(a=9**9)]", "`,` or `.` is missing"),
        ("[add(a=1e999)]", "too large"),
        ("[add(a=1) add(a=1)]", "is missing"),
        ("[add(a=1)", "breaks off"),
        ('<function=add>{"a": 1}', "breaks off"),
        ('<function=add>{"a": 1}<function>', "`</function>` is missing"),
        ('<function=>{"a": 1}</function>', "`<function=NAME>` is missing"),
        ('a.call(query="the "best" one")', "is missing"),
        ('{"name": "add", "parameters": {}}; {"name": "add", "para', "breaks off"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, fault: str) -> None:
    assert read_calls(text) is None
    with pytest.raises(AssertionError, match=fault):
        raise AssertionError(read(text).fault)


def test_what_follows_calls_is_kept() -> None:
    for rest in (" That is it.", "\n(See above.)", "; and more", "😀"):
        reading = read("[add(a=1)]" + rest)
        assert (reading.calls, reading.rest) == ([ADD], rest)
        assert read_calls("[add(a=1)]" + rest) is None


@pytest.mark.parametrize("form", FORMS)
def test_calls_made_by_chance_are_read_back(form: str) -> None:
    chance = random.Random(form)
    for _ in range(full(300, 10_000)):
        calls = [a_call(chance) for _ in range(chance.randint(1, 4))]
        text = written(calls, form, chance)
        assert read_calls(text) == calls, text


@pytest.mark.parametrize("tool_format", ToolPromptFormat)
def test_what_history_writes_is_read_back(tool_format: ToolPromptFormat) -> None:
    chance = random.Random(tool_format.value)
    for _ in range(full(300, 10_000)):
        calls = [a_call(chance) for _ in range(chance.randint(1, 4))]
        history = [ToolCall(call_id="1", tool_name=call.name, arguments=call.arguments) for call in calls]
        assert read_calls(calls_text(history, tool_format)) == calls
    query = 'the "best" \\ one\n'
    search = ToolCall(call_id="1", tool_name=BuiltinTool.brave_search, arguments={"query": query})
    assert read_calls(calls_text([search], tool_format)) == [Call("brave_search", {"query": query})]


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        '{"a":',
        '{"name": "add", "parameters": {"a": [',
        "[add(a=",
        "\\",
        '"',
        "'",
        '"\\',
        " ",
        ";",
        "<function=a>{",
        "a.",
        "1",
    ],
)
def test_reading_takes_time_in_proportion_to_length(unit: str) -> None:
    begin = time.perf_counter()
    for head in ("", "[add(a=", '{"name": "', "<function=a>", "add(", "[add()]"):
        assert read_calls(head + unit * (200_000 // len(unit))) in (None, [Call("add", {})])
    assert time.perf_counter() - begin < 30, "linear: a quadratic reader would take minutes"
