"""The command `llama-nb`: lab, models, bench, doctor.

Knows llama_nb as any user's code does. Never imports torch: what needs it happens in the worker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from llama_nb.engine.checksums import verify_checksums
from llama_nb.errors import CheckpointError, LlamaError

PACKAGE = Path(__file__).resolve().parent
FIRST_NOTEBOOK = "01_hello.ipynb"
EMBEDDED = "llama-nb-guide"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (without them: this process's own) and return its exit status."""
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.run is not lab:
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return int(options.run(options, rest))
    except LlamaError as error:
        print(f"llama-nb: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llama-nb", description="A Llama that lives in your notebook.")
    parser.add_argument("--version", action="version", version=f"llama-nb {_version_of('llama_nb')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("lab", help="open JupyterLab on a copy of the first notebook, in this folder")
    command.set_defaults(run=lab)

    command = commands.add_parser("models", help="list what can be asked here")
    command.set_defaults(run=models)

    command = commands.add_parser("bench", help="measure a model; the last line is one JSON object")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="NAME", help="a model that is served here (default: the default one)")
    which.add_argument("--checkpoint", metavar="FOLDER", type=Path, help="a Llama checkpoint")
    which.add_argument("--shape", metavar="NAME", help="random weights of a shape: llama3.2-1b, llama3.1-8b, 160m, …")
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    command.add_argument("--dtype", choices=["auto", "bfloat16", "float32"], default="auto")
    command.add_argument("-q", "--quantization", metavar="NAME", help="how weights are made smaller")
    command.add_argument("--ranks", metavar="N", type=_positive, default=1, help="spread over N devices (1)")
    command.add_argument("--batch", metavar="N", type=_positive, default=1, help="N streams at once, too (1: no)")
    command.add_argument("--prompt", metavar="N", type=_positive, default=128, help="N tokens of prompt (128)")
    command.add_argument("--new", metavar="N", type=_positive, default=64, help="N tokens of answer (64)")
    command.add_argument("--repeat", metavar="N", type=_positive, default=5, help="medians of N rounds (5)")
    command.add_argument(
        "--compare",
        metavar="NAMES",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        help="others to measure beside it with the same weights: reference,transformers",
    )
    command.set_defaults(run=bench)

    command = commands.add_parser("doctor", help="check this installation, and say what to do")
    command.set_defaults(run=doctor)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return number


# --- lab --------------------------------------------------------------------------------------------------------------


def lab(options: argparse.Namespace, rest: list[str]) -> int:
    """Open JupyterLab on a copy of the first notebook; a copy that is there already is left as it is."""
    if find_spec("jupyterlab") is None:
        print('llama-nb: JupyterLab is not installed: pip install "llama_nb[lab]"', file=sys.stderr)
        return 1
    notebook = Path.cwd() / FIRST_NOTEBOOK
    if not notebook.exists():
        shutil.copyfile(first_notebook(), notebook)
    command = [sys.executable, "-m", "jupyterlab", str(notebook), *rest]
    if hasattr(os, "getuid") and os.getuid() == 0 and "--allow-root" not in rest:
        command.append("--allow-root")
    return subprocess.run(command, check=False).returncode


def first_notebook() -> Path:
    """Where the first notebook is: inside an installed package, or beside it in a source tree."""
    installed = PACKAGE / "notebooks" / FIRST_NOTEBOOK
    return installed if installed.is_file() else PACKAGE.parent / "notebooks" / FIRST_NOTEBOOK


# --- models -----------------------------------------------------------------------------------------------------------


def models(options: argparse.Namespace, rest: list[str]) -> int:
    """Print each model that can be asked here, and who serves it."""
    from llama_nb.stack import Stack

    stack = Stack.from_config(None)
    try:
        served = asyncio.run(stack.models.list_models())
    finally:
        stack.close()
    width = max((len(model.identifier) for model in served), default=0)
    for model in served:
        print(f"{model.identifier:{width}}  {model.provider_id}")
    return 0


# --- bench ------------------------------------------------------------------------------------------------------------


def bench(options: argparse.Namespace, rest: list[str]) -> int:
    """Measure a model: a progress bar on stderr, a table, and one JSON object as the last line."""
    from llama_nb.bench.measure import run
    from llama_nb.bench.options import Options
    from llama_nb.bench.table import table

    asked = Options(**{field.name: getattr(options, field.name) for field in fields(Options)})
    with _bar() as progress:
        result = run(asked, progress)
    print(table(result))
    print(json.dumps(result))
    return 0


@contextmanager
def _bar(width: int = 24) -> Iterator[Callable[[float, str], None]]:
    """A bar on stderr that fills, and goes when all is done; where nobody looks, a line for each thing that is done."""
    told = ""

    def show(fraction: float, what: str) -> None:
        nonlocal told
        if sys.stderr.isatty():
            bar = ("█" * round(width * fraction)).ljust(width, "░")
            print(f"\r\x1b[K{bar} {fraction:4.0%} {what}", end="", file=sys.stderr, flush=True)
        elif what != told:
            print(f"{fraction:4.0%} {what}", file=sys.stderr, flush=True)
        told = what

    try:
        yield show
    finally:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# --- doctor -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One line of `llama-nb doctor`."""

    status: Literal["ok", "warn", "fail"]
    what: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.status:>4}  {self.what}" + (f"\n      → {self.advice}" if self.advice else "")


def doctor(options: argparse.Namespace, rest: list[str]) -> int:
    """Print what is well, what might hurt, and what is broken here; the exit status is 1 when something is broken."""
    findings = []
    for finding in examine():
        print(finding, flush=True)
        findings.append(finding)
    return 1 if any(finding.status == "fail" for finding in findings) else 0


def examine() -> Iterator[Finding]:
    """Every finding, the cheap ones first."""
    yield python_is_supported(sys.version_info[:2])
    yield platform_is_supported(sys.platform)
    yield from (installed(name) for name in ("torch", "llama-models", "ipykernel", "anywidget", "jupyterlab"))
    yield widget_is_built(PACKAGE / "static")
    yield embedded_checkpoint(PACKAGE / "demo" / EMBEDDED)
    yield worker_answers()
    yield jupyter_connection()


def python_is_supported(version: tuple[int, int]) -> Finding:
    what = "Python {}.{}".format(*version)
    if (3, 11) <= version < (3, 14):
        return Finding("ok", what)
    return Finding("fail", what, "llama_nb runs on Python 3.11, 3.12 and 3.13.")


def platform_is_supported(platform: str) -> Finding:
    if platform == "linux":
        return Finding("ok", "Linux")
    if platform == "darwin":
        return Finding("warn", "macOS: should work, is not tested")
    return Finding("fail", f"platform {platform}", "llama_nb runs on Linux; on Windows, use it inside WSL.")


def installed(name: str) -> Finding:
    version = _version_of(name)
    if version:
        return Finding("ok", f"{name} {version}")
    if name in ("ipykernel", "jupyterlab"):
        return Finding("warn", f"{name} is not installed", 'For a JupyterLab here: pip install "llama_nb[lab]"')
    return Finding("fail", f"{name} is not installed", f"pip install {name}")


def widget_is_built(static: Path) -> Finding:
    missing = [name for name in ("panel.js", "panel.css") if not (static / name).is_file()]
    if not missing:
        return Finding("ok", "the chat panel is built")
    advice = "In a source tree: npm ci && npm run build. Else reinstall llama_nb."
    return Finding("fail", f"the chat panel is not built: no {missing[0]}", advice)


def embedded_checkpoint(folder: Path) -> Finding:
    """Whether the embedded model is there, each file as it was shipped."""
    if not (folder / "checklist.chk").is_file():
        return Finding("fail", "the embedded model has no checklist.chk", "Reinstall llama_nb.")
    try:
        verify_checksums(folder, progress=lambda stage, fraction: None)
    except CheckpointError as error:
        return Finding("fail", f"the embedded model is damaged: {error}", "Reinstall llama_nb.")
    return Finding("ok", "the embedded model is whole")


def worker_answers() -> Finding:
    """Start a worker, ask the embedded model, and stop it again."""
    start = time.perf_counter()
    try:
        from llama_nb.chat import Chat
        from llama_nb.stack import Stack

        entry = {"provider_id": "llama-nb", "provider_type": "meta-reference", "config": {"model": EMBEDDED}}
        stack = Stack.from_config({"providers": {"inference": [entry]}})
        try:
            Chat(EMBEDDED, stack=stack).ask("hello", max_tokens=8)
        finally:
            stack.close()
    except Exception as error:  # whatever is broken here is what the doctor was called for
        return Finding("fail", "the generator does not answer", f"{type(error).__name__}: {error}")
    return Finding("ok", f"the generator started and answered in {time.perf_counter() - start:.1f} s")


def jupyter_connection() -> Finding:
    """Whether other users of this machine could read what a kernel says to its server."""
    settings = _kernel_settings()
    if settings.get("transport", "tcp") == "ipc":
        return Finding("ok", "Jupyter speaks to its kernels through Unix sockets")
    if settings.get("transport_encryption", "disabled") == "required":
        return Finding("ok", "Jupyter encrypts what it says to its kernels")
    return Finding(
        "warn",
        "Jupyter speaks to its kernels over TCP: other users of this machine can read it, as with any notebook",
        'On a shared machine, write c.KernelManager.transport = "ipc" into jupyter_server_config.py.',
    )


def _kernel_settings() -> dict[str, Any]:
    """What Jupyter's config files say of how a server reaches its kernels."""
    from jupyter_core.application import JupyterApp

    class Reader(JupyterApp):
        name = "jupyter-server"  # whose files are read: jupyter_config and jupyter_server_config

    reader = Reader()
    reader.load_config_file()
    sections = ("ConnectionFileMixin", "KernelManager", "AsyncKernelManager")  # the later is the more specific
    return {key: value for section in sections for key, value in reader.config.get(section, {}).items()}


def _version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
