"""Texts → vectors of length 1: the mean of the model's last hidden states, after the final norm.

The mean is over a text's own tokens; `<|begin_of_text|>`, which every text begins with, gathers attention and says
nothing of it. Texts are read together a chunk at a time, beside the cache of the dialogs, which stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from llama_nb.engine.model import Transformer

BATCH_TOKENS = 4096  # of a batch, the padding included: what its keys and values take is bounded, too
BATCH_ROWS = 32


def batch_of(places: Sequence[int], texts: Sequence[Sequence[int]], dtype: torch.dtype) -> list[int]:
    """Which of the texts at `places` are read next: the shortest, as many as may be read together.

    In bfloat16 the size of a product decides how it is rounded, in the third digit of a vector: there each text is
    read by itself, so that its vector is the same whatever stands beside it.
    """
    if dtype is not torch.float32:
        return [places[0]]
    chosen: list[int] = []
    for place in sorted(places, key=lambda place: len(texts[place])):
        fits = (len(chosen) + 1) * len(texts[place]) <= BATCH_TOKENS and len(chosen) < BATCH_ROWS
        if chosen and not fits:
            break
        chosen.append(place)
    return chosen


class Batch:
    """Some texts, as tokens, on their way through the model. A shorter one is padded behind, where it sees nothing."""

    def __init__(self, model: Transformer, places: list[int], texts: Sequence[Sequence[int]]) -> None:
        weight = model.norm.weight
        self.places = places
        self._model = model
        self._lengths = torch.tensor([len(texts[place]) for place in places], device=weight.device)
        longest = max(len(texts[place]) for place in places)
        padded = [[*texts[place], *[0] * (longest - len(texts[place]))] for place in places]
        self._tokens = torch.tensor(padded, device=weight.device)
        self._cache = model.new_cache(longest, rows=len(places))
        self._sums = torch.zeros(len(places), model.args.dim, device=weight.device)

    @property
    def read(self) -> int:
        """How many positions are read."""
        return self._cache.length

    @property
    def whole(self) -> bool:
        return self._cache.length == self._cache.capacity

    @torch.inference_mode()
    def read_chunk(self, most: int) -> None:
        """Reads on, at most that many tokens of all texts together."""
        start = self._cache.length
        chunk = self._tokens[:, start : start + max(most // len(self.places), 1)]
        states = self._model.norm(self._model.hidden(chunk, self._cache)).float()
        positions = torch.arange(start, start + chunk.shape[1], device=states.device)
        counted = (positions > 0) & (positions < self._lengths[:, None])  # (rows, chunk)
        self._sums += (states * counted[:, :, None]).sum(1)

    def vectors(self) -> list[list[float]]:
        """One for each text, in the order of `places`, once all is read."""
        means = self._sums / (self._lengths[:, None] - 1)
        if not torch.isfinite(means).all():
            raise ArithmeticError(
                "the model gave states that are not finite (NaN or infinity): its weights are damaged"
            )
        vectors: list[list[float]] = torch.nn.functional.normalize(means, dim=-1).tolist()
        return vectors
