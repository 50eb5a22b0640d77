"""The kernel's side of the generator: start it, submit, cancel, close. Never imports torch.

All of it runs in llama_nb's own event loop, the single owner of this state. A process that dies ends every open
request with an error that carries the last lines of its log; the next request starts a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from llama_nb.engine.protocol import (
    Cancel,
    Command,
    Count,
    Counted,
    Done,
    Embed,
    Embedded,
    Event,
    Failed,
    FrameError,
    FrameReader,
    Loading,
    Piece,
    Prefilled,
    Queued,
    Ready,
    Request,
    Start,
    Submit,
    frame,
)
from llama_nb.errors import BadRequest, EngineError, LlamaError, NotSupported, by_name
from llama_nb.prompt_format.encode import Turn

log = logging.getLogger("llama_nb")

SILENCE_S = 180.0  # a generator that owes an answer and says nothing for so long is taken for dead
WATCH_EVERY_S = 5.0
LOG_TAIL_LINES = 12

Answered = Queued | Prefilled | Piece | Embedded | Counted | Done | Failed  # what comes for one request


@dataclass(frozen=True)
class Status:
    """How the generator is: "idle" (not started), "loading", "ready" or "failed"; `fraction` of the loading.

    A generator that is ready runs `max_batch_size` requests at once, and `waiting` more wait for their turn. Keys and
    values of conversations, those that have ended included, take at most `cache_bytes`.
    """

    phase: Literal["idle", "loading", "ready", "failed"]
    detail: str = ""
    fraction: float | None = None
    max_batch_size: int | None = None
    cache_bytes: int | None = None
    waiting: int = 0


class Engine:
    """One generator process for one checkpoint.

    Every method but `close` is to be called in llama_nb's event loop.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._ids = itertools.count(1)
        self._process: _Process | None = None
        self.status = Status("idle")
        self.dropped_events = 0

    @property
    def ready(self) -> Ready | None:
        """What the running generator said of itself; None while there is none."""
        return self._process.ready if self._process is not None else None

    @property
    def pid(self) -> int | None:
        """Of the supervisor, whose child the generator is."""
        return self._process.pid if self._process is not None else None

    def position(self, request_id: int) -> int | None:
        """The place of a request among those that wait, from 1; None when it runs, or is none of ours."""
        return self._process.positions.get(request_id) if self._process is not None else None

    async def load(self) -> Ready:
        """Starts the generator unless it runs, and waits until the model is loaded.

        Raises:
            CheckpointError: the checkpoint cannot be loaded.
            EngineError: the process could not be started, or died.
        """
        return await asyncio.shield((await self._running()).loaded)

    async def _running(self) -> _Process:
        """The process, once its model is loaded; raises as `load` does."""
        process = self._process
        if process is None or process.dead or process.is_of_another_kernel:
            try:
                process = self._process = _Process(self, self._start)
            except OSError as error:  # no memory, no more processes or files, a full disk
                self.status = Status("failed", f"The generator could not be started: {error}.")
                raise EngineError(self.status.detail) from error
        await asyncio.shield(process.loaded)
        return process

    async def answer(self, request: Submit) -> AsyncIterator[Queued | Piece | Prefilled | Done]:
        """The events of one request, the last of them `Done`; closing the iterator cancels the request.

        `request.id` is replaced by one of our own.
        """
        async with contextlib.aclosing(self._events(request)) as events:
            async for event in events:
                if isinstance(event, Queued | Piece | Prefilled | Done):
                    yield event

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each of `texts`; cancelling the task cancels the request."""
        vectors: dict[int, list[float]] = {}
        async with contextlib.aclosing(self._events(Embed(0, list(texts)))) as events:
            async for event in events:
                if isinstance(event, Embedded):
                    vectors |= dict(zip(event.places, event.vectors, strict=True))
        return [vectors[place] for place in range(len(texts))]

    async def count(self, dialog: Sequence[Turn]) -> Counted:
        """How long the prompt of `dialog` is."""
        async with contextlib.aclosing(self._events(Count(0, list(dialog)))) as events:
            async for event in events:
                if isinstance(event, Counted):
                    return event
        raise EngineError("The generator has not counted.")

    async def _events(self, request: Request) -> AsyncGenerator[Answered, None]:
        """All events of one request, up to its final one; raises what failed."""
        request = msgspec.structs.replace(request, id=next(self._ids))
        process = await self._running()
        events = process.open(request)
        finished = False
        try:
            while not finished:
                event = await events.get()
                finished = isinstance(event, Done | Counted | Failed)
                if isinstance(event, Failed):
                    raise by_name(event.kind)(event.message)
                yield event
        finally:
            process.forget(request.id, cancel=not finished)

    def close(self) -> None:
        """Ends the process; open requests end with an error. Any thread may call this; the next request restarts."""
        process, self._process = self._process, None
        if process is not None and not process.is_of_another_kernel:
            process.end("the generator was unloaded")
        self.status = Status("idle")


class _Process:
    """A started generator: its pipe, its log, and the requests that are open on it."""

    def __init__(self, engine: Engine, start: Start) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, asyncio.Queue[Answered]] = {}
        self.positions: dict[int, int] = {}  # of the requests that wait for their turn
        self._heard = time.monotonic()
        self._kernel = os.getpid()
        self.loaded: asyncio.Future[Ready] = self._loop.create_future()
        self.loaded.add_done_callback(lambda loaded: loaded.cancelled() or loaded.exception())  # no "never retrieved"
        self.ready: Ready | None = None
        self.dead = False
        engine.status = Status("loading", "starting the generator", 0.0)
        self._folder = Path(tempfile.mkdtemp(prefix="llama_nb-"))
        self._log = self._folder / "generator.log"
        try:
            self._pipe, self._life, self._supervisor = _spawn(self._log, start.ranks)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._outbox: asyncio.Queue[Command] = asyncio.Queue()
        self._tasks = [self._loop.create_task(work) for work in (self._receive(), self._send(), self._watch_silence())]
        self._outbox.put_nowait(start)

    @property
    def pid(self) -> int:
        return self._supervisor.pid

    @property
    def is_of_another_kernel(self) -> bool:
        """Whether this is a copy that a fork inherited: its pipes belong to the process that started it."""
        return self._kernel != os.getpid()

    def open(self, request: Request) -> asyncio.Queue[Answered]:
        """Submits `request`; its events will come in the queue."""
        events = self._open[request.id] = asyncio.Queue()
        if self.dead:
            events.put_nowait(Failed(request.id, "EngineError", self._engine.status.detail))
        self._heard = time.monotonic()
        self._outbox.put_nowait(request)
        return events

    def forget(self, request_id: int, *, cancel: bool) -> None:
        self._open.pop(request_id, None)
        self._note_position(request_id, None)
        if cancel and not self.dead:
            self._outbox.put_nowait(Cancel(request_id))

    def end(self, reason: str) -> None:
        """Kills the process; callable from any thread, also when our loop has gone."""
        with contextlib.suppress(OSError):
            self._life.shutdown(socket.SHUT_RDWR)  # the supervisor kills the ranks and ends
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._mourn, EngineError(f"{reason}."), "idle")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._supervisor.wait(timeout=5)

    async def _receive(self) -> None:
        reader = FrameReader()
        try:
            while data := await self._loop.sock_recv(self._pipe, 1 << 20):
                self._heard = time.monotonic()
                for events in reader.events(data):
                    for event in events:
                        self._dispatch(event)
        except FrameError as error:
            self._mourn(EngineError(f"The generator sent something that is no frame: {error}."))
        except OSError:
            pass  # the other end is gone: the same as the end of the stream
        if not self.dead:
            self._mourn(await self._post_mortem())

    async def _send(self) -> None:
        while True:
            command = await self._outbox.get()
            try:
                await self._loop.sock_sendall(self._pipe, frame(command))
            except FrameError as error:
                refusal = BadRequest(f"The generator cannot be sent this: {error}.")
                if isinstance(command, Start | Cancel):  # the path of a checkpoint can have bytes that are no text
                    self._mourn(refusal)
                    return
                self._dispatch(Failed(command.id, "BadRequest", str(refusal)))
            except OSError:
                return  # `_receive` sees the end as well, and tells why

    async def _watch_silence(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            waiting = bool(self._open) or not self.loaded.done()
            if waiting and time.monotonic() - self._heard > SILENCE_S:
                self._mourn(EngineError(f"The generator has said nothing for {SILENCE_S:.0f} s and was ended."))
                return

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, Loading):
            self._engine.status = Status("loading", event.stage, event.fraction)
        elif isinstance(event, Ready):
            self.ready = event
            self._engine.status = Status("ready", _told(event), None, event.max_batch_size, event.cache_bytes)
            self.loaded.set_result(event)
        elif event.id is None:
            self._mourn(by_name(event.kind)(event.message))
        elif event.id in self._open:
            self._note_position(event.id, event.position if isinstance(event, Queued) else None)
            self._open[event.id].put_nowait(event)
        else:
            self._engine.dropped_events += 1

    def _note_position(self, request_id: int, position: int | None) -> None:
        """Where a request waits, or that it does no more."""
        if self.positions.get(request_id) == position:
            return
        if position is None:
            del self.positions[request_id]
        else:
            self.positions[request_id] = position
        if self._engine.status.phase == "ready" and self._engine._process is self:
            self._engine.status = replace(self._engine.status, waiting=len(self.positions))

    async def _post_mortem(self) -> LlamaError:
        """Why the pipe ended: the supervisor's line, and what the process wrote last."""
        try:
            report = await asyncio.wait_for(self._loop.sock_recv(self._life, 4096), timeout=2)
        except (OSError, TimeoutError):
            report = b""
        cause = report.decode() or "its supervisor is gone"
        tail = _last_lines(self._log)
        return EngineError(f"The generator died: {cause}. The next question starts it anew." + tail)

    def _mourn(self, error: LlamaError, phase: Literal["idle", "failed"] = "failed") -> None:
        """The process is no more: everybody who waits is told, and everything it held is given back."""
        if self.dead:
            return
        self.dead = True
        if self._engine._process in (self, None):
            self._engine.status = Status(phase, str(error))
        if not self.loaded.done():
            self.loaded.set_exception(error)
        for request_id, events in self._open.items():
            events.put_nowait(Failed(request_id, type(error).__name__, str(error)))
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        with contextlib.suppress(OSError):
            self._life.shutdown(socket.SHUT_RDWR)  # a process that the kernel forked may hold a copy open
        # Unregistered before they are closed: for the same reason the selector would go on to report them.
        for end in (self._pipe, self._life):
            self._loop.remove_reader(end)
            self._loop.remove_writer(end)
            end.close()
        # Reaped beside the loop: the supervisor may need a moment to kill its ranks.
        self._loop.run_in_executor(None, self._bury)

    def _bury(self) -> None:
        try:
            self._supervisor.wait(timeout=5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._supervisor.pid, signal.SIGKILL)
            self._supervisor.wait(timeout=5)
        shutil.rmtree(self._folder, ignore_errors=True)


def _told(ready: Ready) -> str:
    """What a loaded model is: where, in which numbers, and how large."""
    kind = f"{ready.dtype}, weights in {ready.quantization}" if ready.quantization else ready.dtype
    ranks = f", {ready.ranks} ranks" if ready.ranks > 1 else ""
    return f"{ready.device}, {kind}, {_size(ready.weight_bytes)}{ranks}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _spawn(log_file: Path, ranks: int) -> tuple[socket.socket, socket.socket, subprocess.Popen[bytes]]:
    """Our ends of the pipe and of the life pipe, and the supervisor that holds the others."""
    if sys.platform == "win32":
        raise NotSupported("llama_nb runs its generator on Linux and macOS; on Windows, use it inside WSL.")
    pipe, rank_end = socket.socketpair()
    life, supervisor_end = socket.socketpair()
    command = [sys.executable, "-P", "-m", "llama_nb.engine.supervisor"]
    command += [str(supervisor_end.fileno()), str(rank_end.fileno()), str(os.getpid()), str(log_file), str(ranks)]
    with log_file.open("wb") as output, rank_end, supervisor_end:
        supervisor = subprocess.Popen(
            command,
            pass_fds=[rank_end.fileno(), supervisor_end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=_environment(),
        )
    pipe.setblocking(False)
    life.setblocking(False)
    return pipe, life, supervisor


def _environment() -> dict[str, str]:
    """The kernel's, with our package found as it was found here, and threads that wait without spinning."""
    package_parent = Path(__file__).parents[2]
    # An installed package is found anyway, and its neighbours are not to hide modules of the standard library.
    found = package_parent.name in ("site-packages", "dist-packages")
    paths = ["" if found else str(package_parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
    }


def _last_lines(log_file: Path) -> str:
    with contextlib.suppress(OSError):
        lines = log_file.read_text("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:]
        if lines:
            return "\nThe last lines of its log:\n" + "\n".join(lines)
    return ""
