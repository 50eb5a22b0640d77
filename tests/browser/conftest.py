"""A real JupyterLab, a real kernel, and Chromium: what the browser tests stand on.

Waits are for events, with generous limits. Screenshots go to pytest's temporary folder, or to LLAMA_NB_SHOTS.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Error, Locator, Page, expect, sync_playwright

LIMIT_S = 120  # for anything that must happen; two slow cores, shared with others
CHROMIUM_ARGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync""".split()

expect.set_options(timeout=LIMIT_S * 1000)


@dataclass
class Lab:
    """A running `jupyter lab`, and the folder it serves."""

    url: str
    folder: Path
    log: Path

    def api(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=LIMIT_S) as response:
            return json.loads(response.read() or b"null")

    def end_kernels(self) -> None:
        for session in self.api("GET", "/api/sessions"):
            self.api("DELETE", f"/api/sessions/{session['id']}")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("lab")
    places = {name: str(home / name.lower()) for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}
    config = home / "config"
    (config / "labconfig").mkdir(parents=True)
    off = {"@jupyterlab/apputils-extension:announcements": True}  # it asks whether it may fetch news
    (config / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": off}))
    folder = home / "notebooks"
    folder.mkdir()
    log = home / "lab.log"
    port = _free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--IdentityProvider.token=", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += ["--allow-root", "--ServerApp.disable_check_xsrf=True"]
    command += ["--ServerApp.shutdown_no_activity_timeout=900"]  # should this process be killed
    env = {**os.environ, **places, "JUPYTER_CONFIG_DIR": str(config), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    server = Lab(f"http://127.0.0.1:{port}", folder, log)
    try:
        wait_until(lambda: _answers(server), f"jupyter lab answers (see {log})", process)
        yield server
        server.end_kernels()
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(server: Lab) -> bool:
    try:
        return bool(server.api("GET", "/api/status"))
    except OSError:
        return False


def wait_until(happened: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + LIMIT_S
    while not happened():
        assert process is None or process.poll() is None, f"the process ended before {what}"
        assert time.monotonic() < end, f"not within {LIMIT_S} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is; on Debian, as root, it is installed when it is missing."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update"], check=True)
        subprocess.run(["apt-get", "install", "-y", "chromium"], check=True)
        found = shutil.which("chromium")
    if not found:
        pytest.fail("There is no Chromium: install it (Debian: apt-get install chromium), or run without tests/browser")
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(LIMIT_S * 1000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    page = context.new_page()
    page.on("dialog", _accept)  # "leave this page?"
    yield page
    if request.node.stash.get(FAILED, False):
        page.screenshot(path=tmp_path / "failed.png")
        print(f"\nThe page when the test failed: {tmp_path / 'failed.png'}")
    try:
        page.goto("about:blank")  # else it asks for a kernel again when its own ends
    except Error:
        page.goto("about:blank")  # its question came, and went, at the wrong moment
    lab.end_kernels()


def _accept(dialog: Dialog) -> None:
    with contextlib.suppress(Error):  # it may be gone by then
        dialog.accept()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def shot(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Page | Locator, str], Path]:
    """Takes a screenshot, and gives its path."""

    def take(what: Page | Locator, name: str) -> Path:
        folder = Path(os.environ.get("LLAMA_NB_SHOTS", tmp_path))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        what.screenshot(path=path)
        return path

    return take


class Notebook:
    """A notebook that is open in a page."""

    def __init__(self, lab: Lab, page: Page, name: str) -> None:
        self.lab, self.page, self.name = lab, page, name
        self.path = lab.folder / name

    def open(self) -> Notebook:
        self.page.goto(f"{self.lab.url}/doc/tree/{self.name}")
        self.ready()
        return self

    def reload(self) -> None:
        self.page.reload()
        self.ready()

    def ready(self) -> None:
        # A JupyterLab that starts slowly may lose the address that it was asked for, and stay empty.
        for _ in range(3):
            with contextlib.suppress(AssertionError):
                expect(self.cell(0)).to_be_visible(timeout=LIMIT_S * 1000 / 4)
                break
            self.page.reload()
        expect(self.cell(0)).to_be_visible()
        # The notebook's own indicator says "idle" before there is a kernel, and then a cell that is run does nothing.
        expect(self.page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def begin(self, index: int) -> None:
        """Runs a cell, and does not wait for its end."""
        self.cell(index).locator(".jp-InputArea .cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def run(self, index: int) -> None:
        self.begin(index)
        expect(self.cell(index).locator(".jp-InputPrompt").first).to_have_text(re.compile(r"\[\d+\]:"))
        error = self.cell(index).locator('[data-mime-type="application/vnd.jupyter.stderr"], .jp-RenderedText pre')
        texts = [text for text in error.all_text_contents() if "Traceback" in text]
        assert not texts, texts

    def prompts(self) -> list[str]:
        """The execution counts, as they are shown."""
        return self.page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()

    @property
    def panel(self) -> Locator:
        return self.page.locator(".llama-nb").first

    @property
    def turns(self) -> Locator:
        return self.panel.locator(".llama-nb-turn")

    def ask(self, question: str) -> None:
        box = self.panel.get_by_role("textbox", name="Message")
        box.fill(question)
        before = self.turns.count()
        box.press("Enter")
        expect(self.turns).to_have_count(before + 1)

    def answer(self, index: int = -1) -> Locator:
        turn = self.turns.last if index == -1 else self.turns.nth(index)
        return turn.locator(".llama-nb-answer")

    def wait_for_answer(self, index: int = -1, phase: str = "done") -> str:
        turn = self.turns.last if index == -1 else self.turns.nth(index)
        expect(turn).to_have_attribute("data-phase", phase)
        return turn.locator(".llama-nb-text").inner_text()

    @property
    def calls(self) -> Locator:
        """The tool cells."""
        return self.panel.locator("details.llama-nb-call")

    def wait_for_call(self, state: str, index: int = -1) -> Locator:
        """A tool cell, once it is in this state."""
        call = self.calls.last if index == -1 else self.calls.nth(index)
        expect(call).to_have_attribute("data-state", state)
        return call

    def printed(self, index: int) -> str:
        """Runs a cell, and gives what it printed."""
        self.run(index)
        output = self.cell(index).locator('[data-mime-type="application/vnd.jupyter.stdout"]')
        expect(output).to_be_visible()
        return output.inner_text().strip()

    def stop(self) -> float:
        """Presses Stop, and gives the milliseconds until the page shows the end of the answer."""
        return float(self.page.evaluate(STOP))

    def save(self, until: str = "") -> None:
        """Saves, and waits until the file has `until` in it; a save that came before it is made again."""
        self.cell(0).locator(".jp-InputArea .cm-content").click()  # the notebook, not the panel, has the keys

        def saved() -> bool:
            self.page.keyboard.press("Control+s")
            self.page.wait_for_timeout(200)
            return until in self.path.read_text()

        wait_until(saved, f"{until!r} is saved")


@pytest.fixture
def notebook(lab: Lab, page: Page, request: pytest.FixtureRequest) -> Callable[..., Notebook]:
    """Makes a notebook of these cells, and opens it."""
    made: list[Notebook] = []

    def make(*cells: str) -> Notebook:
        name = re.sub(r"\W+", "_", f"{request.node.name}_{len(made)}") + ".ipynb"
        content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(content, lab.folder / name)
        made.append(Notebook(lab, page, name).open())
        return made[-1]

    return make


@pytest.fixture
def asked_for(page: Page) -> Iterator[list[str]]:
    """The addresses outside of the Jupyter server that the page asked for."""
    asked: list[str] = []

    def note(address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            asked.append(address)

    page.on("request", lambda request: note(request.url))
    return asked


STOP = """() => new Promise(done => {
    const turn = [...document.querySelectorAll(".llama-nb-turn")].at(-1);
    const began = performance.now();
    const ended = () => !["queued", "answering"].includes(turn.dataset.phase);
    new MutationObserver(() => ended() && done(performance.now() - began)).observe(turn, { attributes: true });
    document.querySelector(".llama-nb-stop").click();
})"""


def scripted(*answers: str, delay_s: float = 0.0, panel: str = "panel = nb.Panel(chat); panel") -> str:
    """A cell that shows a panel whose model gives these answers."""
    config = {"answers": list(answers), "delay_s": delay_s}
    providers = {"inference": [{"provider_id": "s", "provider_type": "scripted", "config": config}]}
    stack = json.dumps({"providers": providers})
    return f"import json, llama_nb as nb\nnb.configure(json.loads({stack!r}))\nchat = nb.Chat()\n{panel}"
