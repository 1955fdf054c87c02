"""A vector store is marked as unclean before its files change, until they are complete again."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from kb.store.generations import Generations
from kb.store.local_vectors import LocalVectors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.ports import VectorIndex


class Index:
    """An index with one file, which names its generation."""

    def __init__(self, directory: Path, *, create: bool) -> None:
        self._name = directory.name
        if create:
            (directory / "chroma.sqlite3").write_text(directory.name, "utf-8")
            (directory / "graph").mkdir()
            (directory / "graph" / "labels").write_bytes(bytes(1000))

    def vectors(self, ids: list[str]) -> dict[str, object]:
        """Something for each id that tells the generation."""
        return dict.fromkeys(ids, self._name)

    def close(self) -> None:
        """Do nothing."""


class Pair:
    """A catalog that matches every generation."""

    def pair(self, id_: str) -> None:
        """It does already."""

    def is_paired(self, id_: str) -> bool:  # noqa: ARG002 - whatever it is
        """It does."""
        return True

    def live(self) -> list[tuple[str, int, bytes]]:
        """It does not matter which."""
        return []

    def passages(self, live: object = None) -> str:  # noqa: ARG002 - whatever they are
        """Always the same."""
        return "one"

    def difference(self, index: object, *, thoroughly: bool, live: object = None) -> None:
        """None at all."""


class Death(BaseException):
    """The process dies here."""


class Store:
    """A vector store over time, and what other processes would find.

    Attributes:
        marks: Whether the store was marked as unclean, at each opening and each filling.
        probed: The generations that were tried in a process of their own.
        told: What the user was told.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.generations = Generations(str(directory))
        self.marks: list[bool] = []
        self.probed: list[str] = []
        self.told: list[str] = []
        self.expected: str | None = None
        self.fill: Callable[[], None] = lambda: None
        self.previous: Callable[[list[str]], dict[str, object]] = lambda _: {}
        self.vectors = self.started()

    def started(self) -> LocalVectors:
        """The same store in a new process."""
        return LocalVectors(self.generations, self, Pair(), self.told.append)  # type: ignore[arg-type]  # stands for it

    def unclean(self) -> bool:
        """Whether another process finds the mark."""
        return Generations(str(self.directory)).is_unclean()

    def open(self, directory: str, *, create: bool) -> Index:
        """The index in a directory."""
        self.marks.append(self.unclean())
        return Index(self.directory / directory, create=create)

    def probe(self, directory: str) -> None:
        """Record that a generation was probed; each is sound."""
        self.probed.append(directory)

    def refill(
        self, _index: VectorIndex, _should_stop: Callable[[], bool], previous: Callable[[list[str]], dict[str, object]]
    ) -> None:
        """Fill an index."""
        self.marks.append(self.unclean())
        self.previous = previous
        self.fill()

    def generation(self) -> str | None:
        """The generation recorded in the catalog."""
        return self.expected

    def activate_generation(self, generation: str) -> None:
        """Record a generation in the catalog."""
        self.expected = generation


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that was filled and closed properly."""
    made = Store(tmp_path)
    made.vectors.index()
    made.vectors.close()
    made.marks.clear()
    return made


def test_the_mark_is_there_while_an_index_is_open(store: Store) -> None:
    """It is removed when the index is closed, so that the next start trusts it."""
    store.vectors.index()
    assert store.unclean()
    store.vectors.close()

    assert not store.unclean()
    store.started().index()
    assert store.probed == []


def test_the_mark_is_there_during_a_rebuild(store: Store) -> None:
    """After a death during the rebuild, the next start has to probe the index."""
    store.vectors.rebuild()

    assert store.marks == [True, True]
    assert not store.unclean()


def test_the_mark_is_there_while_an_empty_index_is_made_for_another_model(store: Store) -> None:
    """As in a rebuild."""
    store.vectors.restart()

    assert store.marks == [True]
    assert not store.unclean()


@pytest.mark.parametrize("opened", [False, True])
def test_a_failed_rebuild_leaves_the_old_index_unchanged(store: Store, opened: bool) -> None:
    """It stays in use; the mark stays if it is open, and is removed if it was closed properly."""
    old = store.generations.current()
    if opened:
        store.vectors.index()

    def die() -> None:
        raise Death

    store.fill = die
    with pytest.raises(Death):
        store.vectors.rebuild()

    assert store.generations.current() == old
    assert store.unclean() is opened
    assert [path.name for path in store.directory.glob("generation-*")] == [old]


def test_an_index_that_is_gone_is_told_and_made_anew(store: Store) -> None:
    """A new store has none to miss."""
    assert store.told == []
    shutil.rmtree(store.directory / str(store.generations.current()))

    store.started().index()

    assert store.told == ["the vector index is missing from the store; it is rebuilt from the catalog"]
    assert store.generations.current() == "generation-0002"


@pytest.mark.parametrize("opened", [False, True])
def test_a_rebuild_takes_what_the_cache_lacks_from_the_old_index(store: Store, opened: bool) -> None:
    """It is opened for that if need be."""
    found: list[dict[str, object]] = []
    store.fill = lambda: found.append(store.previous(["x"]))
    if opened:
        store.vectors.index()

    store.vectors.rebuild()

    assert found == [{"x": "generation-0001"}]
    assert not store.unclean()


def test_a_damaged_index_gives_no_vectors(store: Store) -> None:
    """Neither one that is set aside, nor one that was not closed properly."""
    found: list[dict[str, object]] = []
    store.fill = lambda: found.append(store.previous(["x"]))
    store.vectors.rebuild("damaged")
    store.vectors.index()

    store.started().rebuild()

    assert found == [{}, {}]


def test_after_a_death_the_index_is_probed_before_use(store: Store) -> None:
    """Once; then it counts as closed properly."""
    store.vectors.index()

    store.started().index()

    assert len(store.probed) == 1


def labels(store: Store) -> Path:
    """The file that maps nodes of the graph to passages."""
    return store.directory / (store.generations.current() or "") / "graph" / "labels"


def test_one_bit_of_the_graph_is_noticed(store: Store) -> None:
    """The probe finds nothing wrong, but a passage would be missing from results."""
    first = store.generations.current()
    labels(store).write_bytes(bytes(500) + b"\x01" + bytes(499))

    store.started().index()

    assert store.generations.current() != first
    (told,) = store.told
    assert told.startswith("the vector index is damaged (graph/labels was changed by another program); it is set aside")


def test_a_copied_file_is_unchanged(store: Store) -> None:
    """Another modification time leads to a check, but is not damage."""
    first = store.generations.current()
    labels(store).write_bytes(bytes(1000))

    store.started().index()

    assert (store.generations.current(), store.probed) == (first, [str(store.directory / (first or ""))])


def test_after_an_unclean_end_the_graph_may_differ(store: Store) -> None:
    """ChromaDB had written it before the process died, so it is probed."""
    first = store.generations.current()
    store.vectors.index()
    labels(store).write_bytes(b"\x01" * 1000)
    store.generations.mark_unclean()

    store.started().index()

    assert store.generations.current() == first
    assert len(store.probed) == 1


def test_file_written_twice_within_a_tick_of_the_clock_is_summed_again(store: Store) -> None:
    """Its stat is that of the first write."""
    first = store.generations.current()
    stat = labels(store).stat()
    vectors = store.started()
    vectors.index()
    labels(store).write_bytes(b"\x01" * 1000)
    os.utime(labels(store), ns=(stat.st_atime_ns, stat.st_mtime_ns))
    vectors.close()
    # Something that has the files looked at.
    os.utime(labels(store).parent.parent / "chroma.sqlite3", ns=(1, 1))

    store.started().index()

    assert (store.generations.current(), store.told) == (first, [])
