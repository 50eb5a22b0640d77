"""The command `llama-nb`: lab, models, bench, doctor.

Knows llama_nb as any user's code does. Never imports torch: what needs it happens in the worker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llama_nb.engine.checksums import verify_checksums
from llama_nb.errors import CheckpointError, LlamaError, NotSupported

if TYPE_CHECKING:
    from llama_nb.stack import Stack

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
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    command.add_argument("--dtype", choices=["auto", "bfloat16", "float32"], default="auto")
    command.add_argument("--prompt", metavar="N", type=_positive, default=128, help="about N tokens of prompt (128)")
    command.add_argument("--new", metavar="N", type=_positive, default=64, help="at most N tokens of answer (64)")
    command.add_argument("--runs", metavar="N", type=_positive, default=5, help="the median of N runs (5)")
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


@dataclass(frozen=True)
class Measured:
    """One answer: how many tokens, and how long they took."""

    prompt_tokens: int  # without those that a cache had
    completion_tokens: int
    time_to_first_token_s: float
    tokens_per_s: float

    @property
    def prefill_tokens_per_s(self) -> float:
        return self.prompt_tokens / self.time_to_first_token_s


def bench(options: argparse.Namespace, rest: list[str]) -> int:
    """Measure a model through llama_nb's public calls: a table on stderr, one JSON object as the last line."""
    stack, model = _stack_to_measure(options)
    try:
        result = asyncio.run(_measure(stack, model, options))
    finally:
        stack.close()
    for name, value in result.items():
        print(f"{name:>24}  {value:,.3f}" if isinstance(value, float) else f"{name:>24}  {value}", file=sys.stderr)
    print(json.dumps(result))
    return 0


def _stack_to_measure(options: argparse.Namespace) -> tuple[Stack, str]:
    """The configured stack, or one of just the asked-for checkpoint, device and dtype; and the model to ask."""
    from llama_nb.stack import Stack

    settings = {name: value for name in ("device", "dtype") if (value := getattr(options, name)) != "auto"}
    folder = options.checkpoint
    if folder is None:
        stack = Stack.from_config(None)
        model = stack.resolve(options.model or os.environ.get("LLAMA_NB_MODEL"))
        if not settings:
            return stack, model
        served = asyncio.run(stack.models.get_model(model))
        folder = served.metadata.get("checkpoint") if served is not None else None
        if folder is None:
            raise NotSupported(f"{model} is not a checkpoint here, so --device and --dtype cannot be chosen for it.")
    stack = _stack_of(checkpoint=str(folder), **settings)
    return stack, stack.resolve(None)


def _stack_of(**settings: str) -> Stack:
    """A stack of one model, in a generator of its own."""
    from llama_nb.stack import Stack

    entry = {"provider_id": "llama-nb", "provider_type": "meta-reference", "config": settings}
    return Stack.from_config({"providers": {"inference": [entry]}})


async def _measure(stack: Stack, model: str, options: argparse.Namespace) -> dict[str, Any]:
    start = time.perf_counter()
    await stack.load(model)
    load_s = time.perf_counter() - start
    await _ask(stack, model, _prompt_of(options.prompt, run=0), options.new)  # warm-up: the same shapes, unmeasured
    runs = [
        await _ask(stack, model, _prompt_of(options.prompt, run), options.new) for run in range(1, options.runs + 1)
    ]
    device, _, dtype = stack.status(model).detail.partition(", ")
    return {
        "model": model,
        "device": device,
        "dtype": dtype,
        "prompt_tokens": round(statistics.median(run.prompt_tokens for run in runs)),
        "completion_tokens": round(statistics.median(run.completion_tokens for run in runs)),
        "prefill_tokens_per_s": statistics.median(run.prefill_tokens_per_s for run in runs),
        "decode_tokens_per_s": statistics.median(run.tokens_per_s for run in runs),
        "time_to_first_token_s": statistics.median(run.time_to_first_token_s for run in runs),
        "load_s": load_s,
    }


def _prompt_of(tokens: int, run: int) -> str:
    """About that many tokens, which differ from run to run from the start on, so that no cache can help."""
    return f"{run}:" + " a" * tokens


async def _ask(stack: Stack, model: str, prompt: str, new: int) -> Measured:
    from llama_nb.apis.messages import SamplingParams, UserMessage

    response = await stack.inference.chat_completion(
        model=model, messages=[UserMessage(content=prompt)], sampling_params=SamplingParams(max_tokens=new)
    )
    usage, metrics = response.usage, response.metrics
    if usage is None or metrics is None:
        raise NotSupported(
            f"{model} is served by a provider that does not measure itself, so it cannot be benched here."
        )
    return Measured(
        prompt_tokens=usage.prompt_tokens - usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        time_to_first_token_s=metrics.time_to_first_token_s - metrics.queue_s,
        tokens_per_s=metrics.tokens_per_s,
    )


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

        stack = _stack_of(model=EMBEDDED)
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
