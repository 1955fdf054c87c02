"""Atomic writes of the small files in a store, and error messages for failed file operations.

A store that was copied, synced or restored may have a directory or a link in place of one of kb's files. Writing
through a link would change a file elsewhere, and a directory would make every run fail.
"""

from __future__ import annotations

import errno
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import StoreError
from kb.system import WINDOWS, shell
from kb.system.files import write_whole
from kb.system.users import effective_user_id, is_root, user_name

if TYPE_CHECKING:
    from collections.abc import Callable

CHOOSE: Final = "set store.path to"
"""How the user chooses another folder for the store."""


def clear_path(path: Path) -> bool:
    """Remove anything other than a regular file from the path of one of kb's own files.

    A link is deleted without its target; a directory is renamed to ``damaged-<time>``, like a damaged index.

    Returns:
        Whether something was removed.

    Raises:
        OSError: It cannot be removed.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISREG(mode):
        return False
    if stat.S_ISDIR(mode):
        path.rename(path.parent / damaged_name(datetime.now(UTC)))
    else:
        path.unlink()
    return True


def damaged_name(now: datetime) -> str:
    """The name of a directory that is set aside at a time."""
    return f"damaged-{now:%Y%m%dT%H%M%S.%fZ}"


def write_atomically(path: Path, text: str, step: Callable[[str], None] = lambda _: None) -> None:
    """Replace a file atomically: after an interruption it has its old content or the new one.

    Args:
        path: The file.
        text: Its new content.
        step: Called with a description before each change on disk.

    Raises:
        OSError: It cannot be written.
    """
    clear_path(path)
    draft = path.parent / f"{path.name}.new"
    clear_path(draft)
    write_whole(str(path), text.encode(), draft=str(draft), step=step)


def store_error_for(what: str, error: OSError, place: str, *, choose: str = CHOOSE) -> StoreError:
    """The ``StoreError`` for an error of the operating system, with a remedy.

    Args:
        what: The name of the file or directory in the message.
        error: The error.
        place: The path.
        choose: How the user chooses another folder, in words that the folder follows.
    """
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return disk_full(what)
        case errno.ENOMEM:
            return no_memory(what)
        case errno.EROFS:
            return StoreError(
                f"{what} cannot be written: its file system is mounted read-only",
                f"Mount it for writing, or {choose} another folder",
            )
        case errno.EACCES | errno.EPERM:
            return forbidden(what, place, choose=choose)
        case errno.EMFILE | errno.ENFILE:
            return StoreError(
                f"{what} cannot be opened: too many files are open",
                "End other programs and try again" if WINDOWS else "Run ulimit -n 4096 and try again",
            )
    return StoreError(
        f"{what} cannot be used: {error.strerror or error}",
        "Check that its disk is there and works, and run the command again",
    )


def disk_full(what: str) -> StoreError:
    """The error for a full disk."""
    return StoreError(
        f"the disk is full: {what} cannot be written",
        "Free some space and run the command again; nothing that was written before is lost",
    )


def no_memory(what: str) -> StoreError:
    """The error for too little memory."""
    return StoreError(f"there is too little memory to use {what}", "End other programs and run the command again")


def forbidden(what: str, place: str, *, choose: str = CHOOSE) -> StoreError:
    """The error for missing permissions; the remedy depends on the owner of the file."""
    nearest = _nearest_there(place)
    about = nearest.stat() if nearest is not None else None
    if about is not None and about.st_uid != effective_user_id() and not is_root():
        return StoreError(
            f"{what} belongs to another user ({user_name(about.st_uid)}), and you may not use it",
            f"{choose[0].upper()}{choose[1:]} a folder of your own, or run kb as that user",
        )
    return StoreError(
        f"{what} may not be read and written by you",
        f"Run {shell.let_in(str(nearest or place))} and run the command again",
    )


def _nearest_there(place: str) -> Path | None:
    """The path, or its nearest accessible parent."""
    for path in (Path(place), *Path(place).parents):
        with suppress(OSError):
            path.lstat()
            return path
    return None
