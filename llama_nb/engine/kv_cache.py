"""Keys and values of the tokens already seen. One contiguous buffer; knows nothing of who asks."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Room for `capacity` tokens of `rows` sequences, of which the first `length` are filled.

    Shortening `length` forgets tokens at no cost: what lies behind it is overwritten by the next `extend`.
    """

    def __init__(
        self,
        n_layers: int,
        n_kv_heads: int,
        head_dim: int,
        capacity: int,
        *,
        rows: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (n_layers, rows, n_kv_heads, capacity, head_dim)
        # Not zeros: the pages of a long context are touched only when they are needed.
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.length = 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Writes new keys and values (rows, K, T, D) behind the filled part; gives all of them (rows, K, S, D).

        `length` stays: every layer writes at the same place, and the model moves it once all have written.
        """
        end = self.length + keys.shape[2]
        if end > self.capacity:
            raise IndexError(f"the cache holds {self.capacity} tokens, {end} were written")
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]
