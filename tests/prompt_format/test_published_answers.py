"""Every answer that Meta printed, fed token by token, gives exactly the calls it is printed for, however it is cut."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache

import pytest
from llama_models.llama3.tokenizer import Tokenizer

from llama_nb.apis.messages import StopReason, ToolDefinition
from llama_nb.prompt_format.answer import AnswerReader
from llama_nb.prompt_format.calls import Call
from llama_nb.prompt_format.detokenize import Detokenizer, Text
from llama_nb.prompt_format.family import Family
from tests.counts import full
from tests.prompt_format.answers import ALPHA, CODE, FAILURE, IN_PROGRESS, SEARCH, STARTED, SUCCESS, WEATHER, Read, tool
from tests.prompt_format.published import Block, blocks

ANSWERS = [block for block in blocks() if not block.is_prompt]
SONGS = tool("trending_songs", "n", "genre")
USER_INFO = tool("get_user_info", "user_id", "special")
FAMILIES = {
    "llama3_1": Family.llama3_1,
    "llama3_2_text": Family.llama3_2,
    "llama3_2_vision": Family.llama3_2_vision,
}
GOLD = Call("brave_search", {"query": "latest price of 1oz gold"})
# Document and index of the answer: the tools of its prompt, and the calls. None stands for the code of the answer.
CALLS: dict[tuple[str, int], tuple[list[ToolDefinition], list[Call] | None]] = {
    ("llama3_1", 5): ([SEARCH, ALPHA], [GOLD]),
    ("llama3_1", 7): ([CODE], None),
    ("llama3_1", 9): ([SEARCH, ALPHA], []),
    ("llama3_1", 11): ([SONGS], [Call("trending_songs", {"n": "10", "genre": "all"})]),
    ("llama3_1", 13): ([SONGS], [Call("trending_songs", {"n": 10})]),
    ("llama3_2_text", 3): (
        [WEATHER],
        [
            Call("get_weather", {"city": "San Francisco", "metric": "celsius"}),
            Call("get_weather", {"city": "Seattle", "metric": "celsius"}),
        ],
    ),
    ("llama3_2_text", 5): ([USER_INFO], [Call("get_user_info", {"user_id": 7890, "special": "black"})]),
    ("llama3_2_text", 7): ([CODE], None),
    ("llama3_2_text", 9): ([WEATHER], []),
    ("llama3_2_vision", 5): ([SEARCH, ALPHA], [GOLD]),
}
TAG = "<|python_tag|>"


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.get_instance()


def name_of(block: Block) -> str:
    return f"{block.document}-{block.index}"


def tools_of(block: Block) -> list[ToolDefinition]:
    return CALLS.get((block.document, block.index), ([], []))[0]


def said(block: Block) -> str:
    """Without the token that ends it."""
    return block.text.removesuffix("<|eot_id|>").removesuffix("<|eom_id|>")


def stop_reason_of(block: Block) -> StopReason:
    if block.text.endswith("<|eot_id|>"):
        return StopReason.end_of_turn
    return StopReason.end_of_message if block.text.endswith("<|eom_id|>") else StopReason.out_of_tokens


def expected_calls(block: Block) -> list[Call]:
    _, calls = CALLS.get((block.document, block.index), ([], []))
    return [Call("code_interpreter", {"code": said(block).removeprefix(TAG)})] if calls is None else calls


def tokens_of(block: Block) -> list[int]:
    ids: list[int] = tokenizer().encode(block.text, bos=False, eos=False, allowed_special="all")
    return ids


def pieces_of(tokens: Sequence[int]) -> Iterator[Text]:
    """The pieces that the generator makes of them."""
    text = Detokenizer(tokenizer())
    for token in tokens:
        yield from text.feed(token)
    yield from text.flush()


def read(block: Block, pieces: Sequence[Text], tools: Sequence[ToolDefinition]) -> Read:
    reader = AnswerReader(tokenizer().special_tokens, tools, family=FAMILIES[block.document])
    events = [reader.start()]
    for piece in pieces:
        events += reader.feed(piece.tokens, piece.text)
    events += reader.end(stop_reason_of(block))
    assert reader.message is not None
    found = Read(reader.message, events)
    assert found.message.content == found.spoken
    return found


def grouped(pieces: Sequence[Text], cuts: Sequence[int]) -> list[Text]:
    """Neighbours put together between the cuts; a control token stays alone."""
    groups: list[Text] = []
    for index, (tokens, text) in enumerate(pieces):
        alone = not text or not groups or not groups[-1].text
        if alone or index in cuts:
            groups.append(Text(tokens, text))
        else:
            groups[-1] = Text(groups[-1].tokens + tokens, groups[-1].text + text)
    return groups


def test_there_are_36_blocks_and_half_of_them_are_answers() -> None:
    assert (len(blocks()), len(ANSWERS)) == (36, 18)
    assert {(block.document, block.index) for block in ANSWERS} >= CALLS.keys()
    tagged = [block for block in ANSWERS if block.text.startswith((TAG, "<function=", "["))]
    assert all(expected_calls(block) for block in tagged) and len(tagged) == 8


@pytest.mark.parametrize("block", ANSWERS, ids=name_of)
def test_a_published_answer_gives_exactly_its_calls(block: Block) -> None:
    found = read(block, list(pieces_of(tokens_of(block))), tools_of(block))
    assert found.calls == expected_calls(block)
    assert found.message.content == ("" if found.calls else said(block))
    assert found.message.stop_reason is stop_reason_of(block)
    assert found.message.malformed_call is None
    if found.calls:
        assert found.statuses == [STARTED, IN_PROGRESS, SUCCESS]
        assert found.call_text == said(block).removeprefix(TAG)


@pytest.mark.parametrize("block", ANSWERS, ids=name_of)
def test_every_cut_of_a_published_answer_tells_the_same_story(block: Block) -> None:
    pieces = list(pieces_of(tokens_of(block)))
    story = read(block, pieces, tools_of(block)).story
    chance = random.Random(block.text)
    some = [[chance.randrange(len(pieces) + 1) for _ in range(4)] for _ in range(full(10, 200))]
    for cuts in ([], *([cut] for cut in range(len(pieces))), *some):
        assert read(block, grouped(pieces, cuts), tools_of(block)).story == story
    for cut in range(0, len(said(block)), full(5, 1)):  # of letters, also within tokens
        tag, text = ([Text([tokenizer().python_tag_id], "")], said(block).removeprefix(TAG))
        halves = [Text([0], text[:cut]), Text([0], text[cut:])]
        assert read(block, [*(tag if TAG in block.text else []), *halves], tools_of(block)).story == story


@pytest.mark.parametrize("block", [block for block in ANSWERS if expected_calls(block)], ids=name_of)
def test_a_published_call_of_what_was_not_offered_is_text(block: Block) -> None:
    pieces = list(pieces_of(tokens_of(block)))
    for tools in ([], [tool("another")]):
        found = read(block, pieces, tools)
        assert (found.calls, found.message.content) == ([], said(block).removeprefix(TAG))
        assert found.statuses == ([STARTED, IN_PROGRESS, FAILURE] if TAG in block.text else [])


@pytest.mark.parametrize("block", [block for block in ANSWERS if TAG in block.text], ids=name_of)
def test_a_published_call_whose_tag_is_spelled_in_letters_is_text(block: Block) -> None:
    letters: list[int] = tokenizer().encode(said(block), bos=False, eos=False)
    assert max(letters) < tokenizer().bos_id
    found = read(block, list(pieces_of(letters)), tools_of(block))
    assert (found.calls, found.statuses, found.message.content) == ([], [], said(block))
