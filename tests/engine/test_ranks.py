"""A model over several processes answers as it does in one, and they live and die together."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from llama_nb import loop
from llama_nb.engine import checkpoint, ranks
from llama_nb.engine.checkpoint import Share
from llama_nb.engine.client import Engine
from llama_nb.engine.model import Transformer
from llama_nb.engine.protocol import Piece, Quantization
from llama_nb.errors import BadRequest, CheckpointError, EngineError
from tests.engine import live, tiny
from tests.engine.test_parity import GUIDE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

LONG = "The quick brown fox jumps over the lazy dog. " * 20  # several chunks
CPU = torch.device("cpu")
LAYOUTS: dict[str, Callable[[Path], object]] = {
    "meta": tiny.write_meta_checkpoint,
    "meta, tied": lambda folder: tiny.write_meta_checkpoint(folder, tied=True),
    "meta, 2 files": lambda folder: tiny.write_meta_checkpoint(folder, shards=2),
    "meta, 4 files": lambda folder: tiny.write_meta_checkpoint(folder, shards=4, n_kv_heads=4),
    "hugging face": tiny.write_hugging_face_checkpoint,
    "hugging face, tied": lambda folder: tiny.write_hugging_face_checkpoint(folder, tied=True, files=2),
}


@pytest.fixture(scope="module")
def two(talker: Path) -> Iterator[Engine]:
    engine = live.engine_of(talker, ranks=2)
    yield engine
    engine.close()


def told(folder: Path, count: int, *texts: str, quantization: Quantization | None = None) -> live.Answered:
    engine = live.engine_of(folder, ranks=count, dtype="float32", quantization=quantization)
    try:
        return live.ask(engine, *texts, max_tokens=24, logprobs=3)
    finally:
        engine.close()


def assert_alike(some: live.Answered, others: live.Answered) -> None:
    assert some.tokens == others.tokens
    for one, other in zip(some.logprobs, others.logprobs, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


# What is said ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_ranks_give_the_same_greedy_tokens_as_one(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    assert_alike(told(tmp_path, 2, LONG), told(tmp_path, 1, LONG))


def test_four_ranks_do_so_too(tmp_path: Path) -> None:
    tiny.write_meta_checkpoint(tmp_path, n_kv_heads=4, shards=2)
    assert_alike(told(tmp_path, 4, LONG), told(tmp_path, 1, LONG))


def test_so_does_the_embedded_model() -> None:
    assert_alike(told(GUIDE, 2, "What is a tool?"), told(GUIDE, 1, "What is a tool?"))


def test_several_conversations_at_once_on_two_ranks_are_as_on_one(two: Engine, engine: Engine) -> None:
    """With beginnings that are shared, gone on with, and forgotten."""
    questions = [("Hello",), (LONG + "one",), (LONG + "two",), ("Hello", "You", "again"), (LONG,), ("Hello",)]

    async def all_of(engine: Engine) -> list[live.Answered]:
        requests = [live.request(*texts, max_tokens=20, sampling=live.sampled(3)) for texts in questions]
        return list(await asyncio.gather(*(live.answer(engine, one) for one in requests)))

    for _ in range(2):
        together, alone = loop.run(all_of(two)), loop.run(all_of(engine))
        assert [one.said for one in together] == [one.said for one in alone]
    assert max(one.done.cached_tokens for one in together) > 100


def test_after_a_cancel_two_ranks_are_still_in_step(two: Engine, engine: Engine) -> None:
    async def cancelled() -> None:
        events = two.answer(live.request(LONG, "so", "go on", max_tokens=500))
        async for event in events:
            if isinstance(event, Piece):
                break
        await events.aclose()  # type: ignore[attr-defined]

    for _ in range(3):
        loop.run(cancelled())
        said = [live.ask(one, LONG, "so", "and then?", max_tokens=20).said for one in (two, engine)]
        assert said[0] == said[1]


def test_vectors_of_texts_are_those_of_one_rank(two: Engine, engine: Engine) -> None:
    texts = ["a", "the lazy dog", LONG]
    ours, theirs = (torch.tensor(loop.run(one.embed(texts))) for one in (two, engine))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("quantization", ["int8", "int4", "fp8"])
def test_small_weights_can_be_spread(quantization: Quantization, endless: Path) -> None:
    assert len(told(endless, 2, "Hello", quantization=quantization).tokens) == 24


def test_what_is_loaded_is_told_of_all_ranks_together(two: Engine, engine: Engine) -> None:
    spread, alone = loop.run(two.load()), loop.run(engine.load())
    assert spread.ranks == 2 and alone.ranks == 1
    assert two.status.detail.endswith(", 2 ranks") and "ranks" not in engine.status.detail
    assert spread.parameters == alone.parameters
    # Embedding and norms are held twice.
    assert alone.weight_bytes < spread.weight_bytes < alone.weight_bytes + 4 * (tiny.DIM + 1) * 544 + 4096


# Loading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "count"), [*((layout, 2) for layout in LAYOUTS), ("meta, 4 files", 4)])
def test_the_shares_of_all_ranks_are_the_whole_model(layout: str, count: int, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    whole = dict(loaded(tmp_path, Share()).named_parameters())
    shares = [dict(loaded(tmp_path, Share(rank, count)).named_parameters()) for rank in range(count)]
    for name, parameter in whole.items():
        dim = Share(0, count).dim(name)
        if dim is None:
            assert torch.equal(shares[0][name], parameter)
        else:
            assert torch.equal(torch.cat([share[name] for share in shares], dim), parameter), name
    assert "output.weight" not in shares[1], "the head is rank 0's"


def loaded(folder: Path, share: Share) -> Transformer:
    return checkpoint.load(
        folder, device=CPU, dtype=torch.float32, max_seq_len=None, progress=lambda stage, part: None, share=share
    )[0]


def test_no_rank_ever_has_a_layer_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_hugging_face_checkpoint(tmp_path)
    joined = checkpoint._joined
    sizes: dict[str, int] = {}

    def noted(name: str, *arguments: object) -> torch.Tensor:
        tensor = joined(name, *arguments)  # type: ignore[arg-type]
        sizes[name] = tensor.numel()
        return tensor

    monkeypatch.setattr(checkpoint, "_joined", noted)
    loaded(tmp_path, Share())
    whole = sizes.copy()
    loaded(tmp_path, Share(1, 2))
    for name, size in sizes.items():
        shared = name.startswith("layers.") and "norm" not in name
        assert size == whole[name] // (2 if shared else 1), name


@pytest.mark.parametrize("count", [3, 4, 7])
def test_a_count_that_cannot_share_the_model_is_refused_with_those_that_can(count: int, talker: Path) -> None:
    engine = live.engine_of(talker, ranks=count)
    with pytest.raises(BadRequest, match=rf"`ranks` is {count}: .* 4 heads, 2 key-value heads .* can be 1, 2\."):
        live.ask(engine, "Hello")
    assert engine.status.phase == "failed"
    engine.close()


def test_a_checkpoint_that_is_damaged_is_told_as_by_one_rank(tmp_path: Path) -> None:
    tiny.write_meta_checkpoint(tmp_path)
    (tmp_path / "consolidated.00.pth").write_bytes(b"")
    engine = live.engine_of(tmp_path, ranks=2)
    with pytest.raises(CheckpointError, match="is empty: expected weights"):
        live.ask(engine, "Hello")
    engine.close()


# Living and dying -----------------------------------------------------------------------------------------------------


def ranks_of(engine: Engine) -> list[int]:
    assert engine.pid is not None
    return sorted(live.children(engine.pid))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("busy", [True, False], ids=["answering", "idle"])
def test_the_death_of_one_rank_is_that_of_all_and_the_next_question_works(
    place: int, busy: bool, endless: Path
) -> None:
    engine = live.engine_of(endless, ranks=2)
    loop.run(engine.load())
    pids = ranks_of(engine)
    assert len(pids) == 2

    async def killed() -> float:
        began = time.monotonic()
        async for event in engine.answer(live.request("Hello")):
            if isinstance(event, Piece):
                began = time.monotonic()
                os.kill(pids[place], signal.SIGKILL)
        return began

    try:
        began = time.monotonic()
        if busy:
            with pytest.raises(EngineError, match=rf"rank {place} \(pid {pids[place]}\) was killed by SIGKILL"):
                loop.run(asyncio.wait_for(killed(), live.WAIT_S))
        else:
            os.kill(pids[place], signal.SIGKILL)
        live.wait_for(lambda: engine.status.phase == "failed", "the news", began + 10 - time.monotonic())
        live.wait_for(lambda: not any(live.alive(pid) for pid in pids), "the end of all ranks", 2.0)
        assert live.ask(engine, "Hello", max_tokens=5).tokens
    finally:
        engine.close()


def test_a_follower_that_fails_says_why_and_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "_exit", sys.exit)
    tiny.write_meta_checkpoint(tmp_path)
    with pytest.raises(SystemExit, match="1"):
        ranks.follow(loaded(tmp_path, Share()), iter([ranks.New(1, 60, 1), ranks.Drop(7)]), 1)
    assert "rank 1 failed" in caplog.text and "rank 1 cannot go on: KeyError: 7" in caplog.text


def test_a_pass_that_fails_on_the_first_rank_ends_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """It is not tried again: the others are in the middle of it."""
    monkeypatch.setattr(os, "_exit", sys.exit)
    tiny.write_meta_checkpoint(tmp_path)
    model = loaded(tmp_path, Share())
    ranks.Lead([]).take(model)
    cache = model.new_cache(4)
    with pytest.raises(SystemExit, match="1"):
        model(torch.tensor([[1, 2, 3, 4, 5]]), cache)
    assert "rank 0 cannot go on: IndexError: the cache holds 4 tokens, 5 were written" in caplog.text


def test_an_interrupt_of_the_kernel_is_not_meant_for_them(two: Engine) -> None:
    loop.run(two.load())
    pids = ranks_of(two)
    for pid in pids:
        os.kill(pid, signal.SIGINT)
    assert live.ask(two, "Hello", max_tokens=3).tokens
    assert ranks_of(two) == pids


def test_closing_leaves_no_process_and_no_file(talker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    engine = live.engine_of(talker, ranks=2)
    live.ask(engine, "Hello", max_tokens=3)
    pids = ranks_of(engine)
    engine.close()
    live.wait_for(lambda: not any(live.alive(pid) for pid in pids), "the end of all ranks", 2.0)
    live.wait_for(lambda: not list(tmp_path.iterdir()), "an empty folder", 5.0)


def test_ranks_listen_on_the_loopback_only(two: Engine, engine: Engine) -> None:
    loop.run(two.load())
    loop.run(engine.load())
    addresses = [address for pid in ranks_of(two) for address in live.ports_of(pid)]
    assert addresses, "else nothing is tested"
    loopback = socket.inet_aton("127.0.0.1")[::-1].hex().upper()
    ipv6 = "00000000000000000000000001000000"
    assert all(
        address.partition(":")[0] in (loopback, ipv6, f"0000000000000000FFFF0000{loopback}") for address in addresses
    )
    assert not live.ports_of(live.rank_of(engine))


def test_idle_ranks_use_no_processor(two: Engine) -> None:
    live.ask(two, "Hello", max_tokens=3)

    def ticks() -> int:
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in ranks_of(two)]
        return sum(int(one[11]) + int(one[12]) for one in fields)

    before = ticks()
    time.sleep(1.0)
    assert ticks() - before <= 5, "hundredths of a second, of two processes"
