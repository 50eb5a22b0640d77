"""Tools as a prompt offers them, requests for them, the calls that are due, and what their results become.

A family (`families`, `inventions`) becomes an offer: one name and description of many, some of its parameters. A
request is a way to ask, as people word orders and questions, with values that are copied into the call. A value has the
type of its parameter, also where the prompt does not tell it: a call that is begun is held to that type.
"""

from __future__ import annotations

import json
import re
from functools import cache
from random import Random
from typing import Any, NamedTuple

from llama_nb.apis.messages import ToolDefinition, ToolParamDefinition
from llama_nb.demo import copied, naming, values, words
from llama_nb.demo.families import Family, families
from llama_nb.demo.inventions import invention
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
from llama_nb.demo.siblings import near_miss, siblings


class Argument(NamedTuple):
    """A parameter as this offer has it. `place` is its number in the family's ways to ask."""

    key: str
    kind: str
    type: str
    required: bool
    place: int


class Use(NamedTuple):
    """One request to a tool: what is typed, the arguments due, and the values by place."""

    ask: str
    arguments: dict[str, Any]
    typed: dict[int, str]


class Offer(NamedTuple):
    definition: ToolDefinition
    family: Family
    arguments: tuple[Argument, ...]

    @property
    def name(self) -> str:
        return str(self.definition.tool_name)


# Offers --------------------------------------------------------------------------------------------------------------

_FAVOURITES = (("weather", 7), ("calculator", 5), ("timer", 3), ("message", 4), ("currency", 2), ("search", 2))
_UNUSED = (
    ("verbose", "bool", "Whether to tell more|Talk more"),
    ("timeout", "int", "Seconds to wait|Longest time"),
    ("format", "str", "Format of the output|json or text"),
    ("dry_run", "bool", "Only pretend|Whether to only simulate"),
    ("limit", "int", "At most so many|Limit"),
    ("note", "str", "A remark|Optional note"),
    ("locale", "str", "Locale of the answer|e.g. en_US"),
    ("retries", "int", "How often to try"),
    ("precision", "int", "Digits after the point"),
    ("callback", "str", "Address to be called"),
)


def some_family(rng: Random) -> Family:
    kind = rng.random()
    if kind < 0.84:
        return rng.choice(families())
    if kind < 0.88:
        return _known()[rng.choices([key for key, _ in _FAVOURITES], [share for _, share in _FAVOURITES])[0]]
    return invention(rng)


def _known() -> dict[str, Family]:
    return {family.key: family for family in families()}


def offers(rng: Random) -> list[Offer]:
    """One to five tools that differ in name and in what they are for; often some of one theme."""
    wanted = rng.choices((1, 2, 3, 4, 5), (25, 33, 22, 14, 6))[0]
    chosen = siblings(rng) if rng.random() < 0.1 else [some_family(rng)]
    wanted = max(wanted, len(chosen))
    near = _of_theme(chosen[0].theme)
    among_its_own = rng.choice((0.0, 0.5, 1.0))
    for _ in range(20):
        if len(chosen) == wanted:
            break
        one = rng.choice(near) if near and rng.random() < among_its_own else some_family(rng)
        if not clashing(one, chosen):
            chosen.append(one)
    rng.shuffle(chosen)
    found: list[Offer] = []
    for family in chosen:
        one_offer = offer(rng, family)
        if one_offer.name not in [other.name for other in found]:
            found.append(one_offer)
    return found


@cache
def _of_theme(theme: str) -> tuple[Family, ...]:
    return tuple(family for family in families() if theme and family.theme == theme)


_ALIKE = (
    "weather sensor", "clock timezone", "flights distance trains", "route distance", "search wiki news ask paper video",
    "translate detectlanguage", "message sms emailperson call slack email", "lights device dim lightcolour",
    "play playartist playgenre", "expense invoice", "reminder reminderday todo note chore alarm", "event meetwith",
    "add subtract multiply divide calculator power root percentof average", "unitconvert tempconvert currency rate",
    "stock companystock price crypto", "person birthday contact employee customer", "products price cart gift",
    "trains trainticket bus", "recipe ingredientrecipes nutrition wine", "restaurant findrestaurant nearby",
    "readfile listfiles searchfiles searchnotes", "servicestatus ping machine logs", "order parcel luggage",
    "alarm timer medicine", "restart stopservice", "timer alarm", "thermostat sensor device", "population countryinfo",
    "copyfile movefile renamefile", "startdevice device vacuum", "showtimes movie recommend events concert", "tip "
    "percentof discount salestax calculator", "doctor meetwith event", "deploy scale restart", "closeissue donetask",
    "assign chore", "flights flightstatus", "hotel house", "bookinfo library", "area circle calculator", "loan interest",
    "water plants", "symptom druginfo", "merge branch", "download httpget summarize", "random dice coin",
    "dictionary synonym rhyme spell", "transfer donate balance", "stock buystock", "addcontact contact", "play video "
    "podcast lyrics", "robot drone rotate", "orderfood coffee", "convertfile compress", "user deleteuser", "event "
    "listevents moveevent deleteevent", "createissue todo", "env thermostat volume", "workout reps", "sun moon",
    "score sports standings", "jobs translator_hire", "image photo", "visa countryinfo", "countwords reverse uppercase",
)  # fmt: skip
_NEIGHBOURS: dict[str, frozenset[str]] = {}
for _group in _ALIKE:
    for _key in _group.split():
        _NEIGHBOURS[_key] = _NEIGHBOURS.get(_key, frozenset()) | frozenset(_group.split())


def clashing(one: Family, others: list[Family]) -> bool:
    """Whether some request could be meant for `one` and another as well."""
    for other in others:
        if one.key == other.key or other.key in _NEIGHBOURS.get(one.key, ()):
            return True
        if one.key in other.rivals or other.key in one.rivals or not set(one.names).isdisjoint(other.names):
            return True
        if one.serves_any and other.serves_any:
            return True
        if not one.theme and not other.theme and set(one.key.split()) & set(other.key.split()):
            return True
    return False


def offer(rng: Random, family: Family) -> Offer:
    style = _STYLES[rng.choices(("snake", "camel", "pascal", "kebab", "dotted"), (80, 11, 3, 3, 3))[0]]
    described = rng.random() < 0.9
    invented = described and rng.random() < 0.07
    name = words.made_up(rng) if invented else rng.choice(family.names)
    if not invented and rng.random() < 0.1:
        name = rng.choice(("{}_tool", "do_{}", "{}_api", "my_{}", "{}_v2", "run_{}", "{}_service", "{}_now")).format(name)
    arguments, parameters = [], {}
    order = list(range(len(family.parameters)))
    if rng.random() < 0.5:
        rng.shuffle(order)
    for place in order:
        parameter = family.parameters[place]
        if parameter.required or rng.random() < 0.8:
            argument, described_as = _argument(rng, family, place, style, described)
            if argument.key in parameters:
                continue  # an optional one of the same name
            arguments.append(argument)
            parameters[argument.key] = described_as
    if rng.random() < 0.07:
        key, kind, texts = rng.choice(_UNUSED)
        if key not in parameters:
            parameters[key] = ToolParamDefinition(
                param_type=kind, description=rng.choice(texts.split("|")), required=False
            )
    if len({argument.place for argument in arguments} & _required(family)) < len(_required(family)):
        return offer(rng, family)  # two required ones got the same name
    definition = ToolDefinition(
        tool_name=style(name),
        description=_varied(rng, rng.choice(family.descriptions)) if described else "",
        parameters=parameters,
    )
    return Offer(definition, family, tuple(arguments))


def _required(family: Family) -> set[int]:
    return {place for place, parameter in enumerate(family.parameters) if parameter.required}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_STYLES = {
    "snake": lambda name: name,
    "camel": _camel,
    "pascal": lambda name: "".join(part.capitalize() for part in name.split("_")),
    "kebab": lambda name: name.replace("_", "-"),
    "dotted": lambda name: name.replace("_", ".", 1),
}


def _argument(
    rng: Random, family: Family, place: int, style: Any, described: bool
) -> tuple[Argument, ToolParamDefinition]:
    parameter = family.parameters[place]
    key = naming.name(rng, family, parameter)
    text = rng.choice(parameter.texts) if rng.random() < 0.85 else ""
    if text and described and rng.random() < 0.03:
        key = words.made_up(rng)
    choices = values.options(parameter.kind) if parameter.kind.startswith("enum(") else []
    if len(choices) > 6:
        choices = rng.sample(choices, 4) if rng.random() < 0.3 else []
        text = f"{text}, e.g. {' or '.join(choices)}" if choices and text else text
    elif choices and rng.random() < 0.75:
        listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        text = rng.choice((f"{text}: {listed}", listed, f"One of {', '.join(choices)}", f"{text} ({listed})"))
    kind = values.type_of(parameter.kind)
    if choices and all(choice.isdecimal() for choice in choices):
        kind = "int"
    if parameter.kind == "id" and rng.random() < 0.4:
        kind = "str"
    shown = {"int": ("int", "integer", "int"), "float": ("float", "number", "float"), "str": ("str", "string", "str")}
    definition = ToolParamDefinition(
        param_type=rng.choice(shown[kind]) if kind in shown else "bool",
        description=_varied(rng, text),
        required=parameter.required,
    )
    if style is not _STYLES["snake"] and style is not _STYLES["dotted"]:
        key = _camel(key)
    return Argument(key, parameter.kind, kind, parameter.required, place), definition


def _varied(rng: Random, text: str) -> str:
    kind = rng.random()
    if not text or kind < 0.75:
        return text
    if kind < 0.87:
        return text.rstrip(".") + "."
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


# Requests ------------------------------------------------------------------------------------------------------------

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
    required = _required(one.family)
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


def some_offer(rng: Random) -> Offer:
    """A tool whose requests want something done or told."""
    return offer(rng, rng.choice([family for family in families() if family.key not in _TALKED_OF]))


_TALKED_OF = ("calculator", "add", "subtract", "multiply", "divide", "power", "root", "dictionary", "wiki", "person", "ask", "search", "poem")


def other_than(rng: Random, offered: list[Offer]) -> Offer:
    """A tool that is not offered, nor one that would do as well; often one that people have beside them."""
    there = [one.family for one in offered]
    near = [family for one in there for family in _of_theme(one.theme) if not clashing(family, there)]
    if near and rng.random() < 0.3:
        return offer(rng, rng.choice(near))
    invented = [family for family in there if not family.theme]
    if len(invented) == len(there) and rng.random() < 0.5:
        missed = near_miss(rng, rng.choice(invented))
        if not {missed.key} & {family.key for family in there} and not any(
            missed.key.rpartition(" ")[0] in f"{family.names} {family.descriptions}".lower() for family in there
        ):
            return offer(rng, missed)
    while True:
        family = some_family(rng)
        if not family.serves_any and not clashing(family, there):
            return offer(rng, family)


# What comes of it ----------------------------------------------------------------------------------------------------

_GOOD = ("ok", "done", "OK", "success", "true", "Done.", '{"status": "ok"}', '{"success": true}', "finished", "yes")


def result(rng: Random, one: Offer) -> str:
    results = one.family.results
    if not results:
        return rng.choice(_GOOD) if rng.random() < 0.75 else values.fill(rng, "{code}")
    kind = rng.random()
    if kind < 0.05:
        pairs = {words.made_up(rng): rng.choice((words.number(rng), words.word(rng))) for _ in range(rng.randint(1, 3))}
        return json.dumps(pairs)
    if kind < 0.12:
        return values.fill(rng, rng.choice(("{message}", "{topic}", "{word}: {count}, {word}: {count}", "{note}")))
    return values.fill(rng, rng.choice(results))


def told(one: Offer, asked: Use, came: str) -> str:
    """The sentence that tells the result of a call.

    JSON is read aloud: its keys and values in turn.
    """
    plain = _read_aloud(came)
    answer = one.family.answer
    if "{r}" not in answer and came not in _GOOD:
        answer = answer.rstrip(".") + ": {r}."
    if plain is not came and answer.endswith((" is {r}.", " are {r}.")):
        answer = answer.rpartition(" ")[0].rpartition(" ")[0] + ": {r}."
    for place, text in asked.typed.items():
        answer = answer.replace(f"{{{place}}}", text)
    answer = answer[:1].upper() + answer[1:]
    return answer.replace("{r}", plain.rstrip(".")) if not _PLACE.search(answer) else f"The result: {plain}."


def _read_aloud(came: str) -> str:
    try:
        content = json.loads(came)
    except ValueError:
        return came
    if not isinstance(content, dict):
        return came
    return ", ".join(f"{key} {json.dumps(value) if isinstance(value, bool) else value}" for key, value in content.items())


def trouble(came: str) -> str:
    """What is wrong, out of a failed result.

    >>> trouble('{"error": "no such city"}'), trouble("Error: too late.")
    ('no such city', 'too late')
    """
    try:
        content = json.loads(came)
    except ValueError:
        content = None
    text = str(content["error"]) if isinstance(content, dict) and "error" in content else came
    return re.sub(r"^(error|failed): ", "", text, flags=re.IGNORECASE).rstrip(".")
