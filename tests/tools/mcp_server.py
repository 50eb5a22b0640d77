"""A real MCP server of the SDK, over stdio, with tools that work, fail, wait, draw and die."""

from __future__ import annotations

import base64
import os
import sys

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
server = MCPServer("weather")


@server.tool()
def add(a: int, b: int = 1) -> int:
    """Adds two numbers."""
    return a + b


@server.tool(name="get-weather.today")
def get_weather(city: str, units: list[str] | None = None) -> dict[str, str]:
    """The weather of today."""
    return {"city": city, "sky": "grey"}


@server.tool()
def fails(why: str) -> str:
    """Always fails."""
    raise ValueError(why)


@server.tool()
def dies() -> str:
    """Ends the server in the midst of a call."""
    os._exit(3)


@server.tool()
def draws() -> list[str | Image]:
    """A picture."""
    return ["look:", Image(data=PIXEL, format="png")]


@server.tool()
async def waits(context: Context) -> str:
    """Reports once, and never ends."""
    await context.report_progress(1, 2, "half of it")
    await anyio.sleep(3600)
    return "never"


@server.tool()
def brave_search(words: str) -> str:
    """Not Llama's."""
    return words


@server.tool()
def token(context: Context) -> str:
    """What the client brought to be let in."""
    headers = context.headers or {}
    return headers.get("authorization", "nothing")


@server.tool()
def process() -> int:
    """The server's process."""
    return os.getpid()


@server.tool()
def environment() -> str:
    return " ".join(sorted(os.environ))


if __name__ == "__main__":
    if "--broken" in sys.argv:
        sys.exit("no licence found")
    if "--http" in sys.argv:
        server.run("streamable-http", port=int(sys.argv[-1]))
    server.run("stdio")
