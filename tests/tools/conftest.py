"""What the tests of tools share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from llama_nb.tools import Result, Tool, as_tool

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Runs a tool, or a function as one, with these arguments; its progress goes to `said`."""

    def run(thing: Any, said: list[str] | None = None, **arguments: Any) -> Result:
        tool: Tool = as_tool(thing)
        heard = said if said is not None else []
        return asyncio.run(tool.run(arguments, heard.append))

    return run
