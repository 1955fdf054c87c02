"""Chunks: pieces of a backup, compressed with Zstandard and named by the SHA-256 of their content.

A backup may come from anywhere. The size of a chunk is known before it is decompressed, and nothing past it is.
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import msgspec

from kb.errors import BackupDamaged

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

LARGEST_CHUNK: Final = 16 << 20
"""The most bytes that a chunk may have, compressed or not."""

USE_ANOTHER: Final = "Use another backup; nothing was changed"
# Zstandard's frames may ask for gigabytes of memory; a window of this size (as a power of two) holds any chunk.
_WINDOW_LOG: Final = 24
_NAME: Final = r"\A[0-9a-f]{64}\Z"

Size = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_CHUNK)]


class Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of a backup.

    Attributes:
        sha256: The SHA-256 of its content, in hexadecimal; its name.
        size: The number of bytes of its content.
        stored: The number of bytes of its compressed form.
    """

    sha256: Annotated[str, msgspec.Meta(pattern=_NAME)]
    size: Size
    stored: Size


class Sink(Protocol):
    """Takes the chunks of a new backup."""

    def put(self, content: bytes, level: int) -> Chunk:
        """Store a chunk, unless it is there already.

        Args:
            content: Its content.
            level: The level of compression.
        """


class Chunks(Protocol):
    """Gives the chunks of a backup."""

    def read(self, chunk: Chunk) -> bytes:
        """The content of a chunk.

        Raises:
            BackupDamaged: It is missing, or not what its name says.
        """


def name_of(content: bytes) -> str:
    """The name of a chunk."""
    return hashlib.sha256(content).hexdigest()


def compress(content: bytes, level: int) -> bytes:
    """The compressed form of a chunk."""
    return zstd.compress(content, level)


def decompress(chunk: Chunk, stored: bytes, place: str, remedy: str = USE_ANOTHER) -> bytes:
    """The content of a chunk, checked against its size and its name.

    Args:
        chunk: What the manifest says of it.
        stored: Its compressed form.
        place: The backup, for messages.
        remedy: What to do about damage.

    Raises:
        BackupDamaged: It is not what the manifest says.
    """
    decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    try:
        content = decompressor.decompress(stored, max_length=chunk.size)
    except zstd.ZstdError as error:
        raise damaged(place, f"chunk {chunk.sha256[:12]} cannot be decompressed", remedy) from error
    if not decompressor.eof or decompressor.unused_data or name_of(content) != chunk.sha256:
        raise damaged(place, f"chunk {chunk.sha256[:12]} is not what it was", remedy)
    return content


def damaged(place: str, detail: str, remedy: str = USE_ANOTHER) -> BackupDamaged:
    """The error for a damaged backup.

    Args:
        place: The backup.
        detail: What is wrong with it.
        remedy: What to do about it.
    """
    return BackupDamaged(f"{place} is damaged: {detail}", remedy)
