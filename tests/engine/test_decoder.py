"""What runs several tokens ahead says what a step for each would. The graph of a GPU is stood in for by the model."""

from __future__ import annotations

import random
from collections.abc import Sequence
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
    """As those of a GPU, a pass of the model for each step of each row."""

    def __init__(self, model: Transformer, rows: int) -> None:
        self._model, self.rows = model, rows
        self.steps = 0
        self.fails: int | None = None  # the token after which logits are not finite

    def start(self, tokens: Sequence[int], positions: Sequence[int], pages: Sequence[Sequence[Tensor]]) -> None:
        assert len(tokens) <= self.rows
        self._tokens, self._caches = list(tokens), list(map(self._cache_of, pages, positions))
        self._said: list[list[tuple[int, float]]] = [[] for _ in tokens]

    def _cache_of(self, pages: Sequence[Tensor], length: int) -> PagedCache:
        args = self._model.args
        cache = PagedCache(args.n_layers, args.n_kv_heads, args.head_dim, args.max_seq_len, dtype=pages[0].dtype)
        for at, page in enumerate(pages):
            cache._hold(at, Page(page))
        cache.length = length
        return cache

    def step(self) -> None:
        self.steps += 1
        assert all(cache.length < cache.room for cache in self._caches), "who steps on has reserved the memory"
        pairs = zip(self._tokens, self._caches, strict=True)
        self.logits = torch.stack([self._model(torch.tensor([[token]]), cache)[0, -1] for token, cache in pairs])
        for row, (token, logits) in enumerate(zip(self._tokens, self.logits, strict=True)):
            self._tokens[row] = int(logits.argmax())
            peak = float("nan") if token == self.fails else float(logits.max())
            self._said[row].append((self._tokens[row], peak))

    def logits_of(self, count: int) -> Tensor:
        return self.logits[:count]

    def said(self, count: int, steps: int) -> tuple[list[list[int]], list[list[float]]]:
        last = [its[-steps:] for its in self._said[:count]]
        return [[token for token, _ in its] for its in last], [[peak for _, peak in its] for its in last]


class AnyLength(Decoder):
    chance = random.Random(0)

    def run_length(self, rows: int) -> int:
        return self.chance.randint(1, 9)


class Eights(Decoder):
    def run_length(self, rows: int) -> int:
        return 8


class Running(Stepwise):
    """A generator with a decoder."""

    def __init__(self, folder: Path, kind: type[Decoder] = AnyLength, **wishes: Any) -> None:
        super().__init__(folder, **wishes)
        model = self.runner._model
        model.cache_kind = cache_of
        self.graphs = [ModelGraph(model, rows) for rows in (1, 2, 4)]
        self.runner._decoder = kind(self.graphs)
        self.runner._prompt_lookup = False


@pytest.fixture(scope="module", params=["guide", "endless"])
def folder(request: pytest.FixtureRequest, endless: Path) -> Path:
    return CHECKPOINT if request.param == "guide" else endless


@pytest.fixture(scope="module")
def plain(folder: Path) -> list[Said]:
    return [Stepwise(folder).answer(request) for request in REQUESTS]


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_an_answer_is_the_same(number: int, folder: Path, plain: list[Said]) -> None:
    running = Running(folder)
    for _ in range(3):  # what is kept of the first is gone on with
        assert running.answer(REQUESTS[number]) == plain[number]


def test_answers_one_after_the_other_are_the_same(folder: Path, plain: list[Said]) -> None:
    running = Running(folder)
    for number in random.Random(0).choices(range(len(REQUESTS)), k=full(20, 200)):
        assert running.answer(REQUESTS[number]) == plain[number]


@pytest.mark.parametrize("budget", [None, 300, 0], ids=["all kept", "evictions", "nothing kept"])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_so_are_those_of_many_who_come_and_go(
    rows: int, budget: int | None, talker: Path, asked: list[tuple[Submit, list[int]]]
) -> None:
    running = Running(talker, rows=rows)
    if budget is not None:
        running.runner.slots.budget = budget * running.runner._new_cache().bytes_per_token
    assert wrong_answers(running, asked, random.Random(rows), full(16, 200)) == 0
    assert [graph.steps > 0 for graph in running.graphs] == [True, rows > 1, rows > 2]


def test_a_lone_greedy_answer_takes_few_steps_of_the_generator(endless: Path) -> None:
    running = Running(endless, Eights)
    running.submit(live.request("the thing", max_tokens=60))
    steps = 0
    while running.step():
        steps += 1
    assert steps <= 60 / 8 + 3


def test_greedy_answers_together_take_few_steps_of_the_generator(endless: Path) -> None:
    running = Running(endless, Eights)
    requests = [live.request(text, max_tokens=60) for text in ("the thing", "x", "another")]
    numbers = [running.submit(request) for request in requests]
    steps = 0
    while running.step():
        steps += 1
    assert steps <= 60 / 8 + 10  # of the first ones some read the prompts
    assert [running.said(number) for number in numbers] == [Stepwise(endless).answer(request) for request in requests]


def test_logits_that_are_not_finite_fail_the_answer_alone(endless: Path) -> None:
    requests = [live.request(text, max_tokens=30) for text in ("the thing", "x")]
    one, other = (Running(endless).answer(request) for request in requests)
    running = Running(endless)
    (bad,) = set(one[0][:1]) - set(other[0])  # what only the first says
    for graph in running.graphs:
        graph.fails = bad
    numbers = [running.submit(request) for request in requests]
    running.finish()
    (failed,) = [event for event in running.events[numbers[0]] if isinstance(event, Failed)]
    assert "not finite" in failed.message
    assert running.said(numbers[1]) == other


@pytest.mark.parametrize(("seconds", "length"), [(0.001, 20), (0.004, 5), (0.03, 1), (1e-6, LONGEST_RUN)])
def test_a_run_is_short_enough_for_those_who_wait(seconds: float, length: int) -> None:
    decoder = Decoder([SimpleNamespace(rows=1), SimpleNamespace(rows=8)])  # type: ignore[list-item]
    assert decoder.run_length(5) == 1, "nothing is known yet"
    decoder._seconds[8] = seconds
    assert (decoder.run_length(5), decoder.run_length(1)) == (length, 1)


def test_where_kernels_cannot_be_compiled_the_model_takes_the_steps(caplog: pytest.LogCaptureFixture) -> None:
    gpu = SimpleNamespace(
        norm=SimpleNamespace(weight=SimpleNamespace(device=torch.device("cuda"))), args=SimpleNamespace(ranks=1)
    )
    assert decoder_of(gpu, 4, lambda stage, share: None) is None  # type: ignore[arg-type]
    assert "kernels could not be compiled" in caplog.text


def test_on_a_cpu_there_is_no_decoder() -> None:
    cpu = SimpleNamespace(norm=SimpleNamespace(weight=torch.ones(1)), args=SimpleNamespace(ranks=1))
    assert decoder_of(cpu, 4, lambda stage, share: None) is None  # type: ignore[arg-type]
