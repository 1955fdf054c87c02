"""The centroid of a file is stored with every change of the file, and filled in for older stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from worlds import World

from kb.indexing.write import fill_centroids
from kb.records.centroid import centroid_of, leading_centroid
from kb.search.centroids import centroids_of

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG = "\n\n".join(f"# Part {number}\n\n{word} {word} berry" for number, word in enumerate(("apple", "cherry", "fig")))


def expected(world: World) -> dict[int, list[float]]:
    """The expected centroids, from the stored vectors."""
    found: dict[int, list[float]] = {}
    for file in world.catalog.files():
        own = [world.vectors.records[one.id].vector for one in world.catalog.passages_of(file.id)]
        if len(own) > 1:
            found[file.id] = leading_centroid(own).tolist()
    return found


def kept(world: World) -> dict[int, list[float]]:
    """The centroids in the catalog."""
    ids = [file.id for file in world.catalog.files()]
    return {id_: vector.tolist() for id_, vector in world.catalog.centroids(ids).items()}


def test_centroid_is_normalised_mean() -> None:
    """It bisects the angle of two directions; vectors that cancel out have none."""
    one, other = np.eye(2, dtype=np.float32)

    np.testing.assert_allclose(centroid_of([one, other]), np.full(2, np.sqrt(0.5)), rtol=1e-6)
    assert centroid_of([one, -one]).tolist() == [0.0, 0.0]


def test_leading_passages_count_more() -> None:
    """The n-th by 1/n; one alone is itself."""
    one, other = np.eye(2, dtype=np.float32)

    np.testing.assert_allclose(leading_centroid([one, other]), np.array([2, 1]) / np.sqrt(5), rtol=1e-6)
    np.testing.assert_allclose(leading_centroid([other, one, one]), np.array([5, 6]) / np.sqrt(61), rtol=1e-6)
    np.testing.assert_allclose(leading_centroid([one]), one)


def test_centroids_follow_files() -> None:
    """Through a first run, an edit, a move and a removal; a file with one passage needs none."""
    world = World()
    world.write("long.md", LONG)
    world.write("other.md", LONG.replace("fig", "grape"))
    world.write("short.md", "one passage only")
    world.run()
    first = kept(world)
    assert len(first) == 2
    assert first == expected(world)

    world.write("long.md", LONG.replace("cherry", "elder"))
    world.files.move("/notes", "other.md", "moved.md")
    world.run()
    assert kept(world) == expected(world) != first

    world.write("long.md", "one passage is left")
    world.files.remove("/notes", "moved.md")
    world.run(accept_deletions=True)
    assert kept(world) == expected(world) == {}


def test_pending_file_has_no_centroid() -> None:
    """Neither while its vectors are written, nor if they are unreliable."""
    world = World()
    world.write("long.md", LONG)
    world.run()
    seen: list[dict[int, list[float]]] = []
    world.before = lambda step: seen.append(kept(world)) if step == "upsert" else None

    world.write("long.md", LONG.replace("cherry", "elder"))
    world.run()
    assert seen == [{}]

    world.catalog.mark_pending()
    assert kept(world) == {}


def test_older_store_gets_centroids_without_model() -> None:
    """Once, from the embedding cache; a file with an evicted vector is left to searches."""
    world = World()
    world.write("long.md", LONG)
    world.write("other.md", LONG.replace("fig", "grape"))
    world.run()
    whole = kept(world)
    world.catalog._database.connection.execute("DELETE FROM middles")
    lost, other = (file.id for file in world.catalog.files())
    dropped = next(one.digest for one in world.catalog.passages_of(lost) if "fig" in one.text)
    del world.cache._vectors[world.embedder.fingerprint, dropped]
    embedded = world.embedder.calls

    fill_centroids(world.catalog, world.cache, world.embedder.fingerprint)

    assert kept(world) == {other: whole[other]}
    assert world.catalog.files_without_centroid() == [lost]
    assert world.embedder.calls == embedded
    world.catalog._database.connection.execute("DELETE FROM middles")
    fill_centroids(world.catalog, world.cache, world.embedder.fingerprint)
    assert kept(world) == {}


class Backwards:
    """A vector index that returns the last vector first."""

    def __init__(self, world: World) -> None:
        self._vectors = world.vectors

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """The vectors, the last one first."""
        return dict(reversed(self._vectors.vectors(ids).items()))


def test_a_search_computes_missing_centroids_in_the_order_of_passages() -> None:
    """In whatever order the vector index returns the vectors."""
    world = World()
    world.write("long.md", LONG)
    world.run()
    whole = kept(world)
    world.catalog._database.connection.execute("DELETE FROM middles")

    found = centroids_of(world.catalog, Backwards(world), list(whole), world.embedder.dimension)  # type: ignore[arg-type]  # all that is asked of it

    assert {file_id: vector.tolist() for file_id, vector in found.items()} == whole
