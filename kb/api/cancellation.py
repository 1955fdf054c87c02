"""Cancelling a call from another thread: what it waits for is closed, and what it does is asked to stop."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket

_T = TypeVar("_T")


class CallCancelled(Exception):
    """The call was cancelled; nobody waits for its result."""


class Cancellation:
    """Cancels one call, which runs in another thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requested = False
        self._open: list[socket] = []

    def requested(self) -> bool:
        """Whether the call was cancelled."""
        return self._requested

    def cancel(self) -> None:
        """Cancel the call: its connections are shut down, so that whoever waits for them wakes up."""
        with self._lock:
            self._requested = True
            for one in self._open:
                hang_up(one)

    def run(self, call: Callable[[], _T]) -> _T:
        """Run the call in this thread, so that it can be cancelled."""
        token = _CURRENT.set(self)
        try:
            return call()
        finally:
            _CURRENT.reset(token)

    @contextmanager
    def closing(self, connected: socket) -> Iterator[None]:
        """A context in which cancelling the call shuts down a connection.

        Raises:
            CallCancelled: It was cancelled before or meanwhile.
        """
        with self._lock:
            if self._requested:
                raise CallCancelled
            self._open.append(connected)
        try:
            yield
        except Exception as error:
            if self._requested:
                raise CallCancelled from error
            raise
        finally:
            with self._lock:
                self._open.remove(connected)
        if self._requested:
            raise CallCancelled


_CURRENT: Final[ContextVar[Cancellation | None]] = ContextVar("kb_cancellation", default=None)


def current() -> Cancellation:
    """The cancellation of the call that this thread runs; one that nobody requests where there is none."""
    return _CURRENT.get() or Cancellation()


def hang_up(connected: socket) -> None:
    """Shut down a connection in both directions, which wakes up the thread that waits for it."""
    import socket

    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
