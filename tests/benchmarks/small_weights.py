"""How fast a model decodes in bfloat16, int8 and int4 on this machine: `python tests/benchmarks/small_weights.py`.

Random weights of two real shapes, through our own runner, the kinds by turns and the best of several rounds; beside it
what the memory gave in the same rounds. `--profile` tells where the time of a token goes. The last line of output is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the generator has it

from llama_nb.engine.worker import cores

os.environ.setdefault("OMP_NUM_THREADS", str(cores()))

import torch
from torch import nn

from llama_nb.engine.checkpoint import empty_transformer, place
from llama_nb.engine.model import ModelArgs, Transformer
from llama_nb.engine.protocol import Quantization, Submit
from llama_nb.engine.quantize import pack_linears, stored_bytes
from llama_nb.engine.runner import Chosen, Runner
from llama_nb.engine.scheduler import Sequence

SHAPES = {
    "1b": ModelArgs(2048, 16, 32, 8, 8192, 128_256, 4096, tied_head=True),
    "160m": ModelArgs(768, 12, 12, 4, 2048, 128_256, 4096, tied_head=True),
}
KINDS: dict[str, tuple[torch.dtype, Quantization | None]] = {
    "float32": (torch.float32, None),
    "plain bf16": (torch.bfloat16, None),
    "bf16": (torch.bfloat16, None),
    "int8": (torch.bfloat16, "int8"),
    "int4": (torch.bfloat16, "int4"),
    "fp8": (torch.bfloat16, "fp8"),
}


def random_model(args: ModelArgs, kind: str) -> Transformer:
    """A model of that shape; "plain" ones keep torch's own layers."""
    dtype, quantization = KINDS[kind]
    model = empty_transformer(args)
    pool = torch.randn(2**24, generator=torch.Generator().manual_seed(0)).mul_(0.02).to(dtype)
    for name, parameter in list(model.named_parameters()):
        repeats = -(-parameter.numel() // len(pool))
        values = pool.repeat(repeats)[: parameter.numel()].view(parameter.shape)
        tensor = nn.Parameter(torch.ones_like(values) if parameter.dim() == 1 else values, requires_grad=False)
        place(model, name, tensor, quantization)
        if args.tied_head and name == "tok_embeddings.weight":
            place(model, "output.weight", tensor, quantization)
    if "plain" not in kind:
        pack_linears(model)
    return model


def read_per_token(model: Transformer) -> int:
    """The bytes of which each token needs all: everything but the embedding, which gives one row."""
    embedding = model.tok_embeddings.weight
    shared = getattr(model.output, "weight", None) is embedding
    return stored_bytes(model) - (0 if shared else embedding.nbytes)


class Speaker:
    """A runner with a prompt of 32 tokens read, from which it decodes again and again."""

    def __init__(self, model: Transformer) -> None:
        self._runner = Runner(model, torch.device("cpu"), model.norm.weight.dtype, prompt_lookup=False)
        self._prompt = list(range(1000, 1032))

    def seconds_a_token(self, tokens: int) -> tuple[float, float]:
        """Of decoding, and of reading the prompt."""
        sequence = Sequence(Submit(0, []), self._prompt, tokens + 1, None)  # type: ignore[arg-type]
        began = time.perf_counter()
        chosen: list[Chosen] = []
        while not chosen:
            chosen = self._step(sequence)
        read = time.perf_counter()
        for _ in range(tokens):
            sequence.generated += [one.token for one in chosen]
            chosen = self._step(sequence)
        ended = time.perf_counter()
        self._runner.release(sequence, keep=False)
        return (ended - read) / tokens, (read - began) / len(self._prompt)

    def _step(self, sequence: Sequence) -> list[Chosen]:
        outcome = self._runner.step([sequence])[sequence]
        assert not isinstance(outcome, Exception), outcome
        return outcome


def read_bandwidth(buffer: torch.Tensor) -> float:
    """Bytes a second of summing what no cache holds."""
    began = time.perf_counter()
    buffer.sum()
    return buffer.nbytes / (time.perf_counter() - began)


def measure(shape: str, kinds: list[str], rounds: int, tokens: int) -> dict[str, Any]:
    models = {kind: random_model(SHAPES[shape], kind) for kind in kinds}
    speakers = {kind: Speaker(model) for kind, model in models.items()}
    buffer = torch.ones(2**27)
    bandwidth, decode, prefill = 0.0, dict.fromkeys(kinds, 1e9), dict.fromkeys(kinds, 1e9)
    for _ in range(rounds):
        bandwidth = max(bandwidth, read_bandwidth(buffer), read_bandwidth(buffer))
        for kind, speaker in speakers.items():
            decoding, reading = speaker.seconds_a_token(tokens)
            decode[kind], prefill[kind] = min(decode[kind], decoding), min(prefill[kind], reading)
    return {
        "shape": shape,
        "read_gb_per_s": bandwidth / 1e9,
        "load_average": os.getloadavg()[0],
        **{
            kind: {
                "tokens_per_s": 1 / decode[kind],
                "prefill_tokens_per_s": 1 / prefill[kind],
                "weights_gb": stored_bytes(models[kind]) / 1e9,
                "gb_per_s": read_per_token(models[kind]) / decode[kind] / 1e9,
                "share_of_bandwidth": read_per_token(models[kind]) / decode[kind] / bandwidth,
            }
            for kind in kinds
        },
    }


def profile(shape: str, kind: str) -> str:
    """Where the time of 16 tokens goes."""
    speaker = Speaker(random_model(SHAPES[shape], kind))
    speaker.seconds_a_token(4)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        speaker.seconds_a_token(16)
    return profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=14, max_name_column_width=40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, nargs="+", default=list(SHAPES))
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=["plain bf16", "bf16", "int8", "int4"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if options.profile:
        for shape in options.shape:
            for kind in options.kind:
                sys.stdout.write(f"{shape} {kind}\n{profile(shape, kind)}\n")
        return
    found = [measure(shape, options.kind, options.rounds, options.tokens) for shape in options.shape]
    for figures in found:
        sys.stdout.write(f"{figures['shape']}: read {figures['read_gb_per_s']:.1f} GB/s\n")
        for kind in options.kind:
            row = figures[kind]
            sys.stdout.write(
                f"  {kind:10} {row['tokens_per_s']:7.1f} tokens/s  {row['gb_per_s']:5.1f} GB/s "
                f"({row['share_of_bandwidth']:4.0%})  prefill {row['prefill_tokens_per_s']:6.0f}/s  "
                f"{row['weights_gb']:.2f} GB\n"
            )
    sys.stdout.write(json.dumps(json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 3))) + "\n")


if __name__ == "__main__":
    main()
