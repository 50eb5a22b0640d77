"""An MCP server as nobody should write one: it prints among its answers, fails without a word, and, without
`--one-tool`, its list of tools is empty and never ends."""

from __future__ import annotations

import json
import sys
from typing import Any

TOOL = {"name": "careless", "inputSchema": {"type": "object"}}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    match method:
        case "initialize":
            about = {"name": "careless", "version": "1"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": about}
        case "tools/list":
            return {"tools": [TOOL]} if "--one-tool" in sys.argv else {"tools": [], "nextCursor": "more"}
    return {"content": [], "isError": True}


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            print("answering", asked["method"])
            made = answer(asked["method"], asked.get("params", {}))
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": made}), flush=True)
