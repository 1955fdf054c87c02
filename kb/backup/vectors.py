"""Vectors as chunks: blocks of digests with the numbers that belong to them.

The numbers are little-endian float32, all first bytes before all second ones and so on. What the numbers of unit
vectors have in common is in their highest byte, so this compresses to five sixths of the size, and faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from kb.backup.chunks import damaged
from kb.backup.manifest import DIGEST_BYTES, NUMBER_BYTES, VectorBlock, VectorPart

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.backup.chunks import Chunks, Sink

    # Returns the known vectors of some texts, by digest.
    Lookup: TypeAlias = Callable[[Sequence[bytes]], Mapping[bytes, NDArray[np.float32]]]

_STORED: Final = np.dtype("<f4")
_BLOCK_BYTES: Final = 4 << 20
# Vectors of a model in half precision are normalized in float32, so that they are longer or shorter by less.
_TOLERANCE: Final = 0.01
_LEVEL: Final = 1
# So many vectors are looked up at once.
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class KeptBlocks:
    """Blocks of an earlier backup that a new one has too.

    Attributes:
        blocks: The blocks.
        digests: The digests in them that the new backup needs.
        dimension: The length of their vectors; 0 where there is none.
    """

    blocks: tuple[VectorBlock, ...] = ()
    digests: frozenset[bytes] = frozenset()
    dimension: int = 0


class BlockWriter:
    """Collects vectors into blocks of some megabytes.

    Args:
        sink: Takes the blocks.

    Attributes:
        blocks: The blocks that were written.
        dimension: The length of a vector; 0 before the first one.
    """

    def __init__(self, sink: Sink) -> None:
        self.blocks: list[VectorBlock] = []
        self.dimension = 0
        self._sink = sink
        self._digests: list[bytes] = []
        self._rows: list[NDArray[np.float32]] = []

    def add(self, digest: bytes, vector: NDArray[np.float32]) -> None:
        """Add a vector, and write a block if it is full."""
        self.dimension = len(vector)
        self._digests.append(digest)
        self._rows.append(vector)
        if len(self._rows) * self.dimension * NUMBER_BYTES >= _BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was added as a block."""
        if not self._rows:
            return
        digests = self._sink.put(b"".join(self._digests), _LEVEL)
        rows = self._sink.put(_planes(np.stack(self._rows)), _LEVEL)
        self.blocks.append(VectorBlock(len(self._rows), digests, rows))
        self._digests, self._rows = [], []


def write_vectors(
    needed: Sequence[bytes], lookup: Lookup, writer: BlockWriter, between: Callable[[], None]
) -> set[bytes]:
    """Write the vectors of some texts, and return the digests whose vectors are not known.

    Args:
        needed: The digests, each once.
        lookup: Finds vectors.
        writer: Takes them.
        between: Called before each page.
    """
    lacking: set[bytes] = set()
    for start in range(0, len(needed), _PAGE):
        between()
        part = needed[start : start + _PAGE]
        found = lookup(part)
        for digest in part:
            vector = found.get(digest)
            if vector is None:
                lacking.add(digest)
            else:
                writer.add(digest, vector)
    return lacking


def read_digests(block: VectorBlock, chunks: Chunks) -> list[bytes]:
    """The digests of a block."""
    data = chunks.read(block.digests)
    return [data[start : start + DIGEST_BYTES] for start in range(0, len(data), DIGEST_BYTES)]


def read_vectors(
    part: VectorPart, chunks: Chunks, place: str, wanted: Collection[bytes] | None = None
) -> Iterator[dict[bytes, NDArray[np.float32]]]:
    """The vectors of a backup by digest, block by block.

    Args:
        part: Where they are.
        chunks: Gives the chunks.
        place: The backup, for messages.
        wanted: The digests to read; None for all.

    Raises:
        BackupDamaged: The length of a vector is not 1.
    """
    for block in part.blocks:
        digests = read_digests(block, chunks)
        if wanted is not None and not any(digest in wanted for digest in digests):
            continue
        rows = _rows(chunks.read(block.rows), part.dimension)
        if not _are_unit(rows):
            raise damaged(place, "the length of a vector is not 1")
        yield {digest: row for digest, row in zip(digests, rows, strict=True) if wanted is None or digest in wanted}


def _are_unit(rows: NDArray[np.float32]) -> bool:
    """Whether all rows have length 1. Numbers that are not finite have no such length."""
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        return bool((np.abs(lengths - 1) <= _TOLERANCE).all())


def _planes(rows: NDArray[np.float32]) -> bytes:
    numbers = np.ascontiguousarray(rows, _STORED).view(np.uint8).reshape(-1, NUMBER_BYTES)
    return np.ascontiguousarray(numbers.T).tobytes()


def _rows(planes: bytes, dimension: int) -> NDArray[np.float32]:
    numbers = np.frombuffer(planes, np.uint8).reshape(NUMBER_BYTES, -1)
    return np.ascontiguousarray(numbers.T).view(_STORED).reshape(-1, dimension)
