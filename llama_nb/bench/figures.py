"""What answers took → figures, medians, and ratios between ours and others'. Plain numbers; knows no process."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, float]

OURS = "llama_nb"
SPEEDS = ("decode_tokens_per_s", "batch_tokens_per_s", "prefill_tokens_per_s")
TIMES = ("time_to_first_token_s",)
MEASURED = (*SPEEDS, *TIMES)


@dataclass(frozen=True)
class Answered:
    """What the answers to one or several prompts took, that were asked for at once."""

    read: int  # tokens of the first prompt, without those that a cache had
    first_s: float  # until the first token of the first answer
    total_s: float  # until the last token of the last one
    answers: list[list[int]]


@dataclass(frozen=True)
class Round:
    """The figures of one round and its first answer, by who was asked; and what copying took meanwhile."""

    figures: dict[str, Figures]
    answers: dict[str, list[int]]
    copy_bytes_per_s: float


def figures_of(single: Answered, several: Answered | None = None) -> Figures:
    """The figures of one stream, and of several at once. The first token of an answer counts as its prompt's."""
    figures = {
        "time_to_first_token_s": single.first_s,
        "prefill_tokens_per_s": single.read / single.first_s,
    }
    decoded = len(single.answers[0]) - 1
    if decoded > 0:
        figures["decode_tokens_per_s"] = decoded / (single.total_s - single.first_s)
    if several is not None:
        figures["batch_tokens_per_s"] = sum(map(len, several.answers)) / several.total_s
    return figures


def medians(rounds: Sequence[Round], who: str = OURS) -> dict[str, float | None]:
    """Of each figure; None where there is none."""
    return {name: _median(_values(rounds, who, name)) for name in MEASURED}


def ranges(rounds: Sequence[Round], who: str = OURS) -> dict[str, list[float] | None]:
    """The least and the most of each figure."""
    found = {name: _values(rounds, who, name) for name in MEASURED}
    return {name: [min(values), max(values)] if values else None for name, values in found.items()}


def comparison(rounds: Sequence[Round], who: str) -> dict[str, Any]:
    """Another's figures; "ratio", how many times as good ours are; "same_tokens", how far the answers are the same.

    Ratios are made within each round, where both had the same neighbours, and then the median is taken.
    """
    ratios = {}
    for name in MEASURED:
        pairs = zip(_values(rounds, OURS, name), _values(rounds, who, name), strict=False)
        ratios[name] = _median([other / mine if name in TIMES else mine / other for mine, other in pairs])
    same = [common_start(one.answers[OURS], one.answers[who]) for one in rounds]
    return medians(rounds, who) | {"ratio": ratios, "same_tokens": min(same)}


def copy_bytes_per_s(rounds: Sequence[Round]) -> float:
    return statistics.median(one.copy_bytes_per_s for one in rounds)


def common_start(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens are the same, from the first on.

    >>> common_start([5, 6, 7], [5, 6, 8])
    2
    """
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def rounded(result: Any) -> Any:
    """`result` with its numbers to six digits: more were not measured.

    >>> rounded({"decode_tokens_per_s": 1234.56789, "range": [0.00012345678, 3]})
    {'decode_tokens_per_s': 1234.57, 'range': [0.000123457, 3]}
    """
    if isinstance(result, float):
        return float(f"{result:.6g}")
    if isinstance(result, list):
        return [rounded(value) for value in result]
    if isinstance(result, dict):
        return {name: rounded(value) for name, value in result.items()}
    return result


def _values(rounds: Sequence[Round], who: str, name: str) -> list[float]:
    return [one.figures[who][name] for one in rounds if name in one.figures[who]]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
