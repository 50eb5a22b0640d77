"""A tiny model that talks, live generators that run it, and what can be seen of processes from outside.

The tests of processes look into /proc, so they run on Linux only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from llama_nb import loop
from llama_nb.engine.client import Engine
from llama_nb.engine.protocol import Done, Piece, Prefilled, Queued, Sampling, Start, Submit
from llama_nb.prompt_format.encode import Turn
from tests.engine import tiny

PRINTABLE = [*range(32, 127), *range(256, 288)]
EOT = 288 + 9
PYTHON_TAG = 288 + 10
WAIT_S = 120.0  # for what is sure to come: the machine may be busy


def write_talker(folder: Path, *, tokens: Iterable[int] = PRINTABLE, ends: bool = True, seed: int = 0) -> Path:
    """A random checkpoint whose answers consist of `tokens`; with `ends`, sampled ones end after some fifty.

    One dimension is the same for every token, so that the head can use it as a bias.
    """
    weights = tiny.random_weights(vocab_size=544, seed=seed)
    weights["tok_embeddings.weight"] *= 10.0  # so that the last token matters, and greedy answers do not circle
    weights["tok_embeddings.weight"][:, 0] = 1.0
    weights["norm.weight"][0] = 1.0
    for layer in range(tiny.N_LAYERS):
        weights[f"layers.{layer}.attention.wo.weight"][0] = 0.0
        weights[f"layers.{layer}.feed_forward.w2.weight"][0] = 0.0
    bias = weights["output.weight"][:, 0]
    bias[:] = -100.0
    bias[list(tokens)] = 0.0
    if ends:
        bias[EOT] = 1.0
    tiny.write_meta_checkpoint(folder, weights=weights)
    return folder


class Answered(NamedTuple):
    tokens: list[int]
    text: str
    pieces: list[Piece]
    done: Done

    @property
    def said(self) -> tuple[list[int], str, str]:
        """All that must be the same in two equal answers."""
        return self.tokens, self.text, self.done.stop_reason

    @property
    def logprobs(self) -> list[dict[str, float]]:
        return [entry for piece in self.pieces for entry in piece.logprobs or []]


def dialog(*texts: str) -> list[Turn]:
    """Turns of user and assistant, by turns."""
    return [Turn("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]


def request(*texts: str, **wishes: Any) -> Submit:
    return Submit(id=0, dialog=dialog(*texts), **wishes)


def sampled(seed: int) -> Sampling:
    return Sampling(temperature=1.0, seed=seed)


async def answer(engine: Engine, submit: Submit) -> Answered:
    pieces: list[Piece] = []
    done: Done | None = None
    async for event in engine.answer(submit):
        assert done is None, "Done is the last event"
        if isinstance(event, Piece):
            pieces.append(event)
        elif isinstance(event, Done):
            done = event
        else:
            assert isinstance(event, Queued | Prefilled)
    assert done is not None
    tokens = [token for piece in pieces for token in piece.tokens]
    return Answered(tokens, "".join(piece.text for piece in pieces), pieces, done)


def ask(engine: Engine, *texts: str, **wishes: Any) -> Answered:
    return loop.run(answer(engine, request(*texts, **wishes)))


def engine_of(folder: Path, **wishes: Any) -> Engine:
    return Engine(Start(checkpoint=str(folder), device="cpu", **wishes))


def wait_for(condition: Callable[[], Any], what: str, limit_s: float = WAIT_S) -> Any:
    """What `condition` gives, as soon as it is something."""
    end = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not within {limit_s} s"
        time.sleep(0.002)
    return found


def alive(pid: int) -> bool:
    """Whether it runs; what has ended and was not yet reaped does not."""
    return _stat(pid)[0] not in ("", "Z", "X")


def children(pid: int) -> list[int]:
    return [one for one in _pids() if _stat(one)[1] == str(pid)]


def memory_used(pid: int) -> int:
    """Bytes of a process' own, without pages of files."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


def rank_of(engine: Engine) -> int:
    """The pid of the process that has the model."""
    assert engine.pid is not None
    (rank,) = children(engine.pid)
    return rank


def marked(marker: str) -> list[int]:
    """The living processes that have `marker` in the environment they were started with."""
    return [pid for pid in _pids() if marker.encode() in _read(pid, "environ") and alive(pid)]


def gone_within(marker: str, limit_s: float) -> bool:
    end = time.monotonic() + limit_s
    while marked(marker):
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def ports_of(pid: int) -> list[str]:
    """The internet sockets, of any kind, that a process holds."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(descriptor))
        except OSError:
            continue  # closed meanwhile
    lines = [
        line.split()
        for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")
        if (path := Path(f"/proc/{pid}/net/{table}")).exists()
        for line in path.read_text().splitlines()[1:]
    ]
    return [line[1] for line in lines if f"socket:[{line[9]}]" in sockets]


def command_line(pid: int) -> str:
    return _read(pid, "cmdline").decode("utf-8", "replace")


def environment(pid: int) -> str:
    return _read(pid, "environ").decode("utf-8", "replace")


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> tuple[str, str]:
    """State and parent."""
    fields = _read(pid, "stat").decode("utf-8", "replace").rpartition(")")[2].split()
    return (fields[0], fields[1]) if fields else ("", "")
