"""HTTP/1.1 to the daemon over its Unix socket or its local port, with connections that are kept for the next request.

Each request has a connection of its own while it lasts. A daemon that does not answer is asked for its state over
another connection: one that is busy answers that, one that is suspended does not.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final, Self

from kb.api.cancellation import current, hang_up
from kb.errors import StoreBusy
from kb.service.client import connect
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPResponse

    from kb.service.client import DaemonConnection

_ANSWER_SECONDS: Final = 30.0
_STATE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.25
_KEPT: Final = 8
_OK: Final = 200


class NoDaemon(Exception):
    """No daemon listens at the store's addresses, or the one that does is stopping: nothing was done."""


class ConnectionLost(Exception):
    """The daemon closed the connection before its response was complete: it may have done what it was asked."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response of the daemon.

    Attributes:
        status: The HTTP status.
        configuration: The digest of the daemon's configuration; empty where an older daemon sends none.
        media_type: The media type of the content.
        content: The content.
    """

    status: int
    configuration: str
    media_type: str
    content: bytes

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.status == _OK


class Transport:
    """Connections to the daemon of one store; for any number of threads.

    Args:
        store: The real path of the store.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._lock = Lock()
        self._idle: list[_Connection] = []
        self._process = os.getpid()

    def reachable(self) -> bool:
        """Whether a daemon listens; the connection that shows it is kept for the next request."""
        try:
            self._keep(self._take())
        except NoDaemon:
            return False
        return True

    def request(self, method: str, path: str, body: bytes | None = None, *, repeatable: bool = True) -> Response:
        """Send a request and return the response.

        Args:
            method: The HTTP method.
            path: The path and query of the address.
            body: The content; None for none.
            repeatable: Whether it may be sent again over a new connection, where one that was kept turns out closed.

        Raises:
            NoDaemon: Nobody listens; nothing was sent.
            ConnectionLost: The daemon ended before the response did.
            StoreBusy: The daemon does not answer, as when it is suspended.
        """
        connection = self._take(fresh=not repeatable)
        try:
            return self._exchange(connection, method, path, body)
        except ConnectionLost:
            if not (repeatable and connection.used):
                raise
        return self._exchange(self._take(fresh=True), method, path, body)

    @contextmanager
    def lines(
        self, path: str, body: bytes, should_stop: Callable[[], bool]
    ) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """Send a POST request, and give the head of the response and the lines of its content as they arrive.

        The connection is closed at the end, which tells the daemon to stop where it has not finished, and as soon as
        ``should_stop`` returns True.

        Raises:
            NoDaemon: Nobody listens; nothing was sent.
            ConnectionLost: The daemon ended before the response did, or ``should_stop`` returned True.
            StoreBusy: The daemon does not answer, as when it is suspended.
        """
        connection = self._take(fresh=True)
        with connection, current().closing(connection.socket), _watched(connection.socket, should_stop):
            answered = self._answered(connection, "POST", path, body)
            # Between two lines any time may pass.
            connection.socket.settimeout(None)
            if answered.status == _OK:
                yield _head(answered), _lines_of(answered)
            else:
                yield _head(answered, _content(answered)), iter(())

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, connection: _Connection, method: str, path: str, body: bytes | None) -> Response:
        try:
            with current().closing(connection.socket):
                answered = self._answered(connection, method, path, body)
                response = _head(answered, _content(answered))
        except BaseException:
            connection.close()
            raise
        if answered.will_close:
            connection.close()
        else:
            self._keep(connection)
        return response

    def _answered(self, connection: _Connection, method: str, path: str, body: bytes | None) -> HTTPResponse:
        """Send a request, and return the response as soon as it begins."""
        try:
            connection.send_request(method, path, body)
            while not connection.answers(_ANSWER_SECONDS):
                self._require_state(connection.daemon)
            return connection.http.getresponse()
        except (HTTPException, OSError) as error:
            raise ConnectionLost from error

    def _require_state(self, silent: DaemonConnection) -> None:
        """Check that the daemon answers other requests, so that it is only busy with this one.

        Raises:
            StoreBusy: It does not.
            ConnectionLost: It has ended.
        """
        found = connect(self._store, os.environ)
        if found is None:
            raise ConnectionLost
        with _Connection(found) as connection:
            connection.send_request("GET", "/status", None)
            if connection.answers(_STATE_SECONDS):
                return
        who = f"process {silent.pid}" if silent.pid else "the daemon"
        raise StoreBusy(
            f"{who} holds the store at {self._store} but does not answer",
            f"It is suspended or stuck: {shell.resume_or_end(silent.pid or 'its process id')}",
        )

    def _take(self, *, fresh: bool = False) -> _Connection:
        """A connection for one request; a new one where none is kept, or ``fresh`` asks for one.

        Raises:
            NoDaemon: Nobody listens.
        """
        while not fresh and (kept := self._kept()) is not None:
            if kept.is_open():
                return kept
            kept.close()
        found = connect(self._store, os.environ)
        if found is None:
            raise NoDaemon
        return _Connection(found)

    def _kept(self) -> _Connection | None:
        with self._lock:
            if self._process != os.getpid():
                # After a fork the connections are the parent's, and what arrives on them is for it.
                self._process, self._idle = os.getpid(), []
            return self._idle.pop() if self._idle else None

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            if len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()


class _Connection:
    """One connection to a daemon.

    Args:
        daemon: The open connection.

    Attributes:
        daemon: The same.
        http: The HTTP on it.
        used: Whether it had a request before the present one.
    """

    def __init__(self, daemon: DaemonConnection) -> None:
        self.daemon = daemon
        self.http = HTTPConnection("localhost")
        self.http.sock = daemon.socket
        # It has another address than an HTTP connection could find by itself.
        self.http.auto_open = 0
        self.used = False
        self._requests = 0
        if daemon.socket.family == socket.AF_INET:
            daemon.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def socket(self) -> socket.socket:
        """The socket."""
        return self.daemon.socket

    def send_request(self, method: str, path: str, body: bytes | None) -> None:
        """Send a request.

        Raises:
            OSError: The connection is closed.
        """
        headers = {"Host": self.daemon.host}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.daemon.secret:
            headers["Authorization"] = f"Bearer {self.daemon.secret}"
        self.used = self._requests > 0
        self._requests += 1
        self.socket.settimeout(_ANSWER_SECONDS)
        self.http.request(method, path, body, headers)

    def answers(self, seconds: float) -> bool:
        """Whether a response begins, or the connection is closed, within some seconds."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(_ANSWER_SECONDS)
        return True

    def is_open(self) -> bool:
        """Whether the daemon has not closed it while it was idle."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close it."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _head(answered: HTTPResponse, content: bytes = b"") -> Response:
    headers = answered.headers
    return Response(answered.status, headers.get("kb-configuration", ""), headers.get_content_type(), content)


def _content(answered: HTTPResponse) -> bytes:
    """Read the rest of a response.

    Raises:
        ConnectionLost: It is not complete.
    """
    try:
        return answered.read()
    except (HTTPException, OSError) as error:
        raise ConnectionLost from error


def _lines_of(answered: HTTPResponse) -> Iterator[bytes]:
    """Yield the lines of a response as they arrive.

    Raises:
        ConnectionLost: It is not complete.
    """
    try:
        while line := answered.readline():
            yield line
    except (HTTPException, OSError) as error:
        raise ConnectionLost from error


@contextmanager
def _watched(connected: socket.socket, should_stop: Callable[[], bool]) -> Iterator[None]:
    """A context in which a thread hangs up as soon as ``should_stop`` returns True."""
    ended = Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            if should_stop():
                hang_up(connected)
                return

    thread = Thread(target=watch, name="kb-should-stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
