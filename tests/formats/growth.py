"""Whether what reads a text takes time in proportion to its length, and not to the square of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Made = TypeVar("Made")

# The large text is so many times the small one: reading it takes some 16 times as long, or 256 times.
TIMES: Final = 16
MOST: Final = 40
# What takes less cannot be compared.
_LEAST: Final = 0.001


def is_linear(read: Callable[[Made], object], make: Callable[[int], Made], size: int) -> bool:
    """Compare the processor time for a text of a size with that for a small one.

    What else runs on the machine may make either of them take longer, so the least of several times counts.
    """
    small, large = make(size // TIMES), make(size)
    usual = max(min(_seconds(read, small) for _ in range(3)), _LEAST)
    return any(_seconds(read, large) < MOST * usual for _ in range(3))


def _seconds(read: Callable[[Made], object], made: Made) -> float:
    begun = time.thread_time()
    read(made)
    return time.thread_time() - begun
