"""Takes a process's rights away: Landlock, a filter of system calls, limits.

On Linux these are a dozen system calls that Python has no names for, made through the C library. The interfaces are
those of the manual pages landlock(7), seccomp(2), capget(2) and prctl(2). Elsewhere there are resource limits alone.

What a system lacks is left out and told (``offered``); what it has and refuses raises ``ConfinementError``, since a
parser must not run with more rights than it is said to have.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.sandbox.seccomp import filter_calls, filters_calls
from kb.sandbox.syscalls import (
    CAPABILITIES,
    CORE_DUMPS,
    CPU,
    DESCRIPTORS,
    FILES,
    MEASURES,
    MEMORY,
    MEMORY_PRIVATE,
    NETWORK,
    OUTPUT,
    PRIVILEGES,
    SIGNALS,
    SYSTEM_CALLS,
    THREADS,
    ConfinementError,
    call,
    machine,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Rights on files, TCP, signals and abstract sockets, by the kernel's Landlock (landlock(7)).
#
# All rights that the kernel knows are handled, those of versions that are yet to come too: which there are is asked.

EXECUTE: Final = 1 << 0
WRITE_FILE: Final = 1 << 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
_ON_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_TCP: Final = 0b11
_SCOPED: Final = 0b11
_MOST_RIGHTS: Final = 64


class Landlock(NamedTuple):
    """What the kernel's Landlock can restrict: its version, and masks of rights on files, on the network, of scopes."""

    version: int = 0
    files: int = 0
    network: int = 0
    scopes: int = 0


@cache
def landlock() -> Landlock:
    """All rights that this kernel's Landlock knows, found by asking: newer kernels have more than there were today."""
    try:
        version = call("landlock_create_ruleset", None, 0, _CREATE_RULESET_VERSION)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}:  # not built in, switched off, filtered away
            return Landlock()
        raise ConfinementError(f"Landlock: {error}") from error
    found = [0, 0, 0]
    for which in range(3):
        for bit in range(_MOST_RIGHTS):
            tried = [*found]
            tried[which] |= 1 << bit
            if not _is_ruleset(*tried):
                break
            found = tried
    return Landlock(version, *found)


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
    return call("landlock_create_ruleset", attributes, len(attributes), 0)


def restrict(rules: Iterable[tuple[str, int]]) -> list[str]:
    """Leave this thread, and those it starts, the rights on files that are named and no other.

    Args:
        rules: Paths and what may be done with them and all below them; what is not there is left out.
    """
    known = landlock()
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
                call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
            finally:
                os.close(place)
        call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return measures_of(known)


def measures_of(known: Landlock) -> list[str]:
    """The measures that such a Landlock is enough for."""
    scoped = known.scopes & _SCOPED == _SCOPED
    return [FILES, *([NETWORK] if known.network & _TCP == _TCP else ()), *([SIGNALS] if scoped else ())]


# Loaded at once: a process that is confined can load nothing any more.
try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]


# More than any parser starts. The system counts all threads of a user together, so those there are come on top.
_MOST_THREADS: Final = 1024

_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39
_CAPABILITY_VERSION_3: Final = 0x20080522
_CAP_DAC_READ_SEARCH: Final = 2


def _give_up_privileges(*, dumpable: bool) -> list[str]:
    """No program that is started gives new rights; no other process of the user reads this one's memory."""
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if call("prctl", _PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        raise ConfinementError("new privileges are not ruled out")
    if dumpable:
        return [PRIVILEGES]
    call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
    if call("prctl", _PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise ConfinementError("its memory can be read by others")
    return [PRIVILEGES, MEMORY_PRIVATE]


def _drop_capabilities(keep: int = 0) -> None:
    """Root without its powers is a user like any other; ``keep`` has the bits of those that it keeps if it has them."""
    head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    kept = keep & _effective_capabilities()
    low, high = kept & 0xFFFFFFFF, kept >> 32
    call("capset", head, struct.pack("=6I", low, low, 0, high, high, 0))


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


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


@cache
def offered() -> tuple[str, ...]:
    """The measures that this system offers for a parsing process; asking changes nothing."""
    found = set(_limits_offered())
    if machine() is not None:
        found |= {PRIVILEGES, MEMORY_PRIVATE, CAPABILITIES, *measures_of(landlock())}
        found -= set() if landlock().version else {FILES, NETWORK, SIGNALS}
        found |= {SYSTEM_CALLS} if filters_calls() else set()
    return tuple(one for one in MEASURES if one in found)


def landlock_version() -> int:
    """The version of the kernel's Landlock interface; 0 where it has none."""
    return landlock().version if machine() is not None else 0


def before_loading() -> list[str]:
    """Give up, before any thread exists, what loading libraries has no use for: writing, sockets, signals, powers.

    Returns:
        The measures that are in force.

    Raises:
        ConfinementError: One that this system offers cannot be taken.
    """
    if machine() is None:
        return []
    try:
        taken = _give_up_privileges(dumpable=False)
        # Root may have to read libraries in folders of somebody else's.
        _drop_capabilities(keep=1 << _CAP_DAC_READ_SEARCH)
        return [*taken, *restrict([("/", READ_FILE | READ_DIR)])]
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
        if machine() is not None:
            _drop_capabilities()
            taken.append(CAPABILITIES)
            # Threads that libraries have started keep the first rules, under which they may read. The filter of system
            # calls, which is theirs too, leaves them nothing to open a file with.
            restrict(())
        taken += _limits(memory, cpu, output=0, descriptors=0, threads=threads)
        taken += filter_calls(reads_files=False)
    except (OSError, ValueError) as error:
        raise ConfinementError(str(error)) from error
    return taken


def before_program(
    *, executable: Sequence[str], readable: Sequence[str], writable: str, memory: int, cpu: int, output: int
) -> None:
    """Leave a program that is about to be started what it needs and nothing else: its files, one folder, its exec.

    Args:
        executable: The program, and what the system needs to load it; nothing else can be executed.
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
        if machine() is not None:
            _give_up_privileges(dumpable=True)
            _drop_capabilities()
            everything = landlock().files
            restrict(
                [
                    *((path, READ_FILE | READ_DIR) for path in readable),
                    *((path, READ_FILE | EXECUTE) for path in executable),
                    (os.devnull, READ_FILE | WRITE_FILE),
                    (writable, everything & ~EXECUTE),
                ]
            )
        _limits(memory, cpu, output=output, descriptors=64, threads=threads)
        filter_calls(reads_files=True)
    except (OSError, ValueError) as error:
        raise ConfinementError(str(error)) from error
