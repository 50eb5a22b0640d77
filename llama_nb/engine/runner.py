"""Steps of the model: prompts are read in chunks, answers grow by a token. Owns the model and the caches.

One forward pass a step serves everybody who takes part: linear layers see the tokens of all sequences at once, and
each sequence attends to its own. What one chooses depends on nothing but its own tokens and its own sampler.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor

from llama_nb.engine.decoder import NOT_FINITE, Decoder
from llama_nb.engine.embeddings import Batch, batch_of
from llama_nb.engine.kv_cache import KVCache, Rows
from llama_nb.engine.lookup import Lookup
from llama_nb.engine.memory import free_bytes, is_out_of_memory
from llama_nb.engine.model import Transformer
from llama_nb.engine.sampling import Sampler, log_probabilities
from llama_nb.engine.scheduler import Sequence, Texts
from llama_nb.engine.slots import Slot, Slots, common_prefix

log = logging.getLogger("llama_nb.worker")

CPU_FLOPS = 1e11  # what two cores do, roughly: it only sets how long a chunk keeps a cancel waiting
CHUNK_SECONDS = 0.25
SMALLEST_CHUNK = 16
GUESSED = 16  # tokens a step, for all sequences together: few enough that to read them costs hardly more than one
BESIDE_OTHERS = 4  # a chunk is so many times smaller while others take part in the step
MAX_BATCH_SIZE = {"cpu": 8, "cuda": 32}  # unless the config says how many requests run at once
FREE_SHARE = 4  # of the memory that is free once the model is loaded, caches may take the fourth part
CONTEXTS_A_ROW = 2  # and never more than for so many whole contexts a row: one that runs and one that is kept

P = ParamSpec("P")
T = TypeVar("T")


class Chosen(NamedTuple):
    """A token of an answer, and the log-probabilities at its place, if they were asked for."""

    token: int
    logprobs: dict[int, float] | None


class Reading(NamedTuple):
    """What a sequence reads in a step, and after how many of these tokens, the last ones, its logits are wanted.

    The very last ones may be `guessed`: they stand in the cache then, and go again where the model chooses others.
    """

    sequence: Sequence
    slot: Slot
    tokens: list[int]
    wanted: int
    guessed: list[int]


Read = list[Chosen] | Exception  # the next tokens of an answer, none while there is more to be read; or why it failed


class Runner:
    def __init__(
        self,
        model: Transformer,
        device: torch.device,
        dtype: torch.dtype,
        *,
        max_batch_size: int | None = None,
        prompt_lookup: bool = True,
        decoder: Decoder | None = None,
    ) -> None:
        self.device = device
        self.max_batch_size = max_batch_size or default_batch_size(device)
        self._model = model
        self._dtype = dtype
        self._decoder = decoder
        # What is guessed is read by the model itself, which takes longer than the decoder for as many tokens.
        self._prompt_lookup = prompt_lookup and decoder is None
        self._chunk = _chunk_tokens(model, device)
        bytes_per_token = self._new_cache().bytes_per_token
        most = CONTEXTS_A_ROW * self.max_batch_size * model.args.max_seq_len * bytes_per_token
        sharing = model.args.ranks if device.type == "cpu" else 1  # the memory that is free here
        self.slots = Slots(self._new_cache, min(free_bytes(device) // FREE_SHARE // sharing, most))
        self.cache_tokens = self.slots.budget // bytes_per_token

    def step(self, sequences: list[Sequence]) -> dict[Sequence, Read]:
        """Reads on in each of `sequences`: a chunk of a prompt, or what the answer grew by, of which the next follows.

        A sequence that fails does so alone, unless the machine does.
        """
        if self._decoder is not None and len(sequences) <= self._decoder.rows and all(map(self._may_run, sequences)):
            return self._run(sequences, self._decoder)
        limit = self._chunk if len(sequences) == 1 else self._chunk_beside_others
        guesses = GUESSED // len(sequences)
        prepared = {sequence: _attempt(self._prepare, sequence, limit, guesses) for sequence in sequences}
        readings = [reading for reading in prepared.values() if isinstance(reading, Reading)]
        outcomes: dict[Sequence, Read] = {
            sequence: failure for sequence, failure in prepared.items() if isinstance(failure, Exception)
        }
        for reading, logits in zip(readings, self._read(readings), strict=True):
            read = logits if isinstance(logits, Exception) else _attempt(self._continue, reading, logits)
            outcomes[reading.sequence] = read
        return outcomes

    def read_texts(self, texts: Texts, *, alone: bool = True) -> Batch:
        """Reads on in a few of `texts`, and gives these: `whole` when they are through."""
        # In bfloat16 the size of a chunk decides how it is rounded: there it is the same whoever runs beside it.
        most = self._chunk if alone and self._dtype is torch.float32 else self._chunk_beside_others

        def read() -> Batch:
            if texts.batch is None or texts.batch.whole:
                places = batch_of(texts.waiting, texts.texts, self._dtype)
                texts.batch = Batch(self._model, places, texts.texts)
                texts.waiting = [place for place in texts.waiting if place not in places]
            texts.batch.read_chunk(most)
            return texts.batch

        return self._with_memory(read)

    def release(self, sequence: Sequence, *, keep: bool) -> None:
        """The sequence has ended; what it has read is kept for others, unless it is not to be trusted."""
        slot, sequence.slot = sequence.slot, None
        if slot is not None and keep:
            slot.truncate(
                min(len(slot.tokens), len(sequence.prompt) + len(sequence.generated))
            )  # what came after its end
            self.slots.release(slot)
        elif slot is not None:
            self.slots.drop(slot)

    @property
    def _chunk_beside_others(self) -> int:
        return min(self._chunk, max(self._chunk // BESIDE_OTHERS, SMALLEST_CHUNK))

    def _new_cache(self) -> KVCache:
        return self._model.new_cache(self._model.args.max_seq_len)

    def _may_run(self, sequence: Sequence) -> bool:
        """Whether several tokens may follow before anybody looks at one: nothing depends on them but the next."""
        request = sequence.request
        return (
            bool(sequence.generated)
            and len(sequence.unread(2)) == 1
            and not (sequence.constraint or sequence.opening or sequence.forced)
            and request.logprobs is None
            and request.sampling.temperature <= 0
            and request.sampling.repetition_penalty == 1
        )

    def _run(self, sequences: list[Sequence], decoder: Decoder) -> dict[Sequence, Read]:
        """The next tokens of greedy answers. Where they fail together, each is tried alone."""
        room = min(sequence.room - len(sequence.generated) for sequence in sequences)
        count = min(decoder.run_length(len(sequences)), room)
        try:
            said = self._with_memory(lambda: self._said(sequences, decoder, count))
        except Exception as error:
            failure = _bare(error)
        else:
            return {
                sequence: [Chosen(token, None) for token in its] for sequence, its in zip(sequences, said, strict=True)
            }
        if len(sequences) == 1:
            return {sequences[0]: failure}
        return {sequence: read for one in sequences for sequence, read in self._run([one], decoder).items()}

    def _said(self, sequences: list[Sequence], decoder: Decoder, count: int) -> list[list[int]]:
        slots = [slot for sequence in sequences if (slot := sequence.slot) is not None]
        for slot in slots:
            slot.cache.length = len(slot.tokens)
            self.slots.reserve(slot, slot.cache.length + count)
        tokens = [sequence.unread(2)[0] for sequence in sequences]
        said = decoder.likeliest(tokens, [slot.cache for slot in slots], count)
        for slot, token, its in zip(slots, tokens, said, strict=True):
            slot.tokens += [token, *its[:-1]]
        return said

    def _prepare(self, sequence: Sequence, limit: int, guesses: int) -> Reading:
        """What `sequence` reads next, with memory for it: at most `limit` tokens, and so many `guesses`."""
        slot = sequence.slot
        if slot is None:
            slot = sequence.slot = self.slots.take(sequence.prompt)
            sequence.cached = len(slot.tokens)
            sequence.sampler = Sampler(sequence.request.sampling, self.device)
            sequence.sampler.see(sequence.prompt)
            if self._prompt_lookup:
                sequence.lookup = Lookup()
                sequence.lookup.see(sequence.prompt)
        elif sequence.in_prefill:
            sequence.cached += self.slots.catch_up(slot, sequence.prompt)
        tokens = sequence.unread(limit)
        after = len(slot.tokens) + len(tokens)
        known = len(sequence.prompt) + len(sequence.generated) + len(sequence.forced)
        wanted = int(after == known)
        if sequence.forced:
            if after == known and self._is_complete(sequence):
                tokens.pop()  # nothing follows the last, so nobody asks what would
            wanted = len(tokens)
        guessed: list[int] = []
        if sequence.lookup and sequence.generated and wanted and not sequence.forced:
            guessed = sequence.lookup.guess(min(guesses, sequence.room - len(sequence.generated) - 1))
        self.slots.reserve(slot, after + len(guessed))
        return Reading(sequence, slot, tokens + guessed, wanted + len(guessed), guessed)

    def _read(self, readings: list[Reading]) -> list[Tensor | Exception]:
        """The logits (wanted, vocabulary) of each. Where all together fail, each is tried alone."""
        if not readings:
            return []
        try:
            return list(self._with_memory(lambda: self._forward(readings)))
        except Exception as error:
            failure = _bare(error)
        if len(readings) == 1:
            return [failure]
        return [logits for reading in readings for logits in self._read([reading])]

    @torch.inference_mode()
    def _forward(self, readings: list[Reading]) -> list[Tensor]:
        """As `_read`. A pass that fails leaves the tokens of every slot as they were."""
        for reading in readings:
            reading.slot.cache.length = len(reading.slot.tokens)
        steps = [number for number, reading in enumerate(readings) if len(reading.tokens) == reading.wanted == 1]
        steps = steps[: self._decoder.rows if self._decoder is not None else 0]
        rest = [number for number in range(len(readings)) if number not in steps]
        found: dict[int, Tensor] = {}
        if steps and self._decoder is not None:
            tokens, caches = zip(
                *((readings[number].tokens[0], readings[number].slot.cache) for number in steps), strict=True
            )
            found |= zip(steps, self._decoder.logits(tokens, caches).split(1), strict=True)
        if rest:
            found |= zip(rest, self._pass([readings[number] for number in rest]), strict=True)
        for reading in readings:
            reading.slot.tokens += reading.tokens
        return [found[number] for number in range(len(readings))]

    def _pass(self, readings: list[Reading]) -> list[Tensor]:
        """The model's own, for all of them together."""
        counts = [len(reading.tokens) for reading in readings]
        caches = [reading.slot.cache for reading in readings]
        cache = caches[0] if len(caches) == 1 else Rows(caches, counts)
        tokens = [token for reading in readings for token in reading.tokens]
        at: list[int] = []
        end = 0
        for reading in readings:
            end += len(reading.tokens)
            at += range(end - reading.wanted, end)
        every = None if len(at) == len(tokens) else at
        logits = self._model(torch.tensor([tokens], device=self.device), cache, at=every)[0]
        return list(logits.split([reading.wanted for reading in readings]))

    def _with_memory(self, act: Callable[[], T]) -> T:
        """What `act` gives; where it finds no memory, all that is kept goes, and it is tried once more."""
        try:
            return act()
        except Exception as error:
            if not is_out_of_memory(error) or not self.slots.evict():
                raise
        log.warning("memory was short: all kept caches were given up")
        return act()

    def _continue(self, reading: Reading, logits: Tensor) -> list[Chosen]:
        """The next tokens of the answer, where the model gave `logits` after the last of what was read."""
        sequence = reading.sequence
        if not reading.wanted:
            return []
        if not torch.isfinite(logits.max()):
            raise ArithmeticError(NOT_FINITE)
        top_k = sequence.request.logprobs
        if not sequence.forced:
            return self._follow(reading, logits)
        assert top_k is not None, "without log-probabilities nothing waits for them"
        known, sequence.forced = sequence.forced[: len(logits)], sequence.forced[len(logits) :]
        pairs = zip(known, logits, strict=False)
        scored = [Chosen(token, log_probabilities(row, token, top_k)) for token, row in pairs]
        if len(logits) > len(known):
            scored += self._choose(sequence, logits[-1], known)
        return scored

    def _follow(self, reading: Reading, logits: Tensor) -> list[Chosen]:
        """What the model chooses as long as that was guessed, and once more; the rest of the guess is forgotten."""
        sequence, slot, guessed = reading.sequence, reading.slot, reading.guessed
        chosen = self._choose(sequence, logits[0], [])
        tokens = [one.token for one in chosen]
        while len(tokens) <= len(guessed) == len(logits) - 1 and tokens == guessed[: len(tokens)]:
            if sequence.forced or _is_held_to_its_end(sequence):
                break
            chosen += self._choose(sequence, logits[len(tokens)], tokens)
            tokens = [one.token for one in chosen]
        if sequence.lookup and guessed:
            right = common_prefix(tokens, guessed)
            sequence.lookup.learn(len(guessed), right)
            slot.truncate(len(slot.tokens) - len(guessed) + min(right, len(tokens) - 1))
        return chosen

    def _choose(self, sequence: Sequence, logits: Tensor, ahead: list[int]) -> list[Chosen]:
        """What follows where the model gave `logits`; the tokens `ahead` of it are about to join the answer."""
        sampler = sequence.sampler
        assert sampler is not None, "it was made when the sequence began"
        if sequence.constraint is None:
            tokens = [sampler(logits)]
            if sequence.opening and (held := sequence.opening.constraint([*sequence.generated, *ahead, *tokens])):
                sequence.constraint = held
                tokens += held.forced()
        elif not (tokens := sequence.constraint.forced()):
            tokens = [sampler(logits, sequence.constraint.mask())]
            sequence.constraint.take(tokens[0])
            tokens += sequence.constraint.forced()
        tokens = tokens[: sequence.room - len(sequence.generated) - len(ahead)]
        sampler.see(tokens)
        if sequence.lookup:
            sequence.lookup.see(tokens)
        top_k = sequence.request.logprobs
        if top_k is None:
            return [Chosen(token, None) for token in tokens]
        sequence.forced = tokens[1:]
        return [Chosen(tokens[0], log_probabilities(logits, tokens[0], top_k))]

    def _is_complete(self, sequence: Sequence) -> bool:
        """Whether the last of the forced tokens is that of the answer."""
        return _is_held_to_its_end(sequence) or len(sequence.generated) + len(sequence.forced) >= sequence.room


def default_batch_size(device: torch.device) -> int:
    return MAX_BATCH_SIZE.get(device.type, 8)


def _is_held_to_its_end(sequence: Sequence) -> bool:
    return sequence.constraint is not None and sequence.constraint.ended


def _attempt(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
    try:
        return act(*args, **kwargs)
    except Exception as error:
        return _bare(error)


def _bare(error: Exception) -> Exception:
    """`error` without its frames, which would hold on to their tensors; the log has them."""
    log.error("a step failed", exc_info=error)
    return error.with_traceback(None)


def _chunk_tokens(model: Transformer, device: torch.device) -> int:
    """How many tokens of a prompt are read at once: short enough that a cancel does not wait long."""
    if device.type == "cuda":
        return 512
    return min(max(int(CHUNK_SECONDS * CPU_FLOPS / (2 * model.args.parameters)), SMALLEST_CHUNK), 256)
