"""What is trained, and how: the shape of the model, the length and the rates of the training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llama_nb.engine.model import ModelArgs


@dataclass(frozen=True)
class Shape:
    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    multiple_of: int = 64
    ffn_dim_multiplier: float = 1.0
    rope_theta: float = 500_000.0
    norm_eps: float = 1e-5
    max_seq_len: int = 2048

    @property
    def hidden_dim(self) -> int:
        """The rule of llama-models' `FeedForward`."""
        hidden = int(int(2 * 4 * self.dim / 3) * self.ffn_dim_multiplier)
        return self.multiple_of * math.ceil(hidden / self.multiple_of)

    def params(self, vocab_size: int) -> dict[str, int | float | bool]:
        """`params.json`, as Meta writes it."""
        return {
            "dim": self.dim,
            "n_layers": self.n_layers,
            "n_heads": self.n_heads,
            "n_kv_heads": self.n_kv_heads,
            "vocab_size": vocab_size,
            "multiple_of": self.multiple_of,
            "ffn_dim_multiplier": self.ffn_dim_multiplier,
            "norm_eps": self.norm_eps,
            "rope_theta": self.rope_theta,
            "use_scaled_rope": False,
            "max_seq_len": self.max_seq_len,
        }

    def args(self, vocab_size: int) -> ModelArgs:
        return ModelArgs(
            dim=self.dim,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            n_kv_heads=self.n_kv_heads,
            hidden_dim=self.hidden_dim,
            vocab_size=vocab_size,
            max_seq_len=self.max_seq_len,
            norm_eps=self.norm_eps,
            rope_theta=self.rope_theta,
            tied_head=True,
        )


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn. `batch_tokens` counts padding too.

    `heard` is how much all that others say counts, beside the answers; it falls with the rates, so that at last the
    answers count alone. The first `copying_steps`, and later one step in `copying_every`, read spans of random tokens to be repeated, so
    that the circuit that copies is kept while the answers are learned by heart.
    """

    steps: int
    batch_tokens: int
    matrix_rate: float = 0.01
    vector_rate: float = 0.002
    warmup_steps: int = 30
    falling_share: float = 0.7
    check_every: int = 200
    copying_steps: int = 20
    copying_every: int = 10
    heard: float = 0.2


    def share(self, step: int) -> float:
        """Of the rates, at a step from 1 on: rises, stays at 1, falls in a straight line."""
        rise = step / max(1, self.warmup_steps)
        fall = (self.steps - step + 1) / (self.falling_share * self.steps)
        return min(1.0, rise, fall)
