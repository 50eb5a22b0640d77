"""Llama's `code_interpreter`: Python that the model writes, run in the notebook or in a process of its own.

In the notebook it is convenient and no boundary at all: the code sees and changes every variable, file and account that
you can. So it always asks. In a process it is shut in as far as the machine allows, and says how far that is.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import linecache
import math
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from llama_nb import loop
from llama_nb.apis.messages import BuiltinTool
from llama_nb.errors import BadRequest, did_you_mean
from llama_nb.tools import sandbox, sandbox_inside
from llama_nb.tools.definition import TIMEOUT_S, Approval, Tool, builtin_tool
from llama_nb.tools.events import Result
from llama_nb.tools.printed import Write, caught
from llama_nb.tools.results import as_left_by_a_terminal, bounded, mime_bundle, result_of, without_folders
from llama_nb.tools.running import Abandoned, Action, Progress

Where = Literal["notebook", "process"]

_SILENT = "The code ran and printed nothing."
_MAX_KEPT = 1 << 20  # characters of output
_MAX_LINE = 2_000
_PROGRESS_S = 0.05
_RETURN_S = 5.0  # what a process may take to be ended, beyond its own time

_numbers = itertools.count(1)  # of the codes that ran in the notebook


def code_interpreter(
    where: Where = "notebook",
    *,
    approval: Approval = "ask",
    timeout_s: float = TIMEOUT_S,
    memory_mb: int = 2048,
) -> Tool:
    """Python for the model: it writes code, and reads what that prints, the value of the last line, and errors.

    Args:
        where: "notebook" runs in this kernel, with your variables, and always asks. "process" runs in a process of its
            own that starts anew each time, and is kept from the network, from other processes and from your files as
            far as this machine allows; the tool's `notice` says how far.
        approval: "allow" is refused for the notebook.
        timeout_s: seconds that one call may take. In the notebook, code that does not heed it cannot be ended.
        memory_mb: MiB of memory for each process of "process".

    Raises:
        BadRequest: for a `where` or an `approval` that cannot be.
    """
    if where not in get_args(Where):
        raise BadRequest(f"where=`{where}` is none. {did_you_mean(str(where), get_args(Where))}")
    if where == "notebook":
        return builtin_tool(
            BuiltinTool.code_interpreter,
            _in_notebook,
            approval,
            timeout_s,
            notice="Runs in this notebook, with your variables and with all that you may do.",
            always_asks=True,
            interruptible=True,
        )
    limits = sandbox.Limits(seconds=timeout_s, cpu_s=max(1, round(timeout_s)), memory_mb=memory_mb)
    kept = "" if loop.is_current() else f": {sandbox.isolation()}"
    return builtin_tool(
        BuiltinTool.code_interpreter,
        _in_process(limits),
        approval,
        timeout_s + _RETURN_S,
        notice=f"Runs in a process of its own{kept}.",
        in_loop=True,
    )


# --- In a process -----------------------------------------------------------------------------------------------------


def _in_process(limits: sandbox.Limits) -> Action:
    async def run(arguments: dict[str, Any], progress: Progress) -> Result:
        outcome = await sandbox.run_code(
            arguments["code"], limits, lambda piece: progress(_last_line(piece)) if piece.strip() else None
        )
        return _result(outcome)

    return run


def _result(outcome: sandbox.Outcome) -> Result:
    text = without_folders(as_left_by_a_terminal(outcome.output)).rstrip()
    bundle = dict(outcome.pictures)
    failed = bool(outcome.ended) or outcome.status != 0
    if "image/png" in bundle:
        text += "\n[a picture, shown to the user]"
    if failed:
        text += f"\n[{_why(outcome)}]"
    if not failed and not text:
        text = _SILENT
    left_open = str(outcome.isolation).partition("; BUT ")[2]
    if left_open:
        text += f"\n[This process was not fully shut in: {left_open}.]"
    return bounded(Result(text.strip("\n"), bundle, failed))


def _why(outcome: sandbox.Outcome) -> str:
    if outcome.ended:
        return f"The code was ended: {outcome.ended}."
    if outcome.status <= 128:
        return f"The code ended with status {outcome.status}."
    return f"The code was ended by {_signal_name(outcome.status - 128)}."


def _signal_name(number: int) -> str:
    import signal

    known = {
        getattr(signal, "SIGXCPU", -1): "the limit of its processor time",
        signal.SIGSEGV: "a crash (segmentation fault)",
    }
    if number in known:
        return known[number]
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(text: str) -> str:
    return as_left_by_a_terminal(text).strip().rpartition("\n")[2]


# --- In the notebook --------------------------------------------------------------------------------------------------


class _Printed:
    """What the code has printed so far, up to a bound. Its latest line is progress, a few times a second."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.kept, self.characters, self.told_at = progress, io.StringIO(), 0, -math.inf

    def write(self, text: str) -> None:
        self.kept.write(text[: max(0, _MAX_KEPT - self.characters)])
        self.characters += len(text)
        if text.strip() and time.monotonic() - self.told_at > _PROGRESS_S:
            self.told_at = time.monotonic()
            self.progress(_last_line(text[-_MAX_LINE:]))

    @property
    def text(self) -> str:
        more = self.characters - _MAX_KEPT
        notice = f"\n[{more:,} characters more were not kept]" if more > 0 else ""
        return as_left_by_a_terminal(self.kept.getvalue()) + notice


def _in_notebook(arguments: dict[str, Any], progress: Progress) -> Result:
    """Runs in the tool's own thread. IPython's `%magics` and `!commands` work, too."""
    shell = _shell()
    name = f"<code_interpreter {next(_numbers)}>"
    printed = _Printed(progress)
    shown: dict[str, str] = {}
    before = _open_figures()
    value, error = None, None
    with caught(printed.write), _displayed(shell, shown, printed.write):
        try:
            value = _evaluated(arguments["code"], shell, name)
        except Abandoned:
            raise
        except BaseException as raised:
            error = raised
        silent = value is None or error is not None or sandbox_inside.is_drawn(value)
        result = Result("") if silent else result_of(value)
        if error is None and not _is_pictured(result.bundle):
            shown |= _new_figure(before)
    return _together(printed.text, shown, result, error, name)


def _evaluated(code: str, shell: Any, name: str) -> Any:
    """The value of the last expression of `code`; its lines are kept, for who looks into what it defined."""
    names = sys.modules["__main__"].__dict__ if shell is None else shell.user_ns
    source = code if shell is None else shell.transform_cell(code)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    value = None
    for part in sandbox_inside.compiled(source, name):
        value = sandbox_inside.evaluated(part, names)
    return value


def _together(printed: str, shown: dict[str, str], value: Result, error: BaseException | None, name: str) -> Result:
    texts = [printed.rstrip("\n"), value.text]
    if _is_pictured(shown) and not _is_pictured(value.bundle):
        texts.append("[a picture, shown to the user]")
    if error is not None:
        texts.append(without_folders(sandbox_inside.told(error, name)).rstrip())
    text = "\n".join(text for text in texts if text) or _SILENT
    return bounded(Result(text, shown | value.bundle, error is not None or value.failed))


def _is_pictured(bundle: Mapping[str, str]) -> bool:
    return any(kind.startswith("image/") for kind in bundle)


def _shell() -> Any:
    interactive = sys.modules.get("IPython.core.interactiveshell")
    if interactive is None or not interactive.InteractiveShell.initialized():
        return None
    return interactive.InteractiveShell.instance()


@contextlib.contextmanager
def _displayed(shell: Any, shown: dict[str, str], write: Write) -> Iterator[None]:
    """Puts into `shown` what this thread displays, instead of below whatever cell ran last (ipykernel's hooks).

    Its text is written in its place among what is printed; a picture has none.
    """
    publisher = getattr(shell, "display_pub", None)
    if publisher is None or not hasattr(publisher, "register_hook"):
        yield
        return

    def hook(message: dict[str, Any]) -> None:
        if message["header"]["msg_type"] in ("display_data", "update_display_data"):
            bundle = mime_bundle(message["content"]["data"])
            shown.update(bundle)
            if not _is_pictured(bundle):
                write(bundle.get("text/markdown") or bundle.get("text/plain", "") + "\n")

    publisher.register_hook(hook)
    try:
        yield
    finally:
        publisher.unregister_hook(hook)


def _open_figures() -> set[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return set(pyplot.get_fignums()) if pyplot is not None else set()


def _new_figure(before: set[int]) -> dict[str, str]:
    """The last figure that the code left open; left so, all would show below the next cell that ends."""
    figures = sorted(_open_figures() - before)
    if not figures:
        return {}
    pyplot = sys.modules["matplotlib.pyplot"]
    pictures = [result_of(pyplot.figure(number)).bundle for number in figures]
    return pictures[-1]
