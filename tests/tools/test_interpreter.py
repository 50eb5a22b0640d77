"""`code_interpreter` in the notebook: the user's own variables, what is printed, shown and drawn, and its end."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from llama_nb import loop
from llama_nb.apis.messages import BuiltinTool, ToolDefinition
from llama_nb.errors import BadRequest
from llama_nb.tools import Result, Tool, code_interpreter
from llama_nb.tools.printed import StandIn, caught
from tests.stacks import WAIT_S


@pytest.fixture
def shell() -> Iterator[Any]:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    yield InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    InteractiveShell.clear_instance()


@pytest.fixture
def tool(shell: Any) -> Tool:
    return code_interpreter()


def test_the_model_is_told_of_a_builtin_tool_that_always_asks() -> None:
    made = code_interpreter()
    assert made.definition == ToolDefinition(tool_name=BuiltinTool.code_interpreter)
    assert (made.approval, made.always_asks, made.source) == ("ask", True, "builtin")
    assert made.notice == "Runs in this notebook, with your variables and with all that you may do."
    with pytest.raises(BadRequest, match="always asks"):
        code_interpreter(approval="allow")
    with pytest.raises(BadRequest, match="always asks"):
        made.approval = "allow"
    code_interpreter(approval="deny")
    with pytest.raises(BadRequest, match="Known: `notebook`, `process`"):
        code_interpreter("docker")  # type: ignore[arg-type]


def test_it_needs_code(tool: Tool, run: Any) -> None:
    assert run(tool, query="1").text.startswith("`code_interpreter` has no argument `query`.")
    assert run(tool).text == "`code_interpreter` needs `code` (str), which did not come."


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1 + 1", "2"),
        ("'text'", "text"),
        ("print('said')\n3", "said\n3"),
        ("print('said', end='')", "said"),
        ("x = 1", "The code ran and printed nothing."),
        ("", "The code ran and printed nothing."),
        ("None", "The code ran and printed nothing."),
        ("3;", "The code ran and printed nothing."),
        ("import sys; print('oops', file=sys.stderr)", "oops"),
        ("{'a': [1]}", '{"a": [1]}'),
        ("def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nf(10)", "55"),
        ("import asyncio\nawait asyncio.sleep(0, 'awaited')", "awaited"),
        ("%lsmagic\n'magic'", None),
        ("print('\\x1b[31mred\\x1b[0m')", "red"),
        ("print('1 %\\r50 %\\r100 %')\nprint('end')", "100 %\nend"),
    ],
)
def test_code_answers_with_what_it_prints_and_its_last_value(tool: Tool, run: Any, code: str, text: str | None) -> None:
    result = run(tool, code=code)
    assert not result.failed
    assert text is None or result.text == text


def test_it_sees_and_sets_the_notebooks_variables(tool: Tool, shell: Any, run: Any) -> None:
    shell.user_ns["mine"] = 20
    assert run(tool, code="yours = mine + 1\nyours").text == "21"
    assert shell.user_ns["yours"] == 21


def test_without_ipython_it_runs_in_main(run: Any) -> None:
    assert run(code_interpreter(), code="from_the_model = 3\nfrom_the_model").text == "3"
    assert vars(sys.modules["__main__"]).pop("from_the_model") == 3


def test_an_error_tells_its_lines_and_nobodys_files(tool: Tool, run: Any) -> None:
    failed = run(tool, code="print('before')\ndef f():\n    return 1 / 0\nf()")
    assert failed == Result(
        "before\nTraceback (most recent call last):\n  line 4, in <module>\n  line 3, in f\n"
        "ZeroDivisionError: division by zero",
        failed=True,
    )
    wrong = run(tool, code="x = (1,\ny = 2")
    assert wrong.failed and wrong.text.startswith("SyntaxError: ") and "(line 1)" in wrong.text
    for code in ("raise SystemExit(3)", "raise KeyboardInterrupt", "exit(1)"):
        assert run(tool, code=code).failed
    assert loop.run(asyncio.sleep(0, "alive")) == "alive"


def test_a_table_and_a_figure_are_shown(tool: Tool, run: Any) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    table = run(tool, code="import pandas as pd\npd.DataFrame({'a': [1]})")
    assert "<table" in table.bundle["text/html"] and table.text.split() == ["a", "0", "1"]
    figure = run(tool, code="import matplotlib.pyplot as plt\nprint('drawn')\nplt.plot([1, 2])")
    assert figure.bundle["image/png"] and figure.text == "drawn\n[a picture, shown to the user]"
    assert run(tool, code="plt.get_fignums()").text == "[]"


def test_only_its_own_prints_are_caught(tool: Tool, capfd: pytest.CaptureFixture[str]) -> None:
    go, gone = threading.Event(), threading.Event()
    globals_ = {"go": go, "gone": gone, "wait": WAIT_S}
    tool.timeout_s = WAIT_S
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.instance().user_ns.update(globals_)
    said: list[str] = []
    future = loop.submit(tool.run({"code": "print('inside'); gone.set(); go.wait(wait); print('again')"}, said.append))
    assert gone.wait(WAIT_S)
    print("outside")
    assert isinstance(sys.stdout, StandIn)
    go.set()
    assert future.result(WAIT_S).text == "inside\nagain"
    assert said[0] == "inside"  # of what comes fast, not all is told
    assert capfd.readouterr().out == "outside\n"
    assert not isinstance(sys.stdout, StandIn)


def test_catching_may_be_nested_and_overlap(capsys: pytest.CaptureFixture[str]) -> None:
    outer: list[str] = []
    inner: list[str] = []
    with caught(outer.append):
        print("a", end="")
        with caught(inner.append):
            print("b", end="")
        sys.stdout.writelines(["c"])
        assert not sys.stdout.isatty() and sys.stdout.encoding
        with pytest.raises(TypeError):
            sys.stdout.write(3)  # type: ignore[arg-type]
    print("d", end="")
    assert ("".join(outer), "".join(inner), capsys.readouterr().out) == ("ac", "b", "d")


def test_endless_code_is_stopped_at_its_limit(tool: Tool) -> None:
    tool.timeout_s = 0.2
    result = asyncio.run(tool.run({"code": "import threading\nthread = threading.current_thread()\nwhile True: pass"}))
    assert result.failed and result.text.startswith("TimeoutError: `code_interpreter` did not finish within 0.2 s")
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.instance().user_ns["thread"].join(WAIT_S)
    assert not InteractiveShell.instance().user_ns["thread"].is_alive()


def test_a_cancel_stops_the_code(tool: Tool, shell: Any) -> None:
    started = threading.Event()
    shell.user_ns["started"] = started
    tool.timeout_s = None
    code = "import threading\nthread = threading.current_thread()\nstarted.set()\nwhile True: pass"
    future = loop.submit(tool.run({"code": code}))
    assert started.wait(WAIT_S)
    future.cancel()
    shell.user_ns["thread"].join(WAIT_S)
    assert not shell.user_ns["thread"].is_alive()


def test_endless_output_is_trimmed(tool: Tool, run: Any) -> None:
    result = run(tool, code="for n in range(30_000): print('a line of some length', n)")
    assert len(result.text) <= 20_000 and result.text.startswith("a line of some length 0\n")
