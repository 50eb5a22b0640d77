"""From a token to its row, and from the logits to the next token."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from llama_nb.engine.kernels.launch import PLAIN, Start, begin

WARPS = 4
BLOCK = 1024  # values of one program


@triton.jit
def _embed_kernel(
    token, table, x, ahead,
    DIM: tl.constexpr, COUNT: tl.constexpr, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    begin(ahead, AHEAD, LANES, EARLY)
    places = tl.program_id(0) * COUNT + tl.arange(0, COUNT)
    row = tl.load(token).to(tl.int64) * DIM
    tl.store(x + places, tl.load(table + row + places, mask=places < DIM), mask=places < DIM)


@triton.jit
def _likeliest_kernel(
    logits, best, whose, ahead,
    N: tl.constexpr, COUNT: tl.constexpr, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    begin(ahead, AHEAD, LANES, EARLY)
    places = tl.program_id(0) * COUNT + tl.arange(0, COUNT)
    values = tl.load(logits + places, mask=places < N, other=float("-inf"))
    value, index = tl.max(values, 0, return_indices=True)
    tl.store(best + tl.program_id(0), value + _flaw(values, places < N))
    tl.store(whose + tl.program_id(0), tl.minimum(tl.program_id(0) * COUNT + index, N - 1))


@triton.jit
def _flaw(values, inside):
    """0, but NaN if any of the values is not finite: then which is the highest means nothing, if it is one of them."""
    return tl.sum(tl.where(inside, values * 0, 0), 0)


@triton.jit
def _advance_kernel(
    best, whose, token, position, said, peaks, ahead,
    N: tl.constexpr, COUNT: tl.constexpr, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    begin(ahead, AHEAD, LANES, EARLY)
    places = tl.arange(0, COUNT)
    values = tl.load(best + places, mask=places < N, other=float("-inf"))
    value, index = tl.max(values, 0, return_indices=True)
    chosen = tl.load(whose + tl.minimum(index, N - 1))
    place = tl.load(position)
    tl.store(said + place, chosen)
    tl.store(peaks + place, value + _flaw(values, places < N))
    tl.store(token, chosen)
    tl.store(position, place + 1)


class Highest:
    """Of each block of the logits the highest, and whose it is.

    And of each position what was chosen after it, and its logit, which is NaN if any of them was not finite.
    """

    def __init__(self, vocabulary: int, positions: int, device: torch.device) -> None:
        self.count = triton.cdiv(vocabulary, BLOCK)
        self.best = torch.empty(self.count, dtype=torch.float32, device=device)
        self.whose = torch.empty(self.count, dtype=torch.int32, device=device)
        self.said = torch.zeros(positions, dtype=torch.int32, device=device)
        self.peaks = torch.zeros(positions, dtype=torch.float32, device=device)


def embed(token: Tensor, table: Tensor, x: Tensor, start: Start = PLAIN) -> None:
    """x (dim,) = the row of `table` (vocabulary, dim) at `token` ()."""
    dim = table.shape[1]
    _embed_kernel[(triton.cdiv(dim, BLOCK), 1)](token, table, x, DIM=dim, COUNT=BLOCK, **start.options(WARPS))


def choose_likeliest(logits: Tensor, highest: Highest, token: Tensor, position: Tensor, start: Start = PLAIN) -> None:
    """logits (vocabulary,) float32 → token (), the first of several that are the likeliest; and position () + 1."""
    _likeliest_kernel[(highest.count, 1)](
        logits, highest.best, highest.whose, N=logits.numel(), COUNT=BLOCK, **start.options(WARPS)
    )
    _advance_kernel[(1, 1)](
        highest.best, highest.whose, token, position, highest.said, highest.peaks,
        N=highest.count, COUNT=triton.next_power_of_2(highest.count), **start.options(WARPS),
    )  # fmt: skip
