"""Puts the built widget and the first notebook into what hatchling builds.

Knows npm and hatchling; knows nothing of what the widget does.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WIDGET = ("llama_nb/static/panel.js", "llama_nb/static/panel.css")
FIRST_NOTEBOOK = "notebooks/01_hello.ipynb"
NO_NODE = """\
The chat panel is not built ({missing} is missing), and npm was not found to build it.
Install Node.js 20 or newer and run

    npm ci && npm run build

in {root}, or install a wheel or an sdist: both hold the built panel."""
FAILED = """\
The chat panel could not be built: `{command}` ended with status {status} in {root}.
Its own words stand above. Node.js must be 20 or newer (`node --version`)."""


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        build_widget_if_missing(root)
        # An editable install finds the notebook in the source tree; only a real wheel carries it inside the package.
        if self.target_name == "wheel" and version == "standard":
            build_data["force_include"][str(root / FIRST_NOTEBOOK)] = f"llama_nb/{FIRST_NOTEBOOK}"


def build_widget_if_missing(root: Path) -> None:
    """Build the widget unless it is there. Never rebuilds: `make` knows when it is stale."""
    missing = [name for name in WIDGET if not (root / name).is_file()]
    if not missing:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(NO_NODE.format(missing=missing[0], root=root))
    for arguments in (["ci"], ["run", "build"]):
        done = subprocess.run([npm, *arguments], cwd=root, check=False)
        if done.returncode != 0:
            raise SystemExit(FAILED.format(command=" ".join(["npm", *arguments]), status=done.returncode, root=root))
