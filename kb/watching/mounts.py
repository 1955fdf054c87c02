"""Finds folders on file systems that do not report changes, such as network, container, WSL and FUSE mounts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

_MOUNTINFO: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")

# File systems that can change without the kernel's knowledge: by another machine, a host or a user-space program.
_EVENTLESS: Final = re.compile(
    r"""nfs\d? | cifs | smb\w* | ncpfs | afs | coda | ceph | glusterfs | lustre | beegfs\w* | gpfs | gfs2 | ocfs2
    | orangefs | pvfs2 | 9p | virtiofs | vboxsf | vmhgfs | prl_\w+ | drvfs | fakeowner | davfs\d? | fuse | fuse\..+""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: mount point, type and options."""

    point: str
    kind: str
    options: str = ""

    @property
    def eventless(self) -> bool:
        """Whether changes may not be reported."""
        return _EVENTLESS.fullmatch(self.kind) is not None


def mounts() -> str:
    """The kernel's mount table of this process; empty on systems without one."""
    try:
        return _MOUNTINFO.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def parse(table: str) -> tuple[Mount, ...]:
    """The mounts in a ``mountinfo`` text, in order. Malformed lines are skipped."""
    found = []
    for line in table.split("\n"):
        place, separator, source = line.partition(" - ")
        fields, kinds = place.split(" "), source.split(" ")
        if separator and len(fields) >= 5:  # noqa: PLR2004 - proc(5): the fifth field is the mount point
            found.append(Mount(_plain(fields[4]), kinds[0], " ".join(kinds[2:])))
    return tuple(found)


def points() -> frozenset[str]:
    """All mount points, on systems with a mount table."""
    return frozenset(mount.point for mount in parse(mounts()))


def points_below(folders: Collection[str], table: str) -> frozenset[str]:
    """The mount points inside some folders."""
    return frozenset(
        mount.point
        for mount in parse(table)
        if any(mount.point != folder and _within(mount.point, folder) for folder in folders)
    )


def without_events(folder: str, table: str | None = None) -> str | None:
    """Why a folder has no reliable events, as a sentence without a full stop; None if it has.

    Args:
        folder: An absolute real path.
        table: The text of a mount table; None for the kernel's.
    """
    around = [mount for mount in parse(mounts() if table is None else table) if _within(folder, mount.point)]
    if not around:
        return None
    # Of two mounts at one point, the later one hides the earlier.
    mount = max(reversed(around), key=lambda each: len(each.point))
    return _reason(folder, mount) if mount.eventless else None


def below_without_events(folder: str, table: str | None = None) -> str | None:
    """Why a part of a folder has no reliable events, by the first such mount in it; None if there is none."""
    below = {
        mount.point: mount
        for mount in parse(mounts() if table is None else table)
        if mount.point != folder and _within(mount.point, folder)
    }
    return next((_reason(point, mount) for point, mount in below.items() if mount.eventless), None)


def _reason(folder: str, mount: Mount) -> str:
    if mount.kind == "drvfs" or "aname=drvfs" in mount.options:
        return f"{folder} is on a Windows drive, whose changes are not reported to WSL"
    return f"{folder} is on a file system that does not report all changes ({mount.kind})"


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _plain(escaped: str) -> str:
    r"""A path with the kernel's octal escapes decoded (``\040`` is a space)."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), escaped)
