"""Which JSON schemas answers can be held to, and whether a text keeps to one."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from llama_nb.errors import AnswerInvalid, BadRequest
from llama_nb.prompt_format.schemas import KEYWORDS, check, closed, readable, validate
from tests.engine.schemas import random_schema

UNSUPPORTED = """
    patternProperties uniqueItems contains minContains not if then else dependentRequired dependentSchemas propertyNames
    unevaluatedProperties unevaluatedItems contentEncoding $dynamicRef $anchor nullable x-guidance minimun
""".split()


@pytest.mark.parametrize("keyword", UNSUPPORTED)
@pytest.mark.parametrize(
    ("place", "nest"),
    [
        ("$", lambda schema: schema),
        ("$.properties.a", lambda schema: {"properties": {"a": schema}}),
        ("$.items", lambda schema: {"items": schema}),
        ("$.additionalProperties", lambda schema: {"additionalProperties": schema}),
        ("$.anyOf[1]", lambda schema: {"anyOf": [{}, schema]}),
        ("$.$defs.node.prefixItems[0]", lambda schema: {"$defs": {"node": {"prefixItems": [schema]}}}),
    ],
)
def test_an_unsupported_keyword_is_refused_by_name_with_its_place(keyword: str, place: str, nest: Any) -> None:
    with pytest.raises(BadRequest) as raised:
        check(nest({keyword: 1}))
    assert f"`{keyword}` at `{place}`" in str(raised.value)


def test_a_name_of_a_property_is_no_keyword_and_neither_is_a_value() -> None:
    check({"properties": {"not": {"const": {"patternProperties": 1}}}, "required": ["not"], "enum": [{"if": 1}]})


@pytest.mark.parametrize("seed", range(50))
def test_what_is_supported_passes(seed: int) -> None:
    check(random_schema(seed))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://example.org/schema"}, r"`\$ref`"),
        ({"$ref": 3}, r"`\$ref`"),
        ({"items": {"pattern": r"\p{L}+"}}, r"`pattern` .* at `\$\.items`"),
        (
            {"items": {"type": "string", "pattern": "^[[:alpha:]]$"}},
            r"`pattern` .* at `\$\.items`: Possible nested set",
        ),
        ({"properties": {"a": {"format": "datetime"}}}, r"`datetime` at `\$\.properties\.a`.* mean `date-time`"),
        ({"$schema": 3}, r"`\$schema` 3 at `\$`; it must be a text"),
        ({"items": {"$id": 3}}, r"`\$id` 3 at `\$\.items`"),
        ({"properties": {"a": 3}}, r"3 at `\$\.properties\.a`"),
        ({"type": "number", "exclusiveMinimum": 8, "maximum": 8.5}, "`exclusiveMinimum` at `\\$` with bounds"),
        ({"type": "number", "minimum": -8.5, "exclusiveMaximum": -8.0}, "`exclusiveMaximum`"),
    ],
)
def test_what_cannot_be_meant_or_kept_is_refused(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        check(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "exclusiveMinimum": 8, "maximum": 8},
        {"type": "number", "exclusiveMinimum": 8},
        {"type": "number", "exclusiveMinimum": 8, "exclusiveMaximum": 9},
        {"type": "number", "exclusiveMinimum": 8.25, "exclusiveMaximum": 8.75},
        {"type": "number", "minimum": 8, "maximum": 8.5},
        {"type": "number", "exclusiveMinimum": 10**400, "maximum": 8.5},
    ],
)
def test_bounds_that_are_kept_pass(schema: dict[str, Any]) -> None:
    check(schema)


def test_a_format_of_a_number_is_a_note() -> None:
    check({"type": ["integer", "null"], "format": "int32"})
    with pytest.raises(BadRequest, match="unknown format `int32`"):
        check({"type": ["integer", "string"], "format": "int32"})


def test_a_schema_without_an_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"items": deep}
    with pytest.raises(BadRequest, match="nested too deeply"):
        check(deep)


def test_objects_are_closed_where_that_takes_nothing_away() -> None:
    inner = {"type": "object", "properties": {"b": {}}}
    assert closed({"properties": {"a": inner}}) == {
        "properties": {"a": inner | {"additionalProperties": False}},
        "additionalProperties": False,
    }
    for same in (
        {"type": "object"},
        {"properties": {"a": {}}, "additionalProperties": True},
        {"properties": {"a": {}}, "required": ["a", "b"]},
        {"properties": {"a": {}}, "required": ["a"], "minProperties": 2},
        {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
        {"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}]},
        {"properties": {"a": {}}, "$ref": "#/$defs/x", "$defs": {"x": {"properties": {"b": {}}}}},
    ):
        assert closed(same) == same


def test_the_schema_that_is_given_stays_as_it_is() -> None:
    schema = {"properties": {"a": {"properties": {"b": {}}}}}
    closed(schema)
    assert schema == {"properties": {"a": {"properties": {"b": {}}}}}


def test_a_number_beyond_those_of_floats_is_infinite() -> None:
    assert validate({"type": "number"}, "-1e999") == float("-inf")


def test_a_text_that_fits_is_read() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "number"}}}}
    assert validate(schema, '{"a": [1, 2.5]}') == {"a": [1, 2.5]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": [1', "not JSON"),
        ("", "not JSON"),
        ("NaN", "NaN is no number"),
        ("1" * 5000, "not JSON"),
        ('{"a": "x"}', r"`\$\.a`: 'x' is not of type 'array'"),
        ('{"a": [1, "y"]}', r"`\$\.a\[1\]`"),
        ('{"a": [' + "9," * 1000 + '"y"]}', "fit its schema"),
    ],
)
def test_a_text_that_does_not_fit_says_where(text: str, words: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "number"}}}}
    with pytest.raises(AnswerInvalid, match=words) as raised:
        validate(schema, text)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize(
    ("divisor", "text"), [(0.01, "0.07"), (0.01, "-19.99"), (0.1, "0.30"), (1e-9, "4"), (2, "1e300"), (5, "-0")]
)
def test_a_decimal_is_a_multiple_as_it_is_written(divisor: float, text: str) -> None:
    schema = {"type": "number", "multipleOf": divisor}
    assert validate(schema, text) == float(text)
    with pytest.raises(AnswerInvalid, match="is not a multiple of"):
        validate(schema, "1.00000000005")


def test_classes_of_a_pattern_may_be_those_of_ascii() -> None:
    """In the negative the generator takes them so, and lets `é` pass where no word's letter may stand."""
    for pattern, text in ((r"^\W$", "é"), (r"^[^\w]$", "é"), (r"^\D$", "٣"), (r"^\s$", "\u2028"), (r"^\w$", "e")):
        assert validate({"pattern": pattern}, f'"{text}"') == text
    for pattern, text in ((r"^\W$", "e"), (r"^\D$", "3"), (r"^\w$", "!")):
        with pytest.raises(AnswerInvalid, match="does not match"):
            validate({"pattern": pattern}, f'"{text}"')


@pytest.mark.parametrize(
    ("kind", "possible", "impossible"),
    [
        (date, "2024-02-29 2000-02-29 2023-02-28 0001-01-01 9999-12-31", "2023-02-29 1900-02-29 0000-01-01"),
        (time, "12:34:59Z 00:00:00.123456-01:30", "12:34:60Z"),
        (datetime, "2024-02-29T12:34:59Z 2023-12-31t00:00:00.5+23:59", "2023-02-29T12:34:59Z 2016-12-31T23:59:60Z"),
        (timedelta, "P3W PT10S P999999Y P1Y2M3DT4H5M6S", "P9999999999Y"),
    ],
)
def test_dates_and_times_are_such_as_python_holds(kind: Any, possible: str, impossible: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    pattern = readable({"anyOf": [adapter.json_schema()]})["anyOf"][0]["pattern"]
    for text in possible.split():
        assert re.search(pattern, text)
        adapter.validate_python(text)
    for text in impossible.split():
        assert not re.search(pattern, text)
        with pytest.raises(ValueError):
            adapter.validate_python(text)


@pytest.mark.parametrize("pattern", [r"^\d+$", r"^[\d.]+$", r"^-?\d$", r"^[^\d]$", r"^\\d$"])
def test_digits_of_a_pattern_are_those_that_python_knows(pattern: str) -> None:
    read = readable({"pattern": pattern})["pattern"]
    assert read.endswith(r"\\d$") or r"\d" not in read
    assert read.replace("[0-9]", r"\d") == pattern


def test_a_date_that_says_more_of_itself_stays_as_it_is() -> None:
    for same in (
        {"format": "date", "pattern": "^2023"},
        {"format": "date", "const": "2023-02-29"},
        {"format": "email"},
        {"properties": {"format": {"const": "date"}}},
    ):
        assert readable(same) == same


@given(st.text(max_size=200))
def test_whatever_the_text_nothing_else_is_raised(text: str) -> None:
    for schema in ({}, {"type": "string"}, {"$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}}):
        with suppress(AnswerInvalid):
            validate(schema, text)


def test_nested_beyond_pythons_stack_is_an_error_of_ours() -> None:
    with pytest.raises(AnswerInvalid):
        validate({}, "[" * 100_000)


def test_the_keywords_are_written_once() -> None:
    assert not KEYWORDS & set(UNSUPPORTED)
