"""The small files of a store: written whole or not at all, and whatever stands in their place taken out of the way.

A store that was copied, synced or restored may have a directory or a link where one of kb's files belongs. Writing
through a link would change a file elsewhere, and a directory would stand in the way of every run.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kb.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable


def make_way(path: Path) -> bool:
    """Take whatever is no regular file out of the place of one of kb's own files; whether something stood there.

    A link is removed, what it leads to stays; a directory becomes ``damaged-<time>``, as a damaged index does.

    Raises:
        OSError: It cannot be moved.
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
    """What a directory is called that was set aside now."""
    return f"damaged-{now:%Y%m%dT%H%M%S.%fZ}"


def write_whole(path: Path, text: str, step: Callable[[str], None] = lambda _: None) -> None:
    """Write a file of kb's own, so that it has its old content or all of the new one, whenever this is cut off.

    ``step`` is called before each change on the disk with a word for it.

    Raises:
        OSError: It cannot be written.
    """
    make_way(path)
    draft = path.parent / f"{path.name}.new"
    make_way(draft)
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        step("flush a file")
        os.fsync(file.fileno())
    step("rename a file")
    draft.replace(path)


def unusable(what: str, error: OSError, place: str) -> StoreError:
    """What an error of the operating system means for a part of the store, and what helps.

    Args:
        what: How the message calls the part.
        error: What happened.
        place: Its path.
    """
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return disk_full(what)
        case errno.ENOMEM:
            return no_memory(what)
        case errno.EROFS:
            return StoreError(
                f"{what} cannot be written: its file system is mounted read-only",
                "Mount it for writing, or set store.path to another folder",
            )
        case errno.EACCES | errno.EPERM:
            return forbidden(what, place)
        case errno.EMFILE | errno.ENFILE:
            return StoreError(f"{what} cannot be opened: too many files are open", "Run ulimit -n 4096 and try again")
    return StoreError(
        f"{what} cannot be used: {error.strerror or error}",
        "Check that its disk is there and works, and run the command again",
    )


def disk_full(what: str) -> StoreError:
    """The disk has no room for what has to be written."""
    return StoreError(
        f"the disk is full: {what} cannot be written",
        "Free some space and run the command again; nothing that was written before is lost",
    )


def no_memory(what: str) -> StoreError:
    """The system has no memory for what has to be read."""
    return StoreError(f"there is too little memory to use {what}", "End other programs and run the command again")


def forbidden(what: str, place: str) -> StoreError:
    """A part of the store may not be read or written; what lifts that depends on whose it is."""
    nearest = _nearest_there(place)
    owner = nearest.stat().st_uid if nearest is not None else os.geteuid()
    if owner != os.geteuid() != 0:
        return StoreError(
            f"{what} belongs to another user ({_name(owner)}), and you may not use it",
            "Set store.path to a folder of your own, or run kb as that user",
        )
    return StoreError(
        f"{what} may not be read and written by you",
        f"Run chmod -R u+rwX {shlex.quote(str(nearest or place))} and run the command again",
    )


def _nearest_there(place: str) -> Path | None:
    """The place, or the first folder above it that can be looked at."""
    for path in (Path(place), *Path(place).parents):
        with suppress(OSError):
            path.lstat()
            return path
    return None


def _name(uid: int) -> str:
    import pwd  # where there are no owners of files, there is no such module

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
