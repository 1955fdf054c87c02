"""What a document of another program is called, whatever its program filled in."""

from __future__ import annotations

import pytest

from kb.extract.draft import Draft
from kb.extract.wire import Extracted
from kb.read.foreign import ForeignFormats


class Given:
    """Stands for the sandbox: every document holds this."""

    def __init__(self, found: Extracted) -> None:
        self._found = found

    def extract(self, extractor: str, name: str, data: bytes) -> Extracted:  # noqa: ARG002 - the port's signature
        """What is given."""
        return self._found


@pytest.mark.parametrize(
    ("heading", "title"),
    [("Sheet1", "costs"), ("Tabelle 2", "costs"), ("Ducks", "Ducks"), ("Sheet metal", "Sheet metal")],
)
def test_a_sheet_that_nobody_named_names_no_workbook(heading: str, title: str) -> None:
    """The file's own name says more than the one every program gives its first sheet."""
    found = Extracted(text=f"{heading}\n1 | 2", headings=[(heading, 1, 1, 1)])

    document = ForeignFormats(Given(found)).read("money/costs.eml", b"")

    assert document is not None
    assert document.title == title


@pytest.mark.parametrize("filled_in", ["(anonymous)", "unspecified", "Untitled document", "Microsoft Word - a.doc"])
def test_a_title_that_a_program_filled_in_is_none(filled_in: str) -> None:
    """Nobody called the document so."""
    draft = Draft(1000)
    draft.describe(filled_in)
    draft.text("Some text.")

    assert draft.done().title == ""
