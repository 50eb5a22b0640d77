"""Vectors of texts: those of the model's own states, the same alone and together, and nobody's cache is touched."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from llama_nb import loop
from llama_nb.engine import embeddings
from llama_nb.engine.client import Engine
from llama_nb.engine.protocol import Count, Counted, Done, Embed, Embedded, Failed
from llama_nb.errors import BadRequest, ContextOverflow
from tests.counts import full
from tests.engine import live
from tests.engine.test_generator import MAX_SEQ_LEN, Stepwise, finals

TEXTS = [
    "the thing",
    "x",
    "the thing and the other thing " * 9,
    "Grüße 👋",
    "<|eot_id|> is written in letters",
    "\n\n",
    "the thing and the other",
]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def stepwise(talker: Path) -> Stepwise:
    return Stepwise(talker)


def vectors_of(stepwise: Stepwise, texts: list[str]) -> list[list[float]]:
    number = stepwise.submit(Embed(0, texts))
    stepwise.finish()
    events = stepwise.events[number]
    (final,) = finals(events)
    assert isinstance(final, Done), final
    found: dict[int, list[float]] = {}
    for event in events:
        if isinstance(event, Embedded):
            found |= dict(zip(event.places, event.vectors, strict=True))
    assert sorted(found) == list(range(len(texts)))
    return [found[place] for place in range(len(texts))]


def expected(stepwise: Stepwise, text: str) -> torch.Tensor:
    """By definition: the model at once, without a cache; the mean over all tokens but the first; of length 1."""
    model = stepwise.runner._model
    with torch.inference_mode():
        tokens = stepwise.generator._encoder.encode_text(text)
        states = model.norm(model.hidden(torch.tensor([tokens])))[0].double()
    mean = states[1:].mean(0)
    return mean / mean.norm()


def test_a_vector_is_the_mean_of_the_last_states_of_the_texts_own_tokens(stepwise: Stepwise) -> None:
    for text, vector in zip(TEXTS, vectors_of(stepwise, TEXTS), strict=True):
        assert torch.tensor(vector).double().norm() == pytest.approx(1, abs=1e-6)
        assert torch.tensor(vector).double().tolist() == pytest.approx(expected(stepwise, text).tolist(), abs=1e-5)


@pytest.mark.parametrize(("tokens", "rows"), [(4096, 32), (4096, 2), (300, 32), (1, 1)])
def test_together_and_alone_they_are_the_same(
    tokens: int, rows: int, stepwise: Stepwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [vectors_of(stepwise, [text])[0] for text in TEXTS]
    monkeypatch.setattr(embeddings, "BATCH_TOKENS", tokens)
    monkeypatch.setattr(embeddings, "BATCH_ROWS", rows)
    for one, other in zip(alone, vectors_of(stepwise, TEXTS), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_in_bfloat16_too_they_are_the_same(talker: Path) -> None:
    engine = live.engine_of(talker, dtype="bfloat16")
    together = loop.run(engine.embed(TEXTS))
    for text, vector in zip(TEXTS, together, strict=True):
        assert loop.run(engine.embed([text]))[0] == pytest.approx(vector, abs=1e-5)
    engine.close()


def test_the_check_sees_padding_that_is_counted(stepwise: Stepwise, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = vectors_of(stepwise, ["x"])[0]
    init = embeddings.Batch.__init__

    def careless(batch: Any, *args: Any) -> None:
        init(batch, *args)
        batch._lengths[:] = batch._cache.capacity

    monkeypatch.setattr(embeddings.Batch, "__init__", careless)
    assert vectors_of(stepwise, ["x", "the thing and more"])[0] != pytest.approx(alone, abs=1e-3)


def test_a_batch_is_bounded_and_every_text_is_in_one() -> None:
    texts = [[0] * length for length in (5, 3000, 7, 4096, 1, 9000, 2000)]
    waiting, batches = list(range(len(texts))), []
    while waiting:
        batch = embeddings.batch_of(waiting, texts, torch.float32)
        waiting = [place for place in waiting if place not in batch]
        batches.append(batch)
    assert sorted(place for batch in batches for place in batch) == list(range(len(texts)))
    for batch in batches:
        longest = max(len(texts[place]) for place in batch)
        assert len(batch) == 1 or len(batch) * longest <= embeddings.BATCH_TOKENS
    assert max(map(len, batches)) > 1


def test_what_has_no_vector_is_refused_before_anything_runs(stepwise: Stepwise) -> None:
    for texts, kind, words in (
        ([], "BadRequest", "no texts"),
        (["x", ""], "BadRequest", "Text 1 is empty"),
        (["x ", "y " * MAX_SEQ_LEN], "ContextOverflow", f"the context of this model holds {MAX_SEQ_LEN}"),
    ):
        number = stepwise.submit(Embed(0, texts))
        assert not stepwise.step()
        (failed,) = finals(stepwise.events[number])
        assert isinstance(failed, Failed)
        assert failed.kind == kind and words in failed.message


def test_after_vectors_the_next_answer_is_what_it_would_have_been_and_the_cache_is_kept(talker: Path) -> None:
    plain = live.request("hello", max_tokens=12, sampling=live.sampled(1))
    one, other = Stepwise(talker), Stepwise(talker)
    expected = [one.answer(plain), one.answer(plain)]
    assert other.answer(plain) == expected[0]
    vectors_of(other, TEXTS)
    number = other.submit(plain)
    other.finish()
    assert other.said(number) == expected[1]
    final = other.events[number][-1]
    assert isinstance(final, Done) and final.cached_tokens == final.prompt_tokens - 1


def test_a_cancel_in_any_step_ends_it_once_and_leaves_nothing_behind(
    talker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "BATCH_ROWS", 2)
    plain = live.request("hello", max_tokens=6)
    stepwise = Stepwise(talker)
    expected = stepwise.answer(plain)
    for steps in count():
        number = stepwise.submit(Embed(0, TEXTS))
        ran = sum(stepwise.step() for _ in range(steps))
        stepwise.cancel(number)
        stepwise.cancel(number)
        assert len(finals(stepwise.events[number])) == 1
        assert not stepwise.step()
        assert stepwise.answer(plain) == expected
        if ran < steps:
            break
    assert steps > 5, "several batches, and chunks of one"


def test_a_step_that_fails_ends_its_request_alone(talker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stepwise = Stepwise(talker)
    expected = stepwise.answer(live.request("hello", max_tokens=6))
    with monkeypatch.context() as patch:
        patch.setattr(stepwise.runner._model.norm.weight, "data", torch.full((64,), torch.nan))
        number = stepwise.submit(Embed(0, ["x"]))
        stepwise.finish()
    (failed,) = finals(stepwise.events[number])
    assert isinstance(failed, Failed) and "not finite" in failed.message
    assert stepwise.answer(live.request("hello", max_tokens=6)) == expected


# --- Counting, and a live process ---------------------------------------------------------------------------------------


def test_a_dialog_is_counted_while_another_is_answered(stepwise: Stepwise) -> None:
    running = stepwise.submit(live.request("hello", max_tokens=6))
    stepwise.step()
    number = stepwise.submit(Count(0, live.dialog("hello")))
    [counted] = stepwise.events[number]
    assert isinstance(counted, Counted)
    assert counted.max_seq_len == MAX_SEQ_LEN
    stepwise.finish()
    final = stepwise.events[running][-1]
    assert isinstance(final, Done) and final.prompt_tokens == counted.prompt_tokens


def test_a_live_generator_embeds_counts_and_answers_at_the_same_time(engine: Engine) -> None:
    async def together() -> Any:
        import asyncio

        return await asyncio.gather(
            engine.embed(TEXTS),
            live.answer(engine, live.request("hello", max_tokens=5)),
            engine.count(live.dialog("x")),
        )

    vectors, answered, counted = loop.run(together())
    assert [len(vector) for vector in vectors] == [64] * len(TEXTS)
    assert len(answered.tokens) == 5
    assert counted.prompt_tokens > 3


def test_vectors_that_nobody_waits_for_any_more_are_cancelled(engine: Engine) -> None:
    import asyncio

    async def leave() -> None:
        task = asyncio.create_task(engine.embed(["the thing " * 300] * 40))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])

    expected = live.ask(engine, "hello", max_tokens=8, sampling=live.sampled(1)).said
    for _ in range(full(3, 50)):
        loop.run(leave())
        assert live.ask(engine, "hello", max_tokens=8, sampling=live.sampled(1)).said == expected


def test_errors_arrive_as_what_they_are(engine: Engine) -> None:
    with pytest.raises(BadRequest, match="Text 0 is empty"):
        loop.run(engine.embed([""]))
    with pytest.raises(ContextOverflow):
        loop.run(engine.embed(["x " * 9000]))
