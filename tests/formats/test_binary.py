"""The documents of other programs: titles and dates, whatever the program filled in."""

from __future__ import annotations

from datetime import date

import pytest

from kb.formats.binary import BinaryFormats
from kb.formats.builder import TextBuilder
from kb.sandbox.protocol import Extracted


class Given:
    """A replacement for the sandbox, with the same content for every document."""

    def __init__(self, found: Extracted) -> None:
        self._found = found

    def extract(self, extractor: str, name: str, data: bytes) -> Extracted:  # noqa: ARG002 - the port's signature
        """What is given."""
        return self._found


@pytest.mark.parametrize(
    ("heading", "title"),
    [("Sheet1", "costs"), ("Tabelle 2", "costs"), ("Ducks", "Ducks"), ("Sheet metal", "Sheet metal")],
)
def test_default_sheet_name_is_not_title(heading: str, title: str) -> None:
    """The file name is more meaningful than the default name of a first sheet."""
    found = Extracted(text=f"{heading}\n1 | 2", headings=[(heading, 1, 1, 1)])

    document = BinaryFormats(Given(found)).read("money/costs.eml", b"")

    assert document is not None
    assert document.title == title


@pytest.mark.parametrize(
    ("path", "own", "day"),
    [
        ("2026/01/15.html", "", date(2026, 1, 15)),
        ("2026-01-15 Walk.html", "", date(2026, 1, 15)),
        ("2026/01/walk.html", "", None),
        ("2026/01/15.html", "2025-12-24", date(2025, 12, 24)),
    ],
)
def test_date_falls_back_to_path(path: str, own: str, day: date | None) -> None:
    """Dates in names and folders count as for notes, after a date in the document."""
    document = BinaryFormats(Given(Extracted(text="Text", date=own))).read(path, b"")

    assert document is not None
    assert document.date == day


@pytest.mark.parametrize("filled_in", ["(anonymous)", "unspecified", "Untitled document", "Microsoft Word - a.doc"])
def test_generated_title_is_ignored(filled_in: str) -> None:
    """A program generated it, not the author."""
    builder = TextBuilder(1000)
    builder.set_properties(filled_in)
    builder.add_text("Some text.")

    assert builder.build().title == ""
