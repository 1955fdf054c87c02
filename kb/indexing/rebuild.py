"""Rebuilds the vector index from catalog and cache: after damage, to free space, and to purge deleted text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.indexing.plan import pages, vector_record
from kb.indexing.write import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.ports import Catalog, VectorCache, VectorIndex
    from kb.records import VectorRecord

_PAGE: Final = 1000
_DELETED: Final = "dead"
_POSTPONED: Final = "dead put off"
# With fewer deleted passages, which take a few megabytes, the index is not rebuilt automatically.
MAX_DELETED: Final = 2000


def refill(
    catalog: Catalog,
    cache: VectorCache,
    index: VectorIndex,
    fingerprint: str,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[int, list[int]]:
    """Write every passage whose vector is in the cache into a new, empty vector index.

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
        records = [vector_record(passage, vectors[passage.digest]) for passage in page if passage.digest in vectors]
        lost = [passage for passage in page if passage.digest not in vectors]
        had = catalog.passage_ids(list({passage.file.id for passage in lost})) if lost else {}
        lacking.update(passage.file.id for passage in lost if had[passage.file.id][passage.id])
        index.upsert(records)
        written += len(records)
    return written, sorted(lacking)


def records_of(
    catalog: Catalog, cache: VectorCache, fingerprint: str, ids: Sequence[str]
) -> tuple[list[VectorRecord], list[str], list[int]]:
    """What a vector index has to have of some passages.

    Returns:
        The records of those with a vector, the ids that it must not have, and the files of those whose vector is not in
        the cache and has to be computed again.
    """
    passages = catalog.passages(ids)
    had = catalog.passage_ids(list({passage.file.id for passage in passages.values()}))
    embedded = [passage for passage in passages.values() if had[passage.file.id][passage.id]]
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
