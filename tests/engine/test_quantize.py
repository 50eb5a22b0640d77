"""Small and packed weights give what the whole ones give, but for the rounding, in every size and number of rows."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llama_nb.engine import checkpoint, quantize, worker
from llama_nb.engine.client import Engine
from llama_nb.engine.model import Transformer
from llama_nb.engine.protocol import Quantization, Start
from llama_nb.engine.quantize import pack_linears, small_linear, stored_bytes
from llama_nb.engine.worker import cores
from tests.benchmarks import quality
from tests.engine import live, tiny

CPU = torch.device("cpu")
SCHEMES = get_args(Quantization)
# Of one layer with normal weights, relative to the norm of what it gives; a tenth less would fail.
LAYER_ERRORS = {"int8": 0.011, "int4": 0.115, "fp8": 0.034}
SIZES = [(64, 128), (48, 96), (17, 64), (20, 100), (33, 31), (768, 2048), (2048, 704), (4352, 256)]


def random_weight(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> Tensor:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows + columns)) * 0.02
    weight[0] *= 30.0  # a scale for all of it would lose the other rows
    return weight.to(dtype)


def error(got: Tensor, wanted: Tensor) -> float:
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


def loaded(folder: Path, quantization: Quantization | None = None, dtype: torch.dtype | None = None) -> Transformer:
    return checkpoint.load(
        folder,
        device=CPU,
        dtype=dtype,
        max_seq_len=None,
        progress=lambda stage, share: None,
        quantization=quantization,
    )[0]


# --- One layer -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_small_layer_gives_what_the_whole_one_gives(
    scheme: Quantization, size: tuple[int, int], dtype: torch.dtype
) -> None:
    weight = random_weight(*size, dtype)
    layer = small_linear(weight, scheme)
    for rows in (1, 3, 8, 9, 70):
        x = torch.randn(rows, size[1], generator=torch.Generator().manual_seed(rows)).to(dtype)
        found = layer(x[None])
        assert found.shape == (1, rows, size[0])
        assert found.dtype == dtype
        # Each output has its own measure: what a weight that is wrong by a random share of it would give.
        measure = x.float().norm(dim=1)[:, None] * weight.float().norm(dim=1) / size[1] ** 0.5
        strays = (found[0].float() - F.linear(x.float(), weight.float())) / measure
        assert strays.square().mean().sqrt() < 1.5 * LAYER_ERRORS[scheme]
        assert strays.abs().max() < 6 * LAYER_ERRORS[scheme]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_error_is_that_of_the_rounding(scheme: Quantization) -> None:
    weight, x = random_weight(2048, 1024)[1:1025], torch.randn(64, 1024, generator=torch.Generator().manual_seed(1))
    found = error(small_linear(weight, scheme)(x), F.linear(x, weight))
    assert 0.5 * LAYER_ERRORS[scheme] < found < LAYER_ERRORS[scheme]


def test_one_scale_for_a_whole_weight_would_not_do() -> None:
    weight = random_weight(64, 128)
    scale = weight.abs().max() / 127
    x = torch.randn(5, 128, generator=torch.Generator().manual_seed(1))
    of_one_scale = F.linear(x, (weight / scale).round() * scale)
    assert error(of_one_scale[:, 1:], F.linear(x, weight)[:, 1:]) > 3 * LAYER_ERRORS["int8"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_few_rows_and_many_take_different_ways_to_the_same(scheme: Quantization) -> None:
    layer = small_linear(random_weight(768, 2048), scheme)
    x = torch.randn(quantize.FEW_ROWS + 5, 2048, generator=torch.Generator().manual_seed(1))
    together, apart = layer(x), torch.cat([layer(row[None]) for row in x])
    assert error(together, apart) < 1e-5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_operations_give_what_plain_torch_gives(scheme: Quantization, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = random_weight(64, 256)
    x = torch.randn(2, 256, generator=torch.Generator().manual_seed(1))
    of_operation = small_linear(weight, scheme)
    monkeypatch.setattr(quantize, "_is_for_cpu_operations", lambda weight: False)
    plain = small_linear(weight, scheme)
    assert type(plain) is not quantize.PackedInt4Linear
    assert error(plain(x), of_operation(x)) < 1e-5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_weight_is_never_written_to(scheme: Quantization) -> None:
    """It may be the checkpoint's own pages."""
    weight = random_weight(64, 128)
    before = weight.clone()
    small_linear(weight, scheme)
    assert torch.equal(weight, before)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_rows_of_zeros_and_of_one_value_stay_what_they_are(scheme: Quantization, dtype: torch.dtype) -> None:
    weight = random_weight(64, 128, dtype)
    weight[3], weight[4] = 0.0, 0.5
    x = torch.ones(1, 128, dtype=dtype)
    found = small_linear(weight, scheme)(x)
    assert torch.isfinite(found).all()
    assert found[0, 3] == 0
    assert abs(float(found[0, 4]) - 64) < 0.5


@pytest.mark.parametrize(("scheme", "share"), [("int8", 0.52), ("fp8", 0.52), ("int4", 0.29)])
def test_a_small_layer_is_small(scheme: Quantization, share: float) -> None:
    weight = random_weight(768, 2048, torch.bfloat16)
    assert stored_bytes(nn.Sequential(small_linear(weight, scheme))) < share * weight.nbytes


def test_a_weight_is_made_small_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = random_weight(70, 128)
    whole = {scheme: small_linear(weight, scheme) for scheme in SCHEMES}
    monkeypatch.setattr(quantize, "PIECE_WEIGHTS", 3 * 128)
    x = torch.randn(2, 128, generator=torch.Generator().manual_seed(1))
    for scheme in SCHEMES:
        assert torch.equal(small_linear(weight, scheme)(x), whole[scheme](x))


def test_the_head_of_an_int4_model_is_int8() -> None:
    weight = random_weight(64, 128)
    assert isinstance(small_linear(weight, "int4", head=True), quantize.RowScaledLinear)
    assert isinstance(small_linear(weight, "int4"), quantize.PackedInt4Linear)


# --- Packed layers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [*SIZES, (2048, 2048)], ids=str)
def test_a_packed_layer_gives_what_torchs_own_gives(size: tuple[int, int], dtype: torch.dtype) -> None:
    weight = random_weight(*size, dtype)
    model = nn.Sequential(nn.Linear(size[1], size[0], bias=False))
    model[0].weight = nn.Parameter(weight, requires_grad=False)
    pack_linears(model)
    for rows in (1, 3, 70):
        x = torch.randn(1, rows, size[1], generator=torch.Generator().manual_seed(rows)).to(dtype)
        found = model(x)
        assert found.shape == (1, rows, size[0])
        assert error(found, F.linear(x.double(), weight.double())) < (1e-6 if dtype == torch.float32 else 4e-3)


def test_packing_keeps_no_second_copy_and_the_same_size() -> None:
    model = nn.Sequential(nn.Linear(2048, 2048, bias=False, dtype=torch.bfloat16)).requires_grad_(False)
    before = stored_bytes(model)
    pack_linears(model)
    assert isinstance(model[0], quantize.PackedLinear) == torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert before <= stored_bytes(model) < 1.01 * before


@pytest.mark.parametrize("quantization", [None, *SCHEMES])
@pytest.mark.parametrize("tied", [False, True])
def test_a_packed_model_says_what_it_said_before(tmp_path: Path, quantization: Quantization | None, tied: bool) -> None:
    tiny.write_meta_checkpoint(tmp_path, tied=tied)
    model, packed = (loaded(tmp_path, quantization) for _ in range(2))
    pack_linears(packed)
    tokens = torch.randint(0, 544, (1, 40), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = model(tokens)
        assert (packed(tokens) - wanted).abs().max() <= 1e-4 * wanted.abs().max()


# --- A whole model -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("quantization", SCHEMES)
def test_every_linear_layer_is_made_small_and_nothing_else(
    tmp_path: Path, quantization: Quantization, shards: int
) -> None:
    tiny.write_meta_checkpoint(tmp_path, shards=shards)
    model = loaded(tmp_path, quantization)
    assert not [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    assert [type(parameter) for parameter in model.parameters()] == [nn.Parameter] * (2 * tiny.N_LAYERS + 2)
    assert stored_bytes(model) < 0.6 * stored_bytes(loaded(tmp_path))


def test_the_number_of_parameters_is_that_of_the_whole_model(tmp_path: Path) -> None:
    for tied in (False, True):
        tiny.write_meta_checkpoint(tmp_path / str(tied), tied=tied)
        model = loaded(tmp_path / str(tied))
        assert model.args.parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("quantization", SCHEMES)
def test_hugging_faces_layout_gives_the_same_small_model(tmp_path: Path, quantization: Quantization) -> None:
    weights = tiny.write_meta_checkpoint(tmp_path / "meta")
    tiny.write_hugging_face_checkpoint(tmp_path / "hf", weights=weights)
    tokens = torch.randint(0, 544, (1, 20), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        of_meta, of_hugging_face = (loaded(tmp_path / name, quantization)(tokens) for name in ("meta", "hf"))
    assert torch.allclose(of_meta, of_hugging_face, atol=1e-4)


@pytest.fixture(scope="module")
def guide() -> tuple[Transformer, list[list[int]]]:
    """The embedded model, and its own answers to fixed questions."""
    model = quality.embedded(None)
    return model, quality.own_answers(model)


@pytest.mark.parametrize(
    ("quantization", "divergence", "agreement"), [("int8", 1e-3, 0.98), ("fp8", 5e-3, 0.96), ("int4", 0.05, 0.85)]
)
def test_the_embedded_model_hardly_changes(
    guide: tuple[Transformer, list[list[int]]], quantization: Quantization, divergence: float, agreement: float
) -> None:
    model, texts = guide
    found = quality.compared(model, quality.embedded(quantization), texts)
    assert 0 < found.divergence < divergence
    assert agreement < found.agreement <= 1


@pytest.mark.parametrize(("quantization", "divergence"), [("int8", 1e-3), ("int4", 0.05)])
def test_a_coarser_rounding_would_change_it_much(
    guide: tuple[Transformer, list[list[int]]],
    quantization: Quantization,
    divergence: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control of the test above."""
    model, texts = guide
    monkeypatch.setattr(quantize, "INT8_MOST", 31)  # six bits
    monkeypatch.setattr(quantize, "INT4_MOST", 7)  # three
    assert quality.compared(model, quality.embedded(quantization), texts).divergence > divergence


# --- The live generator --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantization", SCHEMES)
def test_a_live_generator_with_small_weights_answers_and_tells_what_it_is(
    talker: Path, quantization: Quantization
) -> None:
    engine = live.engine_of(talker, quantization=quantization)
    try:
        first = live.ask(engine, "hello", max_tokens=20)
        assert len(first.tokens) > 3
        assert live.ask(engine, "hello", max_tokens=20).said == first.said
        assert engine.ready is not None
        assert engine.ready.quantization == quantization
        assert engine.ready.parameters == loaded(talker).args.parameters
        assert engine.ready.weight_bytes == stored_bytes(loaded(talker, quantization))
        assert f"weights in {quantization}" in engine.status.detail
    finally:
        engine.close()


def test_a_generator_with_whole_weights_says_nothing_of_small_ones(engine: Engine) -> None:
    live.ask(engine, "hello", max_tokens=2)
    assert engine.ready is not None and engine.ready.quantization is None
    assert "weights in" not in engine.status.detail
    assert "MB" in engine.status.detail


def test_a_generator_computes_with_one_thread_for_each_core(engine: Engine) -> None:
    live.ask(engine, "hello", max_tokens=2)
    assert 1 <= cores() <= 1024
    environment = live.environment(live.rank_of(engine))
    assert "OMP_WAIT_POLICY=PASSIVE" in environment


@pytest.mark.parametrize(
    ("siblings", "quota", "count"),
    [
        (["0-1", "0-1", "2-3", "2-3"], "max 100000", 2),
        (["0", "1", "2", "3"], "", 4),
        (["0", "1", "2", "3"], "150000 100000", 2),
        (["", "", "", ""], "10000 100000", 1),
    ],
)
def test_threads_are_as_many_as_physical_cores_that_are_ours(
    siblings: list[str], quota: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"cpu{cpu}/topology": name for cpu, name in enumerate(siblings)} | {"cpu.max": quota}
    monkeypatch.setattr(worker.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(worker, "_read", lambda path: next(text for part, text in files.items() if part in path))
    assert cores() == count


def test_start_carries_the_quantization() -> None:
    assert Start(checkpoint="x").quantization is None
