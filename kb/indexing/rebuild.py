"""Rebuilds the vector index from catalog and cache: after damage, to free space, and to purge deleted text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kb.indexing.plan import pages, vector_record
from kb.indexing.write import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kb.ports import Catalog, KnownVectors, VectorCache, VectorIndex
    from kb.records import StoredPassage, VectorRecord

_PAGE: Final = 1000
_DELETED: Final = "dead"
_POSTPONED: Final = "dead put off"
# Vectors are stored as they were computed: float32 keeps 7 digits, so a length that differs by more is not rounding.
_TOLERANCE: Final = 1e-4
# With fewer deleted passages, which take a few megabytes, the index is not rebuilt automatically.
MAX_DELETED: Final = 2000


def refill(
    catalog: Catalog,
    cache: VectorCache,
    index: VectorIndex,
    fingerprint: str,
    should_stop: Callable[[], bool] = lambda: False,
    *,
    previous: KnownVectors = lambda _: {},
) -> tuple[int, list[int]]:
    """Write every passage whose vector is known into a new, empty vector index.

    Args:
        catalog: The catalog.
        cache: The embedding cache. It gets the vectors that it lacks and the index before has.
        index: The new index.
        fingerprint: The fingerprint of the model.
        should_stop: Called between pages.
        previous: Returns the vectors of ids in the index that is replaced, of those that it has.

    Returns:
        The number of passages written, and the ids of files with vectors that have to be computed again. Passages that
        wait to be embedded are not among these: they keep waiting.

    Raises:
        Stopped: The user asked to stop; the new index is incomplete.
    """
    written = 0
    lacking: set[int] = set()
    for page in pages(catalog.all_passages(), _PAGE):
        if should_stop():
            raise Stopped
        vectors = cache.get(fingerprint, [passage.digest for passage in page])
        if lost := _embedded(catalog, [passage for passage in page if passage.digest not in vectors]):
            found = previous([passage.id for passage in lost])
            kept = {one.digest: found[one.id] for one in lost if one.id in found and _is_unit(found[one.id])}
            cache.put(fingerprint, kept)
            vectors |= kept
            lacking.update(passage.file.id for passage in lost if passage.digest not in kept)
        records = [vector_record(passage, vectors[passage.digest]) for passage in page if passage.digest in vectors]
        index.upsert(records)
        written += len(records)
    return written, sorted(lacking)


def _embedded(catalog: Catalog, passages: Sequence[StoredPassage]) -> list[StoredPassage]:
    """Return those of some passages that do not wait to be embedded."""
    had = catalog.passage_ids(list({passage.file.id for passage in passages})) if passages else {}
    return [passage for passage in passages if had[passage.file.id][passage.id]]


def _is_unit(vector: NDArray[np.float32]) -> bool:
    return abs(float(np.linalg.norm(vector)) - 1.0) < _TOLERANCE


def records_of(
    catalog: Catalog, cache: VectorCache, fingerprint: str, ids: Sequence[str]
) -> tuple[list[VectorRecord], list[str], list[int]]:
    """What a vector index has to have of some passages.

    Returns:
        The records of those with a vector, the ids that it must not have, and the files of those whose vector is not in
        the cache and has to be computed again.
    """
    embedded = _embedded(catalog, list(catalog.passages(ids).values()))
    vectors = cache.get(fingerprint, [passage.digest for passage in embedded])
    records = [vector_record(passage, vectors[passage.digest]) for passage in embedded if passage.digest in vectors]
    lacking = {passage.file.id for passage in embedded if passage.digest not in vectors}
    kept = {passage.id for passage in embedded}
    return records, [id_ for id_ in ids if id_ not in kept], sorted(lacking)


def activate_generation(catalog: Catalog, generation: str) -> None:
    """Record in the catalog which generation is in use, with no deletions yet."""
    catalog.set_meta("generation", generation)
    catalog.set_meta(_DELETED, "0")
    catalog.set_meta(_POSTPONED, "0")


def excess_deletions(catalog: Catalog, dropped: int) -> int:
    """Add to the number of passages deleted from the generation; returns it if a rebuild is due, else 0.

    ChromaDB's graph keeps deleted vectors in memory and on disk and does not reuse their space. An index with more
    deleted than live passages, and more than ``MAX_DELETED``, is rebuilt.
    """
    deleted = _number(catalog, _DELETED) + dropped
    if dropped:
        catalog.set_meta(_DELETED, str(deleted))
    return deleted if deleted > max(MAX_DELETED, catalog.count_embedded(), _number(catalog, _POSTPONED)) else 0


def _number(catalog: Catalog, key: str) -> int:
    """A count kept in the catalog; an invalid value counts as 0, since it only decides when to rebuild."""
    value = catalog.meta(key) or ""
    return int(value) if value.isascii() and value.isdigit() else 0


def postpone_rebuild(catalog: Catalog, deleted: int) -> None:
    """After a failed rebuild, wait until twice as many passages are deleted."""
    catalog.set_meta(_POSTPONED, str(2 * deleted))
