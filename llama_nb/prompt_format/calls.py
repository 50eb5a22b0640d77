"""Text that a model wrote → the tool calls in it. Never raises: what cannot be read is no call."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from llama_nb.prompt_format.text import well_formed

_BUILTIN_CALL = re.compile(r'\s*(\w+)\.call\(query=("(?:[^"\\]|\\.)*")\)\s*')


class Call(NamedTuple):
    name: str
    arguments: dict[str, Any]


def read_calls(text: str) -> list[Call] | None:
    """The calls that `text` as a whole consists of; None when it is something else.

    >>> read_calls('{"type": "function", "name": "add", "parameters": {"a": 1}}')
    [Call(name='add', arguments={'a': 1})]
    >>> read_calls('brave_search.call(query="llamas")')
    [Call(name='brave_search', arguments={'query': 'llamas'})]
    """
    call = _read_json(text) or _read_builtin(text)
    return [call] if call else None


def may_become_call(text: str) -> bool:
    """Whether text that begins so can still turn out to be a call in plain JSON."""
    start = re.sub(r"\s+", "", text)
    return any(start.startswith(opening) or opening.startswith(start) for opening in ('{"type":"function"', '{"name":'))


def _read_json(text: str) -> Call | None:
    try:
        content = json.loads(text)
        if "\\u" in text:  # an escape can stand for half a character
            content = json.loads(well_formed(json.dumps(content, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    name, arguments = content.get("name"), content.get("parameters", content.get("arguments"))
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return Call(name, arguments)


def _read_builtin(text: str) -> Call | None:
    found = _BUILTIN_CALL.fullmatch(text)
    if not found:
        return None
    try:
        return Call(found[1], {"query": well_formed(json.loads(found[2]))})
    except ValueError:
        return None
