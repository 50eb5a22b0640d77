"""What llama-nb-guide knows about llama_nb, itself and small talk, read from `data/topics*.txt` and `data/talk.txt`.

To teach the model something new, add a topic there and train again. A topic is written as lines:

    # name
    ? a way to ask, a template of `words.say`: `(a|b)` is a choice
    h ask a question|talk to you     what one may want to do; "how do I … ?" is put around it
    n the panel|nb.Panel             what it is about; "what is … ?" is put around it
    > a line of the answer           < of the shorter one           e of the example's code

A name that comes again adds to the same topic.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent / "data"


class Topic(NamedTuple):
    name: str
    asks: tuple[str, ...]
    answer: str
    short: str = ""
    example: str = ""


def _read(pattern: str) -> tuple[Topic, ...]:
    """The topics of some files, in the order in which they first come."""
    lines: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(DATA.glob(pattern)):
        here: list[tuple[str, str]] = []
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("# "):
                here = lines.setdefault(line[2:], [])
            elif line:
                here.append((line[0], line[2:]))
    return tuple(_topic(name, its_lines) for name, its_lines in lines.items())


def lines_of(pattern: str) -> tuple[str, ...]:
    """All lines of some files, of which each is a template."""
    paths = sorted(DATA.glob(pattern))
    return tuple(line for path in paths for line in path.read_text("utf-8").splitlines() if line)


def _topic(name: str, lines: list[tuple[str, str]]) -> Topic:
    asks: list[str] = []
    for mark, text in lines:
        if mark == "?":
            asks.append(text)
        elif mark == "h":
            asks += [f"<how> ({text})?", f"<how> ({text})?", f"<want> ({text})"]
        elif mark == "n":
            asks += [f"<about> ({text})?", f"<word> ({text})"]
    code = _joined(lines, "e")
    example = f"```python\n{code}\n```" if code else ""
    return Topic(name, tuple(asks), _joined(lines, ">"), _joined(lines, "<"), example)


def _joined(lines: list[tuple[str, str]], wanted: str) -> str:
    return "\n".join(text for mark, text in lines if mark == wanted)


ABOUT_LLAMA_NB = _read("topics*.txt")
SMALL_TALK = _read("talk*.txt")
