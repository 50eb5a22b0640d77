"""Causal attention over keys and values that lie side by side. Knows tensors; knows nothing of caches.

Shapes: B rows, T new tokens, S tokens in all, H query heads, K key-value heads, D the size of a head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention of the last T of S positions. q (B, H, T, D); k, v (B, K, S, D) → (B, H, T, D)."""
    new, total = q.shape[2], k.shape[2]
    if new == total:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    # The query heads of a group become rows of one matrix: on CPU this is many times faster than `enable_gqa`.
    batch, heads, _, size = q.shape
    group = heads // k.shape[1]
    rows = q.reshape(batch, k.shape[1], group * new, size)
    mask = None
    if new > 1:
        visible = torch.ones(new, total, dtype=torch.bool, device=q.device).tril(total - new)
        mask = visible.repeat(group, 1)
    return F.scaled_dot_product_attention(rows, k, v, attn_mask=mask).reshape(batch, heads, new, size)
