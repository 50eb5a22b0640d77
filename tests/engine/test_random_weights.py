"""Random weights of a described shape: the whole model of the description, the same for the same seed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from llama_nb.bench import shapes
from llama_nb.engine.checkpoint import empty_transformer, load, read_args
from llama_nb.engine.model import Transformer
from llama_nb.engine.random_weights import _shapes
from llama_nb.prompt_format.tokenizer import load_tokenizer

CPU = torch.device("cpu")
PARAMETERS = {  # as they were published
    "15m": 15_191_712,
    "160m": 162_417_408,
    "llama3.2-1b": 1_235_814_400,
    "llama3.2-3b": 3_212_749_824,
    "llama3.1-8b": 8_030_261_248,
    "llama3.3-70b": 70_553_706_496,
}


def drawn(folder: Path, seed: int = 1, shape: str = "tiny", **said: bool) -> Transformer:
    folder.mkdir()
    shapes.write(shape, folder, seed)
    if said:
        params = json.loads((folder / "params.json").read_text())
        params["random_weights"] |= said
        (folder / "params.json").write_text(json.dumps(params))
    return load(folder, device=CPU, dtype=torch.float32, max_seq_len=64, progress=lambda stage, share: None)[0]


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    one, same, other = (drawn(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, same.get_parameter(name))
        assert parameter.ndim == 1 or not torch.equal(parameter, other.get_parameter(name))


def test_no_two_parameters_share_memory_or_values(tmp_path: Path) -> None:
    matrices = [parameter for parameter in drawn(tmp_path / "a").parameters() if parameter.ndim > 1]
    assert len({matrix.data_ptr() for matrix in matrices}) == len(matrices)
    assert len({tuple(matrix.flatten()[:8].tolist()) for matrix in matrices}) == len(matrices)
    for matrix in matrices:
        assert len(torch.unique(matrix, dim=0)) >= len(matrix) - 3 + 1  # but for the tokens that are never said


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_is_tied_as_is_said(tmp_path: Path, tied: bool) -> None:
    model = drawn(tmp_path / "a", tied_head=tied)
    assert (model.output.weight is model.tok_embeddings.weight) is tied
    assert torch.equal(model.output.weight, model.tok_embeddings.weight) is tied


@pytest.mark.parametrize("tied", [True, False])
def test_answers_do_not_end(tmp_path: Path, tied: bool) -> None:
    model = drawn(tmp_path / "a", tied_head=tied)
    stops = load_tokenizer(tmp_path / "a").stop_tokens
    tokens = torch.arange(64).expand(8, 64) + torch.arange(8)[:, None]
    with torch.inference_mode():
        logits = model(tokens)
    assert (logits[..., stops] == 0).all()
    assert (logits.max(-1).values > 0).all()
    others = [token for token in range(512) if token not in stops]
    assert not (logits[..., others] == 0).any()


def test_a_seed_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"params.json: `seed` should be a whole number"):
        drawn(tmp_path / "a", seed=-1)


@pytest.mark.parametrize("shape", list(shapes.shapes()))
def test_a_shape_has_every_parameter_of_its_model(tmp_path: Path, shape: str) -> None:
    shapes.write(shape, tmp_path)
    args = read_args(tmp_path)
    expected = {name: tuple(parameter.shape) for name, parameter in empty_transformer(args).named_parameters()}
    assert dict(_shapes(args, tied_head=False)) == expected
    tied = shape in shapes.TIED
    counted = sum(math.prod(size) for _, size in _shapes(args, tied_head=tied))
    assert counted == PARAMETERS.get(shape, counted)


def test_the_known_counts_are_of_known_shapes() -> None:
    assert set(PARAMETERS) <= set(shapes.shapes())


@pytest.mark.parametrize(("shape", "size"), [("tiny", 512), ("160m", 32_000), ("llama3.2-1b", 128_256)])
def test_a_vocabulary_is_as_large_as_the_shape_says(tmp_path: Path, shape: str, size: int) -> None:
    shapes.write(shape, tmp_path)
    assert load_tokenizer(tmp_path).n_words == read_args(tmp_path).vocab_size == size
