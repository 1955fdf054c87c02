"""Index runs: the store follows the disk, through changes, failures and interruptions."""

from __future__ import annotations

import itertools
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from worlds import FOLDER, World, fresh

from kb.chunking.split import Chunker
from kb.errors import DocumentBusy, DocumentError
from kb.formats.reader import DocumentReader
from kb.indexing.sync import missing, mounted_before
from kb.indexing.write import Writer
from kb.records import Missing
from kb.testing import FakeTokens, MemoryFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.ports import Reader
    from kb.records import Document, FileChange, FileEvent, FileStat, FoundFile, IndexProgress, Passage, Scan, Source

BINARY = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
TEXT = "# One\n\nalpha beta\n\n# Two\n\ngamma delta\n"


@pytest.fixture
def world() -> World:
    """A knowledge base with two notes, indexed."""
    world = World()
    world.write("a.md", TEXT)
    world.write("b.md", "# Three\n\nepsilon\n")
    world.run()
    return world


def test_first_run_indexes_everything() -> None:
    """New files are added, and each passage is embedded once."""
    world = World()
    world.write("a.md", TEXT)
    world.write("copy.md", TEXT)

    report = world.run()

    assert (report.added, report.embedded, report.reused, report.total) == (2, 2, 2, 4)


def test_second_run_touches_nothing(world: World) -> None:
    """A run without changes neither opens the vector index nor embeds anything."""
    calls, opened = world.embedder.calls, world.opened

    report = world.run()

    assert (report.unchanged, report.embedded) == (2, 0)
    assert (world.embedder.calls, world.opened) == (calls, opened)


def test_only_a_changed_section_is_embedded(world: World) -> None:
    """Of a changed file, only the changed passage is embedded."""
    world.write("a.md", TEXT.replace("gamma", "omega"))

    report = world.run()

    assert (report.changed, report.embedded, report.reused, report.dropped) == (1, 1, 1, 1)


def test_line_on_top_of_a_hundred_sections_embeds_one_passage() -> None:
    """An insertion changes line numbers but no identities below it."""
    world = World()
    sections = "\n".join(f"## Section {number}\n\nText of section {number}.\n" for number in range(100))
    world.write("long.md", f"# Long\n\n{sections}")
    world.run()
    before = dict(world.vectors.records)

    world.write("long.md", f"A line on top.\n\n# Long\n\n{sections}")
    report = world.run()

    assert report.embedded <= 1
    assert len(set(before) - set(world.vectors.records)) <= 1
    assert world.held() == fresh(world.files).held()


def test_unchanged_passages_are_not_written_again(world: World) -> None:
    """If only line numbers change, the vector index is not written."""
    written: list[str] = []
    world.before = written.append
    world.write("a.md", f"{TEXT}\n")

    world.run()

    assert "upsert" not in written
    assert "delete" not in written


@pytest.mark.parametrize("target", ["renamed.md", "sub/a.md", "sub/deeper/other.md"])
def test_move_embeds_nothing_and_keeps_identities(world: World, target: str) -> None:
    """A renamed or moved file keeps its passages; only their labels are written."""
    before = set(world.vectors.records)
    world.files.move(FOLDER, "a.md", target)

    report = world.run()

    assert (report.moved, report.removed, report.added, report.embedded) == (1, 0, 0, 0)
    assert set(world.vectors.records) == before
    assert world.held() == fresh(world.files).held()


def test_touch_embeds_nothing(world: World) -> None:
    """Writing the same content again is not a change."""
    world.write("a.md", TEXT)

    report = world.run()

    assert (report.changed, report.unchanged, report.embedded) == (0, 2, 0)
    assert world.run().unchanged == 2


def test_touched_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its new stat is stored, so that nothing is pending and the next run reads nothing."""
    world = many(3)
    world.write("000.md", "text 0")
    world.run()
    read: list[str] = []
    load = world.files.load

    def counted(file: FoundFile) -> Source:
        read.append(file.path)
        return load(file)

    monkeypatch.setattr(world.files, "load", counted)
    world.run()

    assert read == []


def test_branch_switch_and_back_embeds_nothing(world: World) -> None:
    """Earlier content is never embedded again."""
    world.write("a.md", "# Other\n\nbranch\n")
    world.files.remove(FOLDER, "b.md")
    world.run()
    world.write("a.md", TEXT)
    world.write("b.md", "# Three\n\nepsilon\n")

    report = world.run()

    assert report.embedded == 0
    assert world.held() == fresh(world.files).held()


def test_two_equal_files_are_two(world: World) -> None:
    """Their text is embedded once, and deleting one file keeps the passages of the other."""
    world.write("twin.md", TEXT)
    world.run()
    for name in ("new.md", "new twin.md"):
        world.write(name, "said twice")
    both = world.run()
    assert (both.embedded, both.reused) == (1, 1)
    for name in ("new.md", "new twin.md"):
        world.files.remove(FOLDER, name)
    gone = world.run()
    assert (gone.removed, gone.dropped) == (2, 2)
    world.files.remove(FOLDER, "a.md")

    report = world.run()

    assert report.removed == 1
    assert {row[0] for row in world.held()} == {"b.md", "twin.md"}


def test_unreadable_file_is_data(world: World) -> None:
    """It is a failure in the report, and other files are indexed."""
    world.files.write(FOLDER, "a.md", BINARY)
    world.write("c.md", "# Four\n\nzeta\n")

    report = world.run()

    assert [failure.path for failure in report.failures] == ["a.md"]
    assert (report.added, report.changed) == (1, 0)
    assert {row[0] for row in world.held()} == {"b.md", "c.md"}
    assert report.standing == ()
    again = world.run()
    assert [failure.path for failure in again.failures] == ["a.md"]
    assert again.standing == again.failures


def test_failed_file_is_indexed_when_it_changes(world: World) -> None:
    """A failed file is tried again with new content."""
    world.files.write(FOLDER, "a.md", BINARY)
    world.run()
    world.write("a.md", TEXT)

    report = world.run()

    assert report.failures == ()
    assert world.held() == fresh(world.files).held()


def test_another_splitter_reads_everything_again(world: World) -> None:
    """If files are read differently, each is split again, and unchanged passages are not embedded."""
    world.read_anew()

    report = world.run()

    assert (report.unchanged, report.changed, report.embedded) == (2, 0, 0)
    assert report.reused == 3
    assert world.run().reused == 0


class Mounted(MemoryFiles):
    """A folder with or without a file system mounted in it."""

    mounts: tuple[tuple[str, str], ...] = ((FOLDER, "disk"),)

    def scan(self) -> Scan:
        """List what is there: nothing of a disk that is not mounted."""
        scan = replace(super().scan(), mounts=self.mounts)
        there = (file for file in scan.files if self.mounts or not file.path.startswith("disk/"))
        return replace(scan, files=tuple(there))

    def stat(self, folder: str, path: str) -> FileStat | None:
        """The stat of an existing file."""
        return None if not self.mounts and path.startswith("disk/") else super().stat(folder, path)


def test_mounts_are_stored_before_their_files() -> None:
    """A run that dies leaves no file of an unrecorded mount."""
    world = World(Mounted())
    world.write("disk/a.md", "text")
    known: list[set[tuple[str, str]]] = []
    world.before = lambda step: known.append(set(mounted_before(world.catalog))) if step == "begin" else None

    world.run()

    assert known == [{(FOLDER, "disk")}]


def test_a_mount_is_forgotten_with_the_last_of_its_files() -> None:
    """A mount is recorded as long as files of it are kept."""
    files = Mounted()
    world = World(files)
    world.write("disk/a.md", "text")
    world.write("b.md", "other")
    world.run()
    files.mounts = ()

    held = world.run()
    kept = set(mounted_before(world.catalog))
    let_go = world.run(accept_deletions=True)

    assert (held.held, held.removed, kept) == (1, 0, {(FOLDER, "disk")})
    assert (let_go.held, let_go.removed, set(mounted_before(world.catalog))) == (0, 1, set())


class Counted:
    """A reader that records the files that it reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.paths: list[str] = []

    def read(self, source: Source) -> tuple[Document, tuple[Passage, ...]]:
        """The document and its passages."""
        self.paths.append(source.file.path)
        return self._reader.read(source)


@pytest.fixture
def mixed() -> tuple[World, Counted]:
    """An indexed folder with files of three formats, and a reader that records what it reads."""
    world = World()
    for name in ("a.md", "b.md", "c.org", "d.txt"):
        world.write(name, f"# {name}\n\nwords of {name}\n")
    world.run()
    reader = Counted(world.reader)
    world.reader = reader  # type: ignore[assignment]  # reads what it reads
    return world, reader


def by_rules(world: World, **formats: str) -> None:
    """Behave like a kb with other rules for some formats."""
    world.indexer = world._indexer("reading 1", **formats)


def test_another_reader_of_a_format_reads_its_files_again(mixed: tuple[World, Counted]) -> None:
    """Once, without reading other formats and without embedding."""
    world, reader = mixed
    by_rules(world, md="2")

    assert world.indexer.compare()[0].pending == 2
    report = world.run()
    assert (sorted(reader.paths), report.unchanged, report.embedded) == (["a.md", "b.md"], 4, 0)
    assert world.run().unchanged == 4
    assert len(reader.paths) == 2


def test_the_store_of_an_earlier_kb_is_read_again_once(mixed: tuple[World, Counted]) -> None:
    """It has a single version instead of one for each format."""
    world, reader = mixed
    by_rules(world)
    world.catalog.set_meta("reading", "6 max_tokens=800 documents=xberg 60s code=python")
    world.catalog.set_meta("reading_formats", "")

    report = world.run()

    assert (len(reader.paths), report.unchanged, report.embedded) == (4, 4, 0)
    world.run()
    assert len(reader.paths) == 4


def test_an_interrupted_reread_is_repeated(mixed: tuple[World, Counted]) -> None:
    """A run stops during the files of a format, and the next kb reads them all by its own rules."""
    world, reader = mixed
    by_rules(world, md="2")
    assert world.run(should_stop=lambda: True).interrupted
    reader.paths.clear()

    by_rules(world)
    world.run()

    assert sorted(reader.paths) == ["a.md", "b.md"]


class Away(MemoryFiles):
    """Two folders, one of which may be on a missing drive."""

    away = False

    def scan(self) -> Scan:
        """List what is there."""
        scan = super().scan()
        if not self.away:
            return scan
        there = tuple(file for file in scan.files if file.folder != "/drive")
        return replace(scan, files=there, missing=("/drive",))


def test_files_of_a_missing_drive_are_read_again_once_it_is_back() -> None:
    """Despite an unchanged stat, since they missed the run that read everything again."""
    files = Away()
    world = World(files)
    world.write("a.md", TEXT)
    files.write("/drive", "b.md", b"# Long\n\n" + b"many words of a long passage " * 20)
    world.run()
    long = World(files)
    long.reader = world.reader = DocumentReader(Chunker(FakeTokens(), 16))
    long.read_anew()
    long.run()

    files.away = True
    world.read_anew()
    world.run()
    files.away = False
    world.run()

    assert world.held() == long.held()
    assert world.run().unchanged == 2


def test_a_missing_drive_is_told_once() -> None:
    """By its files that are kept; where it has none in the index, as a folder that cannot be read."""
    files = Away()
    world = World(files)
    world.write("a.md", TEXT)
    files.write("/drive", "b.md", b"text")
    world.run()
    files.away = True
    world.run()

    assert world.indexer.left_out == missing(files, world.catalog, lambda _: True) == Missing(held=1)
    never = World(files)
    never.run()
    assert never.indexer.left_out == missing(files, never.catalog, lambda _: True) == Missing(failed=1)


class Locked(MemoryFiles):
    """A folder with a file that cannot be opened, or that is removed between scan and read."""

    locked = gone = ""
    why = "permission denied"

    def load(self, file: FoundFile) -> Source:
        """Read a file.

        Raises:
            DocumentError: It cannot be opened.
        """
        if file.path == self.gone:
            self.remove(file.folder, file.path)
        if file.path == self.locked:
            raise DocumentError(f"cannot be opened: {self.why}", "Give yourself the right to read it")
        return super().load(file)


def test_file_that_cannot_be_opened_is_reported_once_and_retried() -> None:
    """It stays a failure until it can be opened, which may not change its stat."""
    files = Locked()
    world = World(files)
    world.write("a.md", TEXT)
    files.locked = "a.md"

    first, second, third = world.run(), world.run(), world.run()
    files.locked = ""
    opened = world.run()

    assert (first.standing, len(first.failures)) == ((), 1)
    assert (second.standing, third.standing) == (second.failures, third.failures)
    assert (len(second.failures), len(third.failures)) == (1, 1)
    assert (opened.failures, opened.total) == ((), 2)


def test_a_file_that_fails_for_another_reason_has_that_one() -> None:
    """It is what has to be mended now, and no longer what earlier runs reported."""
    files = Locked({(FOLDER, "a.md"): TEXT.encode()})
    world = World(files)
    files.locked = "a.md"
    world.run()
    files.why = "input/output error"

    report = world.run()

    assert ([one.reason for one in report.failures], report.standing) == (["cannot be opened: input/output error"], ())
    assert [one.reason for one in world.catalog.problems()] == ["cannot be opened: input/output error"]


class Growing(MemoryFiles):
    """A folder whose files become longer whenever they are read."""

    def load(self, file: FoundFile) -> Source:
        """Read a file."""
        self.write(file.folder, file.path, super().load(file).data * 2)
        return super().load(file)


def test_progress_never_exceeds_its_total() -> None:
    """A file may grow between scan and read."""
    world = World(Growing({(FOLDER, "a.md"): b"text "}))
    seen: list[IndexProgress] = []

    world.run(on_progress=seen.append)

    assert (seen[-1].size, seen[-1].size_total) == (5, 5)


def test_file_removed_while_it_is_read_is_no_failure() -> None:
    """The next scan handles it; until then its entry stays."""
    files = Locked({(FOLDER, "a.md"): TEXT.encode(), (FOLDER, "b.md"): b"text"})
    files.gone = "b.md"
    world = World(files)

    assert world.indexer.dry_run().failures == ()
    files.write(FOLDER, "b.md", b"text")
    report = world.run()

    assert (report.failures, report.added, report.total) == ((), 1, 2)
    assert world.held() == fresh(files).held()


def test_dry_run_writes_nothing(world: World) -> None:
    """A dry run counts by content and changes no store."""
    written: list[str] = []
    world.before = written.append
    world.files.move(FOLDER, "a.md", "moved.md")
    world.write("b.md", "changed")
    world.write("c.md", "new")

    report = world.indexer.dry_run()

    assert (report.added, report.changed, report.moved, report.removed, report.dry_run) == (1, 1, 1, 0, True)
    assert written == []


def test_progress_ends_at_the_total() -> None:
    """Progress never decreases, and ends with all files and bytes."""
    world = World()
    for number in range(40):
        world.write(f"{number}.md", f"# {number}\n\n" + "\n\n".join(f"word{number} {line}" for line in range(50)))
    seen: list[IndexProgress] = []

    world.run(on_progress=seen.append)

    assert [one.size for one in seen] == sorted(one.size for one in seen)
    assert (seen[-1].files, seen[-1].files_total) == (40, 40)
    assert seen[-1].size == seen[-1].size_total
    assert seen[-1].doing == "finishing"
    counts = [one.embedded + one.reused for one in seen]
    assert counts == sorted(counts)
    assert counts[-1] > 0


def test_stopping_leaves_complete_files_and_the_next_run_continues() -> None:
    """No file is half done, all are found by their words, and nothing is embedded twice."""
    world = World()
    for number in range(100):
        world.write(f"{number}.md", f"# {number}\n\ntext {number}\n")
    asked = itertools.count()

    # Asked once for each file, for the window and for each slice of texts: the second slice is not begun.
    report = world.run(should_stop=lambda: next(asked) >= 102)
    embedded = len(world.embedder.texts)
    again = world.run()

    assert (report.interrupted, report.added, report.waiting) == (True, 100, 0)
    assert 0 < embedded < 100
    assert (report.embedded, report.unembedded, report.words_only) == (embedded, 100, 100)
    assert world.catalog.as_of() is not None
    assert (again.added, again.unchanged, again.interrupted) == (0, 100, False)
    assert (again.embedded, again.reused) == (100 - embedded, embedded)
    assert len(world.embedder.texts) == len(set(world.embedder.texts)) == 100
    assert world.held() == fresh(world.files).held()


@pytest.mark.parametrize("embed", [True, False])
def test_passages_are_written_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch, *, embed: bool) -> None:
    """Whether their vectors are known or not: searches wait while they are written."""
    monkeypatch.setattr("kb.indexing.write.WRITTEN_AT_ONCE", 10)
    world = World()
    for number in range(60):
        world.write(f"{number:02}.md", "".join(f"# Part {part}\n\ntext {number} {part}\n\n" for part in range(3)))
    world.run(embed=embed)
    writes: list[int] = []
    write = Writer._write

    def written(self: Writer, changes: Sequence[FileChange]) -> None:
        writes.append(sum(len(change.passages) for change in changes))
        write(self, changes)

    monkeypatch.setattr(Writer, "_write", written)

    world.read_anew()
    report = world.run()

    assert (report.embedded, report.reused) == ((0, 180) if embed else (180, 0))
    assert (max(writes), sum(writes)) == (9, 180)
    assert world.held() == fresh(world.files).held()


def test_many_files_are_dropped_in_pages_and_that_can_be_stopped() -> None:
    """No transaction takes long, and a stopped run leaves the rest to the next one."""
    world = many(300)
    for number in range(140):
        world.files.remove(FOLDER, f"{number:03}.md")
    pages = itertools.count()
    removed: list[str] = []
    stopped = False

    def after(step: str) -> None:
        nonlocal stopped
        if step == "remove":
            removed.append(step)
            stopped = next(pages) == 1

    world.after = after
    first = world.run(accept_deletions=True, should_stop=lambda: stopped)
    world.after = lambda _: None
    second = world.run(accept_deletions=True)

    assert (first.interrupted, first.removed, first.total) == (True, 100, 200)
    assert (second.interrupted, second.removed, second.total) == (False, 40, 160)
    assert world.held() == fresh(world.files).held()


def many(count: int) -> World:
    """An indexed folder with a number of files."""
    world = World()
    for number in range(count):
        world.write(f"{number:03}.md", f"text {number}")
    world.run()
    return world


def test_mass_deletion_is_held_until_confirmed_or_undone() -> None:
    """If most of a folder is missing, nothing is dropped; once files return, the others are dropped."""
    world = many(60)
    lost = [file.path for file in world.files.scan().files][:40]
    for path in lost:
        world.files.remove(FOLDER, path)

    held = world.run()
    again = world.run()
    for path in lost[:30]:
        world.write(path, f"text {int(path[:3])}")
    back = world.run()

    assert (held.held, held.removed, held.total) == (40, 0, 60)
    assert again.held == 40
    assert (back.held, back.removed, back.embedded, back.total) == (0, 10, 0, 50)


def test_confirmed_mass_deletion_is_done() -> None:
    """After the user's confirmation."""
    world = many(60)
    for number in range(50):
        world.files.remove(FOLDER, f"{number:03}.md")

    report = world.run(accept_deletions=True)

    assert (report.held, report.removed, report.total) == (0, 50, 10)


def test_the_longest_texts_are_embedded_first() -> None:
    """So that a lack of memory shows at once."""
    world = World()
    for number in (3, 9, 1, 6):
        world.write(f"{number}.md", "word " * number)

    world.run()

    assert [len(text.split()) for text in world.embedder.texts] == [9, 6, 3, 1]


def test_a_run_can_be_stopped_between_slices() -> None:
    """Not only between files, since a book has many slices."""
    world = World()
    world.write("book.md", "\n\n".join(f"# {number}\n\ntext {number}" for number in range(100)))

    report = world.run(should_stop=lambda: bool(world.embedder.texts))

    assert report.interrupted
    done = len(world.embedder.texts)
    assert 0 < done < 100
    assert world.run().embedded == 100 - done


def test_many_small_files_are_searchable_before_all_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if all vectors are known, so that embedding does not determine when to write."""
    monkeypatch.setattr("kb.indexing.write._FILES_AT_ONCE", 10)
    world = many(25)
    world.read_anew()
    written: list[str] = []
    world.after = written.append

    world.run()

    assert written.count("finish") == 3


@pytest.mark.parametrize(
    ("files", "lost", "held"),
    [(60, 30, 0), (60, 31, 31), (38, 20, 0), (40, 21, 21)],
    ids=["half", "more than half", "a few, though more than half", "more than a few"],
)
def test_deletions_are_held_from_a_certain_number_on(files: int, lost: int, held: int) -> None:
    """More than half of a folder and more than twenty files."""
    world = many(files)
    for number in range(lost):
        world.files.remove(FOLDER, f"{number:03}.md")

    told = world.indexer.dry_run()
    report = world.run()

    assert (told.held, told.removed) == (report.held, report.removed) == (held, lost - held)


class Ruled(MemoryFiles):
    """A folder whose ignore files exclude one directory."""

    excluded = ""

    def scan(self) -> Scan:
        """List every file that the rules let in."""
        scan = super().scan()
        there = (file for file in scan.files if not (self.excluded and file.path.startswith(self.excluded)))
        return replace(scan, files=tuple(there))


def test_excluded_files_are_dropped_however_many() -> None:
    """They exist but are excluded, so the next run removes them from the index."""
    files = Ruled()
    world = World(files)
    for number in range(30):
        world.write(f"private/{number:02}.md", f"secret {number}")
    for number in range(10):
        world.write(f"{number:02}.md", f"text {number}")
    world.run()
    files.excluded = "private/"

    pending = world.indexer.compare()[0].pending
    told = world.indexer.dry_run()
    report = world.run()

    assert pending == 30
    assert (told.held, told.removed) == (0, 30)
    assert (report.held, report.removed, report.total) == (0, 30, 10)
    assert world.held() == fresh(files).held()


def test_excluded_files_do_not_affect_missing_ones() -> None:
    """Missing files are still held if others were excluded."""
    files = Ruled()
    world = World(files)
    for number in range(30):
        world.write(f"private/{number:02}.md", f"secret {number}")
        world.write(f"{number:02}.md", f"text {number}")
    world.run()
    files.excluded = "private/"
    for number in range(25):
        files.remove(FOLDER, f"{number:02}.md")

    report = world.run()

    assert (report.held, report.removed, report.total) == (25, 30, 30)


def test_empty_folder_drops_nothing() -> None:
    """A folder without entries may be an unmounted disk, however few files it had."""
    world = many(3)
    for number in range(3):
        world.files.remove(FOLDER, f"{number:03}.md")

    report = world.run()

    assert (report.held, report.removed, report.total) == (3, 0, 3)


def test_ordinary_deletions_moves_and_branch_switches_are_not_held() -> None:
    """A few missing files, moved files and replaced files are dropped at once."""
    world = many(60)
    for number in range(20):
        world.files.remove(FOLDER, f"{number:03}.md")
    few = world.run()
    for number in range(20, 60):
        world.files.move(FOLDER, f"{number:03}.md", f"sub/{number:03}.md")
    moved = world.run()
    for number in range(20, 60):
        world.files.remove(FOLDER, f"sub/{number:03}.md")
        world.write(f"other/{number:03}.md", f"other {number}")
    switched = world.run()

    assert (few.removed, few.held) == (20, 0)
    assert (moved.moved, moved.held, moved.embedded) == (40, 0, 0)
    assert (switched.removed, switched.held, switched.added) == (40, 0, 40)


def test_each_file_has_one_event(world: World) -> None:
    """With the kind of its change; a text that two new files have is embedded for the first of them."""
    world.files.move(FOLDER, "a.md", "moved.md")
    world.write("b.md", "# Three\n\nepsilon\n\n# Four\n\nzeta\n")
    world.write("c.md", "new")
    world.write("d.md", "# Five\n\neta\n")
    world.write("e.md", "# Five\n\neta\n")
    world.files.write(FOLDER, "bad.md", BINARY)
    events: list[FileEvent] = []
    world.run(on_event=events.append)
    world.files.remove(FOLDER, "c.md")
    world.run(on_event=events.append)

    told = {(event.kind, event.path, event.before, event.passages, event.reused) for event in events}
    assert told == {
        ("moved", "moved.md", "a.md", 2, 2),
        ("changed", "b.md", "", 2, 1),
        ("added", "c.md", "", 1, 0),
        ("added", "d.md", "", 1, 0),
        ("added", "e.md", "", 1, 1),
        ("failed", "bad.md", "", 0, 0),
        ("removed", "c.md", "", 1, 0),
    }
    assert next(event.reason for event in events if event.kind == "failed")


def test_files_that_are_only_read_anew_have_no_event(world: World) -> None:
    """Nobody changed them."""
    events: list[FileEvent] = []
    world.read_anew()

    assert world.run(on_event=events.append).unchanged == 2
    assert events == []


class Boom(Exception):
    """The process dies here."""


def _edits(world: World) -> None:
    world.write("a.md", TEXT.replace("gamma", "omega"))
    world.files.move(FOLDER, "b.md", "sub/b.md")
    world.write("c.md", "# New\n\nnew text\n")
    world.files.remove(FOLDER, "gone.md")
    world.files.write(FOLDER, "bad.md", BINARY)


def _dying(steps: int) -> Callable[[str], None]:
    """A hook that lets a number of steps pass and dies at the next."""
    left = steps

    def die(name: str) -> None:
        """A run dies at one of its steps."""
        nonlocal left
        left -= 1
        if left < 0:
            raise Boom(name)

    return die


def _chain(death: BaseException | None) -> list[str]:
    """The steps that were attempted, the last first; clean-up may attempt more."""
    return [] if death is None else [str(death), *_chain(death.__context__)]


def _before_the_edits() -> World:
    world = World()
    for name, text in (("a.md", TEXT), ("b.md", "# Three\n\nepsilon\n"), ("gone.md", "gone"), ("bad.md", "good")):
        world.write(name, text)
    world.run()
    return world


@pytest.mark.parametrize("hook", ["before", "after"])
def test_death_at_every_step_is_repaired_by_the_next_run(hook: str) -> None:
    """Before or after a step took effect; the result equals a new index."""
    for step in itertools.count():
        world = _before_the_edits()
        _edits(world)
        setattr(world, hook, _dying(step))
        try:
            world.run()
        except Boom:
            died = True
        else:
            died = False
        setattr(world, hook, lambda _: None)

        world.run()

        assert world.held() == fresh(world.files).held(), f"step {step}"
        assert world.checker().check().differences == (), f"step {step}"
        if not died:
            break
    assert step > 8


@pytest.mark.parametrize("hook", ["before", "after"])
def test_files_that_return_after_a_death_are_complete(hook: str) -> None:
    """A run dies while it removes files, which return with the same stat before the next run."""
    for step in itertools.count():
        world = _before_the_edits()
        there = dict(world.files._files)
        world.files.remove(FOLDER, "gone.md")
        setattr(world, hook, _dying(step))
        try:
            world.run()
        except Boom:
            died = True
        else:
            died = False
        setattr(world, hook, lambda _: None)
        world.files._files = there

        world.run()

        assert world.held() == fresh(world.files).held(), f"step {step}"
        assert world.checker().check().differences == (), f"step {step}"
        if not died:
            break
    assert step > 3


_NAMES = st.sampled_from(["a.md", "b.md", "c.txt", "sub/d.md"])
_TEXTS = st.lists(st.sampled_from(["alpha", "beta", "# Head", "gamma delta", ""]), min_size=1, max_size=6).map(
    "\n\n".join
)


class Following(RuleBasedStateMachine):
    """Files change in any way, and runs complete, die or are stopped; the store equals a new index."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.settled = True
        self.lost = False
        # What a new index holds of the files as they are; None until that is asked for.
        self.expected: list[tuple[str, int, int, str, tuple[str, ...], str]] | None = None

    def _changed(self) -> None:
        self.settled, self.expected = False, None

    @initialize()
    def begin(self) -> None:
        """Start with one permanent file, since a folder without files would be held."""
        self.world.write("stays.md", "stays")
        self.world.run()

    def _paths(self) -> list[str]:
        return [file.path for file in self.world.files.scan().files if file.path != "stays.md"]

    @rule(path=_NAMES, text=_TEXTS)
    def write(self, path: str, text: str) -> None:
        """Create or change a file."""
        self.world.write(path, text)
        self._changed()

    @precondition(lambda self: self._paths())
    @rule(data=st.data(), name=_NAMES)
    def move(self, data: st.DataObject, name: str) -> None:
        """Move a file, perhaps over another one."""
        self.world.files.move(FOLDER, data.draw(st.sampled_from(self._paths())), name)
        self._changed()

    @precondition(lambda self: self._paths())
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove a file."""
        self.world.files.remove(FOLDER, data.draw(st.sampled_from(self._paths())))
        self._changed()

    @rule(steps=st.integers(0, 12))
    def die(self, steps: int) -> None:
        """A run dies at one of its steps."""
        self.world.before = _dying(steps)
        try:
            self.world.run()
            self.settled = True
        except Boom as death:
            self.settled = False
            # What was embedded and not yet kept is lost with the process, and nothing else ever is.
            self.lost = self.lost or "put" in _chain(death)
        finally:
            self.world.before = lambda _: None

    @rule()
    def run(self) -> None:
        """A run completes."""
        self.world.run()
        self.settled = True

    @invariant()
    def equals_a_new_index(self) -> None:
        """After a complete run, the store equals a new index."""
        if not self.settled:
            return
        if self.expected is None:
            with closing(fresh(self.world.files)) as other:
                self.expected = other.held()
        assert self.world.held() == self.expected
        assert {one.id for one in self.world.catalog.all_passages()} == set(self.world.vectors.records)
        texts = self.world.embedder.texts
        assert self.lost or len(texts) == len(set(texts)), "a text was embedded twice"

    def teardown(self) -> None:
        """Close the catalog."""
        self.world.close()


TestFollowing = Following.TestCase


@given(st.lists(st.tuples(_NAMES, _TEXTS), max_size=8))
def test_a_second_run_is_empty(writes: list[tuple[str, str]]) -> None:
    """Indexing twice is indexing once."""
    world = World()
    for path, text in writes:
        world.write(path, text)
    world.run()
    held = world.held()

    report = world.run()

    assert (report.added, report.changed, report.moved, report.removed, report.embedded) == (0, 0, 0, 0, 0)
    assert world.held() == held


class Passing(DocumentReader):
    """A reader whose parser is killed ``ends`` times, or fails for the reason in ``fails``."""

    ends = False
    fails = ""

    def read(self, source: Source) -> tuple[Document, tuple[Passage, ...]]:
        """Read a file.

        Raises:
            DocumentBusy: Its parser was ended.
            DocumentError: It fails.
        """
        if self.ends and source.file.path == "b.md":
            raise DocumentBusy("is not read: the process that reads it was ended from outside (Killed)", "Again")
        if self.fails and source.file.path == "b.md":
            raise DocumentError(self.fails)
        return super().read(source)


def passing_world() -> tuple[World, Passing]:
    """A knowledge base of two notes, and its reader."""
    world = World()
    reader = Passing(Chunker(FakeTokens(), 32))
    world.reader = reader
    world.indexer = world._indexer("reading 1")
    world.write("a.md", TEXT)
    world.write("b.md", "# Three\n\nepsilon\n")
    return world, reader


def test_a_file_that_is_retried_does_not_wait_after_a_stopped_run() -> None:
    """It counts as a failure; only files that were not written wait."""
    world, reader = passing_world()
    world.write("c.md", "# Four\n\nzeta\n")
    reader.ends = True
    asked: list[bool] = []

    def stops_at_the_second_file() -> bool:
        asked.append(True)
        return len(asked) > 1

    report = world.run(should_stop=stops_at_the_second_file)

    assert (report.interrupted, report.waiting, len(report.failures)) == (True, 2, 1)


def test_what_a_stopped_first_run_has_read_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was read by the code of this kb, though no run is complete yet."""
    monkeypatch.setattr("kb.indexing.write._FILES_AT_ONCE", 1)
    world = World()
    for number in range(6):
        world.write(f"{number}.md", f"text {number}")
    asked = itertools.count()
    world.run(should_stop=lambda: next(asked) == 4)
    done = {file.path for file in world.catalog.files() if file.state == "done"}
    read: list[str] = []
    load = world.files.load

    def noted(file: FoundFile) -> Source:
        read.append(file.path)
        return load(file)

    monkeypatch.setattr(world.files, "load", noted)
    world.run()

    assert done
    assert sorted([*done, *read]) == [f"{number}.md" for number in range(6)]


def test_file_whose_parser_was_killed_from_outside_is_retried() -> None:
    """It is reported, keeps its passages, and is read by the next run though it did not change."""
    world, reader = passing_world()
    reader.ends = True
    first = world.run()
    reader.ends = False
    second = world.run()

    assert [failure.path for failure in first.failures] == ["b.md"]
    assert (second.added, second.failures, second.total) == (1, (), 3)

    world.write("b.md", "# Three\n\nzeta\n")
    reader.ends = True
    third = world.run()
    assert (third.total, len(third.failures), third.dropped) == (3, 1, 0)
    reader.ends = False
    assert world.run().changed == 1
    assert world.held() == fresh(world.files).held()


@pytest.mark.parametrize(
    "reason",
    [
        "made its reader give up, most likely for more memory than 1,000 MB (documents.memory_mb)",
        "could not be read: its process ends at once",
    ],
)
def test_file_that_was_wrongly_marked_is_retried(reason: str) -> None:
    """Older versions of kb marked files whose parser was killed as failed."""
    world, reader = passing_world()
    reader.fails = reason
    world.run()
    reader.fails = ""

    assert (world.run().failures, world.run().unchanged) == ((), 2)
    assert world.held() == fresh(world.files).held()


def test_file_over_a_limit_of_its_parser_is_read_once() -> None:
    """The failure stays until the file changes."""
    world, reader = passing_world()
    reader.fails = "makes its parser give up, most likely for more than 1,000 MB of memory (documents.memory_mb)"
    world.run()
    reader.fails = ""

    assert len(world.run().standing) == 1


@pytest.mark.parametrize("stop_after", [0, 1, 5, 30, 61])
def test_the_report_of_an_interrupted_run_is_true(stop_after: int) -> None:
    """Counted files are in the index, and the next run does the rest."""
    world = World()
    for number in range(40):
        world.write(f"{number:02}.md", f"# Note {number}\n\ntext {number}\n")
    world.run()
    for number in range(30):
        world.write(f"{number:02}.md", f"# Note {number}\n\nanother text {number}\n")
    for number in range(40, 70):
        world.write(f"{number:02}.md", f"# Note {number}\n\ntext {number}\n")
    world.files.remove("/notes", "35.md")
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > stop_after

    first = world.run(should_stop=should_stop)
    done = {one.file.path: one.text for one in world.catalog.all_passages()}
    assert first.interrupted
    assert first.added == sum(path >= "40.md" for path in done)
    assert first.changed == sum("another" in text for text in done.values())
    assert first.total == world.catalog.count()
    assert first.unchanged == 9

    second = world.run()
    assert (second.interrupted, second.waiting) == (False, 0)
    assert first.waiting == second.added + second.changed + second.removed
