"""kb check finds all differences between disk, catalog and vectors, and --repair repairs them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from worlds import FOLDER, World, fresh

from kb.chunking.split import Chunker
from kb.errors import DocumentError
from kb.formats.reader import DocumentReader
from kb.testing import FakeTokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.ports import Reader
    from kb.records import Document, FoundFile, Passage, Source, VectorRecord


@pytest.fixture
def world() -> World:
    """Two notes, indexed."""
    world = World()
    world.write("a.md", "# One\n\nalpha beta\n\n# Two\n\ngamma delta\n")
    world.write("b.md", "# Three\n\nepsilon\n")
    world.run()
    return world


def first(world: World) -> VectorRecord:
    """Any record."""
    return next(iter(world.vectors.records.values()))


def lose_a_vector(world: World) -> None:
    """A vector is missing."""
    world.vectors.delete([first(world).id])


def turn_a_vector(world: World) -> None:
    """A vector is that of another text."""
    record = first(world)
    world.vectors.upsert([replace(record, vector=np.roll(record.vector, 1))])


def stretch_a_vector(world: World) -> None:
    """A vector does not have unit length."""
    record = first(world)
    world.vectors.upsert([replace(record, vector=record.vector * 2)])


def empty_a_vector(world: World) -> None:
    """A vector is not finite."""
    record = first(world)
    world.vectors.upsert([replace(record, vector=record.vector * np.float32("nan"))])


def add_a_vector(world: World) -> None:
    """A vector has no passage."""
    world.vectors.upsert([replace(first(world), id="stray")])


def change_a_file(world: World) -> None:
    """A file changed and is not indexed again."""
    world.write("a.md", "# One\n\nsomething else\n")


def remove_a_file(world: World) -> None:
    """A file was removed and is still in the index."""
    world.files.remove(FOLDER, "b.md")


def add_a_file(world: World) -> None:
    """A file was added and is not indexed."""
    world.write("c.md", "new")


def leave_a_file_half_done(world: World) -> None:
    """A run died during a file."""
    world.catalog.mark_pending([file.id for file in world.catalog.files()][:1])


def spoil_the_catalog(world: World) -> None:
    """The catalog differs from the file."""
    world.catalog._database.connection.execute("UPDATE passages SET text = 'spoilt', last_line = 99 WHERE ordinal = 0")


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lose_a_vector, "vector missing"),
        (turn_a_vector, "vector wrong"),
        (stretch_a_vector, "vector wrong"),
        (empty_a_vector, "vector wrong"),
        (add_a_vector, "vector unknown"),
        (change_a_file, "file changed"),
        (remove_a_file, "file gone"),
        (add_a_file, "file not indexed"),
        (leave_a_file_half_done, "interrupted"),
        (spoil_the_catalog, "passage wrong"),
    ],
)
def test_each_difference_is_found_and_repaired(world: World, damage: Callable[[World], None], kind: str) -> None:
    """The check names the difference, and the repaired store equals a new index."""
    assert world.checker().check().differences == ()
    damage(world)

    found = world.checker().check()
    mended = world.checker().check(repair=True)

    assert kind in {difference.kind for difference in found.differences}
    assert mended.differences == ()
    assert mended.repaired == len(found.differences)
    # What was read again and has no vector yet is left to the next run.
    assert world.run().embedded == mended.unembedded
    assert world.held() == fresh(world.files).held()
    assert set(world.vectors.records) == {one.id for one in world.catalog.all_passages()}


@pytest.mark.parametrize(
    "other", ["text = 'spoilt'", "first_line = 7", "last_line = 99", "heading = '[\"One\"]'", "page = 7", "place = 'p'"]
)
def test_a_passage_is_compared_with_all_that_is_shown_of_it(world: World, other: str) -> None:
    """Its lines, headings, page and place tell where it stands."""
    world.catalog._database.connection.execute(f"UPDATE passages SET {other} WHERE file_id = 2")  # noqa: S608 - constants

    assert [(one.kind, one.where) for one in world.checker().check().differences] == [("passage wrong", "b.md")]


def test_what_an_update_reads_in_another_way_is_told_as_such(world: World) -> None:
    """It is no damage: the next index run reads it again, says so, and leaves no difference."""
    world.write("a.md", f"# One\n\n{'alpha beta gamma delta. ' * 6}\n")
    world.run()
    world.reader = DocumentReader(Chunker(FakeTokens(), 16))
    world.read_anew()

    found = world.checker().check().differences
    report = world.run()

    assert {one.where: one.detail for one in found} == {
        "a.md": "this version of kb reads it differently; kb index reads it again"
    }
    assert (report.changed, report.unchanged, report.reread) == (0, 2, 2)
    assert world.run().reread == 0
    assert world.checker().check().differences == ()


def test_what_comes_back_is_not_repaired(world: World) -> None:
    """A vector that is there again after the repair is counted as a difference alone."""
    add_a_vector(world)
    lose_a_vector(world)
    world.after = lambda step: add_a_vector(world) if step == "delete" else None

    report = world.checker().check(repair=True)

    assert ([one.kind for one in report.differences], report.repaired) == (["vector unknown"], 1)


def test_a_file_that_cannot_be_opened_is_no_difference_once_it_is_known_to_fail(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index says so, and has nothing of it."""

    def load(file: FoundFile) -> Source:
        raise DocumentError(f"{file.path} cannot be opened", "Give yourself permission")

    world.write("b.md", "# Three\n\nzeta\n")
    monkeypatch.setattr(world.files, "load", load)
    world.run()
    differences = world.checker().check().differences

    assert [(one.kind, one.where) for one in differences] == [("file changed", "a.md")]


def test_a_file_that_is_known_to_fail_is_no_difference(world: World) -> None:
    """The index has nothing of it, also where it has to be looked at since its time proves nothing."""
    world.files.write(FOLDER, "c.md", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    world.run()
    world.catalog._database.connection.execute("UPDATE files SET read_ns = mtime_ns")

    assert len(world.catalog.problems()) == 1
    assert world.checker().check().differences == ()


@pytest.mark.parametrize(("by", "kinds"), [(1e-6, []), (1e-3, ["vector wrong"])])
def test_a_vector_may_differ_by_rounding_alone(world: World, by: float, kinds: list[str]) -> None:
    """Of unit length in any case."""
    record = first(world)
    other = record.vector + np.roll(record.vector, 1) * np.float32(by)
    world.vectors.upsert([replace(record, vector=other / np.linalg.norm(other))])

    assert [one.kind for one in world.checker().check().differences] == kinds


def test_repair_takes_vectors_from_the_cache(world: World) -> None:
    """Repairing a vector embeds nothing."""
    calls = world.embedder.calls
    lose_a_vector(world)

    world.checker().check(repair=True)

    assert world.embedder.calls == calls


def test_a_check_counts(world: World) -> None:
    """The report contains the numbers of compared items."""
    report = world.checker().check()

    assert (report.files, report.passages, report.vectors, report.repaired) == (2, 3, 3, 0)


class Refusing:
    """A reader that fails on one file."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, source: Source) -> tuple[Document, tuple[Passage, ...]]:
        """Read any other file.

        Raises:
            DocumentError: It is that one.
        """
        if source.file.path == "a.md":
            raise DocumentError("cannot be split", "Open it with its own program")
        return self._reader.read(source)


def test_file_that_cannot_be_split_is_a_difference(world: World) -> None:
    """It is named, the others are checked, and the repair marks it as failed."""
    world.reader = Refusing(world.reader)  # type: ignore[assignment]  # stands for it
    world.indexer = world._indexer("reading 1")

    found = world.checker().check().differences
    mended = world.checker().check(repair=True)

    assert [(one.kind, one.where, one.detail) for one in found] == [("file unreadable", "a.md", "cannot be split")]
    assert (mended.differences, mended.repaired) == ((), 1)
    assert [problem.path for problem in world.catalog.problems()] == ["a.md"]
