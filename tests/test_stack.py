"""The stack: who serves what, in which order, and how it is swapped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import llama_nb
from llama_nb import errors, loop
from llama_nb import stack as stacks
from llama_nb.apis.messages import UserMessage
from llama_nb.apis.models import ModelDefWithProvider
from llama_nb.chat import Chat
from llama_nb.stack import Stack
from tests.engine import tiny
from tests.stacks import checkpoint_config, config_of, entry, scripted_config, stack_of
from tests.test_config import SEEDS


@pytest.fixture(autouse=True)
def _own_stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins without a configured stack, and leaves none."""
    monkeypatch.setattr(stacks, "_current", None)
    yield
    if stacks._current is not None:
        stacks._current.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "tiny"
    tiny.write_meta_checkpoint(path)
    return path


def two_of_a_name() -> Stack:
    return stack_of(
        entry("faulty", "first", models=["a", "shared"]),
        entry("faulty", "second", models=["shared", "b"]),
    )


def listed(stack: Stack) -> list[tuple[str, str]]:
    return [(model.identifier, model.provider_id) for model in loop.run(stack.models.list_models())]


def provider(stack: Stack, provider_id: str) -> Any:
    return stack._providers[provider_id]


# --- Models: G-1 to G-3 -----------------------------------------------------------------------------------------------


def test_each_provider_is_asked_what_it_serves_in_the_order_of_the_config() -> None:
    """G-1, G-2: every pair, so a name that is served twice appears twice."""
    pairs = [("a", "first"), ("shared", "first"), ("shared", "second"), ("b", "second")]
    assert listed(two_of_a_name()) == pairs
    assert two_of_a_name().models.identifiers() == ["a", "shared", "b"]


def test_the_first_provider_of_a_name_is_asked() -> None:
    """G-3."""
    stack = two_of_a_name()
    found = loop.run(stack.models.get_model("shared"))
    assert found is not None
    assert found.provider_id == "first"
    question = [UserMessage(content="hi")]
    stack.inference.chat_completion("shared", question, stream=True)
    assert len(provider(stack, "first").asked) == 1
    assert provider(stack, "second").asked == []
    stack.inference.chat_completion("b", question, stream=True)
    assert len(provider(stack, "second").asked) == 1


def test_an_unknown_model_is_none_to_get_and_an_error_to_ask() -> None:
    stack = two_of_a_name()
    assert loop.run(stack.models.get_model("shard")) is None
    with pytest.raises(errors.ModelNotFound, match=r"`shard`.*Did you mean `shared`") as raised:
        stack.inference.chat_completion("shard", [])
    assert isinstance(raised.value, ValueError)


def test_the_calls_of_the_registry_work_in_any_loop() -> None:
    stack = two_of_a_name()

    async def names() -> list[str]:
        return [model.identifier for model in await stack.models.list_models()]

    assert asyncio.run(names()) == loop.run(names())


def test_the_list_is_a_copy() -> None:
    stack = two_of_a_name()
    loop.run(stack.models.list_models()).clear()
    assert len(listed(stack)) == 4


def test_a_registered_model_is_served_once_its_provider_agrees() -> None:
    stack = two_of_a_name()
    model = ModelDefWithProvider(identifier="new", llama_model="new", provider_id="second")
    asyncio.run(stack.models.register_model(model))
    assert provider(stack, "second").registered == ["new"]
    assert listed(stack)[-1] == ("new", "second")
    refused = ModelDefWithProvider(identifier="bad", llama_model="bad", provider_id="second")
    with pytest.raises(errors.BadRequest):
        asyncio.run(stack.models.register_model(refused))
    nobody = ModelDefWithProvider(identifier="x", llama_model="x", provider_id="secnd")
    with pytest.raises(ValueError, match=r"Provider `secnd` not found. Did you mean `second`"):
        asyncio.run(stack.models.register_model(nobody))
    assert listed(stack)[-1] == ("new", "second"), "nothing is stored of a failure"


def test_our_own_engine_refuses_to_register(folder: Path) -> None:
    stack = Stack.from_config(checkpoint_config(folder))
    [model] = loop.run(stack.models.list_models())
    with pytest.raises(NotImplementedError, match="provider of its own in the run config"):
        asyncio.run(stack.models.register_model(model.model_copy(update={"identifier": "other"})))


def test_every_call_reaches_the_provider_of_its_model_from_any_loop() -> None:
    stack = stack_of(
        entry("scripted", "first", answers=["one"], model="a"), entry("scripted", "second", answers=["two"], model="b")
    )
    inference = stack.inference
    question = [UserMessage(content="hi there")]

    async def all_of(model: str) -> list[Any]:
        completed = await inference.completion(model, "hi")
        streamed = [chunk.delta async for chunk in inference.completion(model, "hi", stream=True)]
        answered = await inference.chat_completion(model, question)
        vectors = await inference.embeddings(model, ["hi", "there"])
        counted = await inference.count_tokens(model, question)
        return [
            completed.completion_message.content,
            "".join(streamed),
            answered.completion_message.content,
            len(vectors.embeddings),
            counted.prompt_tokens,
        ]

    assert asyncio.run(all_of("a")) == loop.run(all_of("a")) == ["one", "one", "one", 2, 2]
    assert asyncio.run(all_of("b")) == ["two", "two", "two", 2, 2]


def test_messages_may_be_dicts_as_json_has_them() -> None:
    stack = stack_of(entry("scripted", answers=["one"]))
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}, UserMessage(content="well")]
    response = loop.run(stack.inference.chat_completion(stack.default_model, said))
    assert response.completion_message.content == "one"
    assert loop.run(stack.inference.count_tokens(stack.default_model, said[:1])).prompt_tokens > 0


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([{"role": "tool", "content": "5"}], r"(?s)'tool'.*ipython"),
        ([{"content": "hi"}], "role"),
        ([{"role": "user"}], r"0\.user\.content"),
        (["hi"], "0"),
        (5, "not iterable"),
    ],
)
def test_what_is_no_message_is_told(messages: Any, reason: str) -> None:
    stack = stack_of(entry("scripted", answers=["one"]))
    with pytest.raises(errors.BadRequest, match=reason):
        stack.inference.chat_completion(stack.default_model, messages)


def test_an_unknown_model_is_an_error_of_every_call() -> None:
    inference = two_of_a_name().inference
    with pytest.raises(errors.ModelNotFound):
        inference.completion("shard", "x", stream=True)
    with pytest.raises(errors.ModelNotFound):
        asyncio.run(inference.embeddings("shard", ["x"]))
    with pytest.raises(errors.ModelNotFound):
        asyncio.run(inference.count_tokens("shard", []))


# --- Inspect ----------------------------------------------------------------------------------------------------------


def test_inspect_lists_the_providers_of_each_api() -> None:
    listed = asyncio.run(two_of_a_name().inspect.list_providers())
    assert {api: [info.model_dump() for info in infos] for api, infos in listed.items()} == {
        "inference": [
            {"provider_id": "first", "provider_type": "faulty"},
            {"provider_id": "second", "provider_type": "faulty"},
        ]
    }


def test_inspect_lists_the_seeds_routes() -> None:
    routes = asyncio.run(two_of_a_name().inspect.list_routes())
    flat = {(info.route, info.method): info.provider_types for infos in routes.values() for info in infos}
    assert flat == {
        ("/inference/completion", "post"): ["faulty", "faulty"],
        ("/inference/chat_completion", "post"): ["faulty", "faulty"],
        ("/inference/embeddings", "post"): ["faulty", "faulty"],
        ("/models/list", "get"): [],
        ("/models/get", "get"): [],
        ("/models/register", "post"): [],
        ("/providers/list", "get"): [],
        ("/routes/list", "get"): [],
        ("/health", "get"): [],
    }


def test_inspect_says_that_it_is_well() -> None:
    assert asyncio.run(two_of_a_name().inspect.health()).model_dump() == {"status": "OK"}


# --- Which model ------------------------------------------------------------------------------------------------------


def test_the_default_is_the_configs_else_the_first() -> None:
    assert two_of_a_name().default_model == "a"
    stack = stack_of(entry("faulty", models=["a", "b"]), defaults={"model": "b"})
    assert stack.resolve(None) == "b"
    assert Chat(stack=stack).model == "b"
    assert Chat("a", stack=stack).model == "a"


def test_a_default_that_nobody_serves_is_told_when_a_chat_begins() -> None:
    stack = stack_of(entry("faulty", models=["a", "b"]), defaults={"model": "bb"})
    with pytest.raises(errors.ModelNotFound, match="`bb`"):
        Chat(stack=stack)


def test_the_environment_chooses_between_argument_and_default(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of(entry("faulty", models=["a", "b", "c"]))
    monkeypatch.setenv("LLAMA_NB_MODEL", "b")
    assert Chat(stack=stack).model == "b"
    assert Chat("c", stack=stack).model == "c"
    monkeypatch.setenv("LLAMA_NB_MODEL", "nobody")
    with pytest.raises(errors.ModelNotFound, match="`nobody`"):
        Chat(stack=stack)


@pytest.mark.parametrize("model", ["nobody", "/no/such/folder", "~/nothing", "x" * 5000, "a\0b", ""])
def test_what_is_neither_served_nor_a_checkpoint(model: str) -> None:
    with pytest.raises(errors.ModelNotFound):
        two_of_a_name().resolve(model)


def test_a_checkpoint_folder_is_served_under_its_name(folder: Path) -> None:
    stack = two_of_a_name()
    assert stack.resolve(folder) == "tiny"
    assert stack.resolve(str(folder)) == "tiny", "once"
    assert stack.resolve("tiny") == "tiny"
    assert listed(stack)[4:] == [("tiny", str(folder))]
    assert Chat(folder, stack=stack).model == "tiny"


def test_two_folders_of_one_name_are_two_models(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "tiny"
    tiny.write_meta_checkpoint(other, seed=5)
    stack = two_of_a_name()
    first, second = stack.resolve(folder), stack.resolve(other)
    assert first == "tiny"
    assert second == str(other)
    assert stack.models.provider_of(first) is not stack.models.provider_of(second)
    assert stack.resolve(other) == second


def test_a_folder_with_a_served_name_does_not_answer_for_it(tmp_path: Path) -> None:
    tiny.write_meta_checkpoint(tmp_path / "shared")
    stack = two_of_a_name()
    assert stack.resolve(tmp_path / "shared") == str(tmp_path / "shared")
    assert stack.resolve("shared") == "shared"


# --- The stack that Chat() and the magics use -------------------------------------------------------------------------


def test_configure_swaps_the_stack_and_ends_the_one_before() -> None:
    first = llama_nb.configure(config_of(entry("faulty", models=["one"])))
    assert Chat().model == "one"
    second = llama_nb.configure(config_of(entry("faulty", models=["two"])))
    assert Chat().model == "two"
    assert stacks.current() is second
    assert provider(first, "faulty").closed == 1
    assert provider(second, "faulty").closed == 0
    assert llama_nb.configure(second) is second
    assert provider(second, "faulty").closed == 0, "it is still the one"


def test_a_config_that_is_wrong_leaves_the_stack_as_it_was() -> None:
    before = llama_nb.configure(config_of(entry("faulty")))
    with pytest.raises(errors.ConfigError):
        llama_nb.configure({"providers": {}})
    assert stacks.current() is before
    assert provider(before, "faulty").closed == 0


def test_the_first_use_finds_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(scripted_config("found")))
    monkeypatch.setenv("LLAMA_NB_CONFIG", str(path))
    assert str(Chat().ask("hi")) == "found"
    assert stacks.current() is stacks.current()


def test_a_closed_stack_can_be_asked_again(folder: Path) -> None:
    stack = Stack.from_config(checkpoint_config(folder))
    assert stack.status("tiny").phase == "idle", "building a stack loads nothing"
    asyncio.run(stack.load("tiny"))
    assert stack.status("tiny").phase == "ready"
    chat = Chat(stack=stack)
    first = chat.ask("hi", max_tokens=5).text
    stack.close()
    assert stack.status("tiny").phase == "idle"
    chat.reset()
    assert chat.ask("hi", max_tokens=5).text == first
    stack.unload("tiny")
    assert stack.status("tiny").phase == "idle"


# --- The seed's own example -------------------------------------------------------------------------------------------


def test_the_seeds_example_builds_and_asking_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_MODELS_CONFIG_DIR", str(tmp_path))
    stack = Stack.from_config(yaml.safe_load(SEEDS))
    chat = Chat(stack=stack)
    assert chat.model == "Llama3.1-8B-Instruct"
    where = str(tmp_path / "checkpoints" / "Llama3.1-8B-Instruct")
    with pytest.raises(errors.CheckpointError) as raised:
        chat.ask("hi")
    assert where in str(raised.value), "where it was looked for"
    assert "`Llama3.1-8B-Instruct`" in str(raised.value)
    assert "params.json" in str(raised.value)
    assert chat.messages == []


# --- The public names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", llama_nb.__all__)
def test_each_public_name_loads(name: str) -> None:
    assert getattr(llama_nb, name) is not None
    assert name in dir(llama_nb)


def test_public_names_are_those_of_their_homes() -> None:
    assert llama_nb.Chat is Chat
    assert llama_nb.Stack is Stack
    assert llama_nb.configure is stacks.configure


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(AttributeError, match="Chat"):
        _ = llama_nb.Caht
