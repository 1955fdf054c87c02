"""The reader: from a source to a document and its passages."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from kb.chunking.split import Chunker
from kb.errors import DocumentError
from kb.formats.reader import DocumentReader
from kb.records import FileStat, FoundFile, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.ports import Reader


class _Words:
    """Counts words, and two tokens around every text."""

    limit = 64

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each text."""
        return [2 + len(text.split()) for text in texts]


def _source(path: str, data: bytes) -> Source:
    found = FoundFile("/notes", path, FileStat(len(data), 0, 0, 1, 1))
    return Source(found, data, sha256(data).digest(), 0)


def _reader() -> Reader:
    return DocumentReader(Chunker(_Words(), 64))


def test_a_source_becomes_a_document_and_passages() -> None:
    """The path selects the format, and passages are in the order of the text."""
    document, passages = _reader().read(_source("n.md", b"---\ntags: [x]\n---\n# One\n\na\n\n## Two\n\nb\n"))

    assert (document.title, document.tags) == ("One", ("x",))
    assert [(passage.heading, passage.first_line, passage.last_line) for passage in passages] == [
        (("One",), 4, 6),
        (("One", "Two"), 8, 10),
    ]


def test_an_empty_file_has_no_passages() -> None:
    """It is not an error."""
    document, passages = _reader().read(_source("n.md", b"\n \n"))

    assert document.title == "n"
    assert passages == ()


def test_binary_file_is_an_error() -> None:
    """The reason reaches the caller as a document error."""
    with pytest.raises(DocumentError):
        _reader().read(_source("n.pdf", b"%PDF-1.7"))
