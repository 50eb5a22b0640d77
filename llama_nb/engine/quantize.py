"""Linear layers that read fewer bytes, or the same bytes faster: small weights (int8, int4, fp8), packed ones (CPU).

Knows how a weight is made small, where each kind is kept, and which of torch's operations is fast on how many rows;
elsewhere, and for sizes that an operation does not take, plain torch gives the same. Knows nothing of files or of which
layer is which. Only weights are rounded, and a scale is rounded before the weights are: the layer's dtype holds it.

Shapes: M rows of x, N outputs, K inputs; a weight is (N, K). Why which threshold: `tests/benchmarks/RESULTS.md`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llama_nb.engine.protocol import Quantization

INT8_MOST, INT4_MOST, FP8_MOST = 127, 15, 448.0
GROUPS = (128, 64, 32)  # int4: so many weights share a scale and a zero; the first that divides K
PIECE_WEIGHTS = 2**22  # made small at a time, so that no second copy of a weight arises
CPU_TILE_BYTES = 2**22  # of a weight made whole again at a time: it stays in the cache until it is used
FEW_ROWS = 8  # up to here the packed operations are faster than making the weight whole
FEW_WEIGHTS = 2**21  # of a float32 layer: up to here oneDNN's packing does not pay


def small_linear(weight: Tensor, scheme: Quantization, *, head: bool = False) -> nn.Module:
    """A linear layer with `weight` made small, on the device and for the dtype of `weight`.

    The head of an int4 model is int8: its errors would go straight into the logits. So is a layer whose K no group
    divides.
    """
    if scheme == "int4" and not head and (group := _group_size(weight.shape[1])):
        layer = PackedInt4Linear if _is_for_cpu_operations(weight) else Int4Linear
        return layer(weight, group)
    if scheme == "fp8":
        return RowScaledLinear(weight, torch.float8_e4m3fn, FP8_MOST)
    return RowScaledLinear(weight, torch.int8, INT8_MOST)


def pack_linears(model: nn.Module) -> None:
    """On the CPU, replaces linear layers by such that hold their weights in the order in which they are read.

    One layer at a time, so that of a model in the page cache no second copy arises in memory. Where torch has no packed
    operation for this machine, nothing happens.
    """
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and module.weight.device.type == "cpu":
            weight = module.weight.detach()
            if weight.dtype == torch.float32 and weight.numel() <= FEW_WEIGHTS:
                if weight.shape[0] > weight.shape[1]:
                    # One row runs through a wide weight fastest column by column: half the time of row by row.
                    module.weight = nn.Parameter(weight.t().contiguous().t(), requires_grad=False)
            elif _can_be_packed(weight):
                model.set_submodule(name, PackedLinear(weight))


def stored_bytes(model: nn.Module) -> int:
    """What the parameters of `model` take, packed and small ones as they are kept."""
    kept = {id(tensor): tensor for tensor in [*model.parameters(), *_packed_tensors(model)]}
    return sum(tensor.numel() * tensor.element_size() for tensor in kept.values())


def _packed_tensors(model: nn.Module) -> Iterator[Tensor]:
    for module in model.modules():
        if isinstance(module, SmallLinear | PackedLinear):
            yield from module.buffers(recurse=False)


# Small weights --------------------------------------------------------------------------------------------------------


class SmallLinear(nn.Module):
    """x (…, K) → (…, N), with a weight that is kept small."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self._dtype = weight.dtype
        whole = self.out_features if weight.device.type != "cpu" else 0
        self._tile_rows = whole or max(64, CPU_TILE_BYTES // (weight.itemsize * self.in_features) // 64 * 64)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features)
        return self.product(rows).view(*x.shape[:-1], self.out_features)

    def product(self, x: Tensor) -> Tensor:
        """(M, K) → (M, N), whatever M."""
        if self._tile_rows >= self.out_features:
            return F.linear(x, self.whole(0, self.out_features))
        y = x.new_empty(x.shape[0], self.out_features)
        for start in range(0, self.out_features, self._tile_rows):
            end = min(start + self._tile_rows, self.out_features)
            y[:, start:end] = F.linear(x, self.whole(start, end))
        return y

    def whole(self, start: int, end: int) -> Tensor:
        """Rows `start` to `end` of the weight as it was, but for the rounding: (end - start, K)."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


class RowScaledLinear(SmallLinear):
    """int8 or fp8 with a scale for each output."""

    weight: Tensor
    scales: Tensor

    def __init__(self, weight: Tensor, dtype: torch.dtype, most: float) -> None:
        super().__init__(weight)
        small = torch.empty(weight.shape, dtype=dtype, device=weight.device)
        scales = torch.empty(self.out_features, dtype=weight.dtype, device=weight.device)
        for start, end in _pieces(weight):
            piece = weight[start:end].to(torch.float32, copy=True)
            scales[start:end] = _above_zero(piece.abs().amax(1) / most)
            scaled = piece.div_(scales[start:end, None].float())
            small[start:end] = (scaled.round_() if dtype == torch.int8 else scaled).clamp_(-most, most)
        self.register_buffer("weight", small, persistent=False)
        self.register_buffer("scales", scales, persistent=False)
        self._has_operation = dtype == torch.int8 and _is_for_cpu_operations(weight)

    def product(self, x: Tensor) -> Tensor:
        if self._has_operation and x.shape[0] <= FEW_ROWS:
            return torch.ops.aten._weight_int8pack_mm(x, self.weight, self.scales)
        return super().product(x).mul_(self.scales)

    def whole(self, start: int, end: int) -> Tensor:
        return self.weight[start:end].to(self._dtype)  # the scales come after the product


class Int4Linear(SmallLinear):
    """int4 with a scale and a zero for each group of inputs, two to a byte; by plain torch, on any device."""

    weight: Tensor
    scales: Tensor
    zeros: Tensor

    def __init__(self, weight: Tensor, group: int) -> None:
        super().__init__(weight)
        self._group = group
        steps, scales, zeros = _int4(weight, group)
        self.register_buffer("weight", steps[:, 0::2] | steps[:, 1::2] << 4, persistent=False)
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("zeros", zeros, persistent=False)

    def whole(self, start: int, end: int) -> Tensor:
        pairs = self.weight[start:end]
        steps = torch.stack([pairs & 15, pairs >> 4], -1).view(end - start, -1, self._group).to(self._dtype)
        scales, zeros = self.scales[start:end, :, None], self.zeros[start:end, :, None]
        return torch.addcmul(zeros, steps, scales).view(end - start, self.in_features)


class PackedInt4Linear(SmallLinear):
    """The same in the order that torch's operation for the CPU reads."""

    weight: Tensor
    scales_and_zeros: Tensor

    def __init__(self, weight: Tensor, group: int) -> None:
        super().__init__(weight)
        self._group = group
        steps, scales, zeros = _int4(weight, group)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(steps.int(), 1)
        # The operation counts from -8: (K / group, N, 2)
        centres = torch.add(zeros, scales, alpha=8)
        self.register_buffer("weight", packed, persistent=False)
        both = torch.stack([scales, centres], -1).transpose(0, 1).contiguous()
        self.register_buffer("scales_and_zeros", both, persistent=False)

    def product(self, x: Tensor) -> Tensor:
        return torch.ops.aten._weight_int4pack_mm_for_cpu(x, self.weight, self._group, self.scales_and_zeros)


def _int4(weight: Tensor, group: int) -> tuple[Tensor, Tensor, Tensor]:
    """Steps 0 … 15 (N, K) uint8, scales and zeros (N, K / group): weight ≈ step · scale + zero."""
    shape = (weight.shape[0], weight.shape[1] // group)
    steps = torch.empty(weight.shape, dtype=torch.uint8, device=weight.device)
    scales, zeros = (torch.empty(shape, dtype=weight.dtype, device=weight.device) for _ in range(2))
    for start, end in _pieces(weight):
        piece = weight[start:end].to(torch.float32, copy=True).unflatten(1, (-1, group))
        low, high = piece.aminmax(dim=-1)
        scales[start:end], zeros[start:end] = _above_zero((high - low) / INT4_MOST), low
        piece.sub_(zeros[start:end, :, None]).div_(scales[start:end, :, None])
        steps[start:end] = piece.round_().clamp_(0, INT4_MOST).flatten(1)
    return steps, scales, zeros


def _pieces(weight: Tensor) -> Iterator[tuple[int, int]]:
    """Where to cut `weight` into rows that are made small together."""
    rows = max(1, PIECE_WEIGHTS // weight.shape[1])
    return ((start, min(start + rows, weight.shape[0])) for start in range(0, weight.shape[0], rows))


def _above_zero(scales: Tensor) -> Tensor:
    return scales.clamp_(min=1e-30)  # of a row of zeros; a bfloat16 holds it


def _group_size(columns: int) -> int | None:
    return next((group for group in GROUPS if columns % group == 0), None)


def _is_for_cpu_operations(weight: Tensor) -> bool:
    """Whether torch's operations take it: those on fewer inputs read beyond the end of a row, and say nothing."""
    rows, columns = weight.shape
    return weight.device.type == "cpu" and rows % 16 == 0 and columns % 32 == 0


# Packed weights -------------------------------------------------------------------------------------------------------


class PackedLinear(nn.Module):
    """A weight in oneDNN's order."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ops.mkldnn._reorder_linear_weight(weight, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, None, "none", [], "")


def _can_be_packed(weight: Tensor) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    return weight.dtype == torch.float32 or (
        weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
