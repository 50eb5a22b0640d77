"""Steps of the model: prompts are read in chunks, answers grow by a token. Owns the model and its cache.

The cache keeps what the last request left, so that a prompt which begins alike is read only from where it differs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from llama_nb.engine.embeddings import Batch, batch_of
from llama_nb.engine.kv_cache import KVCache
from llama_nb.engine.model import Transformer
from llama_nb.engine.protocol import Sampling
from llama_nb.engine.sampling import Mask, Sampler, log_probabilities
from llama_nb.engine.scheduler import Sequence, Texts

CPU_FLOPS = 1e11  # what two cores do, roughly: it only sets how long a chunk keeps a cancel waiting
CHUNK_SECONDS = 0.25


class Chosen(NamedTuple):
    """A token of an answer, and the log-probabilities at its place, if they were asked for."""

    token: int
    logprobs: dict[int, float] | None


class Runner:
    def __init__(self, model: Transformer, device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        self._model = model
        args = model.args
        self._cache = KVCache(
            args.n_layers, args.n_kv_heads, args.head_dim, args.max_seq_len, dtype=dtype, device=device
        )
        self._cached: list[int] = []  # the tokens whose keys and values the cache holds
        self._chunk = _chunk_tokens(model, device)
        self._sampler = Sampler(Sampling(), device)

    def begin(self, sequence: Sequence) -> None:
        """Makes ready for `sequence`: what the cache already holds of its prompt counts as read."""
        shared = _common_prefix(self._cached, sequence.prompt)
        # At least one token is read anew: its logits choose the first token of the answer.
        sequence.cached = sequence.read = min(shared, len(sequence.prompt) - 1)
        self._truncate(sequence.read)
        self._sampler = Sampler(sequence.request.sampling, self.device)
        self._sampler.see(sequence.prompt)

    def read_chunk(self, sequence: Sequence) -> list[Chosen] | None:
        """Reads the next tokens of the prompt; at its end gives the first of the answer, None before."""
        chunk = sequence.prompt[sequence.read : sequence.read + self._chunk]
        logits = self._forward(chunk)
        sequence.read += len(chunk)
        return None if sequence.in_prefill else self._choose(sequence, logits)

    def decode(self, sequence: Sequence) -> list[Chosen]:
        """The next tokens of the answer: one, and all that a grammar then leaves no choice about.

        Such tokens are read together. When they are so many that it takes several steps, none is given until the last.
        """
        unread = len(sequence.prompt) + len(sequence.generated) - len(self._cached)
        chunk = sequence.generated[-unread:][: self._chunk]
        logits = self._forward(chunk)
        return self._choose(sequence, logits) if len(chunk) == unread else []

    def read_texts(self, texts: Texts) -> Batch:
        """Reads on in a few of `texts`, and gives these: `whole` when they are through."""
        if texts.batch is None or texts.batch.whole:
            places = batch_of(texts.waiting, texts.texts, self._model.norm.weight.dtype)
            texts.batch = Batch(self._model, places, texts.texts, self._chunk)
            texts.waiting = [place for place in texts.waiting if place not in places]
        texts.batch.read_chunk()
        return texts.batch

    def _choose(self, sequence: Sequence, logits: torch.Tensor) -> list[Chosen]:
        """What follows where the model gave `logits`."""
        if sequence.constraint is None:
            tokens = [self._sample(logits)]
            if sequence.opening and (held := sequence.opening.constraint(sequence.generated + tokens)):
                sequence.constraint = held
                tokens += held.forced()
        elif not (tokens := sequence.constraint.forced()):
            tokens = [self._sample(logits, sequence.constraint.mask())]
            sequence.constraint.take(tokens[0])
            tokens += sequence.constraint.forced()
        tokens = tokens[: sequence.room - len(sequence.generated)]
        self._sampler.see(tokens)
        return self._scored(tokens, logits, sequence.request.logprobs)

    def _sample(self, logits: torch.Tensor, mask: Mask | None = None) -> int:
        if not torch.isfinite(logits.max()):
            raise ArithmeticError(
                "the model gave logits that are not finite (NaN or infinity): its weights are damaged"
            )
        return self._sampler(logits) if mask is None else self._sampler(logits, mask)

    def _scored(self, tokens: list[int], logits: torch.Tensor, top_k: int | None) -> list[Chosen]:
        """`tokens` with their log-probabilities, if those are wanted: then all but the last are read at once."""
        if top_k is None:
            return [Chosen(token, None) for token in tokens]
        scored = [Chosen(tokens[0], log_probabilities(logits, tokens[0], top_k))]
        for start in range(0, len(tokens) - 1, self._chunk):
            rows = self._forward_all(tokens[start : len(tokens) - 1][: self._chunk])
            following = tokens[start + 1 : start + 1 + len(rows)]
            pairs = zip(following, rows, strict=True)
            scored += [Chosen(token, log_probabilities(row, token, top_k)) for token, row in pairs]
        return scored

    def _forward(self, tokens: list[int]) -> torch.Tensor:
        """The logits (vocabulary,) after `tokens`."""
        return self._forward_all(tokens, last_only=True)[-1]

    @torch.inference_mode()
    def _forward_all(self, tokens: list[int], *, last_only: bool = False) -> torch.Tensor:
        """The logits (T, vocabulary) after each of `tokens`. A step that fails leaves the cache as it was."""
        self._truncate(len(self._cached))
        batch = torch.tensor([tokens], device=self.device)
        logits = self._model(batch, self._cache, last_only=last_only)[0]
        self._cached += tokens
        return logits

    def _truncate(self, length: int) -> None:
        del self._cached[length:]
        self._cache.length = length


def _common_prefix(one: list[int], other: list[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _chunk_tokens(model: Transformer, device: torch.device) -> int:
    """How many tokens of a prompt are read at once: short enough that a cancel does not wait long."""
    if device.type == "cuda":
        return 512
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return min(max(int(CHUNK_SECONDS * CPU_FLOPS / (2 * parameters)), 16), 256)
