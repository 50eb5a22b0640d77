"""Token ids → text as it may be shown: whole characters only, and nothing of a stop string. Knows one answer."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from llama_models.llama3.tokenizer import Tokenizer


class Text(NamedTuple):
    """Tokens and the text that they completed; `tokens` counts those before it that completed none."""

    tokens: list[int]
    text: str


class Detokenizer:
    """Feeds on the tokens of one answer.

    A token may end inside a character, and text may be the beginning of a stop string: such tokens wait until their
    text is certain. After `stopped` became true nothing more is to be fed.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = [string for string in stop if string]
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._tokens: list[int] = []
        self._held = ""
        self.stopped = False

    def feed(self, token: int) -> list[Text]:
        """The texts that are certain now. A control token has none, and comes in a `Text` of its own."""
        if token >= self._tokenizer.bos_id:
            return [*self.flush(), Text([token], "")]
        self._tokens.append(token)
        self._held += self._utf8.decode(self._tokenizer.model.decode_single_token_bytes(token))
        cut = self._first_stop()
        if cut is not None:
            self.stopped = True
            self._held = self._held[:cut]
            return self._release(len(self._held), always=True)
        return self._release(len(self._held) - self._stop_overlap())

    def flush(self) -> list[Text]:
        """What still waits: it will not become whole or a stop string any more."""
        self._held += self._utf8.decode(b"", final=True)
        self._utf8.reset()
        return self._release(len(self._held), always=True)

    def _release(self, length: int, always: bool = False) -> list[Text]:
        # Tokens stay together with the text they end in: they go when all of their text does.
        if not self._tokens or (not always and (length < len(self._held) or not self._held or self._mid_character())):
            return []
        released = Text(self._tokens, self._held)
        self._tokens, self._held = [], ""
        return [released]

    def _mid_character(self) -> bool:
        return bool(self._utf8.getstate()[0])

    def _first_stop(self) -> int | None:
        found = [at for string in self._stop if (at := self._held.find(string)) >= 0]
        return min(found) if found else None

    def _stop_overlap(self) -> int:
        """How many characters at the end may be the beginning of a stop string."""
        return max(
            (
                size
                for string in self._stop
                for size in range(1, min(len(string), len(self._held) + 1))
                if self._held.endswith(string[:size])
            ),
            default=0,
        )


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """The text of one token by itself; bytes that are no whole character read `\\xNN`, control tokens their name."""
    text: str = tokenizer.model.decode_single_token_bytes(token).decode("utf-8", "backslashreplace")
    return text
