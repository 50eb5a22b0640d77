"""Attention of one new token of each row over all before: keys and values are read once for all heads of a group.

The tokens of a key-value head are split among programs; the last of them to finish puts the splits together.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from llama_nb.engine.kernels.launch import PLAIN, Start, begin
from llama_nb.engine.kernels.table import Table

SPLITS = 32  # of each key-value head, at most: enough to occupy every multiprocessor
FEWEST_TOKENS = 64  # of a split
BLOCK = 64  # tokens read at a time
SMALLEST_DOT = 16  # rows that tensor cores multiply at least: the query heads of a group become so many
AT_ONCE = 16  # splits put together at a time


@triton.jit
def _attend_kernel(
    q, base, distances, positions, mixed, peaks, sums, arrived, y, ahead, first_key, most_pages, scale,
    G: tl.constexpr, HEADS: tl.constexpr, PAGE: tl.constexpr,
    PADDED: tl.constexpr, D: tl.constexpr, S: tl.constexpr, FEWEST: tl.constexpr,
    TOKENS: tl.constexpr, SPLITS_AT_ONCE: tl.constexpr, GROUP: tl.constexpr,
    AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """Of each row: mixed (H, S, D), peaks, sums (H, S) float32; arrived (H / G,) counts the splits, 0 at the end."""
    begin(ahead, AHEAD, LANES, EARLY)
    row = tl.program_id(2)
    length = tl.load(positions + row).to(tl.int32) + 1
    distances += row * most_pages
    q += row * HEADS * G * D
    y += row * HEADS * G * D
    mixed += row * HEADS * G * S * D
    peaks += row * HEADS * G * S
    sums += row * HEADS * G * S
    arrived += row * HEADS
    share = tl.maximum(tl.cdiv(tl.cdiv(length, S), TOKENS) * TOKENS, FEWEST)
    head, split = tl.program_id(0), tl.program_id(1)
    first = split * share
    if first >= length:
        return
    size = tl.arange(0, D)
    group = tl.arange(0, PADDED)
    heads = head * G + group
    query = tl.load(q + heads[:, None] * D + size[None, :], mask=group[:, None] < G, other=0)
    peak = tl.full([PADDED], float("-inf"), tl.float32)
    total = tl.zeros([PADDED], tl.float32)
    mix = tl.zeros([PADDED, D], tl.float32)
    end = tl.minimum(first + share, length)
    for start in range(first, end, TOKENS):
        places = start + tl.arange(0, TOKENS)
        page = base + tl.multiple_of(tl.load(distances + start // PAGE), 16)
        at = first_key + (head * PAGE + places % PAGE)[:, None] * D + size[None, :]
        key = tl.load(page + at, mask=places[:, None] < end, other=0)
        value = tl.load(page + at + HEADS * PAGE * D, mask=places[:, None] < end, other=0)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        scores = tl.where(places[None, :] < end, scores, float("-inf"))
        higher = tl.maximum(peak, tl.max(scores, 1))
        shares = tl.exp2(scores - higher[:, None])
        shrink = tl.exp2(peak - higher)
        total = total * shrink + tl.sum(shares, 1)
        mix = mix * shrink[:, None] + tl.dot(shares.to(value.dtype), value, input_precision="ieee")
        peak = higher
    used = tl.cdiv(length, share)
    if used == 1:
        done = (mix / total[:, None]).to(y.dtype.element_ty)
        tl.store(y + heads[:, None] * D + size[None, :], done, mask=group[:, None] < G)
        return
    slots = heads * S + split
    tl.store(peaks + slots, peak, mask=group < G)
    tl.store(sums + slots, total, mask=group < G)
    tl.store(mixed + slots[:, None] * D + size[None, :], mix, mask=group[:, None] < G)
    tl.debug_barrier()  # all threads have written before one of them says so
    if tl.atomic_add(arrived + head, 1, sem="acq_rel") == used - 1:
        tl.store(arrived + head, 0)
        _combine(mixed, peaks, sums, y, head, used, G, D, S, SPLITS_AT_ONCE, GROUP)


@triton.jit
def _combine(
    mixed, peaks, sums, y, head, used,
    G: tl.constexpr, D: tl.constexpr, S: tl.constexpr, SPLITS_AT_ONCE: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """The `used` splits of a group → y, in their order: whichever was the last, it is rounded the same.

    What other multiprocessors wrote is read past the L1 cache.
    """
    size = tl.arange(0, D)
    group = tl.arange(0, GROUP)
    heads = head * G + group
    peak = tl.full([GROUP], float("-inf"), tl.float32)
    total = tl.zeros([GROUP], tl.float32)
    mix = tl.zeros([GROUP, D], tl.float32)
    for start in range(0, used, SPLITS_AT_ONCE):
        splits = start + tl.arange(0, SPLITS_AT_ONCE)
        slots = heads[:, None] * S + splits[None, :]
        inside = (group[:, None] < G) & (splits[None, :] < used)
        at = slots[:, :, None] * D + size[None, None, :]
        part = tl.load(mixed + at, mask=inside[:, :, None], other=0, cache_modifier=".cg")
        part_peak = tl.load(peaks + slots, mask=inside, other=float("-inf"), cache_modifier=".cg")
        part_sum = tl.load(sums + slots, mask=inside, other=0, cache_modifier=".cg")
        higher = tl.maximum(tl.maximum(peak, tl.max(part_peak, 1)), -1e30)  # finite, even of a head that is none
        shrink = tl.exp2(peak - higher)
        weight = tl.exp2(part_peak - higher[:, None])
        total = total * shrink + tl.sum(part_sum * weight, 1)
        mix = mix * shrink[:, None] + tl.sum(part * weight[:, :, None], 1)
        peak = higher
    done = (mix / total[:, None]).to(y.dtype.element_ty)
    tl.store(y + heads[:, None] * D + size[None, :], done, mask=group[:, None] < G)


class Splits:
    """Where the splits of one attention meet; one after the other may use the same."""

    def __init__(
        self, heads: int, kv_heads: int, size: int, device: torch.device, most: int = SPLITS, *, rows: int = 1
    ) -> None:
        self.most = most
        self.mixed = torch.empty(rows, heads, most, size, dtype=torch.float32, device=device)
        self.peaks = torch.empty(rows, heads, most, dtype=torch.float32, device=device)
        self.sums = torch.empty(rows, heads, most, dtype=torch.float32, device=device)
        self.arrived = torch.zeros(rows, kv_heads, dtype=torch.int32, device=device)


def attend(
    q: Tensor, table: Table, layer: int, positions: Tensor, splits: Splits, y: Tensor, start: Start = PLAIN,
    *, fewest: int = FEWEST_TOKENS, block: int = BLOCK, warps: int = 4, stages: int = 3,
) -> None:  # fmt: skip
    """Each row of q (rows, H · D) sees the keys and values of `layer` that the table leads to → y (rows, H · D).

    It sees those up to its own of the `positions` (rows,).
    """
    heads, size = table.kv_heads, table.head_dim
    group = q.numel() // (table.rows * heads * size)
    assert table.page % block == 0 and fewest % block == 0, "a block lies in one page"
    _attend_kernel[(heads, splits.most, table.rows)](
        q, table.base, table.distances, positions, splits.mixed, splits.peaks, splits.sums, splits.arrived, y,
        first_key=table.first_key(layer), most_pages=table.most, scale=math.log2(math.e) / math.sqrt(size),
        G=group, HEADS=heads, PAGE=table.page,
        PADDED=max(SMALLEST_DOT, triton.next_power_of_2(group)), D=size, S=splits.most, FEWEST=fewest,
        TOKENS=block, SPLITS_AT_ONCE=AT_ONCE, GROUP=triton.next_power_of_2(group),
        num_stages=stages, **start.options(warps),
    )  # fmt: skip
