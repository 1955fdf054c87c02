"""Lets questions go first: whoever works in the background waits, for a moment, while one is being answered."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_LONGEST: Final = 0.2


class Courtesy:
    """Entered by each question for as long as it is answered, from any number of threads.

    Args:
        clock: Seconds that never go back.
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
        """Return once no question is being answered, but soon in any case.

        The work has to go on where questions never end: after each wait it goes ahead for as long as it waited.
        """
        with self._condition:
            began = self._clock()
            if self._inside and began >= self._ahead_until:
                self._condition.wait_for(lambda: not self._inside, _LONGEST)
                now = self._clock()
                self._ahead_until = now + (now - began)
