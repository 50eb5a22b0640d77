"""Prompt lookup: what followed the last tokens before may follow them again. Knows the tokens of one sequence.

A guess costs little: the model reads it along with the token that is to be read anyway, and tells at each place what it
would have chosen. As many as it would have chosen itself have come for the price of one; where it differs, its own
choice stands. So a guess never changes an answer.

Source: Saxena, Prompt Lookup Decoding (2023); Yang et al., Inference with Reference (arXiv 2304.04487).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

ALIKE = 3  # so many last tokens must have stood together before
SHORTEST, LONGEST = 2, 16  # tokens of a guess
WORTHWHILE = 0.3  # of the guessed tokens are to come true, or it pauses
INERTIA = 0.8  # how much of the share that came true is as it was, after one more guess
PAUSE = 32  # tokens
ITEM = array("I").itemsize


class Lookup:
    """
    >>> lookup = Lookup()
    >>> lookup.see([1, 2, 3, 4, 5, 1, 2, 3])
    >>> lookup.guess(9)
    [4, 5]
    """

    def __init__(self) -> None:
        self._seen = bytearray()  # bytes are sought in many times as fast as in a list
        self._length = SHORTEST
        self._share = (1 + WORTHWHILE) / 2
        self._pause = 0

    def see(self, tokens: Iterable[int]) -> None:
        """These come next in the sequence."""
        self._seen += array("I", tokens).tobytes()

    def guess(self, most: int) -> list[int]:
        """At most so many tokens that may come next; none where nothing tells, or while guesses do not pay."""
        if self._pause > 0:
            self._pause -= 1
            return []
        after = self._last_time()
        return array("I", bytes(self._seen[after : after + min(most, self._length) * ITEM])).tolist()

    def learn(self, guessed: int, right: int) -> None:
        """Of so many guessed tokens so many came true."""
        self._length = min(2 * self._length, LONGEST) if right == guessed else max(SHORTEST, right)
        self._share = INERTIA * self._share + (1 - INERTIA) * right / guessed
        if self._share < WORTHWHILE:
            self._share = (1 + WORTHWHILE) / 2
            self._pause = PAUSE

    def _last_time(self) -> int:
        """Where it went on when the last tokens stood there before; the end, if they never did."""
        last = bytes(self._seen[-ALIKE * ITEM :])
        end = len(self._seen) - ITEM
        while (place := self._seen.rfind(last, 0, end)) >= 0 and place % ITEM:
            end = place + len(last) - 1
        return place + len(last) if place >= 0 and len(last) == ALIKE * ITEM else len(self._seen)
