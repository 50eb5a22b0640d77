"""The kernels of a step, held to the model.

They run on the CPU, in Triton's interpreter; on a GPU with `pytest --cuda tests/engine/test_kernels.py`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from llama_nb.engine.attention import attend as plain_attend
from llama_nb.engine.model import ModelArgs, RopeScaling, Transformer
from llama_nb.engine.pages import PAGE, PagedCache
from llama_nb.engine.quantize import Int4Linear, RowScaledLinear
from tests.engine import interpreter

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Triton is made for Linux"),
    pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning"),  # of the interpreter, over NaN
]

DEVICE = torch.device("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")
ROOM = 512
PREFILL = 254  # the next page begins with the third step
LAYER = 1  # of two
STEPS = 3 if DEVICE.type == "cpu" else 32  # the interpreter takes a second for each
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.03}  # of the largest logit; bfloat16 has 8 bits
FEW_PROGRAMS = ("qkv", "o", "w13", "w2", "head")
# What only a GPU can do: start early, and ask for weights ahead.
MODES: list[dict[str, Any]] = [{}]
if DEVICE.type == "cuda":
    MODES += [{"early": True}, {"ahead_bytes": 2**20}, {"early": True, "ahead_bytes": 2**20}]


@pytest.fixture(autouse=True)
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE.type == "cpu":
        interpreter.mend(monkeypatch)


def model_of(
    dtype: torch.dtype = torch.float32, *, heads: int = 4, kv_heads: int = 2, tied: bool = False
) -> Transformer:
    torch.manual_seed(0)
    args = ModelArgs(
        dim=16 * heads, n_layers=2, n_heads=heads, n_kv_heads=kv_heads, hidden_dim=96, vocab_size=288, max_seq_len=ROOM,
        rope_scaling=RopeScaling(), tied_head=tied,
    )  # fmt: skip
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        model = Transformer(args).requires_grad_(False)
    finally:
        torch.set_default_dtype(before)
    for parameter in model.parameters():
        if parameter.ndim == 1:  # the gains of the norms
            parameter.uniform_(0.5, 1.5)
    return model.to(DEVICE)


def prefilled(model: Transformer, tokens: Tensor) -> PagedCache:
    model.cache_kind = PagedCache
    cache = model.new_cache(ROOM)
    assert isinstance(cache, PagedCache)
    model(tokens, cache)
    return cache


def graph_of(model: Transformer, **options: Any) -> Any:
    from llama_nb.engine.kernels.launch import Tile
    from llama_nb.engine.row_graph import RowGraph

    if DEVICE.type == "cpu":
        options = {"tiles": dict.fromkeys(FEW_PROGRAMS, Tile(16, 64, 4))} | options
    return RowGraph(model, **{"splits": 4} | options)


def start(graph: Any, model: Transformer, cache: PagedCache, position: int = PREFILL) -> PagedCache:
    """Token 7 comes next, behind a copy of what `cache` holds."""
    copy = start_of(model, cache)
    graph.start([7], [position], [copy.pages])
    graph.held = copy  # it has no hold of pages by itself
    return copy


def one_more(model: Transformer, cache: PagedCache, token: int = 7) -> Tensor:
    """The logits after it."""
    return model(torch.tensor([[token]], device=DEVICE), cache)[0, -1]


def error(of: Tensor, expected: Tensor) -> float:
    return ((of - expected).abs().max() / expected.abs().max()).item()


def some_tokens() -> Tensor:
    return torch.randint(0, 288, (1, PREFILL), generator=torch.Generator().manual_seed(1)).to(DEVICE)


# The step -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 2), (6, 2), (4, 4), (4, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@torch.inference_mode()
def test_steps_are_those_of_the_model(dtype: torch.dtype, heads: int, kv_heads: int, mode: dict[str, Any]) -> None:
    model = model_of(dtype, heads=heads, kv_heads=kv_heads)
    cache = prefilled(model, some_tokens())
    graph = graph_of(model, **mode)
    copy = start(graph, model, cache)
    tokens = [7]
    for step in range(STEPS):
        expected = one_more(model, cache, tokens[-1])
        graph.step()
        assert error(graph.logits, expected) <= TOLERANCE[dtype]
        assert int(graph.position) == PREFILL + step + 1
        tokens.append(int(graph.token))  # of the graph: in bfloat16 another may be the likeliest by a hair
        assert tokens[-1] == int(graph.logits.argmax())
    (said,), (peaks,) = graph.said(1, STEPS)
    assert said == tokens[1:] and peaks[-1] == float(graph.logits.max())
    end = PREFILL + STEPS - PAGE
    for held, written in zip(cache.pages, copy.pages, strict=True):
        assert error(written[..., :end, :].float(), held[..., :end, :].float()) <= TOLERANCE[dtype]


@torch.inference_mode()
def test_a_position_that_is_off_by_one_is_seen() -> None:
    model = model_of()
    cache = prefilled(model, some_tokens())
    graph = graph_of(model)
    start(graph, model, cache, PREFILL - 1)
    graph.step()
    assert error(graph.logits, one_more(model, cache)) > 10 * TOLERANCE[torch.float32]


@torch.inference_mode()
def test_a_step_can_be_taken_again() -> None:
    model = model_of()
    graph, cache = graph_of(model), prefilled(model, some_tokens())
    seen = []
    for _ in range(2):
        start(graph, model, cache)  # the last one is let go of when the next is there: so that lies elsewhere
        graph.step()
        seen.append(graph.logits.clone())
    assert torch.equal(*seen)


@torch.inference_mode()
def test_one_graph_serves_many_caches() -> None:
    model = model_of()
    caches = [prefilled(model, tokens) for tokens in (some_tokens(), some_tokens().flip(1))]
    graph = graph_of(model)
    for cache in (*caches, caches[0]):
        start(graph, model, cache)
        graph.step()
        cache.length = PREFILL
        assert error(graph.logits, one_more(model, cache)) <= TOLERANCE[torch.float32]


@pytest.mark.parametrize("flaw", [float("nan"), float("inf"), float("-inf")])
@torch.inference_mode()
def test_logits_that_are_not_finite_are_told(flaw: float) -> None:
    from llama_nb.engine.kernels.tokens import Highest, choose_likeliest

    logits, highest = torch.randn(3000, device=DEVICE), Highest(3000, 2, DEVICE)
    token, position = (torch.tensor(0, device=DEVICE) for _ in range(2))
    choose_likeliest(logits, highest, token, position)
    logits[2999] = flaw
    choose_likeliest(logits, highest, token, position)
    assert highest.peaks.isfinite().tolist() == [True, False]
    assert 0 <= int(token) < 3000


@pytest.mark.parametrize("tied", [True, False])
@torch.inference_mode()
def test_the_model_goes_on_with_views_of_the_graphs_weights(tied: bool) -> None:
    model = model_of(tied=tied)
    tokens = some_tokens()
    before = model(tokens)
    graph = graph_of(model)
    assert torch.equal(model(tokens), before)
    assert (model.output.weight is model.tok_embeddings.weight) is tied
    attention, forward = model.layers[1].attention, model.layers[1].feed_forward
    for layers in ((attention.wq, attention.wk, attention.wv), (forward.w1, forward.w3)):
        assert len({layer.weight.untyped_storage().data_ptr() for layer in layers}) == 1
    again = graph_of(model)
    assert [weight.data.data_ptr() for weight in again._weights] == [
        weight.data.data_ptr() for weight in graph._weights
    ]


@pytest.mark.parametrize("scheme", ["int8", "int4", "fp8"])
@torch.inference_mode()
def test_steps_of_a_model_with_small_weights(scheme: str) -> None:
    model = model_of(heads=8)  # 128 inputs and 96: groups of 128, and of 32
    make_small(model, scheme)
    cache = prefilled(model, some_tokens())
    from llama_nb.engine.kernels.launch import Tile

    graph = graph_of(model, tiles=dict.fromkeys(FEW_PROGRAMS, Tile(16, 128, 4)))
    start(graph, model, cache)
    graph.step()
    assert error(graph.logits, one_more(model, cache)) <= TOLERANCE[torch.float32]


def make_small(model: Transformer, scheme: str) -> None:
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear):
            model.set_submodule(name, small(layer.weight.detach(), "int8" if "output" in name else scheme))


def small(weight: Tensor, scheme: str) -> nn.Module:
    """As a GPU has them: on a CPU, `small_linear` would pack int4 for torch's operation."""
    if scheme == "int4":
        return Int4Linear(weight, 128 if weight.shape[1] % 128 == 0 else 32)
    if scheme == "fp8":
        return RowScaledLinear(weight, torch.float8_e4m3fn, 448.0)
    return RowScaledLinear(weight, torch.int8, 127)


# Steps of several rows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("scheme", [None, "int8"])
@torch.inference_mode()
def test_steps_of_several_rows_are_those_of_each_alone(scheme: str | None, count: int) -> None:
    from llama_nb.engine.rows_graph import RowsGraph

    model = model_of(heads=6, kv_heads=2)
    if scheme:
        make_small(model, scheme)
    turns = model.rotations.real.contiguous(), model.rotations.imag.contiguous()
    graph = RowsGraph(model, 4, turns)
    caches = []
    for length in (PREFILL, 3, PAGE - 1, 130)[:count]:
        model.cache_kind = PagedCache
        caches.append(model.new_cache(ROOM))
        model(some_tokens()[:, :length], caches[-1])
        caches[-1].reserve(length + STEPS)
    for again in range(2):  # the second time one row is another's
        copies = [start_of(model, cache) for cache in caches]
        graph.start([7] * count, [cache.length for cache in caches], [copy.pages for copy in copies])
        tokens = [[7] for _ in caches]
        lengths = [cache.length for cache in caches]
        for _ in range(STEPS):
            expected = torch.stack([one_more(model, cache, its[-1]) for cache, its in zip(caches, tokens, strict=True)])
            graph.step()
            assert error(graph.logits_of(count), expected) <= TOLERANCE[torch.float32]
            for its, token in zip(tokens, graph.logits_of(count).argmax(-1).tolist(), strict=True):
                its.append(token)
        said, peaks = graph.said(count, STEPS)
        assert said == [its[1:] for its in tokens] and len(peaks) == count
        for cache, length in zip(caches, lengths, strict=True):
            cache.length = length
        caches = caches[::-1] if not again else caches


def start_of(model: Transformer, cache: PagedCache) -> PagedCache:
    copy = model.new_cache(ROOM)
    assert isinstance(copy, PagedCache)
    copy.copy(cache, 0, cache.length)
    copy.reserve(ROOM)
    return copy


# Its parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 4, 32])
@pytest.mark.parametrize("length", [1, 63, 64, 65, 128, 129, 300, 1000])
@torch.inference_mode()
def test_attention_of_every_length_and_split(length: int, most: int) -> None:
    check_attention(length, most=most, heads=6, kv_heads=2)


@torch.inference_mode()
def test_attention_over_a_whole_long_context() -> None:
    check_attention(131_072, most=32, heads=4, kv_heads=1)


def check_attention(length: int, *, most: int, heads: int, kv_heads: int, size: int = 16) -> None:
    from llama_nb.engine.kernels.attention import Splits, attend
    from llama_nb.engine.kernels.table import Table

    generator = torch.Generator().manual_seed(length)
    q = torch.randn(heads, size, generator=generator).to(DEVICE)
    keys, values = (torch.randn(kv_heads, length, size, generator=generator).to(DEVICE) for _ in range(2))
    # One key outweighs all others, so that what is read at the wrong place is seen in long contexts, too.
    keys[:, length // 2] = 3 * q.view(kv_heads, -1, size)[:, 0]
    count = -(-length // PAGE)
    pages = torch.full((count + 1, LAYER + 1, 2, kv_heads, PAGE, size), float("nan"), device=DEVICE)  # never written
    order = torch.randperm(count + 1, generator=generator)[:count].tolist()
    for at, page in enumerate(order):
        for held, source in zip(pages[page, LAYER], (keys, values), strict=True):
            part = source[:, at * PAGE : (at + 1) * PAGE]
            held[:, : part.shape[1]] = part
    table = Table(count, pages.shape[1:], q.dtype, DEVICE)
    table.set(0, [pages[page] for page in order])
    splits = Splits(heads, kv_heads, size, DEVICE, most)
    position = torch.tensor(length - 1, device=DEVICE)
    expected = plain_attend(q[None, :, None], keys[None], values[None]).flatten()
    for _ in range(2):  # the second finds what the first has left
        y = torch.full((heads * size,), float("nan"), device=DEVICE)
        attend(q.flatten(), table, LAYER, position, splits, y)
        assert error(y, expected) <= 1e-4
        assert not splits.arrived.any()


@pytest.mark.parametrize("tile", [(1, 64, 1), (2, 128, 2), (4, 32, 1), (2, 256, 1)], ids=str)
@torch.inference_mode()
def test_a_product_is_the_same_however_it_is_cut(tile: tuple[int, int, int]) -> None:
    from llama_nb.engine.kernels.launch import Tile
    from llama_nb.engine.kernels.products import Weight, linear

    generator = torch.Generator().manual_seed(0)
    weight, x, residual, gain = (
        torch.randn(*shape, generator=generator).to(DEVICE) for shape in ((24, 96), (96,), (24,), (96,))
    )
    y = torch.empty(24, device=DEVICE)
    linear(x, Weight(weight), y, Tile(*tile), residual=residual, gain=gain, eps=1e-5)
    assert error(y, residual + weight @ nn.functional.rms_norm(x, (96,), gain, 1e-5)) <= 1e-5


def test_of_equals_the_first_is_chosen() -> None:
    from llama_nb.engine.kernels.tokens import Highest, choose_likeliest

    logits = torch.zeros(3000, device=DEVICE)
    logits[[2999, 2001, 2000, 5]] = torch.tensor([1.0, 1.0, 1.0, 0.5], device=DEVICE)
    token, position = (torch.tensor(0, device=DEVICE) for _ in range(2))
    choose_likeliest(logits, Highest(3000, 1, DEVICE), token, position)
    assert (int(token), int(position)) == (2000, 1)
