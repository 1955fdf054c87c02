"""Confines a process: Landlock, capabilities, a filter of system calls, resource limits.

On Linux this takes a dozen system calls without a Python binding, made through the C library; see landlock(7),
seccomp(2), capget(2) and prctl(2). On other systems there are only limits on what it may take
(``kb.sandbox.limits``).

Measures that a system does not offer are skipped and reported (``offered``, ``confinement``). One that it offers and
that fails raises ``ConfinementError``, since a parser must not run with more rights than are reported.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.sandbox import limits
from kb.sandbox.seccomp import filter_calls, filters_calls
from kb.sandbox.syscalls import (
    CAPABILITIES,
    FILES,
    MEASURES,
    MEMORY_PRIVATE,
    NETWORK,
    PRIVILEGES,
    SIGNALS,
    SYSTEM_CALLS,
    ConfinementError,
    call,
    machine,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.records import Confinement

# --- Landlock: files, TCP, signals and abstract sockets -----------------------------------------------------------
# Every right that the kernel knows is restricted, including those of future versions: the kernel is asked for them.

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
    """What the Landlock of the kernel can restrict.

    Attributes:
        version: The version of its interface; 0 if there is none.
        files: A mask of rights on files.
        network: A mask of rights on the network.
        scopes: A mask of scopes.
    """

    version: int = 0
    files: int = 0
    network: int = 0
    scopes: int = 0


@cache
def landlock() -> Landlock:
    """Return all rights that the Landlock of this kernel knows, found by trying them one by one."""
    try:
        version = call("landlock_create_ruleset", None, 0, _CREATE_RULESET_VERSION)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}:  # not built, disabled, or blocked by a filter
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
    """Restrict this thread, and those it starts, to some rights on files.

    Args:
        rules: Paths, and the rights on them and all below them. Paths that do not exist are skipped.

    Returns:
        The measures in force.
    """
    known = landlock()
    if not known.version:
        return []
    ruleset = _ruleset(known.files, known.network, known.scopes)
    try:
        for path, rights in rules:
            try:
                place = _place(path)
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


def _place(path: str) -> int:
    """Open a path to name it in a rule."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def measures_of(known: Landlock) -> list[str]:
    """Return the measures that a Landlock can enforce."""
    scoped = known.scopes & _SCOPED == _SCOPED
    return [FILES, *([NETWORK] if known.network & _TCP == _TCP else ()), *([SIGNALS] if scoped else ())]


# --- Privileges ---------------------------------------------------------------------------------------------------

_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39
_CAPABILITY_VERSION_3: Final = 0x20080522
_CAP_DAC_READ_SEARCH: Final = 2


def _give_up_privileges(*, dumpable: bool) -> list[str]:
    """Rule out new privileges and, unless ``dumpable``, access to memory by other processes of the user."""
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
    """Drop all capabilities, except those in the mask ``keep`` that the process has."""
    head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    kept = keep & _effective_capabilities()
    low, high = kept & 0xFFFFFFFF, kept >> 32
    call("capset", head, struct.pack("=6I", low, low, 0, high, high, 0))


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


@cache
def offered() -> tuple[str, ...]:
    """Return the measures that this system offers for a parsing process."""
    found = set(limits.offered())
    if machine() is not None:
        found |= {PRIVILEGES, MEMORY_PRIVATE, CAPABILITIES, *measures_of(landlock())}
        found -= set() if landlock().version else {FILES, NETWORK, SIGNALS}
        found |= {SYSTEM_CALLS} if filters_calls() else set()
    return tuple(one for one in MEASURES if one in found)


def landlock_version() -> int:
    """Return the version of the kernel's Landlock interface; 0 if it has none."""
    return landlock().version if machine() is not None else 0


def confinement() -> Confinement:
    """Return the measures that confine parsing processes, and those that this system does not offer, for ``kb status``.

    No process is started: one with fewer measures in force than are offered here parses nothing (``kb.sandbox.pool``).
    """
    from kb.records import Confinement

    measures = offered()
    return Confinement(landlock_version(), measures, tuple(one for one in MEASURES if one not in measures))


# --- Stages of confinement ----------------------------------------------------------------------------------------


def before_loading() -> list[str]:
    """Give up what loading libraries does not need: writing, sockets, signals and privileges.

    It has to be called before any thread starts.

    Returns:
        The measures that are in force.

    Raises:
        ConfinementError: One that this system offers cannot be taken.
    """
    if machine() is None:
        return []
    try:
        taken = _give_up_privileges(dumpable=False)
        # Root may have to read libraries that belong to other users.
        _drop_capabilities(keep=1 << _CAP_DAC_READ_SEARCH)
        return [*taken, *restrict([("/", READ_FILE | READ_DIR)])]
    except OSError as error:
        raise ConfinementError(str(error)) from error


def after_loading(*, memory: int, cpu: int) -> list[str]:
    """Give up what parsing does not need, once its libraries are loaded: files, sockets, processes, programs.

    Args:
        memory: The most address space of the process, in bytes.
        cpu: The most processor time that it may take, in seconds.

    Returns:
        The measures that are in force.

    Raises:
        ConfinementError: One that this system offers cannot be taken.
    """
    try:
        taken: list[str] = []
        threads = limits.most_threads()
        if machine() is not None:
            _drop_capabilities()
            taken.append(CAPABILITIES)
            # Threads that libraries have started keep the earlier rules, under which they may read files. The filter of
            # system calls applies to them as well, and does not let them open any.
            restrict(())
        taken += limits.lower(memory=memory, cpu=cpu, output=0, descriptors=0, threads=threads)
        taken += filter_calls(reads_files=False)
    except (OSError, ValueError) as error:
        raise ConfinementError(str(error)) from error
    return taken


def before_program(
    *, executable: Sequence[str], readable: Sequence[str], writable: str, memory: int, cpu: int, output: int
) -> None:
    """Confine a program that is about to be executed to its files and one folder.

    Args:
        executable: The files that may be executed: the program and its loader.
        readable: Files and folders that it may read.
        writable: The folder that it may write to.
        memory: The most address space, in bytes.
        cpu: The most processor time, in seconds.
        output: The most bytes of a file that it writes.

    Raises:
        ConfinementError: A measure that this system offers cannot be taken.
    """
    try:
        threads = limits.most_threads()
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
        # On Windows nothing is executed in the place of this process.
        limits.lower(memory=memory, cpu=cpu, output=output, descriptors=64, threads=threads, processes=2)
        filter_calls(reads_files=True)
    except (OSError, ValueError) as error:
        raise ConfinementError(str(error)) from error
