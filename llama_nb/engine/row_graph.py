"""A step of one sequence as one CUDA graph: token and position stay on the device. Owns the buffers of a step.

Knows the model and its kernels; knows nothing of requests. On the CPU, under Triton's interpreter, the same kernels run
one after the other, for tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from llama_nb.engine.kernels import attention, products, tokens
from llama_nb.engine.kernels.launch import Start, Tile
from llama_nb.engine.kernels.products import Weight
from llama_nb.engine.kernels.table import Table
from llama_nb.engine.model import Block, Transformer
from llama_nb.engine.pages import PAGE, page_shape

PARTS = ("weight", "scales", "zeros")  # of a linear layer, as far as it has them


def weight_of(*linears: nn.Module) -> Weight:
    """The weights of `linears` one behind the other, which become views of it: so there is no second copy.

    What already lies so is left as it is.
    """
    wholes = {name: _fused(linears, name) for name in PARTS if hasattr(linears[0], name)}
    return Weight(wholes["weight"], wholes.get("scales"), wholes.get("zeros"))


def _fused(linears: Sequence[nn.Module], name: str) -> Tensor:
    tensors = [getattr(linear, name) for linear in linears]
    if _lie_in_a_row(tensors):
        return tensors[0].detach().as_strided((sum(map(len, tensors)), *tensors[0].shape[1:]), tensors[0].stride())
    whole = torch.cat([tensor.detach() for tensor in tensors])
    for linear, old, new in zip(linears, tensors, whole.split([len(tensor) for tensor in tensors]), strict=True):
        setattr(linear, name, nn.Parameter(new, requires_grad=False) if isinstance(old, nn.Parameter) else new)
    return whole


def _lie_in_a_row(tensors: Sequence[Tensor]) -> bool:
    """Whether they are one behind the other in one piece of memory, as one alone always is."""
    starts = [tensor.data_ptr() for tensor in tensors]
    ends = [tensor.data_ptr() + tensor.nbytes for tensor in tensors]
    pieces = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    return len(pieces) == 1 and starts[1:] == ends[:-1] and all(tensor.is_contiguous() for tensor in tensors)


def default_tile(weight: Weight) -> Tile:
    """What was fast on an H100 for the sizes of the 1B and 8B models: at most 3 % behind the best for each."""
    block = min(2048, 1 << (weight.inputs - 1).bit_length())
    return Tile(2 if weight.outputs % 2 == 0 else 1, max(block, weight.group), 2)


class RowGraph:
    """Steps of `model` for one sequence at a time.

    Each `step` leaves the logits of what follows in `logits`, and the likeliest in `token`, which the next step reads.
    Nothing checks that there is room: who steps on knows.
    """

    rows = 1

    def __init__(
        self,
        model: Transformer,
        *,
        tiles: Mapping[str, Tile] | None = None,
        early: bool = False,
        ahead_bytes: int = 0,
        splits: int = attention.SPLITS,
    ) -> None:
        args, norm = model.args, model.norm.weight
        device = norm.device

        def row(size: int, dtype: torch.dtype = norm.dtype) -> Tensor:
            return torch.zeros(size, dtype=dtype, device=device)

        assert args.ranks == 1, "nothing here asks the other ranks"
        self._model = model
        shape = page_shape(args.n_layers, args.n_kv_heads, args.head_dim)
        self._table = Table(-(-args.max_seq_len // PAGE), shape, norm.dtype, device)
        self._blocks = cast(list[Block], list(model.layers))
        self._early, self._ahead_bytes = early, ahead_bytes
        self._weights = [weight for block in self._blocks for weight in _weights_of(block)]
        self._head = weight_of(model.output)
        of_a_layer = zip(("qkv", "o", "w13", "w2"), self._weights[:4], strict=True)
        self._tiles = {name: default_tile(weight) for name, weight in of_a_layer}
        self._tiles |= {"head": default_tile(self._head)} | dict(tiles or {})
        self.turns = model.rotations.real.contiguous(), model.rotations.imag.contiguous()
        self.token = torch.zeros((), dtype=torch.int64, device=device)
        self.position = torch.zeros((), dtype=torch.int64, device=device)
        self.logits = row(args.vocab_size, torch.float32)
        self._x, self._q = row(args.dim), row(args.n_heads * args.head_dim)
        self._attended, self._hidden = row(args.n_heads * args.head_dim), row(args.hidden_dim)
        self._splits = attention.Splits(args.n_heads, args.n_kv_heads, args.head_dim, device, splits)
        self._highest = tokens.Highest(args.vocab_size, args.max_seq_len, device)
        self._first = 0  # the position of the first step since the start
        self._graph: torch.cuda.CUDAGraph | None = None
        self._is_compiled = False

    def start(self, tokens: Sequence[int], positions: Sequence[int], pages: Sequence[Sequence[Tensor]]) -> None:
        self._table.set(0, pages[0])
        self._first = positions[0]
        self.token.fill_(tokens[0])
        self.position.fill_(positions[0])

    def logits_of(self, count: int) -> Tensor:
        return self.logits[None]

    def said(self, count: int, steps: int) -> tuple[list[list[int]], list[list[float]]]:
        # In one piece: each would wait for the GPU anew.
        chosen, peaks = (held[self._first : self._first + steps] for held in (self._highest.said, self._highest.peaks))
        both = torch.stack((chosen, peaks.view(torch.int32))).cpu()
        return [both[0].tolist()], [both[1].view(torch.float32).tolist()]

    @torch.inference_mode()
    def step(self) -> None:
        """Reads one token. Nothing waits for the GPU."""
        if self.token.device.type != "cuda":
            self.launch()
            return
        if self._graph is None:
            self._graph = self._captured()
        self._graph.replay()

    def launch(self) -> None:
        """The kernels of a step, one after the other."""
        self._embed(self._start(self._weights[0]))
        for layer in range(len(self._blocks)):
            self._launch_layer(layer)
        norm = self._model.norm
        products.linear(
            self._x, self._head, self.logits, self._tiles["head"], self._start(), gain=norm.weight, eps=norm.eps
        )
        self._choose(self._start())

    def _embed(self, start: Start) -> None:
        tokens.embed(self.token, self._model.tok_embeddings.weight, self._x, start)

    def _choose(self, start: Start) -> None:
        """The place for other ways to choose, which then read their temperature and their noise on the device."""
        tokens.choose_likeliest(self.logits, self._highest, self.token, self.position, start)

    def _launch_layer(self, index: int) -> None:
        block, x, tiles = self._blocks[index], self._x, self._tiles
        qkv, o, w13, w2, following = [*self._weights, self._head][4 * index : 4 * index + 5]
        norm = block.attention_norm
        products.qkv(
            x, qkv, norm.weight, norm.eps, *self.turns, self.position, self._q,
            self._table, index, tiles["qkv"], self._start(),
        )  # fmt: skip
        attention.attend(self._q, self._table, index, self.position, self._splits, self._attended, self._start(o))
        products.linear(self._attended, o, x, tiles["o"], self._start(w13), residual=x)
        norm = block.ffn_norm
        products.swiglu(x, w13, norm.weight, norm.eps, self._hidden, tiles["w13"], self._start(w2))
        products.linear(self._hidden, w2, x, tiles["w2"], self._start(following), residual=x)

    def _start(self, following: Weight | None = None) -> Start:
        return Start(self._early, following.data if following else None, self._ahead_bytes)

    def _captured(self) -> torch.cuda.CUDAGraph:
        if not self._is_compiled:
            self._compile()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads may use the GPU meanwhile
            self.launch()
        return graph

    def _compile(self) -> None:
        """A first step compiles, which no capture allows. What it writes, the next writes again."""
        token, position = self.token.clone(), self.position.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self.launch()
        torch.cuda.current_stream().wait_stream(stream)
        self.token.copy_(token)
        self.position.copy_(position)
        self._is_compiled = True


def _weights_of(block: Block) -> list[Weight]:
    attention, forward = block.attention, block.feed_forward
    return [
        weight_of(attention.wq, attention.wk, attention.wv),
        weight_of(attention.wo),
        weight_of(forward.w1, forward.w3),
        weight_of(forward.w2),
    ]
