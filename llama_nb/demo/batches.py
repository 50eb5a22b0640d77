"""Prepared tokens → batches. Knows torch and the plan; knows no model.

A dialog starts at position 0 and is padded on the right.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from llama_nb.demo.plan import Plan

LEARN = 0x8000  # see prepare.py
PAD = 0  # the id of a byte that no text holds
WIDTH_STEP = 64  # tokens; few different shapes, so that a GPU can keep what it does for each


def read_dialogs(path: Path, bos: int) -> list[Tensor]:
    """One int32 tensor for each dialog, the mark `LEARN` still in it."""
    low, high = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8).view(-1, 2).int().unbind(1)
    whole = low + 256 * high
    starts = (whole == bos).nonzero().flatten().tolist()
    return list(whole.tensor_split(starts[1:]))


class Batch(NamedTuple):
    """Token ids, the token that follows each, and how much each of those counts: (rows, width) all."""

    ids: Tensor
    targets: Tensor
    weights: Tensor


def batches(dialogs: Sequence[Tensor], bos: int, plan: Plan, chance: torch.Generator) -> Iterator[Batch]:
    """One for each step: of dialogs, and of random spans before and between them."""
    groups = endless_groups(dialogs, plan.batch_tokens, chance)
    for step in itertools.count(1):
        if step <= plan.copying_steps or step % plan.copying_every == 0:
            yield spans_to_copy(bos, plan.batch_tokens, chance)
        else:
            yield padded(next(groups), plan.batch_tokens, plan.heard * plan.share(step))


def endless_groups(dialogs: Sequence[Tensor], batch_tokens: int, chance: torch.Generator) -> Iterator[list[Tensor]]:
    """Dialogs of like length that make a batch, each dialog once in each pass, in random order."""
    lengths = [len(dialog) for dialog in dialogs]
    while True:
        order = torch.randperm(len(dialogs), generator=chance).tolist()
        groups: list[list[int]] = []
        for start in range(0, len(order), 8192):
            groups += groups_of(sorted(order[start : start + 8192], key=lengths.__getitem__), lengths, batch_tokens)
        for place in torch.randperm(len(groups), generator=chance).tolist():
            yield [dialogs[index] for index in groups[place]]


def groups_of(indices: list[int], lengths: list[int], batch_tokens: int) -> list[list[int]]:
    groups: list[list[int]] = [[]]
    for index in indices:  # the shortest first, so that the newest decides the width of its group
        if groups[-1] and len(groups[-1]) >= _rows(lengths[index], batch_tokens):
            groups.append([])
        groups[-1].append(index)
    return groups


def _width(length: int) -> int:
    """How wide a batch is whose longest dialog has `length` tokens: the last one is a target only."""
    return WIDTH_STEP * math.ceil(max(1, length - 1) / WIDTH_STEP)


def _rows(length: int, batch_tokens: int) -> int:
    return max(1, batch_tokens // _width(length))


def padded(dialogs: list[Tensor], batch_tokens: int, heard: float = 0.0) -> Batch:
    """A batch in which the marked tokens together count 1, and the others, without padding, `heard`."""
    longest = max(len(dialog) for dialog in dialogs)
    marked = torch.full((_rows(longest, batch_tokens), _width(longest) + 1), PAD)
    for row, dialog in zip(marked, dialogs, strict=False):
        row[: len(dialog)] = dialog
    ids = marked & (LEARN - 1)
    learned = (marked & LEARN) > 0
    others = (ids != PAD) & ~learned
    weights = learned / learned[:, 1:].sum().clamp(min=1) + heard * others / others[:, 1:].sum().clamp(min=1)
    return Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), weights[:, 1:].contiguous())


def spans_to_copy(bos: int, batch_tokens: int, chance: torch.Generator) -> Batch:
    """Rows of random tokens, then spans out of them: a span's beginning says how it goes on.

    Few different tokens in a row, as in numbers, force the model to look at more than the last one.
    """

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=chance))

    width = (64, 128, 192)[draw(0, 2)]
    rows = []
    for _ in range(max(1, batch_tokens // width)):
        kinds = (10, 40, bos, bos)[draw(0, 3)]  # the ids below <|begin_of_text|> are plain text
        hint = 3 if kinds <= 40 else 1
        letters = torch.randint(0, bos, (kinds,), generator=chance)
        source = letters[torch.randint(0, kinds, (draw(width // 4, width // 2),), generator=chance)].tolist()
        row = [bos, *source]
        while len(row) <= width:
            length = draw(hint + 1, 16)
            begin = draw(0, max(0, len(source) - length))
            span = source[begin : begin + length]
            row += span[:hint] + [token | LEARN for token in span[hint:]]
        rows.append(torch.tensor(row[: width + 1], dtype=torch.int32))
    return padded(rows, batch_tokens)
