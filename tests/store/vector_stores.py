"""Small real ChromaDB stores for the tests of the vector index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kb.embedding.bge_m3 import BgeM3EmbeddingFunction
from kb.records import VectorRecord
from kb.store import local_chroma
from kb.store.chroma import ChromaIndex, Pace

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

COLLECTION = "kb-passages"
FINGERPRINT = "test model, revision 1"
DIMENSION = 64


def function() -> BgeM3EmbeddingFunction:
    """The embedding function of kb, which loads nothing before its first text."""
    return BgeM3EmbeddingFunction(model="all-MiniLM-L6-v2", offline=True)


def unit_vectors(number: int, dimension: int = DIMENSION, seed: int = 0) -> NDArray[np.float32]:
    """Clustered vectors of length 1, like those of texts."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(1, number // 20), dimension))
    vectors = centres[random.integers(len(centres), size=number)] + 0.6 * random.normal(size=(number, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def make_records(vectors: NDArray[np.float32], first: int = 0) -> list[VectorRecord]:
    """One record for each vector, three to a file."""
    return [
        VectorRecord(
            id=f"{first + position:08x}",
            vector=vector,
            text=f"passage {first + position}",
            labels={"file": (first + position) // 3, "path": f"notes/{(first + position) // 3}.md", "heading": "Title"},
        )
        for position, vector in enumerate(vectors)
    ]


def open_index(
    directory: Path | str,
    *,
    create: bool = True,
    dimension: int = DIMENSION,
    sync_threshold: int = 1000,
    pace: Pace | None = None,
) -> ChromaIndex:
    """The index in a directory, created if missing."""
    return local_chroma.open_index(
        str(directory),
        COLLECTION,
        FINGERPRINT,
        dimension,
        function(),
        create=create,
        sync_threshold=sync_threshold,
        pace=pace,
    )


def make_store(directory: Path | str, number: int, sync_threshold: int = 1000) -> list[VectorRecord]:
    """A closed store with a number of records, and the records."""
    records = make_records(unit_vectors(number))
    index = open_index(directory, sync_threshold=sync_threshold, pace=Pace(100))
    index.upsert(records)
    index.close()
    return records
