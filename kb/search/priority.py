"""Priority of queries over background work, which waits a moment while a query is being answered."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_LONGEST: Final = 0.2


class QueryPriority:
    """A context that each query enters while it is answered, from any number of threads.

    Args:
        clock: Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ahead_until = 0.0
        self._condition = threading.Condition()
        self._inside = 0

    def __enter__(self) -> Self:
        with self._condition:
            self._inside += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._condition:
            self._inside -= 1
            self._condition.notify_all()

    def wait(self) -> None:
        """Wait until no query is being answered, for at most 0.2 seconds.

        After each wait, background work runs for as long as it waited, so that it progresses under constant load.
        """
        with self._condition:
            began = self._clock()
            if self._inside and began >= self._ahead_until:
                self._condition.wait_for(lambda: not self._inside, _LONGEST)
                now = self._clock()
                self._ahead_until = now + (now - began)
