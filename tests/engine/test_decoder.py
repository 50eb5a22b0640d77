"""What runs several tokens ahead says what a step for each would. The graph of a GPU is stood in for by the model."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from llama_nb.demo import CHECKPOINT
from llama_nb.engine.decoder import LONGEST_RUN, Decoder, cache_of, decoder_of
from llama_nb.engine.model import Transformer
from llama_nb.engine.pages import Page, PagedCache
from llama_nb.engine.protocol import Failed, Submit
from tests.counts import full
from tests.engine import live
from tests.engine.test_batching import asked as asked
from tests.engine.test_batching import wrong_answers
from tests.engine.test_generator import Said, Stepwise
from tests.engine.test_lookup import REQUESTS


class ModelGraph:
    """As `DecodeGraph`, one pass of the model for each step."""

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._said: dict[int, tuple[int, float]] = {}
        self.steps = 0

    def start(self, token: int, position: int, pages: Sequence[Tensor]) -> None:
        args = self._model.args
        self._token = token
        self._cache = PagedCache(args.n_layers, args.n_kv_heads, args.head_dim, args.max_seq_len, dtype=pages[0].dtype)
        for at, page in enumerate(pages):
            self._cache._hold(at, Page(page))
        self._cache.length = position

    def step(self) -> None:
        self.steps += 1
        place = self._cache.length
        assert place < self._cache.room, "who steps on has reserved the memory"
        self.logits = self._model(torch.tensor([[self._token]]), self._cache)[0, -1]
        self._token = int(self.logits.argmax())
        self._said[place] = (self._token, float(self.logits.max()))

    def said(self, start: int, end: int) -> tuple[list[int], list[float]]:
        tokens, peaks = zip(*(self._said[place] for place in range(start, end)), strict=True)
        return list(tokens), list(peaks)


class AnyLength(Decoder):
    chance = random.Random(0)

    @property
    def run_length(self) -> int:
        return self.chance.randint(1, 9)


class Eights(Decoder):
    run_length = 8


def stepwise(folder: Path, kind: Callable[[Any], Decoder] = AnyLength, **wishes: Any) -> Stepwise:
    made = Stepwise(folder, **wishes)
    made.graph = ModelGraph(made.runner._model)  # type: ignore[attr-defined]
    made.runner._model.cache_kind = cache_of
    made.runner._decoder = kind(made.graph)  # type: ignore[attr-defined]
    made.runner._prompt_lookup = False
    return made


@pytest.fixture(scope="module", params=["guide", "endless"])
def folder(request: pytest.FixtureRequest, endless: Path) -> Path:
    return CHECKPOINT if request.param == "guide" else endless


@pytest.fixture(scope="module")
def plain(folder: Path) -> list[Said]:
    return [Stepwise(folder).answer(request) for request in REQUESTS]


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_an_answer_is_the_same(number: int, folder: Path, plain: list[Said]) -> None:
    running = stepwise(folder)
    for _ in range(3):  # what is kept of the first is gone on with
        assert running.answer(REQUESTS[number]) == plain[number]


def test_answers_one_after_the_other_are_the_same(folder: Path, plain: list[Said]) -> None:
    running = stepwise(folder)
    for number in random.Random(0).choices(range(len(REQUESTS)), k=full(20, 200)):
        assert running.answer(REQUESTS[number]) == plain[number]


@pytest.mark.parametrize("budget", [None, 300, 0], ids=["all kept", "evictions", "nothing kept"])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_so_are_those_of_many_who_come_and_go(
    rows: int, budget: int | None, talker: Path, asked: list[tuple[Submit, list[int]]]
) -> None:
    running = stepwise(talker, rows=rows)
    if budget is not None:
        running.runner.slots.budget = budget * running.runner._new_cache().bytes_per_token
    assert wrong_answers(running, asked, random.Random(rows), full(16, 200)) == 0
    assert running.graph.steps > 0  # type: ignore[attr-defined]


def test_a_lone_greedy_answer_takes_few_steps_of_the_generator(endless: Path) -> None:
    running = stepwise(endless, Eights)
    running.submit(live.request("the thing", max_tokens=60))
    steps = 0
    while running.step():
        steps += 1
    assert steps <= 60 / 8 + 3


def test_logits_that_are_not_finite_fail_the_answer_alone(endless: Path) -> None:
    running = stepwise(endless)
    said = running.answer(REQUESTS[0])
    graph = running.graph  # type: ignore[attr-defined]
    honest = graph.said
    graph.said = lambda start, end: ([0] * (end - start), [float("nan")] * (end - start))
    number = running.submit(REQUESTS[0])
    running.finish()
    (failed,) = [event for event in running.events[number] if isinstance(event, Failed)]
    assert "not finite" in failed.message
    graph.said = honest
    assert running.answer(REQUESTS[0]) == said


@pytest.mark.parametrize(("seconds", "length"), [(0.001, 20), (0.004, 5), (0.03, 1), (1e-6, LONGEST_RUN)])
def test_a_run_is_short_enough_for_those_who_wait(seconds: float, length: int) -> None:
    decoder = Decoder(SimpleNamespace())  # type: ignore[arg-type]
    assert decoder.run_length == 1, "nothing is known yet"
    decoder._seconds = seconds
    assert decoder.run_length == length


def test_where_kernels_cannot_be_compiled_the_model_takes_the_steps(caplog: pytest.LogCaptureFixture) -> None:
    gpu = SimpleNamespace(
        norm=SimpleNamespace(weight=SimpleNamespace(device=torch.device("cuda"))), args=SimpleNamespace(ranks=1)
    )
    assert decoder_of(gpu, lambda stage, share: None) is None  # type: ignore[arg-type]
    assert "kernels could not be compiled" in caplog.text


def test_on_a_cpu_there_is_no_decoder() -> None:
    cpu = SimpleNamespace(norm=SimpleNamespace(weight=torch.ones(1)), args=SimpleNamespace(ranks=1))
    assert decoder_of(cpu, lambda stage, share: None) is None  # type: ignore[arg-type]
