"""What a user waits for, measured as one waits for it: `python tests/benchmarks/first_light.py`.

Each figure is the best of several; the last line of output is one JSON object. Nothing is asserted here.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

import llama_nb as nb

QUESTIONS = ["hello", "What is llama_nb?", "How do I open the chat panel?", "Which options does %llama take?"]


def seconds(code: str) -> float:
    """How long `code` takes inside a fresh process, by its own clock: the process prints it."""
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd="/").stdout
    return float(output.split()[-1])


def import_s() -> float:
    return seconds("import time; t = time.perf_counter(); import llama_nb; print(time.perf_counter() - t)")


def load_ext_s() -> float:
    return seconds(
        "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance(); import time;"
        "t = time.perf_counter(); s.run_line_magic('load_ext', 'llama_nb'); print(time.perf_counter() - t)"
    )


def cold_first_token_s() -> float:
    """From importing the package in a fresh process to the first event with text."""
    return seconds(
        "import time; t = time.perf_counter(); import llama_nb as nb\n"
        "for event in nb.Chat().stream('hello'):\n"
        "    if event.delta: print(time.perf_counter() - t); break"
    )


def warm() -> tuple[float, float]:
    """The median seconds to the first text of a warm model, and tokens/s through `Chat.ask`."""
    chat = nb.Chat()
    chat.ask("hello")
    firsts, rates = [], []
    for question in QUESTIONS * 3:
        chat.reset()
        began = time.perf_counter()
        next(event for event in chat.stream(question) if event.delta)
        firsts.append(time.perf_counter() - began)
    for question in QUESTIONS * 3:
        chat.reset()
        began = time.perf_counter()
        reply = chat.ask(question)
        assert reply.usage is not None
        rates.append(reply.usage.completion_tokens / (time.perf_counter() - began))
    return statistics.median(firsts), statistics.median(rates)


def main() -> None:
    first_token, rate = warm()
    figures = {
        "import_ms": 1e3 * min(import_s() for _ in range(5)),
        "load_ext_ms": 1e3 * min(load_ext_s() for _ in range(5)),
        "cold_first_token_s": min(cold_first_token_s() for _ in range(3)),
        "warm_first_token_ms": 1e3 * first_token,
        "ask_tokens_per_s": rate,
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
    }
    sys.stdout.write(json.dumps({name: round(value, 3) for name, value in figures.items()}) + "\n")


if __name__ == "__main__":
    main()
