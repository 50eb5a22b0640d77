"""Llama 3: token ids in, logits out. Knows torch; knows nothing of files, sampling or requests.

RMSNorm, rotary positions (interleaved pairs, as in Meta's checkpoints), grouped-query attention, SwiGLU. Parameters
bear the names of Meta's checkpoints. Source: Llama 3 (arXiv 2407.21783), held to llama-models' `Transformer`.

Shapes: B rows, T new tokens, S tokens in all, H query heads, K key-value heads, D the size of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llama_nb.engine.attention import attend
from llama_nb.engine.kv_cache import Cache, KVCache


@dataclass(frozen=True)
class RopeScaling:
    """Llama 3.1's stretch of the rotary frequencies beyond the context of the first training."""

    factor: float = 8.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192


@dataclass(frozen=True)
class ModelArgs:
    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    hidden_dim: int
    vocab_size: int
    max_seq_len: int
    norm_eps: float = 1e-5
    rope_theta: float = 500_000.0
    rope_scaling: RopeScaling | None = None
    tied_head: bool = False
    ranks: int = 1  # each holds its share of every layer's heads and hidden units

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads

    @property
    def parameters(self) -> int:
        """How many numbers the model is made of, however they are kept."""
        attention = 2 * self.dim * self.head_dim * (self.n_heads + self.n_kv_heads)
        layer = attention + 3 * self.dim * self.hidden_dim + 2 * self.dim
        return self.n_layers * layer + self.dim * (self.vocab_size * (1 if self.tied_head else 2) + 1)


def rotary_frequencies(head_dim: int, theta: float, scaling: RopeScaling | None) -> Tensor:
    """The angle by which each pair of a head turns from one position to the next: (D/2,) float32."""
    freqs = 1.0 / (theta ** (torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu") / head_dim))
    if scaling is None:
        return freqs
    wavelengths = 2 * math.pi / freqs
    longest_kept = scaling.original_max_position_embeddings / scaling.high_freq_factor
    shortest_scaled = scaling.original_max_position_embeddings / scaling.low_freq_factor
    # 0 for slow pairs (divided by the factor), 1 for fast ones (kept), a straight line between
    kept_share = (scaling.original_max_position_embeddings / wavelengths - scaling.low_freq_factor) / (
        scaling.high_freq_factor - scaling.low_freq_factor
    )
    blended = (1 - kept_share) * freqs / scaling.factor + kept_share * freqs
    freqs_scaled = torch.where(wavelengths > shortest_scaled, freqs / scaling.factor, blended)
    return torch.where(wavelengths < longest_kept, freqs, freqs_scaled)


def rotary_table(args: ModelArgs, length: int) -> Tensor:
    """The rotation of each pair at each position, as unit complex numbers: (length, D/2) complex64."""
    freqs = rotary_frequencies(args.head_dim, args.rope_theta, args.rope_scaling)
    angles = torch.outer(torch.arange(length, dtype=torch.float32, device="cpu"), freqs)
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, rotations: Tensor) -> Tensor:
    """Turns the pairs of `x` (B, heads, T, D) by `rotations` (T, D/2)."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotations).flatten(-2).type_as(x)


class RMSNorm(nn.Module):
    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return normed.type_as(x) * self.weight


class Attention(nn.Module):
    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads = args.n_heads // args.ranks, args.n_kv_heads // args.ranks
        self.head_dim = args.head_dim
        self.wq = nn.Linear(args.dim, self.n_heads * args.head_dim, bias=False)
        self.wk = nn.Linear(args.dim, self.n_kv_heads * args.head_dim, bias=False)
        self.wv = nn.Linear(args.dim, self.n_kv_heads * args.head_dim, bias=False)
        self.wo = nn.Linear(self.n_heads * args.head_dim, args.dim, bias=False)

    def forward(self, x: Tensor, rotations: Tensor, layer: int, cache: Cache | None) -> Tensor:
        batch, new, _ = x.shape
        q = self.wq(x).view(batch, new, self.n_heads, self.head_dim).transpose(1, 2)
        k = self.wk(x).view(batch, new, self.n_kv_heads, self.head_dim).transpose(1, 2)
        v = self.wv(x).view(batch, new, self.n_kv_heads, self.head_dim).transpose(1, 2)
        q, k = rotate(q, rotations), rotate(k, rotations)
        attended = attend(q, k, v) if cache is None else cache.attend(layer, q, k, v)
        return self.wo(attended.transpose(1, 2).reshape(batch, new, -1))


class FeedForward(nn.Module):
    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        hidden_dim = args.hidden_dim // args.ranks
        self.w1 = nn.Linear(args.dim, hidden_dim, bias=False)
        self.w2 = nn.Linear(hidden_dim, args.dim, bias=False)
        self.w3 = nn.Linear(args.dim, hidden_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.attention = Attention(args)
        self.feed_forward = FeedForward(args)
        self.attention_norm = RMSNorm(args.dim, args.norm_eps)
        self.ffn_norm = RMSNorm(args.dim, args.norm_eps)

    def forward(self, x: Tensor, rotations: Tensor, layer: int, cache: Cache | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotations, layer, cache)
        return x + self.feed_forward(self.ffn_norm(x))


class Transformer(nn.Module):
    """The whole model.

    `forward(tokens)` with tokens (B, T) gives logits (B, T, vocabulary) in float32. With a `cache` the tokens
    continue what it holds, and it grows by them; `last_only` computes the logits of the last position alone, `at`
    those of some places.
    """

    rotations: Tensor

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.args = args
        # Of one rank. Where there are several, the others are told of each pass and each cache: `ranks.py`.
        self.in_step: Callable[[Tensor, Cache | None], AbstractContextManager[None]] = lambda *_: nullcontext()
        self.cache_kind: Callable[..., KVCache] = KVCache
        self.tok_embeddings = nn.Embedding(args.vocab_size, args.dim)
        self.layers = nn.ModuleList(Block(args) for _ in range(args.n_layers))
        self.norm = RMSNorm(args.dim, args.norm_eps)
        self.output = nn.Linear(args.dim, args.vocab_size, bias=False)
        if args.tied_head:
            self.output.weight = self.tok_embeddings.weight
        # No checkpoint holds it; computed on the CPU even when the parameters are made on the meta device.
        self.register_buffer("rotations", rotary_table(args, args.max_seq_len), persistent=False)

    def forward(
        self,
        tokens: Tensor,
        cache: Cache | None = None,
        *,
        last_only: bool = False,
        at: Sequence[int] | None = None,
    ) -> Tensor:
        x = self.hidden(tokens, cache)
        if at is not None:
            if not at:  # the head is large, and kernels for quantised weights need not know of no rows
                return x.new_empty(x.shape[0], 0, self.args.vocab_size, dtype=torch.float32)
            x = x[:, list(at)]
        return self.output(self.norm(x[:, -1:] if last_only else x)).float()

    def hidden(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """What the last layer makes of each token, before the final norm: (B, T, dim). `cache` as in `forward`."""
        with self.in_step(tokens, cache):
            return self._hidden(tokens, cache)

    def new_cache(self, capacity: int, *, rows: int = 1) -> KVCache:
        """An empty cache for `rows` sequences of at most `capacity` tokens."""
        args, weight = self.args, self.norm.weight
        n_kv_heads = args.n_kv_heads // args.ranks
        return self.cache_kind(
            args.n_layers, n_kv_heads, args.head_dim, capacity, rows=rows, dtype=weight.dtype, device=weight.device
        )

    def _hidden(self, tokens: Tensor, cache: Cache | None) -> Tensor:
        new = tokens.shape[1]
        rotations = self.rotations[cache.places(new) if cache is not None else slice(new)]
        x = self.tok_embeddings(tokens)
        for index, block in enumerate(self.layers):
            x = block(x, rotations, index, cache)
        if cache is not None:
            cache.advance(new)
        return x
