"""A small MCP server of the tools that the check calls, for tests of the check."""

from __future__ import annotations

import os

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("kb")
asked: list[str] = []


@server.tool()
def status() -> dict[str, object]:
    """Its state: indexing when it is asked for the first time."""
    asked.append("status")
    return {"state": "indexing" if len(asked) == 1 else "ready", "files": len(asked) + 1_202}


@server.tool(name="list")
def list_files(limit: int) -> dict[str, object]:
    """One file with a title."""
    return {"files": [{"path": "a.md", "title": "Garden"}][:limit]}


@server.tool()
def search(question: str) -> dict[str, object]:
    """A hit if the title is asked for, in the environment that is expected."""
    if os.environ.get("KB_MODELS") == "/broken":
        raise ToolError("the store is damaged. Run kb rebuild.")
    fits = question == "Garden" and os.environ.get("KB_MODELS") == "/models"
    return {"hits": [{"path": "a.md"}] if fits and os.environ.get("KB_CONFIG") is None else []}


if __name__ == "__main__":
    server.run("stdio")
