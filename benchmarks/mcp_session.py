"""A client of ``kb mcp`` over its standard input and output, which costs next to nothing itself."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_REVISION: Final = "2025-06-18"
_PATIENCE: Final = 120.0


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool.

    Attributes:
        text: What a language model reads.
        structured: What a program reads.
        failed: Whether it says that the call failed.
    """

    text: str
    structured: dict[str, Any]
    failed: bool

    @property
    def whole(self) -> str:
        """Both, as a client passes them on that hides neither from its model."""
        return f"{self.text}\n{compact(self.structured)}"


class McpSession:
    """A session with a server that runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0

    def initialize(self) -> None:
        """Shake hands, as clients of the revisions before 2026 do."""
        client = {"name": "benchmark", "version": "1"}
        self.request("initialize", {"protocolVersion": _REVISION, "capabilities": {}, "clientInfo": client})
        self._send({"method": "notifications/initialized"})

    def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its result.

        Raises:
            RuntimeError: The server refused it, ended, or does not answer.
        """
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params or {}})
        timer = threading.Timer(_PATIENCE, self._process.kill)
        timer.start()
        try:
            return self._result(method)
        finally:
            timer.cancel()

    def call(self, tool: str, **arguments: object) -> ToolResult:
        """Call a tool."""
        found = self.request("tools/call", {"name": tool, "arguments": arguments})
        text = "\n".join(part["text"] for part in found["content"] if part["type"] == "text")
        return ToolResult(text, found.get("structuredContent") or {}, bool(found.get("isError")))

    def _send(self, message: dict[str, Any]) -> None:
        stream = self._process.stdin
        assert stream is not None  # noqa: S101 - it was asked for
        stream.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        stream.flush()

    def _result(self, method: str) -> dict[str, Any]:
        for line in self._process.stdout or ():
            message = json.loads(line)
            if message.get("id") != self._number or "method" in message:
                continue
            if "error" in message:
                raise RuntimeError(f"kb mcp refused {method}: {message['error']}")
            result: dict[str, Any] = message["result"]
            return result
        raise RuntimeError(f"kb mcp ended before it answered {method}")


@contextmanager
def mcp_session(command: Sequence[str], log: int = subprocess.DEVNULL) -> Iterator[McpSession]:
    """Start a server, and end it on exit.

    Args:
        command: Its command line.
        log: Where its standard error goes.
    """
    process = subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
    )
    try:
        yield McpSession(process)
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def compact(value: object) -> str:
    """A value as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
