"""Fills in the middles of files that an earlier kb indexed, from the vectors that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.index.plan import pages
from kb.records.middle import middle_of

if TYPE_CHECKING:
    from kb.ports import Catalog, VectorCache

_KNOWN: Final = "middles"
# How many files one transaction of the catalog takes: questions wait meanwhile.
_PAGE: Final = 200


def fill_middles(catalog: Catalog, cache: VectorCache, fingerprint: str) -> None:
    """Compute the middles that are missing, unless that was done for this store.

    A file of which the cache has dropped a vector stays without: a question that comes upon it asks the vector index.
    """
    if catalog.meta(_KNOWN) == fingerprint:
        return
    lacking = frozenset(catalog.without_middle())
    of_file: dict[int, list[bytes]] = {}
    for _, file_id, digest in catalog.live() if lacking else ():
        if file_id in lacking:
            of_file.setdefault(file_id, []).append(digest)
    for page in pages(of_file.items(), _PAGE):
        known = cache.peek(fingerprint, list({digest for _, digests in page for digest in digests}))
        catalog.keep_middles(
            {
                file_id: middle_of([known[digest] for digest in digests])
                for file_id, digests in page
                if all(digest in known for digest in digests)
            }
        )
    catalog.set_meta(_KNOWN, fingerprint)
