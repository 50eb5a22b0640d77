"""What prompt lookup gives: answers that repeat what was said, and some that do not, with and without it by turns.

    python tests/benchmarks/lookup.py [--checkpoint FOLDER] [--repeat 7]

One line of JSON on stdout: tokens/s with and without for both kinds, medians, and their ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path

import torch

from llama_nb import loop
from llama_nb.demo import CHECKPOINT
from llama_nb.engine.client import Engine
from llama_nb.engine.protocol import Done, Sampling, Start, Submit
from llama_nb.prompt_format.encode import Turn

QUESTIONS = ("What can you do?", "How do I run a config?", "How do I open the panel?", "Show me an example with code.")


def dialog(*texts: str) -> list[Turn]:
    roles = ("user", "assistant")
    return [Turn(role=roles[place % 2], text=text) for place, text in enumerate(texts)]


async def answered(engine: Engine, *texts: str, temperature: float = 0.0) -> tuple[str, float]:
    """The answer to the last of `texts`, and at how many tokens a second it grew."""
    text, rate = "", 0.0
    request = Submit(id=0, dialog=dialog(*texts), max_tokens=120, sampling=Sampling(temperature=temperature, seed=1))
    async for event in engine.answer(request):
        if isinstance(event, Done):
            rate = event.tokens_per_s
        else:
            text += getattr(event, "text", "")
    return text, rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    engines = {
        lookup: Engine(Start(checkpoint=str(options.checkpoint), prompt_lookup=lookup)) for lookup in (True, False)
    }
    first = {question: loop.run(answered(engines[False], question))[0] for question in QUESTIONS}
    kinds = {"again": lambda one: (one, first[one], one), "new": lambda one: (one,)}
    rates: dict[tuple[str, bool], list[float]] = {(kind, lookup): [] for kind in kinds for lookup in engines}
    for _ in range(options.repeat):
        for question in QUESTIONS:
            for kind, texts in kinds.items():
                said = set()
                for lookup, engine in engines.items():
                    text, rate = loop.run(answered(engine, *texts(question)))
                    rates[kind, lookup].append(rate)
                    said.add(text)
                assert len(said) == 1, "the answers differ"
    for engine in engines.values():
        engine.close()
    figures: dict[str, float | str] = {"torch": torch.__version__, "load_average": round(os.getloadavg()[0], 2)}
    for kind in kinds:
        with_it, without = (statistics.median(rates[kind, lookup]) for lookup in (True, False))
        figures |= {f"{kind}_with": round(with_it, 1), f"{kind}_without": round(without, 1)}
        figures[f"{kind}_ratio"] = round(with_it / without, 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
