"""Makes the vector index again from catalog and cache: after damage, to give back space, to truly remove text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.index.plan import labels, pages
from kb.records import VectorRecord

if TYPE_CHECKING:
    from kb.ports import Catalog, VectorCache, VectorIndex

_PAGE: Final = 1000


def refill(catalog: Catalog, cache: VectorCache, index: VectorIndex, fingerprint: str) -> tuple[int, list[int]]:
    """Write every passage whose vector the cache still has into a new, empty vector index.

    Returns:
        How many were written, and the ids of the files of which a vector has to be computed again.
    """
    written = 0
    lacking: set[int] = set()
    for page in pages(catalog.all_passages(), _PAGE):
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
