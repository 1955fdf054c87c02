"""Takes a process's rights away: Landlock, a filter of system calls, limits.

On Linux these are a dozen system calls that Python has no names for, made through the C library. The interfaces are
those of the manual pages landlock(7), seccomp(2), capget(2) and prctl(2). Elsewhere there are resource limits alone.

What a system lacks is left out and told (``offered``); what it has and refuses raises ``ConfinementError``, since a
parser must not run with more rights than it is said to have. Imports nothing but the standard library: Tesseract's
launcher runs this without any package.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

# Loaded at once: a process that is confined can load nothing any more.
try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The measures there are, by the names that ``kb status --json`` has for them.
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

# More than any parser starts. The system counts all threads of a user together, so those there are come on top.
_MOST_THREADS: Final = 1024


class ConfinementError(Exception):
    """A measure that this system offers could not be taken."""


# --- the machine --------------------------------------------------------------------------------------------------


class _Machine(NamedTuple):
    """How a type of machine numbers its system calls (``asm/unistd.h``); what is missing it does not have."""

    audit: int
    numbers: dict[str, int]
    # Numbers from here on belong to another interface of the same kernel, which has every call a second time.
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
_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, _X86_64, foreign=0x40000000),
    "aarch64": _Machine(0xC00000B7, _AARCH64),
}


@cache
def _machine() -> _Machine | None:
    """This machine, where its numbers are known and Python runs in its own word size."""
    if sys.platform != "linux" or struct.calcsize("P") != 8:  # noqa: PLR2004 - bytes of a pointer
        return None
    return _MACHINES.get(platform.machine())


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _call(name: str, *arguments: object) -> int:
    """A system call by its name.

    Raises:
        OSError: The kernel refuses it.
    """
    machine = _machine()
    if machine is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(_libc().syscall(ctypes.c_long(machine.numbers[name]), *wide))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


# --- what every process gives up ----------------------------------------------------------------------------------

_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_PR_GET_NAME: Final = 16
_PR_GET_SECCOMP: Final = 21
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39
_PR_SET_VMA: Final = 0x53564D41
_CAPABILITY_VERSION_3: Final = 0x20080522
_CAP_DAC_READ_SEARCH: Final = 2


def _give_up_privileges(*, dumpable: bool) -> list[str]:
    """No program that is started gives new rights; no other process of the user reads this one's memory."""
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _call("prctl", _PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        raise ConfinementError("new privileges are not ruled out")
    if dumpable:
        return [PRIVILEGES]
    _call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
    if _call("prctl", _PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise ConfinementError("its memory can be read by others")
    return [PRIVILEGES, MEMORY_PRIVATE]


def _drop_capabilities(keep: int = 0) -> None:
    """Root without its powers is a user like any other; ``keep`` has the bits of those that it keeps if it has them."""
    head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    kept = keep & _effective_capabilities()
    low, high = kept & 0xFFFFFFFF, kept >> 32
    _call("capset", head, struct.pack("=6I", low, low, 0, high, high, 0))


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


# --- Landlock -----------------------------------------------------------------------------------------------------

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_ON_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_TCP: Final = 0b11
_SCOPED: Final = 0b11
_MOST_RIGHTS: Final = 64


class _Landlock(NamedTuple):
    """What the kernel's Landlock can restrict: its version, and masks of rights on files, on the network, of scopes."""

    version: int = 0
    files: int = 0
    network: int = 0
    scopes: int = 0


@cache
def _landlock() -> _Landlock:
    """All rights that this kernel's Landlock knows, found by asking: newer kernels have more than there were today."""
    try:
        version = _call("landlock_create_ruleset", None, 0, _CREATE_RULESET_VERSION)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}:  # not built in, switched off, filtered away
            return _Landlock()
        raise ConfinementError(f"Landlock: {error}") from error
    found = [0, 0, 0]
    for which in range(3):
        for bit in range(_MOST_RIGHTS):
            tried = [*found]
            tried[which] |= 1 << bit
            if not _is_ruleset(*tried):
                break
            found = tried
    return _Landlock(version, *found)


def _is_ruleset(files: int, network: int, scopes: int) -> bool:
    try:
        os.close(_ruleset(files, network, scopes))
    except OSError as error:
        if error.errno in {errno.EINVAL, errno.E2BIG}:
            return False
        raise ConfinementError(f"Landlock: {error}") from error
    return True


def _ruleset(files: int, network: int, scopes: int) -> int:
    attributes = struct.pack("=QQQ", files, network, scopes)
    return _call("landlock_create_ruleset", attributes, len(attributes), 0)


def _restrict(rules: Iterable[tuple[str, int]]) -> list[str]:
    """Leave this thread, and those it starts, the rights on files that are named and no other.

    Args:
        rules: Paths and what may be done with them and all below them; what is not there is left out.
    """
    known = _landlock()
    if not known.version:
        return []
    ruleset = _ruleset(known.files, known.network, known.scopes)
    try:
        for path, rights in rules:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                rights &= known.files if Path(path).is_dir() else known.files & _ON_FILES  # noqa: PLW2901
                _call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
            finally:
                os.close(place)
        _call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return _measures_of(known)


def _measures_of(known: _Landlock) -> list[str]:
    scoped = known.scopes & _SCOPED == _SCOPED
    return [FILES, *([NETWORK] if known.network & _TCP == _TCP else ()), *([SIGNALS] if scoped else ())]


# --- system calls -------------------------------------------------------------------------------------------------

# The commands of a filter program (``linux/bpf_common.h``) and what it may answer (``linux/seccomp.h``).
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

# What running code needs that was loaded already and has its pipes: memory, threads, clocks, waiting, reading, writing.
_PARSING: Final = (
    "read write readv writev pread64 lseek close poll ppoll select pselect6 epoll_wait epoll_pwait epoll_pwait2 "
    "epoll_ctl recvfrom munmap mremap madvise brk membarrier futex futex_waitv set_robust_list get_robust_list rseq "
    "set_tid_address rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall exit exit_group getpid "
    "gettid getppid getuid geteuid getgid getegid getrandom sysinfo uname getrusage times clock_gettime clock_getres "
    "clock_nanosleep nanosleep gettimeofday time sched_yield sched_getaffinity getcpu fstat"
)
# What a program needs to be loaded and to read files; which files, Landlock says.
_READING: Final = (
    "execve arch_prctl open openat stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getcwd "
    "getdents64 fcntl dup dup2 dup3 pipe pipe2 fadvise64 statfs fstatfs getrlimit umask pwrite64 ftruncate fsync mkdir "
    "getpgrp getpgid mkdirat unlink unlinkat rmdir mmap mprotect"
)


def _conditions() -> dict[str, tuple[_Test, ...]]:
    """Calls that are allowed with some arguments alone."""
    return {
        # Nothing that was written by the process becomes code.
        "mmap": (_HasNone(2, _PROT_EXEC),),
        "mprotect": (_HasNone(2, _PROT_EXEC),),
        # Threads, but no processes and no namespaces.
        "clone": (_HasAll(0, _CLONE_THREAD), _HasNone(0, _CLONE_OTHER)),
        # Its own end by abort(), no signal to anybody else.
        "tgkill": (_Is(0, (os.getpid(),)), _Is(2, (_SIGABRT,))),
        # Its own limits can be read, by C libraries for the size of a stack.
        "prlimit64": (_Is(0, (0,)), _IsNull(2)),
        "prctl": (_Is(0, (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA)),),
        # Over sockets that are connected: event loops wake themselves by one.
        "sendto": (_IsNull(4),),
        "fcntl": (_Is(1, (_F_GETFD, _F_SETFD, _F_GETFL)),),
    }


def _filter(machine: _Machine, *, reads_files: bool) -> bytes:
    """A filter that lets through what is listed; everything else fails, calls that are yet to be invented too."""
    allowed = _PARSING.split() + (_READING.split() if reads_files else [])
    conditional = {name: tests for name, tests in _conditions().items() if name not in allowed}
    refuse = _instruction(_RETURN, _ERROR | errno.EPERM)
    program = [
        _instruction(_LOAD, _MACHINE_AT),
        _instruction(_JUMP_EQUAL, machine.audit, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if machine.foreign:
        program += [_instruction(_JUMP_AT_LEAST, machine.foreign, 0, 1), refuse]
    for name in allowed:
        if (number := machine.numbers.get(name)) is not None:
            program += [_instruction(_JUMP_EQUAL, number, 0, 1), _instruction(_RETURN, _ALLOW)]
    for name, tests in conditional.items():
        steps = [step for test in tests for step in _test(test, refuse)]
        steps.append(_instruction(_RETURN, _ALLOW))
        program += [_instruction(_JUMP_EQUAL, machine.numbers[name], 0, len(steps)), *steps]
    # C libraries fall back to clone(), whose arguments a filter can see, where this does not exist.
    program += [
        _instruction(_JUMP_EQUAL, machine.numbers["clone3"], 0, 1),
        _instruction(_RETURN, _ERROR | errno.ENOSYS),
        refuse,
    ]
    return b"".join(program)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _test(test: _Test, refuse: bytes) -> list[bytes]:
    """The steps of a test: they end in front of what follows, or in a refusal."""
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
def _filters_calls() -> bool:
    """Whether the kernel takes such a filter."""
    if _machine() is None:
        return False
    try:
        _call("seccomp", _GET_ACTION_AVAILABLE, 0, struct.pack("=I", _KILL))
    except OSError:
        return False
    return True


def _filter_calls(*, reads_files: bool) -> list[str]:
    """Put the filter in force for all threads of this process."""
    machine = _machine()
    if machine is None or not _filters_calls():
        return []
    code = _filter(machine, reads_files=reads_files)
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(instructions))
    if _call("seccomp", _SET_MODE_FILTER, _ALL_THREADS, program):
        raise ConfinementError("a thread takes no filter of system calls")
    return [SYSTEM_CALLS]


# --- resource limits ----------------------------------------------------------------------------------------------


def _limit(name: str, value: int, hard: int | None = None) -> None:
    """Lower one of the system's limits; a lower one that holds already stays.

    Args:
        name: Its name in ``resource``.
        value: At this the process is told: a call fails, or a signal comes.
        hard: At this it is killed; the same unless told.
    """
    which = getattr(resource, name)
    most = resource.getrlimit(which)[1]
    wanted = (value, value if hard is None else hard)
    if most != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], most), min(wanted[1], most))
    resource.setrlimit(which, wanted)


def _limits(memory: int, cpu: int, output: int, descriptors: int, threads: int) -> list[str]:
    """Lower the limits that this system has; gives those that hold."""
    offered_here = _limits_offered()
    if MEMORY in offered_here:
        _limit("RLIMIT_AS", memory)
    if CPU in offered_here:
        # The signal comes first, so that the end tells its reason.
        _limit("RLIMIT_CPU", cpu, cpu + 5)
    if OUTPUT in offered_here:
        _limit("RLIMIT_FSIZE", output)
    if DESCRIPTORS in offered_here:
        _limit("RLIMIT_NOFILE", descriptors)
    if CORE_DUMPS in offered_here:
        _limit("RLIMIT_CORE", 0)
    if THREADS in offered_here:
        _limit("RLIMIT_NPROC", threads)
    return offered_here


def _limits_offered() -> list[str]:
    if resource is None:
        return []
    named = {
        MEMORY: "RLIMIT_AS",
        CPU: "RLIMIT_CPU",
        OUTPUT: "RLIMIT_FSIZE",
        DESCRIPTORS: "RLIMIT_NOFILE",
        CORE_DUMPS: "RLIMIT_CORE",
        THREADS: "RLIMIT_NPROC",
    }
    there = [name for name, limit in named.items() if hasattr(resource, limit)]
    if sys.platform == "darwin":
        there.remove(MEMORY)  # macOS has the name and sets no limit
    # Root may start as much as it likes; elsewhere the count says nothing of threads.
    if THREADS in there and (sys.platform != "linux" or os.geteuid() == 0):
        there.remove(THREADS)
    return there


def _most_threads() -> int:
    """How many threads the user may have: those of the system, which are no fewer than those of the user, and more."""
    if THREADS not in _limits_offered():
        return 0
    return _MOST_THREADS + int(Path("/proc/loadavg").read_text("ascii").split()[3].partition("/")[2])


# --- what callers want --------------------------------------------------------------------------------------------


@cache
def offered() -> tuple[str, ...]:
    """The measures that this system offers for a parsing process; asking changes nothing."""
    found = set(_limits_offered())
    if _machine() is not None:
        found |= {PRIVILEGES, MEMORY_PRIVATE, CAPABILITIES, *_measures_of(_landlock())}
        found -= set() if _landlock().version else {FILES, NETWORK, SIGNALS}
        found |= {SYSTEM_CALLS} if _filters_calls() else set()
    return tuple(one for one in MEASURES if one in found)


def landlock_version() -> int:
    """The version of the kernel's Landlock interface; 0 where it has none."""
    return _landlock().version if _machine() is not None else 0


def before_loading() -> list[str]:
    """Give up, before any thread exists, what loading libraries has no use for: writing, sockets, signals, powers.

    Returns:
        The measures that are in force.

    Raises:
        ConfinementError: One that this system offers cannot be taken.
    """
    if _machine() is None:
        return []
    try:
        taken = _give_up_privileges(dumpable=False)
        # Root may have to read libraries in folders of somebody else's.
        _drop_capabilities(keep=1 << _CAP_DAC_READ_SEARCH)
        return [*taken, *_restrict([("/", _READ_FILE | _READ_DIR)])]
    except OSError as error:
        raise ConfinementError(str(error)) from error


def after_loading(*, memory: int, cpu: int) -> list[str]:
    """Give up the rest, once whatever parsing needs is loaded: files, new sockets, processes, other programs.

    Args:
        memory: Bytes of address space that the process may have.
        cpu: Seconds of processor time that it may take.

    Returns:
        The measures that are in force.

    Raises:
        ConfinementError: One that this system offers cannot be taken.
    """
    try:
        taken: list[str] = []
        threads = _most_threads()
        if _machine() is not None:
            _drop_capabilities()
            taken.append(CAPABILITIES)
            # Threads that libraries have started keep the first rules, under which they may read. The filter of system
            # calls, which is theirs too, leaves them nothing to open a file with.
            _restrict(())
        taken += _limits(memory, cpu, output=0, descriptors=0, threads=threads)
        taken += _filter_calls(reads_files=False)
    except (OSError, ValueError) as error:
        raise ConfinementError(str(error)) from error
    return taken


def before_program(program: str, *, readable: Sequence[str], writable: str, memory: int, cpu: int, output: int) -> None:
    """Leave a program that is about to be started what it needs and nothing else: its files, one folder, its exec.

    Args:
        program: The program, which may be executed, and what the system needs to load it.
        readable: Files and folders that it may read.
        writable: The folder that it may write.
        memory: Bytes of address space that it may have.
        cpu: Seconds of processor time.
        output: Bytes that a file may have which it writes.

    Raises:
        ConfinementError: A measure that this system offers cannot be taken.
    """
    try:
        threads = _most_threads()
        if _machine() is not None:
            _give_up_privileges(dumpable=True)
            _drop_capabilities()
            everything = _landlock().files
            _restrict(
                [
                    *((path, _READ_FILE | _READ_DIR) for path in readable),
                    *((path, _READ_FILE | _EXECUTE) for path in loaders(program)),
                    (os.devnull, _READ_FILE | _WRITE_FILE),
                    (writable, everything & ~_EXECUTE),
                ]
            )
        _limits(memory, cpu, output=output, descriptors=64, threads=threads)
        _filter_calls(reads_files=True)
    except (OSError, ValueError) as error:
        raise ConfinementError(str(error)) from error


def loaders(program: str) -> list[str]:
    """A program and what the kernel executes to start it: the interpreter of a script, the loader of a binary."""
    found = [program]
    for path in found:
        with suppress(OSError, struct.error, UnicodeDecodeError):
            if (next_one := _interpreter(Path(path))) and next_one not in found:
                found.append(next_one)
    return found


def _interpreter(path: Path) -> str:
    """What a script names in its first line, or an ELF file of 64 bits as its loader (``elf(5)``); empty without."""
    with path.open("rb") as file:
        head = file.read(64)
        if head.startswith(b"#!"):
            words = head[2:].splitlines()[0].split()
            return words[0].decode() if words else ""
        if head[:5] != b"\x7fELF\x02":
            return ""
        table, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        for at in range(count):
            file.seek(table + at * size)
            entry = file.read(56)
            if struct.unpack_from("<I", entry)[0] == 3:  # noqa: PLR2004 - PT_INTERP
                start, length = struct.unpack_from("<Q", entry, 8)[0], struct.unpack_from("<Q", entry, 32)[0]
                file.seek(start)
                return file.read(min(length, 4096)).rstrip(b"\0").decode()
    return ""
