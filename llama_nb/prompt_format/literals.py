"""Values as models write them, JSON's and Python's alike, read without ever being run.

    value   = string | number | word | list | tuple | object
    string  = '"' … '"' | "'" … "'"           escapes of JSON and Python; line breaks may stand in it as they are
    number  = JSON's; finite                  no 012, no 9**9, no 1e999
    word    = true false null True False None
    list    = "[" [value {"," value} [","]] "]"
    tuple   = "(" … ")"                       becomes a list; in parentheses one value alone is that value
    object  = "{" [string ":" value {"," string ":" value} [","]] "}"

Between any two of these, white space. What results fits into JSON, is at most `DEPTH` deep and took time in proportion
to its length. Knows nothing of tools.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from llama_nb.prompt_format.text import well_formed

DEPTH = 100  # pydantic writes JSON of twice this depth, and Python's stack has room

_SPACE = re.compile(r"\s*")
_STRINGS = {
    '"': re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL),
    "'": re.compile(r"'([^'\\]*+(?:\\.[^'\\]*+)*+)'", re.DOTALL),
}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?(?![\w.])")
_WORD = re.compile(r"[^\W\d]\w*")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_HEX = "[0-9a-fA-F]"
_ESCAPE = re.compile(rf"\\(?:x({_HEX}{{2}})|u({_HEX}{{4}})|U(000{_HEX}{{5}}|0010{_HEX}{{4}})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0", "\n": ""}
_VERBATIM = "\"'\\/"


class Unreadable(ValueError):
    """Why a text is not what it was read as; its words continue a sentence."""


class Scanner:
    """Reads a text from one place on; `at` is how far it came.

    >>> Scanner('{"a": [1, true], "b": None}').value()
    {'a': [1, True], 'b': None}

    Raises:
        Unreadable: the text there is nothing of the kind.
    """

    def __init__(self, text: str, at: int = 0) -> None:
        self.text, self.at = text, at
        self._comma_last = False  # whether the sequence that was read last ended with a comma

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def take(self, token: str) -> bool:
        """Passes over `token`, if it comes next."""
        self.peek()
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Passes over what `pattern` matches, if it comes next."""
        self.peek()
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise self.unreadable(f"`{token}` is missing")

    def unreadable(self, why: str) -> Unreadable:
        return Unreadable(f"{why} at character {self.at + 1}" if self.peek() else "it breaks off")

    def value(self, depth: int = DEPTH) -> Any:
        if not depth:
            raise self.unreadable(f"what is nested more than {DEPTH} deep begins")
        match self.peek():
            case '"' | "'":
                return self.string()
            case "[":
                return self._sequence("[", "]", lambda: self.value(depth - 1))
            case "(":
                return self._parentheses(depth)
            case "{":
                return self.object(depth)
            case _:
                return self._number_or_word()

    def string(self) -> str:
        quote = self.peek()
        if quote not in _STRINGS:
            raise self.unreadable("a string is missing")
        found = self.match(_STRINGS[quote])
        if not found:
            raise Unreadable("it breaks off in a string")
        text = found[1]
        return well_formed(_ESCAPE.sub(_unescaped, text) if "\\" in text else text)

    def object(self, depth: int = DEPTH) -> dict[str, Any]:
        def entry() -> tuple[str, Any]:
            key = self.string()
            self.expect(":")
            return key, self.value(depth - 1)

        return dict(self._sequence("{", "}", entry))

    def _sequence(self, opening: str, closing: str, item: Callable[[], Any]) -> list[Any]:
        self.expect(opening)
        items: list[Any] = []
        self._comma_last = False
        while not self.take(closing):
            if items and not self._comma_last:
                raise self.unreadable("`,` is missing")
            items.append(item())
            self._comma_last = self.take(",")
        return items

    def _parentheses(self, depth: int) -> Any:
        items = self._sequence("(", ")", lambda: self.value(depth - 1))
        return items[0] if len(items) == 1 and not self._comma_last else items

    def _number_or_word(self) -> Any:
        if found := self.match(_NUMBER):
            return self._number(found)
        found = _WORD.match(self.text, self.at)
        if not found or found[0] not in _WORDS:
            raise self.unreadable(f"`{found[0][:40]}` is no value" if found else "a value is missing")
        self.at = found.end()
        return _WORDS[found[0]]

    def _number(self, found: re.Match[str]) -> int | float:
        fraction, exponent = found.groups()
        try:
            number = float(found[0]) if fraction or exponent else int(found[0])
        except ValueError:  # thousands of digits
            number = math.inf
        if isinstance(number, float) and math.isinf(number):
            raise Unreadable(f"the number {found[0][:20]}… is too large")
        return number


def _unescaped(found: re.Match[str]) -> str:
    code, letter = found[1] or found[2] or found[3], found[4]
    if code:
        return chr(int(code, 16))
    # As in Python, a backslash that escapes nothing stands for itself: `"\d+"`.
    return letter if letter in _VERBATIM else _ESCAPES.get(letter, found[0])
