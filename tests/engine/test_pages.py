"""Pages hold what a cache that lies side by side would, whoever shares them."""

from __future__ import annotations

import gc
import random
from pathlib import Path

import pytest
import torch

from llama_nb.engine import checkpoint
from llama_nb.engine.kv_cache import KVCache
from llama_nb.engine.pages import PAGE, PagedCache
from llama_nb.engine.slots import Slots
from tests.engine import tiny

LAYERS, HEADS, SIZE, CAPACITY = 2, 2, 4, 5 * PAGE
PAGE_BYTES = LAYERS * 2 * HEADS * PAGE * SIZE * 4


def cache_of(kind: type[KVCache] = PagedCache) -> KVCache:
    return kind(LAYERS, HEADS, SIZE, CAPACITY)


@torch.inference_mode()
def write(cache: KVCache, count: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Random keys and values behind what is there; what each layer sees then."""
    generator = torch.Generator().manual_seed(seed)
    seen = []
    for layer in range(LAYERS):
        k, v = (torch.randn(1, HEADS, count, SIZE, generator=generator) for _ in range(2))
        seen.append(tuple(part.clone() for part in cache.extend(layer, k, v)))
    cache.advance(count)
    return seen


def assert_same(some: list[tuple[torch.Tensor, torch.Tensor]], others: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    for one, other in zip(some, others, strict=True):
        assert all(torch.equal(part, its) for part, its in zip(one, other, strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_done_they_hold_what_is_held_side_by_side(seed: int) -> None:
    chance = random.Random(seed)
    pairs = [(cache_of(), cache_of(KVCache))]
    for step in range(60):
        index = chance.randrange(len(pairs))
        paged, plain = pairs[index]
        act = chance.random()
        if act < 0.5 and plain.length < CAPACITY:
            count = min(chance.choice((1, 1, 3, PAGE - 1, PAGE, PAGE + 1)), CAPACITY - plain.length)
            assert_same(write(paged, count, step), write(plain, count, step))
        elif act < 0.65:
            paged.length = plain.length = chance.randint(0, plain.length)
        elif act < 0.9:
            new = (cache_of(), cache_of(KVCache))
            middle, end = sorted(chance.randint(0, plain.length) for _ in range(2))
            for fresh, source in zip(new, (paged, plain), strict=True):
                fresh.copy(source, 0, middle)
                fresh.copy(source, middle, end)
            pairs.append(new)
        elif len(pairs) > 1:
            del pairs[index]
            del paged, plain
    for paged, plain in pairs:
        if plain.length < CAPACITY:
            assert_same(write(paged, 1, 99), write(plain, 1, 99))


def test_whole_pages_are_shared_and_a_begun_one_is_copied() -> None:
    one, other = cache_of(), cache_of()
    write(one, 2 * PAGE + 10, 0)
    other.copy(one, 0, 2 * PAGE + 5)
    assert [page.data_ptr() for page in one.pages[:2]] == [page.data_ptr() for page in other.pages[:2]]
    assert one.pages[2].data_ptr() != other.pages[2].data_ptr()
    assert one.bytes + other.bytes == 4 * PAGE_BYTES


def test_who_writes_to_a_shared_page_gets_one_of_its_own() -> None:
    one, other = cache_of(), cache_of()
    write(one, 2 * PAGE, 0)
    other.copy(one, 0, 2 * PAGE)
    before = one.pages[1].clone()
    other.length = PAGE + 7
    assert other.room == PAGE, "what is shared is no room to write to"
    write(other, 3, 1)
    assert torch.equal(one.pages[1], before)
    assert torch.equal(other.pages[1][..., :7, :], before[..., :7, :])
    assert one.pages[0].data_ptr() == other.pages[0].data_ptr()


def test_a_page_is_given_back_with_its_last_cache() -> None:
    one, other = cache_of(), cache_of()
    write(one, PAGE, 0)
    other.copy(one, 0, PAGE)
    page = one._pages[0]
    del one
    gc.collect()
    assert not page.is_shared and other.bytes == PAGE_BYTES


def test_more_than_the_capacity_is_refused() -> None:
    cache = cache_of()
    write(cache, CAPACITY, 0)
    with pytest.raises(IndexError, match=str(CAPACITY)):
        cache.reserve(CAPACITY + 1)
    assert cache.length == cache.room == CAPACITY


def test_the_memory_that_is_to_be_taken_is_known_before() -> None:
    cache = cache_of()
    assert (cache.room_for(PAGE + 1) - cache.room) * cache.bytes_per_token == 2 * PAGE_BYTES
    cache.reserve(PAGE + 1)
    assert cache.bytes == 2 * PAGE_BYTES
    assert cache.room_for(PAGE) == cache.room


def test_slots_of_one_beginning_take_its_memory_once() -> None:
    slots = Slots(cache_of, 100 * PAGE_BYTES)
    prompt = list(range(3 * PAGE))
    first = slots.take(prompt)
    slots.reserve(first, len(prompt))
    first.tokens, first.cache.length = list(prompt), len(prompt)
    followers = [slots.take([*prompt[: 2 * PAGE], -one]) for one in range(1, 5)]
    assert all(len(slot.tokens) == 2 * PAGE for slot in followers)
    assert slots.bytes == pytest.approx(3 * PAGE_BYTES, abs=10)  # a fifth of each page is rounded


@pytest.mark.parametrize("chunk", [400, 100, 1])
@torch.inference_mode()
def test_the_model_reads_the_same(chunk: int, tmp_path: Path) -> None:
    tiny.write_meta_checkpoint(tmp_path, n_kv_heads=2)
    model, _ = checkpoint.load(
        tmp_path, device=torch.device("cpu"), dtype=torch.float32, max_seq_len=512, progress=lambda stage, share: None
    )
    tokens = torch.randint(0, 288, (1, 400), generator=torch.Generator().manual_seed(0))
    expected = model(tokens, model.new_cache(512))
    model.cache_kind = PagedCache
    cache = model.new_cache(512)
    assert isinstance(cache, PagedCache)
    logits = torch.cat([model(part, cache) for part in tokens.split(chunk, dim=1)], dim=1)
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()
