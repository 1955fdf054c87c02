"""How many files wait to be indexed, counted between the questions of a process that asks more than once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.records import Missing

# For this long after it ended, a scan is taken as it is.
_FRESH_SECONDS: Final = 1.0
# A scan that takes no longer than this is made within the question, which hardly notices.
_QUICK_SECONDS: Final = 0.003
# Scans between questions take at most this share of the time, unless the result would become too old.
_SHARE: Final = 0.1
# The age at which it is replaced however long a scan takes.
_OLD_SECONDS: Final = 2.5
# An older result says too little of now: the question scans itself.
_KEPT_SECONDS: Final = 5.0
# A scan of a network drive may hang; whoever closes the store does not wait for it any longer.
_CLOSING_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """The result of one scan of the folders.

    Attributes:
        missing: What was not in the index.
        at: When the scan ended.
        ended: The same by a monotonic clock.
        seconds: How long it took.
        kept: Whether it was made before the question.
    """

    missing: Missing
    at: datetime
    ended: float
    seconds: float
    kept: bool


class PendingFiles:
    """What is not in the index, by a scan of the folders.

    The first question scans. A later one takes the last result, and where that is older than a second or two, has a
    thread scan the folders as soon as the question is answered. Where a scan takes no more than a few milliseconds, or
    the last one ended more than five seconds ago, the question scans itself.

    Args:
        scan: Scans the folders, and returns what is not in the index.
        stand_back: Waits while questions are being answered.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        scan: Callable[[], Missing],
        stand_back: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scan = scan
        self._stand_back = stand_back
        self._clock = clock
        self._lock = Lock()
        self._last: Look | None = None
        self._thread: Thread | None = None
        # Counts the resets: a scan that began before one of them says nothing any more.
        self._resets = 0

    def look(self) -> Look:
        """The last result where it will do, else a new one."""
        with self._lock:
            last, resets = self._last, self._resets
            age = 0.0 if last is None else self._clock() - last.ended
            if last is not None and age <= min(max(_FRESH_SECONDS, last.seconds / _SHARE), _OLD_SECONDS):
                return last
            if last is not None and age <= _KEPT_SECONDS and last.seconds > _QUICK_SECONDS:
                if self._thread is None:
                    self._thread = Thread(target=self._scan_later, args=[resets], name="kb-folders", daemon=True)
                    self._thread.start()
                return last
        return self._scan_now(resets)

    def reset(self) -> None:
        """Forget the last result, because the index or a file was changed here."""
        with self._lock:
            self._resets += 1
            self._last = None

    def close(self) -> None:
        """Forget the last result, and wait for a scan that is under way."""
        self.reset()
        thread = self._thread
        if thread is not None:
            thread.join(_CLOSING_SECONDS)

    def _scan_now(self, resets: int) -> Look:
        """Scan, and keep the result for later questions unless there was a reset meanwhile."""
        began = self._clock()
        missing = self._scan()
        ended = self._clock()
        made = Look(missing, datetime.now(UTC), ended, ended - began, kept=False)
        with self._lock:
            if resets == self._resets:
                self._last = Look(missing, made.at, ended, made.seconds, kept=True)
        return made

    def _scan_later(self, resets: int) -> None:
        try:
            self._stand_back()
            self._scan_now(resets)
        except Exception:  # noqa: BLE001 - the next question scans the folders itself, and reports the error
            self.reset()
        finally:
            with self._lock:
                self._thread = None
