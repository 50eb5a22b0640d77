"""The way of a measurement: load, warm up, and then rounds in which ours and the others take turns.

Every figure is the median of its rounds. Never imports torch.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any

from llama_nb import loop
from llama_nb.bench.asked import Asked, Ours, Rival, prompts
from llama_nb.bench.beside import Beside
from llama_nb.bench.figures import (
    OURS,
    Figures,
    Round,
    comparison,
    copy_bytes_per_s,
    figures_of,
    medians,
    ranges,
    rounded,
)
from llama_nb.bench.options import Options, Subject, start_of, subject
from llama_nb.engine.client import Status
from llama_nb.engine.protocol import Ready
from llama_nb.errors import EngineError

Progress = Callable[[float, str], None]

IN_CACHE_BYTES = 64_000_000


def run(options: Options, progress: Progress = lambda fraction, what: None) -> dict[str, Any]:
    """Measures what `options` ask for. What could not be measured is None, with the reason in "notes".

    `progress` is told how far it is (0 … 1), and what is done now.

    Raises:
        LlamaError: it cannot be loaded, or be measured as was asked for.
    """
    with subject(options) as found:
        result: dict[str, Any] = rounded(loop.run(_Bench(options, found, progress).result()))
    return result


class _Bench:
    def __init__(self, options: Options, subject: Subject, progress: Progress) -> None:
        self._options = options
        self._subject = subject
        self._ours = Ours(start_of(options, subject.folder))
        self._asked: dict[str, Asked] = {OURS: self._ours}
        self._prompts = prompts(options.prompt)
        self._notes: dict[str, str] = {}
        self._progress = progress
        # Ours and each of the others is loaded, warmed up, and asked in every round.
        self._steps = (2 + options.repeat) * (1 + len(options.compare))
        self._done = 0

    async def result(self) -> dict[str, Any]:
        async with AsyncExitStack() as stack:
            stack.callback(self._ours.close)
            self._probe = await self._beside(stack, "llama_nb.bench.probe")
            before = await self._device_bytes(self._options.device)
            ready, load_s = await self._load()
            self._step("warming up")
            await self._figures(self._ours, *self._texts())
            # Before the others take memory of the device, too. What warming up has taken is not given back.
            after = await self._device_bytes(ready.device)
            for name in self._options.compare:
                await self._load_rival(stack, name, ready)
            rounds = [await self._round(number, ready) for number in range(1, self._options.repeat + 1)]
            peak = after - before if after is not None and before is not None else self._ours.peak_bytes()
            return {
                **self._described(ready, rounds),
                **medians(rounds),
                "load_s": load_s,
                "peak_memory_bytes": peak,
                **await self._bandwidth(ready, rounds),
                "range": ranges(rounds),
                "compare": {
                    name: comparison(rounds, name) if name in self._asked else None for name in self._options.compare
                },
                **await self._probe.ask("machine", device=ready.device),
                "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
                "load_average": os.getloadavg()[0],
                "notes": self._notes | self._reasons(ready, rounds, peak),
            }

    async def _beside(self, stack: AsyncExitStack, module: str, *arguments: str) -> Beside:
        process = await Beside.start(module, *arguments)
        stack.push_async_callback(process.close)
        return process

    def _step(self, what: str) -> None:
        self._progress(self._done / self._steps, what)
        self._done += 1

    # Loading ----------------------------------------------------------------------------------------------------------

    async def _load(self) -> tuple[Ready, float | None]:
        """Until it is ready, and how long that took, the start of its process included."""

        def show(status: Status) -> None:
            self._progress((status.fraction or 0.0) / self._steps, status.detail)

        self._step("loading")
        began = time.perf_counter()
        ready = await self._ours.load(show)
        return ready, None if self._subject.drawn else time.perf_counter() - began

    async def _load_rival(self, stack: AsyncExitStack, name: str, ready: Ready) -> None:
        if name == "transformers" and find_spec("transformers") is None:
            self._notes[f"compare.{name}"] = "transformers is not installed here: pip install transformers"
            self._steps -= 2 + self._options.repeat
            return
        if self._options.quantization is not None:
            self._notes[f"compare.{name}"] = f"{name} has the weights as they are, ours are quantised"
        rival = Rival(await self._beside(stack, "llama_nb.bench.rivals", name))
        try:
            self._step(f"loading {name}")
            length = self._options.prompt + self._options.new
            await rival.load(self._subject.folder, ready, self._options.batch, length)
            self._step(f"warming up {name}")
            await self._figures(rival, *self._texts())
        except EngineError as error:  # it may be too large for what is left here; ours can be measured nevertheless
            self._notes[f"compare.{name}"] = str(error)
        else:
            self._asked[name] = rival

    # Rounds -----------------------------------------------------------------------------------------------------------

    async def _round(self, number: int, ready: Ready) -> Round:
        single, several = self._texts()
        figures, answers = {}, {}
        for name, asked in self._asked.items():
            self._step(f"round {number} of {self._options.repeat}: {name}")
            figures[name], answers[name] = await self._figures(asked, single, several)
        copied = await self._probe.ask("bandwidth", device=ready.device)
        return Round(figures, answers, copied["bytes_per_s"])

    def _texts(self) -> tuple[str, list[str]]:
        """What one stream is asked, and what several are."""
        return next(self._prompts), list(itertools.islice(self._prompts, self._options.batch))

    async def _figures(self, asked: Asked, single: str, several: list[str]) -> tuple[Figures, list[int]]:
        alone = await asked.ask([single], self._options.new)
        together = await asked.ask(several, self._options.new) if len(several) > 1 else None
        return figures_of(alone, together), alone.answers[0]

    # What came of it --------------------------------------------------------------------------------------------------

    def _described(self, ready: Ready, rounds: list[Round]) -> dict[str, Any]:
        return {
            "model": self._subject.name,
            "random_weights": self._subject.drawn,
            "device": ready.device,
            "dtype": ready.dtype,
            "quantization": self._options.quantization,
            "ranks": self._options.ranks,
            "parameters": ready.parameters,
            "prompt_tokens": self._options.prompt,
            "new_tokens": self._new_tokens(rounds),
            "batch": self._options.batch,
            "repeat": self._options.repeat,
        }

    def _new_tokens(self, rounds: list[Round]) -> int:
        return round(statistics.median(len(one.answers[OURS]) for one in rounds))

    async def _device_bytes(self, device: str) -> int | None:
        """What is taken of the device's own memory; None when it has none."""
        used: int | None = (await self._probe.ask("memory", device=device))["used"]
        return used

    async def _bandwidth(self, ready: Ready, rounds: list[Round]) -> dict[str, float | None]:
        """How many bytes a token reads, and how near that is to reading as fast as bytes can be copied."""
        read = await self._bytes_per_token(ready, self._options.prompt + self._new_tokens(rounds) / 2)
        copied, decode = copy_bytes_per_s(rounds), medians(rounds)["decode_tokens_per_s"]
        return {
            "bytes_per_token": read,
            "copy_bytes_per_s": copied,
            "fraction_of_bandwidth": None if read is None or decode is None else decode * read / copied,
        }

    async def _bytes_per_token(self, ready: Ready, context: float) -> int | None:
        kept: int | None = getattr(ready, "weight_bytes", None)  # a generator that makes weights smaller tells it
        if self._options.quantization is not None and not kept:
            self._notes["bytes_per_token"] = "what quantised weights take is not known here"
            return None
        read = await self._probe.ask(
            "traffic",
            folder=str(self._subject.folder),
            dtype=ready.dtype,
            parameters=ready.parameters,
            weight_bytes=kept,
            context=context,
        )
        if "unknown" in read:
            self._notes["bytes_per_token"] = read["unknown"]
            return None
        total: int = read["weights"] + read["cache"]
        if ready.device == "cpu" and total < IN_CACHE_BYTES:
            self._notes["fraction_of_bandwidth"] = "so few bytes may stay in the processor's cache"
        return total

    def _reasons(self, ready: Ready, rounds: list[Round], peak: int | None) -> dict[str, str]:
        """Why a figure is missing, or is another than was asked for."""
        reasons = {}
        if self._subject.drawn:
            reasons["load_s"] = "random weights are drawn, not loaded"
        if self._subject.drawn and ready.device == "cpu":
            reasons["peak_memory_bytes"] = "drawing random weights has taken a part of it"
        if self._options.batch == 1:
            reasons["batch_tokens_per_s"] = "give a batch above 1"
        if medians(rounds)["decode_tokens_per_s"] is None:
            reasons["decode_tokens_per_s"] = "the first token counts as the prompt's: answers take 2 or more"
        if self._new_tokens(rounds) < self._options.new:
            reasons["new_tokens"] = "answers ended by themselves before they were as long as was asked for"
        if peak is None:
            reasons["peak_memory_bytes"] = "this system does not tell what another process held"
        return reasons
