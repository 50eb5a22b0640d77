"""Requests for the built-in tools, `brave_search` and `wolfram_alpha`, and the query that is due.

What is asked for stands in the request word for word, and so it does in the query.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from llama_nb.apis.messages import BuiltinTool
from llama_nb.demo import values, words
from llama_nb.demo.families import families
from llama_nb.demo.manners import WHATS


class Search(NamedTuple):
    ask: str
    tool: BuiltinTool
    query: str
    result: str


_LOOK_UP = (
    "search for @|search the web for @|google @|look up @|search @|find information on @|look up @ online|"
    "search the internet for @|can you search for @?|please search for @|could you look up @?|do a web search for @|"
    "I want to read about @|please look up @|use brave search for @|search online for @|find out about @|"
    "can you google @ for me?|web search: @|search: @|run a search for @|brave_search @|find me something about @|"
    "what can you find about @?|what does the internet say about @?|look online for @|check the web for @|look @ up on "
    "the web|look up @ on the internet|find @ on the web|search @ online|google for @ please|use the web to find @|see "
    "what the web has on @|I need to read up on @|is there anything online about @?|any web pages about @?|web: @|"
    "do an internet search for @|do a quick search for @|start a search for @|find web pages about @|hit the web for @|"
    "I'd like some search results for @|give me search results for @|show me what the internet knows about @|@ - please "
    "search the web for it|@, can you google that?|have a look on the internet for @|dig up something on @|what is there "
    "on the net about @?|try a web search: @|could you look on the web for @?|go online and find @|browse for @"
).split("|")
_NEWEST = (
    "latest news about {topic}|price of {product}|price of gold|cheapest flights to {city}|weather in {city}|"
    "winner of the world cup {year}|population of {city}|opening hours of {venue}|reviews of {product}|results of "
    "{team}|concerts in {city}|stock price of {company}|age of {person}|lyrics of {song}|new films with {artist}|"
    "train strikes in {country}|hotels in {city}|events in {city}|release date of {film}|history of {city}|elections in "
    "{country}|president of {country}|capital of {country}|news from {country}|recipe for {dish}|best restaurants in "
    "{city}|exchange rate of {money}|distance from {city} to {city}|author of {book}|director of {film}|symptoms of flu"
).split("|")
_QUESTIONS = (
    "who won the {sport} world cup in {year}|who is the president of {country}|when is the next election in {country}|"
    "who wrote {book}|how tall is {person}|what is the population of {city}|when was {company} founded|"
    "who founded {company}|what happened in {city} {relative}|who directed {film}|what is the best {product}|"
    "how old is {person}|where was {person} born|what is the news about {topic}|who is {person}|when does {team} play|"
    "how much does a {product} cost|what is the capital of {country}|what is new at {company}|when did {artist} die|"
    "who sings {song}|where can I buy {item}|how did {team} play {relative}|why is {company} in the news|"
    "who is the CEO of {company}|what is the tallest building in {city}|which films run in {city}|what is {topic}|"
    "how many people live in {country}|when was {book} published|is {venue} open {relative}"
).split("|")
_CALCULATE = (
    "what is @?|calculate @|compute @|what's @?|how much is @?|@|@ = ?|work out @|use wolfram alpha for @|"
    "ask wolfram alpha: @|can you calculate @?|please compute @|evaluate @|determine @|tell me @|find @|I need @|"
    "what is the value of @?|wolfram: @|could you work out @ for me?|please calculate @|let wolfram alpha work out @|"
    "wolfram alpha, please: @|send @ to wolfram alpha|I want wolfram alpha to tell me @|give wolfram this: @|"
    "what does wolfram alpha say about @?|get @ from wolfram alpha|look up @ with wolfram alpha"
).split("|")
_MATHEMATICAL = (
    "the derivative of {curve}|the integral of {curve}|the square root of {large}|the roots of {curve}|"
    "{percent} percent of {large}|the factorial of {count}|the prime factors of {large}|{count} factorial|"
    "the limit of {curve}|the sine of {count} degrees|log of {large}|{count} to the power of {small}|"
    "the mass of the earth|the distance from the earth to the moon|the boiling point of water|the speed of light|"
    "{measure} miles in kilometers|{measure} pounds in kilograms|the area of a circle with radius {count}"
).split("|")
_TO_DO = (
    "integrate {curve}|differentiate {curve}|simplify {curve}|factor {curve}|plot {curve}|expand ({curve})^2|"
    "solve {curve} = {count}|evaluate {curve} at x = {small}|minimize {curve}|convert {measure} miles to kilometers|"
    "factor {large}|find the roots of {curve}|derive {curve}|sum of 1/n^2"
).split("|")
_DO = (
    "ask wolfram alpha to @|use wolfram alpha to @|@ with wolfram alpha|wolfram alpha: @|@|please @|can you @?|"
    "let wolfram @|have wolfram alpha @|tell wolfram alpha to @|wolfram: @|ask wolfram alpha: @|I want you to @"
).split("|")
_SOLVE = "solve @|please solve @|can you solve @?|help me solve @|solve the equation @|solve this equation: @".split(
    "|"
)


def search(rng: Random, offered: list[BuiltinTool]) -> Search:
    tool = rng.choice(offered)
    return _looked_up(rng) if tool is BuiltinTool.brave_search else _calculated(rng)


def _looked_up(rng: Random) -> Search:
    kind = rng.random()
    result = values.fill(rng, rng.choice(("{message}", "{topic}", "{person}", "{amount}", "{word}: {message}")))
    if kind < 0.4:
        query = values.fill(rng, "{topic}") if rng.random() < 0.5 else values.fill(rng, rng.choice(_NEWEST))
        ask = _asked(rng, rng.choice(_LOOK_UP), query)
    elif kind < 0.6:
        query = values.fill(rng, rng.choice(_NEWEST) if rng.random() < 0.7 else _of_family(rng))
        ask = _asked(rng, words.say(rng, WHATS).replace("@", "the @") + rng.choice(("?", "")), query)
    else:
        query = values.fill(rng, rng.choice(_QUESTIONS))
        if rng.random() < 0.4:
            query = query[:1].upper() + query[1:]
        ask = _asked(rng, rng.choice(("@?", "@?", "@", "@?", "can you find out @?", "hey, @?", "search: @?")), query)
    return Search(ask, BuiltinTool.brave_search, query, result)


_PUBLIC = ("tools_world: weather", "tools_world: travel", "tools_world: money", "tools_world: knowledge", "tools_life: media")


def _of_family(rng: Random) -> str:
    """The noun phrase of some tool that tells something."""
    while True:
        family = rng.choice(families())
        asks = [text for mark, text in family.asks if mark == "="]
        if not asks or not family.results or family.theme not in _PUBLIC:
            continue
        text = words.say(rng, rng.choice(asks).partition("[")[0]).removeprefix("the ")
        for place, parameter in enumerate(family.parameters):
            if f"{{{place}}}" in text:
                text = text.replace(f"{{{place}}}", values.value(rng, parameter.kind))
        if "{" not in text:
            return text


def _calculated(rng: Random) -> Search:
    kind = rng.random()
    if kind < 0.5:
        query = values.value(rng, "expression")
        ask = _asked(rng, rng.choice(_CALCULATE), query)
    elif kind < 0.8:
        query = values.fill(rng, rng.choice(_MATHEMATICAL).replace("{curve}", rng.choice(_CURVES)))
        ask = _asked(rng, rng.choice(_CALCULATE), query)
    elif kind < 0.92:
        query = values.fill(rng, rng.choice(_TO_DO).replace("{curve}", rng.choice(_CURVES)))
        ask = _asked(rng, rng.choice(_DO), query)
    else:
        equation = f"{rng.choice(_CURVES)} = {words.number(rng)}"
        query, ask = f"solve {equation}", _asked(rng, rng.choice(_SOLVE), equation)
    return Search(
        ask, BuiltinTool.wolfram_alpha, query, values.fill(rng, rng.choice(("{amount}", "x = {count}", "{large}")))
    )


_CURVES = (
    "x^2|x^3 - 4x^2 + 6x - 24|sin(x)|x^2 + 3x|2x + 5|e^x|x^3|3x - 7|x^2 - 5x + 6|cos(2x)|4x^2 - 1|log(x)|x^4 - x|"
    "5y + 2|x/2 + 3|7a - 4|x^2 - 9|2x^2 + x - 1|tan(x)|x^5 + x"
).split("|")


def _asked(rng: Random, template: str, query: str) -> str:
    text = words.typed(rng, template.replace("@", "{0}"), closers=("", "?", "."))
    quoted = rng.choice(('"{}"', "'{}'", '"{}"')) if rng.random() < 0.14 and not set("\"'") & set(query) else "{}"
    return text.replace("{0}", quoted.format(query))
