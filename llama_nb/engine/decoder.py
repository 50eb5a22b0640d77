"""Answers on a GPU, several tokens at a time: what follows a token is chosen there, and read on.

Knows the graphs and the caches; knows nothing of requests. Where there is no GPU, or Triton cannot compile for it,
there is no decoder, and the model takes every step.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from llama_nb.engine.kv_cache import KVCache
from llama_nb.engine.model import Transformer
from llama_nb.engine.pages import PagedCache

log = logging.getLogger("llama_nb.worker")

NOT_FINITE = "the model gave logits that are not finite (NaN or infinity): its weights are damaged"
LONGEST_RUN = 32  # tokens
RUN_SECONDS = 0.02  # so long others wait at most, and so often an answer grows where it can be seen


class Graph(Protocol):
    """Steps of at most `rows` sequences at a time."""

    rows: int

    def start(self, tokens: Sequence[int], positions: Sequence[int], pages: Sequence[Sequence[Tensor]]) -> None:
        """The next step reads `tokens[0]` at `positions[0]` of `pages[0]`, and so on."""

    def step(self) -> None:
        """Reads one token of each, and chooses the next; waits for nothing."""

    def logits_of(self, count: int) -> Tensor:
        """After the last token of the first `count` rows: (count, vocabulary) float32, until the next step."""

    def said(self, count: int, steps: int) -> tuple[list[list[int]], list[list[float]]]:
        """What the first `count` rows chose in the last `steps`, and its logits, NaN if one of that step is; waits."""


def decoder_of(model: Transformer, rows: int, progress: Callable[[str, float], None]) -> Decoder | None:
    """A decoder for `rows` sequences at once, whose caches are in pages from then on; None where there can be none."""
    if model.norm.weight.device.type != "cuda" or model.args.ranks > 1:
        return None
    try:
        from llama_nb.engine.graphs import graphs_of

        progress("compiling kernels", 0.0)
        decoder = Decoder(graphs_of(model, rows))
        decoder.warm_up(model)
    except Exception as error:  # no Triton, no compiler for it, a GPU or a shape that it does not know
        log.warning("kernels could not be compiled, so answers come slower: %s: %s", type(error).__name__, error)
        return None
    model.cache_kind = cache_of
    return decoder


def cache_of(*shape: int, rows: int = 1, **kinds: Any) -> KVCache:
    return (PagedCache if rows == 1 else KVCache)(*shape, rows=rows, **kinds)


class Decoder:
    def __init__(self, graphs: Sequence[Graph]) -> None:
        self._graphs = sorted(graphs, key=lambda graph: graph.rows)
        self._seconds = {graph.rows: math.inf for graph in graphs}  # for a step
        self.rows = self._graphs[-1].rows

    def run_length(self, rows: int) -> int:
        """How many tokens each of so many gets in one go."""
        return min(max(int(RUN_SECONDS / self._seconds[self._graph(rows).rows]), 1), LONGEST_RUN)

    @torch.inference_mode()
    def warm_up(self, model: Transformer) -> None:
        """Compiles, so that no answer waits for it, or fails: what is compiled for two rows is so for all."""
        args, weight = model.args, model.norm.weight
        for rows in (1, 1, 2, 2):
            caches = [
                cache_of(
                    args.n_layers, args.n_kv_heads, args.head_dim, args.max_seq_len,
                    dtype=weight.dtype, device=weight.device,
                )
                for _ in range(min(rows, self.rows))
            ]  # fmt: skip
            for cache in caches:
                cache.reserve(1)
            self.likeliest([0] * len(caches), caches, 1)

    @torch.inference_mode()
    def logits(self, tokens: Sequence[int], caches: Sequence[KVCache]) -> Tensor:
        """Reads a token behind what each cache holds, which has room for it, and which it joins: (rows, vocabulary)."""
        graph = self._started(tokens, caches)
        graph.step()
        for cache in caches:
            cache.advance(1)
        return graph.logits_of(len(caches)).clone()  # the next step writes there

    @torch.inference_mode()
    def likeliest(self, tokens: Sequence[int], caches: Sequence[KVCache], count: int) -> list[list[int]]:
        """Reads a token behind each cache, and gives the `count` that follow if the likeliest is always chosen.

        All but the last of them are read, too, and join the cache, which has room for `count`.

        Raises:
            ArithmeticError: logits are not finite.
        """
        began = time.perf_counter()
        graph = self._started(tokens, caches)
        for _ in range(count):
            graph.step()
        said, peaks = graph.said(len(caches), count)
        if not all(math.isfinite(peak) for its_peaks in peaks for peak in its_peaks):
            raise ArithmeticError(NOT_FINITE)
        for cache in caches:
            cache.advance(count)
        self._seconds[graph.rows] = (time.perf_counter() - began) / count
        return said

    def _started(self, tokens: Sequence[int], caches: Sequence[KVCache]) -> Graph:
        graph = self._graph(len(caches))
        paged = [cache for cache in caches if isinstance(cache, PagedCache)]
        assert len(paged) == len(caches), "the kernels read pages"
        graph.start(tokens, [cache.length for cache in paged], [cache.pages for cache in paged])
        return graph

    def _graph(self, rows: int) -> Graph:
        return next(graph for graph in self._graphs if graph.rows >= rows)
