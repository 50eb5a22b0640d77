"""What all tests share: a home of their own, few examples unless asked for many, and a browser that must have run.

Under `LLAMA_NB_FULL=1` (make soak) tests marked `soak` run too, and hypothesis tries far more.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

FULL = os.environ.get("LLAMA_NB_FULL") == "1"
ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("full", max_examples=2000, deadline=None)
settings.load_profile("full" if FULL else "quick")


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether the long counts are asked for."""
    return FULL


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder that holds pyproject.toml."""
    return ROOT


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-browser",
        action="store_true",
        help="fail unless every test of tests/browser ran, and there was one",
    )
    parser.addoption("--cuda", action="store_true", help="run the tests that need a GPU, too")


def pytest_configure(config: pytest.Config) -> None:
    """Neither this machine's settings nor its checkpoints reach a test, nor the processes that a test starts."""
    config.stash[HOME] = home = tempfile.TemporaryDirectory(prefix="nb-")  # short: Unix sockets live below it
    for name in ("LLAMA_NB_CONFIG", "LLAMA_NB_MODEL"):
        os.environ.pop(name, None)
    for name in (
        "IPYTHONDIR",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "LLAMA_MODELS_CONFIG_DIR",
    ):
        folder = Path(home.name) / name.lower()
        folder.mkdir()
        os.environ[name] = str(folder)
    if not config.getoption("--cuda"):
        os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined: it then runs on the CPU
    config.pluginmanager.register(BrowserRan(bool(config.getoption("--require-browser"))))


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[HOME].cleanup()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Browser tests go last; long tests and those that need a GPU are left out unless asked for.

    Left out, not skipped: a skip in the closing line always means that something is amiss.
    """
    # Playwright's loop runs in the main thread as long as its browser is open: no `asyncio.run` works beside it.
    items.sort(key=lambda item: item.nodeid.startswith("tests/browser/"))
    unwanted = {"soak": not FULL, "cuda": not config.getoption("--cuda")}
    left_out = [item for item in items if any(item.get_closest_marker(name) for name, out in unwanted.items() if out)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


HOME = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


class BrowserRan:
    """Fails the run when the tests in a real browser did not all run: a missing Chromium must not look green."""

    def __init__(self, required: bool) -> None:
        self.required = required
        self.passed: list[str] = []
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid.startswith("tests/browser/"):
            if report.skipped:
                self.skipped.append(report.nodeid)
            elif report.passed and report.when == "call":
                self.passed.append(report.nodeid)

    @property
    def complaint(self) -> str | None:
        if not self.required or (self.passed and not self.skipped):
            return None
        if self.skipped:
            return f"{len(self.skipped)} tests in tests/browser were skipped: {', '.join(self.skipped)}"
        return "no test in tests/browser passed: is Chromium there?"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.complaint and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.complaint:
            terminalreporter.write_line(f"--require-browser: {self.complaint}", red=True)
