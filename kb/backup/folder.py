"""A folder of backups that share their chunks: each backup adds only what changed since the last one.

    FOLDER/kb-backup.txt             says what it is
    FOLDER/chunks/ab/<sha256>.zst    the chunks
    FOLDER/snapshots/<time>.json     a backup: its manifest, and the SHA-256 of that on a second line

A backup is there once its snapshot is. Chunks that no snapshot names are remainders, which the next backup removes.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from kb.backup.archive import ABOUT, unreadable
from kb.backup.chunks import LARGEST_CHUNK, Chunk, compress, damaged, decompress, name_of
from kb.backup.manifest import LARGEST_MANIFEST, Manifest, decoded, encoded
from kb.backup.target import write_error
from kb.backup.vectors import KeptBlocks, read_digests
from kb.errors import BackupDamaged, BackupError
from kb.system import shell
from kb.system.files import sync_directory, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from typing import Self

    from kb.backup.manifest import VectorBlock

_ABOUT: Final = "kb-backup.txt"
_CHUNKS: Final = "chunks"
_SNAPSHOTS: Final = "snapshots"
_LOCK: Final = ".lock"
# The name of a snapshot, as of strftime.
_NAME: Final = "%Y%m%dT%H%M%S.%fZ.json"
_PART: Final = ".part"
_WRITE_AGAIN: Final = (
    "kb backup --incremental writes it again where the store still has it; an older backup may be whole"
)
_SNAPSHOT: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.json")
_CHUNK: Final = re.compile(r"[0-9a-f]{64}\.zst(\.part)?")


def is_folder(path: Path) -> bool:
    """Whether a path is a folder of backups, or one of the backups in it."""
    root = _root_of(path)
    return root is not None and _holds_backups(root)


class FolderWriter:
    """Adds a backup to a folder. Implements ``kb.backup.chunks.Sink``.

    Args:
        folder: The folder; made if it is missing.
        step: Called with a description before each change on disk.

    Attributes:
        written: The number of bytes that this backup added.

    Raises:
        BackupError: There is something else in the folder, or another process is writing it.
    """

    def __init__(self, folder: Path, step: Callable[[str], None] = lambda _: None) -> None:
        self.written = 0
        self._folder = Path(os.path.realpath(folder))
        self._step = step
        self._known: dict[str, Chunk] = {}
        self._last: FolderReader | None = None
        self._lock = FileLock(self._folder / _LOCK, mode=0o600)
        with self._errors():
            self._prepare()
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise BackupError(f"another process is writing {folder}", "Wait until it is done") from error

    def put(self, content: bytes, level: int) -> Chunk:
        """Store a chunk, unless it is there already."""
        name = name_of(content)
        known = self._known.get(name)
        if known is not None and _size(self._path(known)) == known.stored:
            return known
        stored = compress(content, level)
        chunk = self._known[name] = Chunk(name, len(content), len(stored))
        with self._errors():
            self._write(self._path(chunk), stored)
        return chunk

    def kept_blocks(self, fingerprint: str, needed: Collection[bytes]) -> KeptBlocks:
        """The blocks of the last backup that are used again.

        A block of which less than half is needed is left out, so that its other half is written anew.
        """
        last = self._last
        if last is None or last.manifest.vectors.fingerprint != fingerprint:
            return KeptBlocks()
        blocks: list[VectorBlock] = []
        covered: set[bytes] = set()
        for block in last.manifest.vectors.blocks:
            if _size(self._path(block.rows)) != block.rows.stored:
                continue
            # A block that cannot be read is written anew.
            with suppress(BackupError):
                useful = {digest for digest in read_digests(block, last) if digest in needed}
                if 2 * len(useful) >= block.count:
                    blocks.append(block)
                    covered |= useful
        dimension = last.manifest.vectors.dimension if blocks else 0
        return KeptBlocks(tuple(blocks), frozenset(covered), dimension)

    def finish(self, manifest: Manifest, keep: int) -> Path:
        """Complete the backup, remove older ones and the chunks that only they had, and return its snapshot.

        Args:
            manifest: What it holds.
            keep: How many backups to keep.
        """
        with self._errors():
            for folder in {self._path(chunk).parent for chunk in manifest.chunks()}:
                sync_directory(str(folder))
            data = encoded(manifest)
            self._step("write the snapshot")
            place = self._folder / _SNAPSHOTS / self._next_name()
            self._write(place, _with_sum(data))
            sync_directory(str(place.parent))
            for old in _snapshots(self._folder)[:-keep]:
                self._step("remove an older backup")
                old.unlink()
            self._remove_unused()
        return place

    def _next_name(self) -> str:
        """The name of a new snapshot, the time of now: after all others, also after one of a clock that was wrong."""
        name = f"{datetime.now(UTC):{_NAME}}"
        last = next((path.name for path in reversed(_snapshots(self._folder))), "")
        if name > last:
            return name
        with suppress(ValueError, OverflowError):
            return f"{datetime.strptime(last, _NAME).replace(tzinfo=UTC) + timedelta(microseconds=1):{_NAME}}"
        raise BackupError(f"{self._folder / _SNAPSHOTS / last} is no backup of kb: its name is no time", "Move it away")

    def close(self) -> None:
        """Let other processes write to the folder."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _prepare(self) -> None:
        """Make the folder, and read what its last backup has."""
        folder = self._folder
        if folder.exists() and not folder.is_dir():
            raise BackupError(f"{folder} is not a folder", "Name a folder for --incremental, or leave that out")
        if not (folder / _ABOUT).is_file():
            strange = folder.is_dir() and any(path.name != _LOCK for path in folder.iterdir())
            if strange and not _holds_backups(folder):
                raise BackupError(f"{folder} contains files that are not backups", "Name an empty or a new folder")
            folder.mkdir(mode=0o700, exist_ok=True)
            self._write(folder / _ABOUT, ABOUT.encode())
        for name in (_CHUNKS, _SNAPSHOTS):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        for path in reversed(_snapshots(folder)):
            with suppress(BackupDamaged):
                self._last = FolderReader(path)
                self._known = {chunk.sha256: chunk for chunk in self._last.manifest.chunks()}
                return

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file whole, for its owner only."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._step("write a chunk")
        write_whole(str(path), data, draft=f"{path}{_PART}")
        self.written += len(data)

    def _remove_unused(self) -> None:
        """Remove chunks that no backup has. Where a snapshot cannot be read, they may be its own, and stay."""
        used: set[str] = set()
        for path in _snapshots(self._folder):
            try:
                used |= {chunk.sha256 for chunk in _read_snapshot(path).chunks()}
            except BackupError:
                return
        # Nothing else is looked at, such as what a file manager leaves in folders that it has shown.
        for path in (self._folder / _CHUNKS).glob("*/*"):
            if _CHUNK.fullmatch(path.name) and (path.name.endswith(_PART) or path.stem not in used):
                self._step("remove a chunk")
                path.unlink()

    def _path(self, chunk: Chunk) -> Path:
        return _chunk_path(self._folder, chunk)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_error(self._folder, error) from error


class FolderReader:
    """Reads a backup in a folder. Implements ``kb.backup.chunks.Chunks``.

    Args:
        path: The folder, for its newest backup, or the snapshot of one.

    Attributes:
        place: The snapshot, for messages.
        manifest: What it holds.
        size: The number of bytes of its chunks.

    Raises:
        BackupError: There is none.
        BackupDamaged: Its snapshot is damaged.
    """

    def __init__(self, path: Path) -> None:
        root = _root_of(path)
        if root is None:
            raise BackupError(f"{path} is not a backup of kb", "Name a file or a folder that kb backup wrote")
        snapshots = [path] if root != path else _snapshots(root)
        if not snapshots:
            raise BackupError(
                f"there is no backup in {path}", f"kb backup --incremental {shell.quote(str(path))} makes one"
            )
        self.place = str(snapshots[-1])
        self.manifest = _read_snapshot(snapshots[-1])
        self.size = sum(chunk.stored for chunk in self.manifest.chunks())
        self._root = root

    def read(self, chunk: Chunk) -> bytes:
        """The content of a chunk; see ``Chunks``."""
        path = _chunk_path(self._root, chunk)
        stored = _read(path, LARGEST_CHUNK)
        if stored is None:
            raise damaged(self.place, f"{path} is missing", _WRITE_AGAIN)
        if len(stored) != chunk.stored:
            raise damaged(self.place, f"{path} is not as long as it was when it was written", _WRITE_AGAIN)
        return decompress(chunk, stored, str(path), f"Delete that file. {_WRITE_AGAIN}")

    def verify(self, between: Callable[[], None] = lambda: None) -> None:
        """Check each chunk.

        Args:
            between: Called before each chunk.

        Raises:
            BackupDamaged: One is missing, or not what was written.
        """
        for chunk in self.manifest.chunks():
            between()
            self.read(chunk)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _root_of(path: Path) -> Path | None:
    """The folder of backups that a path means: itself, or the one of a snapshot."""
    if path.is_dir():
        return path
    return path.parent.parent if path.parent.name == _SNAPSHOTS and _SNAPSHOT.fullmatch(path.name) else None


def _holds_backups(root: Path) -> bool:
    """Whether a folder says that it has backups, or has some without that."""
    return (root / _ABOUT).is_file() or bool(_snapshots(root))


def _snapshots(root: Path) -> list[Path]:
    """The snapshots in a folder, the newest last."""
    folder = root / _SNAPSHOTS
    return sorted(path for path in folder.iterdir() if _SNAPSHOT.fullmatch(path.name)) if folder.is_dir() else []


def _read_snapshot(path: Path) -> Manifest:
    """The manifest of a snapshot.

    Raises:
        BackupDamaged: It is not what was written.
    """
    data = _read(path, LARGEST_MANIFEST)
    if data is None:
        raise damaged(str(path), "it is missing")
    manifest = data.partition(b"\n")[0]
    if data != _with_sum(manifest):
        raise damaged(str(path), "its checksum is not the one it was written with")
    return decoded(manifest, str(path))


def _with_sum(data: bytes) -> bytes:
    return b"%b\n%b\n" % (data, hashlib.sha256(data).hexdigest().encode())


def _chunk_path(root: Path, chunk: Chunk) -> Path:
    return root / _CHUNKS / chunk.sha256[:2] / f"{chunk.sha256}.zst"


def _size(path: Path) -> int:
    """The size of a regular file; -1 if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def _read(path: Path, most: int) -> bytes | None:
    """A regular file, without following a link and without blocking; None if there is none of at most this size.

    Raises:
        BackupError: It cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    size = _size(path)
    if not 0 <= size <= most:
        return None
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            # No more than is there: that much memory is taken, and cleared, before anything is read.
            return file.read(size + 1)
    except OSError as error:
        raise unreadable(str(path), error) from error
