"""Tools: from a Python function, a built-in or an MCP server to a call that is approved, run and answered."""
