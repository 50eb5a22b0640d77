"""Between the kernel and the ranks: starts them, and sees to it that none outlives the kernel.

`python -m llama_nb.engine.supervisor LIFE PIPE KERNEL LOG`. In a session of its own, so that an interrupt of the
kernel's group does not reach it; single-threaded, so that nothing keeps it from acting. It blocks on the life pipe:
its end means that the kernel is gone, or does not want us any more. A rank's death is reported there in one line.
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


def main() -> None:
    life, pipe, kernel, log = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # only the life pipe ends us: SIGTERM to a group means others
    rank = _start_rank(pipe)
    # Our copy of the pipe must go: else the kernel would not see its end when the rank dies.
    os.close(pipe)
    try:
        kernel_gone = _wait(life, kernel, rank)
    finally:
        rank.kill()
        rank.wait()
    if kernel_gone:
        with contextlib.suppress(OSError):
            os.unlink(log)
            os.rmdir(os.path.dirname(log))
    else:
        with contextlib.suppress(OSError):
            life.sendall(_obituary(rank).encode())


def _start_rank(pipe: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "llama_nb.engine.worker", str(pipe), str(os.getpid())]
    return subprocess.Popen(command, pass_fds=[pipe], stdin=subprocess.DEVNULL)


def _wait(life: socket.socket, kernel: int, rank: subprocess.Popen[bytes]) -> bool:
    """Until the kernel or the rank is gone; whether it was the kernel."""
    if not hasattr(os, "pidfd_open"):
        return _wait_by_looking(life, kernel, rank)
    rank_gone = os.pidfd_open(rank.pid)
    watched = [life.fileno(), rank_gone]
    # A process that the kernel forked may hold a copy of the life pipe: so its pid is watched as well.
    with contextlib.suppress(OSError):
        watched.append(os.pidfd_open(kernel))
    if os.getppid() != kernel:
        return True
    # Not select(): the kernel may have so many files open that ours have numbers above its 1023.
    poll = select.poll()
    for descriptor in watched:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll()] != [rank_gone]


def _wait_by_looking(life: socket.socket, kernel: int, rank: subprocess.Popen[bytes]) -> bool:
    """The same where there are no pidfds (macOS): the life pipe at once, the pids five times a second."""
    poll = select.poll()
    poll.register(life, select.POLLIN)
    while os.getppid() == kernel and rank.poll() is None:
        if poll.poll(200):
            return True
    return os.getppid() != kernel


def _obituary(rank: subprocess.Popen[bytes]) -> str:
    status = rank.returncode
    if status >= 0:
        return f"rank 0 (pid {rank.pid}) ended with exit status {status}"
    name = signal.Signals(-status).name
    hint = " (often: out of memory)" if -status == signal.SIGKILL else ""
    return f"rank 0 (pid {rank.pid}) was killed by {name}{hint}"


if __name__ == "__main__":
    main()
