"""A step of several sequences as one CUDA graph, and each of them goes on with its likeliest token.

Knows the model and its kernels; knows nothing of requests. Torch multiplies: several rows at once it does so about as
fast as the weights can be read. On the CPU, under Triton's interpreter, the same runs uncaptured, for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llama_nb.engine.kernels import attention
from llama_nb.engine.kernels.places import place
from llama_nb.engine.kernels.table import Table
from llama_nb.engine.model import Block, Transformer
from llama_nb.engine.pages import PAGE, page_shape
from llama_nb.engine.row_graph import weight_of


class RowsGraph:
    """Steps of at most `rows` sequences of `model` at a time.

    Each `step` leaves the logits of what follows in `logits` (rows, vocabulary), and the likeliest in `tokens` (rows,),
    which the next step reads, with their logits in `peaks`.
    """

    logits: Tensor
    peaks: Tensor

    def __init__(self, model: Transformer, rows: int, turns: tuple[Tensor, Tensor], pool: Any = None) -> None:
        args, norm = model.args, model.norm.weight
        self._model, self.rows, self._pool = model, rows, pool
        self._blocks = cast(list[Block], list(model.layers))
        self._turns = turns
        shape = page_shape(args.n_layers, args.n_kv_heads, args.head_dim)
        self._table = Table(-(-args.max_seq_len // PAGE), shape, norm.dtype, norm.device, rows=rows)
        self._spare = torch.zeros(shape, dtype=norm.dtype, device=norm.device)  # of the rows that nobody has
        for row in range(rows):
            self._table.set(row, [self._spare])
        splits = max(1, attention.SPLITS // rows)
        self._splits = attention.Splits(args.n_heads, args.n_kv_heads, args.head_dim, norm.device, splits, rows=rows)
        self._q = torch.zeros(rows, args.n_heads * args.head_dim, dtype=norm.dtype, device=norm.device)
        self._attended = torch.zeros_like(self._q)
        self.tokens = torch.zeros(rows, dtype=torch.int64, device=norm.device)
        self.positions = torch.zeros(rows, dtype=torch.int64, device=norm.device)
        self._steps: list[tuple[Tensor, Tensor]] = []  # what was chosen in each since the start, and its logits
        self._graph: torch.cuda.CUDAGraph | None = None

    def start(self, tokens: Sequence[int], positions: Sequence[int], pages: Sequence[Sequence[Tensor]]) -> None:
        self._steps.clear()
        nobody = self.rows - len(tokens)
        for row, its_pages in enumerate((*pages, *[[self._spare]] * nobody)):
            self._table.set(row, its_pages)
        self.tokens.copy_(torch.tensor([*tokens, *[0] * nobody]))
        self.positions.copy_(torch.tensor([*positions, *[0] * nobody]))

    def logits_of(self, count: int) -> Tensor:
        return self.logits[:count]

    def said(self, count: int, steps: int) -> tuple[list[list[int]], list[list[float]]]:
        chosen, peaks = (torch.stack(one, 1)[:count].tolist() for one in zip(*self._steps[-steps:], strict=True))
        return chosen, peaks

    @torch.inference_mode()
    def step(self) -> None:
        if self.tokens.device.type != "cuda":
            self._launch()
        else:
            self._graph = self._graph or self._captured()
            self._graph.replay()
        self._steps.append((self.tokens.clone(), self.peaks.clone()))

    def _launch(self) -> None:
        x = self._model.tok_embeddings(self.tokens)
        for layer, block in enumerate(self._blocks):
            x = x + self._attention(block, block.attention_norm(x), layer)
            inner = block.ffn_norm(x)
            gate, up = _product(inner, block.feed_forward.w1, block.feed_forward.w3).chunk(2, -1)
            x = x + block.feed_forward.w2(F.silu(gate) * up)
        self.logits = self._model.output(self._model.norm(x)).float()
        self.peaks, likeliest = self.logits.max(-1)
        self.tokens.copy_(likeliest)
        self.positions.add_(1)

    def _attention(self, block: Block, x: Tensor, layer: int) -> Tensor:
        its = block.attention
        place(_product(x, its.wq, its.wk, its.wv), *self._turns, self.positions, self._q, self._table, layer)
        attention.attend(self._q, self._table, layer, self.positions, self._splits, self._attended)
        return cast(Tensor, its.wo(self._attended))

    def _captured(self) -> torch.cuda.CUDAGraph:
        """A first step compiles, which no capture allows. What it writes, the next writes again."""
        tokens, positions = self.tokens.clone(), self.positions.clone()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._launch()
        torch.cuda.current_stream().wait_stream(stream)
        self.tokens.copy_(tokens)
        self.positions.copy_(positions)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            self._launch()
        return graph


def _product(x: Tensor, *linears: nn.Module) -> Tensor:
    """x (rows, K) through each of them, side by side: in one product, where their weights are plain."""
    if all(type(linear) is nn.Linear for linear in linears):
        return F.linear(x, weight_of(*linears).data)
    return torch.cat([linear(x) for linear in linears], -1)
