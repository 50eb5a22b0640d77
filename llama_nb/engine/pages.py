"""Keys and values in pages, which several sequences may share. Knows tensors; knows neither tokens nor who asks.

What a GPU reads by an address need not lie side by side: so a cache grows without being moved, and what begins alike is
there once. A page is given back when the last cache lets go of it. Source: PagedAttention (arXiv 2309.06180).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor

from llama_nb.engine.kv_cache import KVCache

PAGE = 256  # tokens


def page_shape(n_layers: int, n_kv_heads: int, head_dim: int) -> tuple[int, ...]:
    """Of `PAGE` tokens in all layers, keys and then values: (n_layers, 2, K, PAGE, D)."""
    return n_layers, 2, n_kv_heads, PAGE, head_dim


class Page:
    """Memory for `PAGE` tokens of one sequence, and the caches that hold it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.caches: WeakSet[PagedCache] = WeakSet()

    @property
    def is_shared(self) -> bool:
        return len(self.caches) > 1


class PagedCache(KVCache):
    """As `KVCache`, of one row. What several caches hold is copied before one of them writes to it."""

    def __init__(self, n_layers: int, n_kv_heads: int, head_dim: int, capacity: int, **kinds: Any) -> None:
        super().__init__(n_layers, n_kv_heads, head_dim, capacity, **kinds)
        self._shape = page_shape(n_layers, n_kv_heads, head_dim)
        self._dtype = self._keys[0].dtype
        self._pages: list[Page] = []

    @property
    def pages(self) -> list[Tensor]:
        """Those with the tokens in their order, and with room for further ones."""
        return [page.tensor for page in self._pages]

    @property
    def room(self) -> int:
        """For how many tokens there is memory that is this cache's alone, from where it is written to next."""
        first = self.length // PAGE
        own = next((at for at, page in enumerate(self._pages[first:], first) if page.is_shared), len(self._pages))
        return min(own * PAGE, self.capacity)

    @property
    def bytes(self) -> int:
        """Its part of the memory: those who share a page have each their part of it."""
        return sum(page.tensor.nbytes // len(page.caches) for page in self._pages)

    def room_for(self, length: int) -> int:
        return max(min(-(-length // PAGE) * PAGE, self.capacity), self.room)

    def reserve(self, length: int) -> None:
        if length > self.capacity:
            raise IndexError(f"the cache holds {self.capacity} tokens, {length} were written")
        for at in range(self.length // PAGE, -(-length // PAGE)):
            if at == len(self._pages):
                # Not zeros: they would be written twice.
                self._hold(at, Page(torch.empty(self._shape, dtype=self._dtype, device=self.device)))
            elif self._pages[at].is_shared:
                self._hold(at, Page(self._pages[at].tensor.clone()))

    @torch.inference_mode()
    def copy(self, other: KVCache, start: int, end: int) -> None:
        assert start == self.length and end <= other.length, "copied tokens follow on those that are there"
        assert isinstance(other, PagedCache), "all caches of a model are of one kind"
        for first, stop in _by_page(start, end):
            if stop - first == PAGE:
                self._hold(first // PAGE, other._pages[first // PAGE])
            else:
                self._copy_within_page(other, first, stop)
            self.length = stop

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        end = self.length + k.shape[2]
        if end > self.room:
            self.reserve(end)
        for start, stop in _by_page(self.length, end):
            page, places = self._pages[start // PAGE].tensor[layer], slice(start % PAGE, start % PAGE + stop - start)
            for held, new in zip(page, (k, v), strict=True):
                held[:, places] = new[0, :, start - self.length : stop - self.length]
        used = self.pages[: -(-end // PAGE)]
        keys, values = (torch.cat([page[layer, which] for page in used], 1)[None, :, :end] for which in (0, 1))
        return keys, values

    def _copy_within_page(self, other: PagedCache, start: int, end: int) -> None:
        self.reserve(end)
        places = slice(start % PAGE, start % PAGE + end - start)
        mine, theirs = (cache._pages[start // PAGE].tensor for cache in (self, other))
        mine[:, :, :, places] = theirs[:, :, :, places]

    def _hold(self, at: int, page: Page) -> None:
        if at < len(self._pages):
            self._pages[at].caches.discard(self)
            self._pages[at] = page
        else:
            self._pages.append(page)
        page.caches.add(self)


def _by_page(start: int, end: int) -> Iterator[tuple[int, int]]:
    """From `start` to `end` in pieces that lie in one page each."""
    while start < end:
        stop = min(end, start - start % PAGE + PAGE)
        yield start, stop
        start = stop
