"""An answer alone on a GPU, several tokens at a time: what follows a token is chosen there, and read on.

Knows the graph and the cache; knows nothing of requests. Where there is no GPU, or Triton cannot compile for it, there
is no decoder, and the model takes every step.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from llama_nb.engine.kv_cache import KVCache
from llama_nb.engine.model import Transformer
from llama_nb.engine.pages import PagedCache

if TYPE_CHECKING:
    from llama_nb.engine.graph import DecodeGraph

log = logging.getLogger("llama_nb.worker")

LONGEST_RUN = 32  # tokens
RUN_SECONDS = 0.02  # so long others wait at most, and so often an answer grows where it can be seen


def decoder_of(model: Transformer, progress: Callable[[str, float], None]) -> Decoder | None:
    """A decoder for `model` on its device, whose caches are in pages from then on; None where there can be none."""
    if model.norm.weight.device.type != "cuda" or model.args.ranks > 1:
        return None
    try:
        from llama_nb.engine.graph import DecodeGraph

        progress("compiling kernels", 0.0)
        decoder = Decoder(DecodeGraph(model))
        decoder.warm_up(model)
    except Exception as error:  # no Triton, no compiler for it, a GPU or a shape that it does not know
        log.warning("kernels could not be compiled, so answers come slower: %s: %s", type(error).__name__, error)
        return None
    model.cache_kind = cache_of
    return decoder


def cache_of(*shape: int, rows: int = 1, **kinds: object) -> KVCache:
    return (PagedCache if rows == 1 else KVCache)(*shape, rows=rows, **kinds)  # type: ignore[arg-type]


class Decoder:
    def __init__(self, graph: DecodeGraph) -> None:
        self._graph = graph
        self._seconds = math.inf  # for a token

    @property
    def run_length(self) -> int:
        """How many tokens come in one go."""
        return min(max(int(RUN_SECONDS / self._seconds), 1), LONGEST_RUN)

    @torch.inference_mode()
    def warm_up(self, model: Transformer) -> None:
        """Compiles and captures, so that no answer waits for it."""
        cache = cache_of(
            model.args.n_layers, model.args.n_kv_heads, model.args.head_dim, model.args.max_seq_len,
            dtype=model.norm.weight.dtype, device=model.norm.weight.device,
        )  # fmt: skip
        cache.reserve(2)
        for _ in range(2):
            self.likeliest(0, cache, 1)

    @torch.inference_mode()
    def logits(self, token: int, cache: KVCache) -> Tensor:
        """Reads `token` behind what `cache` holds, which has room for it, and which it joins: (vocabulary,) float32."""
        self._start(token, cache)
        self._graph.step()
        cache.advance(1)
        return self._graph.logits.clone()  # the next step writes there

    @torch.inference_mode()
    def likeliest(self, token: int, cache: KVCache, count: int) -> list[int]:
        """Reads `token`, and gives the `count` tokens that follow if the likeliest is always chosen.

        All but the last of them are read, too, and join the cache, which has room for `count`.

        Raises:
            ArithmeticError: logits are not finite.
        """
        began = time.perf_counter()
        start = cache.length
        self._start(token, cache)
        for _ in range(count):
            self._graph.step()
        tokens, peaks = self._graph.said(start, start + count)  # waits for the GPU
        if not all(map(math.isfinite, peaks)):
            raise ArithmeticError(NOT_FINITE)
        cache.advance(count)
        self._seconds = (time.perf_counter() - began) / count
        return tokens

    def _start(self, token: int, cache: KVCache) -> None:
        assert isinstance(cache, PagedCache), "the kernels read pages"
        self._graph.start(token, cache.length, cache.pages)


NOT_FINITE = "the model gave logits that are not finite (NaN or infinity): its weights are damaged"
