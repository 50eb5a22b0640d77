"""The checkpoint in the package: whole, small enough, and able to do what it is for."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass

import pytest
import torch

from llama_nb.demo import CHECKPOINT
from llama_nb.demo.evaluate import Checkpoint, Result, evaluate
from llama_nb.demo.heldout import CASES

MEGABYTE = 1_000_000


def test_the_checklist_matches() -> None:
    lines = (CHECKPOINT / "checklist.chk").read_text("utf-8").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    assert sorted(listed) == ["consolidated.00.pth", "params.json", "tokenizer.model"]
    for name, digest in listed.items():
        assert hashlib.md5((CHECKPOINT / name).read_bytes()).hexdigest() == digest


def test_it_is_small_enough_for_the_package() -> None:
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) < 24 * MEGABYTE


def test_weights_have_the_shapes_that_params_say() -> None:
    from llama_models.llama3.args import ModelArgs

    params = ModelArgs(**json.loads((CHECKPOINT / "params.json").read_text("utf-8")))
    state = torch.load(CHECKPOINT / "consolidated.00.pth", weights_only=True)
    hidden = math.ceil(int(8 * params.dim / 3) * params.ffn_dim_multiplier / params.multiple_of) * params.multiple_of
    assert state["tok_embeddings.weight"].shape == (params.vocab_size, params.dim)
    assert state["layers.0.feed_forward.w1.weight"].shape == (hidden, params.dim)
    assert all(tensor.dtype is torch.bfloat16 for tensor in state.values()) and "output.weight" not in state
    Checkpoint(CHECKPOINT)


@dataclass(frozen=True)
class Expectation:
    group: str
    asked: int
    right: int


# Every third question or so, to be quick; `python -m llama_nb.demo` asks all. The numbers are a floor under what this
# checkpoint can do, not what one would wish: raise them when a better one is trained.
EXPECTATIONS = (
    Expectation("about llama_nb", 12, 10),
    Expectation("small talk, itself", 6, 4),
    Expectation("too large a question", 6, 4),
    Expectation("remembers", 6, 6),
    Expectation("calls a tool", 10, 8),
    Expectation("calls in tags", 6, 6),
    Expectation("calls an unseen tool", 6, 5),
    Expectation("built-in tools", 7, 5),
    Expectation("no call is due", 6, 5),
    Expectation("after a call", 6, 6),
)


@pytest.mark.parametrize("expectation", EXPECTATIONS, ids=lambda expectation: expectation.group)
def test_it_answers_what_it_has_never_read(expectation: Expectation) -> None:
    cases = [case for case in CASES if case.group == expectation.group]
    chosen = cases[:: max(1, len(cases) // expectation.asked)][: expectation.asked]
    results = evaluate(CHECKPOINT, chosen)
    assert sum(result.right for result in results) >= expectation.right, wrong(results)


def wrong(results: list[Result]) -> str:
    return "\n".join(f"{result.case.said[-1]!r} → {result.answer!r}" for result in results if not result.right)
