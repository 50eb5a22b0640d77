"""Products of a weight and one row, with what comes before and after them: norm, rotation, SwiGLU, residual sum.

A program reads a few whole rows of the weight, the next block while it works on one, and adds up across its threads
once, at the end. Small weights are those of `quantize.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from llama_nb.engine.kernels.launch import PLAIN, Start, Tile, begin
from llama_nb.engine.kernels.table import Table


class Weight(NamedTuple):
    """(N, K); with `scales` (N,) int8 or fp8; with `zeros` too int4, two to a byte: then both are (N, K / group)."""

    data: Tensor
    scales: Tensor | None = None
    zeros: Tensor | None = None

    @property
    def outputs(self) -> int:
        return self.data.shape[0]

    @property
    def inputs(self) -> int:
        return self.data.shape[1] * (1 if self.zeros is None else 2)

    @property
    def group(self) -> int:
        """How many inputs share a scale and a zero, 0 if that is not how it is kept."""
        return 0 if self.zeros is None else self.inputs // self.zeros.shape[1]

    @property
    def tensors(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """As the kernels take them: int4 in words of eight."""
        return self.data if self.zeros is None else self.data.view(torch.int32), self.scales, self.zeros


@triton.jit
def _product(
    x, weight, scales, zeros, gain, rows, ahead,
    K: tl.constexpr, COUNT: tl.constexpr, BLOCK: tl.constexpr, SCALED: tl.constexpr, GROUP: tl.constexpr,
    NORMED: tl.constexpr, EPS: tl.constexpr, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """`rows` (COUNT,) of weight (N, K) times x (K,), which is normed before if NORMED → (COUNT,) float32.

    The norm's division comes after the product: so no weight waits for the sum of the squares.
    """
    if GROUP:
        y, squares = _sum_of_steps(
            x, weight, scales, zeros, gain, rows, ahead, K, COUNT, BLOCK, GROUP, NORMED, AHEAD, LANES, EARLY
        )
    else:
        y, squares = _sum(x, weight, gain, rows, ahead, K, COUNT, BLOCK, NORMED, AHEAD, LANES, EARLY)
        if SCALED:
            y *= tl.load(scales + rows).to(tl.float32)
    if NORMED:
        y *= tl.rsqrt(squares / K + EPS)
    return y


@triton.jit
def _sum(
    x, weight, gain, rows, ahead,
    K: tl.constexpr, COUNT: tl.constexpr, BLOCK: tl.constexpr,
    NORMED: tl.constexpr, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """The products, and the sum of the squares of x."""
    columns = tl.arange(0, BLOCK)
    at = weight + rows[:, None].to(tl.int64) * K + columns[None, :]
    if K % BLOCK == 0:  # without a mask it is read in larger pieces
        block = tl.load(at)
    else:
        block = tl.load(at, mask=columns[None, :] < K, other=0.0)
    begin(ahead, AHEAD, LANES, EARLY)
    total = tl.zeros([COUNT, BLOCK], tl.float32)
    squares = tl.zeros([BLOCK], tl.float32)
    for start in range(0, K, BLOCK):
        places = start + columns
        if K % BLOCK == 0:
            value = tl.load(x + places).to(tl.float32)
            following = tl.load(at + (start + BLOCK), mask=start + BLOCK < K, other=0.0)
        else:
            value = tl.load(x + places, mask=places < K, other=0.0).to(tl.float32)
            following = tl.load(at + (start + BLOCK), mask=places[None, :] + BLOCK < K, other=0.0)
        if NORMED:
            squares += value * value
            value *= tl.load(gain + places, mask=places < K, other=0.0).to(tl.float32)
        total += block.to(tl.float32) * value[None, :]
        block = following
    return tl.sum(total, 1), tl.sum(squares, 0)


@triton.jit
def _sum_of_steps(
    x, weight, scales, zeros, gain, rows, ahead,
    K: tl.constexpr, COUNT: tl.constexpr, BLOCK: tl.constexpr, GROUP: tl.constexpr,
    NORMED: tl.constexpr, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """As `_sum`, of int4 in words of eight, the first input in the lowest bits. GROUP divides K and BLOCK."""
    GROUPS: tl.constexpr = BLOCK // GROUP
    WORDS: tl.constexpr = GROUP // 8
    columns = tl.arange(0, BLOCK)
    groups = tl.arange(0, GROUPS)
    at_group = rows[:, None].to(tl.int64) * (K // GROUP) + groups[None, :]
    at = weight + at_group[:, :, None] * WORDS + tl.arange(0, WORDS)[None, None, :]
    inside = groups[None, :] < K // GROUP
    words = tl.load(at, mask=inside[:, :, None], other=0)
    scale = tl.load(scales + at_group, mask=inside, other=0.0)
    zero = tl.load(zeros + at_group, mask=inside, other=0.0)
    begin(ahead, AHEAD, LANES, EARLY)
    total = tl.zeros([COUNT, GROUPS, WORDS], tl.float32)
    squares = tl.zeros([BLOCK], tl.float32)
    for start in range(0, K, BLOCK):
        places = start + columns
        value = tl.load(x + places, mask=places < K, other=0.0).to(tl.float32)
        following = (start + BLOCK) // GROUP
        inside = groups[None, :] + following < K // GROUP
        next_words = tl.load(at + following * WORDS, mask=inside[:, :, None], other=0)
        next_scale = tl.load(scales + at_group + following, mask=inside, other=0.0)
        next_zero = tl.load(zeros + at_group + following, mask=inside, other=0.0)
        if NORMED:
            squares += value * value
            value *= tl.load(gain + places, mask=places < K, other=0.0).to(tl.float32)
        steps, sums = _steps_times(words, tl.reshape(value, [1, GROUPS, WORDS, 2, 2, 2]))
        total += steps * (scale.to(tl.float32) * 2.0**49)[:, :, None]
        total += sums * zero.to(tl.float32)[:, :, None]
        words, scale, zero = next_words, next_scale, next_zero
    return tl.sum(tl.sum(total, 2), 1), tl.sum(squares, 0)


@triton.jit
def _steps_times(words, x):
    """Of each word: its eight steps times x (…, 2, 2, 2), added up, times 2 ** -49; and x added up.

    To convert whole numbers would take longer than to read them. But the bits of a step, where they stand in the word,
    are a float32 already: below 2 ** 23 all of them are subnormal, and step · 2 ** (place - 149). Once x is made large
    enough for that, their product is exact.
    """
    even, odd = tl.split(x)
    even_0, even_2 = tl.split(even)
    odd_1, odd_3 = tl.split(odd)
    x0, x4 = tl.split(even_0)
    x2, x6 = tl.split(even_2)
    x1, x5 = tl.split(odd_1)
    x3, x7 = tl.split(odd_3)
    sums = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7
    total = _step(words, 0) * (x0 * 2.0**100)
    total += _step(words, 4) * (x1 * 2.0**96)
    total += _step(words, 8) * (x2 * 2.0**92)
    total += _step(words, 12) * (x3 * 2.0**88)
    total += _step(words, 16) * (x4 * 2.0**84)
    words = words >> 12
    total += _step(words, 8) * (x5 * 2.0**92)
    total += _step(words, 12) * (x6 * 2.0**88)
    total += _step(words, 16) * (x7 * 2.0**84)
    return total, sums


@triton.jit
def _step(words, PLACE: tl.constexpr):
    return (words & (15 << PLACE)).to(tl.float32, bitcast=True)


@triton.jit
def _qkv_kernel(
    x, weight, scales, zeros, gain, cosines, sines, position, q, base, distances, first_key, ahead,
    Q: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, PAGE: tl.constexpr,
    K: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, SCALED: tl.constexpr, GROUP: tl.constexpr,
    EPS: tl.constexpr, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """The Q rows of q lie before the KV of k and those of v; a pair that turns together never lies in two programs."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    y = _product(
        x, weight, scales, zeros, gain, rows, ahead, K, ROWS, BLOCK, SCALED, GROUP, True, EPS, AHEAD, LANES, EARLY
    )
    y = y.to(q.dtype.element_ty).to(tl.float32)
    place = tl.load(position)
    pairs = tl.program_id(0) * (ROWS // 2) + tl.arange(0, ROWS // 2)
    angle = place * (D // 2) + pairs % (D // 2)
    turns = pairs < (Q + KV) // 2
    cosine = tl.load(cosines + angle, mask=turns, other=1.0)
    sine = tl.load(sines + angle, mask=turns, other=0.0)
    real, imaginary = tl.split(tl.reshape(y, [ROWS // 2, 2]))
    turned = tl.join(real * cosine - imaginary * sine, real * sine + imaginary * cosine)
    y = tl.reshape(turned, [ROWS]).to(q.dtype.element_ty)
    tl.store(q + rows, y, mask=rows < Q)
    # Behind the keys of a page are its values, as the rows of v are behind those of k.
    row = rows - Q
    page = base + tl.load(distances + place // PAGE)
    tl.store(page + first_key + (row // D * PAGE + place % PAGE) * D + row % D, y, mask=row >= 0)


@triton.jit
def _linear_kernel(
    x, weight, scales, zeros, gain, residual, y, ahead,
    K: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, SCALED: tl.constexpr, GROUP: tl.constexpr,
    NORMED: tl.constexpr, ADDED: tl.constexpr,
    EPS: tl.constexpr, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    product = _product(
        x, weight, scales, zeros, gain, rows, ahead, K, ROWS, BLOCK, SCALED, GROUP, NORMED, EPS, AHEAD, LANES, EARLY
    )
    product = product.to(x.dtype.element_ty).to(tl.float32)
    if ADDED:
        product += tl.load(residual + rows).to(tl.float32)
    tl.store(y + rows, product.to(y.dtype.element_ty))


@triton.jit
def _swiglu_kernel(
    x, weight, scales, zeros, gain, y, ahead,
    HIDDEN: tl.constexpr,
    K: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, SCALED: tl.constexpr, GROUP: tl.constexpr,
    EPS: tl.constexpr, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """The rows of w1 lie before those of w3; a program reads the same of both, in turn."""
    both = tl.arange(0, 2 * ROWS)
    first = tl.program_id(0) * ROWS
    rows = first + both // 2 + both % 2 * HIDDEN
    product = _product(
        x, weight, scales, zeros, gain, rows, ahead,
        K, 2 * ROWS, BLOCK, SCALED, GROUP, True, EPS, AHEAD, LANES, EARLY,
    )  # fmt: skip
    product = product.to(y.dtype.element_ty).to(tl.float32)
    gate, up = tl.split(tl.reshape(product, [ROWS, 2]))
    gate = (gate * tl.sigmoid(gate)).to(y.dtype.element_ty).to(tl.float32)
    tl.store(y + first + tl.arange(0, ROWS), (gate * up).to(y.dtype.element_ty))


def qkv(
    x: Tensor, weight: Weight, gain: Tensor, eps: float, cosines: Tensor, sines: Tensor, position: Tensor,
    q: Tensor, table: Table, layer: int, tile: Tile, start: Start = PLAIN,
) -> None:  # fmt: skip
    """x (K,) → q (H · D,), and the new keys and values of `layer` at `position` () of the pages in the table.

    The weight has the rows of q, k and v; cosines, sines (positions, D / 2) float32. `tile.rows` is even.
    """
    _qkv_kernel[_grid(weight.outputs, tile)](
        x, *weight.tensors, gain, cosines, sines, position, q, table.base, table.distances, table.first_key(layer),
        Q=q.numel(), KV=table.kv_heads * table.head_dim, D=table.head_dim, PAGE=table.page,
        **_options(weight, tile, start, eps),
    )  # fmt: skip


def linear(
    x: Tensor, weight: Weight, y: Tensor, tile: Tile, start: Start = PLAIN,
    *, residual: Tensor | None = None, gain: Tensor | None = None, eps: float = 0.0,
) -> None:  # fmt: skip
    """y (N,) = weight · x (K,), where x is normed before if there is a `gain`, and `residual` (N,) is added, if any.

    `residual` may be y itself.
    """
    _linear_kernel[_grid(weight.outputs, tile)](
        x, *weight.tensors, gain, residual, y, NORMED=gain is not None, ADDED=residual is not None,
        **_options(weight, tile, start, eps),
    )  # fmt: skip


def swiglu(x: Tensor, weight: Weight, gain: Tensor, eps: float, y: Tensor, tile: Tile, start: Start = PLAIN) -> None:
    """x (K,) → y (hidden,). The weight has the rows of w1, and then those of w3; `tile.rows` counts those of one."""
    hidden = y.numel()
    assert weight.outputs == 2 * hidden
    _swiglu_kernel[_grid(hidden, tile)](
        x, *weight.tensors, gain, y, HIDDEN=hidden, **_options(weight, tile, start, eps)
    )


def _grid(outputs: int, tile: Tile) -> tuple[int, int]:
    assert outputs % tile.rows == 0, f"{tile.rows} rows a program do not divide {outputs}"
    return outputs // tile.rows, 1


def _options(weight: Weight, tile: Tile, start: Start, eps: float) -> dict[str, object]:
    assert not weight.group or tile.block % weight.group == 0, "a block has whole groups"
    return {
        "K": weight.inputs,
        "ROWS": tile.rows,
        "BLOCK": tile.block,
        "SCALED": weight.scales is not None,
        "GROUP": weight.group,
        "EPS": eps,
    } | start.options(tile.warps)
