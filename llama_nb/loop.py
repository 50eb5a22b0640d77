"""The one event loop of ours, in a thread of its own, and the ways to cross into it.

All asynchronous work of llama_nb runs here, so the kernel's own loop is never blocked and never borrowed, and
state that only this thread writes needs no lock. Callers may be any thread, or any other event loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_owner = 0  # the process whose thread runs it: a fork inherits the loop, but not the thread


def get() -> asyncio.AbstractEventLoop:
    """Our event loop; the first call starts its thread."""
    global _loop, _owner
    with _lock:
        if _loop is None or _loop.is_closed() or _owner != os.getpid():
            _loop, _owner = asyncio.new_event_loop(), os.getpid()
            threading.Thread(target=_loop.run_forever, name="llama_nb", daemon=True).start()
        return _loop


def is_current() -> bool:
    """Whether the caller already runs in our loop's thread."""
    try:
        return asyncio.get_running_loop() is _loop
    except RuntimeError:
        return False


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Starts `coroutine` in our loop."""
    return asyncio.run_coroutine_threadsafe(coroutine, get())


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs `coroutine` in our loop and waits for it; an interrupt of the waiting thread cancels it."""
    if is_current():
        coroutine.close()
        raise RuntimeError("this call waits for llama_nb's event loop from inside of it; await the call instead")
    future = submit(coroutine)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def cross(coroutine: Coroutine[Any, Any, T]) -> T:
    """Awaits `coroutine` in our loop, from whatever loop the caller runs in."""
    if is_current():
        return await coroutine
    return await asyncio.wrap_future(submit(coroutine))


_END = object()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


async def _pump(source: AsyncIterator[T], put: Any) -> None:
    try:
        async for item in source:
            put(item)
        put(_END)
    except BaseException as error:
        put(_Failure(error))
        if isinstance(error, asyncio.CancelledError):
            raise
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


def iterate(source: AsyncIterator[T]) -> Iterator[T]:
    """The items of an asynchronous stream that runs in our loop, for a caller without a loop.

    Closing the iterator, or an interrupt while it waits, ends the stream.
    """
    items: SimpleQueue[Any] = SimpleQueue()
    pump = submit(_pump(source, items.put))
    try:
        while (item := items.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        pump.cancel()


async def aiterate(source: AsyncGenerator[T, None]) -> AsyncIterator[T]:
    """The items of an asynchronous stream that runs in our loop, for a caller in any loop."""
    if is_current():
        async with aclosing(source):
            async for item in source:
                yield item
        return
    here = asyncio.get_running_loop()
    items: asyncio.Queue[Any] = asyncio.Queue()
    pump = submit(_pump(source, lambda item: here.call_soon_threadsafe(items.put_nowait, item)))
    try:
        while (item := await items.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        pump.cancel()
