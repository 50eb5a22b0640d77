"""Text leaves in whole characters, nothing of a stop string is ever shown, and every token is accounted for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_models.llama3.tokenizer import Tokenizer

from llama_nb.prompt_format import detokenize
from llama_nb.prompt_format.detokenize import Detokenizer, Text, token_text
from llama_nb.prompt_format.tokenizer import load_tokenizer
from tests.counts import full
from tests.engine import tiny

WORDS = [
    "the thing and the other",
    "👩‍👩‍👧‍👦",  # four people joined by three joiners
    "🇩🇪🇫🇷",  # flags: two letters each
    "👍🏽",
    "é",  # e and a combining accent
    "ñandú",
    "เขา",
    "ﷺ",
    "日本語",
    "क्षि",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "\x00\x7f",
    "\ufeff\u202e",
    "a" * 30,
]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("vocabulary")
    tiny.write_tokenizer_model(folder)
    return load_tokenizer(folder)


def any_split(tokenizer: Tokenizer, text: str, chance: random.Random) -> list[int]:
    """Tokens that spell `text`, cut at random: between bytes, and into the words of the vocabulary."""
    ranks: dict[bytes, int] = tokenizer.model._mergeable_ranks
    data, at, tokens = text.encode(), 0, []
    while at < len(data):
        lengths = [length for length in range(1, 6) if data[at : at + length] in ranks and at + length <= len(data)]
        length = chance.choice(lengths)
        tokens.append(ranks[data[at : at + length]])
        at += length
    return tokens


def fed(detokenizer: Detokenizer, tokens: Sequence[int]) -> list[Text]:
    """As the generator feeds: until it is stopped, else to the end."""
    texts: list[Text] = []
    for token in tokens:
        texts += detokenizer.feed(token)
        if detokenizer.stopped:
            return texts
    return texts + detokenizer.flush()


def joined(texts: Sequence[Text]) -> tuple[list[int], str]:
    return [token for text in texts for token in text.tokens], "".join(text.text for text in texts)


def broken_characters(tokenizer: Tokenizer, count: int) -> int:
    """How many of so many texts, cut at random, did not arrive whole in every piece."""
    chance = random.Random(0)
    broken = 0
    for _ in range(count):
        text = " ".join(chance.choices(WORDS, k=4))
        tokens = any_split(tokenizer, text, chance)
        texts = fed(Detokenizer(tokenizer), tokens)
        whole = all("\ufffd" not in piece.text for piece in texts) and joined(texts) == (tokens, text)
        broken += not whole
    return broken


def test_characters_arrive_whole_however_the_tokens_cut_them(vocabulary: Tokenizer) -> None:
    assert broken_characters(vocabulary, full(500, 20_000)) == 0


def test_the_check_sees_tokens_that_are_decoded_one_by_one(
    vocabulary: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OneByOne:
        def decode(self, data: bytes, final: bool = False) -> str:
            return data.decode("utf-8", "replace")

        def getstate(self) -> tuple[bytes, int]:
            return b"", 0

        def reset(self) -> None: ...

    monkeypatch.setattr(detokenize.codecs, "getincrementaldecoder", lambda name: lambda errors: OneByOne())
    assert broken_characters(vocabulary, 50) == 50


@given(st.lists(st.integers(0, 287), max_size=40))
def test_invalid_bytes_become_U_FFFD_as_they_would_all_at_once(vocabulary: Tokenizer, tokens: list[int]) -> None:
    data = b"".join(vocabulary.model.decode_single_token_bytes(token) for token in tokens)
    assert joined(fed(Detokenizer(vocabulary), tokens)) == (tokens, data.decode("utf-8", "replace"))


@given(st.lists(st.integers(0, 543), max_size=40), st.lists(st.text(max_size=3), max_size=3))
def test_any_tokens_and_any_stop_strings_never_raise_and_no_token_is_lost(
    vocabulary: Tokenizer, tokens: list[int], stop: list[str]
) -> None:
    detokenizer = Detokenizer(vocabulary, stop)
    told, text = joined(fed(detokenizer, tokens))
    assert told == (tokens[: len(told)] if detokenizer.stopped else tokens)
    assert not any(string and string in text for string in stop if all(token < 288 for token in tokens))


def test_a_control_token_has_no_text_and_comes_alone(vocabulary: Tokenizer) -> None:
    tokens = [104, vocabulary.python_tag_id, 0xC3, vocabulary.eot_id]
    texts = fed(Detokenizer(vocabulary), tokens)
    assert texts == [
        Text([104], "h"),
        Text([vocabulary.python_tag_id], ""),
        Text([0xC3], "\ufffd"),
        Text([vocabulary.eot_id], ""),
    ]


STOPS = ["\n\n", "STOP", "the other", "🇫🇷", "ab", "xab", "aab", "thing", " ", "é", "\u0301"]


def shown_wrongly(tokenizer: Tokenizer, count: int) -> list[str]:
    """Texts of which more or less was shown than what stands before the first stop string."""
    chance = random.Random(1)
    wrong = []
    for _ in range(count):
        text = "".join(chance.choices([*WORDS, *STOPS, "a", "b", "x", "S", "STO"], k=5))
        stops = chance.sample(STOPS, chance.randint(1, 3))
        tokens = any_split(tokenizer, text, chance)
        detokenizer = Detokenizer(tokenizer, stops)
        texts = fed(detokenizer, tokens)
        # The first to be complete counts; of two that end together, the one that began before.
        ends = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
        told, shown = joined(texts)
        if ends:
            until = bytes_read(tokenizer, told).decode("utf-8", "ignore")
            starts = [at for stop in stops if (at := until.find(stop)) >= 0]
            right = detokenizer.stopped and starts and shown == text[: min(starts)] and min(ends)[0] <= len(until)
            right = right and len(bytes_read(tokenizer, told[:-1]).decode("utf-8", "ignore")) < min(ends)[0]
        else:
            right = (told, shown) == (tokens, text) and not detokenizer.stopped
        right = right and not any(stop in shown for stop in stops)
        wrong += [] if right else [text]
    return wrong


def bytes_read(tokenizer: Tokenizer, tokens: Sequence[int]) -> bytes:
    return b"".join(tokenizer.model.decode_single_token_bytes(token) for token in tokens)


def test_nothing_of_a_stop_string_is_shown_however_tokens_cut_it(vocabulary: Tokenizer) -> None:
    assert shown_wrongly(vocabulary, full(1000, 20_000)) == []


def test_the_check_sees_stop_strings_that_are_looked_for_in_one_token_only(
    vocabulary: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Detokenizer, "_stop_overlap", lambda self: 0)
    assert shown_wrongly(vocabulary, 200)


def test_every_way_to_cut_a_text_with_a_stop_string_into_tokens_shows_the_same(vocabulary: Tokenizer) -> None:
    ways = list(every_split(vocabulary, "éin the other thing".encode()))
    assert len(ways) > 100
    for tokens in ways:
        detokenizer = Detokenizer(vocabulary, ["the o"])
        texts = fed(detokenizer, tokens)
        assert detokenizer.stopped
        assert joined(texts)[1] == "éin "


def every_split(tokenizer: Tokenizer, data: bytes) -> Iterator[list[int]]:
    if not data:
        yield []
    ranks: dict[bytes, int] = tokenizer.model._mergeable_ranks
    for length in range(1, min(6, len(data) + 1)):
        if data[:length] in ranks:
            for rest in every_split(tokenizer, data[length:]):
                yield [ranks[data[:length]], *rest]


def test_text_is_shown_as_soon_as_it_is_certain(vocabulary: Tokenizer) -> None:
    detokenizer = Detokenizer(vocabulary, ["STOP"])
    assert joined(detokenizer.feed(ord("a"))) == ([97], "a")
    assert detokenizer.feed(ord("S")) == []
    assert joined(detokenizer.feed(ord("o"))) == ([83, 111], "So")
    assert detokenizer.feed(0xC3) == []
    assert joined(detokenizer.feed(0xA9)) == ([0xC3, 0xA9], "é")


def test_what_was_held_for_a_stop_string_that_did_not_come_is_shown_at_the_end(vocabulary: Tokenizer) -> None:
    tokens = [*b"so STO"]
    assert joined(fed(Detokenizer(vocabulary, ["STOP"]), tokens)) == (tokens, "so STO")


def test_an_empty_stop_string_stops_nothing(vocabulary: Tokenizer) -> None:
    assert joined(fed(Detokenizer(vocabulary, [""]), [*b"so"])) == ([*b"so"], "so")


def test_the_text_of_a_single_token_never_raises(vocabulary: Tokenizer) -> None:
    texts = [token_text(vocabulary, token) for token in range(vocabulary.n_words)]
    assert all(text.isprintable() or len(text) == 1 for text in texts)
    assert texts[0xC3] == "\\xc3"
    assert texts[vocabulary.eot_id] == "<|eot_id|>"


def test_the_real_vocabulary_spells_every_partial_character_whole() -> None:
    tokenizer = load_tokenizer(Path(tiny.llama3_tokenizer_path()).parent)
    partial = [
        token
        for token in range(tokenizer.bos_id)
        if "\ufffd" in tokenizer.model.decode_single_token_bytes(token).decode("utf-8", "replace")
    ]
    assert len(partial) > 1000
    for token in partial:
        texts = fed(Detokenizer(tokenizer), [token, tokenizer.eot_id])
        assert joined(texts)[0] == [token, tokenizer.eot_id]
    text = " ".join(WORDS)
    tokens = tokenizer.encode(text, bos=False, eos=False)
    assert joined(fed(Detokenizer(tokenizer), tokens)) == (tokens, text)
