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
from kb.search.rank import cosines

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
# Passages whose vectors are read from the cache at once: it holds each of them a second time meanwhile.
_PAGE: Final = 4096
# Cosines this close are not told apart by a sum in single precision over vectors that are almost of unit length.
_ROUNDING: Final = 2e-4


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows as they are at one moment: as many as ``live`` has.

    Later moments share all but ``live``. No row is ever written again: a record that changes gets a new row behind the
    last one, so that a search in these rows goes on undisturbed.

    Attributes:
        ids: The id of each row.
        files: The file id of each row.
        vectors: The vector of each row, shape (rows with those to spare, dimension).
        live: Whether each row is a record at this moment.
        places: The row of each record at the latest moment that shares it.
    """

    ids: list[str]
    files: NDArray[np.int64]
    vectors: NDArray[np.float32]
    live: NDArray[np.bool_]
    places: dict[str, int]


class ExactIndex:
    """The vectors of passages, searchable. Implements ``kb.ports.Nearest``.

    Any number of threads may search while one changes it: a query sees the records of one moment.

    Args:
        ids: The passages.
        files: The file id of each.
        vectors: The vector of each, and room for more, shape (rows, dimension); written by this object from here on.
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
            np.concatenate([np.array(files, dtype=np.int64), np.zeros(len(vectors) - len(files), dtype=np.int64)]),
            vectors,
            np.ones(len(ids), dtype=np.bool_),
            {id_: place for place, id_ in enumerate(ids)},
        )
        self.full = False

    @property
    def size(self) -> int:
        """The bytes of its vectors, with the room for more."""
        return self._rows.vectors.nbytes

    def ids(self) -> list[str]:
        """All ids."""
        rows = self._rows
        return [rows.ids[place] for place in np.flatnonzero(rows.live).tolist()]

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """Return the ``count`` records nearest to a vector by cosine, best first, of the given files only."""
        rows = self._rows
        made = len(rows.live)
        wanted = rows.live if files is None else rows.live & np.isin(rows.files[:made], list(files))
        among = np.flatnonzero(wanted)
        # Row by row, on one core: a product by all cores costs questions that come together twenty times as much.
        scores = np.vecdot(rows.vectors[:made], np.asarray(vector, dtype=np.float32))[among]
        chosen = _nearest(rows, among, scores, vector, count)
        return Candidates(ids=tuple(map(rows.ids.__getitem__, chosen.tolist())), vectors=rows.vectors[chosen])

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the vectors of the ids that exist."""
        rows = self._rows
        places = {id_: place for id_ in ids if (place := rows.places.get(id_)) is not None}
        # A copy, because a row that is kept would keep all of them in memory.
        return dict(zip(places, rows.vectors[list(places.values())], strict=True))

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; idempotent. Nothing is written any more once they are too many."""
        with self._changing:
            new = {record.id: record for record in records}
            if not new:
                return
            rows = self._rows
            kept = len(rows.places) + sum(id_ not in rows.places for id_ in new)
            if self.full or kept * rows.vectors.shape[1] * _NUMBER > self._most_bytes:
                self.full = True
                return
            if len(rows.live) + len(new) > len(rows.vectors):
                rows = self._roomier(kept)
            first, end = len(rows.live), len(rows.live) + len(new)
            # What fails, fails here, in rows that are not searched.
            rows.vectors[first:end] = np.stack([record.vector for record in new.values()])
            rows.files[first:end] = [record.labels["file"] for record in new.values()]
            live = np.concatenate([rows.live, np.ones(len(new), dtype=np.bool_)])
            live[[rows.places[id_] for id_ in new if id_ in rows.places]] = False
            rows.ids[first:] = new
            rows.places.update(zip(new, range(first, end), strict=True))
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
        vectors = _room(records, rows.vectors.shape[1])
        files = np.zeros(len(vectors), dtype=np.int64)
        vectors[: len(kept)], files[: len(kept)] = rows.vectors[kept], rows.files[kept]
        ids = [rows.ids[place] for place in kept.tolist()]
        return _Rows(
            ids, files, vectors, np.ones(len(ids), dtype=np.bool_), {id_: place for place, id_ in enumerate(ids)}
        )


def _room(records: int, dimension: int) -> NDArray[np.float32]:
    """Rows for so many records and some to spare, which take no memory until they are written."""
    return np.empty((records + max(_LEAST_SPARE, int(records * _SPARE)), dimension), dtype=np.float32)


def _nearest(
    rows: _Rows, among: NDArray[np.intp], scores: NDArray[np.float32], vector: NDArray[np.float32], count: int
) -> NDArray[np.intp]:
    """Return the ``count`` nearest of some rows, best first.

    Where single precision cannot decide which are the last, the cosines decide, and the ids where those are equal: the
    answer depends on the records alone, not on when each was written.

    Args:
        rows: All rows.
        among: Which of them to choose from.
        scores: The products of these with the vector, one each.
        vector: What they are compared with.
        count: How many to return.
    """
    if count >= len(among):
        return among[np.argsort(-scores, kind="stable")]
    if count <= 0:
        return among[:0]
    last = np.partition(scores, len(among) - count)[len(among) - count]
    sure = np.flatnonzero(scores > last + _ROUNDING)
    sure = sure[np.argsort(-scores[sure], kind="stable")]
    open_ = among[(scores >= last - _ROUNDING) & (scores <= last + _ROUNDING)]
    ids = tuple(map(rows.ids.__getitem__, open_.tolist()))
    exact = cosines(vector, Candidates(ids, rows.vectors[open_])).tolist()
    best = sorted(range(len(ids)), key=lambda at: (-exact[at], ids[at]))
    return np.concatenate([among[sure], open_[best[: count - len(sure)]]])


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


def fits(catalog: Catalog, dimension: int, most_bytes: int) -> bool:
    """Return whether the vectors of all passages take no more bytes than that."""
    return catalog.count_embedded() * dimension * _NUMBER <= most_bytes


def has_room(catalog: Catalog, dimension: int) -> bool:
    """Return whether so many vectors fit that a few more will not be too many at once."""
    return fits(catalog, dimension, int(MOST_BYTES * (1 - _SPARE)))


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
    if not fits(catalog, dimension, most_bytes):
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
    there: list[tuple[str, int, bytes]] = []
    vectors = _room(len(some), dimension)
    for start in range(0, len(some), _PAGE):
        page = some[start : start + _PAGE]
        known = cache.peek(fingerprint, list(dict.fromkeys(digest for _, _, digest in page)))
        for one in page:
            vector = known.get(one[2])
            if vector is not None and vector.shape == (dimension,):
                vectors[len(there)] = vector
                there.append(one)
    index = ExactIndex([id_ for id_, _, _ in there], [file_id for _, file_id, _ in there], vectors, most_bytes)
    return index, len(live) - len(there)
