"""Between the kernel and the ranks: starts them, and sees to it that none outlives the kernel.

`python -m llama_nb.engine.supervisor LIFE PIPE KERNEL LOG [RANKS]`. In a session of its own, so that an interrupt of
the kernel's group does not reach it; single-threaded, so that nothing keeps it from acting. It blocks on the life pipe:
its end means that the kernel is gone, or does not want us any more. A rank's death is reported there in one line, and
is the end of all. Where there are several, they meet in the folder of LOG.
Imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator


def main() -> None:
    life, pipe, kernel, log = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # only the life pipe ends us: SIGTERM to a group means others
    folder = os.path.dirname(log)
    ranks: list[subprocess.Popen[bytes]] = []
    try:
        ranks += _start_ranks(pipe, int(sys.argv[5]) if len(sys.argv) > 5 else 1, folder)
        kernel_gone = _wait(life, kernel, ranks)
        # The one whose end was the first: the others may have ended of it.
        died = min(enumerate(ranks), key=lambda one: _order(one[1]))
    finally:
        for rank in ranks:
            rank.kill()
        for rank in ranks:
            rank.wait()
    if kernel_gone:
        with contextlib.suppress(OSError):
            os.unlink(log)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, "rendezvous"))
            os.rmdir(folder)
    else:
        with contextlib.suppress(OSError):
            life.sendall(_obituary(*died).encode())


def _start_ranks(pipe: int, count: int, folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """Rank 0 with the kernel's pipe, and a pipe from it to each other rank."""
    pairs = [socket.socketpair() for _ in range(1, count)]
    for rank, end in enumerate([pipe, *(theirs.fileno() for _, theirs in pairs)]):
        ends = [end] if rank else [end, *(ours.fileno() for ours, _ in pairs)]
        command = [sys.executable, "-P", "-m", "llama_nb.engine.worker", str(end), str(os.getpid())]
        if count > 1:
            command += [str(rank), str(count), folder, *map(str, ends[1:])]
        yield subprocess.Popen(command, pass_fds=ends, stdin=subprocess.DEVNULL)
    # Our copies of the pipes must go: else nobody would see their end when a rank dies.
    os.close(pipe)
    for pair in pairs:
        for one in pair:
            one.close()


def _wait(life: socket.socket, kernel: int, ranks: list[subprocess.Popen[bytes]]) -> bool:
    """Until the kernel or a rank is gone; whether it was the kernel."""
    if not hasattr(os, "pidfd_open"):
        return _wait_by_looking(life, kernel, ranks)
    ranks_gone = {os.pidfd_open(rank.pid) for rank in ranks}
    watched = [life.fileno(), *ranks_gone]
    # A process that the kernel forked may hold a copy of the life pipe: so its pid is watched as well.
    with contextlib.suppress(OSError):
        watched.append(os.pidfd_open(kernel))
    if os.getppid() != kernel:
        return True
    # Not select(): the kernel may have so many files open that ours have numbers above its 1023.
    poll = select.poll()
    for descriptor in watched:
        poll.register(descriptor, select.POLLIN)
    return not {descriptor for descriptor, _ in poll.poll()} <= ranks_gone


def _wait_by_looking(life: socket.socket, kernel: int, ranks: list[subprocess.Popen[bytes]]) -> bool:
    """The same where there are no pidfds (macOS): the life pipe at once, the pids five times a second."""
    poll = select.poll()
    poll.register(life, select.POLLIN)
    while os.getppid() == kernel and all(rank.poll() is None for rank in ranks):
        if poll.poll(200):
            return True
    return os.getppid() != kernel


def _order(rank: subprocess.Popen[bytes]) -> int:
    """Before all others comes who was killed, then who ended, last who lives."""
    status = rank.poll()
    return 2 if status is None else int(status >= 0)


def _obituary(number: int, rank: subprocess.Popen[bytes]) -> str:
    status = rank.returncode
    if status >= 0:
        return f"rank {number} (pid {rank.pid}) ended with exit status {status}"
    name = signal.Signals(-status).name
    hint = " (often: out of memory)" if -status == signal.SIGKILL else ""
    return f"rank {number} (pid {rank.pid}) was killed by {name}{hint}"


if __name__ == "__main__":
    main()
