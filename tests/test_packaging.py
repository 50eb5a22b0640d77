"""What is built: an sdist that needs no Node, and a wheel that answers wherever it is installed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from itertools import chain
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest

NO_NODE = {**os.environ, "PATH": str(Path(sys.executable).parent)}
MAX_WHEEL_BYTES = 30 * 1024 * 1024
SUFFIXES = {".py", ".js", ".css", ".json", ".ipynb", ".md", ".txt", ".chk", ".model", ".pth", ".safetensors", ".typed"}
SECRETS = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY|\b(hf_|ghp_|sk-|AKIA)[A-Za-z0-9]{16,}")


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None, timeout: float = 300) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, (
        f"{command} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout


@pytest.fixture(scope="module")
def dist(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel that is built from it where there is no Node."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, cwd=root, env=NO_NODE)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


@pytest.fixture(scope="module")
def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_what_a_user_needs(in_wheel: set[str], root: Path) -> None:
    needed = {"__init__.py", "cli.py", "static/panel.js", "static/panel.css", "notebooks/01_hello.ipynb"}
    checkpoint = root / "llama_nb" / "demo" / "llama-nb-guide"
    needed |= {f"demo/llama-nb-guide/{file.name}" for file in checkpoint.iterdir()}
    assert {f"llama_nb/{name}" for name in needed} - in_wheel == set()
    assert {"params.json", "tokenizer.model"} <= {file.name for file in checkpoint.iterdir()}


def test_the_wheel_has_nothing_else(in_wheel: set[str]) -> None:
    tops = {name.split("/")[0] for name in in_wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"llama_nb"}
    ours = [PurePosixPath(name) for name in in_wheel if name.startswith("llama_nb/")]
    assert [path for path in ours if path.suffix not in SUFFIXES] == []
    assert [path for path in ours if {"tests", "__pycache__", "node_modules"} & set(path.parts)] == []


def test_the_wheel_has_no_secrets_and_no_paths_of_the_machine_that_built_it(wheel: Path, root: Path) -> None:
    home = str(root).encode()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not name.endswith((".pth", ".safetensors")):
                content = archive.read(name)
                assert not SECRETS.search(content), name
                assert home not in content, name


def test_the_wheel_is_small(wheel: Path) -> None:
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size / 1e6:.1f} MB")
    assert size < MAX_WHEEL_BYTES


def test_the_wheel_carries_the_very_widget_and_weights(wheel: Path, root: Path) -> None:
    files = ["llama_nb/static/panel.js"]
    files += [f"llama_nb/demo/llama-nb-guide/{file.name}" for file in (root / "llama_nb/demo/llama-nb-guide").iterdir()]
    with zipfile.ZipFile(wheel) as archive:
        for name in files:
            built, ours = archive.read(name), (root / name).read_bytes()
            assert hashlib.sha256(built).digest() == hashlib.sha256(ours).digest(), name


def test_the_sdist_has_all_that_a_wheel_is_built_from(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    needed = {
        "package.json",
        "hatch_build.py",
        "llama_nb/static/panel.js",
        "notebooks/01_hello.ipynb",
        "js/src/widget.ts",
    }
    assert needed - names == set()
    assert [name for name in names if name.startswith((".venv", "node_modules", ".git/", "dist", ".ci"))] == []


def test_one_home_of_the_version(root: Path, wheel: Path) -> None:
    version = json.loads((root / "package.json").read_text("utf-8"))["version"]
    assert wheel.name.startswith(f"llama_nb-{version}-py3-none-any")
    assert f"## [{version}]" in (root / "CHANGELOG.md").read_text("utf-8")


ASK = "import llama_nb; print(llama_nb.__file__); print(llama_nb.Chat().ask('hello'))"


def test_the_wheel_answers_in_a_new_environment(wheel: Path, root: Path, tmp_path: Path, full: bool) -> None:
    """Quick: an environment that borrows only the dependencies. Full: one that pip fills from nothing."""
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    if full:
        run(*install, "-c", root / "constraints.txt", wheel, cwd=tmp_path, timeout=1800)
    else:
        run(*install, "--no-deps", "--no-index", wheel, cwd=tmp_path)
        packages = next((environment / "lib").glob("python*/site-packages"))
        # A path in a .pth file does not read the .pth files there, so the editable llama_nb stays unseen.
        (packages / "borrowed.pth").write_text(str(Path(pytest.__file__).parent.parent))
    output = run(python, "-I", "-c", ASK, cwd=tmp_path, env={**NO_NODE, "PATH": str(environment / "bin")})
    place, answer = output.split("\n", 1)
    assert Path(place).is_relative_to(environment)
    assert len(answer.strip()) > 3
    assert "llama-nb" in run(environment / "bin" / "llama-nb", "--version", cwd=tmp_path)


@pytest.fixture
def hook(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", root / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_widget_and_npm_the_build_says_what_to_do(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit) as told:
        hook.build_widget_if_missing(tmp_path)
    assert "Node.js 20" in str(told.value)
    assert "npm ci && npm run build" in str(told.value)


def test_a_widget_that_is_there_is_left_alone(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    (tmp_path / "llama_nb" / "static").mkdir(parents=True)
    for name in hook.WIDGET:
        (tmp_path / name).touch()
    hook.build_widget_if_missing(tmp_path)


def test_a_widget_that_cannot_be_built_names_the_command(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\nexit 3\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(SystemExit, match=r"npm ci` ended with status 3"):
        hook.build_widget_if_missing(tmp_path)


def _plain(name: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", name)[0].lower().replace("_", "-")


def test_constraints_pin_every_dependency_and_name_no_place(root: Path) -> None:
    lines = [line for line in (root / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    declared = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    assert {_plain(name) for name in declared} - {_plain(line) for line in lines} == set()


def test_the_readme_names_every_file(root: Path) -> None:
    """The annotated tree is page one of this repository: a new file gets its half line there, a gone one loses it."""
    tree = (root / "README.md").read_text("utf-8").split("## The house, room by room")[1]
    named = set(re.findall(r"[\w.]+\.(?:py|ts|css|mjs)\b", tree))
    files = [*(root / "llama_nb").rglob("*.py"), *(root / "js" / "src").iterdir(), root / "js" / "build.mjs"]
    there = {file.name for file in files if file.read_text("utf-8").strip()}
    assert there - {"__init__.py"} - named == set()
    assert named - there - {"hatch_build.py"} == set()


@pytest.mark.parametrize(("option", "status"), [("--require-browser", 1), ("-q", 0)])
def test_a_run_without_the_browser_tests_is_not_green(root: Path, option: str, status: int) -> None:
    """`make test` asks for them, so that a missing Chromium cannot pass unseen."""
    one = "tests/test_cli.py::test_an_unknown_option_is_refused"
    command = [sys.executable, "-m", "pytest", option, "-p", "no:cacheprovider", one]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout
    assert ("no test in tests/browser passed" in done.stdout) is bool(status)
    assert "1 passed" in done.stdout.splitlines()[-1]
