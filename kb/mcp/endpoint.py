"""The endpoint ``/mcp``: an ASGI application that imports the SDK with its first request."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.types import Receive, Scope, Send

    from kb.mcp.sources import KnowledgeSource


class McpEndpoint:
    """Answers agents over Streamable HTTP. Tokens and headers are checked by the server that has it."""

    def __init__(self, source: KnowledgeSource) -> None:
        self._source = source
        self._sessions: StreamableHTTPSessionManager | None = None
        self._lock: asyncio.Lock
        self._stop: asyncio.Event
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """The context in which requests can be answered; its end ends all sessions."""
        self._lock, self._stop = asyncio.Lock(), asyncio.Event()
        try:
            yield
        finally:
            self._stop.set()
            if self._task is not None:
                await self._task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        sessions = await self._running()
        await sessions.handle_request(scope, receive, send)

    async def _running(self) -> StreamableHTTPSessionManager:
        async with self._lock:
            if self._sessions is None:
                make = await asyncio.to_thread(_import_sessions)
                sessions, ready = make(self._source), asyncio.Event()
                self._task = asyncio.create_task(self._hold(sessions, ready), name="kb-mcp")
                await ready.wait()
                self._sessions = sessions
        return self._sessions

    async def _hold(self, sessions: StreamableHTTPSessionManager, ready: asyncio.Event) -> None:
        """Hold the sessions open: the SDK wants them begun and ended by one task."""
        async with sessions.run():
            ready.set()
            await self._stop.wait()


def _import_sessions() -> Callable[[KnowledgeSource], StreamableHTTPSessionManager]:
    from kb.mcp.server import http_sessions

    return http_sessions
