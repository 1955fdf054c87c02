"""How many files wait to be indexed, counted beside the questions of a process that asks more than once."""

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
FRESH_SECONDS: Final = 1.0
# A scan of a network drive may hang; whoever closes the store does not wait for it any longer.
_CLOSING_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """The result of one scan of the folders.

    Attributes:
        missing: What was not in the index.
        at: When the scan ended.
        shared: Whether it was made for an earlier question.
        ended: When it ended, by a monotonic clock.
    """

    missing: Missing
    at: datetime
    shared: bool
    ended: float


class PendingFiles:
    """Scans the folders for the first question, and for later ones in a thread beside them.

    A later question is answered with the last result. Where that is older than a second, a scan is started, so that the
    next question has a newer one.

    Args:
        scan: Scans the folders, and returns what is not in the index.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, scan: Callable[[], Missing], clock: Callable[[], float] = time.monotonic) -> None:
        self._scan = scan
        self._clock = clock
        self._lock = Lock()
        self._last: Look | None = None
        self._thread: Thread | None = None
        # Counts the resets, since which a scan must have begun to say anything.
        self._since = 0

    def look(self) -> Look:
        """The last result, or a new one where there is none yet."""
        with self._lock:
            last, since = self._last, self._since
            if last is not None and self._clock() - last.ended > FRESH_SECONDS and self._thread is None:
                self._thread = Thread(target=self._look_beside, args=[since], name="kb-folders", daemon=True)
                self._thread.start()
        if last is None:
            last = self._looked(since)
        return last

    def newer(self, than: datetime) -> Look | None:
        """The last result if it is newer than one that was shared before, else None."""
        last = self._last
        return last if last is not None and last.at > than else None

    def reset(self) -> None:
        """Forget the last result, because the index or a file was changed here."""
        with self._lock:
            self._since += 1
            self._last = None

    def close(self) -> None:
        """Forget the last result, and wait for a scan that is under way."""
        self.reset()
        thread = self._thread
        if thread is not None:
            thread.join(_CLOSING_SECONDS)

    def _looked(self, since: int) -> Look:
        """Scan, and keep the result for later questions unless there was a reset meanwhile."""
        missing = self._scan()
        at, ended = datetime.now(UTC), self._clock()
        with self._lock:
            if since == self._since:
                self._last = Look(missing, at, shared=True, ended=ended)
        return Look(missing, at, shared=False, ended=ended)

    def _look_beside(self, since: int) -> None:
        try:
            self._looked(since)
        except Exception:  # noqa: BLE001 - the next question scans the folders itself, and reports the error
            self.reset()
        finally:
            with self._lock:
                self._thread = None
