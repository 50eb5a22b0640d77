"""Many requests at once: each gets the answer that it would get alone, and none waits long for another."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
import torch

from llama_nb import loop
from llama_nb.apis.messages import SamplingParams, UserMessage
from llama_nb.engine import kv_cache, slots
from llama_nb.engine import runner as runner_module
from llama_nb.engine.client import Engine, Status
from llama_nb.engine.kv_cache import KVCache, Rows
from llama_nb.engine.protocol import Done, Embed, Embedded, Event, Failed, Piece, Prefilled, Queued, Sampling, Submit
from llama_nb.engine.scheduler import Scheduler, Sequence, Step, Texts
from llama_nb.engine.slots import Slots
from llama_nb.prompt_format.detokenize import Detokenizer
from llama_nb.prompt_format.grammar import Grammar
from llama_nb.stack import Stack
from tests.counts import full
from tests.engine import live
from tests.engine.test_generator import MAX_SEQ_LEN, Stepwise, finals
from tests.stacks import checkpoint_config

SYSTEM = "the and ing " * 7
LETTERS = "abcdefgh"
FORCED = 'start: "all of this is forced, " /[a-z]/ " and so is this"'


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- The same answers as alone ------------------------------------------------------------------------------------------


def dialogs() -> list[tuple[str, ...]]:
    """Some that begin alike, are the same, go on from one another, or have nothing in common."""
    return [
        ("hello",),
        (SYSTEM + "one",),
        (SYSTEM + "other",),
        (SYSTEM + "one",),
        ("x " * 60,),
        (SYSTEM + "one", "an answer", "and now?"),
        ("hello", "hi", "how are you?"),
        ("what is " * 30,),
    ]


def naive(stepwise: Stepwise, submit: Submit) -> list[int]:
    """The greedy answer, for each token of which all before it is computed anew."""
    tokens = stepwise.generator._encoder.encode(submit.dialog)
    stops = stepwise.generator._encoder.tokenizer.stop_tokens
    answer: list[int] = []
    with torch.inference_mode():
        while len(answer) < submit.max_tokens and not (answer and answer[-1] in stops):
            answer.append(int(stepwise.runner._model(torch.tensor([tokens + answer]))[0, -1].argmax()))
    return answer


@pytest.fixture(scope="module")
def asked(talker: Path) -> list[tuple[Submit, list[int]]]:
    """Requests, and their naive answers."""
    stepwise = Stepwise(talker)
    submits = [live.request(*texts, max_tokens=6 + 5 * number) for number, texts in enumerate(dialogs())]
    return [(submit, naive(stepwise, submit)) for submit in submits]


def wrong_answers(
    stepwise: Stepwise, asked: list[tuple[Submit, list[int]]], chance: random.Random, count: int = 20
) -> int:
    """Asks at random times, cancels some; how many answers are not the naive ones."""
    numbers: dict[int, int] = {}
    cancelled: set[int] = set()
    while len(numbers) < count or not stepwise.generator._scheduler.idle:
        if len(numbers) < count and chance.random() < 0.3:
            which = chance.randrange(len(asked))
            numbers[stepwise.submit(asked[which][0])] = which
        if numbers and chance.random() < 0.03:
            number = chance.choice(list(numbers))
            if not finals(stepwise.events[number]):
                cancelled.add(number)
            stepwise.cancel(number)
        stepwise.step()
    wrong = 0
    for number, which in numbers.items():
        tokens, expected = stepwise.said(number)[0], asked[which][1]
        wrong += tokens != (expected[: len(tokens)] if number in cancelled else expected)
    return wrong


@pytest.mark.parametrize("budget", [None, 300, 0], ids=["all kept", "evictions", "nothing kept"])
@pytest.mark.parametrize("rows", range(1, 9))
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_greedy_answers_are_those_of_the_naive_computation(
    chunk: int, rows: int, budget: int | None, talker: Path, asked: list[tuple[Submit, list[int]]]
) -> None:
    stepwise = Stepwise(talker, chunk=chunk, rows=rows)
    if budget is not None:
        stepwise.runner.slots.budget = budget * stepwise.runner._new_cache().bytes_per_token
    assert wrong_answers(stepwise, asked, random.Random(10 * rows + chunk), full(16, 200)) == 0
    final = [finals(events)[0] for events in stepwise.events.values()]
    cached = sum(event.cached_tokens for event in final if isinstance(event, Done))
    assert cached > 0 or (budget == 0 and rows == 1)
    assert all(event.cached_tokens < event.prompt_tokens for event in final if isinstance(event, Done))


def misplaced(rows: Rows, new: int) -> torch.Tensor:
    return torch.arange(new)


@torch.inference_mode()
def careless_copy(cache: KVCache, other: KVCache, start: int, end: int) -> None:
    cache.reserve(end)
    for held in (*cache._keys, *cache._values):  # fresh memory may hold anything, NaN as well
        held[:, :, start:end] = 0
    cache.length = end


@pytest.mark.parametrize(
    ("where", "name", "fault"),
    [
        (Rows, "places", misplaced),
        (KVCache, "copy", careless_copy),
        (slots, "common_prefix", lambda one, other: min(len(one), len(other))),
    ],
    ids=["positions of one row for all", "copies that leave out what they copy", "beginnings that are not alike"],
)
def test_the_check_sees(
    where: Any,
    name: str,
    fault: Any,
    talker: Path,
    asked: list[tuple[Submit, list[int]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(where, name, fault)
    assert wrong_answers(Stepwise(talker, rows=4), asked, random.Random(0)) > 0


WISHES: list[dict[str, Any]] = [
    {"sampling": live.sampled(1)},
    {"sampling": live.sampled(1), "logprobs": 2},
    {"sampling": Sampling(0.9, 0.8, 20, seed=3, repetition_penalty=1.5)},
    {"sampling": live.sampled(4), "grammar": Grammar("regex", "[a-f ]{9}")},
    {"sampling": live.sampled(5), "grammar": Grammar("lark", FORCED)},
    {"sampling": live.sampled(6), "grammar": Grammar("lark", FORCED), "logprobs": 1},
    {"sampling": Sampling(), "stop": ["e", "th"]},
    {"sampling": Sampling(0.7, seed=8), "prefill": "the "},
]


def all_said(stepwise: Stepwise, number: int) -> tuple[Any, list[list[float]]]:
    pieces = [event for event in stepwise.events[number] if isinstance(event, Piece)]
    logprobs = [sorted(entry.values()) for piece in pieces for entry in piece.logprobs or []]
    return stepwise.said(number), logprobs


def test_sampling_penalties_grammars_and_logprobs_do_not_depend_on_who_else_is_answered(talker: Path) -> None:
    submits = [live.request("hello", max_tokens=45, **wishes) for wishes in WISHES]
    alone = []
    for submit in submits:
        stepwise = Stepwise(talker)
        number = stepwise.submit(submit)
        stepwise.finish()
        alone.append(all_said(stepwise, number))
    assert len({str(said) for said, _ in alone}) >= 6, "the answers differ"
    for seed in range(full(5, 100)):
        chance = random.Random(seed)
        stepwise = Stepwise(talker, chunk=chance.choice((1, 7, 64)))
        numbers: dict[int, int] = {}
        for which in chance.sample(range(len(submits)), len(submits)):
            numbers[which] = stepwise.submit(submits[which])
            for _ in range(chance.randrange(4)):
                stepwise.step()
        stepwise.finish()
        for which, number in numbers.items():
            said, logprobs = all_said(stepwise, number)
            assert said == alone[which][0]
            for mine, expected in zip(logprobs, alone[which][1], strict=True):
                assert mine == pytest.approx(expected, abs=1e-4)


def test_the_check_sees_a_generator_that_two_answers_share(talker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = live.request("hello", max_tokens=20, sampling=live.sampled(5))
    expected = Stepwise(talker).answer(submit)
    shared = runner_module.Sampler(submit.sampling, torch.device("cpu"))
    monkeypatch.setattr(runner_module, "Sampler", lambda sampling, device: shared)
    stepwise = Stepwise(talker)
    one, other = stepwise.submit(submit), stepwise.submit(submit)
    stepwise.finish()
    assert (stepwise.said(one), stepwise.said(other)) != (expected, expected)


# --- Nobody waits long --------------------------------------------------------------------------------------------------


def sequence_of(stepwise: Stepwise, number: int) -> Sequence:
    work = stepwise.generator._scheduler.find(number)
    assert isinstance(work, Sequence)
    return work


def waits_beside_a_long_prompt(endless: Path) -> tuple[list[int], list[int]]:
    """How many tokens an answer grew by, and how many of a long prompt were read, in each step that read of it."""
    stepwise = Stepwise(endless, chunk=64)
    answered = sequence_of(stepwise, stepwise.submit(live.request("hello", max_tokens=300)))
    while len(answered.generated) < 3:
        stepwise.step()
    reading = sequence_of(stepwise, stepwise.submit(live.request("so " * 200)))
    grown, read = [], []
    while reading.in_prefill:
        before = len(answered.generated), reading.read
        stepwise.step()
        grown.append(len(answered.generated) - before[0])
        read.append(reading.read - before[1])
    return grown, read


def test_a_long_prompt_does_not_keep_another_answer_waiting_for_a_single_step(endless: Path) -> None:
    grown, read = waits_beside_a_long_prompt(endless)
    assert len(grown) > 10
    assert min(grown) >= 1
    assert max(read[1:]) == 16, "a chunk is smaller beside others"


def test_the_check_sees_prompts_that_are_read_first(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    next_step = Scheduler.next

    def readers_first(scheduler: Scheduler) -> Step:
        step = next_step(scheduler)
        readers = [one for one in step.sequences if one.in_prefill]
        return Step(readers) if readers else step

    monkeypatch.setattr(Scheduler, "next", readers_first)
    grown, _ = waits_beside_a_long_prompt(endless)
    assert min(grown) == 0


def test_alone_a_prompt_is_read_in_whole_chunks(endless: Path) -> None:
    stepwise = Stepwise(endless, chunk=64)
    reading = sequence_of(stepwise, stepwise.submit(live.request("so " * 200, max_tokens=1)))
    stepwise.step()
    assert reading.read == 64


def test_prompts_are_read_by_turns(endless: Path) -> None:
    stepwise = Stepwise(endless)
    works = [sequence_of(stepwise, stepwise.submit(live.request(letter * 200))) for letter in "abc"]
    order: list[int] = []
    for _ in range(9):
        before = [work.read for work in works]
        stepwise.step()
        (moved,) = (place for place, work in enumerate(works) if work.read > before[place])
        order.append(moved)
    assert order == [0, 1, 2] * 3


def test_one_pass_of_the_model_serves_a_step_whoever_takes_part(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forced tokens, log-probabilities and the chunk of a prompt are read along with the next tokens of the others."""
    stepwise = Stepwise(endless)
    for wishes in WISHES:
        stepwise.submit(live.request("hello", max_tokens=40, **wishes))
    stepwise.submit(live.request("so " * 100, max_tokens=5))
    forward, passes = stepwise.runner._model.forward, []

    def counted(tokens: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        passes.append(tokens.shape[1])
        return forward(tokens, *args, **kwargs)

    monkeypatch.setattr(stepwise.runner._model, "forward", counted)
    steps = 0
    while stepwise.step():
        steps += 1
    assert len(passes) == steps > 20
    assert max(passes) > 16


def test_vectors_are_made_beside_answers(endless: Path) -> None:
    texts = ["the thing", "x", "so " * 50]
    alone = Stepwise(endless)
    number = alone.submit(Embed(0, texts))
    alone.finish()
    expected = vectors(alone.events[number])
    stepwise = Stepwise(endless, chunk=64)
    answered = sequence_of(stepwise, stepwise.submit(live.request("hello", max_tokens=100)))
    stepwise.step()
    number = stepwise.submit(Embed(0, texts))
    while not finals(stepwise.events[number]):
        before = len(answered.generated)
        stepwise.step()
        assert len(answered.generated) > before
    for place, vector in vectors(stepwise.events[number]).items():
        assert vector == pytest.approx(expected[place], abs=1e-5)


def vectors(events: list[Event]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for event in events:
        if isinstance(event, Embedded):
            found |= dict(zip(event.places, event.vectors, strict=True))
    return found


# --- The queue ----------------------------------------------------------------------------------------------------------


def waiting_at(stepwise: Stepwise, number: int) -> list[int]:
    return [event.position for event in stepwise.events[number] if isinstance(event, Queued)]


def test_who_waits_is_told_where_and_whenever_that_changes(endless: Path) -> None:
    stepwise = Stepwise(endless, rows=2)
    first, second, third, fourth, fifth = (stepwise.submit(live.request("hello", max_tokens=50)) for _ in range(5))
    stepwise.step()
    stepwise.step()
    assert [waiting_at(stepwise, number) for number in (first, second)] == [[], []]
    assert [waiting_at(stepwise, number) for number in (third, fourth, fifth)] == [[1], [2], [3]]
    stepwise.cancel(fourth)
    stepwise.step()
    assert waiting_at(stepwise, fifth) == [3, 2]
    stepwise.cancel(first)
    stepwise.step()
    assert waiting_at(stepwise, third) == [1]
    assert waiting_at(stepwise, fifth) == [3, 2, 1]
    stepwise.finish()
    assert len(finals(stepwise.events[fifth])) == 1
    assert isinstance(stepwise.events[fifth][0], Queued)


@pytest.mark.parametrize("phase", ["queued", "prefill", "decode"])
def test_a_cancel_frees_a_row_at_once_in_every_phase(phase: str, endless: Path) -> None:
    stepwise = Stepwise(endless, rows=1)
    victim = stepwise.submit(live.request("so " * 100, max_tokens=100))
    if phase == "queued":
        stepwise.cancel(victim)
    behind = stepwise.submit(live.request("hello", max_tokens=5))
    steps = {"queued": 0, "prefill": 2, "decode": 30}[phase]
    for _ in range(steps):
        stepwise.step()
    generated = len(getattr(stepwise.generator._scheduler.find(victim), "generated", []))
    assert (generated > 0) == (phase == "decode")
    stepwise.cancel(victim)
    assert stepwise.runner.slots.running == []
    assert len(finals(stepwise.events[victim])) == 1
    stepwise.step()
    assert any(isinstance(event, Prefilled | Piece) for event in stepwise.events[behind])
    kept = [slot.tokens for slot in stepwise.runner.slots.kept]
    assert len(kept) == (phase != "queued"), "what was read of it is kept"


def request_of(prompt: int, room: int) -> Sequence:
    return Sequence(live.request("x"), [0] * prompt, room, Detokenizer(None, []))  # type: ignore[arg-type]


def test_requests_begin_in_order_as_far_as_there_are_rows_and_memory() -> None:
    scheduler = Scheduler(rows=3, tokens=5000)
    large, small, small_too = request_of(4000, 10), request_of(10, 10), request_of(10, 10)
    huge = request_of(50_000, 100_000)
    texts = Texts(Embed(9, ["x"]), [[0, 1]], [0])
    for work in (large, huge, small, small_too, texts):
        scheduler.add(work)
    assert scheduler.next().sequences == [large], "nobody overtakes the one that waits for memory"
    assert scheduler.moved() == [huge, small, small_too, texts]
    scheduler.remove(large)
    assert scheduler.next().sequences == [huge], "alone, one may be larger than the memory"
    scheduler.remove(huge)
    assert scheduler.next().sequences == [small]
    assert scheduler.next().sequences == [small_too]
    assert scheduler.next().texts is texts
    assert scheduler.moved() == []


# --- Memory -------------------------------------------------------------------------------------------------------------


def machine_of(stepwise: Stepwise, tokens: int, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Lets no slot grow once all have memory for `tokens`."""
    grown = KVCache._grown

    def growing(cache: KVCache, old: torch.Tensor, room: int) -> torch.Tensor:
        more = (room - cache.room) * cache.bytes_per_token
        if stepwise.runner.slots.bytes + more > tokens * cache.bytes_per_token:
            raise error
        return grown(cache, old, room)

    monkeypatch.setattr(KVCache, "_grown", growing)


@pytest.mark.parametrize(
    "error",
    [MemoryError("no memory left"), torch.OutOfMemoryError("no memory left")],
    ids=lambda one: type(one).__name__,
)
def test_out_of_memory_fails_the_request_that_asked_for_more_and_no_other(
    error: Exception, endless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_cache, "GRAIN", 16)
    small = [live.request(letter * 3, max_tokens=60, sampling=live.sampled(3)) for letter in LETTERS[:3]]
    expected = [Stepwise(endless).answer(submit) for submit in small]
    stepwise = Stepwise(endless)
    for letter in LETTERS[3:6]:
        stepwise.answer(live.request(letter * 30, max_tokens=5))  # these are kept
    assert len(stepwise.runner.slots.kept) == 3
    machine_of(stepwise, 400, monkeypatch, error)
    numbers = [stepwise.submit(submit) for submit in small]
    large = stepwise.submit(live.request("long " * 100, max_tokens=300))
    stepwise.finish()
    (failed,) = finals(stepwise.events[large])
    assert isinstance(failed, Failed)
    assert "no memory left" in failed.message
    assert [stepwise.said(number) for number in numbers] == expected
    assert stepwise.answer(small[0]) == expected[0]


def test_what_is_kept_gives_way_before_anybody_fails(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_cache, "GRAIN", 16)
    submit = live.request("long " * 60, max_tokens=30)
    expected = Stepwise(endless).answer(submit)
    stepwise = Stepwise(endless)
    for letter in LETTERS:
        stepwise.answer(live.request(letter * 30, max_tokens=5))
    machine_of(
        stepwise,
        stepwise.runner.slots.bytes // stepwise.runner._new_cache().bytes_per_token,
        monkeypatch,
        MemoryError(),
    )
    before = len(stepwise.runner.slots.kept)
    assert stepwise.answer(submit) == expected
    assert len(stepwise.runner.slots.kept) < before


def test_a_pass_without_memory_is_tried_again_once_nothing_is_kept(endless: Path) -> None:
    submits = [live.request(letter * 20, max_tokens=20) for letter in LETTERS[:4]]
    expected = [Stepwise(endless).answer(submit) for submit in submits]
    stepwise = Stepwise(endless)
    stepwise.answer(live.request("before", max_tokens=5))
    forward = stepwise.runner._model.forward

    def short_of_memory(*args: Any, **kwargs: Any) -> torch.Tensor:
        if stepwise.runner.slots.kept:
            raise torch.OutOfMemoryError("no memory left")
        return forward(*args, **kwargs)

    stepwise.runner._model.forward = short_of_memory
    numbers = [stepwise.submit(submit) for submit in submits]
    while any(not finals(stepwise.events[number]) for number in numbers):
        stepwise.step()
    assert [stepwise.said(number) for number in numbers] == expected


def caches_left(stepwise: Stepwise, asked: list[tuple[Submit, list[int]]]) -> tuple[int, int]:
    """How many caches there are after many requests, and how many of them are kept."""
    held = stepwise.runner.slots
    held.budget = 2000 * stepwise.runner._new_cache().bytes_per_token
    made: WeakSet[KVCache] = WeakSet()
    new_cache = held._new_cache

    def noted() -> KVCache:
        made.add(cache := new_cache())
        return cache

    held._new_cache = noted
    assert wrong_answers(stepwise, asked, random.Random(4), full(100, 2000)) == 0
    assert held.running == []
    assert held.bytes <= held.budget
    gc.collect()
    return len(made), len(held.kept)


def test_many_requests_with_cancels_leave_no_cache_behind(talker: Path, asked: list[tuple[Submit, list[int]]]) -> None:
    left, kept = caches_left(Stepwise(talker), asked)
    assert left == kept > 0


def test_the_check_sees_caches_that_somebody_holds_on_to(
    talker: Path, asked: list[tuple[Submit, list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = []
    drop = Slots.drop
    monkeypatch.setattr(Slots, "drop", lambda held, slot: forgotten.append(slot) or drop(held, slot))
    left, kept = caches_left(Stepwise(talker), asked)
    assert left > kept


# --- A live process -----------------------------------------------------------------------------------------------------


def streams(folder: Path, rows: int | None) -> str:
    """Whose piece came when, of two chats that are asked at once."""
    stack = Stack.from_config(checkpoint_config(folder, dtype="float32", max_seq_len=MAX_SEQ_LEN, max_batch_size=rows))
    order: list[str] = []

    async def chat(letter: str) -> None:
        chunks = stack.inference.chat_completion(
            stack.default_model, [UserMessage(content=letter)], SamplingParams(max_tokens=150), stream=True
        )
        async for chunk in chunks:
            if chunk.event.delta:
                order.append(letter)

    async def both() -> None:
        await stack.load(stack.default_model)
        await asyncio.gather(chat("a"), chat("b"))

    try:
        loop.run(both())
    finally:
        stack.close()
    return "".join(order)


def test_two_chats_that_are_asked_at_once_stream_at_once(endless: Path) -> None:
    order = streams(endless, None)
    changes = len(list(groupby(order))) - 1
    assert min(order.count("a"), order.count("b")) > 20
    assert changes > 20


def test_the_check_sees_chats_that_are_answered_one_after_the_other(endless: Path) -> None:
    assert len(list(groupby(streams(endless, 1)))) == 2


def test_a_live_generator_tells_who_waits_and_what_it_may_hold(endless: Path) -> None:
    engine = live.engine_of(endless, max_seq_len=MAX_SEQ_LEN, max_batch_size=1)
    statuses: list[Status] = []
    places: dict[str, list[int]] = {"a": [], "b": [], "c": []}

    async def ask(name: str, engine: Engine = engine) -> None:
        async for event in engine.answer(live.request(name, max_tokens=60)):
            if isinstance(event, Queued):
                places[name].append(event.position)
                assert engine.position(event.id) == event.position
            else:
                assert engine.position(event.id) is None
            statuses.append(engine.status)

    async def everyone() -> None:
        await engine.load()
        await asyncio.gather(*map(ask, places))

    loop.run(everyone())
    assert places == {"a": [], "b": [1], "c": [2, 1]}
    assert {status.waiting for status in statuses} == {0, 1, 2}
    assert engine.status.waiting == 0
    assert engine.status.max_batch_size == 1
    assert engine.status.cache_bytes
    engine.close()


def test_a_request_that_waits_no_more_because_it_was_left_is_not_counted(endless: Path) -> None:
    engine = live.engine_of(endless, max_seq_len=MAX_SEQ_LEN, max_batch_size=1)

    async def leave() -> None:
        await engine.load()
        ahead, behind = (engine.answer(live.request(name)) for name in "ab")
        assert not isinstance(await anext(ahead), Queued)
        assert isinstance(await anext(behind), Queued)
        assert engine.status.waiting == 1
        await behind.aclose()
        assert engine.status.waiting == 0
        await ahead.aclose()

    loop.run(leave())
    engine.close()
