"""Starts kb as a client would, and asks it something: whether what was just configured works.

The server gets the environment that clients give to servers, little more than ``HOME`` and ``PATH``, and speaks
to the official client of the protocol.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kb.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp import Client as Connection

    from kb.agents.clients import Launch

# A daemon may have to be started, and a first index made.
_SECONDS: Final = 120.0
_INDEX_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.5
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_WINDOWS: Final = ("APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "TEMP", "USERNAME", "USERPROFILE", "PATH", "PATHEXT")
_LAST_LINES: Final = 3
_OTHERWISE: Final = "knowledge base"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from kb.

    Attributes:
        files: How many files are indexed.
        tools: The names of its tools.
        hits: How many passages ``search`` found.
        seconds: How long ``search`` took.
        indexing: Whether the first index is still being made, so that ``files`` grows.
    """

    files: int
    tools: tuple[str, ...]
    hits: int
    seconds: float
    indexing: bool = False


def bare_environment(home: str, environ: Mapping[str, str], windows: bool = os.name == "nt") -> dict[str, str]:
    """Return the environment that a client started from a desktop gives to its servers.

    Args:
        home: The home folder.
        environ: The environment of this process.
        windows: Whether to include what programs on Windows cannot do without.
    """
    if windows:
        return {name: environ[name] for name in _WINDOWS if name in environ}
    kept = {name: environ[name] for name in ("LOGNAME", "USER") if name in environ}
    return {"HOME": home, "PATH": _PATH, **kept}


def ask(launch: Launch, environ: Mapping[str, str], cwd: str) -> Reply:
    """Start kb, list its tools, and call ``status`` and ``search``.

    Args:
        launch: How the client starts it.
        environ: The environment that the client gives it, besides that of ``launch``.
        cwd: The folder in which it starts.

    Raises:
        ClientError: It did not start, or did not answer; the message ends with what it wrote last.
    """
    import asyncio
    import tempfile

    try:
        import mcp  # noqa: F401 - an extra, which may be absent
    except ImportError as error:
        raise ClientError("the MCP library is not installed", "Run pip install 'localkb[mcp]'") from error
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            return asyncio.run(_ask(launch, {**environ, **launch.environ}, cwd, log))
        except Exception as error:
            inner = _innermost(error)
            if isinstance(inner, ClientError):
                raise inner from error
            raise ClientError(f"kb did not answer ({_reason(inner)}){_last_lines(log)}") from error


async def _ask(launch: Launch, environ: Mapping[str, str], cwd: str, log: Any) -> Reply:  # noqa: ANN401 - a text file
    import asyncio

    from mcp import Client, StdioServerParameters, stdio_client

    program, *arguments = launch.command
    server = StdioServerParameters(command=program, args=arguments, env=dict(environ), cwd=cwd)
    async with asyncio.timeout(_SECONDS), Client(stdio_client(server, errlog=log)) as connection:
        tools = tuple(tool.name for tool in (await connection.list_tools()).tools)
        status = await _status(connection)
        question = await _question(connection, tools)
        begun = time.monotonic()
        answer = await _call(connection, "search", {"question": question})
        seconds = time.monotonic() - begun
        return Reply(status.get("files", 0), tools, len(answer.get("hits", ())), seconds, _is_indexing(status))


async def _status(connection: Connection) -> dict[str, Any]:
    """The status once a daemon that had to be started has indexed, or after a while."""
    import asyncio

    until = time.monotonic() + _INDEX_SECONDS
    while _is_indexing(status := await _call(connection, "status", {})) and time.monotonic() < until:  # noqa: ASYNC110 - the server is another process
        await asyncio.sleep(_POLL_SECONDS)
    return status


def _is_indexing(status: Mapping[str, Any]) -> bool:
    return bool(status.get("state", "ready") != "ready")


async def _question(connection: Connection, tools: tuple[str, ...]) -> str:
    """A question about the notes themselves: the title of a file, or its name."""
    listed = await _call(connection, "list", {"limit": 1}) if "list" in tools else {}
    files = listed.get("files", ())
    first = files[0] if files else {}
    return str(first.get("title") or os.path.splitext(os.path.basename(first.get("path", "")))[0] or _OTHERWISE)  # noqa: PTH119, PTH122 - a path of the index, as text


async def _call(connection: Connection, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await connection.call_tool(name, arguments)
    if result.is_error:
        texts = [block.text for block in result.content if block.type == "text"]
        raise ClientError(f"{name} failed: {' '.join(texts).strip().rstrip('.')}")
    return result.structured_content or {}


def _innermost(error: BaseException) -> BaseException:
    """The error that a group of tasks wraps."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came for {_SECONDS:.0f} seconds"
    return str(error) or type(error).__name__


def _last_lines(log: Any) -> str:  # noqa: ANN401 - a text file
    log.seek(0)
    lines = [line.strip() for line in log.read().splitlines() if line.strip()]
    return f": {' / '.join(lines[-_LAST_LINES:])}" if lines else ""
