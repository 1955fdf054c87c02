"""Files as a scan finds them and as the catalog knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from datetime import date

FileState = Literal["pending", "done", "failed"]


@dataclass(frozen=True, slots=True)
class FileStat:
    """What ``stat`` says of a file, as far as it tells whether the file changed."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


RACY_NS: Final = 2_000_000_000


def is_racy(stat: FileStat, read_ns: int) -> bool:
    """Whether a file may have been written again after it was read, and have the same stat.

    Its file system's clock may not have ticked in between (FAT counts in steps of two seconds): where the file was
    written less than that before it was read, its stat proves nothing and its content decides.

    Args:
        stat: What was seen when it was read.
        read_ns: When the reading began.
    """
    return read_ns - stat.mtime_ns < RACY_NS


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that a scan found and that belongs to the index."""

    folder: str
    path: str
    stat: FileStat

    @property
    def key(self) -> tuple[str, str]:
        """What tells this file from every other one: (folder, path)."""
        return (self.folder, self.path)


@dataclass(frozen=True, slots=True)
class Failure:
    """A file (or folder) that could not be indexed, and why in one sentence."""

    folder: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan of all folders found.

    ``problems`` are files that belong but cannot be taken (too large, unreadable, special files). ``missing`` are
    folders that are not there at all and ``unread`` the directories, as (folder, path), that could not be listed:
    nothing may be concluded about what is below either. ``excluded`` counts what the rules left out. ``folders`` are
    those that were asked for, and ``empty`` those that have no entry at all, as where a disk is not mounted. ``mounts``
    are the directories below them, as (folder, path), where another file system is mounted.
    """

    files: tuple[FoundFile, ...]
    problems: tuple[Failure, ...] = ()
    missing: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    excluded: int = 0
    folders: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of a file with the stat they were read under and their SHA-256."""

    file: FoundFile
    data: bytes
    content_hash: bytes
    read_ns: int


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file as the catalog knows it; ``unread`` says what of it was not read, empty where all was."""

    id: int
    folder: str
    path: str
    stat: FileStat
    content_hash: bytes
    read_ns: int
    state: FileState
    title: str = ""
    kind: str = ""
    tags: tuple[str, ...] = ()
    date: date | None = None
    reason: str = ""
    replaced: int = 0
    passages: int = 0
    language: str = ""
    author: str = ""
    unread: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells this file from every other one: (folder, path)."""
        return (self.folder, self.path)
