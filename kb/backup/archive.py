"""A backup in one file: a tar archive of chunks, so that tar and zstd read it where there is no kb.

It begins with a text that says what it is. The manifest and the seal come last: the seal says where the manifest is,
and the SHA-256 of everything before it. kb reads no name of the archive: each header has to be, byte for byte, the one
that kb writes for the chunk that the manifest has there. So nothing in it can name a place outside.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import msgspec

from kb.backup.chunks import Chunk, compress, damaged, decompress, name_of
from kb.backup.manifest import LARGEST_MANIFEST, Manifest, decoded, encoded
from kb.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

_BLOCK: Final = 512
_FIRST: Final = "kb-backup.txt"
_MANIFEST: Final = "manifest.json"
_SEAL: Final = "seal.json"
# The seal fills one block, and an archive ends with two of zeros.
_END: Final = 4 * _BLOCK
_READ: Final = 1 << 20
ABOUT: Final = """\
A backup of kb, a local knowledge base: the text and the vectors of indexed files.

kb backup --verify FILE checks it, kb restore FILE restores it.

Without kb: manifest.json lists the chunks of each part in order. Each is compressed with Zstandard and named by the
SHA-256 of its content. The chunks of the catalog, one after the other, are an SQLite database. A block of vectors has
their digests (32 bytes each) and their numbers: little-endian float32, all first bytes, then all second ones, and so
on.
"""


class _Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of an archive.

    Attributes:
        offset: Where the manifest begins.
        size: How long it is, in bytes.
        sha256: The SHA-256 of everything before the seal.
    """

    offset: Annotated[int, msgspec.Meta(ge=0)]
    size: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_MANIFEST)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


def is_archive(beginning: bytes) -> bool:
    """Whether a file that begins with these bytes is a backup or an export of vectors."""
    return beginning.startswith(f"{_FIRST}\0".encode())


class ArchiveWriter:
    """Writes a backup into a file. Implements ``kb.backup.chunks.Sink``.

    Args:
        file: The file, empty.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sum = hashlib.sha256()
        self._at = 0
        self._chunks: dict[str, Chunk] = {}
        self._member(_FIRST, ABOUT.encode())

    def put(self, content: bytes, level: int) -> Chunk:
        """Store a chunk, unless it is there already."""
        name = name_of(content)
        known = self._chunks.get(name)
        if known is None:
            stored = compress(content, level)
            known = self._chunks[name] = Chunk(name, len(content), len(stored))
            self._member(_chunk_name(known), stored)
        return known

    def finish(self, manifest: Manifest) -> None:
        """Write the end of the file. The chunks were put in the order of the manifest."""
        data = encoded(manifest)
        offset = self._at
        self._member(_MANIFEST, data)
        self._member(_SEAL, _sealed(_Seal(offset, len(data), self._sum.hexdigest())))
        self._write(bytes(2 * _BLOCK))

    def _member(self, name: str, data: bytes) -> None:
        self._write(_header(name, len(data)) + data + bytes(-len(data) % _BLOCK))

    def _write(self, data: bytes) -> None:
        self._sum.update(data)
        self._at += len(data)
        self._file.write(data)


class ArchiveReader:
    """Reads a backup in a file. Implements ``kb.backup.chunks.Chunks``.

    Args:
        path: The file.

    Attributes:
        place: The file, for messages.
        manifest: What it holds.
        size: The number of bytes of the file.

    Raises:
        BackupError: It cannot be opened, or is no backup, or one of a newer version.
        BackupDamaged: It is incomplete, or its end is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._file = _opened(path)
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self._require_archive()
            self._seal = self._read_seal()
            self.manifest = self._read_manifest()
            self._offsets = self._places()
        except BaseException:
            self._file.close()
            raise

    def read(self, chunk: Chunk) -> bytes:
        """The content of a chunk; see ``Chunks``."""
        offset = self._offsets[chunk.sha256]
        self._expect(offset, _header(_chunk_name(chunk), chunk.stored))
        return decompress(chunk, self._read(offset + _BLOCK, chunk.stored), self.place)

    def verify(self, between: Callable[[], None] = lambda: None) -> None:
        """Check the whole file and each chunk.

        Args:
            between: Called before each piece.

        Raises:
            BackupDamaged: Something in it is not what was written.
        """
        found = hashlib.sha256()
        end = self.size - _END
        for start in range(0, end, _READ):
            between()
            found.update(self._read(start, min(_READ, end - start)))
        if found.hexdigest() != self._seal.sha256:
            raise damaged(self.place, "its checksum is not the one it was written with")
        for chunk in self.manifest.chunks():
            between()
            self.read(chunk)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _require_archive(self) -> None:
        if not is_archive(self._read(0, min(self.size, _BLOCK))):
            raise BackupError(f"{self.place} is not a backup of kb", "Name a file that kb backup or kb export wrote")

    def _read_seal(self) -> _Seal:
        if self.size < _END:
            raise damaged(self.place, "it is incomplete")
        self._expect(self.size - _END, _header(_SEAL, _BLOCK))
        data = self._read(self.size - _END + _BLOCK, 3 * _BLOCK)
        try:
            seal = msgspec.json.decode(data[:_BLOCK], type=_Seal)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise damaged(self.place, "its end makes no sense") from error
        if data != _sealed(seal) + bytes(2 * _BLOCK):
            raise damaged(self.place, "its end makes no sense")
        if seal.offset + _BLOCK + _padded(seal.size) != self.size - _END:
            raise damaged(self.place, "its manifest is not where its end says")
        return seal

    def _read_manifest(self) -> Manifest:
        self._expect(self._seal.offset, _header(_MANIFEST, self._seal.size))
        return decoded(self._read(self._seal.offset + _BLOCK, self._seal.size), self.place)

    def _places(self) -> dict[str, int]:
        """Where each chunk begins, by name."""
        places: dict[str, int] = {}
        # A later version may say more in the text at the beginning, so its length is read.
        header = self._read(0, _BLOCK)
        try:
            about = int(header[124:135], 8)
        except ValueError as error:
            raise damaged(self.place, "its beginning makes no sense") from error
        self._expect(0, _header(_FIRST, about))
        at = _BLOCK + _padded(about)
        for chunk in self.manifest.chunks():
            places[chunk.sha256] = at
            at += _BLOCK + _padded(chunk.stored)
        if at != self._seal.offset:
            raise damaged(self.place, "its chunks are not those of its manifest")
        return places

    def _expect(self, offset: int, header: bytes) -> None:
        """Check that a header is where it has to be.

        Raises:
            BackupDamaged: Something else is.
        """
        if self._read(offset, _BLOCK) != header:
            raise damaged(self.place, f"there is something else at byte {offset:,} than was written")

    def _read(self, offset: int, size: int) -> bytes:
        try:
            self._file.seek(offset)
            data = self._file.read(size)
        except OSError as error:
            raise unreadable(self.place, error) from error
        if len(data) != size:
            raise damaged(self.place, "it is incomplete")
        return data


def unreadable(place: str, error: OSError) -> BackupError:
    """The error for a backup that cannot be read."""
    reason = (error.strerror or str(error)).lower()
    return BackupError(f"{place} cannot be read: {reason}", "Check that its disk is there and that you may read it")


def _opened(path: Path) -> BinaryIO:
    """A file, opened for reading; a pipe does not block.

    Raises:
        BackupError: It cannot be opened, or is no regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise unreadable(str(path), error) from error
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise BackupError(f"{path} is not a file", "Name a file that kb backup or kb export wrote")
    return file


def _sealed(seal: _Seal) -> bytes:
    return msgspec.json.encode(seal).ljust(_BLOCK)


def _chunk_name(chunk: Chunk) -> str:
    return f"chunks/{chunk.sha256}.zst"


def _header(name: str, size: int) -> bytes:
    """The header of a member, the same for the same name and size."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member.tobuf(tarfile.USTAR_FORMAT)


def _padded(size: int) -> int:
    return size + -size % _BLOCK
