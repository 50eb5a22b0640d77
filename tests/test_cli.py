"""llama-nb: what each command prints, and the status it ends with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llama_nb import cli


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["models", "--all"])
    assert "--all" in capsys.readouterr().err


def test_models_lists_the_embedded_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models"]) == 0
    assert "llama-nb-guide" in capsys.readouterr().out


# --- lab --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that would have been started, in an empty folder."""
    commands: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.subprocess, "run", run)
    return commands


def test_lab_opens_a_copy_of_the_first_notebook(started: list[list[str]], tmp_path: Path) -> None:
    assert cli.main(["lab", "--no-browser"]) == 0
    copy = tmp_path / "01_hello.ipynb"
    assert json.loads(copy.read_text("utf-8"))["cells"]
    assert started[0][:4] == [sys.executable, "-m", "jupyterlab", str(copy)]
    assert "--no-browser" in started[0]


def test_lab_leaves_a_notebook_that_is_there(started: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "01_hello.ipynb").write_text("mine")
    assert cli.main(["lab"]) == 0
    assert (tmp_path / "01_hello.ipynb").read_text() == "mine"


@pytest.mark.parametrize(("uid", "allowed"), [(0, True), (1000, False)])
def test_lab_allows_root_only_to_root(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, uid: int, allowed: bool
) -> None:
    monkeypatch.setattr(cli.os, "getuid", lambda: uid)
    cli.main(["lab"])
    assert ("--allow-root" in started[0]) is allowed


def test_lab_without_jupyterlab_says_what_to_install(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert cli.main(["lab"]) == 1
    assert "llama_nb[lab]" in capsys.readouterr().err
    assert started == []


# --- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_finds_this_installation_well(capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["doctor"])
    printed = capsys.readouterr().out
    assert status == 0, printed
    for line in ("torch", "the chat panel is built", "the embedded model is whole", "the generator started"):
        assert line in printed


def test_doctor_ends_with_1_when_something_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [cli.Finding("ok", "this"), cli.Finding("fail", "that", "Mend it."), cli.Finding("warn", "those")]
    monkeypatch.setattr(cli, "examine", lambda: iter(findings))
    assert cli.main(["doctor"]) == 1
    assert "Mend it." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("finding", "status"),
    [
        (cli.python_is_supported((3, 11)), "ok"),
        (cli.python_is_supported((3, 13)), "ok"),
        (cli.python_is_supported((3, 10)), "fail"),
        (cli.python_is_supported((3, 14)), "fail"),
        (cli.platform_is_supported("linux"), "ok"),
        (cli.platform_is_supported("darwin"), "warn"),
        (cli.platform_is_supported("win32"), "fail"),
        (cli.installed("torch"), "ok"),
        (cli.installed("no-such-package"), "fail"),
        (cli.widget_is_built(Path("/nowhere")), "fail"),
        (cli.embedded_checkpoint(Path("/nowhere")), "fail"),
    ],
)
def test_a_finding(finding: cli.Finding, status: str) -> None:
    assert finding.status == status
    assert status == "ok" or finding.advice or "macOS" in finding.what


def test_a_damaged_checkpoint_is_found(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "guide"
    shutil.copytree(cli.PACKAGE / "demo" / "llama-nb-guide", folder)
    assert cli.embedded_checkpoint(folder).status == "ok"
    weights = max(folder.iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    found = cli.embedded_checkpoint(folder)
    assert found.status == "fail"
    assert weights.name in found.what


@pytest.mark.parametrize(
    ("setting", "status"),
    [
        ("", "warn"),
        ('c.KernelManager.transport = "ipc"', "ok"),
        ('c.KernelManager.transport_encryption = "required"', "ok"),
    ],
)
def test_a_readable_jupyter_connection_is_a_warning(
    setting: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_server_config.py").write_text(f"c = get_config()\n{setting}\n")
    assert cli.jupyter_connection().status == status
