"""Tools: from a Python function, a built-in or an MCP server to a call that is approved, run and answered.

    tool, as_tool, Tool       a function, or anything else that can be one, as a tool
    code_interpreter          Python that the model writes, in the notebook or in a process of its own
    brave_search              the web
    wolfram_alpha             computed answers
    mcp                       the tools of an MCP server
    Result, ToolEvent         what comes of a call, and what happens to it on the way

Each name is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_nb.tools.definition import Approval as Approval
    from llama_nb.tools.definition import Tool as Tool
    from llama_nb.tools.definition import as_tool as as_tool
    from llama_nb.tools.definition import tool as tool
    from llama_nb.tools.events import Result as Result
    from llama_nb.tools.events import ToolEvent as ToolEvent
    from llama_nb.tools.events import digest_of as digest_of
    from llama_nb.tools.interpreter import code_interpreter as code_interpreter
    from llama_nb.tools.mcp_servers import MCPTools as MCPTools
    from llama_nb.tools.mcp_servers import mcp as mcp
    from llama_nb.tools.search import brave_search as brave_search
    from llama_nb.tools.search import wolfram_alpha as wolfram_alpha

# No file of this folder has the name of one of these: importing it would put the file where the function belongs.
_HOMES = {
    "Approval": "definition",
    "MCPTools": "mcp_servers",
    "Result": "events",
    "Tool": "definition",
    "ToolEvent": "events",
    "as_tool": "definition",
    "brave_search": "search",
    "code_interpreter": "interpreter",
    "digest_of": "events",
    "mcp": "mcp_servers",
    "tool": "definition",
    "wolfram_alpha": "search",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`; it has {', '.join(sorted(_HOMES))}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
