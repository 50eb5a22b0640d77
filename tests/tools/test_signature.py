"""A function becomes a tool: its name, its docstring, its parameters as definitions and as JSON schema."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from llama_nb.apis.messages import BuiltinTool, ToolDefinition, ToolParamDefinition
from llama_nb.errors import BadRequest, LlamaError, NotSupported
from llama_nb.tools import Tool, as_tool, tool
from tests.tools.shapes import Address, Level, Person, Point, Route, Unit


def param(thing: Any, name: str) -> ToolParamDefinition:
    parameters = as_tool(thing).definition.parameters
    assert parameters is not None
    return parameters[name]


def google(city: str, days: int = 1) -> str:
    """The weather of the days to come.

    Only for cities.

    Args:
        city (str): where to look.
        days: how many days,
            today included.

    Returns:
        a sentence.
    """
    return f"{city} {days}"


def numpy(city: str, days: int = 1) -> str:
    """The weather of the days to come.

    Only for cities.

    Parameters
    ----------
    city : str
        where to look.
    days : int, optional
        how many days,
        today included.

    Returns
    -------
    str
        a sentence.
    """
    return f"{city} {days}"


def rest(city: str, days: int = 1) -> str:
    """The weather of the days to come.

    Only for cities.

    :param city: where to look.
    :param days: how many days,
        today included.
    :returns: a sentence.
    """
    return f"{city} {days}"


@pytest.mark.parametrize("function", [google, numpy, rest])
def test_each_docstring_style_gives_the_same_tool(function: Callable[..., str]) -> None:
    made = tool(function)
    assert made.description == "The weather of the days to come.\n\nOnly for cities."
    assert made.definition.parameters == {
        "city": ToolParamDefinition(param_type="str", description="where to look.", required=True),
        "days": ToolParamDefinition(
            param_type="int", description="how many days, today included.", required=False, default=1
        ),
    }
    assert made.schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "where to look."},
            "days": {"type": "integer", "description": "how many days, today included.", "default": 1},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_a_docstring_in_no_style_is_all_description() -> None:
    def look() -> None:
        """Says "what's new": {braces}, <tags>,
        and a second line."""

    assert tool(look).description == 'Says "what\'s new": {braces}, <tags>,\n\nand a second line.'


def test_no_docstring_is_no_description() -> None:
    def look() -> None: ...

    assert tool(look).definition.description is None


TYPES: list[tuple[Any, str, Any, Any]] = [
    (str, "str", "x", "x"),
    (str, "str", 94103, "94103"),
    (int, "int", "10", 10),
    (int, "int", -3, -3),
    (float, "float", "1.5", 1.5),
    (float, "float", 2, 2.0),
    (bool, "bool", "true", True),
    (bool, "bool", False, False),
    (list, "list", [1, "a"], [1, "a"]),
    (list, "list", "[1, 2]", [1, 2]),
    (list[int], "list", ["1", 2], [1, 2]),
    (tuple[int, str], "list", [1, "a"], (1, "a")),
    (set[int], "list", [1, 1], {1}),
    (dict, "dict", {"a": 1}, {"a": 1}),
    (dict[str, float], "dict", {"a": "1"}, {"a": 1.0}),
    (dict[str, float], "dict", "{'a': 1}", {"a": 1.0}),
    (Optional[int], "int", "None", None),  # noqa: UP045 - how people write it
    (Optional[int], "int", None, None),  # noqa: UP045
    (int | None, "int", "7", 7),
    (Union[int, str], "str", "a", "a"),  # noqa: UP007
    (int | float, "float", 1.5, 1.5),
    (Literal["a", "b"], "str", "b", "b"),
    (Literal[1, 2], "int", "2", 2),
    (Unit, "str", "celsius", Unit.celsius),
    (Level, "int", 2, Level.high),
    (Address, "dict", {"street": "Main"}, Address("Main")),
    (Address, "dict", '{"street": "Main", "zip": "1"}', Address("Main", 1)),
    (list[Address], "list", [{"street": "Main"}], [Address("Main")]),
    (Person, "dict", {"name": "A", "home": {"street": "B"}}, Person(name="A", home=Address("B"))),
    (Point, "dict", {"x": 1, "y": "2"}, {"x": 1.0, "y": 2.0}),
    (list[Point], "list", [{"x": 1, "y": 2}], [{"x": 1.0, "y": 2.0}]),
    (Point | None, "dict", {"x": 1, "y": 2}, {"x": 1.0, "y": 2.0}),
    (Route, "dict", {"stops": [{"x": 1, "y": 2}]}, {"stops": [{"x": 1.0, "y": 2.0}]}),
    (date, "str", "2024-02-29", date(2024, 2, 29)),
    (Path, "str", "a/b", Path("a/b")),
    (Annotated[int, Field(ge=0)], "int", "0", 0),
    (Any, "str", {"a": [1]}, {"a": [1]}),
]


def taking(kind: Any, **default: Any) -> Callable[..., Any]:
    """A function `take(value: kind)` that returns what it is given."""

    def take(value: Any = None) -> Any:
        return value

    parameter = inspect.Parameter("value", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind, **default)
    take.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    take.__annotations__ = {"value": kind}
    return take


@pytest.mark.parametrize(("kind", "word", "came", "taken"), TYPES)
def test_each_type_has_its_word_and_takes_what_models_write(kind: Any, word: str, came: Any, taken: Any) -> None:
    made = tool(taking(kind))
    assert param(made, "value").param_type == word
    assert made.check({"value": came}) == {"value": taken}
    assert type(made.check({"value": came})["value"]) is type(taken)


@pytest.mark.parametrize(("kind", "word", "came", "taken"), TYPES)
def test_what_was_checked_may_be_checked_again(kind: Any, word: str, came: Any, taken: Any) -> None:
    made = tool(taking(kind))
    assert made.check(made.check({"value": came})) == {"value": taken}


@pytest.mark.parametrize(("kind", "word", "came", "taken"), TYPES)
def test_each_schema_is_a_schema(kind: Any, word: str, came: Any, taken: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(tool(taking(kind)).schema)


def test_choices_fields_and_limits_are_told_in_words() -> None:
    def look(
        unit: Literal["celsius", "fahrenheit"],
        other: Unit,
        home: Address,
        count: Annotated[int, Field(ge=1, le=9)],
        names: list[str],
    ) -> None:
        """Looks.

        Args:
            unit: in which to tell it
        """

    assert param(look, "unit").description == "in which to tell it. One of 'celsius', 'fahrenheit'."
    assert param(look, "other").description == "One of 'celsius', 'fahrenheit'."
    assert param(look, "home").description == (
        "A dict with `street` (str), `zip` (int, optional), `notes` (a list of str, optional)."
    )
    assert param(look, "count").description == "Int (at least 1, at most 9)."
    assert param(look, "names").description == "A list of str."


def test_a_type_that_holds_itself_ends() -> None:
    def invite(who: Person) -> str:
        return who.friends[0].name

    described = param(invite, "who").description
    assert described is not None and len(described) < 1_000
    friend = {"name": "B", "home": {"street": "x"}}
    assert tool(invite).check({"who": {"name": "A", "home": {"street": "y"}, "friends": [friend]}})["who"].friends[0]


@pytest.mark.parametrize("default", ["", 0, False, [], {}, 0.0])
def test_falsy_defaults_are_defaults(default: Any) -> None:
    def look(value=default):  # type: ignore[no-untyped-def]
        return value

    told = param(look, "value")
    assert (told.required, told.default) == (False, default)
    assert type(told.default) is type(default)
    assert tool(look).schema["properties"]["value"]["default"] == default


def test_a_default_that_json_cannot_hold_is_still_a_default() -> None:
    sentinel = object()

    def look(value: Any = sentinel, unit: Unit = Unit.celsius) -> Any:
        return value

    assert param(look, "value").required is False and param(look, "value").default is None
    assert param(look, "unit").default == "celsius"
    assert tool(look).check({}) == {}


def test_parameters_without_types_take_those_of_their_defaults_and_docstrings() -> None:
    def look(count=3, name="x", number=None, thing=None):  # type: ignore[no-untyped-def]
        """Looks.

        Args:
            number (int): which
        """

    words = {name: told.param_type for name, told in (tool(look).definition.parameters or {}).items()}
    assert words == {"count": "int", "name": "str", "number": "int", "thing": "str"}
    assert tool(look).check({"count": "4", "number": "5", "thing": [1]}) == {"count": 4, "number": 5, "thing": [1]}


def test_a_parameter_is_described_in_its_type_too() -> None:
    def look(
        city: Annotated[str, "where to look"], day: Annotated[int, Field(description="which day")] = 0
    ) -> None: ...

    assert param(look, "city").description == "where to look"
    assert param(look, "day").description == "which day"


def test_every_kind_of_parameter_is_given_its_argument(run: Any) -> None:
    def gather(first: int, /, second: int, *rest: int, named: str = "n", **more: float) -> list[Any]:
        return [first, second, rest, named, more]

    assert run(gather, first="1", second=2).text == '[1, 2, [], "n", {}]'
    given = run(gather, first=1, second=2, rest=["3", 4], named="x", more={"a": "1.5"})
    assert given.text == '[1, 2, [3, 4], "x", {"a": 1.5}]'
    assert param(gather, "rest").required is False and param(gather, "more").required is False


def test_what_is_spread_cannot_stand_in_for_a_parameter_that_is_checked(run: Any) -> None:
    def send(to: str, *copies: str, urgent: bool = False, **headers: str) -> list[Any]:
        return [to, copies, urgent, headers]

    for name in ("to", "urgent"):
        refused = run(send, to="Ada", headers={name: "anything"})
        assert refused.failed and f"`{name}` is an argument by itself" in refused.text
    assert run(send, to="Ada", headers={"copies": "2", "headers": "x"}).text == (
        '["Ada", [], false, {"copies": "2", "headers": "x"}]'
    )


def test_what_can_be_gone_through_is_checked_before_the_function_does(run: Any) -> None:
    def total(numbers: Iterable[int], more: Iterable[int] | None = None, rest: Iterable = ()) -> list[Any]:  # type: ignore[type-arg]
        return [sum(numbers), more, rest]

    assert run(total, numbers="[1, 2]", more=["3"], rest=["a"]).text == '[3, [3], ["a"]]'
    for numbers in ("12", ["many"]):
        refused = run(total, numbers=numbers)
        assert refused.failed and refused.text.startswith("Argument `numbers` of `total`")


def test_a_later_positional_argument_alone_is_a_clear_failure(run: Any) -> None:
    def gather(first: int = 1, second: int = 2, /) -> int:
        return first + second

    assert run(gather).text == "3"
    assert run(gather, first=5).text == "7"
    refused = run(gather, second=5)
    assert refused.failed and "`second` can only be given together with" in refused.text


def test_a_tool_without_parameters(run: Any) -> None:
    def now() -> str:
        """The time."""
        return "noon"

    made = tool(now)
    assert made.definition.parameters == {}
    assert run(made).text == "noon"
    assert run(made, hour=1).text == "`now` takes no arguments, but `hour` came."


class Oven:
    """Bakes."""

    def __init__(self, heat: int) -> None:
        self.heat = heat

    def bake(self, what: str) -> str:
        """Bakes something."""
        return f"{what} at {self.heat}"

    async def __call__(self, what: str) -> str:
        """Bakes, later."""
        return f"{what} later"

    @classmethod
    def new(cls, heat: int) -> str:
        return f"oven of {heat}"


def test_methods_partials_things_and_builtins_are_functions_too(run: Any) -> None:
    oven = Oven(200)
    assert run(oven.bake, what="bread").text == "bread at 200"
    assert tool(oven.bake).description == "Bakes something."
    assert run(Oven.new, heat=3).text == "oven of 3"
    assert tool(oven).name == "Oven" and tool(oven).description == "Bakes, later."
    assert run(oven, what="bread").text == "bread later"
    assert run(functools.partial(google, days=4), city="Bern").text == "Bern 4"
    assert tool(functools.partial(google, "Bern")).name == "google"
    assert run(math.sqrt, x=9).text == "3.0"
    assert run(functools.lru_cache(google), city="Bern").text == "Bern 1"
    assert run(tool(lambda a: a, name="same"), a="x").text == "x"


def test_a_thing_whose_call_says_nothing_is_described_by_its_class() -> None:
    import numpy as np

    class Finder:
        """Finds a word.

        Args:
            word: what to look for.
        """

        def __call__(self, word: str) -> str:
            return word

    class Finer(Finder):
        pass

    class Silent:
        def __call__(self, word: str) -> str:
            return word

    for thing in (Finder(), Finer()):
        made = tool(thing)
        assert (made.description, param(thing, "word").description) == ("Finds a word.", "what to look for.")
    assert tool(Silent()).description == ""
    assert tool(np.vectorize(abs), name="each").description != "Call self as a function."


def test_a_wrapped_function_keeps_its_signature(run: Any) -> None:
    @functools.wraps(google)
    def wrapped(*args: Any, **kwargs: Any) -> str:
        return google(*args, **kwargs).upper()

    assert run(wrapped, city="Bern", days="2").text == "BERN 2"


def test_a_tool_is_still_its_function() -> None:
    made = tool(google)
    assert made("Bern", days=2) == "Bern 2"
    assert (made.__name__, made.__doc__) == ("google", google.__doc__)  # type: ignore[attr-defined]
    assert inspect.signature(made) == inspect.signature(google)
    assert repr(made) == "<Tool google(city, days), function, approval='ask'>"


def test_options_stand_in_the_decorator() -> None:
    @tool(name="weather", description="Told otherwise.", approval="allow", timeout_s=2)
    def look(city: str) -> str:
        """Looks."""
        return city

    assert (look.name, look.description, look.approval, look.timeout_s) == ("weather", "Told otherwise.", "allow", 2)
    assert tool(tool(google), approval="deny").approval == "deny"
    assert tool(google, description="").definition.description is None


@pytest.mark.parametrize("name", ["<lambda>", "get weather", "class", "", "a-b", "1a", 5])
def test_a_name_that_no_call_could_hold_is_refused(name: Any) -> None:
    with pytest.raises(BadRequest, match="needs a name"):
        tool(google, name=name)


def test_an_approval_or_a_limit_that_is_none_is_refused() -> None:
    with pytest.raises(BadRequest, match="Known: `allow`, `ask`, `deny`"):
        tool(google, approval="always")  # type: ignore[call-overload]
    made = tool(google)
    with pytest.raises(BadRequest, match="none"):
        made.approval = "yes"  # type: ignore[assignment]
    for limit in (0, -1, math.inf, math.nan, "30", True):
        with pytest.raises(BadRequest, match="timeout_s"):
            tool(google, timeout_s=limit)  # type: ignore[call-overload]
    assert (made.approval, made.timeout_s) == ("ask", 30)
    made.approval = "allow"
    assert made.approval == "allow"


class Opaque:
    pass


@pytest.mark.parametrize("kind", [Opaque, list[Opaque], Callable[[], int], dict[str, Opaque] | None, type])
def test_a_type_that_no_model_can_write_is_refused_when_the_tool_is_made(kind: Any) -> None:
    with pytest.raises(NotSupported, match="parameter `value` of `take` is of type"):
        tool(taking(kind))


def test_what_cannot_be_a_tool_says_why() -> None:
    def lost(value: NoSuchType) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def field(value: int = Field(3)) -> None: ...

    with pytest.raises(NotSupported, match="NoSuchType"):
        tool(lost)
    with pytest.raises(NotSupported, match="Annotated"):
        tool(field)
    with pytest.raises(NotSupported, match="no signature to read"):
        tool(math.hypot)
    with pytest.raises(NotSupported, match="bound method"):
        tool(Oven.bake)
    for nothing in (3, "text", Oven, None):
        with pytest.raises(BadRequest):
            as_tool(nothing)
    with pytest.raises(BadRequest, match="made of a function"):
        tool(3)  # type: ignore[call-overload]


def test_as_tool_takes_tools_functions_definitions_and_builtins() -> None:
    made = tool(google)
    assert as_tool(made) is made
    assert as_tool(google).runnable
    definition = ToolDefinition(tool_name="look", parameters={"city": ToolParamDefinition(param_type="string")})
    offered = as_tool(definition)
    assert offered.definition is definition and not offered.runnable and offered.source == "definition"
    assert offered.check({"city": 3}) == {"city": "3"}
    for builtin in (BuiltinTool.wolfram_alpha, "wolfram_alpha"):
        assert as_tool(builtin).definition == ToolDefinition(tool_name=BuiltinTool.wolfram_alpha)
    assert as_tool("code_interpreter").check({"code": "1"}) == {"code": "1"}
    with pytest.raises(BadRequest, match="Did you mean `brave_search`"):
        as_tool("brave_serch")
    with pytest.raises(NotSupported):
        offered("Bern")


def test_a_definition_is_not_run(run: Any) -> None:
    result = run(ToolDefinition(tool_name="look", parameters={}))
    assert result.failed and result.text == "`look` cannot be run here."


def test_a_function_may_stand_in_for_a_builtin_tool() -> None:
    def brave_search(query: str) -> str:
        return query

    assert tool(brave_search).definition.tool_name is BuiltinTool.brave_search
    with pytest.raises(BadRequest, match="always calls with `query`"):
        tool(google, name="brave_search")


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name.isidentifier() and name not in ("self", "cls", "in", "is", "as", "if", "or", "def", "not", "and")
)
KINDS: list[tuple[Any, Any]] = [
    (str, st.text()),
    (int, st.integers()),
    (float, st.floats(allow_nan=False)),
    (bool, st.booleans()),
    (list[int], st.lists(st.integers())),
    (dict[str, int], st.dictionaries(st.text(), st.integers())),
    (int | None, st.none() | st.integers()),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Any, st.none() | st.integers() | st.text()),
]


@given(data=st.data())
def test_any_signature_takes_what_its_schema_takes(data: st.DataObject) -> None:
    """Names of every spelling (`model_config`, `_x`, `schema`), kinds of parameter and types, in any mixture."""
    odd = st.sampled_from(["model_config", "_hidden", "schema", "copy", "json", "name", "tool", "arguments", "p0"])
    names = data.draw(st.lists(NAMES | odd, unique=True, max_size=5))
    parameters, values = [], {}
    keyword_only = False
    for name in names:
        kind, strategy = data.draw(st.sampled_from(KINDS))
        keyword_only = keyword_only or data.draw(st.booleans())
        has_default = keyword_only and data.draw(st.booleans())
        parameters.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY if keyword_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                annotation=kind,
                default=data.draw(strategy) if has_default else inspect.Parameter.empty,
            )
        )
        if not has_default or data.draw(st.booleans()):
            values[name] = data.draw(strategy)

    def take(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = inspect.Signature(parameters).bind(*args, **kwargs)
        return dict(bound.arguments)

    take.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    take.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    made: Tool = tool(take)
    assert list(made.definition.parameters or {}) == names
    jsonschema.validate(values, made.schema)
    fitting = made.check(values)
    assert made.action is not None
    assert made.action(fitting, print) == fitting == values


@given(
    arguments=st.dictionaries(
        st.text(max_size=5) | st.sampled_from(["city", "days"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_whatever_comes_either_fits_or_is_refused_in_a_sentence(arguments: dict[str, Any]) -> None:
    try:
        fitting = tool(google).check(arguments)
    except LlamaError as error:
        said = str(error)
    else:
        said = "`google`"
        assert isinstance(fitting["city"], str) and isinstance(fitting.get("days", 1), int)
    assert said.startswith(("`google`", "Argument `")) and len(said) < 500
