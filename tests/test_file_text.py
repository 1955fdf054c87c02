"""The text of documents, put together from their passages; that of text files is tested with ``KnowledgeBase``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kb.errors import NotIndexed, RequestError
from kb.file_text import Part, read_part
from kb.records import KnownFile, StoredPassage
from kb.testing import MemoryFiles

if TYPE_CHECKING:
    from collections.abc import Sequence


class Document:
    """A PDF of three pages, the second of which has no text."""

    def __init__(self) -> None:
        self.files = MemoryFiles()
        self.files.write("/docs", "a.pdf", b"%PDF")
        stat = self.files.stat("/docs", "a.pdf")
        assert stat is not None
        self.file = KnownFile(1, "/docs", "a.pdf", stat, b"", 0, "done", kind="pdf")

    def passages(self, file: KnownFile) -> Sequence[StoredPassage]:
        """Its passages; a long line was cut in two."""
        rows = [("Title\n\none", 1, 1), ("the first half", 4, 1), ("and the second", 4, 1), ("last page", 7, 3)]
        return [
            StoredPassage(str(n), file, text, (), line, line + text.count("\n"), page, b"", n)
            for n, (text, line, page) in enumerate(rows)
        ]


@pytest.fixture
def document() -> Document:
    """The document."""
    return Document()


@pytest.mark.parametrize(
    ("part", "text", "lines"),
    [
        (Part(), "Title\n\none\nthe first half and the second\n\n\nlast page", (1, 7)),
        (Part(3, 4), "one\nthe first half and the second", (3, 4)),
        (Part(7, 99), "last page", (7, 7)),
        (Part(page=1), "Title\n\none\nthe first half and the second", (1, 4)),
        (Part(page=2), "", (5, 4)),
        (Part(page=3), "last page", (7, 7)),
    ],
)
def test_a_document_is_read_by_lines_and_by_pages(
    document: Document, part: Part, text: str, lines: tuple[int, int]
) -> None:
    """The lines are those that hits name, whether or not there is text on them."""
    found = read_part(document.files, document, document.file, part)

    assert (found.text, (found.first_line, found.last_line)) == (text, lines)
    assert (found.lines, found.pages, found.page) == (7, 3, part.page)


def test_parts_that_do_not_exist_are_refused(document: Document) -> None:
    """Each with what there is instead."""
    with pytest.raises(RequestError, match=r"a\.pdf has 3 pages, no page 4"):
        read_part(document.files, document, document.file, Part(page=4))
    with pytest.raises(RequestError, match=r"a\.pdf has 7 lines, no line 8"):
        read_part(document.files, document, document.file, Part(8))
    document.files.remove("/docs", "a.pdf")
    with pytest.raises(NotIndexed, match=r"a\.pdf is no longer there"):
        read_part(document.files, document, document.file, Part())


@pytest.mark.parametrize("values", [(0,), (3, 2), (1, None, 0), (2, None, 1)])
def test_parts_out_of_range_are_refused(values: tuple[int | None, ...]) -> None:
    """Before any file is looked at."""
    with pytest.raises(RequestError):
        Part(*values)  # type: ignore[arg-type]  # some of them are None
