"""One model over several processes: each rank holds its share of every layer, and all read the same tokens in step.

Rank 0 is the generator; it alone samples, schedules, and knows requests. It tells the others, its followers, what
happens to caches and what is read next, by a pipe to each, on which they wait without spinning. Within a layer the
ranks add up what they have, by torch.distributed: gloo on the CPU, NCCL on GPUs. Who gives up in the middle of a pass
ends, and the supervisor ends all: ranks that have lost step would add up nonsense.

Embedding and head are not divided: the embedding only looks up, and the head is rank 0's, whose logits it chooses from.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor, nn

from llama_nb.engine.kv_cache import Cache, KVCache, Rows
from llama_nb.engine.model import Transformer
from llama_nb.engine.protocol import Failed, FrameReader, Start, frame
from llama_nb.errors import BadRequest

log = logging.getLogger("llama_nb.worker")

PATIENCE = timedelta(seconds=120)  # with another rank in one sum; shorter than the kernel's with a silent generator


@dataclass(frozen=True)
class Place:
    """Which of how many ranks this process is; they meet in `folder`, which is private."""

    rank: int
    count: int
    folder: Path

    def device(self, wanted: torch.device) -> torch.device:
        """Where this rank computes; on GPUs, each on one of its own."""
        if wanted.type != "cuda":
            return wanted
        there = torch.cuda.device_count()
        if self.count > there:
            raise BadRequest(f"`ranks` is {self.count}, and there are {there} GPUs: each rank needs one of its own.")
        device = torch.device("cuda", self.rank)
        torch.cuda.set_device(device)
        return device

    def join(self, device: torch.device) -> None:
        """Waits for the other ranks. From here on they are bound to each other, by sockets of the loopback only."""
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        os.environ |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback, "NCCL_NVLS_ENABLE": "0"}
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"file://{self.folder / 'rendezvous'}",
            rank=self.rank,
            world_size=self.count,
            timeout=PATIENCE,
        )
        dist.all_reduce(torch.zeros(1, device=device))  # NCCL meets only now


# What is told ---------------------------------------------------------------------------------------------------------


class New(msgspec.Struct, tag=True, frozen=True):
    """There is an empty cache of that number."""

    cache: int
    capacity: int
    rows: int


class Copy(msgspec.Struct, tag=True, frozen=True):
    """Cache `to` takes over the tokens from `start` to `end` of cache `source`."""

    source: int
    to: int
    start: int
    end: int


class Drop(msgspec.Struct, tag=True, frozen=True):
    cache: int


class Pass(msgspec.Struct, tag=True, frozen=True):
    """Read `tokens` (rows, T): `counts[0]` of them behind the first `lengths[0]` of `caches[0]`, and so on."""

    tokens: list[list[int]]
    caches: list[int]
    lengths: list[int]
    counts: list[int]


class Loaded(msgspec.Struct, tag=True, frozen=True):
    """A follower has its share of the weights: the only thing that it ever says, unless it is `Failed`."""

    weight_bytes: int


_told = msgspec.msgpack.Decoder(Start | New | Copy | Drop | Pass)
_said = msgspec.msgpack.Decoder(Loaded | Failed)


def _heard(pipe: socket.socket, decoder: msgspec.msgpack.Decoder[Any]) -> Iterator[Any]:
    """What comes through `pipe`, until its end."""
    reader = FrameReader()
    while data := pipe.recv(1 << 20):
        yield from reader.read(data, decoder)


# Who tells ------------------------------------------------------------------------------------------------------------


class Lead:
    """Rank 0's side of its followers."""

    def __init__(self, pipes: list[socket.socket]) -> None:
        self._pipes = pipes
        self._numbers = count(1)
        self._dropped: list[int] = []

    def tell(self, what: Start | New | Copy | Pass) -> None:
        # What the garbage collector drops may be in the middle of a frame: so it is told before the next.
        drops = [Drop(self._dropped.pop()) for _ in range(len(self._dropped))]
        frames = b"".join(frame(one) for one in (*drops, what))
        for pipe in self._pipes:
            pipe.sendall(frames)

    def loaded_bytes(self) -> int:
        """Waits until every follower has its share of the weights, and gives what these take."""
        return sum(self._loaded(pipe).weight_bytes for pipe in self._pipes)

    def _loaded(self, pipe: socket.socket) -> Loaded:
        said = next(_heard(pipe, _said), None)
        if isinstance(said, Loaded):
            return said
        raise RuntimeError(said.message if said is not None else "a rank ended while it loaded")

    def take(self, model: Transformer) -> None:
        """From here on, whatever `model` and its caches do, those of the followers do as well."""
        model.in_step = self._in_step
        model.cache_kind = partial(LedCache, self)

    def begin(self, cache: LedCache, rows: int) -> int:
        number = next(self._numbers)
        self.tell(New(number, cache.capacity, rows))
        weakref.finalize(cache, self._dropped.append, number).atexit = False
        return number

    @contextlib.contextmanager
    def _in_step(self, tokens: Tensor, cache: Cache | None) -> Iterator[None]:
        """Around each pass. One that fails is the end: the others are somewhere in the middle of theirs."""
        caches, counts = (cache.caches, cache.counts) if isinstance(cache, Rows) else ([cache], [tokens.shape[1]])
        led = [one for one in caches if isinstance(one, LedCache)]
        assert len(led) == len(caches), "what is read by several ranks goes on from a cache that all of them have"
        numbers, lengths = [one.number for one in led], [one.length for one in led]
        try:
            self.tell(Pass(tokens.tolist(), numbers, lengths, list(counts)))
            yield
        except Exception as error:
            _give_up(0, error)


class LedCache(KVCache):
    """Rank 0's share of a cache, of which the followers have theirs under the same number."""

    def __init__(self, lead: Lead, *args: Any, rows: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, rows=rows, **kwargs)
        self._lead = lead
        self.number = lead.begin(self, rows)

    def copy(self, other: KVCache, start: int, end: int) -> None:
        super().copy(other, start, end)
        assert isinstance(other, LedCache), "all caches of a model are of one kind"
        self._lead.tell(Copy(other.number, self.number, start, end))


def _give_up(rank: int, error: BaseException) -> NoReturn:
    # One line: the log's last ones are what the kernel shows, and the rank that began it has said more.
    log.error("rank %d cannot go on: %s: %s", rank, type(error).__name__, str(error).split("\n", 1)[0])
    sys.stderr.flush()
    os._exit(1)


# Who follows ----------------------------------------------------------------------------------------------------------


def follow(model: Transformer, told: Iterator[New | Copy | Drop | Pass], rank: int) -> None:
    """Does what is told until there is nothing more."""
    caches: dict[int, KVCache] = {}
    try:
        for what in told:
            _do(what, model, caches)
    except Exception as error:
        log.exception("rank %d failed", rank)
        _give_up(rank, error)


@torch.inference_mode()
def _do(what: New | Copy | Drop | Pass, model: Transformer, caches: dict[int, KVCache]) -> None:
    if isinstance(what, New):
        caches[what.cache] = model.new_cache(what.capacity, rows=what.rows)
    elif isinstance(what, Drop):
        del caches[what.cache]
    elif isinstance(what, Copy):
        caches[what.to].length = what.start
        caches[what.to].copy(caches[what.source], what.start, what.end)
    else:
        read = [caches[number] for number in what.caches]
        for cache, length in zip(read, what.lengths, strict=True):
            cache.length = length
        tokens = torch.tensor(what.tokens, device=read[0].device)
        model.hidden(tokens, read[0] if len(read) == 1 else Rows(read, what.counts))


def start_and_commands(pipe: socket.socket) -> tuple[Start, Iterator[New | Copy | Drop | Pass]]:
    """What a follower is to load, and then what it is told to do.

    Raises:
        EOFError: rank 0 is gone.
    """
    told = _heard(pipe, _told)
    start = next(told, None)
    if not isinstance(start, Start):
        raise EOFError
    return start, told


# What is added up -----------------------------------------------------------------------------------------------------


class Summed(nn.Module):
    """A linear layer of which each rank has some of the inputs: the outputs are added up, and the same on all."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x).contiguous()
        dist.all_reduce(y)
        return y


def add_up(model: Transformer) -> None:
    """The layers that bring the shares together again: two in each block."""
    for layer in range(len(model.layers)):
        for path in (f"layers.{layer}.attention.wo", f"layers.{layer}.feed_forward.w2"):
            model.set_submodule(path, Summed(model.get_submodule(path)))
