"""Trains the vocabulary: byte-pair merges within what Llama 3's pattern takes as one word. Knows no torch.

Three rules make copying easy for a very small model. Digits are never merged; a word's letters are never merged with
what stands before it, so that `"Oslo`, ` Oslo` and `Oslo` end in the same tokens; only at last, as the highest ranks,
frequent whole words get a token with a leading space.
"""

from __future__ import annotations

import base64
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import regex

Pair = tuple[bytes, bytes]


def train(texts: Iterable[str], size: int, with_space: int) -> list[bytes]:
    """`size` tokens in the order of their ranks, the last `with_space` of them words behind a space."""
    segments: Counter[str] = Counter()
    spaced: Counter[str] = Counter()
    for word, count in _words(texts).items():
        for segment in _segments(word):
            segments[segment] += count
        if word[0] == " " and word[1:].isalpha():
            spaced[word] += count
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += _merges(segments, size - with_space - 256)
    known = dict.fromkeys(tokens)
    frequent = sorted(spaced, key=lambda word: (-spaced[word], word))
    # " f" would tear the first letter off rare words; only the words of one letter may have it.
    behind_space = [
        word.encode() for word in frequent if word[1:].encode() in known and (len(word) > 2 or word in (" a", " I"))
    ]
    # Were there too few, the ranks would have a gap: the file just gets shorter.
    return tokens + behind_space[:with_space]


def write(tokens: list[bytes], path: Path) -> None:
    """tiktoken's format: base64 of the token, its rank."""
    path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens)))


def _words(texts: Iterable[str]) -> Counter[str]:
    from llama_models.llama3.tokenizer import Tokenizer

    pattern = regex.compile(Tokenizer.pat_str)
    return Counter(word for text in texts for word in pattern.findall(text))


def _segments(word: str) -> Iterator[str]:
    """The letters of a word, and what stands before them; digits one by one."""
    letters = word.lstrip() if word.strip().isalpha() else word[1:] if word[1:].isalpha() else word
    if letters != word:
        yield word[: len(word) - len(letters)]
    if letters.isnumeric():
        yield from letters
    else:
        yield letters


def _merges(segments: Counter[str], wanted: int) -> list[bytes]:
    """The most frequent pair becomes a token, again and again; among equals the greatest in byte order."""
    words = [([bytes([byte]) for byte in segment.encode()], segments[segment]) for segment in sorted(segments)]
    counts: Counter[Pair] = Counter()
    homes: dict[Pair, dict[int, None]] = {}
    for index, (parts, count) in enumerate(words):
        for pair in itertools.pairwise(parts):
            counts[pair] += count
            homes.setdefault(pair, {})[index] = None
    merged: list[bytes] = []
    known: set[bytes] = set()
    while len(merged) < wanted and counts:
        best = max(counts, key=lambda pair: (counts[pair], pair))
        if counts[best] < 2:
            break
        token = best[0] + best[1]
        if token not in known:  # two pairs may make the same token
            known.add(token)
            merged.append(token)
        for index in list(homes.pop(best)):
            parts, count = words[index]
            for pair in itertools.pairwise(parts):
                counts[pair] -= count
            parts[:] = _joined(parts, best)
            for pair in itertools.pairwise(parts):
                counts[pair] += count
                homes.setdefault(pair, {})[index] = None
        del counts[best]
    return merged


def _joined(parts: list[bytes], pair: Pair) -> list[bytes]:
    joined: list[bytes] = []
    at = 0
    while at < len(parts):
        if at + 1 < len(parts) and (parts[at], parts[at + 1]) == pair:
            joined.append(pair[0] + pair[1])
            at += 2
        else:
            joined.append(parts[at])
            at += 1
    return joined
