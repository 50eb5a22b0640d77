"""What a grammar costs, with Llama 3's whole vocabulary: `python tests/benchmarks/grammar.py`.

Each token of a written answer is taken through the generator's own code. `mask_us` is all that a grammar adds to a
token: computing what may come, applying it to the logits, taking the token, looking for forced ones; `mask_swept_us` the same when the caches
hold nothing of it. `greedy_us` and `top_p_us` are what the sampler takes with its mask and without: choosing among few
tokens is quicker than among all. Medians, on the CPU. The last line of output is one JSON object; nothing is asserted here.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from llama_models.llama3.tokenizer import Tokenizer

from llama_nb.apis.inference import JsonSchemaResponseFormat, RegexResponseFormat
from llama_nb.apis.messages import ToolDefinition, ToolParamDefinition, ToolPromptFormat
from llama_nb.engine.grammar import Vocabulary
from llama_nb.engine.protocol import Sampling
from llama_nb.engine.sampling import Sampler
from llama_nb.prompt_format.constrain import call_grammar, response_grammar
from llama_nb.prompt_format.family import Family
from llama_nb.prompt_format.grammar import Grammar

ROUNDS = 20
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 40}},
        "home": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}},
        "mood": {"enum": ["calm", "curious", "tired"]},
    },
    "required": ["name", "age", "tags", "home", "mood"],
}
ADA = json.dumps(
    {
        "name": "Ada Lovelace of Marylebone, London",
        "age": 36,
        "tags": ["first programmer", "analytical engine", "poetical science"],
        "home": {"city": "St James's Square", "zip": "SW1Y 4JU"},
        "mood": "curious",
    }
)
WEATHER = ToolDefinition(
    tool_name="get_weather",
    parameters={
        "city": ToolParamDefinition(param_type="str"),
        "days": ToolParamDefinition(param_type="int"),
        "units": ToolParamDefinition(param_type="str", required=False),
    },
)
CALL = '{"type": "function", "name": "get_weather", "parameters": {"city": "San Francisco", "days": 3, "units": "C"}}'
CASES: dict[str, tuple[Grammar, str]] = {
    "schema": (response_grammar(JsonSchemaResponseFormat(json_schema=PERSON)), ADA),
    "regex": (
        response_grammar(RegexResponseFormat(regex=r"\w+@\w+\.(com|org)")),
        "ada_lovelace_of_london@analytical_engine.org",
    ),
    "call, json": (call_grammar([WEATHER], Family.llama3_1), f"<|python_tag|>{CALL}<|eom_id|>"),
    "call, function_tag": (
        call_grammar([WEATHER], Family.llama3_1, ToolPromptFormat.function_tag),
        '<function=get_weather>{"city": "San Francisco", "days": 3}</function>',
    ),
    "call, python_list": (
        call_grammar([WEATHER], Family.llama3_2),
        '[get_weather(city="San Francisco", days=3), get_weather(city="Berlin", days=5)]',
    ),
}


def microseconds(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return (time.perf_counter() - began) * 1e6, result


def masks(vocabulary: Vocabulary, grammar: Grammar, tokens: Sequence[int], *, swept: bool) -> list[float]:
    """What the grammar adds to each token. `swept`: as after a forward pass, with nothing left in the caches."""
    logits = torch.randn(vocabulary.size, generator=torch.Generator().manual_seed(0))
    weights = torch.zeros(8_000_000)
    found: list[float] = []
    for _ in range(ROUNDS):
        constraint = vocabulary.constraint(grammar)
        for token in tokens:
            if swept:
                weights.add_(1)
                logits = logits + 0  # the head has just written them
            computed, mask = microseconds(constraint.mask)
            applied, _ = microseconds(partial(mask.apply, logits))
            taken, _ = microseconds(partial(constraint.take, token))
            # Forced tokens would be taken as well: here the written ones follow, so they are only looked for.
            looked, _ = microseconds(constraint._matcher.compute_ff_tokens)
            found.append(computed + applied + taken + looked)
    return found


def choosing(
    vocabulary: Vocabulary, grammar: Grammar, tokens: Sequence[int], sampling: Sampling
) -> tuple[float, float]:
    """What the sampler takes for a token with its mask, and what without: the medians."""
    logits = torch.randn(vocabulary.size, generator=torch.Generator().manual_seed(0)) * 4
    sampler = Sampler(sampling, torch.device("cpu"))
    constraint = vocabulary.constraint(grammar)
    masked, plain = [], []
    for token in tokens:
        mask = constraint.mask()
        masked.append(microseconds(partial(sampler, logits, mask))[0])
        plain.append(microseconds(partial(sampler, logits))[0])
        constraint.take(token)
    return statistics.median(masked), statistics.median(plain)


def forced_share(vocabulary: Vocabulary, grammar: Grammar, tokens: Sequence[int]) -> float:
    """Which part of the answer's tokens needs no forward pass of its own."""
    constraint = vocabulary.constraint(grammar)
    place = forced = 0
    while place < len(tokens):
        more = constraint.forced()
        forced += len(more)
        place += len(more)
        if place < len(tokens):
            constraint.take(tokens[place])
            place += 1
    return forced / place


def main() -> None:
    torch.set_num_threads(1)
    tokenizer = Tokenizer.get_instance()
    vocabulary = Vocabulary(tokenizer)
    prepared, _ = microseconds(lambda: vocabulary.constraint(Grammar("lark", 'start: "a"')))
    everything: dict[str, list[float]] = {"mask_us": [], "mask_swept_us": []}
    figures: dict[str, Any] = {"vocabulary": vocabulary.size, "prepare_vocabulary_s": prepared / 1e6}
    for name, (grammar, text) in CASES.items():
        tokens = tokenizer.encode(text, bos=False, eos=False, allowed_special="all")
        compiled = min(microseconds(partial(vocabulary.constraint, grammar))[0] for _ in range(5))
        found = {key: masks(vocabulary, grammar, tokens, swept=key == "mask_swept_us") for key in everything}
        everything = {key: everything[key] + found[key] for key in everything}
        figures[name] = {key: statistics.median(values) for key, values in found.items()} | {
            "mask_p99_us": statistics.quantiles(found["mask_us"], n=100)[98],
            "greedy_us, without": choosing(vocabulary, grammar, tokens, Sampling()),
            "top_p_us, without": choosing(vocabulary, grammar, tokens, Sampling(0.8, 0.95, 0, 1)),
            "compile_ms": compiled / 1e3,
            "tokens, forced": (len(tokens), forced_share(vocabulary, grammar, tokens)),
        }
    figures |= {key: statistics.median(values) for key, values in everything.items()} | {
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
    }
    rounded = json.loads(json.dumps(figures), parse_float=lambda number: round(float(number), 3))
    for name, figure in rounded.items():
        sys.stdout.write(f"{name:30} {figure}\n")
    sys.stdout.write(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    main()
