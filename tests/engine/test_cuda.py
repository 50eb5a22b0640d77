"""The engine on a GPU: `pytest --cuda tests/engine/test_cuda.py`. Left out unless `--cuda` asks for it, then it must run.

The model on the CPU, which is held to llama-models' by test_parity.py, is what the GPU is held to here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from llama_nb.chat import Chat
from llama_nb.demo import CHECKPOINT
from llama_nb.engine import checkpoint
from llama_nb.engine.client import Engine
from llama_nb.engine.kv_cache import KVCache
from llama_nb.engine.protocol import Sampling, Start
from llama_nb.engine.sampling import Sampler
from llama_nb.stack import Stack
from tests.engine import live, tiny
from tests.engine.test_sampling import CASES, chi_square_sigmas, expected
from tests.stacks import config_of, entry

pytestmark = pytest.mark.cuda

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TOKENS = torch.randint(0, 288, (1, 150), generator=torch.Generator().manual_seed(0))
DRAWS = 5_000
SIGMAS = 6.0


def logits_of(folder: Path, device: torch.device, dtype: torch.dtype, chunk: int) -> torch.Tensor:
    """Of every position of `TOKENS`, read `chunk` at a time: (T, vocabulary) on the CPU."""
    model, _ = checkpoint.load(folder, device=device, dtype=dtype, max_seq_len=256, progress=lambda stage, share: None)
    args = model.args
    cache = KVCache(args.n_layers, args.n_kv_heads, args.head_dim, 256, dtype=dtype, device=device)
    with torch.inference_mode():
        parts = [model(part.to(device), cache)[0].float().cpu() for part in TOKENS.split(chunk, dim=1)]
    return torch.cat(parts)


@pytest.mark.parametrize("chunk", [150, 32, 1])
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_float32_equals_the_cpu(tmp_path: Path, n_kv_heads: int, chunk: int) -> None:
    tiny.write_meta_checkpoint(tmp_path, n_kv_heads=n_kv_heads, scaled_rope=True)
    on_cpu = logits_of(tmp_path, CPU, torch.float32, 150)
    on_cuda = logits_of(tmp_path, CUDA, torch.float32, chunk)
    assert (on_cuda - on_cpu).abs().max() <= 1e-4 * on_cpu.abs().max()
    assert torch.equal(on_cuda.argmax(-1), on_cpu.argmax(-1))


@pytest.mark.parametrize("chunk", [150, 1])
def test_bfloat16_is_as_near_as_its_rounding_allows(chunk: int) -> None:
    exact = logits_of(CHECKPOINT, CPU, torch.float32, 150)
    rounded = logits_of(CHECKPOINT, CUDA, torch.bfloat16, chunk)
    on_cpu = logits_of(CHECKPOINT, CPU, torch.bfloat16, 150)
    error, cpu_error = ((one - exact).pow(2).mean().sqrt() for one in (rounded, on_cpu))
    assert 0 < error <= 1.5 * cpu_error, "bfloat16 on CUDA errs no more than on the CPU"


@pytest.mark.parametrize("name", CASES)
def test_a_cuda_generator_draws_from_the_distribution(name: str) -> None:
    logits, sampling = CASES[name]
    sampler = Sampler(sampling, CUDA)
    on_cuda = logits.to(CUDA)
    counts = np.bincount([sampler(on_cuda) for _ in range(DRAWS)], minlength=logits.numel())
    probabilities = expected(logits, sampling)
    assert counts[probabilities == 0].sum() == 0
    assert chi_square_sigmas(counts, probabilities) < SIGMAS


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = live.write_talker(tmp_path_factory.mktemp("talker"))
    engine = Engine(Start(checkpoint=str(folder), device="cuda", dtype="bfloat16"))
    yield engine
    engine.close()


def test_a_seed_decides_and_what_was_asked_before_does_not(talker: Engine) -> None:
    first = live.ask(talker, "the thing", sampling=live.sampled(7), max_tokens=60)
    live.ask(talker, "other words", sampling=live.sampled(8), max_tokens=60)
    again = live.ask(talker, "the thing", sampling=live.sampled(7), max_tokens=60)
    other = live.ask(talker, "the thing", sampling=live.sampled(9), max_tokens=60)
    assert first.said == again.said != other.said


def test_logprobs_come_from_the_gpu_too(talker: Engine) -> None:
    answered = live.ask(talker, "the thing", sampling=Sampling(), max_tokens=5, logprobs=3)
    assert len(answered.logprobs) == 5 and all(value <= 0 for entry in answered.logprobs for value in entry.values())


@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "float32"])
def test_the_embedded_model_answers_on_the_gpu(dtype: str) -> None:
    config = config_of(entry("meta-reference", checkpoint=str(CHECKPOINT), device="cuda", dtype=dtype))
    on_cpu = config_of(entry("meta-reference", checkpoint=str(CHECKPOINT), device="cpu", dtype="float32"))
    answers = []
    for each in (config, on_cpu):
        stack = Stack.from_config(each)
        chat = Chat(stack=stack)
        answers.append([str(chat.ask(question, temperature=0)) for question in ("hello", "what is llama_nb?")])
        if each is config:
            assert chat.status.detail.startswith("cuda")
        stack.close()
    assert all(answers[0])
    if dtype == "float32":
        assert answers[0] == answers[1]
