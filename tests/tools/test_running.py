"""A call, run: in a thread or in the loop, with progress, a limit, and an end that never raises."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from llama_nb import loop
from llama_nb.tools import Result, Tool, tool
from tests.stacks import WAIT_S

SHORT_S = 0.2


def test_a_sync_function_runs_in_a_thread_of_its_own(run: Any) -> None:
    def where() -> str:
        return threading.current_thread().name

    assert run(where).text == "llama_nb tool"


def test_an_async_function_runs_in_our_loop(run: Any) -> None:
    async def where() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    assert run(where).text == "llama_nb"


def test_the_loop_goes_on_while_a_function_blocks() -> None:
    release = threading.Event()

    @tool
    def block() -> str:
        release.wait(WAIT_S)
        return "released"

    future = loop.submit(block.run({}))
    assert loop.run(asyncio.sleep(0, "the loop is free")) == "the loop is free"
    release.set()
    assert future.result(WAIT_S).text == "released"


def test_context_variables_reach_the_function() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @tool
    def sync_look() -> str:
        return variable.get()

    @tool
    async def async_look() -> str:
        return variable.get()

    async def main() -> list[str]:
        variable.set("mine")
        return [(await sync_look.run({})).text, (await async_look.run({})).text]

    assert asyncio.run(main()) == ["mine", "mine"]


def test_what_is_passed_is_what_was_checked(run: Any) -> None:
    def double(count: int) -> int:
        return count * 2

    assert run(double, count="21").text == "42"
    refused = run(double, count="x")
    assert refused.failed and refused.text.startswith("Argument `count` of `double` must be int")


# --- Progress ---------------------------------------------------------------------------------------------------------


def steps(n: int) -> Iterator[Any]:
    for step in range(n):
        yield f"step {step}"
    yield {"steps": n}


def steps_then_result(n: int) -> Iterator[str]:
    yield "working"
    return "the result"


async def async_steps(n: int) -> AsyncIterator[Any]:
    for step in range(n):
        await asyncio.sleep(0)
        yield f"step {step}"
    yield {"steps": n}


@pytest.mark.parametrize("generator", [steps, async_steps])
def test_what_is_yielded_is_progress_and_the_last_the_result(run: Any, generator: Any) -> None:
    said: list[str] = []
    assert run(generator, said, n=2).text == '{"steps": 2}'
    assert said == ["step 0", "step 1", '{"steps": 2}']


def test_what_a_generator_returns_is_its_result(run: Any) -> None:
    said: list[str] = []
    assert run(steps_then_result, said, n=1).text == "the result"
    assert said == ["working"]


def test_progress_is_told_in_our_loop_before_the_result() -> None:
    heard: list[str] = []

    def hear(said: str) -> None:
        heard.append(f"{said} in {threading.current_thread().name}")

    asyncio.run(tool(steps).run({"n": 1}, hear))
    assert heard == ["step 0 in llama_nb", '{"steps": 1} in llama_nb']


def test_long_progress_is_trimmed_and_odd_progress_told(run: Any) -> None:
    class Odd:
        def __str__(self) -> str:
            raise ValueError("no words")

    def odd() -> Iterator[Any]:
        yield "x" * 100_000
        yield Odd()
        yield "done"

    said: list[str] = []
    assert run(odd, said).text == "done"
    assert len(said[0]) <= 2_000 and "no words" in said[1]


# --- Errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no such city"), "ValueError: no such city"),
        (KeyError("city"), "KeyError: 'city'"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (StopIteration("early"), "StopIteration: early"),
        (GeneratorExit("odd"), "GeneratorExit: odd"),
        (asyncio.CancelledError(), None),
        (ExceptionGroup("two", [ValueError("a"), ValueError("b")]), "ExceptionGroup: two (2 sub-exceptions)"),
    ],
)
@pytest.mark.parametrize("kind", ["sync", "async", "generator", "async generator"])
def test_an_error_is_a_failed_result_in_short(run: Any, error: BaseException, text: str | None, kind: str) -> None:
    def sync_fails() -> None:
        raise error

    async def async_fails() -> None:
        raise error

    def generator_fails() -> Iterator[str]:
        yield "begun"
        raise error

    async def async_generator_fails() -> AsyncIterator[str]:
        yield "begun"
        raise error

    functions = {
        "sync": sync_fails,
        "async": async_fails,
        "generator": generator_fails,
        "async generator": async_generator_fails,
    }
    result = run(functions[kind])
    assert result.failed
    if isinstance(error, StopIteration) and kind != "sync":
        assert result.text.startswith("RuntimeError")  # Python's own words for it
    elif text is not None:
        assert result.text == text
    assert loop.run(asyncio.sleep(0, "alive")) == "alive"


def test_an_error_that_cannot_be_told_is_still_told(run: Any) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fails() -> None:
        raise Mute

    assert run(fails) == Result("Mute", failed=True)


def test_an_error_names_no_folder_of_this_machine(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    def fails(what: str) -> None:
        raise OSError(what)

    for folder, name in ((Path.home(), "~"), (tmp_path, "."), (Path(sys.prefix), "<python>")):
        assert run(fails, what=f"no '{folder}/secret.csv'").text == f"OSError: no '{name}/secret.csv'"
    assert run(fails, what=f"{Path.home()}ish").text == f"OSError: {Path.home()}ish"


def test_a_working_folder_that_is_gone_does_no_harm(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    def fails() -> None:
        os.getcwd()

    assert run(fails).text.startswith("FileNotFoundError")


# --- Limits and Stop --------------------------------------------------------------------------------------------------


def test_a_function_that_outlives_its_limit_is_abandoned_and_told_of() -> None:
    release = threading.Event()

    @tool(timeout_s=SHORT_S)
    def slow() -> str:
        release.wait(WAIT_S)
        return "too late"

    result = asyncio.run(slow.run({}))
    release.set()
    assert result.failed
    assert result.text == (
        "TimeoutError: `slow` did not finish within 0.2 s and was abandoned; "
        "a thread cannot be ended, so it may still be running."
    )


def test_an_async_function_that_outlives_its_limit_is_cancelled() -> None:
    cancelled = threading.Event()

    @tool(timeout_s=SHORT_S)
    async def slow() -> None:
        try:
            await asyncio.sleep(WAIT_S)
        finally:
            cancelled.set()

    result = asyncio.run(slow.run({}))
    assert result == Result("TimeoutError: `slow` did not finish within 0.2 s and was cancelled.", failed=True)
    assert cancelled.wait(WAIT_S)


def test_an_async_function_that_heeds_no_cancel_holds_up_nobody() -> None:
    release = threading.Event()

    @tool(timeout_s=SHORT_S)
    async def stubborn() -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    assert asyncio.run(stubborn.run({})).failed
    release.set()


def test_nothing_is_told_of_a_call_that_is_over() -> None:
    release, told = threading.Event(), threading.Event()

    @tool(timeout_s=SHORT_S)
    async def stubborn() -> AsyncIterator[str]:
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        yield "too late"
        told.set()

    said: list[str] = []
    assert asyncio.run(stubborn.run({}, said.append)).failed
    release.set()
    assert told.wait(WAIT_S) and said == []


def test_a_sync_function_may_give_something_to_await(run: Any) -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    def now() -> Any:
        return later()

    def now_steps() -> Any:
        return async_steps(1)

    assert run(now).text == "llama_nb"
    assert run(now_steps).text == '{"steps": 1}'


def test_a_huge_result_is_trimmed(run: Any) -> None:
    def huge() -> str:
        return "x" * 200_000_000

    assert len(run(huge).text) == 20_000


def test_a_generator_ends_at_its_next_yield_after_its_limit() -> None:
    closed, release = threading.Event(), threading.Event()

    @tool(timeout_s=SHORT_S)
    def endless() -> Iterator[str]:
        try:
            yield "begun"
            release.wait(WAIT_S)
            while True:
                yield "more"
        finally:
            closed.set()

    said: list[str] = []
    assert asyncio.run(endless.run({}, said.append)).failed
    release.set()
    assert closed.wait(WAIT_S)
    assert said == ["begun"]


def test_no_limit_is_no_limit(run: Any) -> None:
    @tool(timeout_s=None)
    def look() -> str:
        return "seen"

    assert run(look).text == "seen"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_cancel_returns_at_once(kind: str) -> None:
    started, release = threading.Event(), threading.Event()

    def block() -> None:
        started.set()
        release.wait(WAIT_S)

    async def stubborn() -> None:
        started.set()
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    slow: Tool = tool(block if kind == "sync" else stubborn)

    async def main() -> float:
        task = asyncio.ensure_future(slow.run({}))
        await asyncio.to_thread(started.wait, WAIT_S)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    took = asyncio.run(main())
    assert not release.is_set() and took < WAIT_S / 2  # the function itself would have taken all of it
    release.set()


def test_no_thread_keeps_python_from_ending() -> None:
    import subprocess

    code = """
import asyncio, threading
from llama_nb.tools import tool
@tool(timeout_s=0.1)
def slow():
    threading.Event().wait()
print(asyncio.run(slow.run({})).failed)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_many_calls_at_once_keep_apart() -> None:
    @tool
    def echo(n: int) -> int:
        return n

    async def main() -> list[str]:
        return [result.text for result in await asyncio.gather(*(echo.run({"n": n}) for n in range(50)))]

    assert asyncio.run(main()) == [str(n) for n in range(50)]


def test_what_a_function_prints_goes_where_output_goes(run: Any, capfd: pytest.CaptureFixture[str]) -> None:
    def chatty() -> str:
        print("said aloud")
        return "result"

    assert run(chatty).text == "result"
    assert capfd.readouterr().out == "said aloud\n"
