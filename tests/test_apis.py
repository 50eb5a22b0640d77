"""The words of the house are Llama Stack's: names, fields, values and defaults of its commit 6bb57e72a7.

The expectations are written out by hand from reference/seed_spec.md §1.1–1.4, so that no slip can be in both.
"""

from __future__ import annotations

import ast
import asyncio
import inspect as python_inspect
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticUndefined

from llama_nb import loop
from llama_nb.apis import inference, inspect, messages, models
from llama_nb.errors import ModelNotFound
from tests.stacks import entry, stack_of

REQUIRED = PydanticUndefined

ENUMS: dict[type[Enum], str] = {
    messages.Role: "system user assistant ipython",
    messages.BuiltinTool: "brave_search wolfram_alpha photogen code_interpreter",
    messages.ToolChoice: "auto required none",  # the last is ours
    messages.ToolPromptFormat: "json function_tag python_list",
    messages.StopReason: "end_of_turn end_of_message out_of_tokens",
    messages.SamplingStrategy: "greedy top_p top_k",
    inference.ChatCompletionResponseEventType: "start complete progress",
    inference.ToolCallParseStatus: "started in_progress failure success",
}

GREEDY, AUTO = messages.SamplingStrategy.greedy, messages.ToolChoice.auto
FAMILYS = None  # the seed has json, which Llama 3.2 does not know (B-35); None is what the model's family knows
SEEDS: dict[type[BaseModel], dict[str, Any]] = {
    messages.SamplingParams: {
        "strategy": GREEDY,
        "temperature": 0.0,
        "top_p": 0.95,
        "top_k": 0,
        "max_tokens": 0,
        "repetition_penalty": 1.0,
    },
    messages.URL: {"uri": REQUIRED},
    messages.ImageMedia: {"image": REQUIRED},
    messages.UserMessage: {"role": "user", "content": REQUIRED, "context": None},
    messages.SystemMessage: {"role": "system", "content": REQUIRED},
    messages.ToolResponseMessage: {"role": "ipython", "call_id": REQUIRED, "tool_name": REQUIRED, "content": REQUIRED},
    messages.CompletionMessage: {"role": "assistant", "content": REQUIRED, "stop_reason": REQUIRED, "tool_calls": []},
    messages.ToolCall: {"call_id": REQUIRED, "tool_name": REQUIRED, "arguments": REQUIRED},
    messages.ToolResponse: {"call_id": REQUIRED, "tool_name": REQUIRED, "content": REQUIRED},
    messages.ToolParamDefinition: {"param_type": REQUIRED, "description": None, "required": True, "default": None},
    messages.ToolDefinition: {"tool_name": REQUIRED, "description": None, "parameters": None},
    messages.TokenLogProbs: {"logprobs_by_token": REQUIRED},
    inference.LogProbConfig: {"top_k": 0},
    inference.ToolCallDelta: {"content": REQUIRED, "parse_status": REQUIRED},
    inference.ChatCompletionResponseEvent: {
        "event_type": REQUIRED,
        "delta": REQUIRED,
        "logprobs": None,
        "stop_reason": None,
    },
    inference.ChatCompletionResponseStreamChunk: {"event": REQUIRED},
    inference.ChatCompletionResponse: {"completion_message": REQUIRED, "logprobs": None},
    inference.ChatCompletionRequest: {
        "model": REQUIRED,
        "messages": REQUIRED,
        "sampling_params": messages.SamplingParams(),
        "tools": [],  # the seed has None, which its router makes []
        "tool_choice": AUTO,
        "tool_prompt_format": FAMILYS,
        "stream": False,
        "logprobs": None,
    },
    inference.CompletionRequest: {
        "model": REQUIRED,
        "content": REQUIRED,
        "sampling_params": messages.SamplingParams(),
        "stream": False,
        "logprobs": None,
    },
    inference.CompletionResponse: {"completion_message": REQUIRED, "logprobs": None},
    inference.CompletionResponseStreamChunk: {"delta": REQUIRED, "stop_reason": None, "logprobs": None},
    inference.EmbeddingsRequest: {"model": REQUIRED, "contents": REQUIRED},
    inference.EmbeddingsResponse: {"embeddings": REQUIRED},
    models.ModelDef: {"identifier": REQUIRED, "llama_model": REQUIRED, "metadata": {}},
    models.ModelDefWithProvider: {
        "identifier": REQUIRED,
        "llama_model": REQUIRED,
        "metadata": {},
        "provider_id": REQUIRED,
    },
    inspect.ProviderInfo: {"provider_id": REQUIRED, "provider_type": REQUIRED},
    inspect.RouteInfo: {"route": REQUIRED, "method": REQUIRED, "provider_types": REQUIRED},
    inspect.HealthInfo: {"status": REQUIRED},
}
OURS: dict[type[BaseModel], dict[str, Any]] = {
    messages.SamplingParams: {"seed": None, "stop": []},
    messages.CompletionMessage: {"malformed_call": None},
    inference.ChatCompletionResponseStreamChunk: {"malformed_call": None, "usage": None, "metrics": None},
    inference.ChatCompletionResponse: {"usage": None, "metrics": None},
    inference.ChatCompletionRequest: {"response_format": None, "prefill": ""},
    inference.CompletionRequest: {"response_format": None},
    inference.CompletionResponse: {"usage": None, "metrics": None},
    inference.CompletionResponseStreamChunk: {"usage": None, "metrics": None},
}
FORMATS = {f"{kind}ResponseFormat" for kind in ("JsonSchema", "Regex", "Choice", "Grammar")}


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_enums_have_the_seeds_values_in_its_order(enum: type[Enum]) -> None:
    assert [member.value for member in enum] == ENUMS[enum].split()
    assert [member.name for member in enum] == ENUMS[enum].split()


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}


@pytest.mark.parametrize("model", SEEDS, ids=lambda model: model.__name__)
def test_types_have_the_seeds_fields_and_defaults(model: type[BaseModel]) -> None:
    assert fields_of(model) == SEEDS[model] | OURS.get(model, {})


def test_no_type_was_left_out() -> None:
    """The negative control of the table: whatever is defined in `apis` is in it, or ours alone."""
    defined = {
        node.name
        for module in (messages, inference, models, inspect)
        for node in ast.parse(Path(str(module.__file__)).read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    protocols = {"Inference", "Models", "Inspect"}
    ours_alone = {"Usage", "Metrics", "TokenCount"} | FORMATS
    assert defined - protocols - ours_alone == {kind.__name__ for kind in [*ENUMS, *SEEDS]}


CHAT_COMPLETION = {
    "model": python_inspect.Parameter.empty,
    "messages": python_inspect.Parameter.empty,
    "sampling_params": None,  # the seed has SamplingParams(), shared between calls
    "tools": None,
    "tool_choice": AUTO,
    "tool_prompt_format": FAMILYS,
    "stream": False,
    "logprobs": None,
}


@pytest.mark.parametrize("provider_type", ["meta_reference", "scripted"])
def test_chat_completion_has_the_seeds_arguments(provider_type: str) -> None:
    module = __import__(f"llama_nb.providers.inference.{provider_type}", fromlist=["create"])
    [provider] = [kind for kind in vars(module).values() if hasattr(kind, "chat_completion")]
    parameters = python_inspect.signature(provider.chat_completion).parameters
    by_position = {name: given.default for name, given in parameters.items() if given.kind is not given.KEYWORD_ONLY}
    assert {name: default for name, default in by_position.items() if name != "self"} == CHAT_COMPLETION
    assert parameters.keys() - by_position.keys() == {"response_format", "prefill"}, "ours stand behind the star"


@pytest.mark.parametrize(
    ("protocol", "arguments"),
    [
        (models.Models.list_models, []),
        (models.Models.get_model, ["identifier"]),
        (models.Models.register_model, ["model"]),
        (inspect.Inspect.list_providers, []),
        (inspect.Inspect.list_routes, []),
        (inspect.Inspect.health, []),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_other_calls_have_the_seeds_arguments(protocol: Any, arguments: list[str]) -> None:
    assert list(python_inspect.signature(protocol).parameters)[1:] == arguments
    assert python_inspect.iscoroutinefunction(protocol)


# --- What the types do ------------------------------------------------------------------------------------------------


def test_messages_are_told_apart_by_their_role() -> None:
    read = TypeAdapter(list[messages.Message]).validate_python
    said = read(
        [
            {"role": "system", "content": "a"},
            {"role": "user", "content": "b", "context": "c"},
            {"role": "assistant", "content": "d", "stop_reason": "end_of_turn"},
            {"role": "ipython", "call_id": "1", "tool_name": "brave_search", "content": "e"},
        ]
    )
    assert [type(message).__name__ for message in said] == [
        "SystemMessage",
        "UserMessage",
        "CompletionMessage",
        "ToolResponseMessage",
    ]
    with pytest.raises(ValidationError, match="role"):
        read([{"role": "tool", "content": "f"}])


@pytest.mark.parametrize("kind", [messages.ToolCall, messages.ToolResponse, messages.ToolDefinition])
def test_the_name_of_a_builtin_tool_becomes_its_enum(kind: type[BaseModel]) -> None:
    rest = {"call_id": "1", "arguments": {}, "content": ""}
    assert kind(tool_name="brave_search", **rest).tool_name is messages.BuiltinTool.brave_search  # type: ignore[attr-defined]
    assert kind(tool_name="get_weather", **rest).tool_name == "get_weather"  # type: ignore[attr-defined]


def test_extra_keys_are_ignored() -> None:
    assert messages.UserMessage.model_validate({"content": "a", "colour": "red"}) == messages.UserMessage(content="a")


def test_a_message_crosses_json_unchanged() -> None:
    message = messages.CompletionMessage(
        content=["a", messages.ImageMedia(image=messages.URL(uri="file:x"))],
        stop_reason=messages.StopReason.end_of_message,
        tool_calls=[messages.ToolCall(call_id="1", tool_name="brave_search", arguments={"query": ["a", {"b": None}]})],
    )
    assert messages.CompletionMessage.model_validate_json(message.model_dump_json()) == message


def test_a_streamed_event_reads_as_the_seeds() -> None:
    """H-3: all keys are there, nulls too."""
    event = inference.ChatCompletionResponseEvent(event_type=inference.ChatCompletionResponseEventType.start, delta="")
    assert event.model_dump(mode="json") == {
        "event_type": "start",
        "delta": "",
        "logprobs": None,
        "stop_reason": None,
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        (["a", "b"], "a b"),
        (messages.ImageMedia(image=messages.URL(uri="x")), "<media>"),
        (["a", messages.ImageMedia(image=messages.URL(uri="x"))], "a <media>"),
        ([], ""),
    ],
)
def test_content_reads_as_text(content: Any, text: str) -> None:
    assert messages.interleaved_text_media_as_str(content) == text


def test_defaults_are_not_shared() -> None:
    messages.SamplingParams().stop.append("x")
    assert messages.SamplingParams().stop == []
    messages.CompletionMessage(content="", stop_reason=messages.StopReason.end_of_turn).tool_calls.append(None)  # type: ignore[arg-type]
    assert messages.CompletionMessage(content="", stop_reason=messages.StopReason.end_of_turn).tool_calls == []


# --- a plain def, whose result is an iterator or an awaitable -----------------------------------------------------


SAY = {"model": "scripted", "messages": [messages.UserMessage(content="hi")]}


async def asked(stack: Any) -> tuple[str, str]:
    """The answer as a whole, and the same joined from its stream."""
    whole = await stack.inference.chat_completion(**SAY)
    chunks = [chunk async for chunk in stack.inference.chat_completion(**SAY, stream=True)]
    kinds = [chunk.event.event_type.value for chunk in chunks]
    assert kinds == ["start", *["progress"] * (len(kinds) - 2), "complete"]
    return whole.completion_message.content, "".join(chunk.event.delta for chunk in chunks)


def test_chat_completion_answers_a_foreign_event_loop() -> None:
    stack = stack_of(entry("scripted", answers=["Hello there, friend."]))
    assert asyncio.run(asked(stack)) == ("Hello there, friend.",) * 2
    assert asyncio.run(asked(stack)) == ("Hello there, friend.",) * 2, "a second loop, after the first is closed"


def test_chat_completion_answers_our_own_event_loop() -> None:
    stack = stack_of(entry("scripted", answers=["Hello there, friend."]))
    assert loop.run(asked(stack)) == ("Hello there, friend.",) * 2


def test_chat_completion_is_a_plain_def() -> None:
    stack = stack_of(entry("scripted", answers=["Hello."]))
    stream = stack.inference.chat_completion(**SAY, stream=True)  # type: ignore[call-overload]
    assert hasattr(stream, "__aiter__")
    assert not python_inspect.isawaitable(stream)
    whole = stack.inference.chat_completion(**SAY)  # type: ignore[call-overload]
    assert python_inspect.isawaitable(whole)
    assert not hasattr(whole, "__aiter__")
    assert asyncio.run(_result(whole)).completion_message.content == "Hello."


async def _result(awaitable: Any) -> Any:
    return await awaitable


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_raises_when_the_function_is_called(stream: bool) -> None:
    stack = stack_of(entry("scripted", answers=["Hello."]))
    with pytest.raises(ModelNotFound, match=r"`scripter`.*Did you mean `scripted`"):
        stack.inference.chat_completion(**{**SAY, "model": "scripter"}, stream=stream)  # type: ignore[call-overload]


def test_arguments_may_be_given_by_position() -> None:
    stack = stack_of(entry("scripted", answers=["Hello."]))
    call: Any = stack.inference.chat_completion
    arguments = ("scripted", SAY["messages"], messages.SamplingParams(), [], AUTO, messages.ToolPromptFormat.json)
    assert asyncio.run(_result(call(*arguments, False))).completion_message.content == "Hello."
    assert hasattr(call(*arguments, True), "__aiter__")
    with pytest.raises(TypeError):
        call(*arguments, colour="red")


def test_leaving_a_stream_early_ends_it_in_our_loop_too() -> None:
    closed: list[str] = []

    async def source() -> Any:
        try:
            while True:
                yield "piece"
        finally:
            closed.append("closed")

    async def leave_early() -> None:
        stream: Any = loop.aiterate(source())
        async for _ in stream:
            break
        await stream.aclose()

    loop.run(leave_early())
    assert closed == ["closed"]
