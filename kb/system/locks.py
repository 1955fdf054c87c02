"""Locks on files, which the operating system releases when their holder ends.

On POSIX a lock covers the file and its text can be read all the same. On Windows it covers one byte, and nobody else
can read that one: ``AT_BEGINNING`` is where filelock locks its files, and ``PAST_END`` leaves the text alone.
"""

from __future__ import annotations

import os
import sys

from kb.system.files import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

AT_BEGINNING: Final = 0
PAST_END: Final = 1 << 30


def try_lock(descriptor: int, at: int = AT_BEGINNING, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed; False if another process has it locked.

    Args:
        descriptor: The open file.
        at: Which byte is locked on Windows; its position in the file is moved there.
        shared: Whether others may lock it in the same way. Windows has exclusive locks only.

    Raises:
        OSError: The file system has no locks.
    """
    if sys.platform == "win32":
        import errno
        import msvcrt

        os.lseek(descriptor, at, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EDEADLK}:
                raise
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: str, at: int = AT_BEGINNING) -> bool:
    """Whether a process holds a lock on a file; False if there is no such file. Nothing in it is changed.

    The file is locked for an instant to find out; whoever tries to take the lock meanwhile has to try again.

    Raises:
        OSError: It cannot be opened, or the file system has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else reading())
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor, at, shared=True)
    finally:
        os.close(descriptor)


def lock_directory(path: str) -> int | None:
    """Lock a directory, where the system can, and return the descriptor that holds the lock; None where it cannot.

    Windows needs no such lock: nobody can remove a lock file there while it is open.

    Raises:
        BlockingIOError: Another process has locked it.
        OSError: It cannot be opened.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        locked = try_lock(descriptor)
    except OSError:
        # Some file systems, such as NFS, cannot lock directories.
        os.close(descriptor)
        return None
    if not locked:
        os.close(descriptor)
        raise BlockingIOError(path)
    return descriptor
