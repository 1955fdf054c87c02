"""The pipes to a child process, read and written with a deadline.

POSIX says when a pipe is ready. Windows does not, so that threads wait there, one for each direction.
"""

from __future__ import annotations

import os
import queue
import select
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Final, Protocol

from kb.system import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE: Final = 1 << 20
_LOOK_SECONDS: Final = 0.5


class PipeClosed(Exception):
    """The process at the other end has closed its side, most likely by ending."""


class DeadlinePassed(Exception):
    """The deadline passed before all was sent or received."""


class Pipes(Protocol):
    """A pipe to a process, and one from it."""

    def send(self, parts: Sequence[bytes], deadline: float) -> None:
        """Send bytes.

        Args:
            parts: The bytes.
            deadline: When to give up, on the monotonic clock.

        Raises:
            PipeClosed: The process reads no more.
            DeadlinePassed: It did not read all of it in time.
        """

    def receive(self, size: int, deadline: float) -> bytes:
        """Receive so many bytes.

        Raises:
            PipeClosed: The process writes no more.
            DeadlinePassed: It did not write all of it in time.
        """

    def hang_up(self) -> None:
        """Tell the process that nothing more is sent; it is ended if it does not end then. Nothing follows."""


def pipes(to_child: IO[bytes], from_child: IO[bytes]) -> Pipes:
    """Return the pipes over these streams, which have no buffers and are closed by whoever opened them."""
    return ThreadedPipes(to_child, from_child) if WINDOWS else PolledPipes(to_child, from_child)


class PolledPipes:
    """Pipes of POSIX, which do not block.

    Args:
        to_child: The pipe to write to.
        from_child: The pipe to read from.
    """

    def __init__(self, to_child: IO[bytes], from_child: IO[bytes]) -> None:
        self._to_child = to_child
        self._in, self._out = to_child.fileno(), from_child.fileno()
        if sys.platform != "win32":
            os.set_blocking(self._in, False)
            os.set_blocking(self._out, False)

    def send(self, parts: Sequence[bytes], deadline: float) -> None:
        """Send bytes; see ``Pipes``."""
        for part in parts:
            view = memoryview(part)
            while view:
                _wait(self._in, deadline, writes=True)
                try:
                    view = view[os.write(self._in, view[:_PIECE]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError as error:
                    raise PipeClosed from error

    def receive(self, size: int, deadline: float) -> bytes:
        """Receive bytes; see ``Pipes``."""
        parts = bytearray()
        while len(parts) < size:
            _wait(self._out, deadline, writes=False)
            part = os.read(self._out, min(size - len(parts), _PIECE))
            if not part:
                raise PipeClosed
            parts += part
        return bytes(parts)

    def hang_up(self) -> None:
        """Close the pipe to the process; see ``Pipes``."""
        self._to_child.close()


def _wait(descriptor: int, deadline: float, *, writes: bool) -> None:
    """Wait until a pipe is ready.

    Raises:
        DeadlinePassed: It is not in time.
    """
    if sys.platform == "win32":
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writes else select.POLLIN)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise DeadlinePassed


class ThreadedPipes:
    """Pipes whose reads and writes block, each in a thread of its own that ends with the process at the other end.

    Args:
        to_child: The pipe to write to.
        from_child: The pipe to read from.
    """

    def __init__(self, to_child: IO[bytes], from_child: IO[bytes]) -> None:
        # One piece ahead: the process is not to fill the memory of this one.
        self._received: queue.Queue[bytes] = queue.Queue(maxsize=1)
        self._left = b""
        self._closed = False
        self._to_send: queue.SimpleQueue[Sequence[bytes] | None] = queue.SimpleQueue()
        self._sent: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._hung_up = threading.Event()
        for work, pipe in ((self._write, to_child), (self._read, from_child)):
            threading.Thread(target=work, args=[pipe.fileno()], name="kb-pipe", daemon=True).start()

    def send(self, parts: Sequence[bytes], deadline: float) -> None:
        """Send bytes; see ``Pipes``."""
        self._to_send.put(parts)
        try:
            done = self._sent.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty as error:
            raise DeadlinePassed from error
        if not done:
            raise PipeClosed

    def receive(self, size: int, deadline: float) -> bytes:
        """Receive bytes; see ``Pipes``."""
        parts = bytearray(self._left)
        while len(parts) < size:
            if self._closed:
                raise PipeClosed
            try:
                part = self._received.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty as error:
                raise DeadlinePassed from error
            self._closed = not part
            parts += part
        self._left = bytes(parts[size:])
        return bytes(parts[:size])

    def hang_up(self) -> None:
        """Have the threads end with the process; see ``Pipes``.

        The pipe is left open: a thread may wait for it, and closing it would wait with that thread.
        """
        self._hung_up.set()
        self._to_send.put(None)

    def _write(self, descriptor: int) -> None:
        going = True
        while going and (parts := self._to_send.get()) is not None:
            try:
                for part in parts:
                    view = memoryview(part)
                    while view:
                        view = view[os.write(descriptor, view[:_PIECE]) :]
            except OSError:
                going = False
            self._sent.put(going)

    def _read(self, descriptor: int) -> None:
        going = True
        while going:
            try:
                part = os.read(descriptor, _PIECE)
            except OSError:
                part = b""
            going = bool(part)
            while not self._hung_up.is_set():
                try:
                    self._received.put(part, timeout=_LOOK_SECONDS)
                except queue.Full:
                    continue
                break
