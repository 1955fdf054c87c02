"""Exit codes of children, as POSIX and as Windows have them."""

from __future__ import annotations

import signal

import pytest

from kb.sandbox.endings import description, from_outside, out_of_memory, out_of_time

ACCESS_VIOLATION = 0xC0000005 - (1 << 32)


@pytest.mark.parametrize(
    ("code", "outside"),
    [(-signal.SIGKILL, True), (-signal.SIGTERM, True), (-signal.SIGSEGV, False), (-signal.SIGABRT, False), (3, False)],
)
def test_signals_from_outside(code: int, *, outside: bool) -> None:
    """A process causes the others by itself."""
    assert from_outside(code, windows=False) is outside


def test_on_windows_a_process_is_ended_with_the_code_1() -> None:
    """By the Task Manager; one that has not begun ends with it where an import fails."""
    assert from_outside(1, windows=True)
    assert not from_outside(1, starting=True, windows=True)
    assert not from_outside(ACCESS_VIOLATION, windows=True)
    assert not from_outside(1, windows=False)


def test_crashes_are_told() -> None:
    """Windows reports a status, signed or not."""
    assert description(ACCESS_VIOLATION, windows=True) == description(0xC0000005, windows=True) == "an access violation"
    assert description(9, windows=True) == "exit code 9"
    assert description(0xC0000999, windows=True) == "exit code 0xc0000999"
    assert description(-signal.SIGSEGV, windows=False) == "Segmentation fault"
    assert description(3, windows=False) == "exit code 3"


def test_limits_that_were_reached() -> None:
    """An allocation that fails, and the end of the processor time."""
    assert out_of_memory(0xC0000409, windows=True)
    assert out_of_memory(3, windows=True)
    assert not out_of_memory(3, windows=False)
    assert out_of_memory(-signal.SIGABRT, windows=False)
    assert out_of_time(1816, windows=True)
    assert not out_of_time(0, windows=True)
    assert not out_of_time(0, windows=False)
    assert out_of_time(-signal.SIGXCPU, windows=False)
