"""What Llama Stack of October 2024 got wrong about answers, each defect by its id, and that it is right here.

B-16 to B-22 are asked of a real process with a tiny checkpoint; B-23 to B-31 of what reads an answer.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from llama_models.llama3.tokenizer import Tokenizer

from llama_nb.apis.inference import (
    ChatCompletionResponse,
    ChatCompletionResponseStreamChunk,
    LogProbConfig,
)
from llama_nb.apis.messages import BuiltinTool, SamplingParams, StopReason, TokenLogProbs, UserMessage
from llama_nb.prompt_format.calls import Call
from llama_nb.prompt_format.detokenize import Detokenizer
from llama_nb.stack import Stack
from tests.engine import live
from tests.prompt_format.answers import ADD, ANY, CODE, FAILURE, SEARCH, STARTED, WEATHER, read
from tests.stacks import checkpoint_config

END_OF_TEXT = 288 + 1
LETTERS, LEADING, CONTINUING = range(65, 73), range(0xC3, 0xC7), range(0x80, 0x88)  # bytes: halves of characters, too
ASK = [UserMessage(content="hi")]
LOGPROBS = LogProbConfig(top_k=2)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A model that says letters and halves of characters, and when it is sampled ends with `<|end_of_text|>`."""
    folder = tmp_path_factory.mktemp("checkpoints") / "babbler"
    live.write_talker(folder, tokens=[*LETTERS, *LEADING, *CONTINUING, END_OF_TEXT], ends=False)
    stack = Stack.from_config(checkpoint_config(folder, dtype="float32", max_seq_len=256))
    yield stack
    stack.close()


def sampled(seed: int, max_tokens: int | None = 40) -> SamplingParams:
    return SamplingParams(temperature=1.0, top_p=1.0, seed=seed, max_tokens=max_tokens)


def whole(stack: Stack, params: SamplingParams, logprobs: LogProbConfig | None = None) -> ChatCompletionResponse:
    async def ask() -> ChatCompletionResponse:
        return await stack.inference.chat_completion("babbler", ASK, params, logprobs=logprobs)

    return asyncio.run(ask())


def streamed(
    stack: Stack, params: SamplingParams, logprobs: LogProbConfig | None = None
) -> list[ChatCompletionResponseStreamChunk]:
    async def ask() -> list[ChatCompletionResponseStreamChunk]:
        chunks = stack.inference.chat_completion("babbler", ASK, params, stream=True, logprobs=logprobs)
        return [chunk async for chunk in chunks]

    return asyncio.run(ask())


def entries(chunks: list[ChatCompletionResponseStreamChunk]) -> list[TokenLogProbs]:
    return [entry for chunk in chunks for entry in chunk.event.logprobs or []]


def text_of(chunks: list[ChatCompletionResponseStreamChunk]) -> str:
    return "".join(chunk.event.delta for chunk in chunks if isinstance(chunk.event.delta, str))


# --- Logprobs -----------------------------------------------------------------------------------------------------------


def test_b_16_logprobs_are_answered(stack: Stack) -> None:
    for config in (LogProbConfig(), LogProbConfig(top_k=1), LOGPROBS):
        response = whole(stack, sampled(1), config)
        assert response.logprobs and response.usage
        assert len(response.logprobs) == response.usage.completion_tokens
        assert entries(streamed(stack, sampled(1), config))


def test_b_17_a_chunk_has_the_logprobs_of_its_own_tokens(stack: Stack) -> None:
    chunks = streamed(stack, sampled(2), LOGPROBS)
    counts = [len(chunk.event.logprobs or []) for chunk in chunks]
    assert chunks[-1].usage is not None
    assert sum(counts) == chunks[-1].usage.completion_tokens > 10, "each token once"
    assert max(counts) < sum(counts) / 2, "and not at the end all at once"


def test_b_18_a_stream_and_a_whole_answer_have_the_same_logprobs(stack: Stack) -> None:
    for seed in range(5):
        together, apart = whole(stack, sampled(seed), LOGPROBS), streamed(stack, sampled(seed), LOGPROBS)
        assert together.completion_message.content == text_of(apart)
        assert together.completion_message.stop_reason is apart[-1].event.stop_reason
        assert together.logprobs is not None
        for one, other in zip(together.logprobs, entries(apart), strict=True):
            assert one.logprobs_by_token == pytest.approx(other.logprobs_by_token, abs=1e-4)


def test_b_18_the_token_that_ends_an_answer_is_among_them(stack: Stack) -> None:
    response = next(
        answer
        for seed in range(20)
        if (answer := whole(stack, sampled(seed), LOGPROBS)).completion_message.stop_reason is StopReason.end_of_turn
    )
    assert response.logprobs is not None
    assert "<|end_of_text|>" in response.logprobs[-1].logprobs_by_token


def test_b_19_alternatives_are_given_and_halves_of_characters_told_apart(stack: Stack) -> None:
    for count in (0, 3):
        logprobs = whole(stack, sampled(3), LogProbConfig(top_k=count)).logprobs or []
        assert {len(entry.logprobs_by_token) for entry in logprobs} <= {max(count, 1), count + 1}
        assert all(math.exp(value) <= 1 for entry in logprobs for value in entry.logprobs_by_token.values())
    everything = LogProbConfig(top_k=len(LETTERS) + len(LEADING) + len(CONTINUING) + 1)
    for entry in whole(stack, sampled(3, max_tokens=3), everything).logprobs or []:
        keys = entry.logprobs_by_token.keys()
        assert keys >= {f"\\x{byte:02x}" for byte in [*LEADING, *CONTINUING]}, "each its own key"
        assert sum(map(math.exp, entry.logprobs_by_token.values())) == pytest.approx(1, abs=1e-3)


# --- Text ---------------------------------------------------------------------------------------------------------------


def test_b_20_characters_of_several_tokens_are_streamed_whole(stack: Stack) -> None:
    halves = 0
    for seed in range(8):
        answer, chunks = whole(stack, sampled(seed)), streamed(stack, sampled(seed))
        assert answer.completion_message.content == text_of(chunks)
        halves += sum(letter >= "\x80" and letter != "\ufffd" for letter in text_of(chunks))
    assert halves, "some characters came in two tokens"


def test_b_20_emoji_are_never_shown_in_halves() -> None:
    text = "😀 🧑🏽‍🚀 é ｗide"
    tokenizer = Tokenizer.get_instance()
    pieces = Detokenizer(tokenizer)
    tokens = tokenizer.encode(text, bos=False, eos=False)
    assert any(b"\x80" <= tokenizer.model.decode_single_token_bytes(token)[:1] < b"\xc0" for token in tokens)
    told = [(piece.tokens, piece.text) for token in tokens for piece in pieces.feed(token)]
    found = read([*told, *((piece.tokens, piece.text) for piece in pieces.flush())], [ADD])
    assert found.message.content == text
    assert not any("\ufffd" in str(event.delta) for event in found.events)


def test_b_21_end_of_text_ends_the_turn_and_is_not_shown(stack: Stack) -> None:
    ended = [whole(stack, sampled(seed, max_tokens=200)) for seed in range(5)]
    reasons = {answer.completion_message.stop_reason for answer in ended}
    assert StopReason.end_of_turn in reasons, "the only token that ends an answer of this model"
    assert not any("<|" in str(answer.completion_message.content) for answer in ended)
    assert not any("<|" in text_of(streamed(stack, sampled(seed, max_tokens=200))) for seed in range(5))


def test_b_22_max_tokens_none_is_as_many_as_fit(stack: Stack) -> None:
    for params in (SamplingParams(max_tokens=None), SamplingParams(max_tokens=0)):
        answer = whole(stack, params)
        assert answer.usage is not None
        room = 256 - answer.usage.prompt_tokens
        cut = answer.completion_message.stop_reason is StopReason.out_of_tokens
        assert answer.usage.completion_tokens == pytest.approx(room, abs=1) if cut else answer.usage.completion_tokens


# --- Calls --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ['{"name": "Bob"}', '{"name": "Bob", "age": 3}', '[{"name": "Bob"}]', '{"name": "add"}']
)
def test_b_23_a_plain_json_answer_is_text(text: str) -> None:
    for tools in ([], [ADD, ANY, SEARCH]):
        found = read(text, tools)
        assert (found.message.content, found.calls, found.message.malformed_call) == (text, [], None)


def test_b_24_all_of_several_calls_are_kept() -> None:
    text = "[get_weather(city='San Francisco', metric='celsius'), get_weather(city='Seattle', metric='celsius')]"
    found = read(text, [WEATHER])
    assert [call.arguments["city"] for call in found.calls] == ["San Francisco", "Seattle"]
    assert len({call.call_id for call in found.message.tool_calls}) == 2
    both = '{"name": "add", "parameters": {"a": 1}}; {"name": "add", "parameters": {"a": 2}}'
    for tag in ("", "<TAG>"):
        assert [call.arguments for call in read(tag + both, [ADD]).calls] == [{"a": 1}, {"a": 2}]


def test_b_25_prose_about_a_call_is_prose() -> None:
    text = 'To search, write brave_search.call(query="llamas") and wait.'
    found = read(text, [SEARCH])
    assert (found.message.content, found.calls, found.statuses) == (text, [], [])
    assert "stands among other text" in str(found.message.malformed_call)


def test_b_26_text_around_a_call_is_kept() -> None:
    found = read('Let me see. <TAG>{"name": "add", "parameters": {"a": 1}} Done.', [ADD])
    assert found.calls == [Call("add", {"a": 1})]
    assert found.message.content == found.spoken == "Let me see.  Done."


@pytest.mark.parametrize(
    "value",
    [
        {"b": {"c": [{"d": 1}]}},
        "it's",
        'the "best" one',
        "two\nlines",
        "}</function>",
        "a\\nb",
        [[[[1]]]],
        "😀",
        {"name": "x", "parameters": {}},
    ],
)
def test_b_27_nested_and_quoted_arguments_survive_in_every_form(value: Any) -> None:
    arguments = {"a": value}
    for text in (
        f"<function=add>{json.dumps(arguments)}</function>",
        f"<function=add>{json.dumps(arguments, indent=2, ensure_ascii=False)}</function>",
        json.dumps({"type": "function", "name": "add", "parameters": arguments}),
        f"[add(a={value!r})]",
    ):
        assert read(text, [ADD]).calls == read(f"<TAG>{text}", [ADD]).calls == [Call("add", arguments)]


def test_b_27_line_breaks_as_they_are_survive() -> None:
    assert read('<function=add>{"a": "two\nlines"}</function>', [ADD]).calls == [Call("add", {"a": "two\nlines"})]


def test_b_28_words_of_json_are_values_in_a_python_list() -> None:
    found = read("[anything(x=true, y=false, z=null, a=[True, None])]", [ANY])
    assert found.calls == [Call("anything", {"x": True, "y": False, "z": None, "a": [True, None]})]


def test_b_29_a_builtin_tool_in_json_keeps_the_names_of_its_arguments() -> None:
    found = read('<TAG>{"type": "function", "name": "brave_search", "parameters": {"query": "x"}}', [SEARCH])
    assert found.message.tool_calls[0].tool_name is BuiltinTool.brave_search
    assert found.calls == [Call("brave_search", {"query": "x"})]
    code = read('<TAG>{"name": "code_interpreter", "parameters": {"code": "print(1)"}}', [CODE])
    assert code.calls == [Call("code_interpreter", {"code": "print(1)"})]
    nothing = read('<TAG>{"name": "brave_search", "parameters": {}}', [SEARCH])
    assert nothing.calls == [Call("brave_search", {})], "what is missing is for the tool to say"


@pytest.mark.parametrize("text", ['brave_search.call(query="x', "brave_search.call(query=x)", 'brave_search.call("x")'])
def test_b_30_a_broken_builtin_call_is_not_code(text: str) -> None:
    for tools in ([SEARCH], [SEARCH, CODE]):
        found = read(f"<TAG>{text}", tools)
        assert (found.calls, found.message.content, found.statuses[-1]) == ([], text, FAILURE)
        assert "cannot be read" in str(found.message.malformed_call)


def test_b_30_other_quotes_are_quotes() -> None:
    found = read("<TAG>brave_search.call(query='it\\'s')", [SEARCH, CODE])
    assert found.calls == [Call("brave_search", {"query": "it's"})]


@pytest.mark.parametrize(
    "text",
    [
        "<function=rm>{}</function>",
        '{"type": "function", "name": "rm", "parameters": {}}',
        "[rm()]",
        'wolfram_alpha.call(query="x")',
        "import os",
    ],
)
def test_b_31_what_was_not_offered_is_not_called(text: str) -> None:
    for tools in ([], [ADD], [ADD, SEARCH]):
        found = read(text, tools)
        assert (found.calls, found.message.content) == ([], text)
        tagged = read(f"<TAG>{text}", tools)
        assert (tagged.calls, tagged.message.content) == ([], text)
        assert (tagged.statuses[0], tagged.statuses[-1]) == (STARTED, FAILURE)
        assert tagged.message.malformed_call
