"""Queries, keys and values of a few rows: turned by their positions, and put where they belong."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from llama_nb.engine.kernels.table import Table

PAIRS = 256  # of one program
WARPS = 4


@triton.jit
def _place_kernel(
    qkv, cosines, sines, positions, q, base, distances, first_key, most_pages,
    Q: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, PAGE: tl.constexpr, PAIRS: tl.constexpr,
):  # fmt: skip
    pairs = tl.program_id(0) * PAIRS + tl.arange(0, PAIRS)
    row = tl.program_id(1)
    place = tl.load(positions + row)
    inside = pairs < Q // 2 + KV
    source = qkv + row * (Q + 2 * KV) + 2 * pairs
    real = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    imaginary = tl.load(source + 1, mask=inside, other=0.0).to(tl.float32)
    angle = place * (D // 2) + pairs % (D // 2)
    turns = pairs < (Q + KV) // 2
    cosine = tl.load(cosines + angle, mask=turns, other=1.0)
    sine = tl.load(sines + angle, mask=turns, other=0.0)
    turned = (real * cosine - imaginary * sine).to(q.dtype.element_ty)
    its_other = (real * sine + imaginary * cosine).to(q.dtype.element_ty)
    at = q + row * Q + 2 * pairs
    tl.store(at, turned, mask=pairs < Q // 2)
    tl.store(at + 1, its_other, mask=pairs < Q // 2)
    # Behind the keys of a page are its values, as those of v are behind those of k.
    unit = 2 * pairs - Q
    page = base + tl.load(distances + row * most_pages + place // PAGE)
    at = page + first_key + (unit // D * PAGE + place % PAGE) * D + unit % D
    tl.store(at, turned, mask=inside & (unit >= 0))
    tl.store(at + 1, its_other, mask=inside & (unit >= 0))


def place(
    qkv: Tensor, cosines: Tensor, sines: Tensor, positions: Tensor, q: Tensor, table: Table, layer: int
) -> None:  # fmt: skip
    """qkv (rows, (H + 2 · K) · D) → q (rows, H · D), and keys and values of `layer` at the `positions` (rows,).

    cosines, sines (positions, D / 2) float32.
    """
    width = table.kv_heads * table.head_dim
    queries = q.shape[1]
    _place_kernel[(triton.cdiv(queries // 2 + width, PAIRS), table.rows)](
        qkv, cosines, sines, positions, q, table.base, table.distances, table.first_key(layer), table.most,
        Q=queries, KV=width, D=table.head_dim, PAGE=table.page, PAIRS=PAIRS, num_warps=WARPS,
    )  # fmt: skip
