"""A catalog in memory that closes itself, since Python 3.13 warns of connections that nobody closed."""

from __future__ import annotations

import weakref

from kb.store.catalog import SqliteCatalog


def memory_catalog() -> SqliteCatalog:
    """An empty one, closed once nothing refers to it."""
    catalog = SqliteCatalog(":memory:")
    weakref.finalize(catalog, catalog._database.close)
    return catalog
