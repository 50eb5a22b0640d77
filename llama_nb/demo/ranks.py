"""Several processes, one for each GPU, that train one model: `torchrun --nproc-per-node 2 -m llama_nb.demo …`.

Each reads its own share of the dialogs and takes the same steps down: the mean of all their slopes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """This process' number, and how many there are."""

    rank: int = 0
    count: int = 1

    def share_of(self, things: Sequence[Tensor]) -> Sequence[Tensor]:
        return things[self.rank :: self.count]

    def average(self, tensor: Tensor) -> None:
        """In place: the mean over all ranks."""
        if self.count > 1:
            dist.all_reduce(tensor)
            tensor /= self.count


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """All ranks that `torchrun` started; alone, when it did not."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Ranks()
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
