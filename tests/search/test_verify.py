"""Tests that a hit is laid beside its file, and that a process does not read a file again for every question."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kb.files.rules import Rules
from kb.files.scan import Disk
from kb.records import FoundFile, KnownFile, Source, StoredPassage
from kb.search.verify import ReadFiles, Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

LINES = [f"line {number}" for number in range(1, 101)]
LONG_AGO = 1_000_000_000
RULES = Rules(include=(), exclude=(), gitignore=True, hidden=False, follow_symlinks=True, max_bytes=1_000_000)


class Counting(Disk):
    """The disk, with the number of files that were read from it."""

    loads = 0

    def load(self, file: FoundFile) -> Source:
        """Read a file."""
        self.loads += 1
        return super().load(file)


@pytest.fixture
def disk(tmp_path: Path) -> Counting:
    """A folder with one note that was written long ago."""
    write(tmp_path / "note.md", LINES)
    return Counting([str(tmp_path)], RULES)


def write(note: Path, lines: Sequence[str], at: int = LONG_AGO) -> None:
    """Write a note, as if at a time."""
    note.write_text("\n".join(lines))
    os.utime(note, (at, at))


def known(disk: Counting) -> KnownFile:
    """The note as the catalog knows it."""
    (found,) = disk.scan().files
    data = Path(found.folder, found.path).read_bytes()
    return KnownFile(7, found.folder, found.path, found.stat, sha256(data).digest(), found.stat.ctime_ns, "done")


def passage(file: KnownFile, first: int, last: int, text: str = "") -> StoredPassage:
    """A passage of some lines of the note."""
    text = text or "\n".join(LINES[first - 1 : last])
    return StoredPassage(f"7-{first}-0", file, text, (), first, last, None, b"", first)


class Answers:
    """Answers one question after another."""

    def __init__(self, disk: Counting, split: Sequence[StoredPassage] = (), most: int = 1000) -> None:
        self.distrusted: list[KnownFile] = []
        self.splits = 0
        self._disk = disk
        self._fresh = split
        self._read = ReadFiles(most)

    def _split(self, *_: object) -> Sequence[StoredPassage]:
        self.splits += 1
        return self._fresh

    def hit(self, one: StoredPassage) -> StoredPassage | None:
        """What is shown of a passage in an answer of its own."""
        verifier = Verifier(
            self._disk, lambda source: source.data.decode(), self._split, self.distrusted.append, self._read
        )
        return verifier.checked(one)


def test_a_file_is_read_for_the_first_of_many_answers(disk: Counting) -> None:
    """Other passages of it are compared with what is remembered of its lines."""
    answers, file = Answers(disk), known(disk)

    for first in (1, 11, 21, 1):
        assert answers.hit(passage(file, first, first + 5)) == passage(file, first, first + 5)

    assert disk.loads == 1


def test_what_does_not_stand_there_is_noticed_though_the_file_was_read_before(disk: Counting) -> None:
    """Neither a text of another place nor one that is nowhere is shown as exact."""
    file = known(disk)
    answers = Answers(disk, [passage(file, 31, 35)])
    answers.hit(passage(file, 1, 5))

    assert answers.hit(passage(file, 11, 15, text="\n".join(LINES[20:25]))) is None
    assert answers.hit(replace(passage(file, 31, 35), first_line=32, last_line=36)) == passage(file, 31, 35)
    assert answers.hit(replace(passage(file, 31, 35), first_line=0)) == passage(file, 31, 35)
    assert answers.hit(replace(passage(file, 31, 35), sound=False)) == passage(file, 31, 35)
    assert len(answers.distrusted) == 4


def test_a_file_that_changed_is_read_again(disk: Counting, tmp_path: Path) -> None:
    """Once it is another file than the index knows its passages come as they are, and once it is indexed compared."""
    answers, before = Answers(disk), known(disk)
    answers.hit(passage(before, 1, 5))
    write(tmp_path / "note.md", ["something else"], at=LONG_AGO + 1)

    assert answers.hit(passage(before, 1, 5)) == passage(before, 1, 5)
    assert disk.loads == 2
    assert answers.hit(passage(known(disk), 1, 5)) is None


def test_a_file_that_was_indexed_anew_is_not_taken_for_the_one_before(disk: Counting) -> None:
    """The catalog says of the same file that it has another content."""
    answers, file = Answers(disk), known(disk)
    answers.hit(passage(file, 1, 5))

    answers.hit(passage(replace(file, content_hash=b"another"), 1, 5))

    assert disk.loads == 2


def test_a_file_that_was_just_written_is_read_each_time(disk: Counting, tmp_path: Path) -> None:
    """It could be written again within one tick of its file system's clock, with the same stat."""
    answers = Answers(disk)
    (tmp_path / "note.md").touch()
    file = known(disk)

    answers.hit(passage(file, 1, 5))
    answers.hit(passage(file, 1, 5))

    assert disk.loads == 2


def test_a_part_of_a_long_line_stands_in_it(disk: Counting, tmp_path: Path) -> None:
    """Who writes a paragraph to a line has passages that begin and end within lines: nothing is split again."""
    write(tmp_path / "note.md", [" ".join(LINES), "", " ".join(LINES)])
    answers, file = Answers(disk), known(disk)

    for text in ("line 7 line 8", f"line 100\n\n{' '.join(LINES[:5])}"):
        part = replace(passage(file, 1, 1 + text.count("\n")), text=text)
        assert answers.hit(part) == part
    assert answers.hit(replace(passage(file, 3, 3), text="line 8 line 7")) is None
    assert answers.splits == 1


def test_a_passage_that_is_not_its_lines_is_split_from_its_file_once(disk: Counting) -> None:
    """As in formats whose text is put together; an altered one is still noticed."""
    file = known(disk)
    odd = passage(file, 11, 15, text="put together")
    answers = Answers(disk, [odd])

    assert [answers.hit(odd) for _ in range(3)] == [odd] * 3
    assert answers.hit(replace(odd, text="put together otherwise")) == odd
    assert answers.distrusted == [file]
    assert answers.splits == 1


def test_what_is_remembered_has_a_limit(disk: Counting) -> None:
    """A longer file is read each time."""
    answers, file = Answers(disk, most=50), known(disk)

    answers.hit(passage(file, 1, 5))
    answers.hit(passage(file, 1, 5))

    assert disk.loads == 2
