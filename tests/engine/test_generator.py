"""The generator step by step, in this process: where each cancel and each fault falls is chosen, not left to luck."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest
import torch

from llama_nb.engine import checkpoint, slots
from llama_nb.engine import runner as runner_module
from llama_nb.engine.kv_cache import KVCache, Rows
from llama_nb.engine.protocol import (
    Cancel,
    Counted,
    Done,
    Embedded,
    Event,
    Failed,
    Piece,
    Prefilled,
    Queued,
    Request,
    Sampling,
    Submit,
)
from llama_nb.engine.runner import Runner
from llama_nb.engine.scheduler import Sequence
from llama_nb.engine.worker import Generator
from llama_nb.prompt_format.encode import DialogEncoder, Turn
from tests.counts import full
from tests.engine import live

CPU = torch.device("cpu")
MAX_SEQ_LEN = 700
LONG = "the thing and the other thing " * 6  # several chunks of a prompt
Said = tuple[list[int], str, str]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Stepwise:
    """A generator whose steps are taken by hand."""

    def __init__(self, folder: Path, *, chunk: int = 16, rows: int | None = None) -> None:
        model, tokenizer = checkpoint.load(
            folder, device=CPU, dtype=None, max_seq_len=MAX_SEQ_LEN, progress=lambda stage, fraction: None
        )
        self.runner = Runner(model, CPU, torch.float32, max_batch_size=rows)
        self.runner._chunk = chunk
        self.generator = Generator(None, self.runner, DialogEncoder(tokenizer), MAX_SEQ_LEN)  # type: ignore[arg-type]
        self._ids = count(1)
        self.events: dict[int, list[Event]] = {}

    def submit(self, request: Request) -> int:
        number = next(self._ids)
        self.events[number] = []
        self._take(self.generator._obey(msgspec.structs.replace(request, id=number)))
        return number

    def cancel(self, number: int) -> None:
        self._take(self.generator._obey(Cancel(number)))

    def step(self) -> bool:
        """Whether there was anything to do."""
        scheduler = self.generator._scheduler
        if scheduler.idle:
            return False
        self._take(self.generator._step())
        return True

    def finish(self) -> None:
        while self.step():
            pass

    def answer(self, submit: Submit) -> Said:
        number = self.submit(submit)
        self.finish()
        return self.said(number)

    def said(self, number: int) -> Said:
        pieces = [event for event in self.events[number] if isinstance(event, Piece)]
        (final,) = finals(self.events[number])
        assert isinstance(final, Done), final
        tokens = [token for piece in pieces for token in piece.tokens]
        assert len(tokens) == final.completion_tokens
        return tokens, "".join(piece.text for piece in pieces), final.stop_reason

    def _take(self, events: list[Event]) -> None:
        for event in events:
            assert isinstance(event, Queued | Piece | Prefilled | Embedded | Counted | Done | Failed)
            assert event.id is not None
            self.events[event.id].append(event)


def finals(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, Done | Counted | Failed)]


VICTIM = live.request(LONG, max_tokens=20, sampling=live.sampled(5))
NEXT = [
    live.request("hello", max_tokens=12),
    live.request(LONG, max_tokens=12, sampling=live.sampled(1)),  # shares the whole prompt
    live.request(LONG + "again", max_tokens=12),  # shares most of it
    live.request(LONG, "an answer", "and now?", max_tokens=12, sampling=live.sampled(2)),
]


@pytest.fixture(scope="module")
def controls(talker: Path) -> list[Said]:
    """What a generator says that never did anything else."""
    return [Stepwise(talker).answer(submit) for submit in NEXT]


def wrong_after_cancels(stepwise: Stepwise, controls: list[Said]) -> int:
    """Cancels in every phase, asks on; how many of the next answers are not what they would have been."""
    wrong = 0
    stepwise.submit(VICTIM)
    steps = 0
    while stepwise.step():
        steps += 1
    assert steps > 20, "several chunks of prompt, and an answer"
    for after in range(steps + 1):
        number = stepwise.submit(VICTIM)
        for _ in range(after):
            stepwise.step()
        stepwise.cancel(number)
        stepwise.cancel(number)
        assert not stepwise.step(), "nothing of it is left"
        assert len(finals(stepwise.events[number])) == 1
        which = after % len(NEXT)
        wrong += stepwise.answer(NEXT[which]) != controls[which]
    return wrong


def test_after_a_cancel_in_any_step_the_next_answer_is_what_it_would_have_been(
    talker: Path, controls: list[Said]
) -> None:
    assert wrong_after_cancels(Stepwise(talker), controls) == 0


def test_the_check_sees_a_cache_that_a_cancel_leaves_dirty(
    talker: Path, controls: list[Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "common_prefix", lambda one, other: min(len(one), len(other)))
    assert wrong_after_cancels(Stepwise(talker), controls) > 0


def test_the_check_sees_a_seed_that_is_not_heeded(
    talker: Path, controls: list[Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = runner_module.Sampler(Sampling(temperature=1.0, seed=5), CPU)
    monkeypatch.setattr(runner_module, "Sampler", lambda sampling, device: shared)
    assert wrong_after_cancels(Stepwise(talker), controls) > 0


def test_whatever_is_submitted_and_cancelled_whenever_each_request_ends_in_exactly_one_final_event(
    talker: Path, controls: list[Said]
) -> None:
    chance = random.Random(3)
    stepwise = Stepwise(talker)
    cancelled: set[int] = set()
    asked: dict[int, int] = {}
    for _ in range(full(400, 20_000)):
        match chance.choices(("submit", "step", "cancel", "cancel unknown"), (2, 20, 1, 1))[0]:
            case "submit" if len(asked) - len(cancelled) < 8 or chance.random() < 0.1:
                which = chance.randrange(len(NEXT))
                asked[stepwise.submit(NEXT[which])] = which
            case "cancel" if asked:
                number = chance.choice(list(asked))
                cancelled |= {number} if not finals(stepwise.events[number]) else set()
                stepwise.cancel(number)
            case "cancel unknown":
                stepwise.cancel(10**6)
            case _:
                stepwise.step()
    stepwise.finish()
    assert len(asked) > 10
    assert cancelled
    assert all(len(finals(events)) == 1 for events in stepwise.events.values())
    assert all(isinstance(events[-1], Done) for events in stepwise.events.values())
    for number, which in asked.items():
        tokens, text, _ = stepwise.said(number)
        if number in cancelled:
            assert controls[which][0][: len(tokens)] == tokens
        else:
            assert (tokens, text) == controls[which][:2], "no cross-talk"


class Failing:
    """A layer that fails from its `at`-th pass on, wherever that request takes part."""

    def __init__(self, stepwise: Stepwise, number: int, at: int, error: Exception, layer: int = 0) -> None:
        self._block = stepwise.runner._model.layers[layer]
        self._forward = self._block.forward
        self._work = stepwise.generator._scheduler.find(number)
        self._passes = 0
        self._at = at
        self._error = error
        self._block.forward = self

    def __call__(self, x: torch.Tensor, rotations: torch.Tensor, layer: int, cache: KVCache | Rows) -> torch.Tensor:
        assert isinstance(self._work, Sequence)
        slot = self._work.slot
        if slot is not None and slot.cache in getattr(cache, "caches", [cache]):
            self._passes += 1
            if self._passes >= self._at:
                raise self._error
        return self._forward(x, rotations, layer, cache)


def others_beside_a_failure(stepwise: Stepwise, at: int, error: Exception, layer: int) -> tuple[Event, list[Event]]:
    """How a request ended that fails in that pass, and how one that began before it and one behind it did."""
    before = stepwise.submit(NEXT[0])
    for _ in range(3):
        stepwise.step()
    victim = stepwise.submit(VICTIM)
    Failing(stepwise, victim, at, error, layer)
    behind = stepwise.submit(NEXT[1])
    stepwise.finish()
    (failed,) = finals(stepwise.events[victim])
    return failed, [stepwise.events[before][-1], stepwise.events[behind][-1]]


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("at", [1, 2, 15, 20])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory left"), KeyError("no memory left")])
def test_a_step_that_fails_ends_its_request_alone_and_all_other_answers_are_right(
    at: int, layer: int, error: Exception, talker: Path, controls: list[Said]
) -> None:
    stepwise = Stepwise(talker)
    failed, _ = others_beside_a_failure(stepwise, at, error, layer)
    assert isinstance(failed, Failed)
    assert failed.kind == "EngineError"
    assert "no memory left" in failed.message
    assert [stepwise.said(1), stepwise.said(3)] == [controls[0], controls[1]]
    assert [stepwise.answer(submit) for submit in NEXT] == controls


def test_the_check_sees_a_pass_that_fails_for_all(talker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_or_none(runner: Runner, readings: list[runner_module.Reading]) -> list[torch.Tensor | Exception]:
        try:
            return list(runner._forward(readings))
        except KeyError as error:
            return [error] * len(readings)

    monkeypatch.setattr(Runner, "_read", all_or_none)
    _, others = others_beside_a_failure(Stepwise(talker), 2, KeyError("no memory left"), 0)
    assert any(isinstance(event, Failed) for event in others)


def test_logits_that_are_not_finite_are_an_error_and_never_a_token(talker: Path, controls: list[Said]) -> None:
    stepwise = Stepwise(talker)
    norm = stepwise.runner._model.norm
    healthy = norm.weight.clone()
    norm.weight.data[3] = float("nan")
    victim = stepwise.submit(VICTIM)
    stepwise.finish()
    norm.weight.data.copy_(healthy)
    (failed,) = finals(stepwise.events[victim])
    assert isinstance(failed, Failed)
    assert "not finite" in failed.message
    assert not [event for event in stepwise.events[victim] if isinstance(event, Piece)]
    assert stepwise.answer(NEXT[0]) == controls[0]


def test_the_tail_of_a_long_dialog_fills_the_context_to_the_last_token_and_no_further(talker: Path) -> None:
    for missing in range(3):
        stepwise = Stepwise(talker)
        words = "x " * 1000
        while len(stepwise.generator._encoder.encode(live.dialog(words))) > MAX_SEQ_LEN - missing:
            words = words[:-1]
        prompt = len(stepwise.generator._encoder.encode(live.dialog(words)))
        assert prompt == MAX_SEQ_LEN - missing
        number = stepwise.submit(Submit(0, [Turn("user", words)]))
        stepwise.finish()
        (final,) = finals(stepwise.events[number])
        if missing == 0:
            assert isinstance(final, Failed)
            assert final.kind == "ContextOverflow"
        else:
            assert isinstance(final, Done)
            assert 1 <= final.completion_tokens <= missing
