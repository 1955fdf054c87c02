"""Opens and reads regular files without ever hanging or mixing two states, and says why one cannot be read."""

from __future__ import annotations

import errno
import os
import stat as modes
from typing import TYPE_CHECKING, BinaryIO, Final

from kb.errors import DocumentError
from kb.records import FileStat

if TYPE_CHECKING:
    from collections.abc import Iterable

MEGABYTE: Final = 1_000_000
MAX_FILE: Final = "folders.max_file_mb"

_CHUNK: Final = 1 << 20
# Not to wait for the writer of a FIFO, not to follow a link put there meanwhile, not to pass the file to children.
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_KINDS: Final = (
    (modes.S_ISDIR, "a folder"),
    (modes.S_ISLNK, "a symbolic link"),
    (modes.S_ISFIFO, "a FIFO"),
    (modes.S_ISSOCK, "a socket"),
    (modes.S_ISCHR, "a device"),
    (modes.S_ISBLK, "a device"),
)


def open_file(place: str) -> BinaryIO:
    """Open a file for reading, unbuffered; a link or a FIFO put there meanwhile does no harm.

    Raises:
        OSError: It cannot be opened.
    """
    return os.fdopen(os.open(place, _FLAGS), "rb", buffering=0)


def read_steadily(stream: BinaryIO, max_bytes: int, key: str = MAX_FILE) -> tuple[bytes, FileStat] | None:
    """All bytes of an open file with its stat, or None where the two do not belong together.

    Args:
        stream: The file, opened without a buffer.
        max_bytes: The most that is read, however much the file grows meanwhile.
        key: The key of the configuration that says so.

    Raises:
        DocumentError: It is no regular file, or too large.
        OSError: It cannot be read.
    """
    before = os.fstat(stream.fileno())
    if not modes.S_ISREG(before.st_mode):
        raise not_a_file(before.st_mode)
    if before.st_size > max_bytes:
        raise too_large(before.st_size, max_bytes, key)
    # Files that a kernel makes up say they are empty, and are not.
    expected = before.st_size or max_bytes
    chunks = []
    size = 0
    # One byte past the expected end shows a file that grew.
    while size <= expected and (chunk := stream.read(min(expected + 1 - size, _CHUNK))):
        chunks.append(chunk)
        size += len(chunk)
    if size > max_bytes:
        raise too_large(size, max_bytes, key)
    stat = stat_of(os.fstat(stream.fileno()))
    steady = stat == stat_of(before) and stat.size in {0, size}
    return (b"".join(chunks), stat) if steady else None


def stat_of(found: os.stat_result) -> FileStat:
    """What kb keeps of a stat."""
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def too_large(size: int, max_bytes: int, key: str = MAX_FILE) -> DocumentError:
    """Why a file over the limit is not read, with as many digits as it takes to see that it is over."""
    actual = limit = ""
    for digits in range(7):
        actual, limit = (f"{number / MEGABYTE:,.{digits}f}" for number in (size, max_bytes))
        if actual != limit and round(float(limit.replace(",", "")) * MEGABYTE) == max_bytes:
            break
    return DocumentError(
        f"is {actual} MB, over the limit of {limit} MB ({key})", "Raise the limit, or exclude the file"
    )


def not_a_file(mode: int) -> DocumentError:
    """Why something that is no regular file is not read."""
    kind = next((kind for test, kind in _KINDS if test(mode)), "something special")
    return DocumentError(f"is {kind}, not a file", "Move it out of the folder, or exclude it")


def explained(error: OSError | ValueError) -> DocumentError:
    """The error of the operating system as a reason that can be shown beside a path."""
    if isinstance(error, PermissionError):
        return DocumentError("cannot be read: permission denied", "Give yourself permission, or exclude it")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return DocumentError("is no longer there", "It is forgotten at the next run")
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return DocumentError("is a symbolic link, not a file", "Put the file itself there")
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return DocumentError(f"cannot be read: {detail}", "Check the disk; it is tried again at the next run")


def join(directory: str, name: str) -> str:
    """The path of a name in a directory, which may be the root of the file system."""
    return f"{directory}{name}" if directory.endswith("/") else f"{directory}/{name}"


def inside(path: str, directories: Iterable[str]) -> bool:
    """Whether a path is one of the directories or below one."""
    return any(path == directory or path.startswith(join(directory, "")) for directory in directories)
