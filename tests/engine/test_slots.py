"""The caches of all sequences: what each holds is what its tokens say, whatever was copied, evicted or out of memory."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llama_nb.engine import kv_cache, memory, runner
from llama_nb.engine import slots as slots_module
from llama_nb.engine.kv_cache import KVCache, Rows
from llama_nb.engine.memory import free_bytes, is_out_of_memory
from llama_nb.engine.slots import Slot, Slots, common_prefix
from tests.counts import full
from tests.engine.test_generator import MAX_SEQ_LEN, Stepwise

N_LAYERS, N_KV_HEADS, HEAD_DIM, CAPACITY = 2, 1, 2, 60
BYTES_PER_TOKEN = 2 * N_LAYERS * N_KV_HEADS * HEAD_DIM * 4
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _small_grain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_cache, "GRAIN", 4)


def new_cache() -> KVCache:
    return KVCache(N_LAYERS, N_KV_HEADS, HEAD_DIM, CAPACITY)


def slots_of(tokens: int) -> Slots:
    """With a budget for so many tokens."""
    return Slots(new_cache, tokens * BYTES_PER_TOKEN)


def states(tokens: Sequence[int], start: int = 0) -> torch.Tensor:
    """What a cache is to hold of each token from `start`: something that depends on all before it. (T,)"""
    values = [0]
    for token in tokens:
        values.append((values[-1] * 31 + token + 1) % 99_991)
    return torch.tensor(values[1 + start :], dtype=torch.float32)


def read(slots: Slots, slot: Slot, tokens: Sequence[int]) -> None:
    """As a step of the model does it."""
    slots.reserve(slot, len(slot.tokens) + len(tokens))
    slot.cache.length = len(slot.tokens)
    new = states([*slot.tokens, *tokens], len(slot.tokens))[None, None, :, None].expand(1, 1, -1, HEAD_DIM)
    for layer in range(N_LAYERS):
        slot.cache.extend(layer, new + layer, new - layer)
    slot.cache.advance(len(tokens))
    slot.tokens += tokens


def is_sound(slot: Slot) -> bool:
    """Whether the cache holds what its tokens say."""
    slot.cache.length = len(slot.tokens)
    expected = states(slot.tokens)[None, None, :, None].expand(1, 1, -1, HEAD_DIM)
    nothing = expected[:, :, :0]
    held = [slot.cache.extend(layer, nothing, nothing) for layer in range(N_LAYERS)]
    return all(
        torch.equal(k, expected + layer) and torch.equal(v, expected - layer) for layer, (k, v) in enumerate(held)
    )


def begun(slots: Slots, prompt: list[int]) -> tuple[Slot, int]:
    """A slot that has read all of `prompt`, and how much of it was there."""
    slot = slots.take(prompt)
    cached = len(slot.tokens)
    read(slots, slot, prompt[cached:])
    return slot, cached


def kept(slots: Slots, prompt: list[int]) -> Slot:
    slot, _ = begun(slots, prompt)
    slots.release(slot)
    return slot


# --- Who begins like whom -----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_the_common_beginning_is_as_long_as_it_can_be(both: list[int], one: list[int], other: list[int]) -> None:
    one, other = both + one, both + other
    same = common_prefix(one, other)
    assert same >= len(both) and one[:same] == other[:same]
    assert same == min(len(one), len(other)) or one[same] != other[same]


def test_a_kept_slot_is_gone_on_with_where_it_stands() -> None:
    slots = slots_of(100)
    first = kept(slots, [1, 2, 3])
    slot, cached = begun(slots, [1, 2, 3, 4])
    assert (slot, cached) == (first, 3)
    assert is_sound(slot)


def test_one_token_at_least_is_read_though_all_are_there() -> None:
    slots = slots_of(100)
    first = kept(slots, [1, 2, 3])
    slot, cached = begun(slots, [1, 2, 3])
    assert (slot, cached) == (first, 2)
    assert is_sound(slot)


@pytest.mark.parametrize("running", [True, False])
def test_a_fork_copies_and_the_original_stays(running: bool) -> None:
    slots = slots_of(100)
    first, _ = begun(slots, [1, 2, 3, 4])
    if not running:
        slots.release(first)
    slot, cached = begun(slots, [1, 2, 9])
    assert slot is not first
    assert cached == 2
    assert first.tokens == [1, 2, 3, 4]
    assert is_sound(slot) and is_sound(first)


def test_the_longest_beginning_is_taken() -> None:
    slots = slots_of(100)
    kept(slots, [1, 2, 3, 9])
    kept(slots, [1, 2, 3, 4, 5, 9])
    kept(slots, [1, 8])
    assert begun(slots, [1, 2, 3, 4, 5, 6])[1] == 5


def test_who_is_asked_the_same_at_once_shares_the_reading() -> None:
    slots = slots_of(100)
    prompt = list(range(20))
    one, other = slots.take(prompt), slots.take(prompt)
    own = 0
    while min(len(one.tokens), len(other.tokens)) < len(prompt):
        for slot in (one, other):
            caught = slots.catch_up(slot, prompt)
            more = prompt[len(slot.tokens) :][:4]
            read(slots, slot, more)
            own += len(more)
            assert caught in (0, 4, 3)
    assert own <= len(prompt) + 4, "nothing but the last tokens is read twice"
    assert is_sound(one) and is_sound(other)


# --- Who is forgotten ---------------------------------------------------------------------------------------------------


def test_the_least_recently_used_is_forgotten_first_and_never_one_that_runs() -> None:
    slots = slots_of(12)
    running, _ = begun(slots, [0, 1])
    second, third = kept(slots, [2, 2]), kept(slots, [3, 3])
    slots.release(slots.take([2, 2, 2]))  # gone on with, and so used
    begun(slots, [4, 4])
    assert slots.running[0] is running
    assert slots.kept == [second]
    assert third not in slots._slots


def test_what_another_holds_as_well_is_not_kept_twice() -> None:
    slots = slots_of(100)
    first, _ = begun(slots, [1, 2, 3])
    second, _ = begun(slots, [1, 2, 3, 4])
    slots.release(second)
    slots.release(first)
    assert slots.kept == [second]


def test_a_slot_that_nothing_was_read_into_is_not_kept() -> None:
    slots = slots_of(100)
    slots.release(slots.take([1, 2]))
    assert slots._slots == []


def test_without_memory_for_a_copy_the_kept_original_is_gone_on_with() -> None:
    slots = slots_of(4)
    first = kept(slots, [1, 2, 3, 4])
    slot, cached = begun(slots, [1, 2, 9])
    assert (slot, cached) == (first, 2)
    assert is_sound(slot)
    assert slots.bytes <= slots.budget


def test_one_that_runs_may_go_beyond_the_budget_and_nothing_is_kept_then() -> None:
    slots = slots_of(8)
    kept(slots, [1] * 4)
    slot, _ = begun(slots, [2] * 20)
    assert slots.kept == [] and slots.bytes > slots.budget
    slots.release(slot)
    assert slots.bytes == 0


class Machine:
    """One that has memory for so many tokens, beyond which nothing can be reserved."""

    def __init__(self, slots: Slots, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = tokens * BYTES_PER_TOKEN
        reserve = KVCache.reserve

        def reserving(cache: KVCache, length: int) -> None:
            more = (cache.room_for(length) - cache.room) * cache.bytes_per_token
            if more and slots.bytes + more > self.most:
                raise MemoryError("no memory left")
            reserve(cache, length)

        monkeypatch.setattr(KVCache, "reserve", reserving)


def test_where_memory_ends_before_the_budget_kept_ones_give_way_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = slots_of(1000)
    Machine(slots, 16, monkeypatch)
    kept(slots, [1] * 4)
    second = kept(slots, [2] * 4)
    slot, _ = begun(slots, [3] * 12)
    assert slots.kept == [second]
    with pytest.raises(MemoryError):
        read(slots, slot, [3] * 8)
    assert slots.kept == []
    assert slot.tokens == [3] * 12 and is_sound(slot)


# --- Ten thousand operations --------------------------------------------------------------------------------------------


def operations(count: int, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> int:
    """Does so many of them at random; how many times what a slot held was wrong."""
    slots = slots_of(150)
    machine = Machine(slots, 10_000, monkeypatch)
    prompts: dict[Slot, list[int]] = {}
    wrong = 0
    for _ in range(count):
        machine.most = chance.choice((10_000, 200, 60)) * BYTES_PER_TOKEN
        running = chance.choice(slots.running) if slots.running else None
        match chance.choices(("take", "read", "catch up", "release", "drop", "evict"), (4, 12, 4, 3, 1, 1))[0]:
            case "take" if len(slots.running) < 5:
                prompt = [chance.randrange(2) for _ in range(chance.randint(1, 4))] * chance.randint(1, 8)
                slot = slots.take(prompt)
                assert len(slot.tokens) < len(prompt) and slot.tokens == prompt[: len(slot.tokens)]
                prompts[slot] = prompt
            case "read" if running:
                rest = prompts[running][len(running.tokens) :] or [chance.randrange(2)]
                before = list(running.tokens)
                try:
                    read(slots, running, rest[: min(chance.randint(1, 7), CAPACITY - len(before))])
                except MemoryError:
                    assert running.tokens == before and slots.kept == []
            case "catch up" if running and len(running.tokens) < len(prompts[running]):
                slots.catch_up(running, prompts[running])
                assert len(running.tokens) < len(prompts[running])
            case "release" if running:
                slots.release(running)
            case "drop" if running:
                slots.drop(running)
            case "evict":
                slots.evict()
                assert slots.kept == []
        wrong += sum(not is_sound(slot) for slot in slots._slots)
        assert slots.bytes <= slots.budget or not slots.kept
        memories = [tensor.data_ptr() for slot in slots._slots if slot.cache.room for tensor in slot.cache._keys]
        assert len(set(memories)) == len(memories), "no memory has two owners"
    assert prompts
    return wrong


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_done_every_slot_holds_what_its_tokens_say(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert operations(full(1000, 10_000), random.Random(seed), monkeypatch) == 0


def test_the_check_sees_tokens_that_were_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "common_prefix", lambda one, other: min(len(one), len(other)))
    with pytest.raises(AssertionError):
        assert operations(1000, random.Random(0), monkeypatch) == 0


def test_the_check_sees_a_copy_that_leaves_something_out(monkeypatch: pytest.MonkeyPatch) -> None:
    @torch.inference_mode()
    def careless(cache: KVCache, other: KVCache, start: int, end: int) -> None:
        cache.reserve(end)
        for held in cache._keys:
            held[:, :, start:end] = 0
        cache.length = end

    monkeypatch.setattr(KVCache, "copy", careless)
    assert operations(1000, random.Random(0), monkeypatch) > 0


# --- Memory -------------------------------------------------------------------------------------------------------------


def test_memory_grows_with_what_is_written_and_ends_with_the_context() -> None:
    cache = new_cache()
    assert cache.bytes == 0
    some = torch.ones(1, N_KV_HEADS, 1, HEAD_DIM)
    for length in range(1, CAPACITY + 1):
        for layer in range(N_LAYERS):
            cache.extend(layer, some, some)
        cache.advance(1)
        assert length <= cache.room <= max(8, 2 * length)
    assert cache.room == CAPACITY
    with pytest.raises(IndexError, match="holds 60 tokens, 61"):
        cache.extend(0, some, some)


def test_several_caches_count_as_one_row_with_a_position_for_each_token() -> None:
    one, other = new_cache(), new_cache()
    one.reserve(9)
    one.length = 5
    rows = Rows([one, other], [2, 3])
    assert rows.places(5).tolist() == [5, 6, 0, 1, 2]
    x = torch.randn(1, 1, 5, HEAD_DIM)
    assert rows.attend(0, x, x, x).shape == x.shape
    rows.advance(5)
    assert (one.length, other.length) == (7, 3)


def test_a_lack_of_memory_is_known_by_whatever_it_is_told() -> None:
    with pytest.raises(RuntimeError) as told:
        torch.empty(2**46, dtype=torch.uint8)
    assert is_out_of_memory(told.value)
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(torch.OutOfMemoryError("x"))
    assert not is_out_of_memory(RuntimeError("a shape is wrong")) and not is_out_of_memory(KeyError("out of memory"))


def test_a_generator_keeps_at_most_a_quarter_of_what_is_free_and_two_contexts_a_row(
    talker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepwise = Stepwise(talker, rows=3)
    bytes_per_token = stepwise.runner._new_cache().bytes_per_token
    assert stepwise.runner.slots.budget == 2 * 3 * MAX_SEQ_LEN * bytes_per_token
    monkeypatch.setattr(runner, "free_bytes", lambda device: 400 * bytes_per_token)
    assert Stepwise(talker).runner.slots.budget == 100 * bytes_per_token
    assert Stepwise(talker).runner.cache_tokens == 100


def test_what_is_free_is_bounded_by_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "none")
    whole = free_bytes(CPU)
    assert whole > 10**6
    (tmp_path / "memory.max").write_text("9000\n")
    (tmp_path / "memory.current").write_text("5000\n")
    (tmp_path / "memory.stat").write_text("anon 4000\ninactive_file 1000\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert free_bytes(CPU) == 5000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes(CPU) > 10**6
