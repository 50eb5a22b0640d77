"""Our own engine as a provider, asked through a chat: a real process, a tiny checkpoint, one start for all of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llama_nb import errors
from llama_nb.apis.inference import ChatCompletionResponse, LogProbConfig
from llama_nb.apis.messages import (
    ImageMedia,
    SamplingParams,
    StopReason,
    SystemMessage,
    ToolChoice,
    ToolDefinition,
    ToolPromptFormat,
    UserMessage,
)
from llama_nb.chat import Chat
from llama_nb.providers.inference import meta_reference
from llama_nb.stack import Stack
from tests.counts import full
from tests.engine import live
from tests.stacks import begun, checkpoint_config, config_of, ended, entry

CONTEXT = 512
ASK = [UserMessage(content="hi")]
TOOL = ToolDefinition(tool_name="f")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A model whose answers end only with the context: what ends one earlier was asked for."""
    folder = live.write_talker(tmp_path_factory.mktemp("checkpoints") / "endless", ends=False)
    stack = Stack.from_config(checkpoint_config(folder, dtype="float32", max_seq_len=CONTEXT))
    yield stack
    stack.close()


@pytest.fixture
def chat(stack: Stack) -> Chat:
    return Chat(stack=stack)


def create(**config: Any) -> meta_reference.MetaReference:
    return meta_reference.create(meta_reference.Config.model_validate(config))


# --- What it serves -----------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_served_under_the_name_of_its_folder(stack: Stack, chat: Chat) -> None:
    [model] = asyncio.run(stack.models.list_models())
    assert (model.identifier, model.provider_id) == ("endless", "meta-reference")
    assert Path(model.metadata["checkpoint"]).name == "endless"
    assert chat.model == "endless"


def test_a_name_of_the_list_is_looked_for_where_llama_models_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_MODELS_CONFIG_DIR", str(tmp_path))
    provider = create(model="Llama3.1-405B:bf16-mp8")
    [model] = asyncio.run(provider.list_models())
    assert model.identifier == "Llama3.1-405B:bf16-mp8"
    assert model.metadata["checkpoint"] == str(tmp_path / "checkpoints" / "Llama3.1-405B-bf16-mp8")


def test_building_it_starts_nothing(tmp_path: Path) -> None:
    assert create(checkpoint=tmp_path).status("x").phase == "idle"


def test_a_checkpoint_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    chat = Chat(stack=Stack.from_config(config_of(entry("meta-reference", checkpoint=str(tmp_path / "gone")))))
    for ask in (chat.ask, lambda prompt: list(chat.stream(prompt))):
        with pytest.raises(errors.CheckpointError, match=str(tmp_path / "gone")):
            ask("hi")
    with pytest.raises(errors.CheckpointError):
        asyncio.run(chat.stack.load(chat.model))
    assert chat.status.phase == "idle", "nothing was started for it"


def test_the_config_of_a_config_file_is_checked() -> None:
    for wrong in (
        {"checkpoint": "/x", "max_seq_len": 0},
        {"checkpoint": "/x", "max_batch_size": 0},
        {"checkpoint": "/x", "quantization": {"type": "fp8"}},
        {"checkpoint": "/x", "torch_seed": "x"},
        {"checkpoint": "/x", "dtype": "float16"},
        {"checkpoint": "/x", "model_parallel_size": 2},
    ):
        with pytest.raises(ValueError):
            create(**wrong)
    create(checkpoint="/x", max_seq_len=4096, max_batch_size=1, torch_seed=None, quantization=None)


# --- Requests that no model could answer --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({"messages": []}, errors.BadRequest, "no messages"),
        ({"sampling_params": SamplingParams(temperature=-1)}, errors.BadRequest, "temperature is -1"),
        ({"sampling_params": SamplingParams(temperature=math.inf)}, errors.BadRequest, "temperature is inf"),
        ({"sampling_params": SamplingParams(temperature=math.nan)}, errors.BadRequest, "temperature is nan"),
        ({"sampling_params": SamplingParams(top_p=0)}, errors.BadRequest, "top_p is 0"),
        ({"sampling_params": SamplingParams(top_p=1.5)}, errors.BadRequest, "top_p is 1.5"),
        ({"sampling_params": SamplingParams(top_k=-1)}, errors.BadRequest, "top_k is -1"),
        ({"sampling_params": SamplingParams(max_tokens=-1)}, errors.BadRequest, "max_tokens is -1"),
        ({"sampling_params": SamplingParams(seed=2**63)}, errors.BadRequest, "64 bits"),
        ({"sampling_params": SamplingParams(repetition_penalty=1.2)}, errors.NotSupported, "repetition_penalty 1.2"),
        ({"logprobs": LogProbConfig(top_k=-1)}, errors.BadRequest, r"logprobs.top_k is -1"),
        ({"tools": [TOOL], "tool_choice": ToolChoice.required}, errors.NotSupported, "`required`"),
        (
            {"tools": [TOOL], "tool_prompt_format": ToolPromptFormat.function_tag},
            errors.NotSupported,
            "`function_tag`",
        ),
        (
            {"messages": [UserMessage(content=ImageMedia(image={"uri": "file:x"}))]},  # type: ignore[arg-type]
            errors.NotSupported,
            "image",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_answered_is_refused_when_the_function_is_called(
    stack: Stack, request_: dict[str, Any], error: type[Exception], words: str, stream: bool
) -> None:
    call: Any = stack.inference.chat_completion
    with pytest.raises(error, match=words):
        call(**{"model": "endless", "messages": ASK, "stream": stream, **request_})


def test_without_tools_how_they_are_chosen_does_not_matter(stack: Stack) -> None:
    call: Any = stack.inference.chat_completion
    call("endless", ASK, tool_choice=ToolChoice.required, stream=True)


# --- Answers ------------------------------------------------------------------------------------------------------------


def test_an_answer_as_a_whole_and_as_a_stream_are_the_same(stack: Stack) -> None:
    params = SamplingParams(max_tokens=30)

    async def both() -> tuple[ChatCompletionResponse, list[Any]]:
        whole = await stack.inference.chat_completion("endless", ASK, params, logprobs=LogProbConfig(top_k=2))
        chunks = stack.inference.chat_completion("endless", ASK, params, stream=True, logprobs=LogProbConfig(top_k=2))
        return whole, [chunk async for chunk in chunks]

    whole, chunks = asyncio.run(both())
    assert "".join(chunk.event.delta for chunk in chunks) == whole.completion_message.content != ""
    assert chunks[-1].event.stop_reason is whole.completion_message.stop_reason is StopReason.out_of_tokens
    joined = [entry for chunk in chunks for entry in chunk.event.logprobs or []]
    assert whole.logprobs is not None
    assert len(joined) == len(whole.logprobs) == 30
    for streamed, together in zip(joined, whole.logprobs, strict=True):  # the second was read from the cache
        assert streamed.logprobs_by_token == pytest.approx(together.logprobs_by_token, abs=1e-4)
    assert chunks[-1].usage is not None
    assert [chunk for chunk in chunks if chunk.usage] == chunks[-1:]
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 30


def test_a_reply_has_usage_and_metrics(chat: Chat) -> None:
    reply = chat.ask("What is this?", max_tokens=5)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 10
    assert reply.usage.completion_tokens == 5
    assert reply.metrics is not None
    assert reply.metrics.time_to_first_token_s > 0
    assert reply.metrics.tokens_per_s > 0
    again = chat.ask("And this?", max_tokens=5)
    assert again.usage is not None
    assert again.usage.cached_tokens >= reply.usage.prompt_tokens, "the conversation so far is not read again"


def test_logprobs_true_gives_the_chosen_token_and_k_the_alternatives(chat: Chat) -> None:
    assert chat.ask("hi", max_tokens=4).logprobs is None
    chosen = chat.ask("hi", max_tokens=4, logprobs=True).logprobs
    assert chosen is not None
    assert [len(entry.logprobs_by_token) for entry in chosen] == [1] * 4
    several = chat.ask("hi", max_tokens=4, logprobs=3).logprobs
    assert several is not None
    assert all(3 <= len(entry.logprobs_by_token) <= 4 for entry in several)
    assert all(value <= 0 for entry in several for value in entry.logprobs_by_token.values())


def test_max_tokens_is_kept_and_zero_is_as_many_as_the_context_holds(chat: Chat) -> None:
    reply = chat.ask("hi", max_tokens=1)
    assert reply.usage is not None
    assert (reply.usage.completion_tokens, reply.stop_reason) == (1, StopReason.out_of_tokens)
    chat.reset()
    reply = chat.ask("hi", max_tokens=0)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens + reply.usage.completion_tokens == pytest.approx(CONTEXT, abs=1)


def test_a_stop_string_ends_the_turn_before_it(chat: Chat) -> None:
    text = chat.ask("hi", max_tokens=40).text
    stop = text[20:23]
    expected = text[: text.index(stop)]
    for given in (stop, [stop], ["never to be seen", stop]):
        chat.reset()
        reply = chat.ask("hi", max_tokens=40, stop=given)
        assert (reply.text, reply.stop_reason) == (expected, StopReason.end_of_turn), given


def test_a_seed_repeats_what_chance_said(chat: Chat) -> None:
    def sampled(**options: Any) -> str:
        chat.reset()
        return chat.ask("hi", temperature=1.0, max_tokens=30, **options).text

    assert sampled(seed=1) == sampled(seed=1)
    assert sampled(seed=1) != sampled(seed=2)
    assert len({sampled() for _ in range(4)}) > 1, "without one, each answer is new"


def test_the_system_message_changes_the_answer(chat: Chat) -> None:
    plain = chat.ask("hi", max_tokens=30).text
    chat.reset()
    chat.system = "You are somebody else entirely."
    assert chat.ask("hi", max_tokens=30).text != plain
    assert isinstance(chat.messages[0], SystemMessage)


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(chat: Chat) -> None:
    with pytest.raises(errors.ContextOverflow, match=str(CONTEXT)) as raised:
        chat.ask("word " * 2_000)
    assert isinstance(raised.value, ValueError)
    assert chat.messages == []
    assert chat.ask("hi", max_tokens=3).text != ""


def test_after_a_stop_the_next_answer_is_what_it_would_have_been(chat: Chat) -> None:
    expected = chat.ask("and now?", max_tokens=20).text
    for number in range(full(3, 200)):
        chat.reset()
        reply = begun(chat, f"question {number}")
        reply.stop()
        ended(reply)
        assert reply.stopped
        assert reply.stop_reason is StopReason.out_of_tokens
        assert chat.messages[-1] == reply.message
        chat.reset()
        assert chat.ask("and now?", max_tokens=20).text == expected


def test_a_stop_before_the_first_word_and_the_next_question_works(chat: Chat) -> None:
    for _ in range(full(5, 500)):
        reply = chat.start("hi")
        reply.stop()
        assert ended(reply).stopped
        chat.reset()
    assert chat.ask("hi", max_tokens=3).text != ""


def test_chats_share_one_generator_and_do_not_mix(stack: Stack) -> None:
    alone = {name: Chat(stack=stack).ask(f"I am {name}.", max_tokens=25).text for name in "abc"}
    assert len(set(alone.values())) == 3
    with ThreadPoolExecutor(3) as threads:
        together = threads.map(lambda name: Chat(stack=stack).ask(f"I am {name}.", max_tokens=25).text, "abc" * 2)
    assert list(together) == list(alone.values()) * 2


def test_the_seed_of_the_config_counts_on(tmp_path: Path) -> None:
    def sampled(torch_seed: int | None) -> list[Any]:
        provider = create(checkpoint=tmp_path, torch_seed=torch_seed)
        return [provider._sampling(SamplingParams(temperature=1.0)).seed for _ in range(3)]

    assert sampled(5) == [5, 6, 7]
    assert sampled(None) == [None, None, None]
    given = create(checkpoint=tmp_path, torch_seed=5)._sampling(SamplingParams(temperature=1.0, seed=9))
    assert given.seed == 9
