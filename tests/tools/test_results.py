"""What a tool returned becomes text for the model and a bundle for the page, both bounded."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_nb.tools import Result
from llama_nb.tools.results import MAX_SHOWN, MAX_TEXT, as_left_by_a_terminal, result_of, trimmed
from tests.stacks import WAIT_S
from tests.tools.shapes import Address, Person, Unit

PNG = b"\x89PNG\r\n\x1a\n0000"


@pytest.fixture
def shell() -> Iterator[Any]:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    yield InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (0.5, "0.5"),
        ([1, "ä", None], '[1, "ä", null]'),
        ((1, 2), "[1, 2]"),
        ({"a": {"b": [1]}}, '{"a": {"b": [1]}}'),
        ({1: 2}, '{"1": 2}'),
        (Address("Main"), '{"street": "Main", "zip": 8000, "notes": []}'),
        (
            Person(name="A", home=Address("B")),
            '{"name": "A", "home": {"street": "B", "zip": 8000, "notes": []}, "friends": []}',
        ),
        (Unit.celsius, "celsius"),
        (date(2024, 2, 29), "2024-02-29"),
        (Decimal("1.50"), "1.50"),
        ([date(2024, 2, 29), Unit.celsius], '["2024-02-29", "celsius"]'),
        (ValueError("x"), "x"),
        (Result("text", {"text/html": "<b>"}, True), None),
    ],
)
def test_plain_values_are_text_or_json(value: Any, text: str | None) -> None:
    assert result_of(value) == (value if text is None else Result(text))


def test_what_numpy_holds_is_numbers() -> None:
    import numpy as np

    assert result_of(np.float64(1.5)).text == "1.5"
    assert result_of({"a": np.arange(3), "b": np.int64(4)}).text == '{"a": [0, 1, 2], "b": 4}'
    assert result_of(np.arange(3)).text == "[0 1 2]"


class Rich:
    def __repr__(self) -> str:
        return "Rich thing"

    def _repr_html_(self) -> str:
        return "<b>rich</b>"

    def _repr_png_(self) -> bytes:
        return PNG


class Bundled:
    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/markdown": "*rich*", "text/html": "<b>", "application/javascript": "alert(1)"}, {}


class Marked:
    def _repr_markdown_(self) -> str:
        return "*marked*"


class Greedy:
    """Answers to any name."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: "anything"


def test_what_draws_itself_is_shown_and_told() -> None:
    shown = result_of(Rich())
    assert shown.bundle == {"text/html": "<b>rich</b>", "image/png": base64.b64encode(PNG).decode()}
    assert shown.text == "Rich thing\n[a picture, shown to the user]"
    assert result_of(Bundled()) == Result("*rich*", {"text/html": "<b>", "text/markdown": "*rich*"})
    assert result_of(Marked()) == Result("*marked*", {"text/markdown": "*marked*"})
    assert result_of(Greedy()).bundle == {}
    assert result_of(Rich).bundle == {}


def test_a_table_is_shown_and_told() -> None:
    import pandas as pd

    shown = result_of(pd.DataFrame({"city": ["Bern"], "sky": ["grey"]}))
    assert "<table" in shown.bundle["text/html"]
    assert shown.text.split() == ["city", "sky", "0", "Bern", "grey"]


def test_ipythons_formatters_draw_what_they_know(shell: Any) -> None:
    class Known:
        def __repr__(self) -> str:
            return "Known"

    shell.display_formatter.formatters["text/html"].for_type(Known, lambda known: "<i>by a formatter</i>")
    assert result_of(Known()) == Result("Known", {"text/html": "<i>by a formatter</i>"})
    assert result_of(Rich()).bundle["text/html"] == "<b>rich</b>"


@pytest.mark.parametrize("with_shell", [False, True])
def test_a_figure_is_a_picture_and_does_not_show_below_another_cell(with_shell: bool, request: Any) -> None:
    if with_shell:
        request.getfixturevalue("shell")
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot([1, 2])
    shown = result_of(axes)
    assert base64.b64decode(shown.bundle["image/png"]).startswith(b"\x89PNG")
    assert shown.text.endswith("[a picture, shown to the user]") and "Figure" in shown.text
    assert figure.number not in pyplot.get_fignums()  # type: ignore[attr-defined]


class Fails:
    def _repr_html_(self) -> str:
        raise ValueError("no picture today")


class NoText:
    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


def test_a_value_that_cannot_be_written_is_a_failed_result(shell: Any, capfd: pytest.CaptureFixture[str]) -> None:
    itself: list[Any] = []
    itself.append(itself)
    for value, why in ((Fails(), "no picture today"), (NoText(), "no words"), (itself, "list"), ([NoText()], "")):
        result = result_of(value)
        assert result.failed and why in result.text and not result.bundle
    assert capfd.readouterr() == ("", "")


def test_a_result_of_the_tools_own_is_what_a_page_takes() -> None:
    given = Result("text", {"image/png": PNG, "text/html": "<b>", "application/javascript": "alert()"})  # type: ignore[dict-item]
    assert result_of(given) == Result("text", {"text/html": "<b>", "image/png": base64.b64encode(PNG).decode()})


def test_data_that_json_cannot_hold_is_told_as_it_describes_itself() -> None:
    import pandas as pd

    assert result_of([b"\xff", b"ok"]) == Result(r"[b'\xff', b'ok']")
    assert result_of(pd.NaT) == Result("NaT")
    rows = pd.DataFrame({"city": ["Bern"], "seen": [pd.NaT]}).to_dict("records")
    assert result_of(rows) == Result("[{'city': 'Bern', 'seen': NaT}]")


def test_deep_data_is_no_crash() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert result_of(deep).failed


def test_long_text_loses_its_middle_and_says_so() -> None:
    text = "".join(f"{n} " for n in range(10_000))
    told = result_of(text).text
    assert len(told) <= MAX_TEXT
    assert told.startswith("0 1 2 ") and told.endswith(" 9999 ")
    assert f"of {len(text):,} characters left out" in told
    assert result_of({"a": text}).text.count("left out") == 1


@given(text=st.text(max_size=300), limit=st.integers(100, 200))
def test_trimming_keeps_within_the_limit_and_counts_right(text: str, limit: int) -> None:
    told = trimmed(text, limit)
    assert len(told) <= max(limit, 0)
    if len(text) <= limit:
        assert told == text
    else:
        head, _, rest = told.partition("\n[… ")
        count, _, tail = rest.partition(f" of {len(text):,} characters left out …]\n")
        assert text.startswith(head) and text.endswith(tail)
        assert int(count.replace(",", "")) == len(text) - len(head) - len(tail)


def test_half_characters_do_not_get_through() -> None:
    assert result_of("a\ud800b").text == "a?b"
    assert result_of(["\ud800"]).text.encode("utf-8")


def test_what_is_too_large_to_show_is_named() -> None:
    class Large:
        def _repr_html_(self) -> str:
            return "x" * (MAX_SHOWN + 1)

        def _repr_markdown_(self) -> str:
            return "small"

    shown = result_of(Large())
    assert shown.bundle == {"text/markdown": "small"}
    assert shown.text == "small\n[text/html of 1,000,001 characters is too large to show]"


def test_a_long_line_costs_no_more_than_its_length() -> None:
    line = "x" * 1_000_000 + "\r" + "y" * 1_000_000 + "\r\n"
    assert as_left_by_a_terminal(line) == "y" * 1_000_000 + "\n"
    assert as_left_by_a_terminal("\x1b[" * 100_000 + "1" * 100_000).startswith("\x1b[") is True


def test_no_ipython_is_loaded_for_a_result() -> None:
    code = """
import sys
from llama_nb.tools.results import result_of
class Rich:
    def _repr_html_(self): return "<b>"
    def __repr__(self): return "Rich"
assert result_of(Rich()).bundle == {"text/html": "<b>"}
assert result_of({"a": 1}).text == '{"a": 1}'
print({"IPython", "matplotlib", "pandas", "numpy"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.stdout == "set()\n", done.stderr
