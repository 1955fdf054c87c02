"""How long the machine has slept."""

from __future__ import annotations

import sys
import time


def seconds_asleep() -> float | None:
    """The seconds of sleep since the system was started, plus a constant; None where no two clocks tell it.

    On macOS the monotonic clock stands still in sleep, so that the time of day gets ahead of it.
    """
    if sys.platform == "win32":
        from kb.system.win32 import seconds_awake

        return time.monotonic() - seconds_awake()
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return None if boot is None else time.clock_gettime(boot) - time.monotonic()
