"""Whose a file is, and whom its rights let in.

POSIX says both by owner and mode. Windows says it by access control lists, which files and folders inherit: a user's
profile is open to that user, the system and administrators alone. So there a place counts as private if it really lies
in the profile, and owner and mode, which Windows does not keep, are not asked.
"""

from __future__ import annotations

import os
import stat
import sys

from kb.system import WINDOWS
from kb.system.paths import expand_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# The rights of the group and of all others.
ANYONE_ELSE: Final = 0o077
ROOT: Final = 0


def user_id() -> int:
    """The number of this user; 0 where users have none."""
    if sys.platform == "win32":
        return 0
    return os.getuid()


def effective_user_id() -> int:
    """The number of the user with whose rights this process opens files; 0 where users have none."""
    if sys.platform == "win32":
        return 0
    return os.geteuid()


def is_root() -> bool:
    """Whether the rights of files do not bind this process."""
    if sys.platform == "win32":
        return False
    return os.geteuid() == ROOT


def is_own(about: os.stat_result) -> bool:
    """Whether a file belongs to this user; True where files tell no owner."""
    return WINDOWS or about.st_uid == user_id()


def rights_of_others(about: os.stat_result) -> int:
    """The bits of a file's mode that let in other users; 0 where modes say nothing."""
    return 0 if WINDOWS else about.st_mode & ANYONE_ELSE


def is_private_folder(folder: str) -> bool:
    """Whether a folder is there, is no link, and lets in this user alone."""
    try:
        about = os.lstat(folder)
    except (OSError, ValueError):
        return False
    if not stat.S_ISDIR(about.st_mode):
        return False
    return in_profile(folder) if WINDOWS else is_own(about) and not rights_of_others(about)


def in_profile(folder: str) -> bool:
    """Whether a folder really lies in the user's profile, junctions and links resolved."""
    profile = os.path.normcase(os.path.realpath(expand_home("~")))
    real = os.path.normcase(os.path.realpath(folder))
    return real.startswith(os.path.join(profile, ""))  # noqa: PTH118 - pathlib costs the client a tenth of its time


def user_name(number: int) -> str:
    """The name of a user, else ``uid`` and the number."""
    if sys.platform != "win32":
        import pwd

        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            pass
    return f"uid {number}"


def is_group_of_one(number: int) -> bool:
    """Whether a group has this user as its only member, as many systems create one for each user."""
    if sys.platform == "win32":
        return False
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return number == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
