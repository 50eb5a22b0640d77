"""What code prints, caught where it runs: other threads, and cells that run meanwhile, print as always.

While something is caught, `sys.stdout` and `sys.stderr` are stand-ins that look who prints: context variables tell.
A thread that the code starts itself is not told apart, and prints where Python's output goes.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

Write = Callable[[str], None]

_catcher: ContextVar[Write | None] = ContextVar("llama_nb_catcher", default=None)
_lock = threading.Lock()
_open = 0


@contextlib.contextmanager
def caught(write: Write) -> Iterator[None]:
    """Calls `write` with what this thread or task prints inside of the block."""
    _stand_in(+1)
    token = _catcher.set(write)
    try:
        yield
    finally:
        _catcher.reset(token)
        _stand_in(-1)


def _stand_in(step: int) -> None:
    """Puts the stand-ins up with the first who catches, and takes them down with the last, if they still stand."""
    global _open
    with _lock:
        _open += step
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if _open and not isinstance(stream, StandIn):
                setattr(sys, name, StandIn(stream))
            elif not _open and isinstance(stream, StandIn):
                setattr(sys, name, stream.real)


class StandIn:
    """A stream that hands on what is written to it, or gives it to whoever catches here. Else it is the real one."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def write(self, text: str) -> int:
        write = _catcher.get()
        if write is None:
            return int(self.real.write(text) or 0)
        if not isinstance(text, str):
            raise TypeError(f"write() takes text, not {type(text).__name__}")
        write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if _catcher.get() is None and self.real is not None:
            self.real.flush()

    def isatty(self) -> bool:
        return _catcher.get() is None and bool(self.real.isatty())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)
