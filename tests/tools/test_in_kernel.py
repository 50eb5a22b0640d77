"""Tools in a live kernel: what they show stays out of cells that have nothing to do with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live_kernel import Kernel, live_kernel
from tests.stacks import WAIT_S

SETUP = f"""
import asyncio, threading
from llama_nb import loop, tools
interpreter = tools.code_interpreter(timeout_s={WAIT_S})

def call(tool, **arguments):
    return loop.submit(tool.run(arguments))

def told(future):
    result = future.result({WAIT_S})
    return {{"text": result.text, "failed": result.failed, "kinds": sorted(result.bundle)}}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Kernel]:
    with live_kernel(tmp_path_factory.mktemp("tools"), {**os.environ, "PYTHONPATH": str(root)}) as kernel:
        ran = kernel.run(SETUP)
        assert ran.status == "ok", ran.error
        yield kernel


def called(kernel: Kernel, code: str) -> tuple[dict[str, Any], Any]:
    """What the interpreter answers to `code`, and what the cell that waits for it shows."""
    ran = kernel.run(f"answer = told(call(interpreter, code={code!r}))")
    assert ran.status == "ok", ran.error
    return kernel.value("answer"), ran


def test_the_model_and_the_user_share_variables(kernel: Kernel) -> None:
    kernel.run("mine = 20")
    assert called(kernel, "yours = mine + 1\nyours")[0] == {"text": "21", "failed": False, "kinds": []}
    assert kernel.value("yours") == 21


def test_what_code_prints_and_displays_is_its_result_and_shows_in_no_cell(kernel: Kernel) -> None:
    code = "print('printed')\nfrom IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))\n%time 1\n3"
    answer, ran = called(kernel, code)
    assert answer["text"].startswith("printed\n") and answer["text"].endswith("3")
    assert "text/html" in answer["kinds"]
    assert ran.outputs == []


def test_a_shell_command_is_caught_too(kernel: Kernel) -> None:
    answer, ran = called(kernel, "!echo from the shell")
    assert answer["text"] == "from the shell" and ran.outputs == []


def test_a_figure_is_in_the_result_and_in_no_cell(kernel: Kernel) -> None:
    assert kernel.run("%matplotlib inline\nimport matplotlib.pyplot as plt").status == "ok"
    for code in ("plt.plot([1, 2])", "plt.plot([1, 2])\nplt.show()", "fig, ax = plt.subplots()\nfig"):
        answer, ran = called(kernel, code)
        assert "image/png" in answer["kinds"] and "[a picture, shown to the user]" in answer["text"], code
        assert ran.outputs == [], code
    assert kernel.run("'the next cell'").text == ["'the next cell'"]
    assert kernel.run("plt.plot([3]);").outputs[0].data["image/png"]  # the user's own still shows


def test_a_users_table_is_drawn_by_ipython(kernel: Kernel) -> None:
    kernel.run("def table(n: int):\n    import pandas as pd\n    return pd.DataFrame({'a': range(n)})")
    kernel.run("answer = told(call(tools.tool(table), n='2'))")
    assert kernel.value("answer")["kinds"] == ["text/html"]
    assert kernel.value("answer")["text"].split() == ["a", "0", "0", "1", "1"]


def test_a_cell_prints_as_always_while_code_runs(kernel: Kernel) -> None:
    ran = kernel.run(
        "inside, go = threading.Event(), threading.Event()\n"
        f"running = call(interpreter, code='print(1); inside.set(); go.wait({WAIT_S}); print(2)')\n"
        f"inside.wait({WAIT_S})\nprint('the cell')\ngo.set()\nanswer = told(running)\nprint('its end')"
    )
    assert ran.printed == "the cell\nits end\n"
    assert kernel.value("answer")["text"] == "1\n2"


def test_a_broken_picture_shows_no_error_in_a_cell(kernel: Kernel) -> None:
    kernel.run("class Broken:\n    def _repr_html_(self):\n        raise ValueError('no picture today')\n")
    answer, ran = called(kernel, "Broken()")
    assert answer["failed"] and "no picture today" in answer["text"]
    assert ran.outputs == []


def test_a_function_prints_where_the_cell_that_called_it_shows(kernel: Kernel) -> None:
    kernel.run("def chatty() -> str:\n    print('said aloud')\n    return 'result'")
    ran = kernel.run("answer = told(call(tools.tool(chatty)))")
    assert kernel.value("answer")["text"] == "result"
    assert ran.printed == "said aloud\n"
