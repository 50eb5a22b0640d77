"""Batches → weights: the model as it is trained, its loss, and the steps down.

Matrices are trained by Muon (momentum, orthogonalized), embeddings and norms by AdamW.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from llama_nb.demo.batches import Batch, groups_of, padded
from llama_nb.demo.plan import Plan
from llama_nb.demo.ranks import Ranks
from llama_nb.engine.model import Block, Transformer

Run = Callable[..., Tensor]


# The model ------------------------------------------------------------------------------------------------------------


def run_block(
    x: Tensor, block: Block, cos: Tensor, sin: Tensor, dtype: torch.dtype
) -> Tensor:
    """What `Block.forward` does with a whole text (rows, width, dim), written so that a compiler can fuse it.

    The residual stream stays in float32, matrices are multiplied in `dtype`; `cos` and `sin` are (width, 1, D/2).
    """
    attention, feed = block.attention, block.feed_forward
    rows, width, dim = x.shape
    heads, kv_heads, size = attention.n_heads, attention.n_kv_heads, attention.head_dim

    def normed(weight: Tensor) -> Tensor:
        return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + block.ffn_norm.eps) * weight).to(dtype)

    def turned(part: Tensor) -> Tensor:
        one, other = part.float().unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((one * cos - other * sin, one * sin + other * cos), -1).flatten(-2).to(dtype)

    weights = torch.cat((attention.wq.weight, attention.wk.weight, attention.wv.weight)).to(dtype)
    q, k, v = (normed(block.attention_norm.weight) @ weights.T).unflatten(-1, (-1, size)).split(
        (heads, kv_heads, kv_heads), -2
    )
    k, v = (part.repeat_interleave(heads // kv_heads, -2) for part in (turned(k), v))
    q, k, v = (part.transpose(1, 2) for part in (turned(q), k, v))
    seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + seen.transpose(1, 2).reshape(rows, width, dim) @ attention.wo.weight.to(dtype).T
    inner = normed(block.ffn_norm.weight)
    gate, up = inner @ feed.w1.weight.to(dtype).T, inner @ feed.w3.weight.to(dtype).T
    return x + (F.silu(gate.float()) * up.float()).to(dtype) @ feed.w2.weight.to(dtype).T


def hidden_states(model: Transformer, ids: Tensor, run: Run = run_block) -> Tensor:
    """What the head reads: (rows, width, dim)."""
    dtype = torch.bfloat16 if ids.is_cuda else torch.float32
    turns = model.rotations[: ids.shape[1], None]
    x = model.tok_embeddings(ids)
    for block in model.layers:
        x = run(x, block, turns.real, turns.imag, dtype)
    return model.norm(x).to(dtype)


def run_head(x: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of the tokens, as far as each counts: (rows, width, dim) → a scalar."""
    logits = x @ head.to(x.dtype).T
    losses = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none")
    return (losses * weights.flatten()).sum()


class Runs(NamedTuple):
    """The two functions in which the time goes: as written, or compiled."""

    block: Run = run_block
    head: Run = run_head


def loss_of(model: Transformer, batch: Batch, runs: Runs = Runs()) -> Tensor:  # noqa: B008  immutable
    hidden = hidden_states(model, batch.ids, runs.block)
    return runs.head(hidden, model.output.weight, batch.targets, batch.weights)


@torch.no_grad()
def validation_loss(model: Transformer, dialogs: list[Tensor], batch_tokens: int, device: str) -> float:
    """Mean cross-entropy of the marked tokens."""
    indices = sorted(range(len(dialogs)), key=lambda index: len(dialogs[index]))
    total, count = 0.0, 0
    for group in groups_of(indices, [len(dialog) for dialog in dialogs], batch_tokens):
        batch = Batch(*(part.to(device) for part in padded([dialogs[index] for index in group], batch_tokens)))
        learned = int(batch.weights.count_nonzero())
        total += float(loss_of(model, batch)) * learned
        count += learned
    return total / max(count, 1)


# Learning -------------------------------------------------------------------------------------------------------------


class Learner:
    """Batches in, losses out, and the model has learned from each.

    On a GPU the work for each shape of batch is captured once and replayed: its thousand small kernels take far longer
    to launch one by one than to run.
    """

    def __init__(self, model: Transformer, plan: Plan, device: torch.device, ranks: Ranks) -> None:
        self._model, self._device, self._ranks = model, device, ranks
        self._runs = Runs()
        if device.type == "cuda":
            self._runs = Runs(*(torch.compile(run, dynamic=True) for run in self._runs))
        # One after another in a single tensor, so that it is cleared, and averaged over the ranks, at once.
        parameters = list(model.parameters())
        self._gradient = torch.zeros(sum(parameter.numel() for parameter in parameters), device=device)
        parts = self._gradient.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        self._optimizers = Optimizers(model, plan)
        # One pool for all graphs: they run one after another, and each alone would keep gigabytes.
        self._pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None
        self._captured: dict[torch.Size, tuple[torch.cuda.CUDAGraph, Batch, Tensor]] = {}

    def __call__(self, batch: Batch, share: float) -> Tensor:
        """The loss of `batch`, learned from at a `share` of the planned rates; on the device."""
        self._optimizers.set_share(share)
        if self._device.type != "cuda":
            loss = self._slopes(batch)
            self._step()
            return loss
        shape = batch.ids.shape
        if shape not in self._captured:
            self._captured[shape] = self._capture(Batch(*(part.to(self._device) for part in batch)))
        graph, its_batch, loss = self._captured[shape]
        for its_part, part in zip(its_batch, batch, strict=True):
            its_part.copy_(part.pin_memory(), non_blocking=True)
        graph.replay()
        self._step()
        return loss

    def _step(self) -> None:
        self._ranks.average(self._gradient)
        self._optimizers.step()

    def _slopes(self, batch: Batch) -> Tensor:
        self._gradient.zero_()
        loss = loss_of(self._model, batch, self._runs)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _capture(self, batch: Batch) -> tuple[torch.cuda.CUDAGraph, Batch, Tensor]:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # once for real, so that nothing is prepared for the first time in the capture
            self._slopes(batch)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Of this thread alone: another one looks after the ranks' transfers meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            loss = self._slopes(batch)
        return graph, batch, loss


class Optimizers:
    """One step for all parameters, at a share of the planned rates."""

    def __init__(self, model: Transformer, plan: Plan) -> None:
        self._plan = plan
        matrices: list[Tensor] = []
        rest: list[Tensor] = []
        for name, parameter in model.named_parameters():
            (matrices if parameter.dim() == 2 and "layers" in name else rest).append(parameter)
        self._muon = Muon(matrices)
        self._adam = torch.optim.AdamW(rest, lr=plan.vector_rate, betas=(0.9, 0.98), weight_decay=0.0)

    def set_share(self, share: float) -> None:
        self._muon.rate = self._plan.matrix_rate * share
        for group in self._adam.param_groups:
            group["lr"] = self._plan.vector_rate * share

    def step(self) -> None:
        self._adam.step()
        self._muon.step()


class Muon:
    """Momentum, made orthogonal by Newton-Schulz steps (Jordan et al. 2024): every direction learns equally fast."""

    def __init__(self, matrices: list[Tensor], momentum: float = 0.95, decay: float = 0.01) -> None:
        self.rate = 0.0
        self._momentum, self._decay = momentum, decay
        self._by_shape: dict[torch.Size, list[Tensor]] = {}
        for matrix in matrices:
            self._by_shape.setdefault(matrix.shape, []).append(matrix)
        self._averages: dict[torch.Size, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        for shape, matrices in self._by_shape.items():
            slopes = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
            average = self._averages.setdefault(shape, torch.zeros_like(slopes))
            average.lerp_(slopes, 1 - self._momentum)
            change = orthogonal(slopes.lerp(average, self._momentum)) * max(1.0, shape[0] / shape[1]) ** 0.5
            torch._foreach_mul_(matrices, 1 - self.rate * self._decay)
            torch._foreach_sub_(matrices, list(change.to(matrices[0].dtype)), alpha=self.rate)


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """The nearest matrices whose singular values are about 1: (n, rows, columns)."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    # On a CPU without bfloat16 units that type is slower than float32.
    x = x.bfloat16() if x.is_cuda else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if tall else x
