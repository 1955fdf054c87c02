"""Tells how long a run takes, without the time in which its process was suspended (Ctrl-Z) or the machine slept."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_SECONDS: Final = 0.25
# A process that was merely busy, or kept waiting by others, is back sooner, or has used the processor meanwhile.
_SUSPENDED_SECONDS: Final = 5.0
_BUSY: Final = 0.1


class Stopwatch:
    """Seconds since it was started. A thread of its own looks at the clock, so that a gap is noticed.

    Args:
        clock: Seconds that never go back.
        used: Seconds of processor time that this process has used.
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
        """Seconds since the start, without those in which the process was suspended."""
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
