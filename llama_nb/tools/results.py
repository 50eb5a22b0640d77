"""What a tool returned → what the model reads and what a page shows.

The model gets text: as it is, as JSON, or as a thing describes itself. A page gets the pictures and tables that
IPython's formatters make, when IPython runs. Both are bounded; what is left out is named. Knows no tool.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from llama_nb.errors import LlamaError
from llama_nb.tools.events import Result

MAX_TEXT = 20_000
"""Characters of a result that the model reads."""
MAX_ERROR = 2_000
MAX_SHOWN = 1_000_000
"""Characters of each entry of a bundle: a notebook saves them all."""

SHOWN_TYPES = ("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain")
_METHODS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
}
_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")


def result_of(value: Any) -> Result:
    """The result of a call that returned `value`. Runs the value's own code: not for the event loop's thread.

    >>> result_of({"temperature": 21.5}).text
    '{"temperature": 21.5}'
    """
    if isinstance(value, Result):
        return bounded(Result(value.text, mime_bundle(value.bundle), value.failed))
    if value is None or type(value) in (str, bool, int, float):
        return Result(trimmed(value if isinstance(value, str) else _json(value)))
    try:
        bundle = _bundle(value)
        return bounded(Result(_text(value, bundle), bundle))
    except RecursionError:
        return Result(f"The result, a {type(value).__name__}, holds itself and cannot be written down.", failed=True)
    except Exception as error:
        said = error_text(error)
        return Result(f"The result, a {type(value).__name__}, could not be written down: {said}", failed=True)


def failure(error: BaseException) -> Result:
    """The result of a call that raised."""
    return Result(error_text(error), failed=True)


def error_text(error: BaseException) -> str:
    """`ValueError: what it says`: short, without the folders of this machine. An error of ours is a sentence by itself.

    >>> error_text(LookupError("no such city"))
    'LookupError: no such city'
    """
    name = type(error).__name__
    try:
        says = str(error)
    except Exception:
        says = ""
    if says and not isinstance(error, LlamaError):
        says = f"{name}: {says}"
    return trimmed(without_folders(says or name), MAX_ERROR)


def bounded(result: Result) -> Result:
    """`result` within the limits; the text says which pictures were too large to show."""
    kept = {kind: content for kind, content in result.bundle.items() if len(content) <= MAX_SHOWN}
    left_out = [
        f"[{kind} of {len(content):,} characters is too large to show]"
        for kind, content in result.bundle.items()
        if kind not in kept
    ]
    return Result(trimmed("\n".join([result.text, *left_out])), kept, result.failed)


def trimmed(text: str, limit: int = MAX_TEXT) -> str:
    """`text` as whole characters, its middle left out when it is longer than `limit`, with a word on how much."""
    if len(text) > limit:
        cut = len(text) - limit
        while True:
            notice = f"\n[… {cut:,} of {len(text):,} characters left out …]\n"
            kept = limit - len(notice)
            if len(text) - kept <= cut:
                break
            cut = len(text) - kept
        head = (kept + 1) // 2
        text = text[:head] + notice + text[len(text) - (kept - head) :]
    return text.encode("utf-8", "replace").decode("utf-8")


def as_left_by_a_terminal(text: str) -> str:
    r"""`text` without colours, and of a line that was written over (a progress bar) only the last state.

    >>> as_left_by_a_terminal("\x1b[31mred\x1b[0m\r\n1 %\r100 %\n")
    'red\n100 %\n'
    """
    lines = _COLOURS.sub("", text).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


@cache
def _folders() -> list[tuple[re.Pattern[str], str]]:
    names = {
        sys.prefix: "<python>",
        sys.base_prefix: "<python>",
        str(Path.home()): "~",
        tempfile.gettempdir(): "<tmp>",
    }
    return [
        (re.compile(re.escape(folder) + r"(?=[/\\:'\"\s,;)\]]|$)"), name)
        for folder, name in sorted(names.items(), key=lambda item: -len(item[0]))
        if len(folder) > 1
    ]


def without_folders(text: str) -> str:
    """`text` in which the working folder reads `.`, the home folder `~`, and Python's own `<python>`."""
    try:
        here = os.getcwd()
    except OSError:  # the folder is gone
        here = ""
    if len(here) > 1:
        text = re.sub(re.escape(here) + r"(?=[/\\:'\"\s,;)\]]|$)", ".", text)
    for folder, name in _folders():
        text = folder.sub(name, text)
    return text


# --- For the page -----------------------------------------------------------------------------------------------------


def _bundle(value: Any) -> dict[str, str]:
    """What a page can show of `value` besides its text: MIME type → content, pictures in base64."""
    figure = _figure_of(value)
    if figure is not None:
        return _picture(figure)
    shown = _formatted(value)
    bundle = {kind: _content(shown[kind]) for kind in SHOWN_TYPES if shown.get(kind) is not None}
    return bundle if set(bundle) - {"text/plain"} else {}


def mime_bundle(shown: Mapping[str, Any]) -> dict[str, str]:
    """Of a MIME bundle what a page is given."""
    return {kind: _content(shown[kind]) for kind in SHOWN_TYPES if shown.get(kind) is not None}


def _content(content: Any) -> str:
    if isinstance(content, tuple):  # with metadata
        content = content[0]
    if isinstance(content, bytes | bytearray | memoryview):
        return base64.b64encode(content).decode("ascii")
    return str(content).encode("utf-8", "replace").decode("utf-8")


def _figure_of(value: Any) -> Any:
    """The matplotlib figure that `value` is, or is drawn on."""
    figures = sys.modules.get("matplotlib.figure")
    if figures is None:
        return None
    if isinstance(value, figures.Figure):
        return value
    axes = sys.modules.get("matplotlib.axes")
    return value.figure if axes is not None and isinstance(value, axes.Axes) else None


def _picture(figure: Any) -> dict[str, str]:
    """A figure as PNG, whatever backend is set, and taken off pyplot's list: it is not to show below another cell."""
    from io import BytesIO

    png = BytesIO()
    figure.savefig(png, format="png", bbox_inches="tight")
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close(figure)
    return {"image/png": _content(png.getvalue()), "text/plain": repr(figure)}


def _formatted(value: Any) -> dict[str, Any]:
    """What IPython's formatters make of `value`; an error of theirs is ours to tell, not to show in some cell."""
    shown: dict[str, Any] = {}
    formatter = _display_formatter()
    methods: Any = formatter.formatters.items() if formatter else [(kind, None) for kind in _METHODS]
    for kind, one in methods:
        if kind in SHOWN_TYPES and kind != "text/plain":
            shown[kind] = _printed(value, kind, one)
    whole = _own_method(value, "_repr_mimebundle_")
    if whole is not None:
        made = whole(include=None, exclude=None)
        shown |= made[0] if isinstance(made, tuple) else made or {}
    return shown


def _printed(value: Any, kind: str, formatter: Any) -> Any:
    if formatter is not None:
        try:
            return formatter.lookup(value)(value)
        except KeyError:
            pass
    method = _own_method(value, _METHODS.get(kind, ""))
    return None if method is None else method()


def _own_method(value: Any, name: str) -> Any:
    """A method that the value's class defines; classes themselves, and things that answer to any name, have none."""
    if isinstance(value, type) or not hasattr(type(value), name):
        return None
    return getattr(value, name)


def _display_formatter() -> Any:
    interactive = sys.modules.get("IPython.core.interactiveshell")
    if interactive is None or not interactive.InteractiveShell.initialized():
        return None
    return interactive.InteractiveShell.instance().display_formatter


# --- For the model ----------------------------------------------------------------------------------------------------


def _text(value: Any, bundle: dict[str, str]) -> str:
    if isinstance(value, str):
        return str(value)
    if bundle:
        return _described(value, bundle)
    if _is_data(value):
        return _json(value)
    return str(value)


def _described(value: Any, bundle: dict[str, str]) -> str:
    text = bundle.get("text/markdown") or bundle.get("text/plain") or str(value)
    pictured = any(kind.startswith("image/") for kind in bundle)
    return f"{text}\n[a picture, shown to the user]" if pictured else text


def _is_data(value: Any) -> bool:
    import dataclasses
    from datetime import date, time, timedelta
    from decimal import Decimal
    from enum import Enum
    from uuid import UUID

    from pydantic import BaseModel

    plain = (dict, list, tuple, set, frozenset, date, time, timedelta, Decimal, Enum, UUID, BaseModel, int, float)
    return isinstance(value, plain) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _json(value: Any) -> str:
    from pydantic_core import to_jsonable_python

    if type(value) in (bool, int, float):
        return json.dumps(value)
    try:
        plain = to_jsonable_python(value, fallback=_plain, bytes_mode="utf8", inf_nan_mode="constants")
    except (UnicodeDecodeError, TypeError):  # bytes that are no text; a date that is none, as pandas has it
        return str(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Inside of data: what numpy and pandas hold, as lists and dicts, and anything else as its text."""
    for method in ("tolist", "to_dict"):
        if not isinstance(value, type) and callable(getattr(type(value), method, None)):
            return getattr(value, method)()
    return str(value)
