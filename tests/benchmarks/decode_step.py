"""How long one step of the decode graph takes on a GPU: `python tests/benchmarks/decode_step.py --shape 1b`.

Random weights; the model's own step beside it, and what a copy gave in the same run. `--early` and `--ahead MB` are the
two ways to keep the memory busy between kernels. The last line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch

from llama_nb.engine.decoder import cache_of
from llama_nb.engine.model import ModelArgs, Transformer
from llama_nb.engine.quantize import small_linear, stored_bytes
from llama_nb.engine.row_graph import RowGraph

SHAPES = {
    "1b": ModelArgs(2048, 16, 32, 8, 8192, 128_256, 40_960, tied_head=True),
    "8b": ModelArgs(4096, 32, 32, 8, 14_336, 128_256, 40_960),
    "tiny": ModelArgs(64, 2, 4, 2, 96, 288, 512, tied_head=True),
}
CONTEXTS = (128, 2_000, 32_000)
TIMES = 5
STEPS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("-q", "--quantization", choices=("int8", "int4", "fp8"))
    parser.add_argument("--early", action="store_true", help="programmatic dependent launch")
    parser.add_argument(
        "--ahead", type=float, default=0, metavar="MB", help="of the next weights, asked for beforehand"
    )
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no GPU here, and elsewhere the time of a step means nothing.")
    print(json.dumps(figures(options)))


@torch.inference_mode()
def figures(options: argparse.Namespace) -> dict[str, Any]:
    model = model_of(SHAPES[options.shape], options.quantization)
    model.cache_kind = cache_of
    graph = RowGraph(model, early=options.early, ahead_bytes=int(options.ahead * 2**20))
    read = stored_bytes(model) - (0 if model.args.tied_head else model.tok_embeddings.weight.nbytes)
    copied = copy_bandwidth(read)
    found: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), **vars(options), "bytes_per_token": read}
    found["copy_bytes_per_s"] = round(copied)
    cache = model.new_cache(model.args.max_seq_len)
    for context in (one for one in CONTEXTS if one + STEPS <= model.args.max_seq_len):
        cache.reserve(context + STEPS)
        for page in cache.pages:  # type: ignore[attr-defined]
            page.normal_()

        def steps(context: int = context) -> None:
            graph.start([7], [context], [cache.pages])  # type: ignore[attr-defined]
            for _ in range(STEPS):
                graph.step()

        seconds = seconds_of(steps) / STEPS
        share = (read + context * cache.bytes_per_token) / seconds / copied
        found[f"at {context}"] = {"tokens_per_s": round(1 / seconds, 1), "fraction_of_bandwidth": round(share, 3)}
    cache.length = CONTEXTS[0]
    token = torch.tensor([[7]], device="cuda")

    def step_of_model() -> None:
        cache.length = CONTEXTS[0]
        model(token, cache)

    found["model alone"] = {"tokens_per_s": round(1 / seconds_of(step_of_model), 1)}
    return found


def model_of(args: ModelArgs, scheme: str | None) -> Transformer:
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = Transformer(args).requires_grad_(False)
    torch.set_default_dtype(torch.float32)
    for name, layer in list(model.named_modules()):
        if scheme and isinstance(layer, torch.nn.Linear):
            model.set_submodule(name, small_linear(layer.weight.detach(), scheme, head=name == "output"))  # type: ignore[arg-type]
    return model


def copy_bandwidth(size: int) -> float:
    """Bytes a second, read and written."""
    source = torch.ones(size // 2, dtype=torch.uint8, device="cuda")
    target = source.clone()
    return 2 * source.nbytes / seconds_of(lambda: target.copy_(source))


def seconds_of(act: Callable[[], object]) -> float:
    """The median of a few times, after one that is not counted."""
    act()
    times = []
    for _ in range(TIMES):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        act()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
