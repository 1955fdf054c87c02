"""Rights on files, TCP, signals and abstract sockets, by the kernel's Landlock (landlock(7)).

All rights that the kernel knows are handled, those of versions that are yet to come too: which there are is asked.
"""

from __future__ import annotations

import errno
import os
import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.extract.syscalls import FILES, NETWORK, SIGNALS, ConfinementError, call

if TYPE_CHECKING:
    from collections.abc import Iterable

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
