"""Answers in a form, with a beginning, several at once; and what a wrong wish is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Required, TypedDict

import pytest
from pydantic import BaseModel

from llama_nb import errors
from llama_nb.apis.messages import StopReason
from llama_nb.chat import Chat, reply_markdown
from tests.stacks import LONG, calling, ended, heard, provider_of, written_chat


class Colour(Enum):
    red = "red"


class Part(BaseModel):
    name: str
    colour: Colour


class Car(BaseModel):
    wheels: int
    parts: list[Part]


@dataclass
class Point:
    x: int
    y: int = 0


class Named(TypedDict):
    name: str


class Family(TypedDict, total=False):
    """A family."""

    head: Required[Named]
    children: list[Named]
    car: Annotated[Named | None, "their car"]


class Tree(TypedDict, total=False):
    name: Required[str]
    left: Tree
    others: list[Tree] | None


CAR = Car(wheels=4, parts=[Part(name="door", colour=Colour.red)])


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (Car, CAR.model_dump_json(), CAR),
        (Point, '{"x": 1}', Point(1)),
        (Named, '{"name": "Ada"}', {"name": "Ada"}),
        (Family, '{"head": {"name": "Ada"}, "children": []}', {"head": {"name": "Ada"}, "children": []}),
        (Tree, '{"name": "a", "left": {"name": "b"}}', {"name": "a", "left": {"name": "b"}}),
        (list[Tree], '[{"name": "a", "others": [{"name": "b"}]}]', [{"name": "a", "others": [{"name": "b"}]}]),
        (list[Named], '[{"name": "Ada"}]', [{"name": "Ada"}]),
        (list[int], "[1, 2]", [1, 2]),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a": 1}', {"a": 1}),
    ],
    ids=[
        "model",
        "dataclass",
        "typed dict",
        "nested",
        "recursive",
        "list of recursive ones",
        "list of them",
        "list",
        "json schema",
    ],
)
def test_an_answer_becomes_what_its_schema_describes(schema: Any, text: str, value: Any) -> None:
    chat = written_chat(text)
    reply = chat.ask("?", schema=schema)
    assert reply.parsed == value
    assert type(reply.parsed) is type(value)
    assert str(reply) == text
    [request] = provider_of(chat).asked
    assert request["response_format"].type == "json_schema"
    if isinstance(schema, dict):
        assert request["response_format"].json_schema == schema


def test_what_a_typed_dict_requires_is_required() -> None:
    chat = written_chat("{}")
    with pytest.raises(errors.AnswerInvalid, match="head"):
        chat.ask("?", schema=Family)
    schema = provider_of(chat).asked[0]["response_format"].json_schema
    assert (schema["required"], schema["description"]) == (["head"], "A family.")


def test_a_form_is_one_of_four() -> None:
    for given in (
        {"type": "regex", "regex": "[0-9]+"},
        {"type": "choice", "choices": ["yes", "no"]},
        {"type": "grammar", "grammar": 'start: "x"'},
    ):
        chat = written_chat("1")
        assert chat.ask("?", response_format=given).parsed is None
        [request] = provider_of(chat).asked
        assert request["response_format"].model_dump() == given


def test_an_answer_with_a_form_is_offered_no_tools() -> None:
    def add(a: int) -> int:
        """Adds."""
        return a

    chat = written_chat("[1]", tools=[add], tool_choice="required")
    chat.ask("?", schema=list[int])
    [request] = provider_of(chat).asked
    assert (request["tools"], request["tool_choice"]) == ([], None)


def test_an_answer_that_was_cut_off_says_so_and_stays() -> None:
    chat = written_chat('{"wheels": 4, "par', provider={"cut": True})
    reply = chat.start("?", schema=Car)
    with pytest.raises(errors.AnswerInvalid, match="cut off at 1 tokens"):
        reply.wait()
    assert (reply.parsed, reply.text) == (None, '{"wheels": 4, "par')
    assert [message.role for message in chat.messages] == ["user", "assistant"]
    assert "(failed)" in reply_markdown(reply)


def test_a_whole_answer_that_was_cut_off_behind_its_end_is_an_answer() -> None:
    assert written_chat("[1]", provider={"cut": True}).ask("?", schema=list[int]).parsed == [1]


@pytest.mark.parametrize(
    ("text", "words"), [("no JSON", "not JSON"), ('{"wheels": "many", "parts": []}', "wheels"), ("[]", "does not fit")]
)
def test_an_answer_that_does_not_fit_is_told(text: str, words: str) -> None:
    """Of a provider that has no grammar, or one that lies."""
    with pytest.raises(errors.AnswerInvalid, match=words):
        written_chat(text).ask("?", schema=Car)


def test_a_type_may_ask_for_more_than_its_schema_can_say() -> None:
    from pydantic import field_validator

    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def even(cls, number: int) -> int:
            assert number % 2 == 0, "it is odd"
            return number

    assert written_chat('{"number": 2}').ask("?", schema=Even).parsed == Even(number=2)
    with pytest.raises(errors.AnswerInvalid, match="it is odd"):
        written_chat('{"number": 3}').ask("?", schema=Even)


def test_a_stopped_answer_is_not_parsed() -> None:
    chat = written_chat(LONG, provider={"delay_s": 0.002})
    with heard(chat, "progress", lambda event: bool(event.reply and event.reply.text)) as speaking:
        reply = chat.start("?", schema=Car)
        assert speaking.wait(60)
    reply.stop()
    ended(reply)
    assert (reply.error, reply.parsed, reply.stopped) == (None, None, True)


def test_prefill_begins_the_answer_of_the_first_round() -> None:
    def look() -> str:
        """Looks."""
        return "seen"

    chat = written_chat([calling("look")], "Done.", tools=[look], approval="allow")
    reply = chat.ask("?", prefill="Well, ")
    assert [request["prefill"] for request in provider_of(chat).asked] == ["Well, ", ""]
    assert reply.messages[0].content == "Well, "
    assert written_chat("yes").ask("?", prefill="Well, ").text == "Well, yes"


def test_n_gives_several_answers_the_first_of_them_said() -> None:
    chat = written_chat("one", "two", "three")
    events = []
    chat.listen(lambda event: events.append(event.event.delta) if event.event else None)
    reply = chat.ask("a b", n=3, seed=7, temperature=1.0)
    assert [choice.content for choice in reply.choices] == ["one", "two", "three"]
    assert str(reply) == "one"
    assert "".join(events) == "one", "only the first one streams"
    assert [message.content for message in chat.messages] == ["a b", "one"]
    asked = provider_of(chat).asked
    assert [request["params"].seed for request in asked] == [7, 8, 9]
    assert [len(request["messages"]) for request in asked] == [1, 1, 1]
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 3
    assert chat.context_use is not None
    assert chat.context_use.prompt_tokens == 2 + 1, "what the others took is not in the context"


def test_without_a_seed_the_provider_chooses_them() -> None:
    chat = written_chat("x")
    assert len(chat.ask("?", n=2).choices) == 2
    assert [request["params"].seed for request in provider_of(chat).asked] == [None, None]
    assert len(chat.ask("?").choices) == 1


def test_n_answers_follow_the_same_results() -> None:
    looked = []

    def look() -> str:
        """Looks."""
        looked.append(1)
        return "seen"

    chat = written_chat([calling("look")], "one", [calling("look"), "two"], tools=[look], approval="allow")
    reply = chat.ask("?", n=2)
    assert [choice.content for choice in reply.choices] == ["one", "two"]
    assert len(looked) == 1, "what the others call is not run"
    assert [len(request["messages"]) for request in provider_of(chat).asked] == [1, 3, 3]


def test_one_choice_that_fails_fails_the_answer_and_keeps_what_was_said() -> None:
    chat = written_chat("one", "two")
    grow, count = provider_of(chat)._chunks, []

    def second(*given: Any) -> Any:
        count.append(1)
        if len(count) > 1:
            raise errors.BadRequest("not again")
        return grow(*given)

    provider_of(chat)._chunks = second
    with pytest.raises(errors.BadRequest, match="not again"):
        chat.ask("?", n=2)
    assert [message.content for message in chat.messages] == ["?", "one"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"schema": "Car"}, "no JSON schema can be made"),
        ({"schema": CAR}, "no JSON schema can be made"),
        ({"schema": {"type": "object", "patternProperties": {}}}, "patternProperties"),
        ({"schema": Car, "response_format": {"type": "regex", "regex": "x"}}, "not both"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": "json"}, "response_format"),
        ({"schema": Car, "tool_choice": "required"}, "no tool is offered"),
        ({"prefill": 3}, "prefill"),
        ({"n": 0}, "n is 0"),
        ({"n": True}, "n is True"),
        ({"n": "2"}, "n is '2'"),
        ({"repetition_penalty": "high"}, "repetition_penalty"),
        ({"shema": Car}, "Did you mean `schema`"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_told_at_once(options: dict[str, Any], words: str) -> None:
    chat = written_chat("x")
    with pytest.raises(errors.BadRequest, match=words):
        chat.start("?", **options)
    assert (chat.messages, provider_of(chat).asked) == ([], [])


def test_a_form_and_a_forced_call_exclude_each_other() -> None:
    def add(a: int) -> int:
        """Adds."""
        return a

    with pytest.raises(errors.BadRequest, match="calls no tool"):
        written_chat("x", tools=[add]).start("?", schema=Car, tool_choice="add")


def test_repetition_penalty_and_tool_format_reach_the_provider() -> None:
    chat = written_chat("x", tool_prompt_format="function_tag")
    chat.ask("?", repetition_penalty=1.2)
    [request] = provider_of(chat).asked
    assert request["params"].repetition_penalty == 1.2
    assert request["tool_prompt_format"].value == "function_tag"
    with pytest.raises(errors.BadRequest, match="`python_list`"):
        written_chat("x", tool_prompt_format="pythonlist")


def test_the_schema_of_a_remote_reference_is_refused() -> None:
    with pytest.raises(errors.BadRequest, match="point into itself"):
        written_chat("{}").ask("?", schema={"$ref": "http://127.0.0.1:1/schema.json"})


def test_a_reply_of_json_can_be_read_again() -> None:
    chat: Chat = written_chat(CAR.model_dump_json())
    reply = chat.ask("?", schema=Car)
    assert json.loads(str(reply))["wheels"] == 4
    assert reply.stop_reason is StopReason.end_of_turn
