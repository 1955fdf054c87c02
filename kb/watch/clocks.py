"""Notices that time jumped: the machine slept, or its clock was set. Whatever happened meanwhile is unknown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_JUMP_SECONDS: Final = 5.0


def offsets() -> tuple[float, ...]:
    """How far the other clocks are ahead of the monotonic one: constant, but for sleep and for a clock that is set."""
    now = time.monotonic()
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.time() - now,) if boot is None else (time.time() - now, time.clock_gettime(boot) - now)


class Jumps:
    """Compares the clocks from time to time.

    Args:
        read: Gives the offsets of the clocks, always in the same order.
    """

    def __init__(self, read: Callable[[], tuple[float, ...]] = offsets) -> None:
        self._read = read
        self._last = read()

    def happened(self) -> bool:
        """Whether a clock jumped since the last question, forwards or back."""
        last, self._last = self._last, self._read()
        return any(abs(now - then) > _JUMP_SECONDS for then, now in zip(last, self._last, strict=True))
