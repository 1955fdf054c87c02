"""Calls Linux system calls by name, and names the measures that confine a process.

Like all modules that confine a process, it imports only the standard library, since Tesseract's launcher has no other.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from functools import cache
from typing import Final, NamedTuple

# The measures, by their names in ``kb status --json``.
FILES: Final = "files"
NETWORK: Final = "tcp"
SIGNALS: Final = "signals"
SYSTEM_CALLS: Final = "system calls"
PRIVILEGES: Final = "privileges"
CAPABILITIES: Final = "capabilities"
MEMORY_PRIVATE: Final = "own memory"
MEMORY: Final = "memory"
CPU: Final = "cpu"
OUTPUT: Final = "file size"
DESCRIPTORS: Final = "open files"
CORE_DUMPS: Final = "core dumps"
THREADS: Final = "threads"
MEASURES: Final = (
    FILES, NETWORK, SIGNALS, SYSTEM_CALLS, PRIVILEGES, CAPABILITIES, MEMORY_PRIVATE, MEMORY, CPU, OUTPUT, DESCRIPTORS,
    CORE_DUMPS, THREADS,
)  # fmt: skip


class ConfinementError(Exception):
    """A measure that this system offers could not be put in force."""


class Machine(NamedTuple):
    """The numbers of the system calls of an architecture (``asm/unistd.h``); calls that it lacks are missing."""

    audit: int
    numbers: dict[str, int]
    # Numbers from here on are a second interface of the kernel to the same calls.
    foreign: int = 0


_COMMON: Final = {
    "clone3": 435, "epoll_pwait2": 441, "futex_waitv": 449, "faccessat2": 439,
    "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446,
}  # fmt: skip
_X86_64: Final = _COMMON | {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23,
    "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "dup2": 33, "nanosleep": 35, "getpid": 39, "sendto": 44,
    "recvfrom": 45, "clone": 56, "execve": 59, "exit": 60, "uname": 63, "fcntl": 72, "fsync": 74, "ftruncate": 77,
    "getcwd": 79, "mkdir": 83, "rmdir": 84, "unlink": 87, "readlink": 89, "umask": 95, "gettimeofday": 96,
    "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107,
    "getegid": 108, "getppid": 110, "getpgrp": 111, "getpgid": 121, "capset": 126, "sigaltstack": 131, "statfs": 137,
    "fstatfs": 138, "prctl": 157,
    "arch_prctl": 158, "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204, "getdents64": 217,
    "set_tid_address": 218, "restart_syscall": 219, "fadvise64": 221, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "tgkill": 234, "openat": 257,
    "mkdirat": 258, "newfstatat": 262, "unlinkat": 263, "readlinkat": 267, "faccessat": 269, "pselect6": 270,
    "ppoll": 271, "set_robust_list": 273, "get_robust_list": 274, "epoll_pwait": 281, "dup3": 292, "pipe2": 293,
    "prlimit64": 302, "getcpu": 309, "seccomp": 317, "getrandom": 318, "membarrier": 324, "statx": 332, "rseq": 334,
}  # fmt: skip
_AARCH64: Final = _COMMON | {
    "getcwd": 17, "epoll_ctl": 21, "epoll_pwait": 22, "dup": 23, "dup3": 24, "fcntl": 25, "ioctl": 29, "mkdirat": 34,
    "unlinkat": 35, "statfs": 43, "fstatfs": 44, "ftruncate": 46, "faccessat": 48, "openat": 56, "close": 57,
    "pipe2": 59, "getdents64": 61, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67,
    "pwrite64": 68, "pselect6": 72, "ppoll": 73, "readlinkat": 78, "newfstatat": 79, "fstat": 80, "fsync": 82,
    "capset": 91, "exit": 93, "exit_group": 94, "set_tid_address": 96, "futex": 98, "set_robust_list": 99,
    "get_robust_list": 100, "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
    "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "tgkill": 131, "sigaltstack": 132,
    "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "times": 153, "getpgid": 155,
    "uname": 160, "getrlimit": 163,
    "getrusage": 165, "umask": 166, "prctl": 167, "getcpu": 168, "gettimeofday": 169, "getpid": 172, "getppid": 173,
    "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178, "sysinfo": 179, "sendto": 206,
    "recvfrom": 207, "brk": 214, "munmap": 215, "mremap": 216, "clone": 220, "execve": 221, "mmap": 222,
    "fadvise64": 223, "mprotect": 226, "madvise": 233, "prlimit64": 261, "seccomp": 277, "getrandom": 278,
    "membarrier": 283, "statx": 291, "rseq": 293,
}  # fmt: skip
MACHINES: Final = {
    "x86_64": Machine(0xC000003E, _X86_64, foreign=0x40000000),
    "aarch64": Machine(0xC00000B7, _AARCH64),
}


@cache
def machine() -> Machine | None:
    """Return this machine, if it is a known 64-bit architecture and Python is a 64-bit build; else None."""
    if sys.platform != "linux" or struct.calcsize("P") != 8:  # noqa: PLR2004 - bytes of a pointer
        return None
    return MACHINES.get(platform.machine())


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def call(name: str, *arguments: object) -> int:
    """Call a system call by its name, and return its result.

    Raises:
        OSError: The kernel refuses it.
    """
    this = machine()
    if this is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(_libc().syscall(ctypes.c_long(this.numbers[name]), *wide))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result
