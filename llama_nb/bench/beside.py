"""A process beside the generator's, that is asked in lines of JSON and answers in lines of JSON. Both of its sides.

It ends when its input does, whatever it is doing: so it never outlives the one who asks. Knows no question itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, NoReturn

from llama_nb.errors import EngineError

Answer = dict[str, Any]
LOG_TAIL_LINES = 12
LONGEST_LINE = 1 << 26


class Beside:
    """The side that asks. One question at a time."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, log: Any) -> None:
        self._process = process
        self._name = name
        self._log = log

    @classmethod
    async def start(cls, module: str, *arguments: str) -> Beside:
        """Runs `module`, which finds all that can be found here."""
        code = f"import runpy, sys; sys.path[:] = {sys.path!r}; runpy.run_module({module!r}, run_name='__main__')"
        log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=os.environ | {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")},  # as the generator's
            limit=LONGEST_LINE,
        )
        return cls(process, " ".join([module, *arguments]), log)

    async def ask(self, what: str, **details: Any) -> Answer:
        """What the process answers.

        Raises:
            EngineError: it failed, or died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"what": what} | details).encode() + b"\n")
            await self._process.stdin.drain()
            line = await self._process.stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            line = b""
        if not line:
            raise EngineError(f"{self._name} died while it was asked for `{what}`.{self._last_lines()}")
        answer: Answer = json.loads(line)
        if "failed" in answer:
            raise EngineError(f"{self._name} failed: {answer['failed']}")
        return answer

    async def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._log.close()

    def _last_lines(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(["\nThe last lines of its log:", *lines]) if lines else ""


def serve(answers: Mapping[str, Callable[..., Answer]]) -> NoReturn:
    """The side that answers, until nobody asks any more. What libraries print goes to the log."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    questions: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(questions,), daemon=True).start()
    while True:
        question = json.loads(questions.get())
        try:
            answer = answers[question.pop("what")](**question)
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


def _read(questions: SimpleQueue[str]) -> NoReturn:
    for line in sys.stdin:
        questions.put(line)
    os._exit(0)
