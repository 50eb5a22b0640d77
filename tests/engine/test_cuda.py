"""The engine on a GPU: `pytest --cuda tests/engine/test_cuda.py`. Left out unless `--cuda` asks for it, then it must run.

The model on the CPU, which is held to llama-models' by test_parity.py, is what the GPU is held to here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from llama_nb import loop
from llama_nb.apis.inference import JsonSchemaResponseFormat
from llama_nb.chat import Chat
from llama_nb.demo import CHECKPOINT
from llama_nb.engine import checkpoint
from llama_nb.engine import grammar as grammar_module
from llama_nb.engine.client import Engine
from llama_nb.engine.grammar import Vocabulary
from llama_nb.engine.kv_cache import KVCache
from llama_nb.engine.protocol import Sampling, Start
from llama_nb.engine.sampling import Sampler
from llama_nb.prompt_format.constrain import response_grammar
from llama_nb.prompt_format.grammar import Grammar
from llama_nb.prompt_format.schemas import validate
from llama_nb.prompt_format.tokenizer import load_tokenizer
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


def test_many_at_once_are_answered_as_alone(tmp_path: Path) -> None:
    live.write_talker(tmp_path)
    engine = Engine(Start(checkpoint=str(tmp_path), device="cuda", dtype="float32"))
    texts = ["the thing", "the thing and more " * 20, "x", "the thing and less " * 20]
    submits = [
        live.request(text, max_tokens=40, sampling=sampling)
        for text in texts
        for sampling in (Sampling(), live.sampled(3), Sampling(0.8, 0.9, 20, 5, repetition_penalty=1.2))
    ]
    alone = [loop.run(live.answer(engine, submit)).said for submit in submits]

    async def everyone() -> list[live.Answered]:
        return await asyncio.gather(*(live.answer(engine, submit) for submit in submits))

    assert [answered.said for answered in loop.run(everyone())] == alone
    assert engine.status.max_batch_size == 32 and engine.status.cache_bytes
    engine.close()


def test_logprobs_come_from_the_gpu_too(talker: Engine) -> None:
    answered = live.ask(talker, "the thing", sampling=Sampling(), max_tokens=5, logprobs=3)
    assert len(answered.logprobs) == 5 and all(value <= 0 for entry in answered.logprobs for value in entry.values())


@pytest.mark.parametrize("few", [0, 256], ids=["as bits", "as ids"])
def test_a_mask_leaves_the_same_logits_as_on_the_cpu(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar_module, "FEW_WORDS", few)
    vocabulary = Vocabulary(load_tokenizer(CHECKPOINT))
    logits = torch.randn(vocabulary.size, generator=torch.Generator().manual_seed(0))
    for regex in ("[a-c]", "(?s:.+)"):
        mask = vocabulary.constraint(Grammar("regex", regex)).mask()
        (on_cpu, ids), (on_cuda, cuda_ids) = mask.apply(logits), mask.apply(logits.to(CUDA))
        assert on_cuda.is_cuda and torch.equal(on_cuda.cpu(), on_cpu)
        assert (ids is None) == (cuda_ids is None) and (ids is None or torch.equal(ids, cuda_ids.cpu()))


def test_an_answer_on_the_gpu_fits_its_schema_and_the_next_is_what_it_would_have_been(talker: Engine) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 9}, "n": {"enum": [1, 2]}}}
    schema |= {"required": ["a", "n"]}
    grammar = response_grammar(JsonSchemaResponseFormat(json_schema=schema))
    plain = live.ask(talker, "the thing", sampling=live.sampled(7), max_tokens=60)
    for seed in range(10):
        sampling = Sampling(1.0, 0.9, 0, seed, repetition_penalty=1.2)
        held = live.ask(talker, "the thing", sampling=sampling, max_tokens=60, grammar=grammar, logprobs=1)
        assert held.done.stop_reason == "end_of_turn"
        assert validate(schema, held.text)["n"] in (1, 2)
        assert len(held.logprobs) == len(held.tokens)
    assert live.ask(talker, "the thing", sampling=live.sampled(7), max_tokens=60).said == plain.said


def test_vectors_on_the_gpu_are_those_of_the_cpu(tmp_path: Path) -> None:
    texts = ["the thing", "x", "something longer than both " * 9]
    vectors = []
    live.write_talker(tmp_path)
    for device in ("cuda", "cpu"):
        engine = Engine(Start(checkpoint=str(tmp_path), device=device, dtype="float32"))
        vectors.append(loop.run(engine.embed(texts)))
        alone = loop.run(engine.embed(texts[1:2]))
        assert alone[0] == pytest.approx(vectors[-1][1], abs=1e-5)
        engine.close()
    for one, other in zip(*vectors, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


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
