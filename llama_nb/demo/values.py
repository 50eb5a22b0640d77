"""Values that people put into requests, by kind: `value(rng, "city")`.

A kind is a list of `data/values*.txt`, a pattern of other kinds, or a function below. `enum(a/b)` is one of a few
words, `bool(on/off)` says true by its first word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from llama_nb.demo import words

INTEGERS = ("small", "count", "large", "percent", "year", "age", "id", "minutes")
DECIMALS = ("amount", "decimal", "measure")
FREE = ("message", "task", "topic", "note", "query", "event", "song", "book", "film", "item", "venue", "dish")
EXACT = ("code", "email", "url", "file", "folder", "ticker", "airport", "money", "hex", "ip", "expression", "username")
ORDINARY = ("date", "time", "money", "phone", "address", "person", "city")  # need no quotes
SPOKEN = "zero one two three four five six seven eight nine ten eleven twelve".split()


@cache
def lists() -> dict[str, tuple[str, ...]]:
    """`data/values*.txt`: a line `kind: value, value`; a kind may go on in further lines of the same name."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted((Path(__file__).parent / "data").glob("values*.txt")):
        for line in filter(None, path.read_text("utf-8").splitlines()):
            kind, _, rest = line.partition(": ")
            separator = "|" if "|" in rest else ", "
            found[kind] = (*found.get(kind, ()), *(part.strip() for part in rest.split(separator) if part.strip()))
    return found


def type_of(kind: str) -> str:
    """The Python type of a kind's values, as a tool's definition names it."""
    if kind in INTEGERS:
        return "int"
    if kind in DECIMALS:
        return "float"
    return "bool" if kind.startswith("bool(") else "str"


def options(kind: str) -> list[str]:
    """The words of `enum(a/b)` and `bool(a/b)`."""
    return kind.partition("(")[2].removesuffix(")").split("/")


def value(rng: Random, kind: str) -> str:
    """One value, as it is typed."""
    if kind.startswith(("enum(", "bool(")):
        return rng.choice(options(kind))
    if kind in _MADE:
        return _MADE[kind](rng)
    known = lists()[kind]
    if kind in _INVENTABLE and rng.random() < 0.35:
        return _invented(rng, kind)
    return fill(rng, rng.choice(known))


_SLOT = re.compile(r"\{([a-z]\w*)\}")


def fill(rng: Random, pattern: str) -> str:
    """`meet me at {time}` with values in its slots."""
    if "{" not in pattern:
        return pattern
    return _SLOT.sub(lambda match: value(rng, match[1]), pattern)


def _invented(rng: Random, kind: str) -> str:
    """A name that nobody has read: it can only be copied."""
    shape = rng.random()
    first = words.made_up(rng)
    if shape < 0.5:
        text = first
    elif shape < 0.85:
        text = f"{first} {words.made_up(rng) if rng.random() < 0.5 else rng.choice(words.THINGS)}"
    else:
        text = f"{rng.choice(words.ADJECTIVES)} {first}"
    return text if kind in ("plant", "item", "dish", "device", "medicine", "ingredient", "animal") else text.title()


_INVENTABLE = (
    "song book film artist company venue dish item device room plant medicine team game ingredient station street "
    "brand country product animal"
).split()


def _person(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.62:
        return words.name(rng)
    if kind < 0.84:
        return f"{rng.choice(lists()['first'])}"
    if kind < 0.95:
        return f"{rng.choice(lists()['first'])} {words.made_up(rng).capitalize()}"
    return f"{rng.choice(('Dr.', 'Mr.', 'Mrs.', 'Ms.', 'Professor', 'Aunt', 'Uncle'))} {words.name(rng)}"


def _city(rng: Random) -> str:
    return rng.choice(lists()["town"]) if rng.random() < 0.3 else words.city(rng)


def _date(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(lists()["relative"])
    if kind < 0.6:
        return rng.choice(lists()["weekday"])
    month, day = rng.choice(lists()["month"]), rng.randint(1, 28)
    suffix = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd"}.get(day, "th")
    return rng.choice(
        (
            f"{month} {day}",
            f"{month} {day}{suffix}",
            f"{day} {month}",
            f"the {day}{suffix} of {month}",
            f"{rng.randint(2023, 2031)}-{rng.randint(1, 12):02d}-{day:02d}",
            f"{day}.{rng.randint(1, 12)}.{rng.randint(2023, 2031)}",
            f"{month} {rng.randint(2023, 2031)}",
            f"{day} {month} {rng.randint(2023, 2031)}",
        )
    )


def _time(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}"
    if kind < 0.65:
        return f"{rng.randint(1, 12)} {rng.choice(('am', 'pm', 'AM', 'PM'))}"
    if kind < 0.8:
        return f"{rng.randint(1, 12)}{rng.choice(('am', 'pm'))}"
    if kind < 0.9:
        return f"{rng.randint(1, 12)}:{rng.choice(('00', '15', '30', '45'))} {rng.choice(('am', 'pm'))}"
    return rng.choice(("noon", "midnight", "8 o'clock", "half past six", "quarter to nine", "six o'clock"))


def _file(rng: Random) -> str:
    stem = words.made_up(rng) if rng.random() < 0.4 else rng.choice(words.THINGS)
    if rng.random() < 0.35:
        stem += rng.choice(("_", "-")) + (words.word(rng) if rng.random() < 0.6 else str(words.number(rng)))
    ending = rng.choice("txt pdf csv md json py png jpg docx xlsx log yaml mp3 zip html".split())
    path = rng.choice(("", "", "", "", "data/", "/home/", "src/", "/tmp/", "docs/"))
    return f"{path}{stem}.{ending}"


def _folder(rng: Random) -> str:
    return rng.choice(("{0}", "/{0}", "{0}/{1}", "/home/{0}", "~/{0}", "/var/{0}", "{0}_{1}")).format(
        words.word(rng), words.word(rng)
    )


def _url(rng: Random) -> str:
    site = f"{words.made_up(rng)}.{rng.choice(('com', 'org', 'net', 'io', 'de', 'dev'))}"
    path = rng.choice(("", "", f"/{words.word(rng)}", f"/{words.word(rng)}/{words.number(rng)}"))
    return rng.choice(("https://", "http://", "www.", "", "https://www.")) + site + path


def _expression(rng: Random) -> str:
    parts = [words.amount(rng)]
    for _ in range(rng.choice((1, 1, 1, 2))):
        parts += [rng.choice("+-**/"), words.amount(rng)]
    text = " ".join(parts)
    if len(parts) > 3 and rng.random() < 0.4:
        text = f"({' '.join(parts[:3])}) {' '.join(parts[3:])}"
    return text.replace(" ", "") if rng.random() < 0.2 else text


def _letters(rng: Random, count: int) -> str:
    return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(count))


def _topic(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.45:
        return fill(rng, rng.choice(lists()["subject"]))
    if kind < 0.7:
        return words.phrase(rng)
    return words.word(rng)


def _code(rng: Random) -> str:
    if rng.random() < 0.5:
        return words.code(rng)
    return rng.choice(
        (
            f"{_letters(rng, 2)}-{rng.randint(100, 99999)}",
            f"{_letters(rng, 3)}{rng.randint(1, 999)}",
            f"{_letters(rng, 1)}{rng.randint(1, 99)}",
            f"{rng.randint(1, 99)}{_letters(rng, 1)}",
            f"{_letters(rng, 2)}{rng.randint(10, 99)}{_letters(rng, 2)}{rng.randint(10, 99)}",
            f"#{rng.randint(1, 9999)}",
            f"{rng.randint(10, 99)}-{rng.randint(100, 999)}-{_letters(rng, 1)}",
        )
    )


def _message(rng: Random) -> str:
    kind = rng.random()
    text = fill(rng, rng.choice(lists()["message"])) if kind < 0.85 else words.phrase(rng)
    return text[:1].upper() + text[1:] if rng.random() < 0.15 else text


_MADE: dict[str, Callable[[Random], str]] = {
    "person": _person,
    "city": _city,
    "date": _date,
    "time": _time,
    "file": _file,
    "folder": _folder,
    "url": _url,
    "expression": _expression,
    "topic": _topic,
    "query": _topic,
    "code": _code,
    "message": _message,
    "email": words.email,
    "word": words.word,
    "made": words.made_up,
    "note": lambda rng: _message(rng) if rng.random() < 0.5 else value(rng, "task"),
    "small": lambda rng: str(rng.randint(1, 12)),
    "count": lambda rng: str(rng.randint(1, 10 ** rng.choice((1, 2, 2, 3)))),
    "minutes": lambda rng: str(rng.choice((5, 10, 15, 20, 30, 45, 60, 90, rng.randint(1, 120)))),
    "large": lambda rng: str(words.number(rng)),
    "percent": lambda rng: str(rng.choice((5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, rng.randint(0, 100)))),
    "year": lambda rng: str(rng.randint(1850, 2040)),
    "age": lambda rng: str(rng.randint(1, 99)),
    "id": lambda rng: str(rng.randint(1, 10 ** rng.randint(2, 7))),
    "amount": words.amount,
    "decimal": words.amount,
    "measure": lambda rng: str(rng.randint(1, 250)) if rng.random() < 0.6 else f"{rng.randint(0, 99)}.{rng.randint(1, 9)}",
    "airport": lambda rng: _letters(rng, 3),
    "ticker": lambda rng: _letters(rng, rng.randint(2, 5)) if rng.random() < 0.7 else rng.choice(lists()["share"]),
    "phone": lambda rng: (
        f"{rng.choice(('+', '0', '+4'))}{rng.randint(10, 999)}{rng.choice((' ', '-'))}{rng.randint(10000, 9999999)}"
    ),
    "hex": lambda rng: f"#{rng.randrange(1 << 24):06x}",
    "ip": lambda rng: ".".join(str(rng.randint(0, 255)) for _ in range(4)),
    "username": lambda rng: words.made_up(rng) + rng.choice(("", "", str(rng.randint(1, 99)), "_" + words.made_up(rng))),
    "address": lambda rng: (
        f"{rng.randint(1, 200)} {words.made_up(rng).capitalize()} {rng.choice(('Street', 'Road', 'Avenue', 'Lane'))}"
    ),
    "branch": lambda rng: rng.choice(("main", "dev", f"feature/{words.word(rng)}", f"fix-{words.word(rng)}")),
    "identifier": lambda rng: words.word(rng) if rng.random() < 0.5 else f"{words.word(rng)}_{words.word(rng)}",
}
