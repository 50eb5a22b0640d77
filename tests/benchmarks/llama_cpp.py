"""Our decode beside llama.cpp's, the same weights at equal bits, by turns: `python -m tests.benchmarks.llama_cpp`.

    --shape 160m 1b       both have random weights
    --home FOLDER         llama-cpp-python is built there, in an environment of its own (minutes), unless it is there

bfloat16 against bf16, int8 against q8_0, int4 against q4_0, the CPU alone, one thread a core; the best of several rounds, of
each after a prompt of 32 tokens. The last line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from torch import Tensor, nn

from llama_nb.engine.model import ModelArgs
from tests.benchmarks import gguf
from tests.benchmarks.small_weights import SHAPES as OTHERS
from tests.benchmarks.small_weights import Speaker, cores, random_model

PACKAGE = "llama-cpp-python==0.3.36"
SHAPES = {"160m": ModelArgs(768, 12, 12, 12, 3072, 32_000, 4096), "1b": OTHERS["1b"]}  # JackFram/llama-160m
RIVALS = {"bf16": "bf16", "int8": "q8_0", "int4": "q4_0"}

# What runs in the other environment: a line with a number of tokens comes in, one with the seconds a token goes out.
THEIRS = """
import ctypes, sys, time
import llama_cpp as c

path, threads = sys.argv[1].encode(), int(sys.argv[2])
c.llama_log_set(quiet := c.llama_log_callback(lambda level, text, data: None), ctypes.c_void_p(0))
c.llama_backend_init()
model = c.llama_model_load_from_file(path, c.llama_model_default_params())
wishes = c.llama_context_default_params()
wishes.n_ctx, wishes.n_batch, wishes.n_threads, wishes.n_threads_batch = 512, 512, threads, threads
context = c.llama_init_from_model(model, wishes)
vocabulary = c.llama_vocab_n_tokens(c.llama_model_get_vocab(model))

def read(tokens):
    row = (c.llama_token * len(tokens))(*tokens)
    assert c.llama_decode(context, c.llama_batch_get_one(row, len(tokens))) == 0
    return c.llama_get_logits_ith(context, -1)

def likeliest(logits):
    return max(range(vocabulary), key=logits.__getitem__)

print("ready", flush=True)
for line in sys.stdin:
    number = int(line)
    c.llama_memory_clear(c.llama_get_memory(context), True)
    first = likeliest(read(range(1000, 1032)))
    began = time.perf_counter()
    for _ in range(number):
        read([first])
    print((time.perf_counter() - began) / number, first, flush=True)
"""


def environment(home: Path) -> Path:
    """The Python that has llama.cpp."""
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    if subprocess.run([str(python), "-c", "import llama_cpp"], capture_output=True).returncode:
        sys.stderr.write(f"building {PACKAGE} in {home}: this takes minutes …\n")
        subprocess.run([str(python), "-m", "pip", "install", "-q", PACKAGE], check=True)
    return python


class Theirs:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def seconds_a_token(self, tokens: int) -> tuple[float, int]:
        """And the token that it chose after the prompt."""
        self._pipe(self._process.stdin).write(f"{tokens}\n")
        self._pipe(self._process.stdin).flush()
        seconds, first = self._pipe(self._process.stdout).readline().split()
        return float(seconds), int(first)

    def _pipe(self, pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@contextmanager
def theirs(python: Path, model: Path) -> Iterator[Theirs]:
    command = [str(python), "-c", THEIRS, str(model), str(cores())]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != "ready":
            sys.exit("llama.cpp did not load the model; see above.")
        yield Theirs(process)
    finally:
        process.kill()
        process.wait()


def measure(python: Path, shape: str, kind: str, rounds: int, tokens: int) -> dict[str, float | str]:
    """Tokens a second of both, the best of `rounds`."""
    args = SHAPES[shape]
    with tempfile.TemporaryDirectory(prefix="llama_nb-") as scratch:
        path = Path(scratch) / "model.gguf"
        whole = random_model(args, "plain bf16")
        gguf.write(path, args, _named(whole), RIVALS[kind])
        del whole
        speaker = Speaker(random_model(args, kind))
        ours, others = 1e9, 1e9
        with theirs(python, path) as other:
            for _ in range(rounds):
                ours = min(ours, speaker.seconds_a_token(tokens)[0])
                others = min(others, other.seconds_a_token(tokens)[0])
    return {"ours": 1 / ours, "theirs": 1 / others, "ratio": others / ours}


def _named(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A tied head is named once, with the embedding."""
    return ((name, parameter.detach()) for name, parameter in model.named_parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, nargs="+", default=["160m", "1b"])
    parser.add_argument("--kind", choices=RIVALS, nargs="+", default=list(RIVALS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--home", type=Path, default=Path.home() / ".cache" / "llama_nb" / "llama_cpp")
    options = parser.parse_args()
    python = environment(options.home)
    found = {}
    for shape in options.shape:
        for kind in options.kind:
            figures = found[f"{shape} {kind}"] = measure(python, shape, kind, options.rounds, options.tokens)
            sys.stderr.write(
                f"{shape:5} {kind:5} {figures['ours']:7.1f} tokens/s, llama.cpp {figures['theirs']:7.1f}: "
                f"{figures['ratio']:.2f}\n"
            )
    sys.stdout.write(json.dumps(json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 3))) + "\n")


if __name__ == "__main__":
    main()
