"""Code in a process of its own: shut in as far as this machine allows, bounded in time, memory, output and number.

What it keeps, on a Linux that has user namespaces, seccomp and Landlock: no network nor any socket, no process but its
own, of the files only Python's and the system's to read, and an empty folder in memory to write. Elsewhere less, and
`Isolation` says what. It is no virtual machine: it shares the kernel, and may use the processors as long as its time
lasts. Knows nothing of tools.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from llama_nb import loop
from llama_nb.errors import NotSupported

MAX_OUTPUT = 1 << 20
"""Bytes of output; code that writes more is ended."""
_MAX_REPORT = 4 << 20
_GRACE_S = 1.0  # between being asked to end and being killed; and for what is left in a pipe

_INSIDE = Path(__file__).with_name("sandbox_inside.py")
_PICTURES = ("text/html", "text/markdown", "image/png")


@dataclass(frozen=True)
class Limits:
    """What the code may use: seconds on the clock and on the processor, MiB of memory for each process, MiB of each
    file and of all, and processes. `namespaces`, `landlock` and `seccomp` are for trying what is
    left without each."""

    seconds: float = 30.0
    cpu_s: int = 30
    memory_mb: int = 2048
    file_mb: int = 64
    folder_mb: int = 256
    processes: int = 64
    namespaces: bool = True
    landlock: bool = True
    seccomp: bool = True


@dataclass(frozen=True)
class Isolation:
    """What a process is really kept from; each was tried, not assumed.

    processes: it sees and reaches none but its own, and all of them end with it. network: it can make no socket.
    files: it reads only Python's and the system's, and writes only its own. limits: memory, processor time and the size
    of files are bounded. count: so is the number of its processes.
    """

    processes: bool = False
    network: bool = False
    files: bool = False
    limits: bool = False
    count: bool = False

    def __str__(self) -> str:
        """
        >>> str(Isolation(processes=True, network=True, files=True, limits=True))
        'no network, no processes but its own, no files but its own and the system’s, bounded memory and time; \
BUT the number of processes is not bounded'
        """
        words = {
            "network": ("no network", "the network is within reach"),
            "processes": ("no processes but its own", "other processes are within reach"),
            "files": ("no files but its own and the system’s", "your files are within reach"),
            "limits": ("bounded memory and time", "memory is not bounded"),
            "count": ("bounded processes", "the number of processes is not bounded"),
        }
        kept = [words[name][0] for name in words if getattr(self, name)]
        left = [words[name][1] for name in words if not getattr(self, name)]
        return (", ".join(kept) or "nothing is kept from it") + (f"; BUT {', '.join(left)}" if left else "")


@dataclass(frozen=True)
class Outcome:
    """What came of the code: its output, its exit status as a shell has it, and why it was ended, if it was."""

    output: str
    status: int
    ended: str = ""
    isolation: Isolation = Isolation()
    pictures: dict[str, str] = field(default_factory=dict)


@cache
def isolation() -> Isolation:
    """What this machine can keep code from; found out by trying, once."""
    return loop.run(run_code("pass", Limits())).isolation


async def run_code(code: str, limits: Limits, output: Callable[[str], None] = lambda _: None) -> Outcome:
    """Runs `code` and tells `output` each piece of what it prints. Cancelled, it ends the code and all it started.

    Raises:
        NotSupported: on a system that is not POSIX.
    """
    if os.name != "posix":
        raise NotSupported("Code in a process of its own needs Linux or macOS; on Windows, use llama_nb inside WSL.")
    folder = tempfile.mkdtemp(prefix="llama_nb-code-")
    try:
        async with _started(folder, limits) as (process, report):
            return await _watched(process, report, code, limits, output)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def _started(
    folder: str, limits: Limits
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """The process, with its code still to be written to it, and the reader of its report. It ends with the block."""
    read_end, write_end = os.pipe()
    report = asyncio.StreamReader(_MAX_REPORT)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(report), os.fdopen(read_end, "rb", buffering=0)
    )
    try:
        try:
            process = await _spawned(folder, limits, write_end)
        finally:
            os.close(write_end)
        try:
            yield process, report
        finally:
            await _end(process)
    finally:
        transport.close()


async def _spawned(folder: str, limits: Limits, report_end: int) -> asyncio.subprocess.Process:
    told = json.dumps(asdict(limits) | {"parent": os.getpid()})
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-u",
        str(_INSIDE),
        told,
        str(report_end),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=[report_end],
        cwd=folder,
        env=environment(folder),
        start_new_session=True,
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    """Asks the door to end what it started, and ends it and its group when it does not."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        done, _ = await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=_GRACE_S)
        if not done:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # whoever else holds the pipe, we let go of it


async def _watched(
    process: asyncio.subprocess.Process,
    report: asyncio.StreamReader,
    code: str,
    limits: Limits,
    output: Callable[[str], None],
) -> Outcome:
    """Hands over the code and waits for its end: of its own, of its time, or of the room for what it prints."""
    written = bytearray()
    pump = asyncio.ensure_future(_pump(process, written, output))
    reporting = asyncio.ensure_future(_read(report))
    exited = asyncio.ensure_future(process.wait())
    try:
        assert process.stdin is not None
        process.stdin.write(code.encode("utf-8", "replace"))
        process.stdin.write_eof()
        ended = await _ended(exited, pump, limits)
        if ended:
            await _end(process)
        # A process that got away may hold the pipes open for ever.
        await asyncio.wait({pump, reporting}, timeout=_GRACE_S)
    finally:
        for task in (pump, reporting, exited):
            task.cancel()
    kept, pictures = _understood(reporting)
    status = process.returncode if process.returncode is not None else 0
    text = bytes(written[:MAX_OUTPUT]).decode("utf-8", "replace")
    return Outcome(text, status if status >= 0 else 128 - status, ended, kept, pictures)


async def _ended(exited: asyncio.Future[int], pump: asyncio.Future[bool], limits: Limits) -> str:
    """Why the process has to be ended; "" when it ended by itself."""
    loop_ = asyncio.get_running_loop()
    deadline = loop_.time() + limits.seconds
    waiting: set[asyncio.Future[Any]] = {exited, pump}
    while exited in waiting:
        done, waiting = await asyncio.wait(
            waiting, timeout=max(0.0, deadline - loop_.time()), return_when=asyncio.FIRST_COMPLETED
        )
        if exited in done:
            return ""
        if not done:
            return f"it did not finish within {limits.seconds:g} s"
        if pump in done and not pump.result():
            return f"it wrote more than {MAX_OUTPUT >> 20} MiB"
    return ""


async def _pump(process: asyncio.subprocess.Process, written: bytearray, output: Callable[[str], None]) -> bool:
    """Collects the output; False when it is too much."""
    assert process.stdout is not None
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while piece := await process.stdout.read(1 << 16):
        written += piece
        output(decode(piece))
        if len(written) > MAX_OUTPUT:
            return False
    return True


async def _read(report: asyncio.StreamReader) -> bytes:
    """The report up to its bound; its first line comes before any of the code runs."""
    told = bytearray()
    while len(told) <= _MAX_REPORT and (piece := await report.read(1 << 16)):
        told += piece
    return bytes(told)


def _understood(reporting: asyncio.Task[bytes]) -> tuple[Isolation, dict[str, str]]:
    if not reporting.done() or reporting.cancelled() or reporting.exception() is not None:
        return Isolation(), {}
    first, _, rest = reporting.result().partition(b"\n")
    try:
        kept = Isolation(**json.loads(first))
    except (ValueError, TypeError):  # it did not get that far
        return Isolation(), {}
    return kept, _pictures(rest)


def _pictures(report: bytes) -> dict[str, str]:
    """What the code's process drew. The code may have written this itself, so only the form is taken for granted."""
    try:
        told = json.loads(report) if report else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {kind: told[kind] for kind in _PICTURES if isinstance(told.get(kind), str)}


def environment(folder: str) -> dict[str, str]:
    """All that the code learns of ours: nothing, and where to write."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "USER": "llama",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": folder,
        # Each thread costs address space, of which there is only so much.
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
    }
