"""Cancels of a live generator at any moment: the next answer is what it would have been, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_nb import loop
from llama_nb.engine.client import Engine, _Process
from llama_nb.engine.protocol import Done, Event, Failed, Piece, Prefilled, Submit
from tests.counts import full
from tests.engine import live

LONG = "the thing and the other thing " * 80  # some 0.2 s of reading
NEXT = [
    live.request("hello", max_tokens=25),
    live.request("hello", max_tokens=25, sampling=live.sampled(1)),
    live.request(LONG, max_tokens=10),  # the prompt of the one that was cancelled
    live.request(LONG + "again", max_tokens=10, sampling=live.sampled(2)),
]


def victim(number: int) -> Submit:
    """A prompt whose beginning is new, so that all of it must be read, and a long answer."""
    return live.request(f"{number} {LONG}", max_tokens=200, sampling=live.sampled(number))


PHASES = ("queued", "prefill", "decode", "anywhere")
ROWS = 2  # so few run at once that a third waits


@pytest.fixture(scope="module")
def engine(talker: Path) -> Iterator[Engine]:
    engine = live.engine_of(talker, max_batch_size=ROWS)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def controls(talker: Path) -> Iterator[list[live.Answered]]:
    """The answers of a generator on which nothing was ever cancelled."""
    engine = live.engine_of(talker)
    yield [loop.run(live.answer(engine, submit)) for submit in NEXT]
    engine.close()


class Heard:
    """Every event that arrives, counted before it is delivered or dropped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.finals: Counter[int] = Counter()
        self.undelivered = 0
        dispatch = _Process._dispatch

        def listening(process: _Process, event: Event) -> None:
            if isinstance(event, Done | Failed) and event.id is not None:
                self.finals[event.id] += 1
            number = getattr(event, "id", None)
            self.undelivered += number is not None and number not in process._open
            dispatch(process, event)

        monkeypatch.setattr(_Process, "_dispatch", listening)


async def cancelled(engine: Engine, submit: Submit, phase: str, chance: random.Random) -> None:
    """Starts a request and leaves it in that phase of its life; a cancel while it waits cancels the task itself."""
    if phase == "queued":
        ahead = [
            asyncio.create_task(live.answer(engine, live.request(LONG[start:], max_tokens=200)))
            for start in range(1, 1 + ROWS)
        ]
        behind = asyncio.create_task(live.answer(engine, submit))
        await asyncio.sleep(chance.choice((0, 0.001, 0.02)))
        for task in (behind, *ahead):  # on a fast machine one may have its answer by now
            task.cancel()
            await asyncio.wait([task])
    elif phase == "anywhere":
        task = asyncio.create_task(live.answer(engine, submit))
        await asyncio.sleep(chance.random() * 0.4)
        task.cancel()
        await asyncio.wait([task])
    else:
        events = engine.answer(submit)
        wanted = chance.randint(1, 4)
        async for event in events:
            assert isinstance(event, Prefilled) or phase == "decode"
            wanted -= isinstance(event, Piece) or phase == "prefill"
            if wanted == 0:
                break
        await events.aclose()


def test_after_each_of_many_cancels_the_next_answer_is_that_of_a_fresh_engine(
    engine: Engine, controls: list[live.Answered], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard(monkeypatch)
    chance = random.Random(1)
    dropped = engine.dropped_events
    requests = 0
    for number in range(full(24, 200)):
        phase = PHASES[number % len(PHASES)]
        loop.run(cancelled(engine, victim(number), phase, chance))
        which = chance.randrange(len(NEXT))
        after = loop.run(live.answer(engine, NEXT[which]))
        assert after.said == controls[which].said, f"cancel {number}, {phase}"
        requests += 2 + ROWS if phase == "queued" else 2
    assert max(heard.finals.values()) == 1
    # A request that is cancelled before its turn to be sent never exists; all that were sent have ended.
    assert requests - full(24, 200) // 4 * (1 + ROWS) <= len(heard.finals) <= requests
    assert engine.dropped_events - dropped == heard.undelivered > 0


def test_cancels_in_the_very_moment_of_the_question_and_of_its_end_do_no_harm(
    engine: Engine, controls: list[live.Answered], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard(monkeypatch)

    async def hurry(turns: int) -> None:
        """Gives the loop so many turns between question and cancel."""
        task = asyncio.create_task(live.answer(engine, live.request("hello", max_tokens=2)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    for turns in range(full(40, 400)):
        loop.run(hurry(turns % 40))
    assert loop.run(live.answer(engine, NEXT[0])).said == controls[0].said
    assert max(heard.finals.values()) == 1


def test_a_cancel_while_the_model_loads_leaves_it_loading_and_the_next_question_is_answered(
    talker: Path, controls: list[live.Answered]
) -> None:
    chance = random.Random(2)
    for _ in range(full(1, 20)):
        engine = live.engine_of(talker)

        async def ask_and_leave(delay: float, engine: Engine = engine) -> None:
            task = asyncio.create_task(live.answer(engine, victim(0)))
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.wait([task])

        for delay in (0, chance.random() * 0.5):
            loop.run(ask_and_leave(delay))
        assert engine.status.phase == "loading"
        supervisor = engine.pid
        after = loop.run(live.answer(engine, NEXT[1]))
        assert after.said == controls[1].said
        assert engine.pid == supervisor
        engine.close()


def test_memory_is_where_it_was_after_many_requests_and_cancels(talker: Path) -> None:
    """Keys and values may be kept, up to 2 MB here; so much is taken before it is measured."""
    engine = live.engine_of(talker, max_batch_size=ROWS, max_seq_len=1024)
    chance = random.Random(3)

    def used() -> dict[str, int]:
        return {"generator": live.memory_used(live.rank_of(engine)), "here": live.memory_used(os.getpid())}

    async def ask(number: int) -> None:
        prompt = " ".join(chance.choice(LONG.split()) for _ in range(chance.randint(1, 60)))
        task = asyncio.create_task(live.answer(engine, live.request(f"{number} {prompt}", max_tokens=20)))
        await asyncio.wait([task], timeout=chance.choice((0.0, 0.002, 0.02, 5.0)))
        task.cancel()
        await asyncio.wait([task])

    async def several(numbers: range) -> None:
        for start in numbers[::3]:
            await asyncio.gather(*(ask(number) for number in range(start, start + 3)))

    loop.run(several(range(150)))
    before = used()
    loop.run(several(range(150, 150 + full(300, 2_000))))
    grown = {place: memory - before[place] for place, memory in used().items()}
    assert max(grown.values()) < 8_000_000, grown
    engine.close()


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_many_questions_at_once_are_answered_as_alone_and_begun_in_the_order_in_which_they_came(
    rows: int, talker: Path, controls: list[live.Answered]
) -> None:
    engine = live.engine_of(talker, max_batch_size=rows)
    begun: list[int] = []
    ended: list[int] = []

    async def one(number: int) -> live.Answered:
        pieces: list[Piece] = []
        async for event in engine.answer(NEXT[number % len(NEXT)]):
            if isinstance(event, Prefilled | Piece) and number not in begun:
                begun.append(number)
            if isinstance(event, Piece):
                pieces.append(event)
            elif isinstance(event, Done):
                done = event
        ended.append(number)
        tokens = [token for piece in pieces for token in piece.tokens]
        return live.Answered(tokens, "".join(piece.text for piece in pieces), pieces, done)

    async def everyone() -> list[live.Answered]:
        return await asyncio.gather(*(one(number) for number in range(8)))

    for _ in range(full(1, 8)):
        begun.clear()
        ended.clear()
        answers = loop.run(everyone())
        assert begun == list(range(8))
        assert rows > 1 or ended == begun
        assert rows < 8 or ended != begun, "with many rows a short answer overtakes a long one"
        assert [answered.said for answered in answers] == [controls[number % len(NEXT)].said for number in range(8)]
        waited = [answered.done.queue_s for answered in answers]
        assert rows > 1 or waited == sorted(waited)
    engine.close()
