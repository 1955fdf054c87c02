"""The calls of Windows that Python has no function for, through ctypes; imported there alone.

The structures and numbers are those of ``winnt.h``, ``sysinfoapi.h`` and ``psapi.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import Any, Final

_QUERY_LIMITED: Final = 0x1000
# GetExitCodeProcess says this of a process that has not ended.
_STILL_ACTIVE: Final = 259
_ACCESS_DENIED: Final = 5
_THIS_PROCESS: Final = ctypes.c_void_p(-1)
_OUTPUTS: Final = (-11, -12)
_ESCAPES: Final = 0x0004
# Windows counts time in steps of 100 nanoseconds.
_STEPS: Final = 10_000_000

# What a job does to its processes; see JOBOBJECT_BASIC_LIMIT_INFORMATION.
_PROCESS_TIME: Final = 0x0002
_ACTIVE_PROCESSES: Final = 0x0008
_PROCESS_MEMORY: Final = 0x0100
_NO_CRASH_DIALOGS: Final = 0x0400
_EXTENDED_LIMITS: Final = 9
_UI_RESTRICTIONS: Final = 4
# Handles, clipboard (twice), system parameters, display, atoms, desktops, the end of the session.
_NO_UI: Final = 0xFF


class MemoryStatus(ctypes.Structure):
    """``MEMORYSTATUSEX``."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("available", ctypes.c_uint64),
        ("total_page_file", ctypes.c_uint64),
        ("available_page_file", ctypes.c_uint64),
        ("total_virtual", ctypes.c_uint64),
        ("available_virtual", ctypes.c_uint64),
        ("available_extended_virtual", ctypes.c_uint64),
    )


class MemoryCounters(ctypes.Structure):
    """``PROCESS_MEMORY_COUNTERS``."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("page_faults", ctypes.c_uint32),
        ("peak_working_set", ctypes.c_size_t),
        ("working_set", ctypes.c_size_t),
        ("pools", ctypes.c_size_t * 4),
        ("page_file", ctypes.c_size_t),
        ("peak_page_file", ctypes.c_size_t),
    )


class BasicLimits(ctypes.Structure):
    """``JOBOBJECT_BASIC_LIMIT_INFORMATION``."""

    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("active_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
    )


class ExtendedLimits(ctypes.Structure):
    """``JOBOBJECT_EXTENDED_LIMIT_INFORMATION``."""

    _fields_ = (
        ("basic", BasicLimits),
        ("io", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    )


def _kernel() -> Any:  # noqa: ANN401 - a library, whose functions ctypes makes when they are asked for
    if sys.platform != "win32":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    # Handles are as wide as pointers; ctypes takes results for 32 bits wide.
    for name in ("OpenProcess", "GetStdHandle", "GetConsoleWindow", "CreateJobObjectW"):
        getattr(kernel, name).restype = ctypes.c_void_p
    return kernel


def _last_error() -> OSError:
    """The error of the last call that failed."""
    if sys.platform != "win32":
        return OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return ctypes.WinError(ctypes.get_last_error())


def is_process_alive(pid: int) -> bool:
    """Whether a process with this id runs."""
    kernel = _kernel()
    handle = ctypes.c_void_p(kernel.OpenProcess(_QUERY_LIMITED, 0, ctypes.c_uint32(pid & 0xFFFFFFFF)))
    if not handle.value:
        # One of another user may not be asked, but it is there.
        return getattr(_last_error(), "winerror", 0) == _ACCESS_DENIED
    code = ctypes.c_uint32()
    known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return not known or code.value == _STILL_ACTIVE


def console_window() -> int:
    """The window of this process's console, each terminal having one of its own; 0 without a console."""
    return int(_kernel().GetConsoleWindow() or 0)


def show_escapes() -> bool:
    """Have the console interpret escape sequences, as it can since Windows 10; False if it cannot."""
    kernel = _kernel()
    for which in _OUTPUTS:
        handle, mode = ctypes.c_void_p(kernel.GetStdHandle(which)), ctypes.c_uint32()
        # What is no console, such as a pipe, has no mode and needs none.
        if not kernel.GetConsoleMode(handle, ctypes.byref(mode)) or mode.value & _ESCAPES:
            continue
        if not kernel.SetConsoleMode(handle, ctypes.c_uint32(mode.value | _ESCAPES)):
            return False
    return True


def available_memory() -> int:
    """The bytes of memory that are free.

    Raises:
        OSError: Windows does not say.
    """
    status = MemoryStatus()
    status.length = ctypes.sizeof(status)
    if not _kernel().GlobalMemoryStatusEx(ctypes.byref(status)):
        raise _last_error()
    return int(status.available)


def resident_memory(pid: int | None = None) -> int:
    """The bytes of memory that a process takes; None for this one.

    Raises:
        OSError: There is no such process, or it may not be asked.
    """
    counters = MemoryCounters()
    counters.size = ctypes.sizeof(counters)
    kernel, handle = _opened(pid)
    try:
        if not kernel.K32GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.size):
            raise _last_error()
    finally:
        kernel.CloseHandle(handle)
    return int(counters.working_set)


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used so far, in seconds.

    Raises:
        OSError: There is no such process, or it may not be asked.
    """
    begun, ended, system, user = (ctypes.c_uint64() for _ in range(4))
    kernel, handle = _opened(pid)
    try:
        if not kernel.GetProcessTimes(handle, *map(ctypes.byref, (begun, ended, system, user))):
            raise _last_error()
    finally:
        kernel.CloseHandle(handle)
    return (system.value + user.value) / _STEPS


def _opened(pid: int | None) -> tuple[Any, ctypes.c_void_p]:
    """The library, and a handle of a process; closing that of this process does nothing.

    Raises:
        OSError: There is no such process, or it may not be asked.
    """
    kernel = _kernel()
    if pid is None:
        return kernel, _THIS_PROCESS
    handle = ctypes.c_void_p(kernel.OpenProcess(_QUERY_LIMITED, 0, ctypes.c_uint32(pid)))
    if not handle.value:
        raise _last_error()
    return kernel, handle


def seconds_awake() -> float:
    """The seconds since the start of the system that it did not sleep."""
    steps = ctypes.c_uint64()
    _kernel().QueryUnbiasedInterruptTime(ctypes.byref(steps))
    return steps.value / _STEPS


def limit_this_process(memory: int, cpu: int, processes: int) -> None:
    """Put this process into a job from which it cannot be taken out, and whose limits nobody can change any more.

    It may take so much memory and time, may use no window, clipboard or desktop, and ends without a dialog when it
    crashes. A job keeps no process from files, or from the network.

    Args:
        memory: The most memory that it may commit, in bytes.
        cpu: The most processor time in its own code, in seconds; it is ended after that.
        processes: The most processes, itself and those that it starts.

    Raises:
        OSError: A limit cannot be set.
    """
    kernel = _kernel()
    job = ctypes.c_void_p(kernel.CreateJobObjectW(None, None))
    if not job.value:
        raise _last_error()
    limits = ExtendedLimits()
    limits.basic.flags = _PROCESS_TIME | _ACTIVE_PROCESSES | _PROCESS_MEMORY | _NO_CRASH_DIALOGS
    limits.basic.process_time = cpu * _STEPS
    limits.basic.active_processes = processes
    limits.process_memory = memory
    surface = ctypes.c_uint32(_NO_UI)
    try:
        for kind, value in ((_EXTENDED_LIMITS, limits), (_UI_RESTRICTIONS, surface)):
            if not kernel.SetInformationJobObject(job, kind, ctypes.byref(value), ctypes.sizeof(value)):
                raise _last_error()
        if not kernel.AssignProcessToJobObject(job, _THIS_PROCESS):
            raise _last_error()
    finally:
        # The job stays while the process lives; without a handle, and without a name, nothing leads to it.
        kernel.CloseHandle(job)
