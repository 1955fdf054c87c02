"""Keeps commands out of an owner while what they use is replaced."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Gate:
    """Lets any number of commands in at once, and none while what they use is replaced."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Be inside, once the gate is open."""
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
    def alone(self, patience: float) -> Iterator[bool]:
        """Be alone inside; yields False, and changes nothing, where somebody stayed inside for too long."""
        with self._condition:
            self._closed = True
            alone = self._condition.wait_for(lambda: not self._inside, patience)
            self._closed = alone
            self._condition.notify_all()
        try:
            yield alone
        finally:
            with self._condition:
                self._closed = False
                self._condition.notify_all()
