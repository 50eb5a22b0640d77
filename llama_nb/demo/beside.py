"""What people say near a tool when none is due: of its topic and its things, and nothing that it does.

`data/beside_*.txt` has for each theme of `families.py` lines that want nothing (`-`), and such that want what no tool
of the theme does (`?`).
"""

from __future__ import annotations

import re
from functools import cache
from random import Random

from llama_nb.demo import general, values, words
from llama_nb.demo.families import DATA

NO_FITTING_TOOL = "None of the tools offered here can do that. You can offer another: `nb.Chat(tools=[f])`."
NO_FITTING_TOOL_BRIEF = "None of the tools offered here can do that."

_TO_WRITE = re.compile(r"write|draft|compose|rhyme|invent|make up|sing|tell .*\b(story|joke)\b", re.IGNORECASE)
_TO_KNOW = re.compile(
    r"what|why|how|who|whose|when|where|which|is|are|was|were|do|does|did|should|would|will|can|could|has|have|explain",
    re.IGNORECASE,
)


@cache
def _lines() -> dict[tuple[str, str], tuple[str, ...]]:
    """By theme and mark."""
    found: dict[tuple[str, str], list[str]] = {}
    theme = ""
    for path in sorted(DATA.glob("beside_*.txt")):
        for line in path.read_text("utf-8").splitlines():
            mark, _, text = line.partition(" ")
            if mark == "##":
                theme = text
            else:
                found.setdefault((theme, mark), []).append(text)
    return {key: tuple(lines) for key, lines in found.items()}


def statement(rng: Random, theme: str) -> str | None:
    """Something that wants nothing done; None where the theme has none."""
    text = _said(rng, theme, "-")
    return text and words.typed(rng, text, closers=(".", "!", "..."))


def request(rng: Random, theme: str) -> tuple[str, str, str] | None:
    """What no tool of the theme does, the answer, and a shorter answer; None where the theme has none."""
    text = _said(rng, theme, "?")
    if text is None:
        return None
    ask = words.typed(rng, text, closers=("?",) if text.endswith("?") else (".", " please"))
    if _TO_WRITE.match(text):
        return ask, general.CANNOT_WRITE, general.TOO_SMALL_BRIEF
    if _TO_KNOW.match(text):
        return ask, general.TOO_SMALL, general.TOO_SMALL_BRIEF
    return ask, NO_FITTING_TOOL, NO_FITTING_TOOL_BRIEF


def _said(rng: Random, theme: str, mark: str) -> str | None:
    templates = _lines().get((theme, mark))
    return values.fill(rng, words.say(rng, rng.choice(templates))) if templates else None
