"""`{name}` in a question: what is put in, and what is none of our business."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_nb.interpolation import LONGEST_VALUE, MOST_ITEMS, describe, interpolate, trim


class Thing:
    name = "lamp"
    _secret = "hidden"

    def __init__(self) -> None:
        self.asked = 0

    @property
    def broken(self) -> str:
        raise OSError("the disk\nis  full")

    @property
    def counted(self) -> int:
        self.asked += 1
        return self.asked

    def __str__(self) -> str:
        return "a thing"


def names() -> dict[str, object]:
    return {
        "x": 5,
        "s": "text",
        "xs": [1, [2, 3]],
        "d": {"key": "value", "a b": 1, 7: "seven"},
        "thing": Thing(),
        "braces": "{x} {{x}} \\1 \\g<0>",
        "_": "the last result",
        "_private": 1,
        "ünï": "unicode",
        "In": ["", "a = 1", "b = 2"],
        "Out": {2: "two"},
        "Err": {1: "ZeroDivisionError: division by zero"},
    }


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{x}", "5"),
        ("{x}{x}", "55"),
        ("{{{x}}}", "{{x}}"),
        ("a {s}, {xs[0]} and {xs[1][0]}, {xs[-1]}", "a text, 1 and 2, [2, 3]"),
        ("{d['key']} {d[\"a b\"]} {d[7]}", "value 1 seven"),
        ("{thing} {thing.name} {thing.counted}", "a thing lamp 1"),
        ("{ünï}", "unicode"),
        ("{In[1]} / {Out[2]} / {Err[1]}", "a = 1 / two / ZeroDivisionError: division by zero"),
        ("{braces}", "{x} {{x}} \\1 \\g<0>"),
        ("{{x}} and {{xs[0]}}", "{x} and {xs[0]}"),
        ("f'{{x}}' {x}", "f'{x}' 5"),
    ],
)
def test_what_the_notebook_knows_is_put_in_once(text: str, filled: str) -> None:
    assert interpolate(text, names()).text == filled


@pytest.mark.parametrize(
    "text",
    [
        "print({'foo': 'bar'})",
        'json: {"a": 1, "x": {"x": 2}}',
        "css { color: red; } a{x:hover}",
        "{v: k for k, v in d.items()}",
        "{} {0} {1x} {x+1} {x!r} {x:>5} { x } {x }",
        "{unknown} {{unknown}} {unknown.x} {print} {len}",
        "{x()} {f(x)} {xs[x]} {xs[0:1]} {d[key]} {xs[]} {xs[0}",
        "${HOME} $x %s %(x)s \\{x\\}",
        "\\begin{pmatrix} 1 \\end{pmatrix}",
        "{x",
        "x}",
        "{\nx\n}",
        "{In} {Out} {Err}",
        "{d['a'b']}",
        "日本語 {é} \ud800 {",
        "",
    ],
)
def test_all_else_stays_byte_for_byte(text: str) -> None:
    filled = interpolate(text, names())
    assert filled.text == text
    assert filled.put_in == filled.left == ()


@given(st.text(alphabet=st.sampled_from("{}[]().'\"xsdy0 \\\n:_-"), max_size=40))
def test_it_never_raises_and_without_names_changes_nothing(text: str) -> None:
    assert interpolate(text, {}).text == text
    filled = interpolate(text, names())
    assert filled.put_in or filled.left or filled.text.count("{") == text.count("{") - _escapes(text, filled.text)


def _escapes(text: str, filled: str) -> int:
    return (len(text) - len(filled)) // 2


def test_what_was_put_in_is_told_each_name_once() -> None:
    filled = interpolate("{x} {x} {s} {In[2]} {Err[1]} {Out[2]} {unknown} {{s}}", names())
    assert filled.put_in == ("x (int)", "s (str, 4 characters)", "In[2]", "Err[1]", "Out[2] (str, 3 characters)")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{thing.broken}", "thing.broken (OSError: the disk is full)"),
        ("{thing.nothing}", "thing.nothing (AttributeError: 'Thing' object has no attribute 'nothing')"),
        ("{d['no']}", "d['no'] (KeyError: 'no')"),
        ("{xs[9]}", "xs[9] (IndexError: list index out of range)"),
        ("{x[0]}", "x[0] (TypeError: 'int' object is not subscriptable)"),
        ("{_}", "_ (private names are not read)"),
        ("{_private}", "_private (private names are not read)"),
        ("{thing._secret}", "thing._secret (private names are not read)"),
        ("{x.__class__}", "x.__class__ (private names are not read)"),
        ("{thing.name.__class__.__mro__}", "thing.name.__class__.__mro__ (private names are not read)"),
        ("{In[7]}", "In[7] (there is none of cell 7)"),
        ("{Out[1]}", "Out[1] (there is none of cell 1)"),
        ("{Err[2]}", "Err[2] (there is none of cell 2)"),
        ("{In['a']}", "In['a'] (write {In[3]} for that of cell 3)"),
        ("{Out.items}", "Out.items (write {Out[3]} for that of cell 3)"),
    ],
)
def test_what_cannot_be_put_in_stays_and_says_why(text: str, reason: str) -> None:
    filled = interpolate(f"before {text} after {{x}}", names())
    assert filled.text == f"before {text} after 5"
    assert filled.left == (reason,)


def test_a_private_name_is_refused_before_anything_is_looked_up() -> None:
    thing = Thing()
    assert interpolate("{thing.counted._x}", {"thing": thing}).left
    assert thing.asked == 0


def test_a_value_whose_text_fails_is_left() -> None:
    class Mute:
        def __str__(self) -> str:
            raise RecursionError

    assert interpolate("{m}", {"m": Mute()}).left == ("m (RecursionError)",)
    assert interpolate("{m}", {"m": [Mute(), 1][1]}).text == "1"


def test_an_interrupt_is_not_taken_for_a_failing_value() -> None:
    class Endless:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interpolate("{m}", {"m": Endless()})


# --- How values are told ---------------------------------------------------------------------------------------------------


def test_a_long_value_is_cut_with_a_notice() -> None:
    filled = interpolate("{long}", {"long": "a" * 3_000 + "b" * 7_000})
    assert filled.put_in == ("long (str, 10,000 characters, cut to 4,000 of 10,000 characters)",)
    assert filled.text.startswith("a" * 2_000 + "\n… (6,000 of 10,000 characters are left out here) …\nb")
    assert len(filled.text) < LONGEST_VALUE + 100
    assert "cut to" in interpolate("{In[0]}", {"In": ["x" * 5_000]}).put_in[0]


def test_trim_keeps_what_fits() -> None:
    assert trim("x" * LONGEST_VALUE) == "x" * LONGEST_VALUE
    assert trim("abc", 2) == "a\n… (1 of 3 characters are left out here) …\nc"


def test_a_data_frame_is_described() -> None:
    import pandas as pd

    frame = pd.DataFrame({"age": range(30), "name": [f"n{number}" for number in range(30)]})
    text, what = describe(frame)
    assert what == "DataFrame, 30×2"
    assert text.startswith("DataFrame with 30 rows and 2 columns: age (int64), name (")
    assert "The first 5 rows:" in text and "n4" in text and "n5" not in text
    text, what = describe(frame.head(1))
    assert "1 row and" in text and "All rows:" in text
    text, what = describe(frame["age"])
    assert what == "Series, 30 values" and text.startswith("Series 'age', 30 values of int64. The first 5 values:")
    wide, what = describe(pd.DataFrame([range(60)]))
    assert "and 20 more" in wide and " 59" not in wide
    assert describe(pd.DataFrame())[1] == "DataFrame, 0×0"
    assert interpolate("{df.age} {df['name']}", {"df": frame}).put_in == (
        "df.age (Series, 30 values)",
        "df['name'] (Series, 30 values)",
    )


def test_an_array_is_described() -> None:
    import numpy as np

    text, what = describe(np.zeros((300, 4)))
    assert what == "array, 300×4" and text.startswith("array of float64, 300×4:\n[[0.") and "..." in text
    assert describe(np.array(3))[1] == "array, a single value"


def test_a_function_gives_its_source() -> None:
    text, what = describe(names)
    assert what == "function" and text.startswith("def names()") and text.endswith("}")
    text, what = describe(Thing)
    assert what == "class" and text.startswith("class Thing:")
    assert describe(eval("lambda: 1"))[1] == "function"


def test_a_large_collection_gives_its_first_items() -> None:
    text, what = describe(list(range(1_000)))
    assert what == f"list, 1,000 items, the first {MOST_ITEMS} of them"
    assert text.startswith("[0, 1, 2") and text.endswith("49]\n… (the first 50 of 1,000 items)")
    assert describe({number: number for number in range(99)})[0].startswith("{0: 0, 1: 1")
    assert describe((1,)) == ("(1,)", "tuple, 1 item")
    assert describe(frozenset())[1] == "frozenset, 0 items"


@pytest.mark.parametrize(
    ("value", "told"),
    [(True, ("True", "bool")), (None, ("None", "NoneType")), (2.5, ("2.5", "float")), ("", ("", "str, 0 characters"))],
)
def test_simple_values(value: object, told: tuple[str, str]) -> None:
    assert describe(value) == told


def test_neither_pandas_nor_numpy_nor_ipython_is_imported_for_it() -> None:
    code = (
        "import sys\nfrom llama_nb.interpolation import interpolate\n"
        "interpolate('{x}', {'x': [1]})\n"
        "print(sorted({'pandas', 'numpy', 'IPython', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
