"""What people and tools wrote is letters to the model; what the model wrote itself is read back as it was generated."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_models.datatypes import RawMessage
from llama_models.llama3.chat_format import ChatFormat
from llama_models.llama3.tokenizer import Tokenizer

from llama_nb.apis.messages import (
    CompletionMessage,
    Message,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolResponseMessage,
    UserMessage,
)
from llama_nb.prompt_format import encode
from llama_nb.prompt_format.encode import Answer, DialogEncoder, Turn
from llama_nb.prompt_format.render import render
from llama_nb.prompt_format.text import well_formed
from llama_nb.prompt_format.tokenizer import load_tokenizer
from tests.counts import full
from tests.engine import tiny

TODAY = date(2024, 9, 21)


@pytest.fixture(scope="module", params=["tiny", "llama3"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    if request.param == "llama3":
        return load_tokenizer(Path(tiny.llama3_tokenizer_path()).parent)
    folder = tmp_path_factory.mktemp("vocabulary")
    tiny.write_tokenizer_model(folder)
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def llama3() -> Tokenizer:
    return load_tokenizer(Path(tiny.llama3_tokenizer_path()).parent)


ROLES: dict[str, Callable[[str], list[Message]]] = {
    "user": lambda text: [UserMessage(content=text)],
    "context": lambda text: [UserMessage(content="hi", context=text)],
    "system": lambda text: [SystemMessage(content=text)],
    "tool result": lambda text: [ToolResponseMessage(call_id="1", tool_name="f", content=text)],
    "answer": lambda text: [CompletionMessage(content=text, stop_reason=StopReason.end_of_turn)],
    "call": lambda text: [
        CompletionMessage(
            content="",
            stop_reason=StopReason.end_of_message,
            tool_calls=[ToolCall(call_id="1", tool_name=text, arguments={text: text})],
        )
    ],
}


def controls_in(tokenizer: Tokenizer, messages: list[Message]) -> list[int]:
    ids = DialogEncoder(tokenizer).encode(render(messages, today=TODAY))
    return [token for token in ids if token >= tokenizer.bos_id]


def forged(tokenizer: Tokenizer, count: int) -> list[str]:
    """Each control token's spelling, and strings of them and of what stands around them."""
    names = list(tokenizer.special_tokens)
    chance = random.Random(0)
    crumbs = [*names[:12], "<|", "|>", "<", ">", "\n\n", "user", " ", "\u200b", "eot_id", "é"]
    mixes = ["".join(chance.choices(crumbs, k=chance.randint(1, 6))) for _ in range(count)]
    return [*names, *mixes]


@pytest.mark.parametrize("role", ROLES)
def test_a_control_token_that_is_typed_is_letters(role: str, tokenizer: Tokenizer) -> None:
    expected = controls_in(tokenizer, ROLES[role]("harmless"))
    for text in forged(tokenizer, full(200, 20_000)):
        assert controls_in(tokenizer, ROLES[role](text)) == expected, text


def test_the_check_sees_an_encoder_that_takes_control_tokens_from_text(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trusting(self: DialogEncoder, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, bos=False, eos=False, allowed_special="all")
        return ids

    expected = controls_in(tokenizer, ROLES["user"]("harmless"))
    monkeypatch.setattr(DialogEncoder, "_text", trusting)
    assert controls_in(tokenizer, ROLES["user"]("<|eot_id|>")) != expected


PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(st.none() | PLAIN, st.lists(PLAIN, min_size=1, max_size=5))
def test_plain_dialogs_are_encoded_as_llama_models_does(
    llama3: Tokenizer, system: str | None, texts: list[str]
) -> None:
    messages: list[Message] = [] if system is None else [SystemMessage(content=system)]
    theirs = [RawMessage(role="system", content=system)] if system else []  # we send no empty one
    for index, text in enumerate(texts):
        if index % 2:
            messages.append(CompletionMessage(content=text, stop_reason=StopReason.end_of_turn))
            theirs.append(RawMessage(role="assistant", content=text, stop_reason="end_of_turn"))
        else:
            messages.append(UserMessage(content=text))
            theirs.append(RawMessage(role="user", content=text))
    assert (
        DialogEncoder(llama3).encode(render(messages, today=TODAY))
        == ChatFormat(llama3).encode_dialog_prompt(theirs).tokens
    )


@given(st.text(st.characters(), max_size=30), st.sampled_from(["\ud83d", "\udc00", "\ud83d\ud83d", "a\udfffb"]))
def test_half_characters_become_U_FFFD_and_whole_ones_stay(text: str, half: str) -> None:
    mended = well_formed(text + half)
    mended.encode("utf-8")
    assert "\ufffd" in mended
    assert well_formed("👩‍👩‍👧 \ufeff é") == "👩‍👩‍👧 \ufeff é"
    (turn,) = render([UserMessage(content=text + half)], today=TODAY)
    assert turn.text == mended


def test_a_dialog_of_megabytes_is_encoded_whatever_it_is_made_of(llama3: Tokenizer) -> None:
    size = full(200_000, 5_000_000)
    for text in ("a" * size, " " * size, "\n" * size, "ab " * (size // 3), "👩‍👧" * (size // 20), "1" * size):
        assert len(DialogEncoder(llama3).encode([Turn("user", text)])) > 10


# --- Kept answers ---------------------------------------------------------------------------------------------------


def answer_of(*pieces: tuple[list[int], str]) -> Answer:
    answer = Answer()
    for ids, text in pieces:
        answer.append(ids, text)
    return answer


class Told:
    """An encoder that was told of an answer: `[104, 105]` for "hi", which no encoder would write so."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.encoder = DialogEncoder(tokenizer)
        self.question = [Turn("user", "who?")]
        self.prompt = self.encoder.encode(self.question)
        self.eot = tokenizer.eot_id

    def keep(self, *pieces: tuple[list[int], str]) -> None:
        self.encoder.keep(self.prompt, answer_of(*pieces))

    def after(self, turn: Turn) -> list[int]:
        """The ids that stand for `turn` after the question, before the next header."""
        ids = self.encoder.encode([*self.question, turn])
        assert ids[: len(self.prompt)] == self.prompt
        return ids[len(self.prompt) : -len(DialogEncoder(self.tokenizer).encode([])[1:])]

    def anew(self, turn: Turn) -> list[int]:
        return DialogEncoder(self.tokenizer)._body(turn)


THE = [*b"the"]  # bytes, where an encoder takes the word's own token


@pytest.fixture
def told(tmp_path: Path) -> Told:
    tiny.write_tokenizer_model(tmp_path)
    return Told(load_tokenizer(tmp_path))


def test_an_answer_is_read_back_with_the_ids_it_was_generated_with(told: Told) -> None:
    told.keep((THE, "the"), ([32], " "), ([told.eot], ""))
    turn = Turn("assistant", "the ")
    assert told.after(turn) == [*THE, 32, told.eot] != told.anew(turn)


def test_a_stopped_answer_is_read_back_up_to_the_end_of_a_piece(told: Told) -> None:
    told.keep((THE, "the"), ([32], " "), ([*b"end"], "end"))
    assert told.after(Turn("assistant", "the ")) == [*THE, 32, told.eot]


@pytest.mark.parametrize("text", ["th", "The ", "the end!", "", " the "])
def test_an_edited_answer_is_encoded_anew(told: Told, text: str) -> None:
    told.keep((THE, "the"), ([32], " "), ([*b"end"], "end"), ([told.eot], ""))
    turn = Turn("assistant", text)
    assert told.after(turn) == told.anew(turn)


def test_an_answer_after_another_prompt_is_encoded_anew(told: Told) -> None:
    told.keep((THE, "the"), ([told.eot], ""))
    turn = Turn("assistant", "the")
    other = told.encoder.encode([Turn("user", "what?"), turn])
    assert other == DialogEncoder(told.tokenizer).encode([Turn("user", "what?"), turn])


def test_what_a_user_repeats_is_not_taken_for_the_answer(told: Told) -> None:
    told.keep((THE, "the"), ([told.eot], ""))
    turn = Turn("user", "the")
    encoded = told.encoder.encode([*told.question, turn])
    assert encoded == DialogEncoder(told.tokenizer).encode([*told.question, turn])


def test_the_same_question_in_two_chats_keeps_both_answers(told: Told) -> None:
    told.keep((THE, "the"), ([told.eot], ""))
    told.keep(([*b"end"], "end"), ([told.eot], ""))
    told.keep()  # and in a third, where it was cancelled
    assert told.after(Turn("assistant", "the")) == [*THE, told.eot]
    assert told.after(Turn("assistant", "end")) == [*b"end", told.eot]


def test_a_call_is_read_back_with_the_ids_it_was_generated_with(told: Told) -> None:
    tag, eom = told.tokenizer.python_tag_id, told.tokenizer.eom_id
    written = '{"name": "f",  "parameters": {"a": 1}}'  # two spaces: not as we would write it
    told.keep((THE, "the"), ([tag], ""), ([*written.encode()], written), ([eom], ""))
    call = '{"type": "function", "name": "f", "parameters": {"a": 1}}'
    same = Turn("assistant", "the", call, end_of_message=True)
    assert told.after(same) == [*THE, tag, *written.encode(), eom]
    for other in (
        Turn("assistant", "the", call.replace("1", "2"), end_of_message=True),
        Turn("assistant", "the", call.replace("1", "true"), end_of_message=True),
        Turn("assistant", "", call, end_of_message=True),
    ):
        assert told.after(other) == told.anew(other)


def test_code_that_was_called_is_read_back_as_it_was_generated(told: Told) -> None:
    tag, eom = told.tokenizer.python_tag_id, told.tokenizer.eom_id
    told.keep(([tag], ""), (THE, "the"), ([eom], ""))
    turn = Turn("assistant", "", "the", end_of_message=True)
    assert told.after(turn) == [tag, *THE, eom] != told.anew(turn)


def test_a_text_that_stood_before_a_control_token_is_read_back_without_it(told: Told) -> None:
    tag = told.tokenizer.python_tag_id
    told.keep((THE, "the"), ([tag], ""), ([*b"end"], "end"), ([told.eot], ""))
    assert told.after(Turn("assistant", "the")) == [*THE, told.eot]
    assert told.after(Turn("assistant", "theend")) == [*THE, tag, *b"end", told.eot]


def test_a_call_is_written_behind_its_tag_and_after_the_text(told: Told) -> None:
    turn = Turn("assistant", "so: ", "f()", end_of_message=True)
    tag, eom = told.tokenizer.python_tag_id, told.tokenizer.eom_id
    assert told.after(turn) == [*b"so: ", tag, *b"f()", eom]


def test_a_call_without_a_tag_is_written_right_after_the_text(told: Told) -> None:
    turn = Turn("assistant", "so: ", "f()", tagged=False)
    assert told.after(turn) == [*b"so: f()", told.eot]


def test_a_call_that_was_generated_without_a_tag_is_read_back_so(told: Told) -> None:
    written = "[f(a='x')]"  # as a model writes it; its history is published with a tag and other quotes
    told.keep(([*written.encode()], written), ([told.eot], ""))
    assert told.after(Turn("assistant", "", '[f(a="x")]')) == [*written.encode(), told.eot]


def test_a_text_to_continue_has_a_beginning_and_no_header(told: Told) -> None:
    assert told.encoder.encode_text("the <|eot_id|>") == [
        told.tokenizer.bos_id,
        *told.tokenizer.encode("the <|eot_id|>", bos=False, eos=False),
    ]
    assert told.eot not in told.encoder.encode_text("the <|eot_id|>")


def test_only_so_many_answers_are_kept(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "KEPT_ANSWERS", 3)
    for number in range(10):
        told.encoder.keep([number], answer_of(([1], "x")))
        for _ in range(50):
            told.encoder.keep([number], answer_of(([1], "x")))
    assert list(told.encoder._answers) == [(7,), (8,), (9,)]
    assert all(len(answers) <= 50 for answers in told.encoder._answers.values())
