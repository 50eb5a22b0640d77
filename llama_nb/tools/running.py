"""One call of a tool, run: sync code in a thread of its own, async code in llama_nb's loop, both within a time limit.

A thread cannot be killed. One that outlives its limit, or a Stop, is left alone (a generator ends at its next `yield`),
and the model is told so. Whatever goes wrong is a failed result; only a cancel is raised. What a function prints goes
where Python's output goes; it is no part of the result. Knows no tool.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import inspect
import threading
from collections.abc import Callable
from typing import Any

from llama_nb.tools.events import Result
from llama_nb.tools.results import failure, result_of, trimmed

MAX_PROGRESS = 2_000

Progress = Callable[[str], None]
"""Takes the latest word of a run, in llama_nb's loop."""
Action = Callable[[dict[str, Any], Progress], Any]
"""What a tool does: checked arguments → a value, or a coroutine or an (async) generator that makes it."""

_abandoned: set[asyncio.Future[Any]] = set()  # tasks that do not heed a cancel, until they end


class Abandoned(BaseException):
    """Thrown into a thread that is to end, and raised where one may no longer report."""


async def run_action(
    name: str,
    action: Action,
    arguments: dict[str, Any],
    progress: Progress,
    *,
    in_loop: bool,
    timeout_s: float | None,
    interruptible: bool = False,
) -> Result:
    """The result of one call. Runs in llama_nb's loop; `progress` is called there.

    Args:
        in_loop: `action` gives a coroutine or an async generator at once, so that it needs no thread.
        timeout_s: the limit in seconds; None for none.
        interruptible: its thread may be interrupted anywhere in its Python code, since that code is nobody's.
    """
    ended = threading.Event()
    told = _until(ended, progress)
    work = _awaited(action, arguments, told) if in_loop else _threaded(action, arguments, told, interruptible)
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    finally:
        ended.set()
    if not done:
        _abandon(task)
        return Result(_overdue(name, timeout_s, in_loop), failed=True)
    if task.cancelled():
        return Result(f"`{name}` cancelled itself.", failed=True)
    error = task.exception()
    return failure(error) if error is not None else task.result()


def _until(ended: threading.Event, progress: Progress) -> Progress:
    """Progress that comes when the call is over already is not told any more."""
    return lambda said: None if ended.is_set() else progress(said)


def _abandon(task: asyncio.Task[Any]) -> None:
    """Cancels and does not wait: a task that heeds no cancel must not hold up the conversation."""
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Future[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # is looked at, so that asyncio does not complain of it


def _overdue(name: str, timeout_s: float | None, in_loop: bool) -> str:
    left = "was cancelled" if in_loop else "was abandoned; a thread cannot be ended, so it may still be running"
    return f"TimeoutError: `{name}` did not finish within {timeout_s:g} s and {left}."


# --- In the loop ------------------------------------------------------------------------------------------------------


async def _awaited(action: Action, arguments: dict[str, Any], progress: Progress) -> Result:
    try:
        value = await _value(action(arguments, progress), progress)
    except (KeyboardInterrupt, SystemExit) as error:  # asyncio would end the whole loop with these
        return failure(error)
    return await _written(value)


async def _value(value: Any, progress: Progress) -> Any:
    """What an awaitable gives in the end, or the last that an async generator yields."""
    if inspect.isawaitable(value):
        value = await value
    if not inspect.isasyncgen(value):
        return value
    latest = None
    try:
        async for latest in value:
            progress(word_of_progress(latest))
    finally:
        await value.aclose()
    return latest


async def _written(value: Any) -> Result:
    """`value` as a result. A value's own code (a table that draws itself) may take its time, so not in the loop."""
    if value is None or isinstance(value, str | bool | int | float | Result):
        return result_of(value)
    written: Result = await in_thread(lambda _: result_of(value))
    return written


# --- In a thread ------------------------------------------------------------------------------------------------------


async def _threaded(action: Action, arguments: dict[str, Any], progress: Progress, interruptible: bool) -> Result:
    loop = asyncio.get_running_loop()
    ours = contextvars.copy_context()  # the listener's, and not what the code's thread makes of it

    def work(ended: threading.Event) -> Any:
        def report(said: Any) -> None:
            if not ended.is_set():
                loop.call_soon_threadsafe(progress, word_of_progress(said), context=ours)

        value = _exhausted(action(arguments, report), report, ended)
        needs_loop = inspect.isawaitable(value) or inspect.isasyncgen(value)
        return value if needs_loop else result_of(value)

    value = await in_thread(work, interruptible)
    return value if isinstance(value, Result) else await _awaited(lambda *_: value, arguments, progress)


def _exhausted(value: Any, report: Callable[[Any], None], ended: threading.Event) -> Any:
    """A generator's result: what it returns, or else what it yielded last."""
    if not inspect.isgenerator(value):
        return value
    latest = None
    while not ended.is_set():
        try:
            latest = next(value)
        except StopIteration as stop:
            return latest if stop.value is None else stop.value
        report(latest)
    value.close()
    raise Abandoned


async def in_thread(work: Callable[[threading.Event], Any], interruptible: bool = False) -> Any:
    """What `work` returns, from a thread of its own that sees the caller's context variables.

    `work` is given an event that is set when nobody waits for it any more. The thread holds up neither the caller's
    cancel nor Python's exit, as one of a pool would.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context, ended = contextvars.copy_context(), threading.Event()

    def settle(value: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)
        elif isinstance(error, StopIteration | KeyboardInterrupt | SystemExit | asyncio.CancelledError):
            done.set_result(failure(error))  # these mean something else to a future
        else:
            done.set_exception(error)

    def body() -> None:
        value, error = None, None
        try:
            value = context.run(work, ended)
        except BaseException as raised:
            error = raised
        # Closed is the loop when Python is on its way out; an interrupt may come a moment too late.
        with contextlib.suppress(RuntimeError, Abandoned):
            loop.call_soon_threadsafe(settle, value, error)

    thread = threading.Thread(target=body, name="llama_nb tool", daemon=True)
    thread.start()
    try:
        return await done
    except asyncio.CancelledError:
        if interruptible:
            interrupt(thread)
        raise
    finally:
        ended.set()


def interrupt(thread: threading.Thread) -> None:
    """Raises `Abandoned` in `thread` when it next runs Python code; what waits outside of Python goes on waiting."""
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Abandoned))


def word_of_progress(said: Any) -> str:
    try:
        return trimmed(said if isinstance(said, str) else result_of(said).text, MAX_PROGRESS)
    except Exception as error:
        return failure(error).text
