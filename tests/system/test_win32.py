"""The calls of Windows, against an imitation that looks at sizes and widths as Windows does."""

from __future__ import annotations

import ctypes
import os

import pytest
from pretend_windows import Kernel

from kb.system import win32


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """The imitation in place of kernel32."""
    made = Kernel()
    monkeypatch.setattr(win32, "_kernel", lambda: made)
    monkeypatch.setattr(Kernel, "jobs", [])
    return made


def test_structures_have_the_sizes_of_64_bit_windows() -> None:
    """As its compilers lay them out."""
    sizes = [ctypes.sizeof(one) for one in (win32.MemoryStatus, win32.MemoryCounters, win32.BasicLimits)]

    assert [*sizes, ctypes.sizeof(win32.ExtendedLimits)] == [64, 72, 64, 144]
    assert win32.ExtendedLimits.process_memory.offset == 112


def test_a_job_limits_memory_time_and_processes() -> None:
    """And takes the desktop away; its limits are set before the process is in it."""
    win32.limit_this_process(memory=500_000_000, cpu=7, processes=1)

    (kind, limits), (surface, mask) = Kernel.jobs
    assert (kind, surface, mask.value) == (9, 4, 0xFF)
    assert limits.process_memory == 500_000_000
    assert limits.basic.process_time == 70_000_000
    assert limits.basic.active_processes == 1
    assert limits.basic.flags == 0x2 | 0x8 | 0x100 | 0x400


def test_a_limit_that_windows_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> None:
    """A parser must not run with less than is reported."""
    monkeypatch.setattr(kernel, "AssignProcessToJobObject", lambda *_: 0)

    with pytest.raises(OSError):  # noqa: PT011 - of whatever kind Windows says
        win32.limit_this_process(memory=1, cpu=1, processes=1)


def test_processes_are_alive_until_they_end() -> None:
    """A handle is closed again, and none is had of a process that is gone."""
    assert win32.is_process_alive(os.getpid())
    assert not win32.is_process_alive(2**22 + 1)


def test_figures_of_the_system_and_of_processes() -> None:
    """In bytes and seconds; handles and windows may be wider than 32 bits."""
    assert win32.available_memory() == 4 << 30
    assert win32.resident_memory() == win32.resident_memory(os.getpid()) == 50 << 20
    assert win32.cpu_seconds(os.getpid()) == 3.0
    assert win32.console_window() == (1 << 40) + 7
    assert win32.seconds_awake() > 0
    with pytest.raises(OSError):  # noqa: PT011 - of whatever kind Windows says
        win32.resident_memory(2**22 + 1)


def test_an_old_console_shows_no_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked, and says no; a newer one takes them."""
    assert win32.show_escapes()
    monkeypatch.setattr(Kernel, "console_takes_escapes", False)
    assert not win32.show_escapes()


def test_elsewhere_there_is_no_such_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks for it there, and whoever does is told."""
    monkeypatch.undo()
    with pytest.raises(OSError, match="not implemented"):
        win32.available_memory()
