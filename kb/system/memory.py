"""How much memory there is, and how much memory and processor time a process takes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from kb.system import WINDOWS

_MEMORY: Final = Path("/proc/meminfo")
_KIB: Final = 1024


def available_memory() -> int | None:
    """The bytes of memory that a program can get without swapping; None if the system does not say."""
    if WINDOWS:
        from kb.system import win32

        try:
            return win32.available_memory()
        except OSError:
            return None
    try:
        lines = _MEMORY.read_text("ascii").splitlines()
        return next(int(line.split()[1]) * _KIB for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return _unused_pages()


def _unused_pages() -> int | None:
    """The bytes of the pages that are unused; None if the system does not say."""
    if sys.platform == "win32":
        return None
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def resident_memory(pid: int) -> int:
    """The bytes of memory that a process takes.

    Raises:
        OSError: There is no such process, or it may not be asked.
        subprocess.CalledProcessError: The same, where ``ps`` is asked.
    """
    if WINDOWS:
        from kb.system import win32

        return win32.resident_memory(pid)
    status = Path(f"/proc/{pid}/status")
    if status.is_file():
        for line in status.read_text("ascii", "replace").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * _KIB
        # It has ended, and its parent has not asked for its exit code.
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)],  # noqa: S607 - ps as the system has it
        capture_output=True,
        check=True,
    )
    return int(done.stdout) * _KIB


def cpu_seconds(pid: int) -> float:
    """The seconds of processor time that a process has used so far, on Linux and Windows.

    Raises:
        OSError: The system does not say.
    """
    if sys.platform == "win32":
        from kb.system import win32

        return win32.cpu_seconds(pid)
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class OwnMemory:
    """Measures the memory of this process, also when it may open no file any more."""

    def __init__(self) -> None:
        self._statm: int | None = None
        try:
            self._statm = os.open("/proc/self/statm", os.O_RDONLY)
        except OSError:
            # Only Linux has it.
            if WINDOWS:
                from kb.system import win32

                # What it needs is loaded now.
                win32.resident_memory()

    def read(self) -> tuple[int, int]:
        """Return the address space and the memory of this process, in bytes; zeros if the system does not tell."""
        if sys.platform == "win32":
            from kb.system import win32

            return 0, win32.resident_memory()
        if self._statm is None:
            return 0, 0
        pages = os.sysconf("SC_PAGE_SIZE")
        total, resident = os.pread(self._statm, 200, 0).split()[:2]
        return int(total) * pages, int(resident) * pages
