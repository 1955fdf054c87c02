"""The outbox of the catalog: the ids of what a Chroma server does not have yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb.store.catalog import SqliteCatalog

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_deferred_stays_until_it_is_sent(tmp_path: Path) -> None:
    """Across processes, once however often it is deferred, also where no such passage is in the catalog."""
    path = str(tmp_path / "catalog.sqlite3")
    catalog = SqliteCatalog(path)
    catalog.defer(["b", "a"])
    catalog.defer(["a", "c"])
    catalog.close()
    catalog = SqliteCatalog(path)

    assert (catalog.count_deferred(), catalog.deferred(2)) == (3, ["a", "b"])
    catalog.sent(["a", "unknown"])
    assert catalog.deferred(10) == ["b", "c"]
    catalog.sent()
    assert (catalog.count_deferred(), catalog.deferred(10)) == (0, [])
    catalog.close()


def test_a_version_changes_with_each_change(tmp_path: Path) -> None:
    """By this process and by another one; reading changes nothing."""
    path = str(tmp_path / "catalog.sqlite3")
    catalog, other = SqliteCatalog(path), SqliteCatalog(path)
    first = catalog.version()
    assert catalog.files() == []
    assert catalog.version() == first
    catalog.set_meta("key", "value")
    second = catalog.version()
    other.defer(["a"])

    assert len({first, second, catalog.version()}) == 3
    catalog.close()
    other.close()
