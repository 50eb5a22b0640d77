"""Loading late what is heavy, and the floors: who may import whom."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HEAVY = {"torch", "fairscale", "anywidget", "ipywidgets", "IPython", "pydantic", "llama_models", "tiktoken", "numpy"}
GENEROUS = 3  # a busy machine may take this many times the limit; what it took is printed


def run_fresh(code: str) -> str:
    """The last line that `code` prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def loaded_by(statement: str) -> set[str]:
    return set(
        json.loads(
            run_fresh(
                f"""
                import sys, json
                {statement}
                print(json.dumps([name for name in sys.modules if "." not in name]))
                """
            )
        )
    )


def best_ms(before: str, statement: str, runs: int = 5) -> float:
    """The least processor time that `statement` took, of several fresh processes: what else runs here hardly counts."""
    times = [
        float(
            run_fresh(
                f"""
                import time
                {before}
                start = time.process_time()
                {statement}
                print((time.process_time() - start) * 1000)
                """
            )
        )
        for _ in range(runs)
    ]
    print(f"{statement}: best {min(times):.1f} ms, median {statistics.median(times):.1f} ms of {runs}")
    return min(times)


def test_import_loads_nothing_heavy() -> None:
    assert loaded_by("import llama_nb") & HEAVY == set()


def test_import_takes_less_than_50_ms() -> None:
    assert best_ms("", "import llama_nb") < 50 * GENEROUS


IN_IPYTHON = "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance()"
LOAD_EXT = "assert shell.run_line_magic('load_ext', 'llama_nb') is None"


def test_load_ext_loads_no_torch() -> None:
    loaded = loaded_by(f"{IN_IPYTHON}; {LOAD_EXT}; assert shell.find_line_magic('llama')")
    assert loaded & {"torch", "fairscale", "anywidget", "ipywidgets", "llama_models"} == set()


def test_load_ext_takes_less_than_150_ms() -> None:
    assert best_ms(IN_IPYTHON, LOAD_EXT) < 150 * GENEROUS


def test_the_kernel_never_imports_torch_even_after_an_answer() -> None:
    loaded = loaded_by("import llama_nb; assert str(llama_nb.Chat().ask('hello', max_tokens=4))")
    assert loaded & {"torch", "fairscale"} == set()


# The public face. Changing this list is changing what users may rely on.
PUBLIC = """
    Chat Reply Panel Stack configure LlamaError
    ChatCompletionResponseEvent SamplingParams
    SystemMessage UserMessage CompletionMessage ToolResponseMessage
    ToolCall ToolDefinition ToolParamDefinition
    tool tools load_ipython_extension unload_ipython_extension __version__
""".split()


def test_the_public_face_is_exactly_this_and_each_name_loads() -> None:
    import llama_nb

    assert sorted(llama_nb.__all__) == sorted(PUBLIC)
    assert dir(llama_nb) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(llama_nb, name) is not None, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    import llama_nb

    with pytest.raises(AttributeError, match="Chatt"):
        _ = llama_nb.Chatt


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter's verdict on the package in `folder`, under our contracts."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The package's source and its contracts, to be spoiled."""
    ignore = shutil.ignore_patterns("__pycache__", "static", "*.safetensors", "*.pth")
    shutil.copytree(root / "llama_nb", tmp_path / "llama_nb", ignore=ignore)
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_room_imports_only_from_floors_below_it(copy: Path) -> None:
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("room", "statement", "contract"),
    [
        ("config.py", "from llama_nb.stack import Stack", "floors below it BROKEN"),
        ("chat.py", "from torch import nn", "other process BROKEN"),
        ("engine/client.py", "from llama_nb.engine import worker", "other process BROKEN"),
        ("stack.py", "import IPython.display", "knows Jupyter BROKEN"),
        ("attic.py", '"""A room without a floor."""', "attic"),
    ],
)
def test_a_room_that_breaks_the_floors_is_found(copy: Path, room: str, statement: str, contract: str) -> None:
    with (copy / "llama_nb" / room).open("a") as source:
        source.write(f"\n{statement}\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert contract in done.stdout, done.stdout + done.stderr
