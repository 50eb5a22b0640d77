"""One event loop of ours: reached from any thread and any other loop, ended with what it serves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from llama_nb import loop
from tests.counts import full
from tests.stacks import WAIT_S


async def thread_name() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


def test_work_is_done_in_one_thread_of_ours() -> None:
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda _: loop.run(thread_name()), range(full(50, 2_000))))
    assert set(names) == {"llama_nb"}
    assert sum(thread.name == "llama_nb" for thread in threading.enumerate()) == 1


def test_other_loops_cross_into_it() -> None:
    assert asyncio.run(loop.cross(thread_name())) == "llama_nb"
    assert loop.run(loop.cross(thread_name())) == "llama_nb"


def test_waiting_for_it_from_inside_is_refused() -> None:
    async def waits() -> None:
        loop.run(thread_name())

    with pytest.raises(RuntimeError, match="await the call instead"):
        loop.run(waits())


def test_an_error_comes_out_as_it_was_raised() -> None:
    async def fails() -> None:
        raise LookupError("this one")

    with pytest.raises(LookupError, match="this one"):
        loop.run(fails())
    with pytest.raises(LookupError, match="this one"):
        asyncio.run(loop.cross(fails()))


class Source:
    """A stream that tells when it is ended."""

    def __init__(self, length: int | None = None, fails: bool = False) -> None:
        self.length, self.fails = length, fails
        self.started, self.closed = threading.Event(), threading.Event()

    async def stream(self) -> AsyncIterator[int]:
        self.started.set()
        try:
            number = 0
            while number != self.length:
                yield number
                number += 1
                await asyncio.sleep(0)
            if self.fails:
                raise LookupError("at the end")
        finally:
            self.closed.set()


def test_a_stream_comes_whole_and_in_order() -> None:
    assert list(loop.iterate(Source(1_000).stream())) == list(range(1_000))

    async def collect() -> list[int]:
        return [number async for number in loop.aiterate(Source(1_000).stream())]

    assert asyncio.run(collect()) == list(range(1_000))
    assert loop.run(collect()) == list(range(1_000))


def test_a_stream_that_fails_gives_all_before_its_error() -> None:
    got: list[int] = []

    def take() -> None:
        for number in loop.iterate(Source(3, fails=True).stream()):
            got.append(number)

    with pytest.raises(LookupError):
        take()
    assert got == [0, 1, 2]


def test_leaving_a_stream_early_ends_it() -> None:
    source = Source()
    for number in loop.iterate(source.stream()):
        if number == 2:
            break
    gc.collect()
    assert source.closed.wait(WAIT_S)


def test_leaving_a_stream_early_in_another_loop_ends_it() -> None:
    source = Source()

    async def leave() -> None:
        async with contextlib.aclosing(loop.aiterate(source.stream())) as stream:  # type: ignore[type-var]
            async for _ in stream:
                return

    asyncio.run(leave())
    assert source.closed.wait(WAIT_S)


def test_a_stream_that_nobody_reads_never_starts() -> None:
    source = Source()
    stream = loop.iterate(source.stream())
    loop.run(asyncio.sleep(0))
    assert not source.started.is_set()
    del stream


def test_cancelling_the_waiting_call_cancels_the_work() -> None:
    cancelled = threading.Event()
    started = threading.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.sleep(WAIT_S)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def give_up() -> None:
        task = asyncio.create_task(loop.cross(work()))
        await asyncio.to_thread(started.wait, WAIT_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert cancelled.wait(WAIT_S)


def test_an_interrupt_of_the_waiting_thread_cancels_the_work() -> None:
    """In a process of its own, whose main thread gets a real SIGINT."""
    code = """
import asyncio, os, signal, threading
from llama_nb import loop
gone = threading.Event()
async def work():
    try:
        loop.get().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
        await asyncio.sleep(1000)
    finally:
        gone.set()
try:
    loop.run(work())
except KeyboardInterrupt:
    print("interrupted", gone.wait(60))
async def numbers():
    try:
        loop.get().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
        yield 1
        await asyncio.sleep(1000)
    finally:
        gone.set()
gone.clear()
try:
    for _ in loop.iterate(numbers()):
        pass
except KeyboardInterrupt:
    print("interrupted", gone.wait(60))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.stdout.split() == ["interrupted", "True"] * 2, done.stderr


def test_a_cancelled_future_says_so() -> None:
    future = loop.submit(asyncio.sleep(WAIT_S))
    future.cancel()
    with pytest.raises(CancelledError):
        future.result(WAIT_S)
