"""Our model is held to llama-models' `Transformer` on the same weights: same greedy tokens, same logits everywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fairscale.nn.model_parallel.initialize as fs_init
import pytest
import torch
import torch.distributed as dist
from llama_models.llama3.args import ModelArgs as ReferenceArgs
from llama_models.llama3.model import Transformer as Reference
from llama_models.llama3.model import precompute_freqs_cis
from torch import Tensor

from llama_nb.engine import model as engine_model
from llama_nb.engine.checkpoint import load
from llama_nb.engine.kv_cache import KVCache, Rows
from llama_nb.engine.model import Transformer, rotary_frequencies, rotary_table
from tests.engine import tiny

TOLERANCE = 1e-4
NEW_TOKENS = 24
ROWS, REFERENCE_LENGTH = 4, 256
LENGTHS = (1, 7, 65, 130)
CPU = torch.device("cpu")
GUIDE = Path(engine_model.__file__).parent.parent / "demo" / "llama-nb-guide"


@dataclass(frozen=True)
class Case:
    n_kv_heads: int
    scaled_rope: bool
    layout: str

    def __str__(self) -> str:
        rope = "scaled" if self.scaled_rope else "plain"
        return f"{tiny.N_HEADS // self.n_kv_heads} queries a key, {rope} rope, {self.layout}"


CASES = [
    Case(n_kv_heads, scaled, layout)
    for n_kv_heads in (4, 2, 1)
    for scaled in (False, True)
    for layout in ("meta", "hugging_face")
]
EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=str)
LLAMA_3_1 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.fixture(scope="module", autouse=True)
def _model_parallel() -> Iterator[None]:
    """llama-models' layers ask fairscale for their groups, even for one rank."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for matrices this small a second thread only waits for the first
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    fs_init.initialize_model_parallel(1)
    yield
    fs_init.destroy_model_parallel()
    dist.destroy_process_group()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], tuple[Transformer, Reference]]:
    """Both models of a case, made once: ours from disk, llama-models' from the same weights as Meta has them."""

    @cache
    def make(case: Case) -> tuple[Transformer, Reference]:
        folder = tmp_path_factory.mktemp("checkpoint")
        seed = 10 * case.n_kv_heads + case.scaled_rope
        if case.layout == "meta":
            weights = tiny.write_meta_checkpoint(
                folder, seed=seed, n_kv_heads=case.n_kv_heads, scaled_rope=case.scaled_rope
            )
        else:
            scaling = LLAMA_3_1 if case.scaled_rope else None
            weights = tiny.write_hugging_face_checkpoint(
                folder, seed=seed, n_kv_heads=case.n_kv_heads, rope_scaling=scaling
            )
        return ours(folder), reference(weights, n_kv_heads=case.n_kv_heads, use_scaled_rope=case.scaled_rope)

    return make


def ours(folder: Path, *, dtype: torch.dtype = torch.float32, max_seq_len: int | None = None) -> Transformer:
    return load(folder, device=CPU, dtype=dtype, max_seq_len=max_seq_len, progress=lambda stage, share: None)[0]


def reference(weights: dict[str, Tensor], *, max_seq_len: int = REFERENCE_LENGTH, **params: Any) -> Reference:
    size = {
        "dim": tiny.DIM,
        "n_layers": tiny.N_LAYERS,
        "n_heads": tiny.N_HEADS,
        "multiple_of": tiny.MULTIPLE_OF,
        "vocab_size": weights["tok_embeddings.weight"].shape[0],
        "rope_theta": 500_000.0,
    }
    model = Reference(ReferenceArgs(**(size | params), max_batch_size=ROWS, max_seq_len=max_seq_len))
    model.load_state_dict(weights)
    return model.eval().to(weights["norm.weight"].dtype)


def cache_for(model: Transformer, *, rows: int = 1, capacity: int = REFERENCE_LENGTH) -> KVCache:
    args = model.args
    dtype = model.norm.weight.dtype
    return KVCache(args.n_layers, args.n_kv_heads, args.head_dim, capacity, rows=rows, dtype=dtype)


def random_tokens(model: Transformer, length: int, *, rows: int = 1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(1000 * seed + length)
    return torch.randint(model.args.vocab_size, (rows, length), generator=generator)


@torch.inference_mode()
def in_chunks(model: Transformer, tokens: Tensor, size: int) -> Tensor:
    """The logits at every position (B, T, vocabulary), prefilled `size` tokens at a time."""
    cache = cache_for(model, rows=tokens.shape[0], capacity=max(REFERENCE_LENGTH, tokens.shape[1]))
    return torch.cat([model(chunk, cache) for chunk in tokens.split(size, dim=1)], dim=1)


@torch.inference_mode()
def greedy(model: Transformer, prompt: Tensor) -> list[int]:
    cache = cache_for(model)
    logits = model(prompt, cache, last_only=True)
    tokens = [int(logits[0, -1].argmax())]
    while len(tokens) < NEW_TOKENS:
        logits = model(torch.tensor([tokens[-1:]]), cache, last_only=True)
        tokens.append(int(logits[0, -1].argmax()))
    return tokens


def reference_greedy(model: Reference, prompt: Tensor) -> list[int]:
    tokens = [int(model(prompt, 0)[0, -1].argmax())]
    while len(tokens) < NEW_TOKENS:
        position = prompt.shape[1] + len(tokens) - 1
        tokens.append(int(model(torch.tensor([tokens[-1:]]), position)[0, -1].argmax()))
    return tokens


def deviation(got: Tensor, expected: Tensor) -> float:
    """The largest difference at any position, as a share of that position's largest logit."""
    assert got.shape == expected.shape
    assert got.dtype == torch.float32
    assert torch.isfinite(expected).all()
    return float(((got - expected).abs().amax(-1) / expected.abs().amax(-1)).max())


@EVERY_CASE
@pytest.mark.parametrize("chunk", [1, 7, 64, None])
def test_logits_are_equal_at_every_position(pair: Any, case: Case, chunk: int | None) -> None:
    model, twin = pair(case)
    for length in LENGTHS:
        tokens = random_tokens(model, length)
        assert deviation(in_chunks(model, tokens, chunk or length), twin(tokens, 0)) <= TOLERANCE


@EVERY_CASE
def test_logits_without_a_cache_are_equal(pair: Any, case: Case) -> None:
    model, twin = pair(case)
    tokens = random_tokens(model, 100, rows=ROWS)
    with torch.inference_mode():
        assert deviation(model(tokens), twin(tokens, 0)) <= TOLERANCE


@EVERY_CASE
def test_several_rows_at_once_are_equal(pair: Any, case: Case) -> None:
    model, twin = pair(case)
    tokens = random_tokens(model, 40, rows=ROWS)
    assert deviation(in_chunks(model, tokens, 9), twin(tokens, 0)) <= TOLERANCE


@EVERY_CASE
def test_greedy_tokens_are_equal(pair: Any, case: Case, full: bool) -> None:
    model, twin = pair(case)
    prompts = [random_tokens(model, 1 + 3 * number, seed=number) for number in range(100 if full else 20)]
    answers = [greedy(model, prompt[:, -200:]) for prompt in prompts]
    assert answers == [reference_greedy(twin, prompt[:, -200:]) for prompt in prompts]
    assert len({tuple(answer) for answer in answers}) == len(prompts), "the weights are too dull to tell models apart"


@EVERY_CASE
def test_tokens_after_a_shortened_cache_are_equal(pair: Any, case: Case) -> None:
    model, twin = pair(case)
    tokens, other = random_tokens(model, 50), random_tokens(model, 50, seed=1)
    cache = cache_for(model)
    with torch.inference_mode():
        model(other, cache)
        cache.length = 0
        model(tokens[:, :30], cache)
        model(other[:, 30:], cache)
        cache.length = 30
        got = model(tokens[:, 30:], cache)
    assert deviation(got, twin(tokens, 0)[:, 30:]) <= TOLERANCE


@EVERY_CASE
def test_last_only_gives_the_last_of_all_logits(pair: Any, case: Case) -> None:
    model, twin = pair(case)
    tokens = random_tokens(model, 33, rows=2)
    with torch.inference_mode():
        for cache in (None, cache_for(model, rows=2)):
            last = model(tokens, cache, last_only=True)
            assert last.shape == (2, 1, model.args.vocab_size)
            assert deviation(last, twin(tokens, 0)[:, -1:]) <= TOLERANCE


@EVERY_CASE
def test_the_logits_of_some_places_are_those_of_all(pair: Any, case: Case) -> None:
    model, twin = pair(case)
    tokens = random_tokens(model, 33)
    with torch.inference_mode():
        for places in ([32], [0, 7, 32], list(range(33)), []):
            some = model(tokens, cache_for(model), at=places)
            assert some.shape == (1, len(places), model.args.vocab_size)
            assert not places or deviation(some, twin(tokens, 0)[:, places]) <= TOLERANCE


@EVERY_CASE
def test_sequences_of_different_lengths_in_one_pass_are_equal(pair: Any, case: Case) -> None:
    """Some go on by a token, one by several, one begins: as rows of one pass."""
    model, twin = pair(case)
    lengths, new = (30, 7, 1, 50, 0), (1, 1, 1, 9, 20)
    sequences = [random_tokens(model, was + more, seed=was) for was, more in zip(lengths, new, strict=True)]
    caches = [cache_for(model) for _ in sequences]
    with torch.inference_mode():
        for tokens, was, cache in zip(sequences, lengths, caches, strict=True):
            if was:
                model(tokens[:, :was], cache)
        together = torch.cat([tokens[:, was:] for tokens, was in zip(sequences, lengths, strict=True)], dim=1)
        got = model(together, Rows(caches, new)).split(new, dim=1)
    for part, tokens, was, cache in zip(got, sequences, lengths, caches, strict=True):
        assert deviation(part, twin(tokens, 0)[:, was:]) <= TOLERANCE
        assert cache.length == tokens.shape[1]


@pytest.mark.parametrize(("shards", "n_kv_heads"), [(2, 4), (2, 2), (4, 4)])  # each rank has a key-value head
def test_a_checkpoint_in_shards_is_the_same_model(tmp_path: Path, n_kv_heads: int, shards: int) -> None:
    weights = tiny.write_meta_checkpoint(tmp_path, n_kv_heads=n_kv_heads, shards=shards)
    model, twin = ours(tmp_path), reference(weights, n_kv_heads=n_kv_heads)
    tokens = random_tokens(model, 65)
    assert deviation(in_chunks(model, tokens, 7), twin(tokens, 0)) <= TOLERANCE


@pytest.mark.parametrize("layout", ["meta", "hugging_face"])
def test_a_tied_head_is_the_embedding(tmp_path: Path, layout: str) -> None:
    write = tiny.write_meta_checkpoint if layout == "meta" else tiny.write_hugging_face_checkpoint
    weights = write(tmp_path, tied=True)
    model, twin = ours(tmp_path), reference(weights, n_kv_heads=2)
    tokens = random_tokens(model, 65)
    assert deviation(in_chunks(model, tokens, 64), twin(tokens, 0)) <= TOLERANCE


class TestBeyondTheFirstTraining:
    """Positions above 8192, where only RoPE's scaling tells models apart."""

    LENGTH = 16_384

    @pytest.mark.parametrize("scaled", [False, True])
    def test_every_rotation_is_equal(self, tmp_path: Path, scaled: bool) -> None:
        tiny.write_meta_checkpoint(tmp_path, scaled_rope=scaled, params={"max_seq_len": self.LENGTH})
        model = ours(tmp_path, max_seq_len=self.LENGTH)
        expected = precompute_freqs_cis(tiny.HEAD_DIM, self.LENGTH, 500_000.0, scaled)
        assert (model.rotations - expected).abs().max() <= 1e-5

    def test_rotations_of_real_models_are_equal(self) -> None:
        args = engine_model.ModelArgs(2048, 1, 32, 8, 1, 1, 131_072, rope_scaling=engine_model.RopeScaling())
        expected = precompute_freqs_cis(64, 131_072, 500_000.0, True)
        assert (rotary_table(args, 131_072) - expected).abs().max() <= 1e-4  # of 131,072 rad, in float32

    @pytest.mark.parametrize("layout", ["meta", "hugging_face"])
    @pytest.mark.parametrize("start", [8190, 9000, 16_300])
    def test_a_chunk_far_out_is_equal(self, tmp_path: Path, layout: str, start: int) -> None:
        model, twin = self.far_pair(tmp_path, layout)
        tokens = random_tokens(model, 20)
        with torch.inference_mode():
            got = model(tokens, self.filled_alike(model, twin, start))
        assert deviation(got, twin(tokens, start)) <= TOLERANCE

    def test_plain_rope_differs_far_out(self, tmp_path: Path) -> None:
        model, _ = self.far_pair(tmp_path / "plain", "meta", scaled=False)
        _, twin = self.far_pair(tmp_path / "scaled", "meta", scaled=True)
        tokens = random_tokens(model, 20)
        with torch.inference_mode():
            got = model(tokens, self.filled_alike(model, twin, 9000))
        assert deviation(got, twin(tokens, 9000)) > 100 * TOLERANCE

    def far_pair(self, folder: Path, layout: str, scaled: bool = True) -> tuple[Transformer, Reference]:
        if layout == "meta":
            weights = tiny.write_meta_checkpoint(folder, scaled_rope=scaled, params={"max_seq_len": self.LENGTH})
        else:
            weights = tiny.write_hugging_face_checkpoint(folder, rope_scaling=LLAMA_3_1)
        twin = reference(weights, n_kv_heads=2, use_scaled_rope=scaled, max_seq_len=self.LENGTH)
        return ours(folder, max_seq_len=self.LENGTH), twin

    def filled_alike(self, model: Transformer, twin: Reference, length: int) -> KVCache:
        """Both caches hold the same random past, so that it need not be computed."""
        cache = cache_for(model, capacity=self.LENGTH)
        generator = torch.Generator().manual_seed(length)
        for layer, block in enumerate(twin.layers):
            past = torch.randn(2, length, model.args.n_kv_heads, model.args.head_dim, generator=generator)
            cache.extend(layer, *past.transpose(1, 2)[:, None])
            block.attention.cache_k[0, :length], block.attention.cache_v[0, :length] = past
        cache.advance(length)
        return cache


def published_frequencies(head_dim: int, theta: float, scaling: dict[str, Any]) -> list[float]:
    """Llama 3.1's scaling as it was published, in plain Python and double precision."""
    old_length = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    frequencies = []
    for pair in range(head_dim // 2):
        frequency = theta ** (-2 * pair / head_dim)
        wavelength = 2 * math.pi / frequency
        if wavelength > old_length / low:
            frequency /= scaling["factor"]
        elif wavelength >= old_length / high:
            smooth = (old_length / wavelength - low) / (high - low)
            frequency = (1 - smooth) * frequency / scaling["factor"] + smooth * frequency
        frequencies.append(frequency)
    return frequencies


@pytest.mark.parametrize("spelling", ["rope_scaling", "rope_parameters", "type"])
@pytest.mark.parametrize(
    ("factor", "low", "high", "old_length"), [(32.0, 1.0, 4.0, 8192), (8.0, 1.0, 4.0, 8192), (4.5, 0.5, 16.0, 1000)]
)
def test_any_llama3_scaling_is_the_published_formula(
    tmp_path: Path, spelling: str, factor: float, low: float, high: float, old_length: int
) -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": old_length,
    }
    weights = write_scaled(tmp_path, spelling, scaling)
    model, twin = ours(tmp_path), reference(weights, n_kv_heads=2)
    expected = torch.tensor(published_frequencies(tiny.HEAD_DIM, 500_000.0, scaling), dtype=torch.float64)
    got = rotary_frequencies(tiny.HEAD_DIM, model.args.rope_theta, model.args.rope_scaling)
    assert ((got - expected) / expected).abs().max() < 1e-6

    angles = torch.outer(torch.arange(2 * REFERENCE_LENGTH, dtype=torch.float64), expected)
    twin.freqs_cis = torch.polar(torch.ones_like(angles), angles).to(torch.complex64)
    tokens = random_tokens(model, 200)
    assert deviation(in_chunks(model, tokens, 64), twin(tokens, 0)) <= TOLERANCE


def write_scaled(folder: Path, spelling: str, scaling: dict[str, Any]) -> dict[str, Tensor]:
    if spelling == "rope_scaling":
        return tiny.write_hugging_face_checkpoint(folder, rope_scaling=scaling)
    if spelling == "type":  # before transformers 4.43
        scaling = {"type" if key == "rope_type" else key: value for key, value in scaling.items()}
        return tiny.write_hugging_face_checkpoint(folder, rope_scaling=scaling)
    transformers_5 = {"rope_parameters": scaling | {"rope_theta": 500_000.0}, "rope_theta": None, "rope_scaling": None}
    return tiny.write_hugging_face_checkpoint(folder, config=transformers_5)


def test_the_wrong_rotary_pairs_are_noticed(tmp_path: Path) -> None:
    weights = tiny.write_hugging_face_checkpoint(tmp_path, permute=False)
    model, twin = ours(tmp_path), reference(weights, n_kv_heads=2)
    tokens = random_tokens(model, 65)
    assert deviation(in_chunks(model, tokens, 64), twin(tokens, 0)) > 100 * TOLERANCE
    assert greedy(model, tokens) != reference_greedy(twin, tokens)


def test_a_forgotten_scaling_is_noticed(tmp_path: Path) -> None:
    weights = tiny.write_meta_checkpoint(tmp_path, scaled_rope=False)
    model, twin = ours(tmp_path), reference(weights, n_kv_heads=2, use_scaled_rope=True)
    tokens = random_tokens(model, 200)
    assert deviation(in_chunks(model, tokens, 64), twin(tokens, 0)) > 10 * TOLERANCE


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_bfloat16_strays_no_further_than_the_reference(tmp_path: Path, chunk: int) -> None:
    exact = tiny.write_meta_checkpoint(tmp_path, dtype=torch.bfloat16)
    model, twin = ours(tmp_path, dtype=torch.bfloat16), reference(exact, n_kv_heads=2)
    truth = reference({name: tensor.float() for name, tensor in exact.items()}, n_kv_heads=2)
    tokens = random_tokens(model, 130)
    expected = truth(tokens, 0)
    assert model.norm.weight.dtype == torch.bfloat16
    assert mean_error(in_chunks(model, tokens, chunk), expected) <= 1.2 * mean_error(twin(tokens, 0), expected)


def mean_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().mean())


@pytest.fixture(scope="module")
def guide() -> tuple[Transformer, Any, Reference]:
    model, tokenizer = load(GUIDE, device=CPU, dtype=torch.float32, max_seq_len=None, progress=lambda *_: None)
    params = json.loads((GUIDE / "params.json").read_text("utf-8"))
    twin = reference(guide_weights(), **(params | {"vocab_size": tokenizer.n_words, "max_seq_len": 512}))
    return model, tokenizer, twin


def guide_weights() -> dict[str, Tensor]:
    (file,) = [path for path in GUIDE.iterdir() if path.suffix in (".pth", ".safetensors")]
    if file.suffix == ".pth":
        weights = torch.load(file, weights_only=True)
    else:
        from safetensors.torch import load_file

        weights = load_file(file)
    weights.setdefault("output.weight", weights["tok_embeddings.weight"])
    return {name: tensor.float() for name, tensor in weights.items()}


class TestTheEmbeddedModel:
    """The checkpoint that ships in the package."""

    PROMPTS: Sequence[str] = (
        "Hello!",
        "What is a kernel?",
        "How do I stop a running answer?",
        "Write a short poem about notebooks.",
        "Which tools do you have?",
        "%llama what is entropy?",
    )

    def dialogs(self, tokenizer: Any, count: int) -> list[Tensor]:
        """Questions as the guide is used to them, and ever longer runs of questions."""
        start, end = (tokenizer.special_tokens[f"<|{side}_header_id|>"] for side in ("start", "end"))

        def turn(role: str, said: str) -> list[int]:
            encoded = (tokenizer.encode(text, bos=False, eos=False) for text in (role, "\n\n" + said))
            return [start, *next(encoded), end, *next(encoded)]

        asked = [" ".join([*self.PROMPTS[: number // 6], self.PROMPTS[number % 6]]) for number in range(count)]
        return [
            torch.tensor([[tokenizer.bos_id, *turn("user", said), tokenizer.eot_id, *turn("assistant", "")]])
            for said in asked
        ]

    def test_logits_are_equal(self, guide: tuple[Transformer, Any, Reference]) -> None:
        model, tokenizer, twin = guide
        for tokens in self.dialogs(tokenizer, 12):
            for chunk in (1, 7, 64, tokens.shape[1]):
                assert deviation(in_chunks(model, tokens, chunk), twin(tokens, 0)) <= TOLERANCE

    def test_greedy_tokens_are_equal(self, guide: tuple[Transformer, Any, Reference]) -> None:
        model, tokenizer, twin = guide
        for tokens in self.dialogs(tokenizer, 20):
            assert greedy(model, tokens) == reference_greedy(twin, tokens)
