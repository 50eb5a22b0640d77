"""What a tool gives back, and the sentence that tells it."""

from __future__ import annotations

import json
import re
from random import Random

from llama_nb.demo import values, words
from llama_nb.demo.asks import Use
from llama_nb.demo.offers import Offer

_GOOD = ("ok", "done", "OK", "success", "true", "Done.", '{"status": "ok"}', '{"success": true}', "finished", "yes")


def result(rng: Random, one: Offer) -> str:
    results = one.family.results
    if not results:
        return rng.choice(_GOOD) if rng.random() < 0.75 else values.fill(rng, "{code}")
    kind = rng.random()
    if kind < 0.05:
        pairs = {words.made_up(rng): rng.choice((words.number(rng), words.word(rng))) for _ in range(rng.randint(1, 3))}
        return json.dumps(pairs)
    if kind < 0.12:
        return values.fill(rng, rng.choice(("{message}", "{topic}", "{word}: {count}, {word}: {count}", "{note}")))
    return values.fill(rng, rng.choice(results))


def told(one: Offer, asked: Use, came: str) -> str:
    """The sentence that tells the result of a call.

    JSON is read aloud: its keys and values in turn.
    """
    plain = _read_aloud(came)
    answer = one.family.answer
    if "{r}" not in answer and came not in _GOOD:
        answer = answer.rstrip(".") + ": {r}."
    if plain is not came and answer.endswith((" is {r}.", " are {r}.")):
        answer = answer.rpartition(" ")[0].rpartition(" ")[0] + ": {r}."
    for place, text in asked.typed.items():
        answer = answer.replace(f"{{{place}}}", text)
    answer = answer[:1].upper() + answer[1:]
    return answer.replace("{r}", plain.rstrip(".")) if not re.search(r"\{\d\}", answer) else f"The result: {plain}."


def _read_aloud(came: str) -> str:
    try:
        content = json.loads(came)
    except ValueError:
        return came
    if not isinstance(content, dict):
        return came
    return ", ".join(f"{key} {json.dumps(value) if isinstance(value, bool) else value}" for key, value in content.items())


def trouble(came: str) -> str:
    """What is wrong, out of a failed result.

    >>> trouble('{"error": "no such city"}'), trouble("Error: too late.")
    ('no such city', 'too late')
    """
    try:
        content = json.loads(came)
    except ValueError:
        content = None
    text = str(content["error"]) if isinstance(content, dict) and "error" in content else came
    return re.sub(r"^(error|failed): ", "", text, flags=re.IGNORECASE).rstrip(".")
