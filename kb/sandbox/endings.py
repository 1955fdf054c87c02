"""What the exit code of a child process means for the file that it was reading."""

from __future__ import annotations

import signal
from typing import Final

from kb.system import WINDOWS

# Signals that a process causes itself. All others come from outside: the out-of-memory killer, a user, a shutdown.
_OWN_SIGNALS: Final = frozenset(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS", "SIGXCPU", "SIGXFSZ")
    if hasattr(signal, name)
)
# Status codes of Windows by which it ends a process that crashed.
_CRASHES: Final = {
    0xC0000005: "an access violation",
    0xC0000006: "a page that cannot be read",
    0xC000001D: "an illegal instruction",
    0xC0000094: "a division by zero",
    0xC00000FD: "a stack overflow",
    0xC0000374: "a damaged heap",
}
# abort() of the C library, and what Rust and C++ end with where an allocation fails.
_ABORTED: Final = frozenset({3, 0xC0000409, 0xC0000017})
# A process that reached the time limit of its job.
_OUT_OF_TIME: Final = frozenset({1816, 0xC0000044})
_BY_TASK_MANAGER: Final = 1


def from_outside(code: int, *, starting: bool = False, windows: bool = WINDOWS) -> bool:
    """Whether a child was ended from outside, so that the file it was reading is not to blame.

    Args:
        code: Its exit code.
        starting: Whether it was not yet ready for a file. On Windows, it then ended by itself more likely.
        windows: Whether this is Windows.
    """
    if windows:
        return code == _BY_TASK_MANAGER and not starting
    return code < 0 and -code not in _OWN_SIGNALS


def out_of_memory(code: int, *, windows: bool = WINDOWS) -> bool:
    """Whether a child gave up, most likely since an allocation failed: Rust and C++ abort then."""
    return _unsigned(code) in _ABORTED if windows else code == -signal.SIGABRT


def out_of_time(code: int, *, windows: bool = WINDOWS) -> bool:
    """Whether a child was ended at the limit of its processor time."""
    return _unsigned(code) in _OUT_OF_TIME if windows else code == -getattr(signal, "SIGXCPU", 0) != 0


def description(code: int, *, windows: bool = WINDOWS) -> str:
    """Describe how a child ended."""
    if windows:
        return _CRASHES.get(_unsigned(code)) or f"exit code {code if 0 <= code < 1 << 16 else hex(_unsigned(code))}"
    return signal.strsignal(-code) or f"signal {-code}" if code < 0 else f"exit code {code}"


def _unsigned(code: int) -> int:
    return code & 0xFFFFFFFF
