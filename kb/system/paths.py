r"""Paths, which kb writes with slashes on every system, as git does: ``C:/notes/a.md``.

What people type may have backslashes on Windows, and ``in_own_form`` gives back what they are used to see.
"""

from __future__ import annotations

import os

from kb.system import WINDOWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# Windows takes longer paths only with a prefix, by which it interprets nothing in them. A directory is to leave room
# for a name of the form 8.3.
_LONGEST: Final = 247
_EXTENDED: Final = "\\\\?\\"


def with_slashes(path: str, *, windows: bool = WINDOWS) -> str:
    """A path as kb keeps it. On POSIX, a backslash is a character of a name like any other."""
    return path.replace("\\", "/") if windows else path


def in_own_form(path: str, *, windows: bool = WINDOWS) -> str:
    """A path as the system shows it."""
    return path.replace("/", "\\") if windows else path


def real_path(path: str) -> str:
    """The path of a file or folder with links resolved, as kb keeps it; as far as it exists."""
    return with_slashes(os.path.realpath(path))


def expand_home(path: str) -> str:
    """Expand a leading ``~`` or ``~name`` of a path.

    As in a shell, one that names no user stays as it is: ``~draft.md`` is a file like any other. pathlib would raise,
    and would not take undecodable bytes.
    """
    return os.path.expanduser(path)  # noqa: PTH111 - see above


def is_absolute(path: str, *, windows: bool = WINDOWS) -> bool:
    """Whether a path names a place whatever the current folder is: a pattern begins there then."""
    return path.startswith("/") or (windows and path[1:2] == ":" and path[0].isalpha() and path[0].isascii())


def to_the_system(path: str, *, windows: bool = WINDOWS) -> str:
    r"""A path to give to the system: as it is, or on Windows with ``\\?\`` where it is too long without.

    Args:
        path: An absolute path.
        windows: Whether this is Windows.
    """
    if windows and path.endswith(":"):
        # Without a slash it would be the current folder of that drive.
        return f"{path}/"
    if not windows or len(path) <= _LONGEST or path.startswith(_EXTENDED):
        return path
    plain = path.replace("/", "\\")
    return f"{_EXTENDED}UNC\\{plain[2:]}" if plain.startswith("\\\\") else f"{_EXTENDED}{plain}"
