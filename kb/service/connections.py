"""Limits on connections to the daemon: how many there may be, and how long a request may take to arrive."""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from kb.service.address import FILES_REMEDY

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

# Commands run eight at a time; the rest are waits for the index, and answers that a pager has not read to the end.
MOST: Final = 128
# kb's own clients send a request at once.
REQUEST_SECONDS: Final = 10.0
# A client that reads no byte of its answer for so long has stopped.
STALLED_SECONDS: Final = 30.0
_KEEP_ALIVE: Final = 2
_TOO_MANY_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})
_LATE: Final = (408, "the request did not come in time")
_FULL: Final = (503, "too many requests at once; try again in a moment")
_INVALID: Final = (400, "this is not valid HTTP")


class ConnectionLimits:
    """The limits that the connections of one daemon share.

    A connection whose request is not complete after some seconds is closed, whether idle or slow. Where there are too
    many, the oldest one without a complete request is closed for the new one, so idle connections do not lock out
    commands.

    Args:
        most: How many connections may be open.
        seconds: How long a request may take to arrive, with all of its body.
        stalled: How long a client may read nothing of an answer that waits for it.
        patient: The paths whose answers may be read as slowly as anyone likes: a pager may show them.
        keep_alive: How many seconds a connection stays open for another request.
        refusal: Returns the media type and the body of an answer with a status and a reason.
    """

    def __init__(
        self,
        most: int = MOST,
        seconds: float = REQUEST_SECONDS,
        *,
        stalled: float = STALLED_SECONDS,
        patient: frozenset[str] = frozenset(),
        keep_alive: int = _KEEP_ALIVE,
        refusal: Callable[[int, str], tuple[str, bytes]] = lambda _, reason: ("text/plain", reason.encode()),
    ) -> None:
        self.most = most
        self.seconds = seconds
        self.stalled = stalled
        self.patient = patient
        self.keep_alive = keep_alive
        self.refusal = refusal
        # Those whose request is not complete, the oldest first.
        self.incomplete: dict[Connection, asyncio.TimerHandle] = {}

    def connection(self, **given: Any) -> Connection:  # noqa: ANN401 - passed on as uvicorn gives it
        """Return a new connection; uvicorn calls this in place of its own class."""
        return Connection(self, **given)


class Connection(H11Protocol):
    """A connection with limits."""

    def __init__(self, limits: ConnectionLimits, **given: Any) -> None:  # noqa: ANN401 - passed on as uvicorn gives it
        super().__init__(**given)
        self._limits = limits
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as asyncio and uvicorn name it differently
        """Wait for a request, and close another connection if there are too many."""
        super().connection_made(transport)
        _send_at_once(transport.get_extra_info("socket"))
        if len(self.connections) > self._limits.most:
            oldest = next(iter(self._limits.incomplete), None)
            if oldest is None:
                self.refuse(*_FULL)
                return
            oldest.refuse(*_FULL)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Receive a part of a request."""
        if not self._answering():
            self._expect()
        try:
            super().data_received(data)
        except h11.ProtocolError:
            # Invalid HTTP during an answer: no error can be sent any more.
            self.transport.abort()
        if self._answering() and not self.cycle.more_body:
            self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._settle()
        self._flows()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads more slowly than the answer comes; close the connection if it stops reading."""
        super().pause_writing()
        if self._stalled is None and self.scope.get("path") not in self._limits.patient:
            self._stalled = self.loop.call_later(self._limits.stalled, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        self._flows()
        super().resume_writing()

    def _flows(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def refuse(self, status: int, reason: str) -> None:
        """Send the reason, where still possible, and close the connection."""
        self._settle()
        self.connections.discard(self)
        if self._answering():
            # Tells a command that waits for the rest of its request that there is none.
            self.transport.abort()
            return
        self._close_with(status, reason)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the answer has a reason of its own
        """Answer what is no HTTP; uvicorn calls this where it cannot read a request, or the rest of one."""
        self._settle()
        self.connections.discard(self)
        if self._answering() and self.cycle.response_started:
            self.transport.abort()
            return
        self._close_with(*_INVALID)

    def _close_with(self, status: int, reason: str) -> None:
        """Send an answer, and close the connection."""
        media_type, body = self._limits.refusal(status, reason)
        head = f"HTTP/1.1 {status} \r\nContent-Type: {media_type}\r\nConnection: close\r\n"
        if status == _FULL[0]:
            head += "Retry-After: 1\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()

    def _answering(self) -> bool:
        """Whether a request has begun whose answer has not ended."""
        # None before the first request, though uvicorn's types do not say so.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _expect(self) -> None:
        if self not in self._limits.incomplete:
            seconds = self._limits.seconds
            self._limits.incomplete[self] = self.loop.call_later(seconds, self.refuse, *_LATE)

    def _settle(self) -> None:
        if timer := self._limits.incomplete.pop(self, None):
            timer.cancel()


def _send_at_once(connected: Any) -> None:  # noqa: ANN401 - asyncio wraps the socket
    """Send each part of an answer when it is written, rather than 40 ms later, once the client acknowledged the last.

    asyncio does so itself only for sockets that were made with the number of the protocol, which listening ones of
    ``socket.create_server`` are not.
    """
    if connected is not None and connected.family in {socket.AF_INET, socket.AF_INET6}:
        # macOS refuses options of a connection that the client has closed.
        with suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def exception_handler(say: Callable[[str], None]) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return an exception handler for an event loop that reports each kind of error once, without a traceback."""
    before: set[str] = set()

    def handler(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _TOO_MANY_FILES:
            text = f"commands have to wait, since too many files are open: {FILES_REMEDY}"
        elif isinstance(error, ConnectionError):
            return
        else:
            text = f"a connection failed: {context.get('message')} ({type(error).__name__}: {error})"
        if text not in before:
            before.add(text)
            say(text)

    return handler


class ErrorForwarder(logging.Handler):
    """Forwards errors that the server logs, one message each.

    Args:
        say: Receives each message.
        thread: The name of the server's thread, where there are several servers; empty for all of them.
    """

    _NAME: Final = "uvicorn.error"

    def __init__(self, say: Callable[[str], None], thread: str = "") -> None:
        super().__init__(logging.ERROR)
        self._say = say
        self._thread = thread

    def install(self) -> None:
        """Install the handler; nothing is printed otherwise."""
        logger = logging.getLogger(self._NAME)
        logger.propagate = False
        logger.addHandler(self)

    def remove(self) -> None:
        """Remove the handler."""
        logging.getLogger(self._NAME).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one error."""
        if self._thread and record.threadName != self._thread:
            return
        error = record.exc_info[1] if record.exc_info else None
        what = f"{type(error).__name__}: {error}" if error else record.getMessage()
        self._say(f"a request could not be answered ({what})")
