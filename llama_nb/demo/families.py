"""The tools that people know, read from `data/tools_*.txt`: what they are for, and the ways to ask for it.

`data/asks_*.txt` holds further ways to ask for them: a line `* key`, and lines `! ? = -` below it.

A family is written as lines, the first character telling which:

    * key [any]     a new family; of one key only one tool is offered. `any` serves whatever is asked
    n names         names it may have
    d text|text     descriptions
    p names = kind : text|text     a parameter: its names, the kind of its values, descriptions; `p?` is optional
    ! ? = -         ways to ask: an order, a question, a noun phrase, anything else. `(a|b)` is a choice, `{0}` the
                    first parameter's value, `[…]` said only if its optional parameters are given
    r text|text     results; `{kind}` stands for a value
    t text          the answer, with the values and the result `{r}`
    m asks : text   requests that lack a value, and the question back
    ~ keys          families that are never offered beside this one: a request could be meant for either

Families of one theme (`## theme`) of a file are often offered together.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent / "data"


class Parameter(NamedTuple):
    names: tuple[str, ...]
    kind: str
    texts: tuple[str, ...]
    required: bool = True


class Family(NamedTuple):
    key: str
    theme: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    asks: tuple[tuple[str, str], ...]
    results: tuple[str, ...] = ()
    answer: str = "Done."
    missing: tuple[str, str] | None = None
    serves_any: bool = False
    rivals: frozenset[str] = frozenset()

    @property
    def required(self) -> set[int]:
        """The numbers of the parameters that each request must give."""
        return {place for place, parameter in enumerate(self.parameters) if parameter.required}


@cache
def families() -> tuple[Family, ...]:
    found: list[Family] = []
    for path in sorted(DATA.glob("tools_*.txt")):
        theme, lines = "", list[str]()
        for line in [*path.read_text("utf-8").splitlines(), "##"]:
            if line.startswith(("##", "* ")):
                if lines:
                    found.append(_family(theme, lines))
                theme, lines = (f"{path.stem}: {line[3:]}", []) if line.startswith("##") else (theme, [line])
            elif line:
                lines.append(line)
    more = _further_asks()
    return tuple(family._replace(asks=family.asks + tuple(more.get(family.key, ()))) for family in found)


def _further_asks() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(DATA.glob("asks_*.txt")):
        key = ""
        for line in filter(None, path.read_text("utf-8").splitlines()):
            mark, _, text = line.partition(" ")
            if mark == "*":
                key = text
            else:
                found.setdefault(key, []).append((mark, text))
    return found


def _family(theme: str, lines: list[str]) -> Family:
    rest: dict[str, str] = {}
    parameters: list[Parameter] = []
    asks: list[tuple[str, str]] = []
    for line in lines:
        mark, _, text = line.partition(" ")
        if mark in ("p", "p?"):
            parameters.append(_parameter(text, mark == "p"))
        elif mark in ("!", "?", "=", "-"):
            asks.append((mark, text))
        else:
            rest[mark] = text
    key, _, flag = rest["*"].partition(" ")
    requests, _, back = rest.get("m", "").partition(" : ")
    return Family(
        key=key,
        theme=theme,
        names=tuple(rest["n"].split()),
        descriptions=tuple(rest["d"].split("|")),
        parameters=tuple(parameters),
        asks=tuple(asks),
        results=tuple(rest["r"].split("|")) if "r" in rest else (),
        answer=rest.get("t", "Done."),
        missing=(requests, back) if back else None,
        serves_any=flag == "any",
        rivals=frozenset(rest.get("~", "").split()),
    )


def _parameter(text: str, required: bool) -> Parameter:
    names, _, rest = text.partition(" = ")
    kind, _, texts = rest.partition(" : ")
    return Parameter(tuple(names.split(",")), kind.strip(), tuple(texts.split("|")), required)
