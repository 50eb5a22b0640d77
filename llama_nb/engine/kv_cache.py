"""Keys and values of the tokens already seen. Knows tensors; knows neither tokens nor who asks.

`Cache` is what the model asks of them. `KVCache` has them side by side, in memory that grows with them; `Rows` makes
one of several, so that one forward pass serves many sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from llama_nb.engine.attention import attend

GRAIN = 256  # tokens: memory is taken for so many more at a time


class Cache(Protocol):
    """What went before the new tokens of a forward pass, which every layer writes, and the last of them counts."""

    def places(self, new: int) -> slice | Tensor:
        """The positions of `new` tokens, each in its own sequence."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Keeps the new keys and values (B, K, T, D), and lets q (B, H, T, D) see them and all before → as q."""

    def advance(self, new: int) -> None:
        """`new` tokens were written by every layer: now they count."""


class KVCache:
    """Room for at most `capacity` tokens of `rows` sequences, of which the first `length` are filled.

    Shortening `length` forgets tokens at no cost: what lies behind it is overwritten by the next tokens.
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
        empty = torch.empty(rows, n_kv_heads, 0, head_dim, dtype=dtype, device=device)
        # One tensor for each layer: what grows is then never there twice as a whole. (rows, K, room, D)
        self._keys = [empty] * n_layers
        self._values = [empty] * n_layers
        self.bytes_per_token = 2 * n_layers * rows * n_kv_heads * head_dim * empty.element_size()
        self.device = empty.device
        self.capacity = capacity
        self.length = 0

    @property
    def room(self) -> int:
        """For how many tokens there is memory."""
        return self._values[-1].shape[2]  # the last to grow, where memory did not suffice for all

    @property
    def bytes(self) -> int:
        return self.room * self.bytes_per_token

    def room_for(self, length: int) -> int:
        """What `room` will be once `length` tokens are to fit: half as much again, so that few tokens are moved."""
        if length <= self.room:
            return self.room
        wanted = max(length, self.room + self.room // 2)
        return min(-(-wanted // GRAIN) * GRAIN, self.capacity)

    def reserve(self, length: int) -> None:
        """Takes the memory for `length` tokens.

        Raises:
            IndexError: they are more than `capacity`.
            MemoryError, RuntimeError: there is none. What the cache holds stays.
        """
        if length > self.capacity:
            raise IndexError(f"the cache holds {self.capacity} tokens, {length} were written")
        room = self.room_for(length)
        if room > self.room:
            for held in (self._keys, self._values):
                for layer, old in enumerate(held):
                    held[layer] = self._grown(old, room)

    @torch.inference_mode()
    def copy(self, other: KVCache, start: int, end: int) -> None:
        """Takes over the tokens from `start`, where this one ends, to `end` of another of the same shape."""
        assert start == self.length and end <= other.length, "copied tokens follow on those that are there"
        self.reserve(end)
        for mine, theirs in ((self._keys, other._keys), (self._values, other._values)):
            for to, source in zip(mine, theirs, strict=True):
                to[:, :, start:end] = source[:, :, start:end]
        self.length = end

    def places(self, new: int) -> slice:
        return slice(self.length, self.length + new)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, *self.extend(layer, k, v))

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Writes new keys and values (rows, K, T, D) behind the filled part; gives all of them (rows, K, S, D).

        `length` stays: every layer writes at the same place, and `advance` moves it once all have written.
        """
        new = k.shape[2]
        end = self.length + new
        if end > self.room:
            self.reserve(end)
        keys, values = self._keys[layer], self._values[layer]
        keys.narrow(2, self.length, new).copy_(k)
        values.narrow(2, self.length, new).copy_(v)
        return keys.narrow(2, 0, end), values.narrow(2, 0, end)

    def advance(self, new: int) -> None:
        self.length += new

    def _grown(self, old: Tensor, room: int) -> Tensor:
        if old.shape[2] >= room:  # from an attempt that had no memory for the rest
            return old
        # Not zeros: memory is touched only when it is needed.
        new = old.new_empty(*old.shape[:2], room, old.shape[3])
        new[:, :, : self.length] = old[:, :, : self.length]
        return new


class Rows:
    """The caches of several sequences as that of one row: its tokens are `counts[0]` of the first, and so on.

    So the linear layers see all tokens at once, and each sequence attends to its own.
    """

    def __init__(self, caches: Sequence[KVCache], counts: Sequence[int]) -> None:
        self.caches = caches
        self.counts = list(counts)

    def places(self, new: int) -> Tensor:
        parts = zip(self.caches, self.counts, strict=True)
        positions = [place for cache, count in parts for place in range(cache.length, cache.length + count)]
        return torch.tensor(positions, device=self.caches[0].device)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts = zip(self.caches, *(x.split(self.counts, dim=2) for x in (q, k, v)), strict=True)
        return torch.cat([cache.attend(layer, *part) for cache, *part in parts], dim=2)

    def advance(self, new: int) -> None:
        for cache, count in zip(self.caches, self.counts, strict=True):
            cache.advance(count)
