"""The notebooks run from top to bottom without a screen, and what they show is whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# By notebook and cell, what must be seen there, whatever words the model finds.
SHOWN = {
    "02_panel.ipynb": {"panel": "Tool call", "tool-allowed": r"\w", "context": "max_seq_len=", "export": "get_weather"},
    "03_from_code.ipynb": {
        "stream": r"\|",
        "schema": r"Review\(opinion='(good|bad)', stars=[1-5]\)",
        "choice": "^(yes|no)$",
        "regex": r"^([01]\d|2[0-3]):[0-5]\d$",
        "n": r"\[('(red|green|blue)'(, )?){5}\]",
        "prefill": "^Answer: ",
        "export": r"^\(True, Chat\(",
        "embeddings": r"^-?\d\.\d+  What is the weather",
    },
    "04_tools.ipynb": {
        "deny": "denied",
        "decide": r"\w",
        "required": "Tool call",
        "named": "get_weather",
        "table": "Monday|pandas",
        "error": "ZeroDivisionError",
        "progress": "running asking station [1-3] of 3",
        "python-run": "^45$",
        "python-net": "PermissionError|network",
        "magic-none": "llama-nb-guide",
    },
    "bench.ipynb": {
        "compare": r"^tokens as ours, at least +32$",
        "compare-plot": "Figure",
        "prompt": "Figure",
        "batch": "Figure",
        "limit": r"^fraction_of_bandwidth +\d",
    },
}
names = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def shown(notebook: nbformat.NotebookNode, cell_id: str, kind: str = "text/plain") -> str:
    """All text of that kind that a cell shows."""
    cell = next(cell for cell in notebook.cells if cell.id == cell_id)
    return "\n".join(output.get("data", {}).get(kind) or output.get("text", "") for output in cell.outputs)


def assert_ran(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count, cell.source
            errors = [output for output in cell.outputs if output.output_type == "error"]
            assert errors == [], f"{cell.source}\n{errors}"


def assert_answers_are_whole(notebook: nbformat.NotebookNode) -> None:
    """What `%llama` left below its cell is, to the last letter, what the Reply says that was said."""
    said = eval(shown(notebook, "reply-text"))
    assert len(said) > 10
    assert shown(notebook, "reply") == said
    for cell_id in ("hello", "what", "options", "reply"):
        assert shown(notebook, cell_id, "text/markdown"), cell_id
    for cell_id in ("chat", "stream-code", "await-code", "panel"):
        assert shown(notebook, cell_id).strip(), cell_id
    assert "get_weather" in shown(notebook, "tool", "text/markdown")


def assert_shown(notebook: nbformat.NotebookNode, expected: dict[str, str]) -> None:
    for cell_id, pattern in expected.items():
        texts = [shown(notebook, cell_id, kind) for kind in ("text/plain", "text/markdown")]
        assert re.search(pattern, "\n".join(texts), re.MULTILINE), f"{cell_id}: {texts}"


@names
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code if cell.outputs or cell.execution_count] == []
    assert notebook.metadata.kernelspec.name == "python3"


@names
def test_a_notebook_runs_without_a_screen(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()
    assert_ran(notebook)
    if path.name == "01_hello.ipynb":
        assert_answers_are_whole(notebook)
    assert_shown(notebook, SHOWN.get(path.name, {}))


def test_nbconvert_keeps_whole_answers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(FOLDER / "01_hello.ipynb")], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    notebook = nbformat.read(tmp_path / "01_hello.ipynb", as_version=4)
    assert_ran(notebook)
    assert_answers_are_whole(notebook)
