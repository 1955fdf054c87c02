"""What is done to files, beside reading: writing them whole, flushing directories, replacing and closing to others."""

from __future__ import annotations

import os
import secrets
import stat
import sys
import time
from contextlib import suppress

from kb.system import WINDOWS
from kb.system.paths import to_the_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_TRIES: Final = 50
_PAUSE_SECONDS: Final = 0.02
# IO_REPARSE_TAG_MOUNT_POINT; the tags of files that are kept in a cloud are others.
_JUNCTION: Final = 0xA0000003


def sync_directory(path: str) -> None:
    """Have the names in a directory on the disk. Windows opens no directories; NTFS keeps names in its journal.

    Raises:
        OSError: The disk fails.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: str) -> None:
    """Have the content of a file on the disk that was written by somebody else.

    Raises:
        OSError: It cannot be opened, or the disk fails.
    """
    # Windows flushes only what may be written to.
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(source: str, target: str) -> None:
    """Put a file in the place of another one, atomically.

    Windows refuses while somebody has the other one open: a reader, or a scanner that looks for viruses. Both take
    moments, so for up to a second it is tried again.

    Raises:
        OSError: It cannot be replaced.
    """
    for _ in range(_TRIES if WINDOWS else 0):
        try:
            os.replace(source, target)  # noqa: PTH105 - pathlib costs the client a tenth of its time
        except PermissionError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return
    os.replace(source, target)  # noqa: PTH105 - the same


def write_whole(
    path: str,
    data: bytes,
    *,
    mode: int | None = 0o600,
    draft: str = "",
    durable: bool = True,
    step: Callable[[str], None] = lambda _: None,
) -> None:
    """Replace a file, or make it: after an interruption it has its old content or the new one.

    Args:
        path: The file; a link is replaced and not followed.
        data: Its content.
        mode: Its permissions; None for those it has, and for a new file those that the umask leaves.
        draft: Where it is written first, in the same folder, over what was left there; by default under a name that
            no other process uses.
        durable: Whether it is on the disk when this returns.
        step: Called with a description before each change on disk.

    Raises:
        OSError: It cannot be written.
    """
    folder, name = os.path.split(path)
    if not draft:
        draft = os.path.join(folder, f".{name}.{secrets.token_hex(4)}")  # noqa: PTH118 - names as str
    elif os.path.lexists(draft):
        os.unlink(draft)  # noqa: PTH108 - the same
    if mode is None:
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 - the same
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(draft, flags, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                step("flush a file")
                os.fsync(file.fileno())
        if mode is not None:
            os.chmod(draft, mode)  # noqa: PTH101 - the same
        step("rename a file")
        replace_file(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)  # noqa: PTH108 - the same
        raise


def make_private(descriptor: int) -> None:
    """Take the rights of other users from an open file; on Windows it has those of its folder."""
    if sys.platform != "win32":
        os.fchmod(descriptor, 0o600)


def reading() -> int:
    """Flags of ``os.open`` that follow no link, wait for no FIFO, hand nothing to children, and translate no text."""
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_NOCTTY", "O_BINARY", "O_NOINHERIT"):
        flags |= getattr(os, name, 0)
    return flags


def is_junction(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a junction, which is a link to a folder although Windows does not call it one."""
    return WINDOWS and getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) == _JUNCTION


def stat_of_entry(entry: os.DirEntry[str]) -> os.stat_result:
    """The stat of an entry of a directory, not of what it links to.

    On Windows a listing has neither inodes nor exact times, so that the file itself is asked.

    Raises:
        OSError: It is gone, or may not be asked.
    """
    return os.lstat(to_the_system(entry.path)) if WINDOWS else entry.stat(follow_symlinks=False)
