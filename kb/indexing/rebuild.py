"""Makes the vector index again from catalog and cache: after damage, to give back space, to truly remove text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.indexing.plan import labels, pages
from kb.indexing.write import Stopped
from kb.records import VectorRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.ports import Catalog, VectorCache, VectorIndex

_PAGE: Final = 1000
_DEAD: Final = "dead"
_PUT_OFF: Final = "dead put off"
# Below so many the index is not made anew by itself: they take some megabytes.
MOST_DEAD: Final = 2000


def refill(
    catalog: Catalog,
    cache: VectorCache,
    index: VectorIndex,
    fingerprint: str,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[int, list[int]]:
    """Write every passage whose vector the cache still has into a new, empty vector index.

    Returns:
        How many were written, and the ids of the files of which a vector has to be computed again.

    Raises:
        Stopped: The user asked to stop; the new index is of no use.
    """
    written = 0
    lacking: set[int] = set()
    for page in pages(catalog.all_passages(), _PAGE):
        if should_stop():
            raise Stopped
        vectors = cache.get(fingerprint, [passage.digest for passage in page])
        records = [
            VectorRecord(
                passage.id,
                vectors[passage.digest],
                passage.text,
                labels(passage.file.id, passage.file.path, passage.heading),
            )
            for passage in page
            if passage.digest in vectors
        ]
        lacking.update(passage.file.id for passage in page if passage.digest not in vectors)
        index.upsert(records)
        written += len(records)
    return written, sorted(lacking)


def came_into_service(catalog: Catalog, generation: str) -> None:
    """Note in the catalog which generation is served now; nothing was deleted from it yet."""
    catalog.set_meta("generation", generation)
    catalog.set_meta(_DEAD, "0")
    catalog.set_meta(_PUT_OFF, "0")


def worn_out(catalog: Catalog, dropped: int) -> int:
    """Count passages that were deleted from the generation; all of them where it is time to make it anew, else 0.

    ChromaDB's graph keeps what is deleted, in memory and on the disk, and never uses its room again. So an index that
    holds more of the dead than of the living, and not just a few, is made anew.
    """
    dead = _number(catalog, _DEAD) + dropped
    if dropped:
        catalog.set_meta(_DEAD, str(dead))
    return dead if dead > max(MOST_DEAD, catalog.count(), _number(catalog, _PUT_OFF)) else 0


def _number(catalog: Catalog, key: str) -> int:
    """A count that the catalog keeps; one that makes no sense begins anew, since it only says when to tidy up."""
    value = catalog.meta(key) or ""
    return int(value) if value.isascii() and value.isdigit() else 0


def put_off(catalog: Catalog, dead: int) -> None:
    """The index could not be made anew: it is not tried again before there are twice as many dead."""
    catalog.set_meta(_PUT_OFF, str(2 * dead))
