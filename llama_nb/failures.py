"""The errors of the notebook's cells, as text: for `{Err[3]}` and `%llama fix`.

Holds no exception and no frame, so nothing of the user's lives longer because it failed. Knows tracebacks; of IPython
only what its `post_run_cell` event brings.
"""

from __future__ import annotations

import re
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llama_nb.interpolation import trim

REMEMBERED = 100  # errors
LONGEST_TRACEBACK = 4_000  # characters
MOST_FRAMES = 20
NO_FAILURES = ("KeyboardInterrupt", "SystemExit", "UsageError")  # of the code, that is

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


@dataclass(frozen=True)
class Failure:
    """A cell that failed; `number` is None if it was run without one."""

    number: int | None
    code: str
    error: str

    @property
    def question(self) -> str:
        """What `%llama fix` asks."""
        return (
            f"This code of my notebook fails:\n\n{_fenced(self.code, 'python')}\n\n"
            f"with this error:\n\n{_fenced(self.error, 'text')}\n\n"
            "Say in a sentence or two what is wrong, then give the corrected code."
        )


def _fenced(text: str, language: str) -> str:
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", text))]))
    newline = "\n"
    return f"{fence}{language}\n{text.strip(newline)}\n{fence}"


class Failures:
    """The latest errors, by the number of their cell.

    `name_of` gives the name of a file as a traceback is to show it: that of a cell is a temporary one.
    """

    def __init__(self, name_of: Callable[[str], str] = str) -> None:
        self._name_of = name_of
        self.last: Failure | None = None
        self.by_number: OrderedDict[int, str] = OrderedDict()

    def post_run_cell(self, result: Any) -> None:
        """Looks at how a cell ended. To be registered for IPython's event of that name."""
        error = result.error_before_exec or result.error_in_exec
        code = getattr(result.info, "raw_cell", None) or ""
        if error is None or type(error).__name__ in NO_FAILURES or _is_ours(error, code):
            return
        self.last = Failure(result.execution_count, code, error_text(error, self._name_of))
        if result.execution_count is not None:
            self.by_number[result.execution_count] = self.last.error
            while len(self.by_number) > REMEMBERED:
                self.by_number.popitem(last=False)


def _is_ours(error: BaseException, code: str) -> bool:
    """A question that failed is no mistake in the notebook's code."""
    from llama_nb.errors import LlamaError

    return isinstance(error, LlamaError) and code.lstrip().startswith(("%llama", "%%llama"))


def error_text(error: BaseException, name_of: Callable[[str], str] = str) -> str:
    """The traceback, from the user's own code on, in plain letters and not too long."""
    try:
        told = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
        seen = {id(told)}
        part: traceback.TracebackException | None = told
        while part is not None:
            _tidy(part, name_of)
            part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
            part = part if part is not None and id(part) not in seen else None
            seen.add(id(part))
        text = "".join(told.format())
    except Exception:  # an error whose own text fails
        text = f"{type(error).__name__} (it cannot be told as text)"
    return trim(_ANSI.sub("", text).strip(), LONGEST_TRACEBACK)


def _tidy(part: traceback.TracebackException, name_of: Callable[[str], str]) -> None:
    own = [frame for frame in part.stack if not _runs_cells(frame.filename)]
    if len(own) > MOST_FRAMES:  # where the user's code began it, and where it ended
        own = [*own[: MOST_FRAMES // 2], *own[-MOST_FRAMES // 2 :]]
    part.stack[:] = [
        traceback.FrameSummary(
            name_of(frame.filename), frame.lineno, frame.name, lookup_line=False, line=frame.line or ""
        )
        for frame in own
    ]
    if isinstance(getattr(part, "filename", None), str):  # of a SyntaxError
        part.filename = name_of(part.filename)


def _runs_cells(filename: str) -> bool:
    return "/IPython/core/" in filename.replace("\\", "/") or "/ipykernel/" in filename.replace("\\", "/")
