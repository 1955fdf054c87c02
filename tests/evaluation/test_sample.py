"""A sample is drawn the same way every time, copied as it stood, and asked for what its notes say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kb.chunking.split import Chunker
from kb.evaluation.bench import Sample, copy_file, draw_sample
from kb.files.rules import Rules
from kb.files.scan import Disk
from kb.formats.reader import DocumentReader
from kb.testing import FakeTokens

if TYPE_CHECKING:
    from pathlib import Path

    from kb.records import Source

RULES = Rules(include=(), exclude=(), gitignore=True, hidden=False, follow_symlinks=True, max_bytes=10**7)
READER = DocumentReader(Chunker(FakeTokens(), 64))


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """Twenty notes, one of them no text."""
    folder = tmp_path / "notes"
    (folder / "below").mkdir(parents=True)
    for number in range(19):
        (folder / "below" / f"{number}.md").write_text(
            f"# Note number {number}\n\nIt says {number}.\n\n## Odd\n\nMore.\n"
        )
    (folder / "picture.md").write_bytes(bytes(range(256)))
    return Disk([str(folder)], RULES)


def test_the_same_files_are_drawn_every_time(disk: Disk) -> None:
    """Until there are enough; what is no text is passed over, and counted among all files."""
    first: list[Source] = []
    second: list[Source] = []

    sample = draw_sample(disk, READER, first.append, lambda one: one.files == 7)
    again = draw_sample(disk, READER, second.append, lambda one: one.files == 7)
    everything = draw_sample(disk, READER, lambda _: None, lambda _: False)

    assert (sample.files, sample.total, everything.files) == (7, 20, 19)
    assert [one.file.path for one in first] == [one.file.path for one in second]
    assert sample.texts == again.texts
    assert all(tokens > 2 for tokens in sample.texts.values())


def test_a_copy_is_the_file_with_its_time(disk: Disk, tmp_path: Path) -> None:
    """Below the same folders, so that scope and titles are the same."""
    draw_sample(disk, READER, lambda source: copy_file(source, tmp_path / "copy"), lambda _: False)

    for number in range(19):
        original, copy = (tmp_path / name / "below" / f"{number}.md" for name in ("notes", "copy"))
        assert copy.read_bytes() == original.read_bytes()
        assert copy.stat().st_mtime_ns == original.stat().st_mtime_ns


def test_questions_are_titles_and_headings_of_several_words(disk: Disk) -> None:
    """One word asks for too much; each question once, and of many the same ones every time."""
    sample = draw_sample(disk, READER, lambda _: None, lambda _: False)

    assert sorted(sample.pick_questions()) == sorted(f"Note number {number}" for number in range(19))
    assert sample.pick_questions(5) == sample.pick_questions(5)
    assert len(set(sample.pick_questions(5))) == 5


def test_a_note_without_headings_is_asked_for_by_how_it_begins(tmp_path: Path) -> None:
    """Also where it begins with a very long line."""
    (tmp_path / "plain.txt").write_text("word " * 300)

    sample = draw_sample(Disk([str(tmp_path)], RULES), READER, lambda _: None, lambda _: False)

    (question,) = sample.pick_questions()
    assert question.startswith("word word")
    assert len(question) <= 200


def test_an_empty_sample_asks_nothing() -> None:
    """There is nothing to choose from."""
    assert Sample().pick_questions() == []
