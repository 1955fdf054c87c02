"""A lock for many readers or one writer, with a writer that gives up after a while."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class ReadWriteLock:
    """Held by any number of readers at once, or by one writer.

    Commands read; the daemon writes when it replaces what they use.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock for reading; waits while a writer holds it or waits for it."""
        with self._condition:
            self._condition.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextmanager
    def writing(self, timeout: float) -> Iterator[bool]:
        """Hold the lock for writing; yields False, without holding it, if readers did not leave in time.

        Args:
            timeout: How long to wait for them, in seconds.
        """
        with self._condition:
            self._closed = True
            alone = self._condition.wait_for(lambda: not self._inside, timeout)
            self._closed = alone
            self._condition.notify_all()
        try:
            yield alone
        finally:
            with self._condition:
                self._closed = False
                self._condition.notify_all()
