"""A lock that serves threads in the order in which they came, and whose holder sees that others wait."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class FairLock:
    """A lock for one thread at a time, which may take it again while it has it.

    ``threading.RLock`` may give a lock back to the thread that has just released it, so that a long piece of work that
    is done in turns would keep all others waiting.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: deque[object] = deque()
        self._holder: int | None = None
        self._depth = 0

    @property
    def wanted(self) -> bool:
        """Whether a thread waits for the lock."""
        return bool(self._waiting)

    def __enter__(self) -> Self:
        me, place = threading.get_ident(), object()
        with self._condition:
            if self._holder != me:
                self._waiting.append(place)
                try:
                    self._condition.wait_for(lambda: self._holder is None and self._waiting[0] is place)
                    self._holder = me
                finally:
                    # Also where Ctrl-C ends the wait.
                    self._waiting.remove(place)
                    self._condition.notify_all()
            self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._condition:
            self._depth -= 1
            if not self._depth:
                self._holder = None
                self._condition.notify_all()
