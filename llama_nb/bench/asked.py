"""Who can be asked: our generator, through its client, and others, each in a process beside it. And what is asked.

Times are those of the caller, with the pipe in them; only when the first token was there is the generator's own word.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from llama_nb.bench.beside import Beside
from llama_nb.bench.figures import Answered
from llama_nb.engine.client import Engine, Status
from llama_nb.engine.protocol import Done, Piece, Ready, Start, Submit
from llama_nb.errors import EngineError

LOOK_EVERY_S = 0.2


class Asked(Protocol):
    async def ask(self, texts: list[str], new: int) -> Answered:
        """Goes on with all `texts` at once, for up to `new` tokens each."""


class Ours:
    def __init__(self, start: Start) -> None:
        self._engine = Engine(start)

    async def load(self, told: Callable[[Status], None]) -> Ready:
        """Starts the generator; `told` is called every now and then until it is ready."""
        loading = asyncio.ensure_future(self._engine.load())
        while not (await asyncio.wait([loading], timeout=LOOK_EVERY_S))[0]:
            told(self._engine.status)
        return loading.result()

    async def ask(self, texts: list[str], new: int) -> Answered:
        began = time.perf_counter()
        ended = await asyncio.gather(*(self._answer(text, new) for text in texts))
        total_s = time.perf_counter() - began
        first = ended[0][0]
        read = first.prompt_tokens - first.cached_tokens
        return Answered(read, first.time_to_first_token_s, total_s, [tokens for _, tokens in ended])

    async def _answer(self, text: str, new: int) -> tuple[Done, list[int]]:
        tokens: list[int] = []
        async for event in self._engine.answer(Submit(0, [], prompt=text, max_tokens=new)):
            if isinstance(event, Piece):
                tokens += event.tokens
            elif isinstance(event, Done):
                return event, tokens
        raise EngineError("The generator has given no end of an answer.")

    def peak_bytes(self) -> int | None:
        """The most memory that the ranks have held, as far as this system tells it."""
        pid = self._engine.pid
        try:
            ranks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return sum(_peak_of(rank) for rank in ranks)
        except OSError:
            return None

    def close(self) -> None:
        self._engine.close()


def _peak_of(pid: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


class Rival:
    """One of those in `rivals.py`."""

    def __init__(self, process: Beside) -> None:
        self._process = process

    async def load(self, folder: Path, ready: Ready, rows: int, length: int) -> None:
        """Makes it ready for `rows` prompts of `length` tokens with their answers, where ours is and in its dtype."""
        await self._process.ask(
            "load", folder=str(folder), device=ready.device, dtype=ready.dtype, rows=rows, length=length
        )

    async def ask(self, texts: list[str], new: int) -> Answered:
        told = await self._process.ask("answer", texts=texts, new=new)
        return Answered(told["read"], told["first_s"], told["total_s"], told["tokens"])


def prompts(length: int) -> Iterator[str]:
    """Texts of `length` tokens to any vocabulary of Llama 3. They differ from the start on, so that no cache can help.

    Letters and digits take turns, which no merge of such a vocabulary joins; `<|begin_of_text|>` is the first token.
    """
    for number in itertools.count():
        draw = random.Random(number)
        letters = (draw.choice(string.digits if place % 2 else string.ascii_lowercase) for place in range(length - 1))
        yield "".join(letters)
