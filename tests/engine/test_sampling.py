"""Sampled tokens follow the distribution that the parameters describe, exactly, and without sorting it whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
import torch

from llama_nb.engine import sampling as sampling_module
from llama_nb.engine.protocol import Sampling
from llama_nb.engine.sampling import Sampler, _nucleus, log_probabilities
from tests.counts import full

CPU = torch.device("cpu")
DRAWS = full(5_000, 20_000)
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def peaked(size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 2


def flat(size: int, seed: int = 0) -> torch.Tensor:
    """So even that many more than the likeliest few are needed for any share of it."""
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 0.05


def expected(logits: torch.Tensor, sampling: Sampling) -> Floats:
    """The distribution that is meant, by sorting it: NumPy and float64."""
    scaled = logits.double().numpy() / sampling.temperature
    order = np.argsort(-scaled, kind="stable")
    if sampling.top_k:
        order = order[: sampling.top_k]
    weights = np.exp(scaled[order] - scaled[order].max())
    weights /= weights.sum()
    before = np.cumsum(weights) - weights
    weights[before >= sampling.top_p] = 0
    probabilities: Floats = np.zeros(len(scaled))
    probabilities[order] = weights / weights.sum()
    return probabilities


def drawn(logits: torch.Tensor, sampling: Sampling, draws: int = DRAWS) -> Floats:
    """How often each token came. The nucleus of the same logits is the same, so it is looked for once."""
    sampler = Sampler(sampling, CPU)
    found: list[torch.Tensor] = []

    def once(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
        found[:] = found or [_nucleus(probabilities, top_p)]
        return found[0]

    with patch.object(sampling_module, "_nucleus", once):
        return np.bincount([sampler(logits) for _ in range(draws)], minlength=logits.numel())


def chi_square_sigmas(counts: Floats, probabilities: Floats) -> float:
    """By how many standard deviations the counts are off; tokens too rare to judge alone are judged together."""
    wished = probabilities * counts.sum()
    rare = wished < 10
    seen = np.append(counts[~rare], counts[rare].sum())
    meant = np.append(wished[~rare], wished[rare].sum())
    seen, meant = seen[meant > 0], meant[meant > 0]
    freedom = max(1, len(meant) - 1)
    return float((((seen - meant) ** 2 / meant).sum() - freedom) / math.sqrt(2 * freedom))


CASES = {
    "temperature 1": (peaked(200), Sampling(1.0, seed=1)),
    "temperature 0.5": (peaked(200), Sampling(0.5, seed=2)),
    "temperature 2": (peaked(200), Sampling(2.0, seed=3)),
    "top_k 1": (peaked(200), Sampling(1.0, top_k=1, seed=4)),
    "top_k 10": (peaked(200), Sampling(1.0, top_k=10, seed=5)),
    "top_k beyond the vocabulary": (peaked(200), Sampling(1.0, top_k=1000, seed=6)),
    "top_p 0.9": (peaked(200), Sampling(1.0, top_p=0.9, seed=7)),
    "top_p next to nothing": (peaked(200), Sampling(1.0, top_p=1e-9, seed=8)),
    "top_p that is nothing in float32": (peaked(200), Sampling(1.0, top_p=1e-300, seed=8)),
    "top_p next to all": (peaked(200), Sampling(1.0, top_p=0.999999, seed=9)),
    "top_k 20, of these top_p 0.7": (peaked(200), Sampling(0.8, top_p=0.7, top_k=20, seed=10)),
    "top_k 600, of these top_p 0.7": (flat(5000), Sampling(1.0, top_p=0.7, top_k=600, seed=11)),
    "top_p by bisection": (flat(5000), Sampling(1.0, top_p=0.3, seed=12)),
    "top_p by bisection, most of it": (flat(5000), Sampling(1.0, top_p=0.95, seed=13)),
}
EVERY_CASE = pytest.mark.parametrize("name", CASES)


@EVERY_CASE
def test_draws_follow_the_distribution_that_sorting_gives(name: str) -> None:
    logits, sampling = CASES[name]
    probabilities, counts = expected(logits, sampling), drawn(logits, sampling)
    # Bisection knows a probability to one part in 2⁴⁰ of the largest: a token at the very edge may be in or out.
    assert counts[probabilities == 0].sum() <= 1e-3 * DRAWS
    assert chi_square_sigmas(counts, probabilities) < 5


@EVERY_CASE
def test_the_weights_are_those_that_sorting_gives(name: str) -> None:
    logits, sampling = CASES[name]
    seen: list[torch.Tensor] = []
    ids = torch.arange(logits.numel())
    if 0 < sampling.top_k < logits.numel():
        ids = logits.topk(sampling.top_k).indices

    class Seeing(Sampler):
        def _draw(self, weights: torch.Tensor) -> int:
            seen.append(weights)
            return super()._draw(weights)

    Seeing(sampling, CPU)(logits)
    weights = np.zeros(logits.numel())
    weights[ids.numpy()] = (seen[0].double() / seen[0].double().sum()).numpy()
    difference = np.abs(weights - expected(logits, sampling))
    # Sums of thousands of float32: one token at the very edge may be in or out.
    assert np.sort(difference)[-2] < 1e-6 + difference.max() * 1e-3
    assert difference.max() < 2.0 / np.count_nonzero(weights)


@pytest.mark.parametrize(
    "meant",
    [
        Sampling(1.1, top_p=0.7, top_k=20, seed=1),
        Sampling(0.8, top_p=0.75, top_k=20, seed=1),
        Sampling(0.8, top_p=0.7, top_k=15, seed=1),
    ],
    ids=["temperature", "top_p", "top_k"],
)
def test_the_check_sees_a_distribution_that_is_a_little_off(meant: Sampling) -> None:
    logits, sampling = peaked(200) / 4, Sampling(0.8, top_p=0.7, top_k=20, seed=10)
    probabilities, counts = expected(logits, meant), drawn(logits, sampling)
    assert counts[probabilities == 0].sum() > 1e-3 * DRAWS or chi_square_sigmas(counts, probabilities) > 5


def test_temperature_0_takes_the_likeliest_whatever_else_is_asked() -> None:
    for seed in range(20):
        logits = peaked(300, seed)
        assert Sampler(Sampling(0.0, top_p=0.1, top_k=3), CPU)(logits) == int(logits.argmax())


@pytest.mark.parametrize("temperature", [1e-3, 1e-10, 1e-38, 1e-45, 1e-300])
def test_a_temperature_next_to_0_takes_the_likeliest_and_does_not_fail(temperature: float) -> None:
    for seed in range(5):
        logits = peaked(300, seed)
        assert Sampler(Sampling(temperature, seed=seed), CPU)(logits) == int(logits.argmax())


def test_an_endless_temperature_draws_evenly_and_does_not_fail() -> None:
    counts = drawn(peaked(50), Sampling(1e300, seed=1))
    assert chi_square_sigmas(counts, np.full(50, 1 / 50)) < 5


def tokens(seed: int, count: int = 50) -> list[int]:
    sampler = Sampler(Sampling(1.0, top_p=0.9, seed=seed), CPU)
    return [sampler(peaked(500, step)) for step in range(count)]


def test_the_same_seed_gives_the_same_tokens_whatever_was_drawn_between() -> None:
    first = tokens(7)
    torch.manual_seed(99)
    torch.rand(10)
    tokens(8)
    assert tokens(7) == first
    assert tokens(8) != first


@pytest.mark.parametrize("seed", [0, -1, 2**63 - 1, -(2**63)])
def test_every_seed_of_64_bits_can_be_used(seed: int) -> None:
    assert tokens(seed, 5) == tokens(seed, 5)


def test_without_a_seed_answers_differ() -> None:
    def unseeded() -> list[int]:
        sampler = Sampler(Sampling(1.0), CPU)
        return [sampler(peaked(500)) for _ in range(20)]

    assert unseeded() != unseeded()


@EVERY_CASE
def test_no_token_is_chosen_by_sorting_the_whole_distribution(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, sampling = CASES[name]
    forbid_sorting(monkeypatch, largest=max(sampling_module.LIKELIEST, sampling.top_k))
    sampler = Sampler(sampling, CPU)
    for _ in range(10):
        sampler(logits)


def test_the_check_sees_a_sort_and_a_topk_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_sorting(monkeypatch, largest=256)
    for sort in (torch.sort, torch.argsort, torch.Tensor.sort, torch.Tensor.argsort):
        with pytest.raises(AssertionError):
            sort(peaked(300))
    with pytest.raises(AssertionError):
        peaked(300).topk(300)


def forbid_sorting(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    def sort(*args: object, **kwargs: object) -> None:
        raise AssertionError("the whole distribution is sorted")

    for owner in (torch, torch.Tensor):
        monkeypatch.setattr(owner, "sort", sort)
        monkeypatch.setattr(owner, "argsort", sort)
        topk = owner.topk

        def bounded(values: torch.Tensor, k: int, *args: object, topk=topk, **kwargs: object) -> object:  # type: ignore[no-untyped-def]
            assert k <= largest
            return topk(values, k, *args, **kwargs)

        monkeypatch.setattr(owner, "topk", bounded)


@pytest.mark.parametrize("top_k", [0, 1, 5, 500])
def test_logprobs_are_those_of_the_distribution_as_the_model_gave_it(top_k: int) -> None:
    logits = peaked(100)
    exact = logits.double().numpy()
    exact -= np.log(np.exp(exact).sum())
    found = log_probabilities(logits, 42, top_k)
    likeliest = np.argsort(-exact)[:top_k]
    assert found.keys() == {42, *likeliest}
    assert all(abs(value - exact[token]) < 1e-5 and value <= 0 for token, value in found.items())
    assert next(iter(found)) == 42
