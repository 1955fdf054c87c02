"""The lines around a passage, as they stand on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.cli.output.render import ContextLines
from kb.cli.querying import context_of, read_lines

if TYPE_CHECKING:
    from pathlib import Path

LINES = ["one", "two", "three", "four", ""]


def test_lines_before_and_after() -> None:
    """As many lines as there are, at most as many as were asked for."""
    assert context_of(LINES, "two\nthree", 2, 3, 1) == ContextLines(("one",), ("four",))
    assert context_of(LINES, "two\nthree", 2, 3, 9) == ContextLines(("one",), ("four",))
    assert context_of(LINES, "four", 4, 4, 1) == ContextLines(("three",), ())


def test_nothing_around_a_passage_that_stands_elsewhere() -> None:
    """A file that is not as it was indexed, or not to be read, gives no lines."""
    assert context_of(LINES, "three", 2, 2, 1) == ContextLines()
    assert context_of([], "three", 2, 2, 1) == ContextLines()


@given(st.lists(st.text(st.characters(exclude_characters="\n\r"))), st.data(), st.integers(0, 5))
def test_what_is_around_joins_the_passage(lines: list[str], data: st.DataObject, count: int) -> None:
    """Before, passage and after are consecutive lines of the file."""
    lines = [*lines, "last"]
    first = data.draw(st.integers(1, len(lines)))
    last = data.draw(st.integers(first, len(lines)))
    passage = lines[first - 1 : last]

    found = context_of(lines, "\n".join(passage), first, last, count)

    whole = [*found.before, *passage, *found.after]
    start = first - 1 - len(found.before)
    assert lines[start : start + len(whole)] == whole
    assert len(found.before) == min(count, first - 1)
    assert len(found.after) == min(count, len(lines) - last)


@pytest.mark.parametrize("data", ["ä\r\nb\rc".encode(), "ä\nb\nc".encode("utf-8-sig"), "ä\nb\nc".encode("utf-16")])
def test_files_are_read_by_lines_whatever_ends_them(data: bytes, tmp_path: Path) -> None:
    """Marks of encodings and the line ends of other systems are no part of a line."""
    file = tmp_path / "a.txt"
    file.write_bytes(data)

    assert read_lines(str(file)) == ["ä", "b", "c"]


def test_a_missing_file_has_no_lines(tmp_path: Path) -> None:
    """A file that vanished since is no error here."""
    assert read_lines(str(tmp_path / "gone")) == []
