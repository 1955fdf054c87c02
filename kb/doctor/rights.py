"""Whether this user may use files and folders, and the command that changes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kb.system import shell
from kb.system.users import is_own

if TYPE_CHECKING:
    from collections.abc import Sequence


def closed(folder: str, place: str, rights: int = os.R_OK) -> str:
    """What keeps this user from a file: the file, or a folder around it.

    Args:
        folder: The folder to begin with.
        place: The file, or folder, below it.
        rights: The rights that are needed, as of ``os.access``.

    Returns:
        The path; empty if nothing does, or the file is not there.
    """
    if os.access(place, rights):
        return ""
    around = [place]
    while around[-1] != folder and (above := os.path.dirname(around[-1])) != around[-1]:  # noqa: PTH120 - undecodable bytes
        around.append(above)
    outer = (one for one in reversed(around[1:]) if not os.access(one, os.R_OK | os.X_OK))
    first = next(outer, place)
    return first if os.path.exists(first) else ""  # noqa: PTH110 - the same


def let_in(places: Sequence[str], folder: str = "") -> str:
    """The command that lets this user read and write files and folders, also those of another user.

    Args:
        places: The files and folders.
        folder: A folder around all of them that may be opened as a whole; empty for the nearest.
    """
    whole = folder or os.path.commonpath(places)
    return shell.let_in(whole) if all(is_own(os.lstat(one)) for one in places) else shell.take(whole)
