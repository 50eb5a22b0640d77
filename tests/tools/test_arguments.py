"""What does not fit is told in a sentence that a model can act on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator

from llama_nb.apis.messages import ToolDefinition, ToolParamDefinition
from llama_nb.errors import LlamaError, ToolArgumentsInvalid
from llama_nb.tools import Tool, as_tool, tool
from llama_nb.tools.arguments import checked, schema_converters
from tests.tools.shapes import Address, Person, Unit


def is_even(value: int) -> int:
    if value % 2:
        raise ValueError("it must be even")
    return value


def ship(
    to: Address,
    unit: Literal["kg", "lb"] = "kg",
    count: int = 1,
    marks: list[Unit] | None = None,
    pairs: Annotated[int, AfterValidator(is_even)] = 2,
    code: int | str = 1,
) -> None: ...


HOME = {"street": "Main"}
MISFITS: list[tuple[dict[str, Any], str]] = [
    (
        {},
        "`ship` needs `to` (a dict with `street` (str), `zip` (int, optional), `notes` (a list of str, optional)), "
        "which did not come.",
    ),
    (
        {"to": HOME, "units": "kg"},
        "`ship` has no argument `units`. Did you mean `unit`? Known: `code`, `count`, `marks`, `pairs`, `to`, `unit`.",
    ),
    ({"to": HOME, "unit": "stone"}, "Argument `unit` of `ship` must be one of 'kg', 'lb', but 'stone' came."),
    (
        {"to": HOME, "count": "several"},
        "Argument `count` of `ship` must be int, but 'several' came "
        "(input should be a valid integer, unable to parse string as an integer).",
    ),
    (
        {"to": HOME, "count": 1.5},
        "Argument `count` of `ship` must be int, but 1.5 came "
        "(input should be a valid integer, got a number with a fractional part).",
    ),
    (
        {"to": {"street": "Main", "zip": "far"}},
        "Argument `to` of `ship` does not fit: at `to.zip`, 'far' came, but input should be a valid integer, "
        "unable to parse string as an integer.",
    ),
    (
        {"to": HOME, "marks": ["celsius", "kelvin"]},
        "Argument `marks` of `ship` does not fit: at `marks[1]`, 'kelvin' came, "
        "but input should be 'celsius' or 'fahrenheit'.",
    ),
    ({"to": HOME, "pairs": 3}, "Argument `pairs` of `ship` must be int, but 3 came (it must be even)."),
    ({"to": HOME, "code": [1]}, "Argument `code` of `ship` must be int or str, but [1] came"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISFITS)
def test_a_misfit_says_which_argument_what_came_and_what_is_expected(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ToolArgumentsInvalid) as refused:
        tool(ship).check(arguments)
    assert str(refused.value).startswith(sentence)


def test_the_error_is_ours_and_a_value_error() -> None:
    assert issubclass(ToolArgumentsInvalid, LlamaError) and issubclass(ToolArgumentsInvalid, ValueError)


def test_a_huge_misfit_is_told_briefly() -> None:
    with pytest.raises(ToolArgumentsInvalid) as refused:
        tool(ship).check({"to": "x" * 100_000})
    assert len(str(refused.value)) < 500


def test_null_for_what_may_be_left_out_leaves_it_out() -> None:
    assert tool(ship).check({"to": HOME, "unit": None, "count": None}) == {"to": Address("Main")}
    assert tool(ship).check({"to": HOME, "marks": None})["marks"] is None
    with pytest.raises(ToolArgumentsInvalid):
        tool(ship).check({"to": None})


def test_checking_changes_nothing_that_came() -> None:
    arguments = {"to": dict(HOME), "count": "3"}
    tool(ship).check(arguments)
    assert arguments == {"to": HOME, "count": "3"}


def test_arguments_that_are_no_dict_are_refused() -> None:
    with pytest.raises(ToolArgumentsInvalid, match="must be a dict"):
        tool(ship).check(["Main"])  # type: ignore[arg-type]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": 1},
        "deep": {"$ref": "#/$defs/Deep"},
        "either": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "anything": True,
    },
    "required": ["city"],
    "$defs": {"Deep": {"type": "object", "properties": {"flag": {"type": "boolean"}}, "required": ["flag"]}},
}


def by_schema(arguments: dict[str, Any], schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    return checked("look", schema, arguments, schema_converters(schema))


def test_a_json_schema_converts_what_models_write() -> None:
    came = {"city": 8000, "days": "3", "deep": '{"flag": true}', "either": "1.5", "anything": [None]}
    fitting = {"city": "8000", "days": 3, "deep": {"flag": True}, "either": 1.5, "anything": [None]}
    assert by_schema(came) == fitting
    assert by_schema(fitting) == fitting
    assert by_schema({"city": "1", "either": None}) == {"city": "1", "either": None}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"days": 1}, "`look` needs `city` (str), which did not come."),
        ({"city": "a", "town": "b"}, "`look` has no argument `town`."),
        ({"city": "a", "days": 0}, "Argument `days` of `look` must be int (at least 1), but 0 came."),
        (
            {"city": "a", "deep": {"flag": "perhaps"}},
            "Argument `deep` of `look` does not fit: at `deep.flag`, 'perhaps' came, but 'perhaps' is not of type",
        ),
    ],
)
def test_a_json_schema_refuses_in_the_same_words(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ToolArgumentsInvalid) as refused:
        by_schema(arguments)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "no such type"},
        {"pattern": "("},
        {"$ref": "#/$defs/Nowhere"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"minimum": "many"},
        {"type": ["integer", "string"]},
    ],
)
def test_a_schema_that_cannot_be_read_lets_its_server_decide(part: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"value": part}}
    assert by_schema({"value": 3}, schema) == {"value": 3}


def test_a_pattern_is_checked_and_costs_no_more_than_its_text() -> None:
    slow = {"type": "string", "pattern": "^(a+)+$"}
    names = {"type": "object", "patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}
    unevaluated = {"type": "object", "patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False}
    schema = {"properties": {"text": slow, "names": names, "more": unevaluated, "ahead": {"pattern": "(?=b)"}}}
    trap = "a" * 5_000 + "!"  # Python would not be done with it in this world's lifetime
    with pytest.raises(ToolArgumentsInvalid, match=r"must be str \(matching"):
        by_schema({"text": trap}, schema)
    with pytest.raises(ToolArgumentsInvalid, match="does not match"):
        by_schema({"inside": {"text": "b"}}, {"properties": {"inside": {"properties": {"text": slow}}}})
    for fits in ({"text": "aaa"}, {"names": {trap: 1}}, {"more": {trap: 1}}, {"ahead": "a"}):
        assert by_schema(fits, schema) == fits
    with pytest.raises(ToolArgumentsInvalid, match="must be dict, but"):
        by_schema({"inside": {"b": 1}}, {"properties": {"inside": {"type": "object", "additionalProperties": False}}})


def test_nothing_is_fetched_for_a_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*_: Any, **__: Any) -> Any:
        raise AssertionError("a schema was fetched")

    monkeypatch.setattr("urllib.request.urlopen", fetched)
    schema = {"type": "object", "properties": {"value": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    assert by_schema({"value": 3}, schema) == {"value": 3}


def test_a_definition_is_checked_by_its_words() -> None:
    offered: Tool = as_tool(
        ToolDefinition(
            tool_name="look",
            parameters={
                "n": ToolParamDefinition(param_type="integer"),
                "odd": ToolParamDefinition(param_type="whatever", required=False),
            },
        )
    )
    assert offered.check({"n": "3", "odd": {"a": 1}}) == {"n": 3, "odd": {"a": 1}}
    with pytest.raises(ToolArgumentsInvalid, match="`n` of `look` must be int, but 'x' came"):
        offered.check({"n": "x"})


def test_a_model_below_is_converted_with_all_that_it_holds() -> None:
    def invite(people: list[Person]) -> None: ...

    fitting = tool(invite).check({"people": [{"name": "A", "home": {"street": "B", "zip": "1"}}]})
    assert fitting["people"][0].home == Address("B", 1)
