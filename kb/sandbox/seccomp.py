"""Filters system calls with seccomp(2): listed calls are allowed, all others fail.

The filter is a BPF program that checks the number of a call and its arguments.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from functools import cache
from typing import Final, NamedTuple

from kb.sandbox.syscalls import SYSTEM_CALLS, ConfinementError, Machine, call, machine

# Instructions of a filter program (``linux/bpf_common.h``) and its return values (``linux/seccomp.h``).
_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_AT_LEAST: Final = 0x35
_JUMP_ANY_BIT: Final = 0x45
_AND: Final = 0x54
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_ERROR: Final = 0x00050000
_NUMBER_AT: Final = 0
_MACHINE_AT: Final = 4
_ARGUMENTS_AT: Final = 16
_SET_MODE_FILTER: Final = 1
_GET_ACTION_AVAILABLE: Final = 2
_ALL_THREADS: Final = 1

_PR_SET_NAME: Final = 15
_PR_GET_NAME: Final = 16
_PR_SET_VMA: Final = 0x53564D41
_PROT_EXEC: Final = 4
_CLONE_THREAD: Final = 0x00010000 | 0x00000100 | 0x00000800  # THREAD, VM, SIGHAND
# NEWTIME, PIDFD, PTRACE, VFORK, PARENT, NEWNS, UNTRACED, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_CLONE_OTHER: Final = 0x7E000000 | 0x00800000 | 0x00020000 | 0x0000F000 | 0x00000080
_SIGABRT: Final = 6
_F_GETFD: Final = 1
_F_SETFD: Final = 2
_F_GETFL: Final = 3


class _Is(NamedTuple):
    """The low word of an argument is one of some values."""

    argument: int
    values: tuple[int, ...]


class _HasAll(NamedTuple):
    """An argument has all of some bits."""

    argument: int
    bits: int


class _HasNone(NamedTuple):
    """An argument has none of some bits."""

    argument: int
    bits: int


class _IsNull(NamedTuple):
    """An argument is a null pointer."""

    argument: int


_Test = _Is | _HasAll | _HasNone | _IsNull

# For running loaded code with open pipes: memory, threads, clocks, waiting, reading, writing.
_PARSING: Final = (
    "read write readv writev pread64 lseek close poll ppoll select pselect6 epoll_wait epoll_pwait epoll_pwait2 "
    "epoll_ctl recvfrom munmap mremap madvise brk membarrier futex futex_waitv set_robust_list get_robust_list rseq "
    "set_tid_address rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall exit exit_group getpid "
    "gettid getppid getuid geteuid getgid getegid getrandom sysinfo uname getrusage times clock_gettime clock_getres "
    "clock_nanosleep nanosleep gettimeofday time sched_yield sched_getaffinity getcpu fstat"
)
# For loading a program and reading files; Landlock restricts which files.
_READING: Final = (
    "execve arch_prctl open openat stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getcwd "
    "getdents64 fcntl dup dup2 dup3 pipe pipe2 fadvise64 statfs fstatfs getrlimit umask pwrite64 ftruncate fsync mkdir "
    "getpgrp getpgid mkdirat unlink unlinkat rmdir mmap mprotect"
)


def _conditions() -> dict[str, tuple[_Test, ...]]:
    """The calls that are allowed only with some arguments."""
    return {
        # No memory that the process has written becomes executable.
        "mmap": (_HasNone(2, _PROT_EXEC),),
        "mprotect": (_HasNone(2, _PROT_EXEC),),
        # Threads, but no processes and no namespaces.
        "clone": (_HasAll(0, _CLONE_THREAD), _HasNone(0, _CLONE_OTHER)),
        # abort(), but no signals to other processes.
        "tgkill": (_Is(0, (os.getpid(),)), _Is(2, (_SIGABRT,))),
        # C libraries read the limits of the process for the size of stacks.
        "prlimit64": (_Is(0, (0,)), _IsNull(2)),
        "prctl": (_Is(0, (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA)),),
        # Only on connected sockets, with which event loops wake themselves.
        "sendto": (_IsNull(4),),
        "fcntl": (_Is(1, (_F_GETFD, _F_SETFD, _F_GETFL)),),
    }


def filter_program(this: Machine, *, reads_files: bool) -> bytes:
    """Build a filter that allows the listed calls; all others fail, including those of future kernels."""
    allowed = _PARSING.split() + (_READING.split() if reads_files else [])
    conditional = {name: tests for name, tests in _conditions().items() if name not in allowed}
    refuse = _instruction(_RETURN, _ERROR | errno.EPERM)
    program = [
        _instruction(_LOAD, _MACHINE_AT),
        _instruction(_JUMP_EQUAL, this.audit, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if this.foreign:
        program += [_instruction(_JUMP_AT_LEAST, this.foreign, 0, 1), refuse]
    for name in allowed:
        if (number := this.numbers.get(name)) is not None:
            program += [_instruction(_JUMP_EQUAL, number, 0, 1), _instruction(_RETURN, _ALLOW)]
    for name, tests in conditional.items():
        steps = [step for test in tests for step in _test(test, refuse)]
        steps.append(_instruction(_RETURN, _ALLOW))
        program += [_instruction(_JUMP_EQUAL, this.numbers[name], 0, len(steps)), *steps]
    # A filter cannot see the arguments of clone3(); with ENOSYS, C libraries fall back to clone().
    program += [
        _instruction(_JUMP_EQUAL, this.numbers["clone3"], 0, 1),
        _instruction(_RETURN, _ERROR | errno.ENOSYS),
        refuse,
    ]
    return b"".join(program)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _test(test: _Test, refuse: bytes) -> list[bytes]:
    """Build the instructions of a test, which continue after the last one or refuse the call."""
    low = _ARGUMENTS_AT + 8 * test.argument
    load = _instruction(_LOAD, low)
    match test:
        case _Is(_, values):
            count = len(values)
            jumps = [_instruction(_JUMP_EQUAL, value, count - at, 0) for at, value in enumerate(values)]
            return [load, *jumps, refuse]
        case _HasAll(_, bits):
            return [load, _instruction(_AND, bits), _instruction(_JUMP_EQUAL, bits, 1, 0), refuse]
        case _HasNone(_, bits):
            return [load, _instruction(_JUMP_ANY_BIT, bits, 0, 1), refuse]
        case _IsNull():
            is_zero = _instruction(_JUMP_EQUAL, 0, 1, 0)
            return [load, is_zero, refuse, _instruction(_LOAD, low + 4), is_zero, refuse]


@cache
def filters_calls() -> bool:
    """Whether the kernel supports such a filter."""
    if machine() is None:
        return False
    try:
        call("seccomp", _GET_ACTION_AVAILABLE, 0, struct.pack("=I", _KILL))
    except OSError:
        return False
    return True


def filter_calls(*, reads_files: bool) -> list[str]:
    """Install the filter for all threads of this process, and return the measures in force.

    Raises:
        ConfinementError: A thread cannot be filtered.
    """
    this = machine()
    if this is None or not filters_calls():
        return []
    code = filter_program(this, reads_files=reads_files)
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(instructions))
    if call("seccomp", _SET_MODE_FILTER, _ALL_THREADS, program):
        raise ConfinementError("the filter of system calls cannot be installed for all threads")
    return [SYSTEM_CALLS]
