"""Exact search over the vectors of all passages in memory.

A command without a daemon searches this way because opening ChromaDB costs it a second, most of it for the import: the
catalog knows which passages are live, and the embedding cache has their vectors. A daemon keeps them beside ChromaDB,
which takes several milliseconds longer for each question; ``FollowedIndex`` makes every change in both. Where there are
too many, or the cache lacks one, ChromaDB answers. Where a Chroma server keeps the vectors and cannot be asked, those
of the cache answer in its place.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.ports import Catalog, VectorCache, VectorIndex
    from kb.records import VectorRecord

# Read in less time than it takes to open ChromaDB: 31,000 passages of bge-m3, 83,000 of the bundled model.
MOST_BYTES: Final = 128_000_000
# While a server is away: a million passages of the bundled model. More of them are found by their words.
MOST_BYTES_MEANWHILE: Final = 1_536_000_000
_NUMBER: Final = 4
# Rows to spare where the arrays are made anew, as a share of the records and at least so many.
_SPARE: Final = 0.25
_LEAST_SPARE: Final = 256


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows as they are at one moment. What is in them never changes; more rows may follow in the same arrays.

    Attributes:
        ids: The id of each row.
        files: The file id of each row.
        vectors: The vector of each row, shape (rows with those to spare, dimension).
        live: Whether each row is still a record; as long as there are rows.
        places: The row of each record.
    """

    ids: list[str]
    files: NDArray[np.int64]
    vectors: NDArray[np.float32]
    live: NDArray[np.bool_]
    places: dict[str, int]


class ExactIndex:
    """The vectors of passages, searchable. Implements ``kb.ports.Nearest``.

    Any number of threads may search while one changes it: a search sees the records of one moment.

    Args:
        ids: The passages.
        files: The file id of each.
        vectors: The vector of each, shape (passages, dimension).
        most_bytes: The most bytes of vectors to keep.

    Attributes:
        full: Whether more vectors came than may be kept; it misses them, and must not be searched any more.
    """

    def __init__(
        self, ids: Sequence[str], files: Sequence[int], vectors: NDArray[np.float32], most_bytes: int = MOST_BYTES
    ) -> None:
        self._most_bytes = most_bytes
        self._changing = Lock()
        self._rows = _Rows(
            list(ids),
            np.array(files, dtype=np.int64),
            vectors,
            np.ones(len(ids), dtype=np.bool_),
            {id_: place for place, id_ in enumerate(ids)},
        )
        self.full = False

    @property
    def size(self) -> int:
        """The bytes of its vectors, with the room for more."""
        return self._rows.vectors.nbytes

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """Return the ``count`` records nearest to a vector by cosine, best first, of the given files only."""
        rows = self._rows
        made = len(rows.live)
        wanted = rows.live if files is None else rows.live & np.isin(rows.files[:made], list(files))
        among = np.flatnonzero(wanted)
        # Row by row, on one core: a product by all cores costs questions that come together twenty times as much.
        scores = np.vecdot(rows.vectors[:made], np.asarray(vector, dtype=np.float32))[among]
        best = np.arange(len(among))
        if 0 < count < len(among):
            best = np.sort(np.argpartition(-scores, count - 1)[:count])
        chosen = among[best[np.argsort(-scores[best], kind="stable")][: max(0, count)]]
        return Candidates(ids=tuple(map(rows.ids.__getitem__, chosen.tolist())), vectors=rows.vectors[chosen])

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the vectors of the ids that exist."""
        rows = self._rows
        places = {id_: rows.places.get(id_) for id_ in ids}
        return {id_: rows.vectors[place] for id_, place in places.items() if place is not None}

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; idempotent. Nothing is written any more once they are too many."""
        with self._changing:
            new = {record.id: record for record in records}
            kept = len(self._rows.places.keys() | new.keys())
            if self.full or kept * self._rows.vectors.shape[1] * _NUMBER > self._most_bytes:
                self.full = True
                return
            rows = self._rows if len(self._rows.live) + len(new) <= len(self._rows.vectors) else self._roomier(kept)
            live = np.concatenate([rows.live, np.ones(len(new), dtype=np.bool_)])
            live[[rows.places[id_] for id_ in new if id_ in rows.places]] = False
            for place, record in enumerate(new.values(), len(rows.live)):
                rows.vectors[place] = record.vector
                rows.files[place] = record.labels["file"]
                rows.ids.append(record.id)
                rows.places[record.id] = place
            self._rows = _Rows(rows.ids, rows.files, rows.vectors, live, rows.places)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete records; unknown ids are ignored."""
        with self._changing:
            rows = self._rows
            places = [rows.places.pop(id_) for id_ in dict.fromkeys(ids) if id_ in rows.places]
            live = rows.live.copy()
            live[places] = False
            self._rows = _Rows(rows.ids, rows.files, rows.vectors, live, rows.places)

    def _roomier(self, records: int) -> _Rows:
        """The live rows in new arrays, with room for so many records and some to spare; searches go on in the old."""
        rows = self._rows
        kept = np.flatnonzero(rows.live)
        room = records + max(_LEAST_SPARE, int(records * _SPARE))
        vectors = np.empty((room, rows.vectors.shape[1]), dtype=np.float32)
        files = np.zeros(room, dtype=np.int64)
        vectors[: len(kept)], files[: len(kept)] = rows.vectors[kept], rows.files[kept]
        ids = [rows.ids[place] for place in kept.tolist()]
        return _Rows(
            ids, files, vectors, np.ones(len(ids), dtype=np.bool_), {id_: place for place, id_ in enumerate(ids)}
        )


class FollowedIndex:
    """A vector index whose changes are made in an ``ExactIndex`` too. Implements ``kb.ports.VectorIndex``.

    Args:
        index: The vector index, which is asked and changed first.
        exact: All vectors in memory.
        out_of_step: Called where a change of the index failed, so that it is not known how much of it was made.
    """

    def __init__(self, index: VectorIndex, exact: ExactIndex, out_of_step: Callable[[], None]) -> None:
        self._index = index
        self._exact = exact
        self._out_of_step = out_of_step

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """Return the ``count`` records nearest to a vector by cosine, best first, of the given files only."""
        return self._index.query(vector, count, files)

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the stored vectors of the known ids."""
        return self._index.vectors(ids)

    def ids(self) -> Iterator[str]:
        """All ids, read in pages."""
        return self._index.ids()

    def count(self) -> int:
        """The number of records."""
        return self._index.count()

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; idempotent."""
        with self._in_step():
            self._index.upsert(records)
            self._exact.upsert(records)

    def relabel(self, ids: Sequence[str], labels: Sequence[Mapping[str, str | int]]) -> None:
        """Replace only the labels of records; a passage keeps its file, so the vectors in memory stay as they are."""
        self._index.relabel(ids, labels)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete records; unknown ids are ignored."""
        with self._in_step():
            self._index.delete(ids)
            self._exact.delete(ids)

    @contextmanager
    def _in_step(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._out_of_step()
            raise


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
    index, lacking = cached_index(catalog, cache, fingerprint, dimension, most_bytes)
    return None if lacking else index


def cached_index(
    catalog: Catalog, cache: VectorCache, fingerprint: str, dimension: int, most_bytes: int
) -> tuple[ExactIndex, int]:
    """Return an index of the passages whose vectors are in the cache, and how many have theirs elsewhere alone.

    Args:
        catalog: The catalog, which knows the passages.
        cache: The embedding cache.
        fingerprint: The fingerprint of the model.
        dimension: The length of a vector.
        most_bytes: The most bytes of vectors to load and to keep.
    """
    live = catalog.with_vectors()
    some = live[: most_bytes // (dimension * _NUMBER)]
    known = cache.peek(fingerprint, list(dict.fromkeys(digest for _, _, digest in some)))
    there = [one for one in some if (vector := known.get(one[2])) is not None and vector.shape == (dimension,)]
    vectors = np.empty((len(there), dimension), dtype=np.float32)
    for place, (_, _, digest) in enumerate(there):
        vectors[place] = known[digest]
    index = ExactIndex([id_ for id_, _, _ in there], [file_id for _, file_id, _ in there], vectors, most_bytes)
    return index, len(live) - len(there)
