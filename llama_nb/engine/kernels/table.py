"""Where the pages of sequences are, for kernels that find them by themselves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Table:
    """Pages of sequences, each of `shape` (n_layers, 2, K, P, D): `distances` (rows, most) int64 from `base` to each.

    In elements, not as an address: so a compiler knows that what is read there is aligned as `base` is. The memory of
    the table stays where it is, whatever it says: so a graph that was captured serves all sequences.
    """

    def __init__(
        self, most: int, shape: Sequence[int], dtype: torch.dtype, device: torch.device, *, rows: int = 1
    ) -> None:
        self.rows, self.most = rows, most
        _, _, self.kv_heads, self.page, self.head_dim = shape
        self.base = torch.zeros(16, dtype=dtype, device=device)
        self.distances = torch.zeros(rows, most, dtype=torch.int64, device=device)
        self._addresses: list[list[int]] = [[]] * rows

    def set(self, row: int, pages: Sequence[Tensor]) -> None:
        addresses = [page.data_ptr() for page in pages]
        if addresses == self._addresses[row]:
            return
        distances = [(address - self.base.data_ptr()) // self.base.itemsize for address in addresses]
        self.distances[row, : len(pages)] = torch.tensor(distances, device=self.distances.device)
        self._addresses[row] = addresses

    def first_key(self, layer: int) -> int:
        """How far into a page the keys of `layer` begin; its values follow."""
        return 2 * layer * self.kv_heads * self.page * self.head_dim
