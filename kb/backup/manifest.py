"""The manifest of a backup: what it holds, and the chunks of each part with their sizes and checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from kb.backup.chunks import Chunk, damaged
from kb.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT: Final = 1
"""The version of the format. A higher one is refused."""
LARGEST_MANIFEST: Final = 64 << 20
"""The most bytes that a manifest may have: enough for a catalog of 300 GB."""

DIGEST_BYTES: Final = 32
NUMBER_BYTES: Final = 4
_WIDEST: Final = 65_536

Count = Annotated[int, msgspec.Meta(ge=0, le=2**48)]
Text = Annotated[str, msgspec.Meta(max_length=4096)]


class CatalogPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The catalog in a backup.

    Attributes:
        size: The number of bytes of its database.
        chunks: The chunks that make it up, in order.
    """

    size: Count
    chunks: tuple[Chunk, ...]


class VectorBlock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some of the vectors in a backup.

    Attributes:
        count: How many.
        digests: The digests of their texts, 32 bytes each.
        rows: Their numbers; ``kb.backup.vectors`` says how.
    """

    count: Annotated[int, msgspec.Meta(ge=1)]
    digests: Chunk
    rows: Chunk


class VectorPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vectors in a backup, of one model.

    Attributes:
        fingerprint: The fingerprint of the model.
        dimension: The length of a vector; 0 where there is none.
        blocks: Where they are. A text is in one block only.
    """

    fingerprint: Text
    dimension: Annotated[int, msgspec.Meta(ge=0, le=_WIDEST)]
    blocks: tuple[VectorBlock, ...]

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return sum(block.count for block in self.blocks)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup holds.

    Attributes:
        format: The version of the format.
        kind: A backup of a store, or vectors for another machine.
        kb: The version of kb that wrote it.
        created: When, in ISO 8601 with a time zone.
        model: The name of the model.
        folders: The watched folders, for messages.
        files: How many files are indexed.
        passages: How many passages there are.
        without_vector: How many of them have no vector in the backup, so that the next index run embeds them.
        catalog: The catalog; None in a file of vectors.
        vectors: The vectors.
    """

    format: Literal[1]
    kind: Literal["backup", "vectors"]
    kb: Text
    created: Text
    model: Text
    folders: tuple[Text, ...]
    files: Count
    passages: Count
    without_vector: Count
    catalog: CatalogPart | None
    vectors: VectorPart

    def listed(self) -> Iterator[Chunk]:
        """The chunks in the order in which a single file has them; one that is in several places several times."""
        if self.catalog:
            yield from self.catalog.chunks
        for block in self.vectors.blocks:
            yield block.digests
            yield block.rows

    def chunks(self) -> Iterator[Chunk]:
        """Every chunk once, in the order in which a single file has them."""
        seen: set[str] = set()
        for chunk in self.listed():
            if chunk.sha256 not in seen:
                seen.add(chunk.sha256)
                yield chunk

    @property
    def size(self) -> int:
        """The number of bytes of catalog and vectors, before compression."""
        return (self.catalog.size if self.catalog else 0) + sum(
            block.digests.size + block.rows.size for block in self.vectors.blocks
        )


class _Version(msgspec.Struct):
    """The one field of a manifest that every version of the format has."""

    format: int


def encoded(manifest: Manifest) -> bytes:
    """A manifest as JSON."""
    return msgspec.json.encode(manifest)


def decoded(data: bytes, place: str) -> Manifest:
    """The manifest in some JSON, with sizes that agree.

    Args:
        data: The JSON.
        place: The backup, for messages.

    Raises:
        BackupDamaged: It is no manifest, or contradicts itself.
        BackupError: A newer version of kb wrote it.
    """
    try:
        version = msgspec.json.decode(data, type=_Version).format
        if version > FORMAT:
            raise BackupError(
                f"{place} was written by a newer kb (format {version}, this kb knows {FORMAT})", "Update kb"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise damaged(place, f"its manifest makes no sense ({error})") from error
    if wrong := _contradiction(manifest):
        raise damaged(place, f"its manifest makes no sense ({wrong})")
    return manifest


def _contradiction(manifest: Manifest) -> str:
    """What of a manifest contradicts something else in it; empty if nothing does."""
    known = {chunk.sha256: chunk for chunk in manifest.chunks()}
    if any(known[chunk.sha256] != chunk for chunk in manifest.listed()):
        return "a chunk has two sizes"
    if (manifest.catalog is None) != (manifest.kind == "vectors"):
        return "it has no catalog" if manifest.kind == "backup" else "a catalog is in a file of vectors"
    if manifest.catalog and sum(chunk.size for chunk in manifest.catalog.chunks) != manifest.catalog.size:
        return "the catalog has another size than its chunks"
    row = manifest.vectors.dimension * NUMBER_BYTES
    if any(
        (block.digests.size, block.rows.size) != (block.count * DIGEST_BYTES, block.count * row)
        for block in manifest.vectors.blocks
    ):
        return "vectors have another size than their chunks"
    return ""
