"""What a backup is made of: a copy of the catalog at one moment, and the vectors of the passages in it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kb.backup.manifest import CatalogPart, VectorPart
from kb.backup.vectors import BlockWriter, KeptBlocks, write_vectors
from kb.errors import StoreError
from kb.sqlite import connect_unshared
from kb.store.catalog_rows import text_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from kb.backup.chunks import Chunk, Sink
    from kb.backup.vectors import Lookup

# Whole pages of a database, so that those that did not change are the same chunks in the next backup.
_CATALOG_CHUNK: Final = 1 << 20
_CATALOG_LEVEL: Final = 3
_NONE_KEPT: Final = KeptBlocks()

# A passage that is about to be live may have its vector already; one that leaves needs none.
_NEEDED: Final = """
    SELECT digest, max(state = 'live') FROM passages WHERE state != 'leaving' GROUP BY digest ORDER BY min(key)
"""
# Those that wait to be embedded are not in the vector index.
_IDS: Final = """
    SELECT digest, min(id) FROM passages
    WHERE state = 'live' AND key NOT IN (SELECT passage FROM unembedded) GROUP BY digest
"""


@dataclass(frozen=True, slots=True)
class CatalogCopy:
    """A copy of a catalog, and what it needs.

    Attributes:
        path: The copy.
        model: The name of the model.
        fingerprint: The fingerprint of the model.
        folders: The folders of its files, for messages.
        files: How many files are indexed.
        passages: How many live passages there are.
        needed: The digests of its texts, each with whether a live passage has it.
    """

    path: Path
    model: str
    fingerprint: str
    folders: tuple[str, ...]
    files: int
    passages: int
    needed: Mapping[bytes, bool]


def look_into(path: Path, store: str) -> CatalogCopy:
    """What a copy of a catalog needs.

    Args:
        path: The copy.
        store: The store, for messages.

    Raises:
        StoreError: Nothing was indexed in it.
    """
    with closing(_opened(path)) as connection:
        meta = {text_of(key): text_of(value) for key, value in connection.execute("SELECT key, value FROM meta")}
        if "fingerprint" not in meta:
            raise StoreError(f"nothing is indexed in the store at {store}", "Run kb index first")
        folders = connection.execute("SELECT DISTINCT folder FROM files ORDER BY folder").fetchall()
        return CatalogCopy(
            path,
            meta.get("model", ""),
            meta["fingerprint"],
            tuple(row[0].decode("utf-8", "replace") for row in folders),
            _number(connection, "SELECT count(*) FROM files WHERE state = 'done'"),
            _number(connection, "SELECT count(*) FROM passages WHERE state = 'live'"),
            {digest: bool(live) for digest, live in connection.execute(_NEEDED)},
        )


def put_catalog(path: Path, sink: Sink, between: Callable[[], None]) -> CatalogPart:
    """Put a copy of a catalog into a backup, chunk by chunk."""
    chunks: list[Chunk] = []
    size = 0
    with path.open("rb") as file:
        while piece := file.read(_CATALOG_CHUNK):
            between()
            chunks.append(sink.put(piece, _CATALOG_LEVEL))
            size += len(piece)
    return CatalogPart(size, tuple(chunks))


class VectorSource:
    """Where the vectors of passages come from.

    Args:
        cache: Finds vectors by digest.
        index: Finds vectors by the ids of passages in the vector index; slower, and needs the store's lock.
    """

    def __init__(self, cache: Lookup, index: Callable[[Sequence[str]], Mapping[str, NDArray[np.float32]]]) -> None:
        self._cache = cache
        self._index = index

    def put(
        self,
        copy: CatalogCopy,
        sink: Sink,
        between: Callable[[], None],
        kept: KeptBlocks = _NONE_KEPT,
    ) -> tuple[VectorPart, int]:
        """Put the vectors that a catalog needs into a backup.

        Args:
            copy: The catalog.
            sink: The backup.
            between: Called before each page.
            kept: Blocks that the backup has already.

        Returns:
            The vectors, and the number of texts of live passages whose vector is nowhere.
        """
        writer = BlockWriter(sink)
        wanted = [digest for digest in copy.needed if digest not in kept.digests]
        uncached = write_vectors(wanted, self._cache, writer, between)
        lacking = {digest for digest in uncached if copy.needed[digest]}
        ids = _ids_of(copy.path, lacking) if lacking else {}
        if indexed := [digest for digest in wanted if digest in ids]:
            lost = write_vectors(indexed, lambda page: self._by_id(page, ids), writer, between)
            lacking -= ids.keys() - lost
        writer.flush()
        # A block is added whole, with vectors of other texts in it.
        part = VectorPart(copy.fingerprint, writer.dimension or kept.dimension, (*kept.blocks, *writer.blocks))
        return part, len(lacking)

    def _by_id(self, digests: Sequence[bytes], ids: Mapping[bytes, str]) -> dict[bytes, NDArray[np.float32]]:
        found = self._index([ids[digest] for digest in digests])
        return {digest: found[ids[digest]] for digest in digests if ids[digest] in found}


def _ids_of(path: Path, digests: Collection[bytes]) -> dict[bytes, str]:
    """A live passage with a vector for each of some digests that has one."""
    wanted = set(digests)
    with closing(_opened(path)) as connection:
        return {digest: text_of(id_) for digest, id_ in connection.execute(_IDS) if digest in wanted}


def _opened(path: Path) -> sqlite3.Connection:
    connection = connect_unshared(str(path))
    connection.text_factory = bytes
    return connection


def _number(connection: sqlite3.Connection, statement: str) -> int:
    found: tuple[Any, ...] = connection.execute(statement).fetchone()
    return int(found[0])
