"""Requests for an offered tool, as people word orders and questions, and the calls that are then due.

Values are copied into the call. A value has the type of its parameter, also where the prompt does not tell it: a call
that is begun is held to that type.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any, NamedTuple

from llama_nb.demo import copied, values, words
from llama_nb.demo.manners import (
    CLOSERS,
    FACTS,
    HURRIES,
    MENTIONS,
    ORDERS,
    QUESTIONS,
    SHOW,
    SIBLINGS,
    WHATS,
)
from llama_nb.demo.offers import Argument, Offer


class Use(NamedTuple):
    """One request to a tool: what is typed, the arguments due, and the values by place."""

    ask: str
    arguments: dict[str, Any]
    typed: dict[int, str]


_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_PLACE = re.compile(r"\{(\d)\}")
_OF = re.compile(r"(?:the )?([a-z ]+) (?:of|for|in|at) \{0\}")


def use(rng: Random, one: Offer, avoid: tuple[str, ...] = ()) -> Use:
    """A request, worded in one of the family's ways. `avoid`: values that were used before."""
    template = None if rng.random() < 0.035 else _reading(rng, one)
    if template is None:
        template = _mention(rng, one)
    surprising = rng.random() < SURPRISING
    used = {int(place) for place in _PLACE.findall(template)}
    typed: dict[int, str] = {}
    arguments: dict[str, Any] = {}
    spoken: dict[int, str] = {}
    lower = rng.random() < 0.08
    for argument in one.arguments:
        if argument.place not in used:
            continue
        for _ in range(5):
            text = _value(rng, argument, template, surprising)
            if text not in typed.values() and text not in avoid:
                break
        if lower and not surprising and argument.type == "str" and argument.kind not in values.EXACT:
            text = text.lower()
        typed[argument.place] = text
        spoken[argument.place] = _spoken(rng, argument, text, template)
        arguments[argument.key] = due(argument, text)
    ask = _PLACE.sub(lambda match: spoken[int(match[1])], _manner(rng, template, one))
    for said in arguments.values():
        if isinstance(said, str) and (said not in ask or said != said.strip()):
            raise AssertionError(f"{said!r} cannot be copied from {ask!r}")
    return Use(ask, arguments, typed)


SURPRISING = 0.3  # share of the requests whose values are words that nobody expects there


def _value(rng: Random, argument: Argument, template: str, surprising: bool) -> str:
    if not surprising or argument.type != "str" or not copied.may_be(argument.kind):
        return values.value(rng, argument.kind)
    before, _, after = template.partition(f"{{{argument.place}}}")
    quoted = before[-1:] in ("'", '"') or after[:1] in ("'", '"')
    text = copied.value(rng, argument.kind, simple=quoted or before.rstrip().endswith("}"))
    if after.lstrip().startswith("{") or before.rstrip().endswith("}"):
        return text.split()[0]  # where it ends would not be known
    return text


def again(rng: Random, one: Offer, last: Use) -> Use | None:
    """`and in Rome?` after `the weather in Oslo?`: the same with one other value."""
    required = [argument for argument in one.arguments if argument.required]
    if len(required) != 1 or len(last.typed) != 1 or required[0].kind.startswith(("enum", "bool")):
        return None
    argument = required[0]
    template = rng.choice(SIBLINGS)
    text = _value(rng, argument, template, rng.random() < SURPRISING)
    if argument.kind in ("city", "country") and rng.random() < 0.4:
        template = template.replace("{0}", "in {0}")
    ask = words.typed(rng, words.say(rng, template), closers=("?",)).replace("{0}", text)
    return Use(ask, {argument.key: due(argument, text)}, {argument.place: text})


def due(argument: Argument, text: str) -> Any:
    """The value in the call of what was typed.

    >>> due(Argument("count", "count", "int", True, 0), "12"), due(Argument("id", "id", "str", True, 0), "12")
    (12, '12')
    """
    if argument.kind.startswith("bool("):
        return text == values.options(argument.kind)[0]
    if argument.type == "str":
        return text
    if text.isdecimal() and text.isascii() and (text == "0" or text[0] != "0"):
        return int(text)
    whole, point, part = text.partition(".")
    if point and whole.isdecimal() and part.isdecimal() and str(float(text)) == text:
        return float(text)
    return text


def _reading(rng: Random, one: Offer) -> str | None:
    """A way to ask that gives all that is required, and nothing that this offer does not have."""
    known = {argument.place for argument in one.arguments}
    required = one.family.required
    eager = rng.random() ** 0.4
    for _ in range(8):
        mark, text = rng.choice(one.family.asks)
        text = _OPTIONAL.sub(lambda match: match[1] if rng.random() < eager else "", text)
        text = words.say(rng, text).replace(" ,", ",").replace(" :", ":")
        used = {int(place) for place in _PLACE.findall(text)}
        if required <= used <= known and len(_PLACE.findall(text)) == len(used):
            return _worded(rng, mark, text)
    return None


def _worded(rng: Random, mark: str, text: str) -> str:
    if mark == "!":
        if text.startswith(("remind me", "wake me")) and rng.random() < 0.5:
            return text
        return rng.choice(ORDERS).replace("@", text) if rng.random() < 0.6 else text
    if mark == "=":
        kind = rng.random()
        parted = _OF.fullmatch(text) if rng.random() < 0.25 else None
        if parted:  # as one types into a search box
            return rng.choice(("{0} #", "{0} #?", "# {0}", "{0}: #?", "{0}, #?", "# {0}?", "{0} - #")).replace("#", parted[1])
        if kind < 0.5:
            return words.say(rng, WHATS).replace("@", text)
        if kind < 0.8:
            return rng.choice(ORDERS).replace("@", words.say(rng, SHOW).replace("@", text))
        return text.removeprefix("the ") + rng.choice(("", "?", " please", "?"))
    if mark == "?":
        text = text.rstrip("?") + "?"
        return rng.choice(QUESTIONS).replace("@", text) if rng.random() < 0.2 else text
    return text


def _mention(rng: Random, one: Offer) -> str:
    """The tool and its arguments by name."""
    parts = [f"{argument.key}{rng.choice(('=', ' = ', ': ', ' '))}{{{argument.place}}}" for argument in one.arguments]
    if len(parts) == 1 and rng.random() < 0.5:
        parts = [f"{{{one.arguments[0].place}}}"]
    said = rng.choice((", ", ", ", " and ")).join(parts)
    template = rng.choice(MENTIONS if parts else ("call @", "use @", "run @", "please use @", "@"))
    return template.replace("@", one.name).replace("#", said)


def _manner(rng: Random, template: str, one: Offer) -> str:
    """As it is typed; what ends in free text is not followed by a word that might belong to it."""
    ending = re.search(r"\{(\d)\}[?.!]*$", template)
    kinds = {argument.place: argument.kind for argument in one.arguments}
    open_end = ending is not None and kinds.get(int(ending[1])) in values.FREE
    if one.name in template:  # a name is to be left as it is
        return template
    if open_end:
        # A question mark could be the text's.
        template = template.rstrip("?!")
    text = words.typed(rng, template, closers=() if open_end else CLOSERS)
    if rng.random() < 0.05 and not open_end:
        text = text.rstrip() + ("" if text.rstrip()[-1:] in "?!." else ".") + " " + rng.choice(HURRIES)
    if rng.random() < 0.05:
        text = values.fill(rng, rng.choice(FACTS)) + " " + text
    return text


def _spoken(rng: Random, argument: Argument, text: str, template: str) -> str:
    """A value as it is typed: sometimes quoted, small numbers sometimes as words."""
    slot = f"{{{argument.place}}}"
    if argument.kind in ("small", "count") and text.isdecimal() and 2 <= int(text) <= 12 and rng.random() < 0.15:
        return values.SPOKEN[int(text)]
    quotable = argument.kind in values.FREE or argument.kind in ("person", "file", "word", "made", "city", "identifier")
    around = template.partition(slot)
    if around[0][-1:] in "\"'" or around[2][:1] in "\"'":
        return text
    share = 0.14 if argument.kind in values.FREE else 0.06
    marked = argument.type == "str" and not text.replace(" ", "").isalnum() and argument.kind not in values.ORDINARY
    amid = marked and bool(around[2].rstrip(" ?.!"))
    if marked and rng.random() < (0.85 if amid and " " in text else 0.3):
        free = [mark for mark in "\"'" if mark not in text]
        return f"{(mark := rng.choice(free))}{text}{mark}" if free else text
    if quotable and "'" not in text and '"' not in text and rng.random() < share:
        return rng.choice(('"{}"', "'{}'", '"{}"')).format(text)
    return text


# Two at once -----------------------------------------------------------------------------------------------------------


class Two(NamedTuple):
    """Two uses asked for at once."""

    ask: str
    uses: tuple[Use, Use]


_JOINTS = (" and ", " and then ", " and also ", ", then ", " and ", ", and ", " and after that ")
_NEXTS = (". Then ", ". Also, ", ". And ", ". After that, ", ". ", "; then ", ". Next, ")


def two_at_once(rng: Random, one: Offer, other: Offer) -> Two | None:
    first, second = use(rng, one), use(rng, other)
    free = any(argument.kind in values.FREE for argument in one.arguments)
    joint = rng.choice(_NEXTS if free or first.ask.rstrip()[-1:] in "?!." else _JOINTS)
    then = second.ask
    own = (other.name, *second.typed.values())
    if joint[0] != "." and then[:2].istitle() and not then.startswith(("I", *own)):
        then = then[:1].lower() + then[1:]
    ask = first.ask.rstrip(" ?.!") + joint + then
    if not all(text in ask or text.isdecimal() for one_use in (first, second) for text in one_use.typed.values()):
        return None
    return Two(ask, (first, second))


_PAIRED = "city country person ticker company team animal plant service room device code medicine file symptom".split()


def two_values(rng: Random, one: Offer) -> Two | None:
    """`what is the weather in Oslo and Rome?`"""
    required = [argument for argument in one.arguments if argument.required]
    if len(required) != 1 or required[0].kind not in _PAIRED:
        return None
    asked = use(rng, one)
    if len(asked.typed) != 1:
        return None
    argument = required[0]
    text = asked.typed[argument.place]
    then = values.value(rng, argument.kind)
    if asked.ask.count(text) != 1 or then == text or '"' in asked.ask or "'" in asked.ask:
        return None
    later = Use("", {argument.key: due(argument, then)}, {argument.place: then})
    return Two(asked.ask.replace(text, f"{text}{rng.choice((' and ', ' and ', ' and then '))}{then}"), (asked, later))
