"""Tools as a prompt offers them: of a family one name and description of many, and some of its parameters."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any, NamedTuple

from llama_nb.apis.messages import ToolDefinition, ToolParamDefinition
from llama_nb.demo import naming, values, words
from llama_nb.demo.families import Family, families
from llama_nb.demo.inventions import invention
from llama_nb.demo.siblings import near_miss, siblings


class Argument(NamedTuple):
    """A parameter as this offer has it. `place` is its number in the family's ways to ask."""

    key: str
    kind: str
    type: str
    required: bool
    place: int


class Offer(NamedTuple):
    definition: ToolDefinition
    family: Family
    arguments: tuple[Argument, ...]

    @property
    def name(self) -> str:
        return str(self.definition.tool_name)


# Which tools stand side by side ----------------------------------------------------------------------------------------

SORTS = "tools_sorts: sorts"  # tools for one sort of thing each, where the thing alone says which is meant
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
    if kind < 0.74:
        return rng.choice(families())
    if kind < 0.84:
        return rng.choice(_of_theme(SORTS))
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
        if (one.serves_any and (other.serves_any or other.theme == SORTS)) or (other.serves_any and one.theme == SORTS):
            return True
        if not one.theme and not other.theme and set(one.key.split()) & set(other.key.split()):
            return True
    return False


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


# One of them -----------------------------------------------------------------------------------------------------------


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
    if len({argument.place for argument in arguments} & family.required) < len(family.required):
        return offer(rng, family)  # two required ones got the same name
    definition = ToolDefinition(
        tool_name=style(name),
        description=_varied(rng, rng.choice(family.descriptions)) if described else "",
        parameters=parameters,
    )
    return Offer(definition, family, tuple(arguments))


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
