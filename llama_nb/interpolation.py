"""`{name}` in a question → what the notebook knows by that name, told to the asker.

Only `{identifier(.attribute|[int]|['key'])*}` is read, only where the notebook has that name, and once: what was put in
is not read again. All else stays byte for byte, so JSON, CSS and code need no escaping; `{{name}}` is a literal
`{name}`. Knows values; knows nothing of IPython, and pandas and numpy only if the notebook has imported them.
"""

from __future__ import annotations

import inspect
import itertools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_VALUE = 4_000  # characters
LONGEST_NAME = 200  # characters of a path, or of a value's type: both are shown
MOST_ITEMS = 50  # of a list, dict or set
MOST_COLUMNS = 40
HEAD_ROWS = 5
HISTORIES = ("In", "Out", "Err")  # of the notebook's cells; they need a number

_PATH = r"[^\W\d]\w*(?:\.[^\W\d]\w*|\[-?\d{1,9}\]|\['[^'\\\n]*'\]|\[\"[^\"\\\n]*\"\])*"
_BRACES = re.compile(rf"\{{\{{(?P<literal>{_PATH})\}}\}}|\{{(?P<path>{_PATH})\}}")
_STEP = re.compile(r"\.(?P<attribute>\w+)|\[(?P<index>-?\d+)\]|\[(?P<quote>['\"])(?P<key>.*?)(?P=quote)\]")


@dataclass(frozen=True)
class Interpolated:
    """A question as the model gets it.

    `put_in` names what was put in, each with what it is, `left` what could not be put in, each with why.
    """

    text: str
    put_in: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def interpolate(text: str, names: Mapping[str, Any]) -> Interpolated:
    """`text` with what `names` holds put in for `{name}`. `In`, `Out` and `Err` are names like others.

    >>> interpolate("Add {n} to {xs[0]}; {other} and {'a': 1} stay, as does {{n}}.", {"n": 5, "xs": [7, 8]})
    Interpolated(text="Add 5 to 7; {other} and {'a': 1} stay, as does {n}.", put_in=('n (int)', 'xs[0] (int)'), left=())
    """
    put_in: dict[str, None] = {}  # in their order, each once
    left: dict[str, None] = {}

    def replacement(found: re.Match[str]) -> str:
        path = found["path"] or found["literal"]
        if _root(path) not in names or path in HISTORIES:
            return found[0]
        if found["literal"]:
            return found[0][1:-1]
        try:
            value = _look_up(path, names)
            description, what = describe(value)
        except Exception as error:  # a property, or a `__str__`, of whatever kind: it is the user's code
            left[f"{_short(path)} ({_reason(error)})"] = None
            return found[0]
        trimmed = trim(description)
        if trimmed != description:
            what += f", cut to {LONGEST_VALUE:,} of {len(description):,} characters"
        elif _root(path) in ("In", "Err"):
            what = ""  # its name says it all
        put_in[f"{_short(path)} ({what})" if what else path] = None
        return trimmed

    return Interpolated(_BRACES.sub(replacement, text), *(tuple(notes) for notes in (put_in, left)))


class _Refused(Exception):
    """Says why in a few words."""


def _root(path: str) -> str:
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _look_up(path: str, names: Mapping[str, Any]) -> Any:
    root = _root(path)
    steps = list(_STEP.finditer(path, len(root)))
    for name in [root, *(step["attribute"] for step in steps if step["attribute"])]:
        if name.startswith("_"):
            raise _Refused("private names are not read")
    if root in HISTORIES and not steps[0]["index"]:
        raise _Refused(f"write {{{root}[3]}} for that of cell 3")
    value = names[root]
    for number, step in enumerate(steps):
        try:
            value = _step(value, step)
        except LookupError:
            if root in HISTORIES and number == 0:
                raise _Refused(f"there is none of cell {step['index']}") from None
            raise
    return value


def _step(value: Any, step: re.Match[str]) -> Any:
    if step["attribute"]:
        return getattr(value, step["attribute"])
    return value[int(step["index"]) if step["index"] else step["key"]]


def _reason(error: Exception) -> str:
    if isinstance(error, _Refused):
        return str(error)
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return _short(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def trim(text: str, longest: int = LONGEST_VALUE) -> str:
    """`text`, or its beginning and end with a notice between them, about `longest` characters.

    >>> print(trim("x" * 5000, 10))
    xxxxx
    … (4,990 of 5,000 characters are left out here) …
    xxxxx
    """
    if len(text) <= longest:
        return text
    half = longest // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n… ({left_out:,} of {len(text):,} characters are left out here) …\n{text[-half:]}"


def describe(value: Any) -> tuple[str, str]:
    """`value` as a model can read it, and in a few words what it is.

    A table gives its shape, its columns and its first rows; a function or class its source; a large collection its
    first items.

    >>> describe({"a": 1})
    ("{'a': 1}", 'dict, 1 item')
    """
    for known in (_text, _table, _array, _source, _collection):
        if (found := known(value)) is not None:
            return found
    return str(value), _short(type(value).__name__)


def _text(value: Any) -> tuple[str, str] | None:
    return (
        (str(value), f"{type(value).__name__}, {_count(len(value), 'character')}") if isinstance(value, str) else None
    )


def _table(value: Any) -> tuple[str, str] | None:
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if isinstance(value, pandas.DataFrame):
        return _described_frame(value), f"DataFrame, {value.shape[0]:,}×{value.shape[1]:,}"
    if isinstance(value, pandas.Series):
        rows = value.head(HEAD_ROWS).to_string()
        head = f"Series {value.name!r}, {_count(len(value), 'value')} of {value.dtype}"
        return f"{head}. {_first(len(value), 'value')}:\n{rows}", f"Series, {_count(len(value), 'value')}"
    return None


def _described_frame(frame: Any) -> str:
    rows, width = frame.shape
    dtypes = list(itertools.islice(frame.dtypes.items(), MOST_COLUMNS))
    columns = ", ".join(f"{name} ({dtype})" for name, dtype in dtypes)
    more = f", and {width - len(dtypes):,} more" if width > len(dtypes) else ""
    shown = frame.iloc[:HEAD_ROWS, :MOST_COLUMNS].to_string(max_colwidth=60)
    return (
        f"DataFrame with {_count(rows, 'row')} and {_count(width, 'column')}: {columns}{more}\n"
        f"{_first(rows, 'row')}:\n{shown}"
    )


def _first(length: int, thing: str) -> str:
    return f"The first {HEAD_ROWS} {thing}s" if length > HEAD_ROWS else f"All {thing}s"


def _array(value: Any) -> tuple[str, str] | None:
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray):
        return None
    shape = "×".join(map(str, value.shape)) or "a single value"
    return f"array of {value.dtype}, {shape}:\n{numpy.array2string(value, threshold=200)}", f"array, {shape}"


def _source(value: Any) -> tuple[str, str] | None:
    if not (inspect.isfunction(value) or inspect.ismethod(value) or inspect.isclass(value)):
        return None
    try:
        return inspect.getsource(value).rstrip("\n"), "class" if inspect.isclass(value) else "function"
    except (OSError, TypeError):  # typed at a prompt, or made by C
        return None


def _collection(value: Any) -> tuple[str, str] | None:
    kind = type(value)
    if kind not in (list, tuple, set, frozenset, dict):
        return None
    size = f"{kind.__name__}, {_count(len(value), 'item')}"
    if len(value) <= MOST_ITEMS:
        return repr(value), size
    items = itertools.islice(value.items() if kind is dict else value, MOST_ITEMS)
    shown = repr(dict(items) if kind is dict else kind(items))
    return f"{shown}\n… (the first {MOST_ITEMS} of {len(value):,} items)", f"{size}, the first {MOST_ITEMS} of them"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
