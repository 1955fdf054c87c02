"""Records of files: as found by a scan, and as stored in the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

FileState = Literal["pending", "done", "failed"]

Subtree: TypeAlias = tuple[str, str]
"""A watched folder, and the path in it of a file or directory with all that is below it ("" for the folder itself)."""


def absolute_path(folder: str, path: str) -> str:
    """The absolute path of a file in a watched folder, or of the folder itself where the path is empty."""
    return f"{folder.rstrip('/')}/{path}" if path else folder


def subtrees_above(place: Subtree) -> Iterator[Subtree]:
    """The subtrees that a subtree is a part of, the nearest first; the last is the folder."""
    folder, path = place
    while path:
        path = path.rpartition("/")[0]
        yield folder, path


@dataclass(frozen=True, slots=True)
class FileStat:
    """The fields of ``stat`` that show whether a file changed. Times are in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


RACY_NS: Final = 2_000_000_000


def is_racy(stat: FileStat, read_ns: int) -> bool:
    """Whether a file may have changed after it was read without a new stat.

    File systems have clocks as coarse as two seconds (FAT): where a file was written less than that before it was read,
    its content has to be compared.

    Args:
        stat: Its stat when it was read.
        read_ns: When reading began, in nanoseconds since the epoch.
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
        """What identifies the file: (folder, path)."""
        return (self.folder, self.path)


@dataclass(frozen=True, slots=True)
class Failure:
    """A file (or folder) that could not be indexed, and why in one sentence."""

    folder: str
    path: str
    reason: str

    @property
    def absolute_path(self) -> str:
        """Its absolute path."""
        return absolute_path(self.folder, self.path)


@dataclass(frozen=True, slots=True)
class ScanBasis:
    """What a scan of some places relies on: as long as it is still so, the other places are what events say of them.

    Attributes:
        folders: Each folder with the device and inode of its real path.
        rules: For each folder, the texts of the ignore files above it.
        mounts: The mount points inside the folders.
        links: The symbolic links that may be followed, each as its own absolute path and its target's.
        several_names: The files with several names (hard links): they may be written through another one at any time.
    """

    folders: tuple[tuple[str, tuple[int, int]], ...]
    rules: tuple[tuple[str, ...], ...]
    mounts: frozenset[str]
    links: tuple[tuple[str, str], ...] = ()
    several_names: frozenset[Subtree] = frozenset()


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of a scan of all folders, or of some places in them.

    Attributes:
        files: The files to index.
        problems: Files that should be indexed and cannot be: too large, unreadable, special files.
        missing: Folders that do not exist; nothing is known about the files below them.
        unread: Directories that could not be listed, as (folder, path); the same holds for them.
        excluded: How many entries the rules excluded.
        folders: The scanned folders.
        empty: Folders without any entry, as where a disk is not mounted.
        mounts: Directories where another file system is mounted, as (folder, path).
        basis: What later scans of some places may rely on; None where only whole ones are sure.
        places: The places that were scanned; None if all folders were.
    """

    files: tuple[FoundFile, ...]
    problems: tuple[Failure, ...] = ()
    missing: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    excluded: int = 0
    folders: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()
    basis: ScanBasis | None = None
    places: frozenset[Subtree] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The content of a file.

    Attributes:
        file: The file, with its stat when it was read.
        data: Its bytes.
        content_hash: Their SHA-256.
        read_ns: When reading began, in nanoseconds since the epoch.
    """

    file: FoundFile
    data: bytes
    content_hash: bytes
    read_ns: int


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file in the catalog.

    Attributes:
        id: Its id, never reused.
        folder: Its watched folder.
        path: Its path in that folder; ``absolute_path`` is both together.
        stat: Its stat when it was read.
        content_hash: The SHA-256 of its content.
        read_ns: When it was read, in nanoseconds since the epoch.
        state: Whether it is indexed, about to be, or could not be.
        title: Its title.
        kind: Its kind, such as ``markdown``.
        tags: Its tags.
        date: Its own date, if it has one.
        reason: Why it could not be indexed.
        replaced: How many characters could not be decoded.
        passages: How many passages it has.
        language: The ISO 639 code of its language; empty where unknown.
        author: Its author.
        unread: What of it was not read; empty where everything was.
    """

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
        """What identifies the file: (folder, path)."""
        return (self.folder, self.path)

    @property
    def absolute_path(self) -> str:
        """Its absolute path."""
        return absolute_path(self.folder, self.path)
