"""What people say without wanting anything done: as in `data/statements*.txt`, or of words in any company."""

from __future__ import annotations

from functools import cache
from random import Random

from llama_nb.demo import copied, values, words
from llama_nb.demo.topics import lines_of

_CLOSERS = ("!", " :)", ".", ", you know", "...")

_WHO = "I|we|my brother|my sister|my boss|my neighbour|she|he|they|my friend|our team|my mother|{person}|my colleague|the kids".split("|")
_DID = (
    "saw|liked|loved|hated|forgot|bought|sold|found|lost|broke|painted|visited|missed|enjoyed|read about|talked about|"
    "thought about|dreamed of|finished|fixed|cleaned|ordered|sent|cooked|watched|heard about|wrote about|tried|dropped"
).split("|")
_FEEL = (
    "happy|sad|tired|bored|hungry|excited|nervous|angry|proud|lonely|relaxed|sick|curious|lucky|busy|confused|relieved"
).split("|")
_WHEN = (
    "|||yesterday|last week|again|this morning|at work|at home|last night|a lot|never before|in {city}|on {weekday}|"
    "a year ago|with {person}|after lunch|for hours|by accident"
).split("|")
_LIKED = "great|terrible|fine|boring|too expensive|wonderful|strange|nice|overrated|beautiful|too loud|just right|lovely".split("|")


@cache
def _written() -> tuple[str, ...]:
    return lines_of("statements*.txt")


def statement(rng: Random) -> str:
    text = rng.choice(_written()) if rng.random() < 0.6 else _made_up(rng)
    return words.typed(rng, values.fill(rng, words.say(rng, text)), closers=_CLOSERS)


def _made_up(rng: Random) -> str:
    one, two, three = copied.some(rng, 3)
    who, when, liked, feel = rng.choice(_WHO), rng.choice(_WHEN), rng.choice(_LIKED), rng.choice(_FEEL)
    thing = rng.choice((one, f"{one} {two}", f"{rng.choice(words.ADJECTIVES)} {one}", words.word(rng)))
    return rng.choice(
        (
            f"{who} {rng.choice(_DID)} (the|a|that|my|our|some) {thing} {when}",
            f"{who} {rng.choice(_DID)} (the|a|that|my|our|some) {thing} {when}",
            f"(the|that|my|our) {thing} (is|was) (really|very|so|quite|a bit|) {liked} {when}",
            f"(the|that|my) {thing} (broke|arrived|got lost|stopped working|made me smile|was late|is gone) {when}",
            f"I (feel|am feeling|was|felt) (so|very|a bit|really|quite|) {feel} {when}",
            f"I (am|feel) {feel} (about|because of) (the|my|that) {thing}",
            f"(I think|in my opinion|I believe|honestly|I guess) (the|that|my) {thing} (is|was) {liked}",
            f"I (like|love|hate|prefer|can't stand|don't like|adore) {thing} (more than {three}|)",
            f"(what a|such a) {rng.choice(_LIKED)} {thing} {when}",
            f"(there was|we had|there is) a {thing} (in|near|under|behind) (the|our|my) {three} {when}",
            f"my {thing} (is called {{person}}|comes from {{city}}|is {{small}} years old|has {{small}} {three})",
        )
    )
