"""What the machine can do, and what a model asks of it: the limits that figures are held against. A process of its own.

Knows the description of a checkpoint; knows nothing of its weights, nor of who runs it.
"""

from __future__ import annotations

import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from llama_nb.bench.beside import Answer, serve
from llama_nb.engine.checkpoint import empty_transformer, read_args
from llama_nb.engine.model import ModelArgs

CPU_BYTES, CUDA_BYTES = 1 << 28, 1 << 30  # beyond every cache
TIMES = 5
COPIES_ON_CUDA = 20  # at once: beside a single one, waiting for its end would count


def machine(device: str) -> Answer:
    """What the figures were measured on."""
    on_cuda = device.startswith("cuda")
    return {
        "torch": torch.__version__,
        "device_name": torch.cuda.get_device_name(device) if on_cuda else _cpu_name(),
        "threads": torch.get_num_threads(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())


def memory(device: str) -> Answer:
    """Bytes of the device that are in use, by whomever; None of the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not device.startswith("cuda") or not torch.cuda.is_available():
        return {"used": None}
    free, total = torch.cuda.mem_get_info(device)
    return {"used": total - free}


def bandwidth(device: str) -> Answer:
    """Bytes a second of a large copy, read and written ones together."""
    source = torch.ones(CUDA_BYTES if device.startswith("cuda") else CPU_BYTES, dtype=torch.uint8, device=device)
    target = source.clone()
    copies = COPIES_ON_CUDA if device.startswith("cuda") else 1
    seconds = [_copying_s(source, target, copies) for _ in range(1 + TIMES)][1:]
    copied = 2 * source.nbytes * copies
    del source, target
    if device.startswith("cuda"):
        torch.cuda.empty_cache()  # it would count as the model's
    return {"bytes_per_s": copied / statistics.median(seconds)}


def _copying_s(source: torch.Tensor, target: torch.Tensor, copies: int) -> float:
    _wait(source.device)
    began = time.perf_counter()
    for _ in range(copies):
        target.copy_(source)
    _wait(source.device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def traffic(folder: str, dtype: str, parameters: int, weight_bytes: int | None, context: float) -> Answer:
    """The bytes that one token of an answer reads, with `context` tokens before it: `weights` and `cache`.

    A head that is the embedding reads it whole; beside another head, the embedding gives a single row. Whether it is
    tied, `parameters` tells, the number of those that were loaded; "unknown" when it fits neither. `weight_bytes` is
    what they take: a tied head that is kept in another form than the embedding counts there, too. None: as they are.
    """
    args, size = read_args(Path(folder)), getattr(torch, dtype).itemsize
    counts = {tied: _parameters(replace(args, tied_head=tied)) for tied in (True, False)}
    if parameters not in counts.values():
        return {"unknown": f"{parameters:,} parameters were loaded, which is not what the description makes"}
    plain = size * parameters
    kept = weight_bytes or plain
    is_embedding = parameters == counts[True] and kept == plain
    unread = 0 if is_embedding else size * (args.vocab_size - 1) * args.dim
    cache = 2 * args.n_layers * args.n_kv_heads * args.head_dim * context
    return {"weights": kept - unread, "cache": round(size * cache)}


def _parameters(args: ModelArgs) -> int:
    return sum(parameter.numel() for parameter in empty_transformer(args).parameters())


if __name__ == "__main__":
    serve({"machine": machine, "memory": memory, "bandwidth": bandwidth, "traffic": traffic})
