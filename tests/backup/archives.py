"""Backups made by hand, for tests of what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kb.backup.archive import ArchiveWriter
from kb.backup.manifest import CatalogPart, Manifest, VectorPart
from kb.backup.vectors import BlockWriter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from kb.backup.chunks import Sink

FINGERPRINT = "a model unit float 8"
CATALOG = b"the pages of a catalog " * 40


def units(count: int, dimension: int = 8) -> NDArray[np.float32]:
    """Vectors of length 1."""
    rows = np.random.default_rng(count).standard_normal((count, dimension))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def digests(count: int) -> list[bytes]:
    """Digests of as many texts."""
    return [number.to_bytes(32, "big") for number in range(count)]


def put_vectors(sink: Sink, rows: NDArray[np.float32]) -> VectorPart:
    """Put vectors into a backup."""
    writer = BlockWriter(sink)
    for digest, row in zip(digests(len(rows)), rows, strict=True):
        writer.add(digest, row)
    writer.flush()
    return VectorPart(FINGERPRINT, rows.shape[1], tuple(writer.blocks))


def manifest(catalog: CatalogPart | None, vectors: VectorPart, **given: object) -> Manifest:
    """A manifest with what is not said filled in."""
    values: dict[str, object] = {
        "format": 1,
        "kind": "vectors" if catalog is None else "backup",
        "kb": "0",
        "created": "2026-01-15T12:00:00+00:00",
        "model": "a model",
        "folders": ("/notes",),
        "files": 1,
        "passages": 3,
        "without_vector": 0,
        "catalog": catalog,
        "vectors": vectors,
    }
    return Manifest(**{**values, **given})  # type: ignore[arg-type]  # whatever the test says


def write_archive(
    path: Path, *, catalog: bytes | None = CATALOG, rows: NDArray[np.float32] | None = None, **given: object
) -> Manifest:
    """Write an archive with a catalog of one chunk, and vectors; its manifest says what is given."""
    with path.open("wb") as file:
        archive = ArchiveWriter(file)
        part = None if catalog is None else CatalogPart(len(catalog), (archive.put(catalog, 3),))
        written = manifest(part, put_vectors(archive, units(3) if rows is None else rows), **given)
        archive.finish(written)
    return written
