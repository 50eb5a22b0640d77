"""Steps of the model: prompts are read in chunks, answers grow by a token. Owns the model and its cache.

The cache keeps what the last request left, so that a prompt which begins alike is read only from where it differs.
"""

from __future__ import annotations

import torch

from llama_nb.engine.kv_cache import KVCache
from llama_nb.engine.model import Transformer
from llama_nb.engine.sampling import Sampler, log_probabilities
from llama_nb.engine.scheduler import Sequence

CPU_FLOPS = 1e11  # what two cores do, roughly: it only sets how long a chunk keeps a cancel waiting
CHUNK_SECONDS = 0.25


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
        self._sampler: Sampler | None = None

    def begin(self, sequence: Sequence) -> None:
        """Makes ready for `sequence`: what the cache already holds of its prompt counts as read."""
        shared = _common_prefix(self._cached, sequence.prompt)
        # At least one token is read anew: its logits choose the first token of the answer.
        sequence.cached = sequence.read = min(shared, len(sequence.prompt) - 1)
        self._truncate(sequence.read)
        self._sampler = Sampler(sequence.request.sampling, self.device)

    def read_chunk(self, sequence: Sequence) -> int | None:
        """Reads the next tokens of the prompt; at its end gives the first token of the answer."""
        chunk = sequence.prompt[sequence.read : sequence.read + self._chunk]
        logits = self._forward(chunk)
        sequence.read += len(chunk)
        return None if sequence.in_prefill else self._choose(logits)

    def decode(self, sequence: Sequence) -> int:
        """The next token of the answer."""
        return self._choose(self._forward(sequence.generated[-1:]))

    def logprobs(self, token: int, top_k: int) -> dict[int, float]:
        """Of the token chosen last, and of the likeliest in its place."""
        return log_probabilities(self._logits, token, top_k)

    def _choose(self, logits: torch.Tensor) -> int:
        assert self._sampler is not None, "a sequence is begun before it runs"
        self._logits = logits
        if not torch.isfinite(logits.max()):
            raise ArithmeticError(
                "the model gave logits that are not finite (NaN or infinity): its weights are damaged"
            )
        return self._sampler(logits)

    @torch.inference_mode()
    def _forward(self, tokens: list[int]) -> torch.Tensor:
        """The logits (vocabulary,) after `tokens`. A step that fails leaves the cache as it was."""
        self._truncate(len(self._cached))
        batch = torch.tensor([tokens], device=self.device)
        logits = self._model(batch, self._cache, last_only=True)[0, -1]
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
