"""Our own engine as a provider, asked through a chat: a real process, a tiny checkpoint, one start for all of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llama_nb import errors, loop
from llama_nb.apis.inference import (
    ChatCompletionResponse,
    ChoiceResponseFormat,
    GrammarResponseFormat,
    JsonSchemaResponseFormat,
    LogProbConfig,
    RegexResponseFormat,
)
from llama_nb.apis.messages import (
    ImageMedia,
    SamplingParams,
    StopReason,
    SystemMessage,
    ToolChoice,
    ToolDefinition,
    ToolParamDefinition,
    ToolPromptFormat,
    UserMessage,
)
from llama_nb.chat import Chat
from llama_nb.prompt_format.family import Family
from llama_nb.prompt_format.schemas import validate
from llama_nb.providers.inference import meta_reference
from llama_nb.stack import Stack
from tests.counts import full
from tests.engine import live
from tests.stacks import begun, checkpoint_config, config_of, ended, entry

CONTEXT = 1024
ASK = [UserMessage(content="hi")]
TOOL = ToolDefinition(tool_name="f")
ANY_JSON = JsonSchemaResponseFormat(json_schema={})


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
        {"checkpoint": "/x", "quantization": "q4_0"},
        {"checkpoint": "/x", "quantization": {"type": "fp8", "group": 32}},
        {"checkpoint": "/x", "torch_seed": "x"},
        {"checkpoint": "/x", "dtype": "float16"},
        {"checkpoint": "/x", "model_parallel_size": 2},
    ):
        with pytest.raises(ValueError):
            create(**wrong)
    create(checkpoint="/x", max_seq_len=4096, max_batch_size=1, torch_seed=None, quantization=None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [(None, None), ("int4", "int4"), ({"type": "fp8"}, "fp8"), ({"type": "int8"}, "int8"), ({"type": "bf16"}, None)],
    ids=str,
)
def test_quantization_is_a_name_or_llama_stacks_form(written: Any, meant: str | None) -> None:
    provider = create(checkpoint="/x", quantization=written)
    assert provider._engine._start.quantization == meant


def test_a_quantization_that_there_is_not_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"there is no quantization 'q4_0'. Choose one of int8, int4, fp8"):
        create(checkpoint="/x", quantization="q4_0")


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
        ({"sampling_params": SamplingParams(repetition_penalty=0)}, errors.BadRequest, "repetition_penalty is 0"),
        ({"sampling_params": SamplingParams(repetition_penalty=math.nan)}, errors.BadRequest, "penalty is nan"),
        ({"logprobs": LogProbConfig(top_k=-1)}, errors.BadRequest, r"logprobs.top_k is -1"),
        (
            {"tools": [TOOL], "tool_prompt_format": ToolPromptFormat.python_list},
            errors.BadRequest,
            "does not know the tool_prompt_format `python_list`",
        ),
        ({"tools": [TOOL], "tool_choice": "ff"}, errors.BadRequest, "`ff`, which is not offered. Did you mean `f`"),
        ({"tool_choice": ToolChoice.required}, errors.BadRequest, "no tools are offered"),
        (
            {"tools": [TOOL], "tool_choice": "required", "response_format": ANY_JSON},
            errors.BadRequest,
            "requires a call, and response_format",
        ),
        ({"tools": [TOOL], "tool_choice": "f", "prefill": "So"}, errors.BadRequest, "requires a call, and prefill"),
        (
            {"response_format": JsonSchemaResponseFormat(json_schema={"items": {"uniqueItems": True}})},
            errors.BadRequest,
            r"`uniqueItems` at `\$.items`",
        ),
        (
            {"response_format": JsonSchemaResponseFormat(json_schema={"format": "binary"})},
            errors.BadRequest,
            "unknown format",
        ),
        ({"response_format": RegexResponseFormat(regex="(?=a)")}, errors.BadRequest, "look-around"),
        ({"response_format": ChoiceResponseFormat(choices=["a", ""])}, errors.BadRequest, "empty text"),
        ({"response_format": GrammarResponseFormat(grammar="start: nobody")}, errors.BadRequest, "nobody"),
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


@pytest.mark.parametrize("stream", [False, True])
def test_what_no_text_could_go_on_from_is_refused_when_the_function_is_called(stack: Stack, stream: bool) -> None:
    call: Any = stack.inference.completion
    for request, error, words in (
        ({"content": ImageMedia(image={"uri": "file:x"})}, errors.NotSupported, "image"),  # type: ignore[arg-type]
        ({"content": "x", "sampling_params": SamplingParams(top_p=0)}, errors.BadRequest, "top_p is 0"),
        ({"content": "x", "response_format": RegexResponseFormat(regex="(")}, errors.BadRequest, "unclosed group"),
    ):
        with pytest.raises(error, match=words):
            call("endless", stream=stream, **request)


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
    with pytest.raises(errors.ContextOverflow, match=f"{CONTEXT:,}") as raised:
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


# --- Answers in a form --------------------------------------------------------------------------------------------------


def asked(stack: Stack, content: str = "hi", **request: Any) -> ChatCompletionResponse:
    request.setdefault("sampling_params", SamplingParams(temperature=1.0, seed=1, max_tokens=200))
    call: Any = stack.inference.chat_completion
    return loop.run(call("endless", [UserMessage(content=content)], **request))


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 9}, "age": {"type": "integer", "maximum": 99, "minimum": 0}},
    "required": ["name", "age"],
}


def test_an_answer_fits_its_schema(stack: Stack) -> None:
    for seed in range(full(3, 50)):
        params = SamplingParams(temperature=1.0, seed=seed, max_tokens=200)
        response_format = JsonSchemaResponseFormat(json_schema=PERSON)
        message = asked(stack, sampling_params=params, response_format=response_format).completion_message
        assert message.stop_reason is StopReason.end_of_turn
        assert validate(PERSON, str(message.content))["age"] <= 99


@pytest.mark.parametrize("tools", [None, [TOOL]])
def test_an_answer_in_a_form_is_text_also_where_it_reads_like_a_call(
    stack: Stack, tools: list[ToolDefinition] | None
) -> None:
    call = '{"type": "function", "name": "f", "parameters": {}}'
    message = asked(stack, response_format=ChoiceResponseFormat(choices=[call]), tools=tools).completion_message
    assert (message.content, message.tool_calls) == (call, [])


def test_an_answer_that_max_tokens_cut_off_says_so(stack: Stack) -> None:
    params = SamplingParams(max_tokens=4)
    answer = asked(stack, sampling_params=params, response_format=JsonSchemaResponseFormat(json_schema=PERSON))
    assert answer.completion_message.stop_reason is StopReason.out_of_tokens


def test_a_prefill_begins_the_message_and_what_follows_fits_with_it(stack: Stack) -> None:
    message = asked(stack, prefill="Sure: <|eot_id|>").completion_message
    assert str(message.content).startswith("Sure: <|eot_id|>") and len(str(message.content)) > 50
    response_format = JsonSchemaResponseFormat(json_schema=PERSON)
    message = asked(stack, prefill='{"name": "Ada', response_format=response_format).completion_message
    assert validate(PERSON, str(message.content))["name"].startswith("Ada")
    with pytest.raises(errors.BadRequest, match="prefill does not fit"):
        asked(stack, prefill="Sure", response_format=response_format)


def test_the_next_turn_finds_a_prefilled_answer_in_the_cache(stack: Stack) -> None:
    first = asked(stack, "hello", prefill="Sure: ")
    assert first.usage is not None
    call: Any = stack.inference.chat_completion
    messages = [UserMessage(content="hello"), first.completion_message, UserMessage(content="more")]
    second = loop.run(call("endless", messages, SamplingParams(max_tokens=1)))
    assert second.usage.cached_tokens >= first.usage.prompt_tokens + first.usage.completion_tokens - 1


WEATHER = ToolDefinition(
    tool_name="get_weather",
    parameters={
        "city": ToolParamDefinition(param_type="str"),
        "days": ToolParamDefinition(param_type="int", required=False),
    },
)


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One model under the prompts of several families; its letters are those of calls."""
    folder = live.write_talker(tmp_path_factory.mktemp("checkpoints") / "any", ends=False)
    names = ("llama3_1", "llama3_2", "llama3_3", "llama_guard_3")
    entries = [
        entry("meta-reference", name, model=name, checkpoint=str(folder), device="cpu", prompt_family=name)
        for name in names
    ]
    stack = Stack.from_config(config_of(*entries))
    yield stack
    stack.close()


def called(stack: Stack, model: str, **request: Any) -> list[Any]:
    """The calls of an answer that was finished: a random model needs some tries."""
    call: Any = stack.inference.chat_completion
    for seed in range(30):
        params = SamplingParams(temperature=1.0, seed=seed, max_tokens=150)
        message = loop.run(call(model, ASK, params, **request)).completion_message
        if message.stop_reason is not StopReason.out_of_tokens:
            assert message.tool_calls and message.content == "", message
            return list(message.tool_calls)
    raise AssertionError("no call was finished")


@pytest.mark.parametrize(
    ("model", "tool_prompt_format"),
    [
        ("llama3_1", None),
        ("llama3_1", ToolPromptFormat.function_tag),
        ("llama3_2", None),
        ("llama3_3", ToolPromptFormat.json),
    ],
)
def test_a_named_tool_is_called_in_the_familys_own_form(
    families: Stack, model: str, tool_prompt_format: ToolPromptFormat | None
) -> None:
    tools = [TOOL, WEATHER]
    for call in called(families, model, tools=tools, tool_choice="get_weather", tool_prompt_format=tool_prompt_format):
        assert call.tool_name == "get_weather"
        assert isinstance(call.arguments["city"], str)
        assert isinstance(call.arguments.get("days", 1), int)
    assert called(families, model, tools=tools, tool_choice=ToolChoice.required, tool_prompt_format=tool_prompt_format)


def test_a_family_without_tools_says_so(families: Stack) -> None:
    call: Any = families.inference.chat_completion
    with pytest.raises(errors.NotSupported, match="Llama Guard 3 has no prompt for tools"):
        call("llama_guard_3", ASK, tools=[WEATHER])


def test_with_tool_choice_none_the_tools_are_not_offered(stack: Stack) -> None:
    without = asked(stack)
    assert asked(stack, tools=[WEATHER], tool_choice=ToolChoice.none).completion_message == without.completion_message
    assert asked(stack, tools=[WEATHER]).completion_message != without.completion_message


def test_the_family_is_that_of_the_name_unless_the_config_says_it(tmp_path: Path) -> None:
    assert create(checkpoint=tmp_path / "Llama3.2-1B-Instruct")._family is Family.llama3_2
    assert create(checkpoint=tmp_path / "mine")._family is Family.llama3_1
    assert create(checkpoint=tmp_path / "mine", prompt_family="llama3_3")._family is Family.llama3_3
    with pytest.raises(ValueError):
        create(checkpoint=tmp_path, prompt_family="llama4")


def test_the_layout_and_the_date_are_those_of_the_config(tmp_path: Path) -> None:
    def system_of(**config: Any) -> str:
        return create(checkpoint=tmp_path, **config)._dialog(ASK, [WEATHER], None)[0].text

    assert "Today Date: 21 September 2024" in system_of(today="2024-09-21")
    published, stack_layout = (
        system_of(today=date(2024, 9, 21), prompt_layout=layout) for layout in ("published", "llama_stack")
    )
    assert published != stack_layout
    with pytest.raises(ValueError):
        create(checkpoint=tmp_path, prompt_layout="other")


# --- Completion, embeddings, counting -----------------------------------------------------------------------------------


def test_a_completion_goes_on_with_the_text_itself(stack: Stack) -> None:
    call: Any = stack.inference.completion
    params = SamplingParams(max_tokens=20)
    whole = loop.run(call("endless", "the thing", params, logprobs=LogProbConfig(top_k=1)))
    assert whole.usage.prompt_tokens == 5, "where a text begins, and the words: no header"
    assert whole.completion_message.content and whole.completion_message.stop_reason is StopReason.out_of_tokens
    assert len(whole.logprobs) == 20

    async def streamed() -> list[Any]:
        return [chunk async for chunk in call("endless", "the thing", params, stream=True)]

    chunks = loop.run(streamed())
    assert "".join(chunk.delta for chunk in chunks) == whole.completion_message.content
    assert [chunk.stop_reason for chunk in chunks if chunk.stop_reason] == [StopReason.out_of_tokens]
    assert chunks[-1].stop_reason and chunks[-1].usage and chunks[-1].metrics
    chatted = asked(stack, "the thing", sampling_params=params).completion_message.content
    assert chatted != whole.completion_message.content


def test_control_tokens_that_are_spelled_in_a_completion_are_letters(stack: Stack) -> None:
    call: Any = stack.inference.completion
    spelled = loop.run(call("endless", "<|eot_id|>", SamplingParams(max_tokens=1)))
    assert spelled.usage.prompt_tokens > 5


def test_half_a_character_is_read_as_none(stack: Stack) -> None:
    assert asked(stack, prefill="a\ud83d").completion_message.content
    assert loop.run(stack.inference.completion("endless", "a\ud83d", SamplingParams(max_tokens=1))).usage
    assert loop.run(stack.inference.embeddings("endless", ["a\ud83d"])).embeddings


def test_a_completion_can_have_a_form_and_a_stop_string(stack: Stack) -> None:
    call: Any = stack.inference.completion
    held = loop.run(call("endless", "n = ", response_format=RegexResponseFormat(regex="[0-9]{3}")))
    assert str(held.completion_message.content).isdigit()
    assert held.completion_message.stop_reason is StopReason.end_of_turn
    text = str(loop.run(call("endless", "a", SamplingParams(max_tokens=30))).completion_message.content)
    stopped = loop.run(call("endless", "a", SamplingParams(max_tokens=30, stop=[text[9:11]])))
    assert stopped.completion_message.content == text[: text.index(text[9:11])]


def test_a_completion_that_is_left_is_cancelled(stack: Stack) -> None:
    call: Any = stack.inference.completion

    async def leave() -> None:
        chunks = call("endless", "a", stream=True)
        async for _ in chunks:
            break
        await chunks.aclose()

    expected = asked(stack).completion_message
    loop.run(leave())
    assert asked(stack).completion_message == expected


def test_embeddings_are_vectors_of_length_one_in_the_order_of_the_contents(stack: Stack) -> None:
    texts = ["the thing", ["the ", "thing"], "something else entirely " * 5]
    vectors = loop.run(stack.inference.embeddings("endless", texts)).embeddings
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1, 1, 1])
    alone = loop.run(stack.inference.embeddings("endless", texts[2:])).embeddings
    assert vectors[2] == pytest.approx(alone[0], abs=1e-5)
    assert vectors[0] != pytest.approx(vectors[2], abs=1e-2)
    for contents, error in (
        ([], errors.BadRequest),
        (["x", ""], errors.BadRequest),
        ("xyz", errors.BadRequest),
        (["x", None], errors.BadRequest),
        (["x", ["y", 3]], errors.BadRequest),
        (["x " * 999], errors.ContextOverflow),
    ):
        with pytest.raises(error):
            loop.run(stack.inference.embeddings("endless", contents))


def test_tokens_are_counted_as_the_prompt_has_them(stack: Stack) -> None:
    counted = loop.run(stack.inference.count_tokens("endless", ASK))
    usage = asked(stack).usage
    assert usage is not None
    assert (counted.prompt_tokens, counted.max_seq_len) == (usage.prompt_tokens, CONTEXT)
    with_tools = loop.run(stack.inference.count_tokens("endless", ASK, [WEATHER]))
    assert with_tools.prompt_tokens > counted.prompt_tokens + 50
    long = loop.run(stack.inference.count_tokens("endless", [UserMessage(content="word " * 2_000)]))
    assert long.prompt_tokens > CONTEXT, "counting refuses nothing"


def test_a_repetition_penalty_changes_what_is_said_and_one_does_not(stack: Stack) -> None:
    def said(penalty: float | None) -> str:
        params = SamplingParams(max_tokens=40, repetition_penalty=penalty)
        return str(asked(stack, sampling_params=params).completion_message.content)

    assert said(None) == said(1.0) != said(1.8)
    assert len(set(said(100.0))) > len(set(said(1.0)))


def test_a_response_format_may_be_a_dict_and_a_wrong_one_says_what_is_known() -> None:
    stack = Stack.from_config(config_of(entry("meta-reference", model="llama-nb-guide", device="cpu")))
    ask = partial(stack.inference.chat_completion, stack.default_model, [UserMessage(content="hi")])
    with closing(stack):
        answer = loop.run(ask(response_format={"type": "choice", "choices": ["a", "b"]}))
        assert answer.completion_message.content in ("a", "b")
        with pytest.raises(errors.BadRequest, match="json_schema, regex, choice, grammar"):
            loop.run(ask(response_format={"type": "xml"}))
