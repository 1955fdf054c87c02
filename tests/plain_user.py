"""Runs tests as somebody whom the rights of files bind, where root runs them: in a thread without those privileges."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")

# capabilities(7): CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, as bits; the version of the structures of capget(2).
_ABOVE_RIGHTS = 1 << 1 | 1 << 2
_VERSION = 0x20080522


def bound_by_rights(test: Callable[P, None]) -> Callable[P, None]:
    """A test that root runs like anybody else, apart from processes that it starts."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            return test(*args, **kwargs)
        if sys.platform != "linux":
            pytest.skip("root may read and write everything")
        with ThreadPoolExecutor(1, initializer=_give_up) as thread:
            return thread.submit(test, *args, **kwargs).result()

    return run


def _give_up() -> None:
    """Take from this thread for good what lets root pass over the rights of files."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    # Effective, permitted and inheritable ones, the first 32 of each and then the others.
    held = (ctypes.c_uint32 * 6)()
    if libc.capget(header, held) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    for at in range(3):
        held[at] &= ~_ABOVE_RIGHTS
    if libc.capset(header, held) != 0:
        raise OSError(ctypes.get_errno(), "capset")
