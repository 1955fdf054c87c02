"""Rebuilding a vector index from catalog and cache."""

from __future__ import annotations

import numpy as np
from worlds import World

from kb.indexing.rebuild import MAX_DELETED, activate_generation, excess_deletions, refill
from kb.testing import MemoryVectorCache, MemoryVectorIndex


def indexed() -> World:
    """Two notes, indexed."""
    world = World()
    world.write("a.md", "# One\n\nalpha beta\n\n# Two\n\ngamma delta\n")
    world.write("b.md", "# Three\n\nepsilon\n")
    world.run()
    return world


def test_refilled_index_equals_the_old_one() -> None:
    """Ids, vectors, texts and labels are the same, and nothing is embedded."""
    world = indexed()
    index = MemoryVectorIndex()

    written, lacking = refill(world.catalog, world.cache, index, world.embedder.fingerprint)

    assert (written, lacking) == (3, [])
    assert {id_: (list(one.vector), one.text, dict(one.labels)) for id_, one in index.records.items()} == {
        id_: (list(one.vector), one.text, dict(one.labels)) for id_, one in world.vectors.records.items()
    }


def test_files_whose_vectors_were_evicted_are_returned() -> None:
    """The next run embeds the evicted vectors of exactly these files."""
    world = indexed()
    index = MemoryVectorIndex()
    partial = MemoryVectorCache()
    kept = next(world.catalog.all_passages())
    partial.put(
        world.embedder.fingerprint,
        world.cache.get(world.embedder.fingerprint, [kept.digest]),
    )

    written, lacking = refill(world.catalog, partial, index, world.embedder.fingerprint)

    assert written == 1
    assert set(lacking) == {file.id for file in world.catalog.files()}


def test_vectors_that_the_cache_lacks_come_from_the_index_before() -> None:
    """The cache gets them too; one that cannot be right is embedded again."""
    world = indexed()
    index, empty = MemoryVectorIndex(), MemoryVectorCache()
    wrong, *others = list(world.catalog.all_passages())
    before = world.vectors.vectors([one.id for one in (wrong, *others)])
    before[wrong.id] = before[wrong.id] * 2

    written, lacking = refill(
        world.catalog,
        empty,
        index,
        world.embedder.fingerprint,
        previous=lambda ids: {id_: before[id_] for id_ in ids},
    )

    assert (written, lacking) == (2, [wrong.file.id])
    assert empty.get(world.embedder.fingerprint, [one.digest for one in (wrong, *others)]).keys() == {
        one.digest for one in others
    }
    for one in others:
        assert np.array_equal(index.vectors([one.id])[one.id], before[one.id])


def test_passages_that_wait_to_be_embedded_get_no_vector_of_before() -> None:
    """What the index before has under their ids may be of another text."""
    world = World()
    world.write("a.md", "alpha beta\n")
    world.run(embed=False)
    index = MemoryVectorIndex()

    written, lacking = refill(
        world.catalog,
        world.cache,
        index,
        world.embedder.fingerprint,
        previous=lambda ids: dict.fromkeys(ids, np.eye(32, dtype=np.float32)[0]),
    )

    assert (written, lacking, index.count()) == (0, [], 0)


def test_an_index_with_more_deleted_than_live_passages_is_rebuilt() -> None:
    """Deletions add up over runs; a new generation starts with none."""
    world = indexed()

    assert [excess_deletions(world.catalog, dropped) for dropped in (MAX_DELETED, 0, 1, 0)] == [
        0,
        0,
        MAX_DELETED + 1,
        MAX_DELETED + 1,
    ]

    activate_generation(world.catalog, "generation-0002")
    assert (world.catalog.meta("generation"), excess_deletions(world.catalog, 5)) == ("generation-0002", 0)
