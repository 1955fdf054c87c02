"""Damaged values that the catalog keeps by name: an error of the store, or mended where they follow from the rest."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from worlds import World

from kb.doctor.catalog_view import CatalogView
from kb.errors import CatalogDamaged
from kb.sqlite import Database
from kb.store import keywords
from kb.store.catalog import SqliteCatalog
from kb.store.catalog_schema import SCHEMA

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("value", ["", "[[", "q", "7", "[1]", '[["/notes"]]', "null"])
def test_damaged_mount_points_are_damage_of_the_catalog(tmp_path: Path, value: str) -> None:
    """With its remedy, for an index run and for kb doctor, which only reads."""
    path = str(tmp_path / "catalog.sqlite3")
    with closing(SqliteCatalog(path)) as catalog:
        assert catalog.mounts() == []
        catalog.set_meta("mounts", '[["/notes", "disk"]]')
        assert catalog.mounts() == [("/notes", "disk")]
        catalog.set_meta("mounts", value)

        with pytest.raises(CatalogDamaged, match="a row makes no sense") as told:
            catalog.mounts()
        assert told.value.remedy
        assert catalog.damage

    with closing(CatalogView(Database(path, SCHEMA, access="read"))) as view, pytest.raises(CatalogDamaged):
        view.mounts()


def test_a_damaged_checksum_of_the_words_is_found_by_the_audit() -> None:
    """It follows from the passages: changes go on, and the keyword index is made anew."""
    with closing(World()) as world:
        world.write("a.md", "alpha")
        world.run()
        world.catalog.set_meta("keywords checksum", "q")

        world.write("b.md", "beta")
        assert world.run().added == 1

        with world.catalog._database.writing() as connection:
            assert not keywords.is_intact(connection)
            keywords.rebuild(connection)
            assert keywords.is_intact(connection)
