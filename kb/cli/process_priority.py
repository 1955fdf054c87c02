"""Tunes the process of the daemon: priority of threads, garbage collection, memory arenas."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SWITCH: Final = 0.001
# The nice increment of the indexing thread, and the highest nice value.
_BACK, _LAST = 5, 19
# From malloc.h of glibc. Each further arena costs a daemon up to 64 MB that it never gives back.
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def prepare_process() -> None:
    """Set up the process of the daemon, before it starts its threads."""
    # A thread that runs Python code yields the interpreter lock this soon to one that answers.
    sys.setswitchinterval(_SWITCH)
    if sys.platform == "linux":
        # Other C libraries do not have this function.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def freeze_memory() -> None:
    """Exclude what is loaded now from garbage collection, which otherwise pauses for a tenth of a second at times."""
    gc.collect()
    gc.freeze()


def unfreeze_memory() -> None:
    """Include it in garbage collection again, before it is dropped."""
    gc.unfreeze()


def run_at_low_priority(run: Callable[[], None]) -> None:
    """Run a function at low priority, where threads have one: queries and other programs go first.

    Threads that the model starts for it inherit the priority.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, min(_LAST, os.getpriority(os.PRIO_PROCESS, thread) + _BACK))
    run()
