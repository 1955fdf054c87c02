"""How the process of an owner behaves: who goes first, what stops everything, how much memory is kept in reserve."""

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
# How much further back than everybody else the indexing thread stands, and the last place there is.
_BACK, _LAST = 5, 19
# From malloc.h of glibc. Each further arena costs an owner up to 64 MB that it never gives back.
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def prepare_process() -> None:
    """Set up the process of an owner, before it starts its threads."""
    # A thread that computes in Python hands over this soon to one that answers, which asks for it again and again.
    sys.setswitchinterval(_SWITCH)
    if sys.platform == "linux":
        # Another C library has no such function, or does nothing.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def settle_memory() -> None:
    """Leave what is loaded by now out of the search for garbage, which else takes a tenth of a second now and then."""
    gc.collect()
    gc.freeze()


def unsettle_memory() -> None:
    """Let what was left out be found again, before it is given up."""
    gc.unfreeze()


def gently(run: Callable[[], None]) -> None:
    """Run something behind everybody else, where a thread can have a priority: questions and people's work go first.

    The threads that the model starts for it take the priority over.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, min(_LAST, os.getpriority(os.PRIO_PROCESS, thread) + _BACK))
    run()
