"""Logits → the next token. Knows torch and one row of logits; knows nothing of requests.

The distribution is exact and never sorted whole: top-p looks at the likeliest few first, and where they do not
suffice it finds the threshold by bisection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from llama_nb.engine.protocol import Sampling

LIKELIEST = 256
BISECTIONS = 40
Bits = np.ndarray[tuple[int], np.dtype[np.integer]]
Summands = np.ndarray[tuple[int, int], np.dtype[np.float32]]
LOWEST_TEMPERATURE = 1e-30  # float32 has an inverse of it
STRONGEST_PENALTY = 1e30  # and no logit times or by it is infinite


class Mask:
    """Which tokens may come: those of `ids` (n,), when they are few, or those whose bit is set in `octets`.

    Bits are counted from the lowest of the first octet (vocabulary / 8,), and all is on the CPU.
    """

    # The eight summands of an octet: 0 for each bit that is set, and minus infinity. (256, 8)
    _SUMMANDS = np.where(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"), 0, -np.inf)
    _SUMMANDS = _SUMMANDS.astype(np.float32)

    def __init__(self, *, ids: Bits | None = None, octets: Bits | None = None, room: Summands | None = None) -> None:
        self._ids = ids
        self._octets = octets
        self._room = room  # (vocabulary / 8, 8), to be written over: half a megabyte is not sought anew for each token

    def apply(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """The logits of what may come, and whose they are; None: the place of each tells."""
        if self._octets is None:
            ids = torch.from_numpy(self._ids).to(logits.device)
            return logits[ids], ids
        if logits.device.type == "cpu":  # three times as fast as torch finds them
            summands = torch.from_numpy(self._SUMMANDS.take(self._octets, axis=0, out=self._room, mode="clip"))
        else:
            octets = torch.from_numpy(self._octets).to(logits.device)
            summands = torch.from_numpy(self._SUMMANDS).to(logits.device)[octets.long()]
        return summands.view(-1)[: logits.numel()].add_(logits), None


class Sampler:
    """Chooses the tokens of one answer; the same seed chooses the same, whatever else was sampled before."""

    def __init__(self, sampling: Sampling, device: torch.device) -> None:
        self._sampling = sampling
        self._generator = torch.Generator(device)
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)
        self._unmarked: list[int] = []  # seen, and not yet in `_seen`
        self._seen: Tensor | None = None  # (vocabulary,) bool

    def see(self, tokens: Sequence[int]) -> None:
        """Takes note of tokens of the prompt or of the answer, which a repetition penalty makes less likely."""
        if self._sampling.repetition_penalty != 1:
            self._unmarked += tokens

    def __call__(self, logits: Tensor, mask: Mask | None = None) -> int:
        """One token id from `logits` (vocabulary,) in float32, of those that `mask` allows."""
        if self._sampling.repetition_penalty != 1:
            logits = self._penalised(logits)
        ids = None
        if mask is not None:
            logits, ids = mask.apply(logits)
        place = self._choose(logits)
        return place if ids is None else int(ids[place])

    def _penalised(self, logits: Tensor) -> Tensor:
        if self._seen is None:
            self._seen = torch.zeros_like(logits, dtype=torch.bool)
        if self._unmarked:
            self._seen[torch.tensor(self._unmarked, device=logits.device)] = True
            self._unmarked.clear()
        penalty = min(max(self._sampling.repetition_penalty, 1 / STRONGEST_PENALTY), STRONGEST_PENALTY)
        return torch.where(self._seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)

    def _choose(self, logits: Tensor) -> int:
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
        # The token that crosses top_p belongs to the set, so the mass before a token decides. One belongs to it always:
        # a top_p that is 0 in float32 would leave none.
        threshold = likeliest[max(int(((mass - likeliest) < top_p).sum()), 1) - 1]
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
