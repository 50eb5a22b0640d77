"""The tools of an MCP server: a program that is started and spoken to over its pipes, or an address.

The official `mcp` package speaks the protocol, in llama_nb's loop. Names, descriptions, schemas and results come from
the server, and are trusted as little as any text that a model reads. A server that dies is started anew by the next
call. Knows nothing of conversations.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, overload

from llama_nb import loop
from llama_nb.apis.messages import BuiltinTool, ToolDefinition, ToolParamDefinition
from llama_nb.errors import BadRequest, NotSupported
from llama_nb.tools.arguments import schema_converters
from llama_nb.tools.definition import TIMEOUT_S, Approval, Tool
from llama_nb.tools.events import Result
from llama_nb.tools.mcp_session import CONNECT_S, Connection
from llama_nb.tools.results import bounded, trimmed
from llama_nb.tools.running import Progress
from llama_nb.tools.schema import phrase_of, word_of

if TYPE_CHECKING:
    from mcp.client._transport import Transport
    from mcp_types import CallToolResult
    from mcp_types import Tool as MCPTool

_MAX_DESCRIPTION = 4_000
_PICTURES = ("image/png", "image/jpeg")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*+={0,2}+\s*+")


def mcp(
    server: str,
    *arguments: str | os.PathLike[str],
    name: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    headers: Mapping[str, str] | None = None,
    approval: Approval = "ask",
    timeout_s: float | None = TIMEOUT_S,
) -> MCPTools:
    """The tools of an MCP server, as a list that can be closed: `mcp("python", "server.py")`, `mcp("https://…/mcp")`.

    Args:
        server: a command, started with `arguments`; or the address of a server that speaks streamable HTTP.
        name: what errors and sources call it; else the command's last part.
        env: variables for the command, beyond the few that the `mcp` package hands on.
        cwd: the command's working folder.
        headers: for an address, such as `{"Authorization": "Bearer …"}`.
        approval: of each of its tools; they can be set one by one.
        timeout_s: seconds that one call may take.

    Raises:
        NotSupported: the package `mcp` is not installed.
        ServerGone: the server cannot be started, or does not answer.

    Use it as `chat = nb.Chat(tools=server)` or `tools=[*server, …]`; `server.close()` ends it, as does `with`.
    """
    _check_installed()
    by_address = server.startswith(("http://", "https://"))
    if by_address and (arguments or env or cwd):
        raise BadRequest("The address of an MCP server takes no arguments, env or cwd; those are for a command.")
    if headers and not by_address:
        raise BadRequest("headers are for the address of an MCP server; a command is given `env` instead.")
    command = [server, *(os.fspath(argument) for argument in arguments)]
    if by_address:
        connection = Connection(name or server, lambda log: _http(server, headers or {}))
    else:
        own_name = name or Path(command[1] if len(command) > 1 else server).stem
        connection = Connection(own_name, lambda log: _stdio(command, env, cwd, log))
    return MCPTools(connection, approval, timeout_s)


def _check_installed() -> None:
    try:
        import mcp  # noqa: F401
    except ImportError:
        raise NotSupported(
            "MCP servers need the package `mcp`, which is not installed: `pip install 'llama_nb[mcp]'`."
        ) from None


def _stdio(
    command: list[str], env: Mapping[str, str] | None, cwd: str | os.PathLike[str] | None, log: TextIO
) -> Transport:
    from mcp import StdioServerParameters, stdio_client

    about = StdioServerParameters(
        command=command[0], args=command[1:], env=dict(env or {}), cwd=None if cwd is None else os.fspath(cwd)
    )
    return stdio_client(about, errlog=log)


@contextlib.asynccontextmanager
async def _http(url: str, headers: Mapping[str, str]) -> Any:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    timeout = httpx2.Timeout(CONNECT_S, read=None)
    async with (
        httpx2.AsyncClient(headers=dict(headers), timeout=timeout) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams


class MCPTools(Sequence[Tool]):
    """The tools of one MCP server, as a sequence; `close()` ends the session and the server that was started for it."""

    def __init__(self, connection: Connection, approval: Approval, timeout_s: float | None) -> None:
        self._connection = connection
        offered = loop.run(connection.tools())
        self._tools = [_tool(one, own, connection, approval, timeout_s) for one, own in _named(offered, self.name)]

    @property
    def name(self) -> str:
        return self._connection.name

    @overload
    def __getitem__(self, index: int) -> Tool: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tool]: ...
    def __getitem__(self, index: int | slice) -> Tool | list[Tool]:
        return self._tools[index]

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"<MCPTools of {self.name}: {', '.join(tool.name for tool in self._tools)}>"

    def __enter__(self) -> MCPTools:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session; a call of one of its tools is a failed result from then on."""
        loop.run(self._connection.close())


# --- Its tools --------------------------------------------------------------------------------------------------------


def _named(offered: list[MCPTool], server: str) -> Iterator[tuple[MCPTool, str]]:
    """Each tool with a name that every format of Llama's can call: an identifier, its own, and no built-in's."""
    taken: set[str] = set()
    for tool in offered:
        name = re.sub(r"\W", "_", tool.name, flags=re.ASCII) or "tool"
        name = name if name.isidentifier() else f"_{name}"
        if name in BuiltinTool.__members__:
            name = re.sub(r"\W", "_", f"{server}_{name}", flags=re.ASCII)
        own, count = name, 1
        while own in taken:
            count += 1
            own = f"{name}_{count}"
        taken.add(own)
        yield tool, own


def _tool(offered: MCPTool, name: str, connection: Connection, approval: Approval, timeout_s: float | None) -> Tool:
    schema = _object_schema(offered.input_schema)

    async def call(arguments: dict[str, Any], progress: Progress) -> Result:
        return _result(await connection.call(offered.name, arguments, progress))

    return Tool(
        ToolDefinition(
            tool_name=name,
            description=trimmed((offered.description or "").strip(), _MAX_DESCRIPTION) or None,
            parameters={name: _parameter(name, part, schema) for name, part in schema["properties"].items()},
        ),
        schema,
        schema_converters(schema),
        call,
        approval=approval,
        timeout_s=timeout_s,
        source=f"mcp {connection.name}",
        notice=f"Runs in the MCP server {connection.name}.",
        in_loop=True,
    )


def _object_schema(told: Mapping[str, Any]) -> dict[str, Any]:
    """The server's schema; a part of it that is none takes anything."""
    properties = told.get("properties")
    parts = properties if isinstance(properties, dict) else {}
    required = told.get("required")
    shared = {name: told[name] for name in ("$defs", "definitions") if _is_schema({name: told.get(name)})}
    return {
        "type": "object",
        "properties": {str(name): part if _is_schema(part) else {} for name, part in parts.items()},
        "required": [name for name in required if name in parts] if isinstance(required, list) else [],
        "additionalProperties": False,
        **shared,
    }


def _is_schema(part: Any) -> bool:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(part)
    except (SchemaError, RecursionError):
        return False
    return isinstance(part, dict)


def _parameter(name: str, part: Mapping[str, Any], root: Mapping[str, Any]) -> ToolParamDefinition:
    word, phrase = word_of(part, root), phrase_of(part, root)
    told = str(part.get("description") or "").strip()
    if phrase not in (word, "any value"):
        told = f"{told.rstrip('.')}. {phrase[0].upper()}{phrase[1:]}." if told else f"{phrase[0].upper()}{phrase[1:]}."
    return ToolParamDefinition(
        param_type=word,
        description=trimmed(told, _MAX_DESCRIPTION) or None,
        required=name in root["required"],
        default=part.get("default"),
    )


def _result(answer: CallToolResult) -> Result:
    """Texts are for the model, pictures for the page; of anything else the model is told that it is there."""
    texts: list[str] = []
    bundle: dict[str, str] = {}
    for block in answer.content:
        match block.type:
            case "text":
                texts.append(block.text)
            case "image" if block.mime_type in _PICTURES and _BASE64.fullmatch(block.data):
                bundle[block.mime_type] = block.data
                texts.append("[a picture, shown to the user]")
            case "resource_link":
                texts.append(f"[{block.name}: {block.uri}]")
            case "resource":
                text = getattr(block.resource, "text", None)
                texts.append(text if isinstance(text, str) else f"[{block.resource.uri}, which is no text]")
            case kind:
                texts.append(f"[{kind}, which cannot be shown]")
    if not texts and answer.structured_content is not None:
        texts.append(json.dumps(answer.structured_content, ensure_ascii=False))
    if not texts and answer.is_error:
        texts.append("The tool failed, and did not say why.")
    return bounded(Result("\n".join(texts), bundle, bool(answer.is_error)))
