"""The caches of all sequences, those that run and those that are kept: who begins like whom, and who is forgotten.

A sequence that has ended leaves its slot as a beginning for others. All slots together have a budget of bytes, which
the kept ones give way to, the least recently used first. Knows tokens and bytes; knows neither model nor requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from llama_nb.engine.kv_cache import KVCache
from llama_nb.engine.memory import is_out_of_memory


class Slot:
    """The cache of one sequence, and the tokens whose keys and values it holds."""

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache
        self.tokens: list[int] = []
        self.running = True
        self.used = 0

    def truncate(self, length: int) -> None:
        del self.tokens[length:]
        self.cache.length = length

    def take_over(self, other: Slot, end: int) -> None:
        """Copies what `other` holds, which begins with our tokens, up to `end`."""
        start = len(self.tokens)
        self.cache.length = start  # a pass that failed may have left it elsewhere
        self.cache.copy(other.cache, start, end)
        self.tokens += other.tokens[start:end]


class Slots:
    def __init__(self, new_cache: Callable[[], KVCache], budget: int) -> None:
        self._new_cache = new_cache
        self.budget = budget
        self._slots: list[Slot] = []
        self._clock = count(1)

    @property
    def bytes(self) -> int:
        """The memory of all slots."""
        return sum(slot.cache.bytes for slot in self._slots)

    @property
    def running(self) -> list[Slot]:
        return [slot for slot in self._slots if slot.running]

    @property
    def kept(self) -> list[Slot]:
        """The least recently used first."""
        return sorted((slot for slot in self._slots if not slot.running), key=lambda slot: slot.used)

    def take(self, prompt: Sequence[int]) -> Slot:
        """A slot for a sequence that begins with `prompt`, and holds as much of it as any slot does.

        At least one token is left to be read: its logits choose the next. A kept slot is gone on with where `prompt`
        begins with all of it; from others, the common tokens are copied.
        """
        source, shared = self._most_alike(prompt)
        end = min(shared, len(prompt) - 1)
        if source is not None and not source.running and shared == len(source.tokens):
            return self._go_on(source, end)
        slot = Slot(self._new_cache())
        self._slots.append(slot)
        if source is None or self._copied(source, slot, end) or source.running:
            return slot
        self._slots.remove(slot)  # no memory for a copy: nobody is using the original
        return self._go_on(source, end)

    def catch_up(self, slot: Slot, prompt: Sequence[int]) -> int:
        """Copies what of `prompt` others have read beyond `slot`, and gives how many tokens that were.

        So two who are asked the same at once share the reading.
        """
        here = len(slot.tokens)
        ahead = [one for one in self._slots if len(one.tokens) > here and one.tokens[here] == prompt[here]]
        source, shared = self._most_alike(prompt, ahead)
        end = min(shared, len(prompt) - 1)
        if source is None or end <= here or not self._copied(source, slot, end):
            return 0
        return end - here

    def reserve(self, slot: Slot, length: int, *, beside: Slot | None = None) -> None:
        """Memory for `length` tokens in `slot`; kept ones give way, all but `beside`.

        They do where the budget is spent, which a sequence that runs may exceed, and where there is no memory.

        Raises:
            MemoryError, RuntimeError: there is no memory, though nothing is kept any more.
        """
        cache = slot.cache
        if length <= cache.room:
            return
        self._keep_to_budget((cache.room_for(length) - cache.room) * cache.bytes_per_token, beside)
        while (lack := _lack(cache, length)) is not None:
            if not self._evict_one(beside):
                raise lack

    def release(self, slot: Slot) -> None:
        """The sequence has ended: its slot is kept, unless another holds all of it."""
        slot.running = False
        slot.used = next(self._clock)
        others = [one for one in self._slots if one is not slot]
        if not slot.tokens or any(one.tokens[: len(slot.tokens)] == slot.tokens for one in others):
            self.drop(slot)
        for one in others:
            if not one.running and one.tokens == slot.tokens[: len(one.tokens)]:
                self.drop(one)
        self._keep_to_budget()

    def drop(self, slot: Slot) -> None:
        """Forgets `slot`, and gives its memory back."""
        if slot in self._slots:
            self._slots.remove(slot)

    def evict(self) -> bool:
        """Forgets all that is kept; whether there was anything."""
        kept = self.kept
        for slot in kept:
            self.drop(slot)
        return bool(kept)

    def _most_alike(self, prompt: Sequence[int], among: Sequence[Slot] | None = None) -> tuple[Slot | None, int]:
        """The slot that shares the longest beginning with `prompt`; of equals one that can be gone on with."""
        alike = [(common_prefix(slot.tokens, prompt), slot) for slot in (self._slots if among is None else among)]
        shared, source = max(
            alike,
            key=lambda one: (one[0], not one[1].running and one[0] == len(one[1].tokens), one[1].used),
            default=(0, None),
        )
        return (source, shared) if shared else (None, 0)

    def _go_on(self, slot: Slot, end: int) -> Slot:
        slot.truncate(end)
        slot.running = True
        return slot

    def _copied(self, source: Slot, slot: Slot, end: int) -> bool:
        """Copies from `source` up to `end`, if there is memory for it beside `source`."""
        source.used = next(self._clock)
        try:
            self.reserve(slot, end, beside=source)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return False
        if self.bytes > self.budget and not source.running:
            return False
        slot.take_over(source, end)
        return True

    def _keep_to_budget(self, more: int = 0, beside: Slot | None = None) -> None:
        while self.bytes + more > self.budget and self._evict_one(beside):
            pass

    def _evict_one(self, beside: Slot | None) -> bool:
        oldest = next((slot for slot in self.kept if slot is not beside), None)
        if oldest is not None:
            self.drop(oldest)
        return oldest is not None


def _lack(cache: KVCache, length: int) -> Exception | None:
    """The error, if there was no memory. It is not raised from here: its frames would hold on to what they have."""
    try:
        cache.reserve(length)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return error.with_traceback(None)
    return None


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """With how many equal items both begin. Slices are compared, not items: prompts are long."""
    same, differing = 0, min(len(one), len(other))
    if one[:differing] == other[:differing]:
        return differing
    while differing - same > 1:
        middle = (same + differing) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            differing = middle
    return same
