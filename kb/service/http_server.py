"""An HTTP server in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final, Literal

from kb.service.connections import ErrorForwarder, exception_handler

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from kb.service.connections import ConnectionLimits

_STARTING_SECONDS: Final = 10.0
_ENDING_SECONDS: Final = 5


class HttpServer:
    """Serves an ASGI application on a listening socket.

    Args:
        app: The application.
        listening: The socket, bound and listening; it is closed at the end.
        limits: The limits on connections.
        say: Receives a message about each error that no client waits for.
        name: The name of the thread.
        lifespan: Whether the application is told of the start and the end.
    """

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        limits: ConnectionLimits,
        say: Callable[[str], None],
        *,
        name: str,
        lifespan: Literal["on", "off"] = "off",
    ) -> None:
        import uvicorn

        self._listening = listening
        self._say = say
        self._errors = ErrorForwarder(say, name)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=limits.connection,  # type: ignore[arg-type]  # it is only ever called, to make a connection
                ws="none",
                lifespan=lifespan,
                interface="asgi3",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=limits.keep_alive,
                timeout_graceful_shutdown=_ENDING_SECONDS,
            )
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name=name, daemon=True)

    def start(self) -> None:
        """Start answering, including connections made before."""
        self._errors.install()
        self._thread.start()

    def close(self) -> None:
        """Stop answering; requests at work are given a few seconds."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(_ENDING_SECONDS + _STARTING_SECONDS)
        self._listening.close()
        self._errors.remove()

    async def _serve(self) -> None:
        asyncio.get_running_loop().set_exception_handler(exception_handler(self._say))
        await self._server.serve(sockets=[self._listening])
