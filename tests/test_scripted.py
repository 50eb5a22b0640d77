"""The provider of written answers: one for each request, in their order, with calls where they have a tag."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llama_nb import errors, loop
from llama_nb.apis.inference import ChoiceResponseFormat, JsonSchemaResponseFormat
from llama_nb.apis.messages import StopReason, ToolChoice, ToolDefinition, UserMessage
from llama_nb.providers.inference import scripted

ASK = [UserMessage(content="hi there")]
TOOL = ToolDefinition(tool_name="add", parameters={})
CALL = '{"type": "function", "name": "add", "parameters": {}}'


def provider(*answers: str, **config: Any) -> scripted.Scripted:
    return scripted.create(scripted.Config(answers=list(answers), **config))


def asked(scripted: scripted.Scripted, **request: Any) -> Any:
    return loop.run(scripted.chat_completion("scripted", ASK, **request)).completion_message


def test_a_call_its_result_and_a_last_word_are_three_answers() -> None:
    rounds = provider(f"<|python_tag|>{CALL}<|eom_id|>", f"And <|python_tag|>{CALL}", "It is 3.")
    first, second, third, again = (asked(rounds, tools=[TOOL]) for _ in range(4))
    assert [call.tool_name for call in first.tool_calls] == ["add"]
    assert first.stop_reason is StopReason.end_of_message
    assert (second.content, len(second.tool_calls)) == ("And ", 1)
    assert (third.content, third.tool_calls, third.stop_reason) == ("It is 3.", [], StopReason.end_of_turn)
    assert len(again.tool_calls) == 1, "from the first again"


def test_what_is_streamed_is_what_was_written() -> None:
    text = "  two  spaces, <|python_tagx, a word that is long\n\nand an end "
    assert "".join(provider(text)._pieces(text)) == text
    assert asked(provider(text)).content == text


def test_a_prefill_stands_before_the_answer_and_where_no_call_is_wanted_there_is_none() -> None:
    assert asked(provider("it is."), prefill="So ").content == "So it is."
    for request in ({"tool_choice": ToolChoice.none}, {"response_format": ChoiceResponseFormat(choices=[CALL])}):
        message = asked(provider(CALL), tools=[TOOL], **request)
        assert (message.content, message.tool_calls) == (CALL, [])
    assert asked(provider(CALL), tools=[TOOL]).tool_calls


def test_what_no_model_could_keep_to_is_refused_here_too() -> None:
    with pytest.raises(errors.BadRequest, match="`uniqueItems`"):
        asked(provider("x"), response_format=JsonSchemaResponseFormat(json_schema={"uniqueItems": True}))
    with pytest.raises(errors.BadRequest, match="which is not offered"):
        asked(provider("x"), tools=[TOOL], tool_choice="ad")


def test_a_prompt_can_be_too_long_and_is_counted_in_words() -> None:
    small = provider("x", max_seq_len=3)
    assert loop.run(small.count_tokens("scripted", ASK)).model_dump() == {"prompt_tokens": 2, "max_seq_len": 3}
    assert asked(small).content == "x"
    with pytest.raises(errors.ContextOverflow, match="3 words, the context of this model holds 3"):
        loop.run(small.chat_completion("scripted", ASK + [UserMessage(content="more")]))


def test_a_completion_is_the_next_answer_letter_by_letter() -> None:
    completed = loop.run(provider(f"<|python_tag|>{CALL}").completion("scripted", "hi"))
    assert completed.completion_message.content == f"<|python_tag|>{CALL}"


def test_vectors_are_near_where_words_are_shared() -> None:
    def vectors(*contents: Any) -> list[list[float]]:
        return loop.run(provider("x").embeddings("scripted", list(contents))).embeddings

    one, other, third = vectors("a red fox", "the red fox", "quantum chromodynamics")
    assert math.hypot(*one) == pytest.approx(1)
    assert math.dist(one, other) < math.dist(one, third)
    assert vectors("a red fox") == [one]
    for contents in ((), ("x", " ")):
        with pytest.raises(errors.BadRequest):
            vectors(*contents)
