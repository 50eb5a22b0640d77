"""Answers of a live generator: their log-probabilities, their stop strings, and the ids that the next turn reads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from llama_nb import loop
from llama_nb.apis.inference import LogProbConfig
from llama_nb.apis.messages import SamplingParams, UserMessage
from llama_nb.chat import Chat
from llama_nb.engine import checkpoint
from llama_nb.engine.client import Engine
from llama_nb.engine.protocol import Sampling, Submit
from llama_nb.prompt_format.encode import DialogEncoder, Turn
from llama_nb.prompt_format.tokenizer import load_tokenizer
from llama_nb.stack import Stack
from tests.counts import full
from tests.engine import live


@pytest.fixture(scope="module")
def stack(talker: Path) -> Iterator[Stack]:
    entry = {"provider_id": "tiny", "provider_type": "meta-reference", "config": {"checkpoint": str(talker)}}
    stack = Stack.from_config({"providers": {"inference": [entry]}})
    yield stack
    stack.close()


@pytest.fixture(scope="module")
def engine(stack: Stack) -> Engine:
    """The stack's own: one process for all tests of this file."""
    engine: Engine = stack.models.provider_of(stack.default_model)._engine  # type: ignore[attr-defined]
    return engine


def log_softmax(logits: torch.Tensor) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values = logits.double().numpy()
    values = values - values.max()
    return values - np.log(np.exp(values).sum())


@pytest.mark.parametrize("alternatives", [0, 1, 5])
def test_logprobs_are_those_of_the_model_one_entry_for_each_token(
    alternatives: int, engine: Engine, talker: Path
) -> None:
    model, tokenizer = checkpoint.load(
        talker, device=torch.device("cpu"), dtype=None, max_seq_len=None, progress=lambda stage, fraction: None
    )
    names = [
        tokenizer.model.decode_single_token_bytes(token).decode("utf-8", "backslashreplace") for token in range(544)
    ]
    answered = live.ask(engine, "hello", max_tokens=20, sampling=live.sampled(2), logprobs=alternatives)
    assert len(answered.logprobs) == len(answered.tokens) == answered.done.completion_tokens
    assert all(len(piece.logprobs or []) == len(piece.tokens) for piece in answered.pieces)
    prompt = DialogEncoder(tokenizer).encode(live.dialog("hello"))
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + answered.tokens]))[0, len(prompt) - 1 : -1]
    for token, row, entry in zip(answered.tokens, logits, answered.logprobs, strict=True):
        exact = log_softmax(row)
        likeliest = [int(one) for one in np.argsort(-exact)[:alternatives]]
        assert entry.keys() == {names[token], *(names[one] for one in likeliest)}
        assert all(abs(value - exact[names.index(name)]) < 1e-3 for name, value in entry.items())
        assert entry[names[token]] <= 0


def test_without_the_wish_there_are_no_logprobs(engine: Engine) -> None:
    assert live.ask(engine, "hello", max_tokens=5).logprobs == []


def test_a_stream_and_a_whole_answer_have_the_same_logprobs(stack: Stack) -> None:
    messages = [UserMessage(content="hello")]
    params = SamplingParams(temperature=1.0, seed=2, max_tokens=20)

    async def streamed() -> list[dict[str, float]]:
        chunks = stack.inference.chat_completion(
            stack.default_model, messages, params, stream=True, logprobs=LogProbConfig(top_k=3)
        )
        return [entry.logprobs_by_token async for chunk in chunks for entry in chunk.event.logprobs or []]

    async def whole() -> list[dict[str, float]]:
        response = await stack.inference.chat_completion(
            stack.default_model, messages, params, logprobs=LogProbConfig(top_k=3)
        )
        assert response.usage is not None
        assert len(response.logprobs or []) == response.usage.completion_tokens
        return [entry.logprobs_by_token for entry in response.logprobs or []]

    one, other = loop.run(streamed()), loop.run(whole())
    assert [entry.keys() for entry in one] == [entry.keys() for entry in other]
    for mine, theirs in zip(one, other, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)


def test_what_is_streamed_is_what_is_answered(stack: Stack) -> None:
    chat = Chat(stack=stack)
    for seed in range(full(3, 50)):
        deltas = [event.delta for event in chat.stream("hello", temperature=1, seed=seed, max_tokens=40)]
        assert "".join(delta for delta in deltas if isinstance(delta, str)) == chat.messages[-1].content


def test_an_answer_ends_before_its_stop_string_wherever_tokens_cut_it(engine: Engine) -> None:
    for seed in range(full(4, 50)):
        whole = live.ask(engine, "hello", max_tokens=40, sampling=live.sampled(seed))
        at = len(whole.text) // 2
        for length in (1, 2, 5):
            stop = whole.text[at : at + length]
            stopped = live.ask(engine, "hello", max_tokens=40, sampling=live.sampled(seed), stop=[stop, "never said"])
            assert stopped.text == whole.text[: whole.text.index(stop)]
            assert stopped.done.stop_reason == "end_of_turn"
            assert stopped.tokens == whole.tokens[: len(stopped.tokens)]
            assert len(stopped.tokens) == stopped.done.completion_tokens


def test_tokens_that_spell_no_characters_are_shown_as_U_FFFD_and_all_are_told(tmp_path: Path) -> None:
    engine = live.engine_of(live.write_talker(tmp_path, tokens=range(100, 256)))
    broken = 0
    for seed in range(full(3, 50)):
        answered = live.ask(engine, "hello", max_tokens=60, sampling=live.sampled(seed))
        letters = bytes(token for token in answered.tokens if token < 256)
        assert answered.text == letters.decode("utf-8", "replace")
        broken += answered.text.count("\ufffd")
        assert len(answered.tokens) == answered.done.completion_tokens
    assert broken > 0
    engine.close()


def test_the_next_turn_reads_the_very_tokens_that_were_generated(engine: Engine) -> None:
    for seed in range(full(3, 30)):
        question = f"hello {seed}"
        first = live.ask(engine, question, max_tokens=60, sampling=live.sampled(seed))
        second = live.ask(engine, question, first.text, "and now?", max_tokens=1)
        # The last token was chosen, but never read; without an end of its own it is read before one.
        kept = first.done.prompt_tokens + first.done.completion_tokens
        assert second.done.cached_tokens == kept - 1
        assert second.done.prompt_tokens > kept


def test_the_check_sees_an_answer_that_is_encoded_anew(engine: Engine) -> None:
    """The text of a random model is seldom cut by an encoder as it was generated."""
    first = live.ask(engine, "hello", max_tokens=60, sampling=live.sampled(1))
    second = live.ask(engine, "hello", first.text[:-1] + "!", "and now?", max_tokens=1)
    assert second.done.cached_tokens < first.done.prompt_tokens + first.done.completion_tokens - 1


def test_a_chat_grows_in_the_cache_from_turn_to_turn(stack: Stack) -> None:
    chat = Chat(stack=stack, system="Be brief.")
    usages = []
    for seed in range(4):
        reply = chat.ask(f"question {seed}", temperature=1.0, seed=seed, max_tokens=30)
        assert reply.usage is not None
        usages.append(reply.usage)
    for before, after in pairwise(usages):
        assert after.cached_tokens == before.prompt_tokens + before.completion_tokens - 1


def test_forks_and_answers_that_are_asked_for_again_read_only_what_is_new(stack: Stack) -> None:
    chat = Chat(stack=stack, system="the thing and the other thing " * 5)
    first = chat.ask("question", temperature=1.0, seed=1, max_tokens=30)
    fork = chat.fork()
    after = chat.ask("and now?", max_tokens=10)
    forked = fork.ask("and then?", max_tokens=10)
    again = chat.regenerate(0, temperature=1.0, seed=2, max_tokens=10)
    other = Chat(stack=stack, system="the thing and the other thing " * 5).ask("else", max_tokens=10)
    usages = [reply.usage for reply in (first, after, forked, again, other)]
    begun, after_usage, fork_usage, again_usage, other_usage = usages
    assert begun and after_usage and fork_usage and again_usage and other_usage
    answered = begun.prompt_tokens + begun.completion_tokens - 1
    assert after_usage.cached_tokens == answered
    assert fork_usage.cached_tokens >= answered, "of a turn that has gone on elsewhere"
    assert again_usage.cached_tokens == again_usage.prompt_tokens - 1
    assert other_usage.cached_tokens > 90, "what is the same in both"


def test_a_stopped_answer_is_kept_up_to_the_last_piece_that_was_shown(stack: Stack, talker: Path) -> None:
    chat = Chat(stack=stack)
    # What comes after the answer: the end of its turn, and the next question.
    new = 1 + len(DialogEncoder(load_tokenizer(talker)).encode(live.dialog("go on"))) - 1
    for seed in (0, 1, 3, 4):
        chat.reset()
        unlisten = chat.listen(lambda event: event.reply and len(event.reply.text) > 4 and event.reply.stop())
        reply = chat.ask("hello", temperature=1.0, top_p=1.0, seed=seed)
        unlisten()
        assert reply.stopped
        usage = chat.ask("go on", max_tokens=1).usage
        assert usage is not None
        # When nothing was generated after the last piece that was shown, its token is still to be read.
        assert usage.prompt_tokens - usage.cached_tokens in (new, new + 1)


def test_greedy_answers_are_the_same_after_anything_else(engine: Engine) -> None:
    greedy = Sampling()
    first = live.ask(engine, "hello", max_tokens=30, sampling=greedy).said
    live.ask(engine, "something else", max_tokens=30, sampling=live.sampled(3))
    assert live.ask(engine, "hello", max_tokens=30, sampling=greedy).said == first


def test_a_turn_of_any_role_can_be_answered(engine: Engine) -> None:
    turns = [Turn("system", "s"), Turn("ipython", "r"), Turn("assistant", "", "f()", end_of_message=True)]
    assert loop.run(live.answer(engine, Submit(0, turns, max_tokens=2))).tokens
