"""Answers that were damaged in every way: nothing raises, no letter is lost, and no call comes out of thin air."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from llama_nb.apis.messages import StopReason
from llama_nb.prompt_format import offer
from llama_nb.prompt_format.calls import Reading, read_calls
from tests.counts import full
from tests.prompt_format.answers import OFFERED, an_answer, cuttings, pieces_of, read
from tests.prompt_format.published import blocks

PUBLISHED = [
    block.text.replace("<|python_tag|>", "<TAG>").replace("<|eom_id|>", "").replace("<|eot_id|>", "")
    for block in blocks()
    if not block.is_prompt
]
POISON = [
    '"',
    "'",
    "{",
    "}",
    "]",
    ")",
    "\\",
    "\\ud800",
    "\ud800",
    "\udc00\ud83d",
    "\x00",
    "1e999999",
    "-1e400",
    "9**9**9",
    "'a' * 10**9",
    "NaN",
    "Infinity",
    "1" * 5_000,
    "[" * 3_000,
    '{"a":' * 3_000,
    "(" * 3_000,
    "<TAG>",
    "<|python_tag|>",
    "<function=add>",
    "</function>",
    '{"type": "function", "name": "add", "parameters": {"a": ',
    "[add(a=",
    "add.call(query=",
    "; ",
    "\u202e",
    "\ufeff",
    "😀",
    "\r\n",
]


def truncated(text: str, chance: random.Random) -> str:
    return text[: chance.randrange(len(text) + 1)]


def inserted(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(POISON) + text[at:]


def deleted(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + text[at + chance.randint(1, 5) :]


def doubled(text: str, chance: random.Random) -> str:
    at, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    return text[:end] + text[at:end] + text[end:]


def replaced(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    letter = chr(chance.choice([chance.randrange(0x250), chance.randrange(0xD7F0, 0xE010), chance.randrange(0x110000)]))
    return text[:at] + letter + text[at + 1 :]


def swapped(text: str, chance: random.Random) -> str:
    one, other = chance.sample("\"'{}[]()=:,<>\\ae1", 2)
    return text.replace(one, other)


MUTATIONS: list[Callable[[str, random.Random], str]] = [truncated, inserted, deleted, doubled, replaced, swapped]


def mutated(text: str, chance: random.Random) -> str:
    for _ in range(chance.choice([1, 1, 1, 2, 3, 5])):
        text = chance.choice(MUTATIONS)(text, chance)
    return text


def whole(text: str) -> str:
    """As it is told: half a character is U+FFFD, a tag is nothing."""
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text.replace("<TAG>", ""))


def check(text: str, chance: random.Random) -> bool:
    """Whether something was called."""
    tools = chance.sample(OFFERED, chance.randint(0, len(OFFERED)))
    reason = chance.choice(list(StopReason))
    found = read(text, tools, stop_reason=reason)
    for cuts in cuttings(text, chance, 2):
        assert len(text) > 2_000 or read(text, tools, cuts, reason).story == found.story
    assert found.told == whole(text)
    if found.calls:
        assert {call.tool_name for call in found.message.tool_calls} <= {tool.tool_name for tool in tools}
        assert found.message.malformed_call is None
    else:
        assert found.message.content == whole(text)
    assert json.loads(found.message.model_dump_json()), "it can travel"
    for event in found.events:
        event.model_dump_json()
    assert not tools or found.calls or found.statuses == [] or found.message.malformed_call
    assert tools or found.message.tool_calls == []
    return bool(found.calls)


def check_many(count: int) -> int:
    chance = random.Random(6)
    return sum(
        check(mutated(chance.choice(PUBLISHED) if chance.random() < 0.4 else an_answer(chance), chance), chance)
        for _ in range(count)
    )


def test_mutated_answers_raise_nothing_and_lose_no_letter() -> None:
    count = full(1_000, 10_000)
    calls = check_many(count)
    assert count / 20 < calls < count * 19 / 20, "some survive as calls, and some do not"


@pytest.mark.parametrize("text", POISON)
def test_each_poison_alone_and_in_each_place_of_a_call(text: str) -> None:
    chance = random.Random(repr(text))
    places = [
        "{}",
        "<TAG>{}",
        "[add(a={})]",
        "<TAG>[add(a={})]",
        '<function=add>{{"a": {}}}</function>',
        "<function={}>{{}}",
    ]
    places += [
        '{{"name": "add", "parameters": {{"a": {}}}}}',
        '<TAG>{{"name": "{}", "parameters": {{}}}}',
        '<TAG>x.call(query="{}")',
    ]
    for place in places:
        check(place.format(text), chance)


def test_the_check_sees_a_reader_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(text: str) -> Reading:
        return Reading([], text, str(json.loads(text)))

    monkeypatch.setattr(offer, "read", hasty)
    with pytest.raises(ValueError):
        check_many(100)


def test_the_check_sees_a_reader_that_loses_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: offer.Offer, parts: list[str], breaks_off: bool) -> offer.Verdict:
        return tagged(self, parts, breaks_off)._replace(text="")

    tagged = offer.Offer.tagged
    monkeypatch.setattr(offer.Offer, "tagged", forgetful)
    with pytest.raises(AssertionError):
        check_many(100)


@pytest.mark.parametrize(
    "unit", ["[", '{"a":', '{"name": "add", "parameters": {"a": [', "[add(a=", "\\", "<TAG>", " ", "<function=add>{"]
)
def test_what_is_deep_or_long_is_read_in_bounded_time(unit: str) -> None:
    text = unit * (50_000 // len(unit))
    assert read_calls(text) is None
    for start in ("", "<TAG>", "[add(a="):
        steps = [piece for at in range(0, len(text), 10) for piece in pieces_of(text[at : at + 10])]
        if unit == "<TAG>":
            steps = pieces_of(text)
        assert read([*pieces_of(start), *steps], OFFERED).told == whole(start + text)
