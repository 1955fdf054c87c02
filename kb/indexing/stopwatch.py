"""Measures time without suspension (Ctrl-Z) and sleep."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_SECONDS: Final = 0.25
# A process that was only busy or waiting is back sooner, or has used CPU time in the meantime.
_SUSPENDED_SECONDS: Final = 5.0
_BUSY: Final = 0.1


class Stopwatch:
    """Measures seconds, without those in which the process was suspended. A thread watches the clock for gaps.

    Args:
        clock: A monotonic clock, in seconds.
        used: The CPU time of this process, in seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, used: Callable[[], float] = time.process_time
    ) -> None:
        self._clock = clock
        self._used = used
        self._started = self._looked = clock()
        self._used_then = used()
        self._suspended = 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kb-stopwatch", daemon=True)

    def seconds(self) -> float:
        """Seconds since the start, without suspended time."""
        with self._lock:
            now, used = self._clock(), self._used()
            gap = now - self._looked
            if gap > _SUSPENDED_SECONDS and used - self._used_then < _BUSY * gap:
                self._suspended += gap
            self._looked, self._used_then = now, used
            return now - self._started - self._suspended

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self.seconds()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
