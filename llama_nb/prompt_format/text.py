"""Text that every pipe, page and tokenizer takes."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """`text` with U+FFFD for each lone surrogate: half a character, which no UTF-8 can carry.

    >>> well_formed("a\\ud800b")
    'a\ufffdb'
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
