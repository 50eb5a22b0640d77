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
from llama_nb.demo import words

Value = Callable[[Random], str]


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
    "(what's|what is|how's|how is|tell me|show me|give me|get|check|find|look up|do you know|could you tell me|can you tell me|I'd like to know|I need|can you get|what about|"
    "fetch|please check|let me know|report|can you check|could you check|i want to know|whats) (the weather|the current weather|the weather forecast|the forecast|the weather like|the temperature|the weather report) (in|in|in|for|at) {0}{1}?",
    "(weather|weather in|forecast for|temperature in|weather for|the weather in|forecast|weather report for|current weather in|weather forecast) {0}{1}?",
    "(is it|will it be|is it going to be|was it|how) (warm|cold|hot|sunny|rainy|windy|cloudy|nice|raining|snowing|freezing|foggy|stormy|humid|dry|wet|chilly|cool|mild) (in|over in|down in) {0}{1}?",
    "(is it raining|will it rain|does it rain|is it snowing|will it snow|is there rain|is there snow|is the sun shining|will the sun shine|will there be a storm) in {0}{1}?",
    "(do I need|should I take|should I bring|will I need|should I pack) (an umbrella|a coat|a jacket|sunglasses|a raincoat|warm clothes|a sweater|sunscreen|boots|gloves) in {0}{1}?",
    "(how|what) (warm is it|cold is it|hot is it|is the temperature|degrees does it have|is it like outside|is the sky like|cold will it be) in {0}{1}?",
    "(I am travelling to|I am going to|we are flying to|I will be in|I'm visiting|We drive to) {0}{1}(.|,) (what's the weather|how is the weather|what will the weather be|what weather can I expect|how is the weather there|what is the weather like there)?",
    "{0} weather{1}?",
    "(what about|and|how about) (the weather in|in|the weather for) {0}{1}?",
    "what (weather|temperature|kind of weather) (do they have|is it|does it have|can I expect|awaits me) in {0}{1}?",
    "(use get_weather for|call the weather tool for|use the weather tool for|use the tool for|ask the weather tool about) {0}{1}",
    "(what's it like outside|what is it like) in {0}{1}?",
)
_SKIES = "sunny cloudy rainy windy foggy snowy clear stormy misty dry".split()


def _weather(rng: Random) -> Offer:
    name = rng.choices(
        ("get_weather", "weather", "get_current_weather", "weather_forecast", "current_weather", "fetch_weather", "get_forecast", "lookup_weather", "weather_in", "check_weather"),
        (40, 8, 10, 8, 6, 6, 6, 5, 5, 6),
    )[0]
    key = rng.choices(("city", "location", "place", "town", "city_name", "where"), (45, 25, 12, 8, 6, 4))[0]
    parameters = {key: ("str", rng.choice(("The city", "Name of the city", "The city to look up", "City name", "The place", "The name of the city", "Where", "The city, e.g. Paris",
                                           "The location", "the city whose weather is wanted", "A city", "")), True)}
    unit = day = None
    if rng.random() < 0.25:
        unit = rng.choice(("unit", "units", "scale"))
        parameters[unit] = ("str", rng.choice(("celsius or fahrenheit", "Unit of the temperature", "The unit: celsius or fahrenheit", "Temperature unit", "")), False)
    if rng.random() < 0.25:
        day = rng.choice(("day", "date", "when"))
        parameters[day] = ("str", rng.choice(("The day", "Which day", "Day of the forecast", "today, tomorrow or a weekday", "")), False)
    description = rng.choice(
        ("Get the weather in a city", "The weather in a city", "The current weather for a city", "Get the current weather", "Weather forecast for a place", "Look up the weather",
         "Returns the weather of a city", "Tells the weather in a place", "Get weather info for places", "The weather of a place, now or later", "Fetch the weather", "Get the current temperature and sky", "")
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
            ask = ask.rstrip("?.") + rng.choice((" today", " now", " right now", " at the moment", " please")) + "?" if "day" not in parameters and "date" not in parameters and "when" not in parameters else ask
        return Use(ask.format(*values, *[""] * (4 - len(values))), ordered, f"The weather in {city}")

    def again(rng: Random) -> Use:
        return use(rng, ("(and|what about|how about|and what about|and how about|now|then) (in|in|) {0}{1}?", "(the same for|now for|and for|and now|do the same for|also for) {0}{1}", "(in|and in|and the weather in) {0}{1}?"))

    def result(rng: Random) -> str:
        degrees, sky = rng.randint(-20, 40), rng.choice(_SKIES)
        return rng.choice(
            (f"{degrees} degrees, {sky}", f"{sky}, {degrees} °C", f"{degrees}°C and {sky}", json.dumps({"temperature": degrees, "sky": sky}), f"{sky}", f"{degrees} °C",
             json.dumps({"condition": sky, "temp_c": degrees}), f"{sky.capitalize()}, {degrees} degrees, wind {rng.randint(1, 90)} km/h", json.dumps({"temperature": degrees, "unit": "celsius", "condition": sky}))
        )

    missing = (words.say(rng, "(what's the weather|how is the weather|weather|what is the weather like|tell me the weather|check the weather)?"), "For which place?")
    return Offer(_definition(name, description, parameters), use, again, result, missing)


# Calculators ---------------------------------------------------------------------------------------------------------

_SUM_ASKS = (
    "(what is|what's|calculate|compute|how much is|work out|evaluate|solve|can you calculate|could you compute|tell me|please calculate|find|what does|I need|give me|do you know|whats|determine|figure out) {0}?",
    "{0}", "{0} = ?", "{0}?", "(use the calculator for|use the calculator:|with the calculator:|calculator:) {0}", "(the result of|what is the result of|what's the value of|what's the answer to) {0}?",
)
_SPOKEN = {
    "+": ("plus", "added to", "and", "plus"),
    "-": ("minus", "minus", "minus", "take away"),
    "*": ("times", "multiplied by", "x", "times"),
    "/": ("divided by", "over", "divided by", "by"),
}


def _expression_tool(rng: Random) -> Offer:
    name = rng.choices(("calculator", "calculate", "compute", "eval_expression", "evaluate", "calc", "math"), (40, 20, 10, 6, 8, 10, 6))[0]
    key = rng.choices(("expression", "expr", "formula", "query", "input", "calculation"), (55, 12, 10, 6, 7, 10))[0]
    description = rng.choice(("Evaluates an arithmetic expression", "A calculator", "Calculate an expression", "Computes the value of an expression", "Do arithmetic", "Evaluate a mathematical expression",
                              "Simple calculator", "Arithmetic", "Calculates", "Works out sums", "Returns the value of a formula"))
    text = rng.choice(("The expression", "An arithmetic expression", "What to calculate", "The expression to evaluate", "e.g. 2 + 2", "Expression", "the formula", ""))

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
        return Use(words.typed(rng, words.say(rng, rng.choice(templates))).format(written), {key: expression}, f"{expression} =")

    def again(rng: Random) -> Use:
        return use(rng, ("(and|what about|how about|and what about|now|then) {0}?",))

    return Offer(_definition(name, description, {key: ("str", text, True)}), use, again, lambda rng: rng.choice((words.amount(rng), f"-{words.number(rng)}")))


_OPERATIONS = (
    ("add", "(what is|what's|add|calculate|compute|how much is|the sum of|what is the sum of) {0} (plus|and|+|added to) {1}?"),
    ("multiply", "(what is|what's|multiply|calculate|compute|how much is|the product of|what is the product of) {0} (times|by|*|multiplied by|x) {1}?"),
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
        operation: ("str", rng.choice(("add, subtract, multiply or divide", "One of add, subtract, multiply, divide", "The operation")), True),
    }
    if rng.random() < 0.3:
        parameters = {key: parameters[key] for key in (operation, first, second)}

    def use(rng: Random) -> Use:
        word, templates = rng.choice(_OPERATIONS)
        a, b = words.amount(rng), words.amount(rng)
        given = {first: _argument(a), second: _argument(b), operation: word}
        ask = words.typed(rng, words.say(rng, templates)).format(a, b)
        return Use(ask, {key: given[key] for key in parameters}, "The result")

    return Offer(_definition(name, rng.choice(("A calculator for two numbers", "Calculates with two numbers", "Basic arithmetic", "Do arithmetic on two numbers")), parameters), use, None, words.amount)


def _one_operation_tool(rng: Random) -> Offer:
    word, templates = rng.choice(_OPERATIONS)
    first, second = _operands(rng)
    name = rng.choice((word, word, f"{word}_numbers", f"{word}_two"))
    kind = rng.choice(("number", "int", "float"))
    parameters = {first: (kind, rng.choice(("The first number", "First number", "")), True), second: (kind, rng.choice(("The second number", "Second number", "")), True)}

    def use(rng: Random) -> Use:
        a, b = words.amount(rng), words.amount(rng)
        return Use(words.typed(rng, words.say(rng, templates)).format(a, b), {first: _argument(a), second: _argument(b)}, "The result")

    return Offer(_definition(name, rng.choice((f"{word.capitalize()} two numbers", f"{word.capitalize()}s two numbers")), parameters), use, None, words.amount)


# Tools written as rows ------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """Names, descriptions, parameters (names joined by `|`, a value, a description) and requests with `{0}`, `{1}` …"""

    names: str
    descriptions: str
    parameters: tuple[tuple[str, Value, str], ...]
    asks: str
    about: str = "The answer"
    results: Value = words.phrase


def _die(rng: Random) -> str:
    return rng.choice(("4", "6", "6", "8", "10", "12", "20", "100", str(words.number(rng))))


def _money(rng: Random) -> str:
    return rng.choice(("USD", "EUR", "GBP", "JPY", "CHF", "euros", "dollars", "pounds", "yen", "SEK", "INR", "CNY", "AUD", "CAD", "NOK", "PLN"))


def _sentence(rng: Random) -> str:
    return rng.choice(("good morning", "thank you", "how are you", "where is the station", "I am hungry", "see you tomorrow", "hello", "the cat sleeps", "I love you", "good night")) if rng.random() < 0.3 else words.phrase(rng)


def _language(rng: Random) -> str:
    return rng.choice(words.LANGUAGES) if rng.random() < 0.7 else words.made_up(rng).capitalize()


def _symbol(rng: Random) -> str:
    return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(2, 5))) if rng.random() < 0.5 else words.made_up(rng).capitalize()


def _minutes(rng: Random) -> str:
    return str(rng.randint(1, 90))


def _percent(rng: Random) -> str:
    return str(rng.randint(0, 100))


def _file(rng: Random) -> str:
    return f"{words.made_up(rng)}.{rng.choice(('txt', 'csv', 'py', 'md', 'json', 'pdf', 'png'))}"


ROWS = (
    Row("get_time|current_time|time_in|world_clock|get_current_time", "The time of day in a city|Get the current time in a place|What time it is somewhere|Local time of a city|Current time", (("city|timezone|place|location", words.city, "The city|Where|The place|"),),
        "(what time is it|what's the time|tell me the time|what is the time|do you know the time|current time|give me the time|what is the local time|how late is it|the time) (in|over in) {0}?", "The time in {0}", words.clock),
    Row("convert_currency|currency_converter|exchange|convert_money", "Convert an amount between currencies|Converts money|Exchange rates|Currency conversion", (("amount|value|sum", words.amount, "The amount|How much|"), ("from|source|from_currency|base", _money, "The currency to convert from|From|"), ("to|target|to_currency|into", _money, "The currency to convert to|To|")),
        "(convert|change|exchange|please convert|can you convert) {0} {1} (to|into|in) {2}|(how much is|how much are|what is|what are) {0} {1} in {2}?|{0} {1} (in|to) {2}", "{0} {1} in {2}", words.decimal),
    Row("search_notes|find_notes|notes_search|search_my_notes", "Search the user's notes|Finds notes|Full-text search in my notes|Search notes", (("query|text|search|keyword|term", words.phrase, "What to look for|The search text|Search term|"),),
        "(search|search in|look through|go through|check) (my notes|the notes|notes) for {0}|(find|look for|find me) (notes about|my notes on|the note about|notes on|notes with) {0}|what do my notes say about {0}?|do I have notes (on|about) {0}?", "Your notes", words.phrase),
    Row("send_message|message|text_someone|send_text|write_message", "Send a message to a person|Sends a text message|Message someone|Sends a short text", (("recipient|to|person|contact", words.name, "Who gets it|The recipient|Name of the person|"), ("text|message|body|content", words.phrase, "What to say|The message|The text|")),
        "(send|write|text|send a message to|message|tell) {0}(:| the message| saying| the text|, that says|: |) {1}|(send a message to|write a message to|send a text to) {0} (saying|that says|with the text|:) {1}|(tell|let) {0} (know|know that|that) {1}", "The message to {0}", lambda rng: rng.choice(("sent", "ok", "delivered", "done", "failed"))),
    Row("roll_dice|roll_die|dice|throw_dice", "Roll a die|Rolls dice|Throws a die with so many sides|Roll a die with any number of sides", (("sides|faces|n", _die, "How many sides|Number of sides|"),),
        "(roll|throw|please roll|can you roll|toss|roll me) (a|one|a die with|a dice with) {0}(-sided die| sides|-sided dice| sided die)|(roll a d|throw a d){0}", "The die shows", _minutes),
    Row("flip_coin|toss_coin|coin_flip", "Flip a coin|Toss a coin|Heads or tails", (), "(flip|toss|throw|please flip|can you flip|could you toss) a coin|(heads or tails|coin flip|flip it|a coin toss please)?", "The coin shows", lambda rng: rng.choice(("heads", "tails"))),
    Row("translate|translate_text|translator|translation", "Translate a text|Translates text into a language|Translation of text|Translate into another language", (("text|phrase|sentence|source_text", _sentence, "The text|What to translate|"), ("language|target_language|to|target|into", _language, "The language|Target language|Into which language|")),
        "(translate|please translate|can you translate|could you translate) (\"{0}\"|'{0}'|{0}|\"{0}\") (to|into|in) {1}|(how do you say|how do I say|what is|what's|say) (\"{0}\"|{0}|'{0}') in {1}?", "In {1}", words.phrase),
    Row("play_song|play_music|play|music_player|start_song", "Play a song|Plays music|Starts a song|Play a piece of music", (("title|song|name|track", words.title, "The song|Title|Name of the song|"),),
        "(play|please play|can you play|put on|start|I want to hear|listen to|let me hear|play the song|play me) (the song|the track|) {0}", "The player", lambda rng: rng.choice(("playing", "not found", "started", "ok"))),
    Row("set_timer|start_timer|timer|countdown", "Set a timer|Starts a timer|A timer that rings|Start a countdown", (("minutes|duration|length|mins", _minutes, "How many minutes|Minutes|Duration in minutes|"),),
        "(set|start|please set|can you set|make|create) (a timer|a timer|the timer|a countdown) (for|of|to) {0} (minutes|minutes|min|mins)|(timer|a timer) (for|of|) {0} (minutes|min)|(remind me in|wake me in|ring in|count down) {0} minutes", "The timer", lambda rng: rng.choice(("started", "set", "running", "ok"))),
    Row("set_alarm|alarm|wake_me|create_alarm", "Set an alarm|Wakes the user|An alarm clock|Sets the alarm clock", (("time|at|when|hour", words.clock, "The time|When to ring|Time of day|"),),
        "(set|make|please set|create) (an alarm|the alarm|my alarm) (for|to|at) {0}|(wake me|wake me up|get me up|ring) at {0}", "The alarm", lambda rng: rng.choice(("set", "ok", "done"))),
    Row("get_stock_price|stock_price|stock_quote|share_price", "The price of a stock|Get a stock price|Current price of a share|Stock quotes", (("symbol|ticker|company|stock", _symbol, "The ticker symbol|The company|Symbol of the stock|"),),
        "(what is|what's|tell me|get|check|show me|how high is|look up) (the price of|the stock price of|the share price of|the price for|the stock price for|the current price of) {0}?|(how much is|what does) (a share of|one share of|) {0} (cost|worth|trading at)?|{0} (stock price|share price|stock)", "The price of {0}", words.decimal),
    Row("add_reminder|remind_me|create_reminder|reminder|set_reminder", "Add a reminder|Reminds the user of something|Create a reminder|Reminders", (("text|task|what|reminder", words.phrase, "What to remember|The text|Of what to remind|"), ("when|day|date|time", words.day, "When|The day|")),
        "(remind me|please remind me|can you remind me|set a reminder) (to|of|about) {0} {1}|{1} I have to {0}, (remind me|please remind me|set a reminder)|(add|create|make) a reminder: {0}, {1}", "The reminder", lambda rng: rng.choice(("saved", "ok", "added"))),
    Row("add_todo|add_task|todo|new_task|add_to_list", "Add a task to the list|Adds a to-do|New task|Put something on the list", (("task|item|text|todo", words.phrase, "The task|What to do|Item|"),),
        "(add|put|write|note) {0} (to|on|onto) (my list|the list|my to-do list|the shopping list|my tasks|my todo list)|(new task|add a task|todo|task|create a task|add to my list): {0}", "The list", lambda rng: rng.choice(("added", "ok", "saved"))),
    Row("turn_on_light|light_on|switch_light_on|lamp_on", "Turn on a light|Switches a lamp on|Light in a room", (("room|where|place|lamp", words.word, "The room|Which room|Where|"),),
        "(turn on|switch on|please turn on|can you switch on|turn) (the light|the lights|the lamp|light) (in the|in) {0}|(light|lights|lamp) on in the {0}|I need light in the {0}|make it bright in the {0}", "The light", lambda rng: rng.choice(("on", "ok", "done"))),
    Row("set_volume|volume|change_volume|set_loudness", "Set the volume|Changes the volume|How loud the music is", (("level|volume|percent|value", _percent, "From 0 to 100|The volume|Percent|"),),
        "(set|change|turn|put|make) the (volume|loudness|sound) (to|at) {0}( percent|%||)|volume {0}|make it {0} percent loud|(turn the music to|music at) {0}", "The volume", lambda rng: rng.choice(("ok", "set", "done"))),
    Row("set_temperature|set_thermostat|heating|thermostat", "Set the heating|Sets the thermostat|Heating of the house|Set the room temperature", (("degrees|temperature|value|target", _percent, "Degrees|The temperature|Wanted degrees|"),),
        "(set|put|turn|change) the (heating|thermostat|room temperature|heater) to {0}( degrees||)|heat (the house|the room|up) to {0}( degrees|)|(make it|I want) {0} degrees (in here|here|inside)", "The heating", lambda rng: rng.choice(("ok", "set", "done"))),
    Row("define_word|dictionary|lookup_word|get_definition|define", "The meaning of a word|Looks a word up|A dictionary|Define a word", (("word|term|entry", words.word, "The word|Which word|"),),
        "(define|look up|what does the word|find the definition of|definition of|look up the word|define the word|what is the definition of|explain the word) {0}( mean|)?|(what does|what is the meaning of) {0}( mean|)?", "{0}", words.phrase),
    Row("read_file|open_file|load_file|show_file", "Read a file|Returns the content of a file|Opens a file|Show what is in a file", (("path|file|filename|name", _file, "The file|Path of the file|Name of the file|"),),
        "(read|open|show|show me|load|print|display|what is in|what's in|please open) (the file|file|) {0}", "The file {0}", words.phrase),
    Row("send_email|email|mail|write_email", "Send an email|Sends a mail|Write an email to an address", (("to|address|recipient|email", words.email, "The address|To whom|"), ("subject|title|about", words.phrase, "The subject|Subject line|")),
        "(send|write) (an email|a mail|an e-mail|mail) to {0} (about|with the subject|with subject|on) {1}|(email|mail) {0} about {1}", "The email", lambda rng: rng.choice(("sent", "ok", "failed"))),
    Row("book_table|reserve_table|reservation|restaurant_booking", "Book a table in a restaurant|Reserves a table|Restaurant reservations", (("restaurant|place|name|where", words.title, "The restaurant|Name of the restaurant|"), ("people|guests|persons|party_size", _minutes, "How many people|Number of guests|")),
        "(book|reserve|get|please book) (a table|us a table|me a table) (at|in) {0} for {1}( people| persons| guests|)|(a table|table) for {1} at {0}|I want to eat at {0} with {1} people", "The table", lambda rng: rng.choice(("booked", "ok", "full"))),
    Row("find_flights|search_flights|flights|flight_search", "Find flights|Searches flights between cities|Flights from one city to another", (("origin|from|departure|from_city|start", words.city, "Where it starts|From|The city of departure|"), ("destination|to|arrival|to_city|end", words.city, "Where it ends|To|The city of arrival|")),
        "(find|search|show me|look for|are there|I need|book|get me|find me) (flights|a flight|cheap flights|a plane) from {0} to {1}|(how do I fly|fly|I want to fly|flight|flights) from {0} to {1}?|I want to go from {0} to {1} by plane", "Flights from {0} to {1}", words.clock),
    Row("distance|get_distance|distance_between|measure_distance", "The distance between two cities|How far two places are apart|Measures distances", (("from|start|a|first_city|origin", words.city, "The first city|From|"), ("to|end|b|second_city|destination", words.city, "The second city|To|")),
        "(how far is it|how far|what is the distance|what's the distance|distance|how many kilometers is it|the distance) from {0} to {1}?|(how far is|how far is it from) {0} (from|to) {1}?|(distance between|what is the distance between|how far apart are) {0} and {1}?", "From {0} to {1}", lambda rng: f"{words.number(rng)} km"),
    Row("convert_units|unit_converter|convert|convert_length", "Convert units|Converts lengths and weights|Unit conversion", (("value|amount|number|quantity", words.amount, "The number|How much|"), ("from_unit|unit_from|source|from", lambda rng: rng.choice(("km", "miles", "meters", "feet", "inches", "kg", "pounds", "liters", "gallons", "cm", "celsius", "ounces")), "From which unit|Unit|"), ("to_unit|unit_to|target|to", lambda rng: rng.choice(("km", "miles", "meters", "feet", "inches", "kg", "pounds", "liters", "gallons", "cm", "fahrenheit", "ounces")), "To which unit|Into|")),
        "(convert|change|please convert|turn) {0} {1} (to|into|in) {2}|(how many {2} are|how much is|what is|what are) {0} {1}( in {2}|, in {2}| in {2})?", "{0} {1}", words.amount),
    Row("random_number|get_random_number|pick_number|random_int", "A random number|Picks a number between two bounds|Random integer", (("low|min|minimum|start|from", lambda rng: str(rng.randint(0, 50)), "The smallest|Lower bound|"), ("high|max|maximum|end|to", lambda rng: str(rng.randint(51, 1000)), "The largest|Upper bound|")),
        "(give me|pick|choose|draw|generate|I need|tell me) a (random number|number|random integer) (between|from) {0} (and|to) {1}", "The number", _minutes),
    Row("get_news|news|latest_news|headlines|search_news", "The latest news|News about a topic|Get headlines", (("topic|about|subject|query", words.word, "The topic|About what|"),),
        "(what's new|any news|news|latest news|what is the news|give me the news|show me news|what are the headlines|tell me the news|is there news|find news) (about|on) {0}?", "The news", words.phrase),
    Row("create_event|add_event|calendar|new_event|schedule", "Create an event in the calendar|Adds an appointment|Put something in the calendar", (("title|event|what|name", words.phrase, "What|The title|"), ("day|date|when", words.day, "The day|When|"), ("time|at|start|hour", words.clock, "The time|At what time|")),
        "(schedule|plan|add|put|create) {0} (on|for|) {1} at {2}|(add|create|make) an (event|appointment): {0}, {1}, {2}|{0} {1} at {2}, (put it in my calendar|please schedule it|add it)", "The event", lambda rng: rng.choice(("created", "ok", "saved"))),
    Row("count_words|word_count|count_letters|text_length", "Count the words of a text|How many words a text has|Counts words", (("text|input|sentence", words.phrase, "The text|What to count|"),),
        "(how many words|how many letters) (are in|has|does) (\"{0}\"|'{0}')( have|)?|count the (words|letters) (in|of) (\"{0}\"|'{0}')", "The count", _minutes),
    Row("reverse_text|reverse|reverse_string|flip_text", "Reverse a text|Turns a text around|Writes a text backwards", (("text|string|input|word", words.word, "The text|What to reverse|"),),
        "(reverse|turn around|flip|write backwards|spell backwards|please reverse) (the word|the text|) {0}|{0} (backwards|reversed)|what is {0} backwards?", "Backwards", words.made_up),
    Row("get_population|population|city_population|inhabitants", "The population of a city|How many people live somewhere|Number of inhabitants", (("city|place|town|country", words.city, "The city|Where|"),),
        "(how many people live in|what is the population of|population of|how many inhabitants has|number of people in|what's the population of|how big is) {0}?", "The population of {0}", words.amount),
    Row("lookup_customer|get_customer|find_customer|customer_info|get_user", "Find a customer|Looks up a customer|Information on a customer", (("name|customer|id|customer_id|user", words.name, "The name|Which customer|"),),
        "(look up|find|show|show me|get|who is|search for|open) (the customer|customer|our customer|the user) {0}|(information|info|data) on (customer|the customer) {0}", "The customer {0}", words.phrase),
    Row("order_pizza|order_food|pizza|order", "Order a pizza|Orders food|Pizza delivery", (("kind|dish|item|topping|what", words.word, "Which|What to order|"), ("count|quantity|number|how_many", _minutes, "How many|Number|")),
        "(order|get me|I want|please order|bring me|I'd like) {1} {0} (pizzas|pizza|pizzas please)|(order|buy) {1} (pizzas|times pizza) with {0}", "The order", lambda rng: rng.choice(("ordered", "ok", "done"))),
    Row("run_query|query_database|sql|search_database|database", "Search the database|Asks the database|Looks into the table", (("table|source|from", words.made_up, "The table|Which table|"), ("limit|rows|n|count", _minutes, "How many rows|At most|")),
        "(show|get|show me|give me|fetch|list|read) {1} rows (from|of) (the table|table|) {0}|(show|get|list) (the first|the top) {1} (rows|entries|lines) (of|from|in) {0}", "The rows", words.phrase),
)


def _from_row(rng: Random, row: Row) -> Offer:
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
        return Use(ask, {key: _argument(value) for key, value in zip(keys, values, strict=True)}, row.about.format(*values))

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
    name = rng.choice((f"{verb}_{thing}", f"{verb}_{thing}", f"{verb}{thing.capitalize()}", f"{thing}_{verb}", f"{verb}_the_{thing}"))
    kinds: list[tuple[str, Value]] = []
    for key, value in rng.sample(_PARAMETERS, rng.choices((0, 1, 2, 3), (10, 50, 30, 10))[0]):
        kinds.append((key if rng.random() < 0.75 else words.made_up(rng), value))
    if len({key for key, _ in kinds}) < len(kinds):
        kinds = kinds[:1]
    described = rng.choice((f"{verb.capitalize()} the {thing}", f"{verb.capitalize()} a {thing}", f"{verb.capitalize()}s the {thing}", f"Use this to {verb} the {thing}", f"{verb} {thing}", f"Can {verb} the {thing}"))
    parameters = {key: ("str", rng.choice((f"The {key}", key, f"{key.capitalize()} of the {thing}", f"Which {key}", "")), True) for key, _ in kinds}

    def use(rng: Random) -> Use:
        values = [value(rng) for _, value in kinds]
        ask = words.say(rng, f"({verb}|please {verb}|can you {verb}|I want to {verb}|{verb}|could you {verb}|you should {verb}|{verb} now|let us {verb}|i need you to {verb}|{verb}) (the|a|my|the) {thing}")
        order = list(range(len(kinds)))
        if rng.random() < 0.25:
            rng.shuffle(order)
        for place in order:
            key = kinds[place][0]
            ask += rng.choice((f" with {key} {{{place}}}", f" with {key} {{{place}}}", f", {key} {{{place}}}", f" ({key}: {{{place}}})", f", {key} is {{{place}}}", f" and use {{{place}}} as {key}", f" {key}={{{place}}}", f" with the {key} {{{place}}}", f" for {key} {{{place}}}"))
        if len(kinds) == 1 and rng.random() < 0.4:
            ask = ask[: ask.index(f"{thing}") + len(thing)] + rng.choice((" {0}", " called {0}", " named {0}", " for {0}", " of {0}", ": {0}", " from {0}", " to {0}", " in {0}", " at {0}"))
        return Use(words.typed(rng, ask).format(*values), {key: _argument(value) for (key, _), value in zip(kinds, values, strict=True)}, f"{verb.capitalize()} {thing}")

    return Offer(_definition(name, described, parameters), use, None, rng.choice((words.phrase, words.amount, words.name, words.made_up)))


_PARAMETERS: list[tuple[str, Value]] = [
    ("name", words.name), ("title", words.title), ("city", words.city), ("count", _minutes), ("amount", words.amount), ("level", _percent), ("size", _minutes), ("color", lambda rng: rng.choice(words.COLOURS)),
    ("topic", words.word), ("date", words.day), ("time", words.clock), ("person", words.name), ("text", words.phrase), ("id", lambda rng: str(words.number(rng))), ("code", words.made_up), ("year", lambda rng: str(rng.randint(1900, 2050))),
    ("page", _minutes), ("speed", _percent), ("mode", words.word), ("owner", words.name), ("target", words.word), ("label", words.phrase), ("price", words.amount), ("file", _file), ("place", words.city), ("language", _language), ("age", _percent), ("word", words.word),
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
        return _from_row(rng, rng.choice(ROWS))
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
_ASKING = ("define", "population", "distance", "convert", "count", "reverse", "translate", "news", "number", "dice", "coin", "stock", "temperature")


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


_ALIKE = {name: row.names for row in ROWS for name in row.names.split("|")}


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
        return json.dumps({words.made_up(rng): rng.choice((words.number(rng), words.word(rng))) for _ in range(rng.choice((1, 2, 3)))})
    if kind < 0.2:
        return words.phrase(rng)
    return (one.result or words.phrase)(rng)
