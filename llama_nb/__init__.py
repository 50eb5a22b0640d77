"""A Llama that lives in your notebook: `%load_ext llama_nb`, then `%llama` your question.

Each public name is loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from llama_nb.apis.inference import ChatCompletionResponseEvent as ChatCompletionResponseEvent
    from llama_nb.apis.messages import CompletionMessage as CompletionMessage
    from llama_nb.apis.messages import SamplingParams as SamplingParams
    from llama_nb.apis.messages import SystemMessage as SystemMessage
    from llama_nb.apis.messages import ToolCall as ToolCall
    from llama_nb.apis.messages import ToolDefinition as ToolDefinition
    from llama_nb.apis.messages import ToolParamDefinition as ToolParamDefinition
    from llama_nb.apis.messages import ToolResponseMessage as ToolResponseMessage
    from llama_nb.apis.messages import UserMessage as UserMessage
    from llama_nb.chat import Chat as Chat
    from llama_nb.chat import Reply as Reply
    from llama_nb.errors import LlamaError as LlamaError
    from llama_nb.panel import Panel as Panel
    from llama_nb.stack import Stack as Stack
    from llama_nb.stack import configure as configure
    from llama_nb.tools import tool as tool

_HOMES = {
    "Chat": "chat",
    "ChatCompletionResponseEvent": "apis.inference",
    "CompletionMessage": "apis.messages",
    "LlamaError": "errors",
    "Panel": "panel",
    "Reply": "chat",
    "SamplingParams": "apis.messages",
    "Stack": "stack",
    "SystemMessage": "apis.messages",
    "ToolCall": "apis.messages",
    "ToolDefinition": "apis.messages",
    "ToolParamDefinition": "apis.messages",
    "ToolResponseMessage": "apis.messages",
    "UserMessage": "apis.messages",
    "configure": "stack",
    "tool": "tools",
}

__all__ = ["__version__", "load_ipython_extension", "tools", "unload_ipython_extension", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("llama_nb")
    if name == "tools":
        return importlib.import_module("llama_nb.tools")
    if name not in _HOMES:
        raise AttributeError(f"module `llama_nb` has no attribute `{name}`; it has {', '.join(sorted(_HOMES))}")
    return getattr(importlib.import_module(f"llama_nb.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext llama_nb`"""
    from llama_nb.magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext llama_nb`"""
    from llama_nb.magics import unload

    unload(shell)
