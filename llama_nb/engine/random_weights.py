"""Weights of a described shape, drawn instead of read: for measuring what a model costs without having it.

A `params.json` asks for them with `"random_weights": {"seed": 1, "tied_head": true}`. They look to the rest as if they
lay in files. Knows which parameters a Llama has; knows nothing of what becomes of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from llama_nb.engine.description import Description
from llama_nb.engine.model import ModelArgs
from llama_nb.engine.weights import EMBEDDING, HEAD, Part, Weights

KEY = "random_weights"
SPREAD = 0.02
PERIOD = 4_194_301  # a prime: what is drawn repeats after so many, so that no two rows of a matrix are alike


def random_weights(description: Description, args: ModelArgs, unsaid: Sequence[int]) -> Weights:
    """The same for the same seed, on every device. The tokens `unsaid` are never the likeliest: answers do not end.

    The values are drawn once and cut out of one long row. They are kept as float16, in which no model runs: so taking
    them over always copies, and no two parameters share memory, which a processor would read but once.
    """
    said = description.table(KEY)
    generator = torch.Generator().manual_seed(said.whole("seed"))
    drawn = (torch.randn(PERIOD, generator=generator) * SPREAD).half()
    shapes = dict(_shapes(args, tied_head=said.flag("tied_head")))
    row = drawn.repeat(1 + math.ceil(max(math.prod(shape) for shape in shapes.values()) / PERIOD))

    def part(shape: tuple[int, ...]) -> Tensor:
        if len(shape) == 1:
            return torch.ones(shape, dtype=row.dtype)
        start = int(torch.randint(PERIOD, (), generator=generator))
        return row[start : start + math.prod(shape)].view(shape)

    tensors = {name: part(shape) for name, shape in shapes.items()}
    head = HEAD if HEAD in tensors else EMBEDDING
    tensors[head] = tensors[head].clone()
    tensors[head][list(unsaid)] = 0  # their logits are 0, and the largest of many random ones is above it
    parameters = {name: [Part(description.path, tensor)] for name, tensor in tensors.items()}
    return Weights(description.folder, parameters, shards=1, is_hugging_face=False)


def _shapes(args: ModelArgs, *, tied_head: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield EMBEDDING, (args.vocab_size, args.dim)
    yield "norm.weight", (args.dim,)
    if not tied_head:
        yield HEAD, (args.vocab_size, args.dim)
    queries, keys = args.n_heads * args.head_dim, args.n_kv_heads * args.head_dim
    for layer in range(args.n_layers):
        yield f"layers.{layer}.attention.wq.weight", (queries, args.dim)
        yield f"layers.{layer}.attention.wk.weight", (keys, args.dim)
        yield f"layers.{layer}.attention.wv.weight", (keys, args.dim)
        yield f"layers.{layer}.attention.wo.weight", (args.dim, queries)
        yield f"layers.{layer}.feed_forward.w1.weight", (args.hidden_dim, args.dim)
        yield f"layers.{layer}.feed_forward.w2.weight", (args.dim, args.hidden_dim)
        yield f"layers.{layer}.feed_forward.w3.weight", (args.hidden_dim, args.dim)
        yield f"layers.{layer}.attention_norm.weight", (args.dim,)
        yield f"layers.{layer}.ffn_norm.weight", (args.dim,)
