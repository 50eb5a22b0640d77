"""Tools that a prompt may offer, requests for them, the calls that are due, and what their results become.

Some tools are written by hand, with the many ways people ask for them; the others are made from random words, so that
the model must read what is offered instead of knowing it. A value of bare digits becomes a JSON number, all else a
string, copied as it was typed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from llama_nb.apis.messages import ToolDefinition, ToolParamDefinition
from llama_nb.demo import toolrows, words
from llama_nb.demo.toolrows import Value


class Use(NamedTuple):
    """One request to a tool: what is typed, the arguments due, and how the result is to be introduced."""

    ask: str
    arguments: dict[str, Any]
    about: str


class Offer(NamedTuple):
    """A tool as it is offered once, and how it is asked for; `again` asks for it with another value."""

    definition: ToolDefinition
    use: Callable[[Random], Use]
    again: Callable[[Random], Use] | None = None
    result: Callable[[Random], str] | None = None
    missing: tuple[str, str] | None = None  # a request that lacks a value, and the question back


def _argument(typed: str) -> int | float | str:
    if typed.isdecimal() and (typed == "0" or typed[0] != "0"):
        return int(typed)
    whole, point, part = typed.partition(".")
    if point and whole.isdecimal() and part.isdecimal():
        return float(typed) if str(float(typed)) == typed else typed
    return typed


def _definition(name: str, description: str, parameters: dict[str, tuple[str, str, bool]]) -> ToolDefinition:
    """`parameters`: name → (type, description, required)."""
    return ToolDefinition(
        tool_name=name,
        description=description,
        parameters={
            key: ToolParamDefinition(param_type=kind, description=text, required=required)
            for key, (kind, text, required) in parameters.items()
        },
    )


# Weather: the tool that everyone tries first -------------------------------------------------------------------------

_WEATHER_ASKS = (
    "(what's|what is|how's|how is|tell me|show me|give me|get|check|find|look up|do you know|could you tell me|"
    "can you tell me|I'd like to know|I need|can you get|what about|"
    "fetch|please check|let me know|report|can you check|could you check|i want to know|whats) (the weather|the "
    "current weather|the weather forecast|the forecast|the weather like|the temperature|the weather report) (in|"
    "in|in|for|at) {0}{1}?",
    "(weather|weather in|forecast for|temperature in|weather for|the weather in|forecast|weather report for|"
    "current weather in|weather forecast) {0}{1}?",
    "(is it|will it be|is it going to be|was it|how) (warm|cold|hot|sunny|rainy|windy|cloudy|nice|raining|"
    "snowing|freezing|foggy|stormy|humid|dry|wet|chilly|cool|mild) (in|over in|down in) {0}{1}?",
    "(is it raining|will it rain|does it rain|is it snowing|will it snow|is there rain|is there snow|is the sun "
    "shining|will the sun shine|will there be a storm) in {0}{1}?",
    "(do I need|should I take|should I bring|will I need|should I pack) (an umbrella|a coat|a jacket|sunglasses|"
    "a raincoat|warm clothes|a sweater|sunscreen|boots|gloves) in {0}{1}?",
    "(how|what) (warm is it|cold is it|hot is it|is the temperature|is it like outside|is "
    "the sky like|cold will it be) in {0}{1}?",
    "(I am travelling to|I am going to|we are flying to|I will be in|I'm visiting|We drive to) {0}{1}(.|,) "
    "(what's the weather|how is the weather|what will the weather be|what weather can I expect|how is the "
    "weather there|what is the weather like there)?",
    "{0} weather{1}?",
    "(what about|and|how about) (the weather in|in|the weather for) {0}{1}?",
    "what (weather|temperature|kind of weather) (do they have|is it|does it have|can I expect|awaits me) in {0}{1}?",
    "(use get_weather for|call the weather tool for|use the weather tool for|use the tool for|ask the weather "
    "tool about) {0}{1}",
    "(what's it like outside|what is it like) in {0}{1}?",
)
_SKIES = "sunny cloudy rainy windy foggy snowy clear stormy misty dry".split()


def _weather(rng: Random) -> Offer:
    name = rng.choices(
        (
            "get_weather",
            "weather",
            "get_current_weather",
            "weather_forecast",
            "current_weather",
            "fetch_weather",
            "get_forecast",
            "lookup_weather",
            "weather_in",
            "check_weather",
        ),
        (40, 8, 10, 8, 6, 6, 6, 5, 5, 6),
    )[0]
    key = rng.choices(("city", "location", "place", "town", "city_name", "where"), (45, 25, 12, 8, 6, 4))[0]
    parameters = {
        key: (
            "str",
            rng.choice(
                (
                    "The city",
                    "Name of the city",
                    "The city to look up",
                    "City name",
                    "The place",
                    "The name of the city",
                    "Where",
                    "The city, e.g. Paris",
                    "The location",
                    "the city whose weather is wanted",
                    "A city",
                    "",
                )
            ),
            True,
        )
    }
    unit = day = None
    if rng.random() < 0.25:
        unit = rng.choice(("unit", "units", "scale"))
        parameters[unit] = (
            "str",
            rng.choice(
                (
                    "celsius or fahrenheit",
                    "Unit of the temperature",
                    "The unit: celsius or fahrenheit",
                    "Temperature unit",
                    "",
                )
            ),
            False,
        )
    if rng.random() < 0.25:
        day = rng.choice(("day", "date", "when"))
        parameters[day] = (
            "str",
            rng.choice(("The day", "Which day", "Day of the forecast", "today, tomorrow or a weekday", "")),
            False,
        )
    description = rng.choice(
        (
            "Get the weather in a city",
            "The weather in a city",
            "The current weather for a city",
            "Get the current weather",
            "Weather forecast for a place",
            "Look up the weather",
            "Returns the weather of a city",
            "Tells the weather in a place",
            "Get weather info for places",
            "The weather of a place, now or later",
            "Fetch the weather",
            "Get the current temperature and sky",
            "",
        )
    )

    def use(rng: Random, templates: tuple[str, ...] = _WEATHER_ASKS) -> Use:
        city = words.city(rng)
        arguments: dict[str, Any] = {key: city}
        tail, values = "", [city]
        if day and rng.random() < 0.5:
            wanted = words.day(rng)
            tail += rng.choice((" {2}", " {2}", " on {2}") if wanted[0].isupper() else (" {2}",))
            arguments[day] = wanted
            values += ["", wanted]
        else:
            values += ["", ""]
        if unit and rng.random() < 0.5:
            wanted = rng.choice(("celsius", "fahrenheit", "Celsius", "Fahrenheit"))
            tail += rng.choice((" in {3}", ", in {3}", " (in {3})"))
            arguments[unit] = wanted
            values += [wanted]
        ordered = {name_: arguments[name_] for name_ in parameters if name_ in arguments}
        ask = words.typed(rng, words.say(rng, rng.choice(templates)).replace("{1}", tail))
        if day not in arguments and rng.random() < 0.1:
            ask = (
                ask.rstrip("?.") + rng.choice((" today", " now", " right now", " at the moment", " please")) + "?"
                if "day" not in parameters and "date" not in parameters and "when" not in parameters
                else ask
            )
        return Use(ask.format(*values, *[""] * (4 - len(values))), ordered, f"The weather in {city}")

    def again(rng: Random) -> Use:
        return use(
            rng,
            (
                "(and|what about|how about|and what about|and how about|now|then) (in|in|) {0}{1}?",
                "(the same for|now for|and for|and now|do the same for|also for) {0}{1}",
                "(in|and in|and the weather in) {0}{1}?",
            ),
        )

    def result(rng: Random) -> str:
        degrees, sky = rng.randint(-20, 40), rng.choice(_SKIES)
        return rng.choice(
            (
                f"{degrees} degrees, {sky}",
                f"{sky}, {degrees} °C",
                f"{degrees}°C and {sky}",
                json.dumps({"temperature": degrees, "sky": sky}),
                f"{sky}",
                f"{degrees} °C",
                json.dumps({"condition": sky, "temp_c": degrees}),
                f"{sky.capitalize()}, {degrees} degrees, wind {rng.randint(1, 90)} km/h",
                json.dumps({"temperature": degrees, "unit": "celsius", "condition": sky}),
            )
        )

    missing = (
        words.say(
            rng,
            "(what's the weather|how is the weather|weather|what is the weather like|tell me the weather|check "
            "the weather)?",
        ),
        "For which place?",
    )
    return Offer(_definition(name, description, parameters), use, again, result, missing)


# Calculators ---------------------------------------------------------------------------------------------------------

_SUM_ASKS = (
    "(what is|what's|calculate|compute|how much is|work out|evaluate|solve|can you calculate|could you compute|"
    "tell me|please calculate|find|what does|I need|give me|do you know|whats|determine|figure out) {0}?",
    "{0}",
    "{0} = ?",
    "{0}?",
    "(use the calculator for|use the calculator:|with the calculator:|calculator:) {0}",
    "(the result of|what is the result of|what's the value of|what's the answer to) {0}?",
)
_SPOKEN = {
    "+": ("plus", "added to", "and", "plus"),
    "-": ("minus", "minus", "minus", "take away"),
    "*": ("times", "multiplied by", "x", "times"),
    "/": ("divided by", "over", "divided by", "by"),
}


def _expression_tool(rng: Random) -> Offer:
    name = rng.choices(
        ("calculator", "calculate", "compute", "eval_expression", "evaluate", "calc", "math"), (40, 20, 10, 6, 8, 10, 6)
    )[0]
    key = rng.choices(("expression", "expr", "formula", "query", "input", "calculation"), (55, 12, 10, 6, 7, 10))[0]
    description = rng.choice(
        (
            "Evaluates an arithmetic expression",
            "A calculator",
            "Calculate an expression",
            "Computes the value of an expression",
            "Do arithmetic",
            "Evaluate a mathematical expression",
            "Simple calculator",
            "Arithmetic",
            "Calculates",
            "Works out sums",
            "Returns the value of a formula",
        )
    )
    text = rng.choice(
        (
            "The expression",
            "An arithmetic expression",
            "What to calculate",
            "The expression to evaluate",
            "e.g. 2 + 2",
            "Expression",
            "the formula",
            "",
        )
    )

    def use(rng: Random, templates: tuple[str, ...] = _SUM_ASKS) -> Use:
        parts = [words.amount(rng)]
        for _ in range(rng.choice((1, 1, 1, 2))):
            parts += [rng.choice("+-**/"), words.amount(rng)]
        spoken = rng.random() < 0.35
        written = " ".join(rng.choice(_SPOKEN[part]) if spoken and part in _SPOKEN else part for part in parts)
        expression = " ".join(parts)
        if not spoken and rng.random() < 0.2:
            written = expression = expression.replace(" ", "")
        elif not spoken and rng.random() < 0.12 and len(parts) > 3:
            written = expression = f"({' '.join(parts[:3])}) {' '.join(parts[3:])}"
        return Use(
            words.typed(rng, words.say(rng, rng.choice(templates))).format(written),
            {key: expression},
            f"{expression} =",
        )

    def again(rng: Random) -> Use:
        return use(rng, ("(and|what about|how about|and what about|now|then) {0}?",))

    return Offer(
        _definition(name, description, {key: ("str", text, True)}),
        use,
        again,
        lambda rng: rng.choice((words.amount(rng), f"-{words.number(rng)}")),
    )


_OPERATIONS = (
    (
        "add",
        "(what is|what's|add|calculate|compute|how much is|the sum of|what is the sum of) {0} (plus|and|+|added "
        "to) {1}?",
    ),
    (
        "multiply",
        "(what is|what's|multiply|calculate|compute|how much is|the product of|what is the product of) {0} "
        "(times|by|*|multiplied by|x) {1}?",
    ),
    ("subtract", "(what is|what's|calculate|compute|how much is) {0} (minus|-|take away) {1}?"),
    ("divide", "(what is|what's|divide|calculate|compute|how much is) {0} (divided by|/|over|by) {1}?"),
)


def _operands(rng: Random) -> tuple[str, str]:
    return rng.choices((("a", "b"), ("x", "y"), ("first", "second"), ("left", "right")), (60, 20, 12, 8))[0]


def _operation_tool(rng: Random) -> Offer:
    first, second = _operands(rng)
    name = rng.choice(("calculator", "calculate", "arithmetic", "compute", "math"))
    operation = rng.choice(("operation", "operation", "op", "operator"))
    kind = rng.choice(("number", "int", "float"))
    parameters = {
        first: (kind, rng.choice(("The first number", "First operand", "")), True),
        second: (kind, rng.choice(("The second number", "Second operand", "")), True),
        operation: (
            "str",
            rng.choice(
                ("add, subtract, multiply or divide", "One of add, subtract, multiply, divide", "The operation")
            ),
            True,
        ),
    }
    if rng.random() < 0.3:
        parameters = {key: parameters[key] for key in (operation, first, second)}

    def use(rng: Random) -> Use:
        word, templates = rng.choice(_OPERATIONS)
        a, b = words.amount(rng), words.amount(rng)
        given = {first: _argument(a), second: _argument(b), operation: word}
        ask = words.typed(rng, words.say(rng, templates)).format(a, b)
        return Use(ask, {key: given[key] for key in parameters}, "The result")

    return Offer(
        _definition(
            name,
            rng.choice(
                (
                    "A calculator for two numbers",
                    "Calculates with two numbers",
                    "Basic arithmetic",
                    "Do arithmetic on two numbers",
                )
            ),
            parameters,
        ),
        use,
        None,
        words.amount,
    )


def _one_operation_tool(rng: Random) -> Offer:
    word, templates = rng.choice(_OPERATIONS)
    first, second = _operands(rng)
    name = rng.choice((word, word, f"{word}_numbers", f"{word}_two"))
    kind = rng.choice(("number", "int", "float"))
    parameters = {
        first: (kind, rng.choice(("The first number", "First number", "")), True),
        second: (kind, rng.choice(("The second number", "Second number", "")), True),
    }

    def use(rng: Random) -> Use:
        a, b = words.amount(rng), words.amount(rng)
        return Use(
            words.typed(rng, words.say(rng, templates)).format(a, b),
            {first: _argument(a), second: _argument(b)},
            "The result",
        )

    return Offer(
        _definition(
            name, rng.choice((f"{word.capitalize()} two numbers", f"{word.capitalize()}s two numbers")), parameters
        ),
        use,
        None,
        words.amount,
    )


# Tools written as rows ------------------------------------------------------------------------------------------------


def _from_row(rng: Random, row: toolrows.Row) -> Offer:
    keys = [rng.choice(names.split("|")) for names, _, _ in row.parameters]
    while len(set(keys)) < len(keys):
        keys = [rng.choice(names.split("|")) for names, _, _ in row.parameters]
    parameters = {}
    for key, (_, value, texts) in zip(keys, row.parameters, strict=True):
        kind = "int" if isinstance(_argument(value(rng)), int) else "str"
        parameters[key] = (kind, rng.choice(texts.split("|")), True)
    name = rng.choice(row.names.split("|"))
    definition = _definition(name, rng.choice(row.descriptions.split("|")), parameters)

    def use(rng: Random) -> Use:
        values = [value(rng) for _, value, _ in row.parameters]
        ask = words.typed(rng, words.say(rng, f"({row.asks})")).format(*values)
        return Use(
            ask, {key: _argument(value) for key, value in zip(keys, values, strict=True)}, row.about.format(*values)
        )

    return Offer(definition, use, None, row.results)


# Tools made from random words ---------------------------------------------------------------------------------------

_DOING = """
get fetch show find list check open close start stop create delete update read write send load save copy move print
count measure rename lock unlock archive publish paint build repair clean order cancel book track search select sort
compare export import upload download share merge plot draw record scan sign approve reject assign pause wash fold
""".split()


def _made_up_tool(rng: Random) -> Offer:
    """`frobnicate_report(level)`: its description, and the request, use the words of its name."""
    verb = rng.choice(_DOING) if rng.random() < 0.65 else words.made_up(rng)
    thing = words.word(rng)
    name = rng.choice(
        (f"{verb}_{thing}", f"{verb}_{thing}", f"{verb}{thing.capitalize()}", f"{thing}_{verb}", f"{verb}_the_{thing}")
    )
    kinds: list[tuple[str, Value]] = []
    for key, value in rng.sample(_PARAMETERS, rng.choices((0, 1, 2, 3), (10, 50, 30, 10))[0]):
        kinds.append((key if rng.random() < 0.75 else words.made_up(rng), value))
    if len({key for key, _ in kinds}) < len(kinds):
        kinds = kinds[:1]
    described = rng.choice(
        (
            f"{verb.capitalize()} the {thing}",
            f"{verb.capitalize()} a {thing}",
            f"{verb.capitalize()}s the {thing}",
            f"Use this to {verb} the {thing}",
            f"{verb} {thing}",
            f"Can {verb} the {thing}",
        )
    )
    parameters = {
        key: ("str", rng.choice((f"The {key}", key, f"{key.capitalize()} of the {thing}", f"Which {key}", "")), True)
        for key, _ in kinds
    }

    def use(rng: Random) -> Use:
        values = [value(rng) for _, value in kinds]
        ask = words.say(
            rng,
            f"({verb}|please {verb}|can you {verb}|I want to {verb}|{verb}|could you {verb}|you should {verb}|"
            f"{verb} now|let us {verb}|i need you to {verb}|{verb}) (the|a|my|the) {thing}",
        )
        order = list(range(len(kinds)))
        if rng.random() < 0.25:
            rng.shuffle(order)
        for place in order:
            key = kinds[place][0]
            ask += rng.choice(
                (
                    f" with {key} {{{place}}}",
                    f" with {key} {{{place}}}",
                    f", {key} {{{place}}}",
                    f" ({key}: {{{place}}})",
                    f", {key} is {{{place}}}",
                    f" and use {{{place}}} as {key}",
                    f" {key}={{{place}}}",
                    f" with the {key} {{{place}}}",
                    f" for {key} {{{place}}}",
                )
            )
        if len(kinds) == 1 and rng.random() < 0.4:
            ask = ask[: ask.index(f"{thing}") + len(thing)] + rng.choice(
                (
                    " {0}",
                    " called {0}",
                    " named {0}",
                    " for {0}",
                    " of {0}",
                    ": {0}",
                    " from {0}",
                    " to {0}",
                    " in {0}",
                    " at {0}",
                )
            )
        return Use(
            words.typed(rng, ask).format(*values),
            {key: _argument(value) for (key, _), value in zip(kinds, values, strict=True)},
            f"{verb.capitalize()} {thing}",
        )

    return Offer(
        _definition(name, described, parameters),
        use,
        None,
        rng.choice((words.phrase, words.amount, words.name, words.made_up)),
    )


_PARAMETERS: list[tuple[str, Value]] = [
    ("name", words.name),
    ("title", words.title),
    ("city", words.city),
    ("count", toolrows.minutes),
    ("amount", words.amount),
    ("level", toolrows.percent),
    ("size", toolrows.minutes),
    ("color", lambda rng: rng.choice(words.COLOURS)),
    ("topic", words.word),
    ("date", words.day),
    ("time", words.clock),
    ("person", words.name),
    ("text", words.phrase),
    ("id", lambda rng: str(words.number(rng))),
    ("code", words.code),
    ("year", lambda rng: str(rng.randint(1900, 2050))),
    ("page", toolrows.minutes),
    ("speed", toolrows.percent),
    ("mode", words.word),
    ("owner", words.name),
    ("target", words.code),
    ("label", words.phrase),
    ("price", words.amount),
    ("file", toolrows.file),
    ("place", words.city),
    ("language", toolrows.language),
    ("age", toolrows.percent),
    ("word", words.word),
]


def offer(rng: Random) -> Offer:
    kind = rng.random()
    if kind < 0.22:
        return _weather(rng)
    if kind < 0.34:
        return _expression_tool(rng)
    if kind < 0.38:
        return _operation_tool(rng)
    if kind < 0.41:
        return _one_operation_tool(rng)
    if kind < 0.72:
        return _from_row(rng, rng.choice(toolrows.ROWS))
    return _made_up_tool(rng)


def offers(rng: Random) -> list[Offer]:
    """One to three tools that differ in name and in what they are for."""
    wanted = rng.choices((1, 2, 3), (52, 30, 18))[0]
    found: list[Offer] = []
    kinds: list[str] = []
    while len(found) < wanted:
        one = offer(rng)
        kind = _kind(one)
        if kind not in kinds:
            found.append(one)
            kinds.append(kind)
    return found


# What would also pass for a general question when no tool is there
_ASKING = (
    "define",
    "population",
    "distance",
    "convert",
    "count",
    "reverse",
    "translate",
    "news",
    "number",
    "dice",
    "coin",
    "stock",
    "temperature",
)


def doing(rng: Random) -> Offer:
    """A tool whose requests clearly want something done."""
    while True:
        one = _weather(rng) if rng.random() < 0.3 else offer(rng)
        name = _kind(one)
        if name != "calculator" and not any(word in name for word in _ASKING):
            return one


def other_than(rng: Random, offered: list[Offer]) -> Offer:
    """A tool of another kind than those offered."""
    kinds = [_kind(one) for one in offered]
    while True:
        one = offer(rng)
        if _kind(one) not in kinds:
            return one


_ALIKE = {name: row.names for row in toolrows.ROWS for name in row.names.split("|")}


def _kind(one: Offer) -> str:
    """What must not be offered twice at a time: tools that the same request would fit."""
    name = str(one.definition.tool_name)
    if one.result is words.amount or "calc" in name or name in ("compute", "evaluate", "math", "eval_expression"):
        return "calculator"
    if "weather" in name or name == "get_forecast":
        return "weather"
    return _ALIKE.get(name, name)


def answer_from(use: Use, tool_name: str, result: str) -> str:
    """The sentence that tells the result of a call."""
    try:
        content = json.loads(result)
    except ValueError:
        content = result
    if isinstance(content, dict):
        return f"{use.about}: " + ", ".join(f"{key} {value}" for key, value in content.items()) + "."
    if result.startswith("error"):
        return f"The tool {tool_name} failed: {result}."
    return f"{use.about} {result}." if use.about.endswith("=") else f"{use.about}: {result}."


def some_result(rng: Random, one: Offer) -> str:
    kind = rng.random()
    if kind < 0.06:
        return "error: " + words.phrase(rng)
    if kind < 0.12:
        return json.dumps(
            {words.made_up(rng): rng.choice((words.number(rng), words.word(rng))) for _ in range(rng.choice((1, 2, 3)))}
        )
    if kind < 0.2:
        return words.phrase(rng)
    return (one.result or words.phrase)(rng)
