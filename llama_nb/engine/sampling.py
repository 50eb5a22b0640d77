"""Logits → the next token. Knows torch and one row of logits; knows nothing of requests.

The distribution is exact and never sorted whole: top-p looks at the likeliest few first, and where they do not
suffice it finds the threshold by bisection.
"""

from __future__ import annotations

import torch
from torch import Tensor

from llama_nb.engine.protocol import Sampling

LIKELIEST = 256
BISECTIONS = 40
LOWEST_TEMPERATURE = 1e-30  # float32 has an inverse of it


class Sampler:
    """Chooses the tokens of one answer; the same seed chooses the same, whatever else was sampled before."""

    def __init__(self, sampling: Sampling, device: torch.device) -> None:
        self._sampling = sampling
        self._generator = torch.Generator(device)
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def __call__(self, logits: Tensor) -> int:
        """One token id from `logits` (vocabulary,) in float32."""
        sampling = self._sampling
        if sampling.temperature <= 0:
            return int(logits.argmax())
        # The likeliest becomes 0, so that no temperature, however small, makes it infinite.
        logits = (logits - logits.max()) / max(sampling.temperature, LOWEST_TEMPERATURE)
        if 0 < sampling.top_k < logits.numel():
            logits, ids = logits.topk(sampling.top_k)
            return int(ids[self._draw(_nucleus(logits.softmax(-1), sampling.top_p))])
        return self._draw(_nucleus(logits.softmax(-1), sampling.top_p))

    def _draw(self, weights: Tensor) -> int:
        return int(torch.multinomial(weights, 1, generator=self._generator))


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """`probabilities` (n,) with zeros outside of the smallest set whose mass reaches `top_p`; not normalised."""
    if top_p >= 1:
        return probabilities
    likeliest, _ = probabilities.topk(min(LIKELIEST, probabilities.numel()))
    mass = likeliest.cumsum(-1)
    if mass[-1] >= top_p or likeliest.numel() == probabilities.numel():
        # The token that crosses top_p belongs to the set, so the mass before a token decides.
        threshold = likeliest[(mass - likeliest) < top_p][-1]
    else:
        threshold = _threshold(probabilities, top_p, likeliest[-1])
    return torch.where(probabilities >= threshold, probabilities, 0)


def _threshold(probabilities: Tensor, top_p: float, high: Tensor) -> Tensor:
    """The largest probability such that all that reach it have a mass of at least `top_p`."""
    low = torch.zeros_like(high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        enough = torch.where(probabilities >= middle, probabilities, 0).sum() >= top_p
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return low


def log_probabilities(logits: Tensor, token: int, top_k: int) -> dict[int, float]:
    """Natural log-probabilities of `token` and of the `top_k` likeliest, under the logits as the model gave them."""
    log_probs = logits.log_softmax(-1)
    chosen = {token: float(log_probs[token])}
    if top_k <= 0:
        return chosen
    values, ids = log_probs.topk(min(top_k, log_probs.numel()))
    return chosen | dict(zip(ids.tolist(), values.tolist(), strict=True))
