"""Limits on what a process may take: resource limits on POSIX, a job object on Windows."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from kb.sandbox.syscalls import CORE_DUMPS, CPU, DESCRIPTORS, MEMORY, OUTPUT, THREADS
from kb.system import WINDOWS

# Imported here, since a confined process cannot import anything.
if WINDOWS:
    from kb.system.win32 import limit_this_process
with suppress(ImportError):
    import resource

# The resource limit of each measure on POSIX, by its name in ``resource``.
_LIMITS: Final = {
    MEMORY: "RLIMIT_AS",
    CPU: "RLIMIT_CPU",
    OUTPUT: "RLIMIT_FSIZE",
    DESCRIPTORS: "RLIMIT_NOFILE",
    CORE_DUMPS: "RLIMIT_CORE",
    THREADS: "RLIMIT_NPROC",
}
# More than any parser starts. The limit counts all threads of the user, so existing ones are added to it.
_MOST_THREADS: Final = 1024


def offered() -> list[str]:
    """Return the measures that this system has."""
    if sys.platform == "win32":
        return [MEMORY, CPU]
    there = [measure for measure, limit in _LIMITS.items() if hasattr(resource, limit)]
    if sys.platform == "darwin":
        there.remove(MEMORY)  # macOS has the name but does not enforce it
    # Root is exempt, and other systems do not count threads.
    if THREADS in there and (sys.platform != "linux" or os.geteuid() == 0):
        there.remove(THREADS)
    return there


def lower(*, memory: int, cpu: int, output: int, descriptors: int, threads: int, processes: int = 1) -> list[str]:
    """Lower the limits of this process as far as this system has them, and return the measures in force.

    Args:
        memory: The most address space, on Windows the most memory, in bytes.
        cpu: The most processor time, in seconds.
        output: The most bytes of a file that it writes.
        descriptors: The most open files.
        threads: The most threads of the user.
        processes: On Windows the most processes, this one included; system calls say it elsewhere.

    Raises:
        OSError: The system refuses one.
    """
    if sys.platform == "win32":
        limit_this_process(memory, cpu, processes)
        return offered()
    most = {
        MEMORY: memory,
        CPU: cpu,
        OUTPUT: output,
        DESCRIPTORS: descriptors,
        CORE_DUMPS: 0,
        THREADS: threads,
    }
    measures = offered()
    for measure in measures:
        # The signal of the soft limit comes first, so that the exit code shows the reason.
        hard = most[measure] + 5 if measure == CPU else most[measure]
        _limit(_LIMITS[measure], most[measure], hard)
    return measures


def _limit(name: str, value: int, hard: int) -> None:
    """Lower a resource limit; one that is lower already stays.

    Args:
        name: Its name in ``resource``.
        value: The soft limit, at which a call fails or a signal is sent.
        hard: The hard limit, at which the process is killed.
    """
    if sys.platform == "win32":
        return
    which = getattr(resource, name)
    most = resource.getrlimit(which)[1]
    limits = (value, hard)
    if most != resource.RLIM_INFINITY:
        limits = (min(limits[0], most), min(limits[1], most))
    resource.setrlimit(which, limits)


def most_threads() -> int:
    """Return a limit for the threads of the user: all of the system, plus those that a parser may start."""
    if THREADS not in offered():
        return 0
    return _MOST_THREADS + int(Path("/proc/loadavg").read_text("ascii").split()[3].partition("/")[2])
