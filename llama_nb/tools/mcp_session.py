"""A session with an MCP server: opened by who needs it first, kept, opened anew when the server went away, closed.

The official `mcp` package speaks the protocol. Everything here runs in llama_nb's loop; a task of its own opens and
closes each session, since what opened it has to close it. Knows the protocol's calls; makes no tools of them.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from llama_nb import loop
from llama_nb.errors import LlamaError
from llama_nb.tools.results import error_text, trimmed, without_folders
from llama_nb.tools.running import Progress

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult
    from mcp_types import Tool as MCPTool

CONNECT_S = 30.0
_GOODBYE_S = 5.0
_MAX_TOOLS = 1_000

# A server that prints what it should not would else fill the cell with complaints: Python shows those of a library
# that nobody listens to. Who has set up logging hears of them.
logging.getLogger("mcp").addHandler(logging.NullHandler())

_open: set[Connection] = set()  # that nobody has closed


class ServerGone(LlamaError, ConnectionError):
    """An MCP server that cannot be reached, or went away."""


class Connection:
    """The way to one server, over one session after the other. To be used in llama_nb's loop alone."""

    def __init__(self, name: str, transport: Callable[[TextIO], Any]) -> None:
        self.name = name
        self._transport = transport
        self._keeper: asyncio.Task[None] | None = None
        self._client: asyncio.Future[Client] | None = None
        self._closing = asyncio.Event()
        self._closed = False
        _open.add(self)

    async def tools(self) -> list[MCPTool]:
        client = await self._session()
        found: list[MCPTool] = []
        cursor = None
        try:
            async with asyncio.timeout(CONNECT_S):  # of all pages: there may be no last one, and none with a tool
                while len(found) < _MAX_TOOLS:
                    page = await client.list_tools(cursor=cursor)
                    found += page.tools
                    cursor = page.next_cursor
                    if cursor is None:
                        break
        except Exception as error:
            await self.close()
            raise ServerGone(f"The MCP server `{self.name}` does not list its tools: {error_text(error)}") from None
        return found[:_MAX_TOOLS]

    async def call(self, tool: str, arguments: dict[str, Any], tell: Progress) -> CallToolResult:
        """What the server answers.

        Raises:
            ServerGone: it went away, or was closed.
            MCPError: it refuses the call.
        """
        client = await self._session()
        session = self._client

        async def report(progress: float, total: float | None, message: str | None) -> None:
            tell(trimmed(message or (f"{progress:g} of {total:g}" if total else f"{progress:g}"), 200))

        try:
            return await client.call_tool(tool, arguments, progress_callback=report)
        except Exception as error:
            if not _is_broken(error):
                raise
            if self._client is session:  # and nobody has opened another meanwhile
                await self._end()
            raise ServerGone(
                f"The MCP server `{self.name}` went away during the call; the next call starts it anew."
            ) from None

    async def close(self) -> None:
        self._closed = True
        _open.discard(self)
        await self._end()

    async def _session(self) -> Client:
        if self._closed:
            raise ServerGone(f"The MCP server `{self.name}` was closed; open it again with `nb.tools.mcp(…)`.")
        if self._client is None:
            self._client = asyncio.get_running_loop().create_future()
            self._closing = asyncio.Event()
            self._keeper = asyncio.ensure_future(self._keep(self._client, self._closing))
        return await asyncio.shield(self._client)

    async def _end(self) -> None:
        keeper, self._keeper, self._client = self._keeper, None, None
        self._closing.set()
        if keeper is not None:
            await asyncio.wait({keeper})

    async def _keep(self, ready: asyncio.Future[Client], closing: asyncio.Event) -> None:
        """Opens a session, keeps it until it is to close, and closes it. What goes wrong at its start is told."""
        from mcp import Client

        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
            try:
                async with contextlib.AsyncExitStack() as stack:
                    client = Client(self._transport(log))
                    async with asyncio.timeout(CONNECT_S):  # not wait_for: what one task opens, it has to close
                        await stack.enter_async_context(client)
                    ready.set_result(client)
                    await closing.wait()
            except Exception as error:
                if not ready.done():
                    ready.set_exception(ServerGone(self._no_start(error, log)))
                    ready.exception()  # is looked at, also when nobody waits any more
                    if self._client is ready:
                        self._client = None

    def _no_start(self, error: BaseException, log: TextIO) -> str:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - 2_000))
        says = [line.strip() for line in log.read().splitlines() if line.strip()]
        last = f" Its last words: {without_folders(says[-1])[:300]}" if says else ""
        return f"The MCP server `{self.name}` could not be reached: {error_text(error)}.{last}"


def _is_broken(error: BaseException) -> bool:
    """Whether the session is of no more use, rather than the call."""
    import anyio
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED

    if isinstance(error, BaseExceptionGroup):
        return any(_is_broken(one) for one in error.exceptions)
    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED
    return isinstance(error, anyio.ClosedResourceError | anyio.BrokenResourceError | anyio.EndOfStream | OSError)


@atexit.register
def _close_all() -> None:
    """Python's end is not to find sessions half open."""
    for connection in list(_open):
        with contextlib.suppress(Exception):
            loop.submit(connection.close()).result(timeout=_GOODBYE_S)
