"""Filters on path, tag and date choose files before anything is ranked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from kb.records import FileStat, Filters, KnownFile
from kb.search.filter import day_of, selected

MODIFIED = datetime(2026, 3, 5, 12, tzinfo=UTC)
STAT = FileStat(1, int(MODIFIED.timestamp() * 1e9), 1, 1, 1)


def known(path: str, **more: object) -> KnownFile:
    """A file of the catalog."""
    return replace(KnownFile(1, "/notes", path, STAT, b"", 0, "done"), **more)  # type: ignore[arg-type]  # fields by name


FILES = [
    known("a.md", tags=("Work", "kb/design")),
    known("sub/b.md", tags=("work",), date=date(2026, 1, 1)),
    known("sub/deep/c.txt", date=date(2025, 12, 31)),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), ["a.md", "sub/b.md", "sub/deep/c.txt"]),
        (Filters(paths=("*.md",)), ["a.md", "sub/b.md"]),
        (Filters(paths=("sub/",)), ["sub/b.md", "sub/deep/c.txt"]),
        (Filters(paths=("sub/*.md",)), ["sub/b.md"]),
        (Filters(paths=("!*.md",)), ["sub/deep/c.txt"]),
        (Filters(paths=("*.md", "!sub/")), ["a.md"]),
        (Filters(paths=("/notes/sub/*.md",)), ["sub/b.md"]),
        (Filters(tags=("#WORK",)), ["a.md", "sub/b.md"]),
        (Filters(tags=("work", "kb/design")), ["a.md"]),
        (Filters(since=date(2026, 1, 1)), ["a.md", "sub/b.md"]),
        (Filters(until=date(2026, 1, 1)), ["sub/b.md", "sub/deep/c.txt"]),
        (Filters(since=date(2026, 1, 1), until=date(2026, 1, 1)), ["sub/b.md"]),
        (Filters(paths=("*.md",), tags=("nothing",)), []),
    ],
)
def test_selection(filters: Filters, expected: list[str]) -> None:
    """Each filter lets through the files it names, and all of them have to agree."""
    assert [file.path for file in selected(FILES, filters)] == expected


def test_a_file_without_a_date_is_dated_by_its_modification() -> None:
    """The document's own date goes before the day of modification."""
    assert day_of(FILES[1]) == date(2026, 1, 1)
    assert day_of(FILES[0]) == MODIFIED.astimezone().date()
