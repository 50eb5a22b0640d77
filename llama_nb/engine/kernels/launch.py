"""What all kernels share: how they start one after the other, and how they ask for weights before they need them."""

from __future__ import annotations

from typing import Any, NamedTuple

import triton
import triton.language as tl
from torch import Tensor
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

PIECE = tl.constexpr(256)  # bytes that a thread asks for


class Tile(NamedTuple):
    """How a product is cut: outputs of one program, inputs read at a time, warps."""

    rows: int
    block: int
    warps: int


class Start(NamedTuple):
    """How a kernel starts: on a GPU that can, before the last one has ended (`early`, programmatic dependent launch).

    And it asks for the first `ahead_bytes` of `ahead`, the weights of the next, to come into the L2 cache: between two
    kernels the memory would be idle.
    """

    early: bool = False
    ahead: Tensor | None = None
    ahead_bytes: int = 0

    def options(self, warps: int) -> dict[str, Any]:
        asked = 0 if self.ahead is None else min(self.ahead_bytes, self.ahead.nbytes) // PIECE.value * PIECE.value
        options: dict[str, Any] = {"ahead": self.ahead if asked else None, "AHEAD": asked, "LANES": 32 * warps}
        options |= {"EARLY": self.early, "num_warps": warps}
        return options | {"launch_pdl": True} if self.early else options  # other versions of Triton have no such option


PLAIN = Start()


@triton.jit
def begin(ahead, AHEAD: tl.constexpr, LANES: tl.constexpr, EARLY: tl.constexpr):
    """Nothing that another kernel wrote may be read before, and nothing written; weights may."""
    if AHEAD:
        _ask_for(ahead, AHEAD, LANES)
    if EARLY:
        gdc_launch_dependents()
        gdc_wait()


@triton.jit
def _ask_for(ahead, AHEAD: tl.constexpr, LANES: tl.constexpr):
    """The last programs do it, so that what comes is not pushed out again before it is used."""
    program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    last = tl.num_programs(0) * tl.num_programs(1) - 1
    first = (last - program) * LANES * PIECE
    if first < AHEAD:
        offsets = tl.minimum(first + tl.arange(0, LANES) * PIECE, AHEAD - PIECE)
        tl.inline_asm_elementwise(
            "cp.async.bulk.prefetch.L2.global [$1], 256; mov.u32 $0, 0;", "=r,l",
            [ahead.to(tl.int64) + offsets], dtype=tl.int32, is_pure=False, pack=1,
        )  # fmt: skip
