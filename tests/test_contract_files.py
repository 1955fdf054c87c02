"""What every ``kb.ports.Files`` keeps to: the disk and the fake."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import pytest

from kb.errors import DocumentError
from kb.files.rules import Rules
from kb.files.scan import Disk
from kb.records import FileStat, FoundFile
from kb.testing import MemoryFiles

if TYPE_CHECKING:
    from pathlib import Path

    from kb.ports import Files


class Folder(Protocol):
    """One watched folder and the ways a user changes what is in it."""

    folder: str
    files: Files

    def write(self, path: str, data: bytes) -> None:
        """Put a file there, or change one."""

    def move(self, path: str, new_path: str) -> None:
        """Rename a file."""

    def remove(self, path: str) -> None:
        """Delete a file."""


class FolderOnDisk:
    """A real folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = os.path.realpath(root)
        rules = Rules(include=(), exclude=(), gitignore=True, hidden=False, follow_symlinks=False, max_bytes=10_000_000)
        self.files: Files = Disk([self.folder], rules)
        self._writes = 0

    def write(self, path: str, data: bytes) -> None:
        """Put a file there, or change one, at a time of its own however coarse the clock of the disk is."""
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        self._writes += 1
        os.utime(place, ns=(0, self._writes * 1_000_000_000))

    def move(self, path: str, new_path: str) -> None:
        """Rename a file."""
        (self._root / path).rename(self._root / new_path)

    def remove(self, path: str) -> None:
        """Delete a file."""
        (self._root / path).unlink()


class FolderInMemory:
    """A folder of the fake."""

    def __init__(self) -> None:
        self.folder = "/notes"
        self._files = MemoryFiles()
        self.files: Files = self._files

    def write(self, path: str, data: bytes) -> None:
        """Put a file there, or change one."""
        self._files.write(self.folder, path, data)

    def move(self, path: str, new_path: str) -> None:
        """Rename a file."""
        self._files.move(self.folder, path, new_path)

    def remove(self, path: str) -> None:
        """Delete a file."""
        self._files.remove(self.folder, path)


@pytest.fixture(params=["memory", "disk"])
def notes(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder of each kind."""
    return FolderInMemory() if request.param == "memory" else FolderOnDisk(tmp_path)


def known_stat(notes: Folder, path: str) -> FileStat:
    """The stat of a file that is there."""
    found = notes.files.stat(notes.folder, path)
    assert found is not None
    return found


class TestFiles:
    """The contract."""

    def test_an_empty_folder_holds_no_file(self, notes: Folder) -> None:
        """And nothing is wrong with it."""
        scan = notes.files.scan()

        assert (scan.files, scan.problems, scan.missing, scan.unread) == ((), (), (), ())

    def test_files_come_in_order_with_their_stats(self, notes: Folder) -> None:
        """Order of (folder, path) as strings, where a directory's slash counts as a character."""
        for path in ("b.md", "a/z.md", "a.md", "a-b.md", "Z.md", "a/b/c.md", "é.md"):
            notes.write(path, path.encode())

        files = notes.files.scan().files

        assert [file.path for file in files] == ["Z.md", "a-b.md", "a.md", "a/b/c.md", "a/z.md", "b.md", "é.md"]
        assert {file.folder for file in files} == {notes.folder}
        for file in files:
            assert file.stat == known_stat(notes, file.path)
            assert file.stat.size == len(file.path.encode())

    def test_a_file_is_loaded_whole_with_its_hash(self, notes: Folder) -> None:
        """Bytes as they are, under the stat they were read with."""
        data = b"\x00\xff\r\n" * 40_000
        notes.write("a.md", data)
        (file,) = notes.files.scan().files

        source = notes.files.load(file)

        assert source.data == data
        assert source.content_hash == sha256(data).digest()
        assert source.file == file
        assert source.read_ns > file.stat.mtime_ns

    def test_a_stat_stays_while_nothing_changes(self, notes: Folder) -> None:
        """Neither scanning nor loading changes a file."""
        notes.write("a.md", b"text")
        before = known_stat(notes, "a.md")

        notes.files.load(notes.files.scan().files[0])

        assert known_stat(notes, "a.md") == before

    def test_a_stat_changes_with_the_content(self, notes: Folder) -> None:
        """Also where the size stays the same."""
        notes.write("a.md", b"old")
        before = known_stat(notes, "a.md")

        notes.write("a.md", b"new")

        assert known_stat(notes, "a.md") != before
        assert known_stat(notes, "a.md").size == before.size

    def test_a_moved_file_is_the_same_file(self, notes: Folder) -> None:
        """Inode, size and time of change of its content go with it."""
        notes.write("a.md", b"text")
        before = known_stat(notes, "a.md")

        notes.move("a.md", "b.md")

        after = known_stat(notes, "b.md")
        assert (after.inode, after.device) == (before.inode, before.device)
        assert (after.size, after.mtime_ns) == (before.size, before.mtime_ns)
        assert notes.files.stat(notes.folder, "a.md") is None

    def test_two_files_are_told_apart_though_they_are_equal(self, notes: Folder) -> None:
        """Equal bytes, two inodes."""
        notes.write("a.md", b"text")
        notes.write("b.md", b"text")

        assert known_stat(notes, "a.md").inode != known_stat(notes, "b.md").inode

    def test_a_file_that_vanished_has_no_stat_and_cannot_be_loaded(self, notes: Folder) -> None:
        """One file's trouble is data about that file."""
        notes.write("a.md", b"text")
        (file,) = notes.files.scan().files
        notes.remove("a.md")

        assert notes.files.stat(notes.folder, "a.md") is None
        assert notes.files.scan().files == ()
        with pytest.raises(DocumentError):
            notes.files.load(file)

    def test_a_file_that_changed_since_the_scan_is_loaded_as_it_is_now(self, notes: Folder) -> None:
        """With the stat that belongs to these bytes, not with the older one."""
        notes.write("a.md", b"old")
        (file,) = notes.files.scan().files
        notes.write("a.md", b"newer")

        source = notes.files.load(file)

        assert source.data == b"newer"
        assert source.file == FoundFile(notes.folder, "a.md", known_stat(notes, "a.md"))

    def test_names_may_be_anything_a_file_system_takes(self, notes: Folder) -> None:
        """Line ends, emoji, both spellings of an accent, bytes that are no text."""
        names = ["a\nb.md", "😀.md", "\u00e9.md", "e\u0301.md", "\udcff.md", " .md", "-n.md"]
        for name in names:
            notes.write(name, name.encode("utf-8", "surrogateescape"))

        files = notes.files.scan().files

        assert [file.path for file in files] == sorted(names)
        for file in files:
            assert notes.files.load(file).data == file.path.encode("utf-8", "surrogateescape")


def test_places_are_scanned_as_in_a_scan_of_everything(notes: Folder) -> None:
    """What is at a place and below it, and nothing whose name only begins alike."""
    for path in ("a/one.md", "a/b/two.md", "ab.md", "four.md"):
        notes.write(path, b"text\n")
    whole = notes.files.scan()
    assert whole.basis is not None
    places = frozenset({(notes.folder, "a"), (notes.folder, "gone.md")})
    found = notes.files.scan_places(places, whole.basis)

    assert found is not None
    assert found.places == places
    assert list(found.files) == [file for file in whole.files if file.path.startswith("a/")]
