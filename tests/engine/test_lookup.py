"""Guesses from what stood there before: they never change an answer, and save passes where text comes again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llama_nb.demo import CHECKPOINT
from llama_nb.engine import lookup as lookup_module
from llama_nb.engine.lookup import ALIKE, LONGEST, PAUSE, SHORTEST, Lookup
from llama_nb.engine.protocol import Sampling, Submit
from llama_nb.prompt_format.constrain import JsonSchemaResponseFormat, response_grammar
from tests.counts import full
from tests.engine import live
from tests.engine.test_generator import Said, Stepwise

TEXT = "one two three four five six seven eight nine ten " * 4
SCHEMA = {"type": "object", "properties": {"a": {"type": "array", "items": {"enum": [1, 22, 333]}}}, "required": ["a"]}
REQUESTS = [
    live.request(f"Say this again: {TEXT}", max_tokens=60),
    live.request(TEXT, max_tokens=60, sampling=live.sampled(3)),
    live.request(TEXT, max_tokens=60, sampling=Sampling(temperature=0.3, seed=4, top_p=0.9, top_k=20)),
    live.request(TEXT, max_tokens=60, sampling=Sampling(repetition_penalty=1.3)),
    live.request(TEXT, max_tokens=40, logprobs=2),
    live.request("Say it.", max_tokens=120, grammar=response_grammar(JsonSchemaResponseFormat(json_schema=SCHEMA))),
    live.request("Say it.", max_tokens=60, logprobs=1, grammar=response_grammar(JsonSchemaResponseFormat(json_schema=SCHEMA))),
    live.request(TEXT, max_tokens=1),
    live.request(TEXT, max_tokens=0, stop=["seven", "xx"]),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def stepwise(folder: Path, *, prompt_lookup: bool) -> Stepwise:
    made = Stepwise(folder, rows=4)
    made.runner._prompt_lookup = prompt_lookup
    return made


@pytest.fixture(scope="module", params=["guide", "endless"])
def folder(request: pytest.FixtureRequest, endless: Path) -> Path:
    return CHECKPOINT if request.param == "guide" else endless


@pytest.fixture(scope="module")
def plain(folder: Path) -> list[Said]:
    """What is said without guesses."""
    return [stepwise(folder, prompt_lookup=False).answer(request) for request in REQUESTS]


def guess_at_random(chance: random.Random) -> object:
    def guess(self: Lookup, most: int) -> list[int]:
        return [chance.randrange(250) for _ in range(chance.randint(0, max(most, 0)))]

    return guess


def guess_what_comes(said: list[int], chance: random.Random) -> object:
    """The answer itself, at times with an error in it."""

    def guess(self: Lookup, most: int) -> list[int]:
        seen = memoryview(self._seen).cast("I").tolist()
        at = next(at for at in range(len(said), -1, -1) if seen[len(seen) - at :] == said[:at])
        guessed = said[at : at + max(most, 0)]
        if guessed and chance.random() < 0.3:
            guessed[chance.randrange(len(guessed))] = 7
        return guessed

    return guess


# --- Answers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_an_answer_is_the_same_with_guesses(number: int, folder: Path, plain: list[Said]) -> None:
    guessing = stepwise(folder, prompt_lookup=True)
    assert guessing.answer(REQUESTS[number]) == plain[number]
    assert guessing.answer(REQUESTS[number]) == plain[number], "what is kept of it holds no guess"


@pytest.mark.parametrize("seed", range(full(3, 50)))
@pytest.mark.parametrize("kind", ["random", "right"])
def test_no_guess_whatever_changes_an_answer(
    kind: str, seed: int, folder: Path, plain: list[Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    guessing = stepwise(folder, prompt_lookup=True)
    for number in chance.sample(range(len(REQUESTS)), 3):
        guess = guess_at_random(chance) if kind == "random" else guess_what_comes(plain[number][0], chance)
        monkeypatch.setattr(Lookup, "guess", guess)
        assert guessing.answer(REQUESTS[number]) == plain[number]


def test_answers_of_many_at_once_are_the_same_with_guesses(folder: Path, plain: list[Said]) -> None:
    guessing = stepwise(folder, prompt_lookup=True)
    numbers = [guessing.submit(request) for request in REQUESTS]
    guessing.finish()
    assert [guessing.said(number) for number in numbers] == plain


def test_the_check_sees_guesses_that_are_believed(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = stepwise(endless, prompt_lookup=False).answer(REQUESTS[0])
    guessing = stepwise(endless, prompt_lookup=True)
    monkeypatch.setattr(Lookup, "guess", guess_at_random(random.Random(1)))
    monkeypatch.setattr("llama_nb.engine.runner.common_prefix", lambda tokens, guessed: len(guessed))
    monkeypatch.setattr("llama_nb.engine.slots.Slot.truncate", lambda self, length: None)
    with pytest.raises(AssertionError):
        assert guessing.answer(REQUESTS[0]) == said


# --- Passes -------------------------------------------------------------------------------------------------------------


def passes(made: Stepwise, request: Submit, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Forward passes, and tokens of the answer."""
    count = 0
    forward = made.runner._model.forward

    def counted(*args: object, **kwargs: object) -> torch.Tensor:
        nonlocal count
        count += 1
        return forward(*args, **kwargs)  # type: ignore[arg-type]

    made.answer(request)  # so that the prompt is read
    with monkeypatch.context() as patch:
        patch.setattr(made.runner._model, "forward", counted)
        tokens, _, _ = made.answer(request)
    return count, len(tokens)


def test_an_answer_that_was_given_before_takes_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    question = "What is a memory bank?"
    _, answer, _ = stepwise(CHECKPOINT, prompt_lookup=False).answer(live.request(question))
    request = live.request(question, answer, question)
    without, tokens = passes(stepwise(CHECKPOINT, prompt_lookup=False), request, monkeypatch)
    assert without == tokens > 20
    with_guesses, again = passes(stepwise(CHECKPOINT, prompt_lookup=True), request, monkeypatch)
    assert again == tokens and with_guesses < 0.6 * tokens


def test_where_nothing_comes_again_hardly_anything_is_guessed(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guessed = 0
    learn = Lookup.learn

    def counted(self: Lookup, tokens: int, right: int) -> None:
        nonlocal guessed
        guessed += tokens
        learn(self, tokens, right)

    monkeypatch.setattr(Lookup, "learn", counted)
    made = stepwise(endless, prompt_lookup=True)
    made.answer(live.request(TEXT, max_tokens=300, sampling=Sampling(temperature=50.0, seed=1)))
    assert guessed <= 30


# --- Guesses ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([0, 1, 256, 65_536, 128_255]), max_size=60), st.integers(0, 20))
def test_a_guess_is_what_followed_the_last_time(tokens: list[int], most: int) -> None:
    lookup = Lookup()
    for start in range(0, len(tokens), 7):
        lookup.see(tokens[start : start + 7])
    last = tokens[-ALIKE:]
    places = [end for end in range(ALIKE, len(tokens)) if tokens[end - ALIKE : end] == last]
    after = tokens[places[-1] :] if places else []
    assert lookup.guess(most) == after[: min(most, SHORTEST)]


def test_guesses_grow_while_they_come_true_and_pause_when_they_do_not() -> None:
    lookup = Lookup()
    lookup.see(range(40))
    lookup.see(range(3))
    for length in (2, 4, 8, LONGEST, LONGEST):
        assert len(lookup.guess(99)) == length
        lookup.learn(length, length)
    assert len(lookup.guess(5)) == 5
    wrong = 0
    while lookup.guess(99):
        lookup.learn(SHORTEST, 0)
        wrong += 1
    assert 2 <= wrong <= 10
    assert [bool(lookup.guess(99)) for _ in range(PAUSE)] == [False] * (PAUSE - 1) + [True]


def test_looking_up_in_a_long_prompt_is_quick() -> None:
    lookup = Lookup()
    chance = random.Random(0)
    lookup.see(chance.randrange(128_000) for _ in range(128_000))
    assert lookup.guess(9) == [] and lookup_module.ITEM == 4
