"""Has every module of kb see Windows, on any system: what Windows lacks is gone, and what it has is imitated.

Only kb is deceived, by what its ``import`` statements give it. Other libraries, the disk and its paths remain what they
are. ``import_path`` does it for a process, and for those that it starts.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import errno
import fcntl
import importlib.abc
import importlib.machinery
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MISSING = frozenset({"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "syslog", "readline"})
LACKING = {
    os: (
        "O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH WNOHANG chown fchmod fchown fork forkpty getegid "
        "geteuid getgid getgroups getloadavg getpgid getpriority getsid getuid killpg lchown memfd_create mkfifo nice "
        "posix_spawn pread pwrite register_at_fork sched_getaffinity set_blocking setpriority setsid statvfs sysconf "
        "uname wait3 wait4"
    ),
    signal: (
        "SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGSTOP SIGSYS SIGTRAP SIGTSTP SIGUSR1 SIGUSR2 SIGWINCH "
        "SIGXCPU SIGXFSZ alarm pause pthread_sigmask setitimer sigwait"
    ),
    socket: "AF_UNIX SO_PEERCRED SO_REUSEPORT socketpair",
    select: "poll epoll kqueue POLLIN POLLOUT",
    time: "CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_REALTIME clock_gettime tzset",
}


class Seen(ModuleType):
    """A module as kb sees it.

    Args:
        real: The module.
        lacking: The names that it lacks on Windows.
        other: What it has instead.
    """

    def __init__(self, real: ModuleType, lacking: str = "", other: Mapping[str, Any] | None = None) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _lacking=frozenset(lacking.split()), **(other or {}))

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_lacking"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.__dict__["_real"], name, value)


class Popen(subprocess.Popen[Any]):
    """Starts processes with the flags of Windows."""

    def __init__(self, *args: Any, creationflags: int = 0, **options: Any) -> None:
        if "start_new_session" in options or "preexec_fn" in options:
            raise ValueError("Windows has no sessions, and runs nothing between fork and exec")
        super().__init__(*args, start_new_session=bool(creationflags & 0x200), **options)


def _locking(descriptor: int, mode: int, _size: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN if mode == 0 else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(errno.EACCES, "Permission denied") from error


class Kernel:
    """What kb calls of kernel32, as far as it can be had here.

    Attributes:
        jobs: The limits of each job that this process was put into, as (class, structure).
    """

    jobs: list[tuple[int, Any]] = []  # noqa: RUF012 - one for the process
    console_takes_escapes = True

    def __init__(self, *_: object, **__: object) -> None:
        for name in dir(Kernel):
            if name[0].isupper():
                # ctypes has functions with attributes of their own.
                function = getattr(Kernel, name)
                setattr(self, name, lambda *given, call=function: call(*given))

    @staticmethod
    def OpenProcess(_rights: int, _inherit: int, pid: Any) -> int:  # noqa: N802 - as Windows calls it
        """Give a handle, which is the number of the process; none where it has ended."""
        return int(pid.value) if os.path.exists(f"/proc/{pid.value}") else 0  # noqa: PTH110 - no path of a test

    @staticmethod
    def GetExitCodeProcess(_handle: Any, code: Any) -> int:  # noqa: N802 - the same
        """Say that it has not ended."""
        code._obj.value = 259
        return 1

    @staticmethod
    def CloseHandle(_handle: Any) -> int:  # noqa: N802 - the same
        """Close nothing."""
        return 1

    @staticmethod
    def GetConsoleWindow() -> int:  # noqa: N802 - the same
        """Give a window that is wider than 32 bits."""
        return (1 << 40) + 7

    @staticmethod
    def GetStdHandle(which: int) -> int:  # noqa: N802 - the same
        """Give a handle of a stream."""
        return 1000 + which

    @staticmethod
    def GetConsoleMode(_handle: Any, mode: Any) -> int:  # noqa: N802 - the same
        """Say that it is a console, without escape sequences yet."""
        mode._obj.value = 3
        return 1

    @staticmethod
    def SetConsoleMode(_handle: Any, mode: Any) -> int:  # noqa: N802 - the same
        """Take them, unless it is an old console."""
        return int(Kernel.console_takes_escapes and mode.value & 4)

    @staticmethod
    def GlobalMemoryStatusEx(status: Any) -> int:  # noqa: N802 - the same
        """Tell of 8 GB, a half of which is free, to whoever says how large the structure is."""
        status._obj.total, status._obj.available = 8 << 30, 4 << 30
        return int(status._obj.length == ctypes.sizeof(status._obj))

    @staticmethod
    def K32GetProcessMemoryInfo(_handle: Any, counters: Any, size: int) -> int:  # noqa: N802 - the same
        """Tell of 50 MB."""
        counters._obj.working_set = 50 << 20
        return int(size == ctypes.sizeof(counters._obj))

    @staticmethod
    def GetProcessTimes(_handle: Any, _begun: Any, _ended: Any, system: Any, user: Any) -> int:  # noqa: N802 - the same
        """Tell of a second in the system, and of two in the process."""
        system._obj.value, user._obj.value = 10_000_000, 20_000_000
        return 1

    @staticmethod
    def QueryUnbiasedInterruptTime(steps: Any) -> int:  # noqa: N802 - the same
        """Tell the time without sleep."""
        steps._obj.value = time.monotonic_ns() // 100
        return 1

    @staticmethod
    def CreateJobObjectW(_rights: None, _name: None) -> int:  # noqa: N802 - the same
        """Give a handle that is wider than 32 bits."""
        return (1 << 40) + 1

    @staticmethod
    def SetInformationJobObject(_job: Any, kind: int, value: Any, size: int) -> int:  # noqa: N802 - the same
        """Take a limit whose size is right."""
        Kernel.jobs.append((kind, value._obj))
        return int(size == ctypes.sizeof(value._obj))

    @staticmethod
    def AssignProcessToJobObject(_job: Any, process: Any) -> int:  # noqa: N802 - the same
        """Put this process, and no other, into a job."""
        return int(process.value == ctypes.c_void_p(-1).value)


def _msvcrt() -> ModuleType:
    made = ModuleType("msvcrt")
    made.__dict__.update(LK_UNLCK=0, LK_LOCK=1, LK_NBLCK=2, locking=_locking)
    return made


SEEN: dict[str, ModuleType] = {real.__name__: Seen(real, lacking) for real, lacking in LACKING.items()} | {
    "sys": Seen(sys, other={"platform": "win32"}),
    "ctypes": Seen(ctypes, other={"WinDLL": Kernel, "get_last_error": lambda: 0, "WinError": lambda _: OSError("no")}),
    "subprocess": Seen(
        subprocess, other={"Popen": Popen, "CREATE_NEW_PROCESS_GROUP": 0x200, "CREATE_NO_WINDOW": 0x8000000}
    ),
    "msvcrt": _msvcrt(),
}
SEEN["os"].__dict__["name"] = "nt"


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,  # noqa: A002 - as Python calls it
    locals: Mapping[str, object] | None = None,  # noqa: A002 - the same
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    if level == 0 and name in MISSING:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return SEEN.get(name) or builtins.__import__(name, globals, locals, fromlist or (), level)


BUILTINS = builtins.__dict__ | {"__import__": _import}


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = BUILTINS
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "kb":
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if found is not None and isinstance(found.loader, importlib.machinery.SourceFileLoader):
            found.loader = _Loader(fullname, found.loader.path)
        return found


def import_path(folder: Path) -> str:
    """Make a folder, and return the ``PYTHONPATH`` with which Python deceives kb from its start."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text("from pretend_windows import install\n\ninstall()\n")
    return os.pathsep.join([str(folder), str(Path(__file__).parent)])


def install() -> None:
    """Deceive what is imported of kb from here on; also ``python -m kb``."""
    sys.meta_path.insert(0, _Finder())
    given = sys.orig_argv
    with contextlib.suppress(ValueError, IndexError):
        if given[given.index("-m") + 1].partition(".")[0] == "kb":
            sys.modules["__main__"].__dict__["__builtins__"] = BUILTINS
