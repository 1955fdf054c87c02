"""Exact search over the vectors of all passages in memory, for commands without a daemon.

Opening ChromaDB costs a command a second, most of it for the import. The catalog knows which passages are live, and the
embedding cache has their vectors; where they are few enough to be read in less time than that, ChromaDB is not opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records import Candidates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from kb.ports import Catalog, VectorCache

# Read in less time than it takes to open ChromaDB: 31,000 passages of bge-m3, 83,000 of the bundled model.
MOST_BYTES: Final = 128_000_000
_NUMBER: Final = 4


class ExactIndex:
    """The vectors of passages, searchable. Implements ``kb.ports.Nearest``.

    Args:
        ids: The passages.
        files: The file id of each.
        vectors: The vector of each, shape (passages, dimension).
    """

    def __init__(self, ids: Sequence[str], files: Sequence[int], vectors: NDArray[np.float32]) -> None:
        self._ids = ids
        self._files = np.array(files, dtype=np.int64)
        self._vectors = vectors
        self._places: Mapping[str, int] | None = None

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """Return the ``count`` records nearest to a vector by cosine, best first, of the given files only."""
        among = np.arange(len(self._ids)) if files is None else np.flatnonzero(np.isin(self._files, list(files)))
        scores = (self._vectors if files is None else self._vectors[among]) @ np.asarray(vector, dtype=np.float32)
        best = np.argsort(-scores, kind="stable")[: max(0, count)]
        chosen = among[best]
        return Candidates(ids=tuple(self._ids[place] for place in chosen), vectors=self._vectors[chosen])

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the vectors of the ids that exist."""
        if self._places is None:
            self._places = {id_: place for place, id_ in enumerate(self._ids)}
        return {id_: self._vectors[self._places[id_]] for id_ in ids if id_ in self._places}


def exact_index(
    catalog: Catalog, cache: VectorCache, fingerprint: str, dimension: int, most_bytes: int = MOST_BYTES
) -> ExactIndex | None:
    """Return an index of all passages with a vector; None where they are too many, or the cache lacks one.

    Args:
        catalog: The catalog, which knows the passages.
        cache: The embedding cache.
        fingerprint: The fingerprint of the model.
        dimension: The length of a vector.
        most_bytes: The most bytes of vectors to load.
    """
    if catalog.count_embedded() * dimension * _NUMBER > most_bytes:
        return None
    live = catalog.with_vectors()
    known = cache.peek(fingerprint, list(dict.fromkeys(digest for _, _, digest in live)))
    vectors = np.empty((len(live), dimension), dtype=np.float32)
    for place, (_, _, digest) in enumerate(live):
        vector = known.get(digest)
        if vector is None or vector.shape != (dimension,):
            return None
        vectors[place] = vector
    return ExactIndex([id_ for id_, _, _ in live], [file_id for _, file_id, _ in live], vectors)
