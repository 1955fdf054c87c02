"""Reads files that are not plain text: extracts them in a sandbox and makes documents with places."""

from __future__ import annotations

import re
from datetime import date
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from kb.errors import DocumentError
from kb.formats.frontmatter import date_in_name
from kb.formats.markup import one_line
from kb.formats.payload import without_payload
from kb.formats.registry import REGISTRY, install_command
from kb.records import Block, Document, Heading, LineContext, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.formats.registry import Format
    from kb.sandbox.protocol import Extracted, Extracts


# Default names of sheets.
_SHEET: Final = re.compile(
    r"(sheet|tabelle|feuil|feuille|hoja|foglio|planilha|blad|ark|taul|list|arkusz|munka)[ _]?\d+", re.IGNORECASE
)


class BinaryFormats:
    """Reads files in formats that are not plain text.

    Args:
        sandbox: Extracts their text.
        ocr: Whether images are read.
    """

    def __init__(self, sandbox: Extracts, *, ocr: bool = False) -> None:
        self._sandbox = sandbox
        self._ocr = ocr

    def read(self, path: str, data: bytes) -> Document | None:
        """Read the document in a file; None if the file is plain text.

        Raises:
            DocumentError: The file gives no text, or the library that reads it is not installed.
        """
        name = PurePosixPath(path)
        suffix = name.suffix.lower()
        one = REGISTRY.of_content(path, data)
        if one is None or not one.in_child or (one.how == "ocr" and not self._ocr):
            return None
        if not one.available:
            remedy = install_command(one.extra)
            raise DocumentError(f"{one.noun} ({suffix}) are read with the extra for {one.extra}: {remedy}", remedy)
        extracted = self._sandbox.extract(one.reader, name.name, data)
        try:
            return _document(name, one, extracted)
        except ValueError as error:
            raise DocumentError(f"cannot be read: what came out of it makes no sense ({error})") from error


def _document(name: PurePosixPath, one: Format, extracted: Extracted) -> Document:
    """Make a document of extracted text. The text comes from a process that read an untrusted file, so check it.

    Raises:
        ValueError: Its structure makes no sense.
    """
    lines = extracted.text.count("\n") + 1
    headings = tuple(Heading(one_line(text), level, first, last) for text, level, first, last in extracted.headings)
    blocks = tuple(_blocks(extracted))
    places = tuple(
        Place(first, named, row or None, page or None, soft) for first, named, row, page, soft in extracted.places
    )
    context = tuple(LineContext(first, last, one_line(text)) for first, last, text in extracted.context)
    for starts in (headings, blocks, places, context):
        numbers = [start.first_line for start in starts]
        if numbers != sorted(numbers) or (numbers and not 1 <= numbers[0] <= numbers[-1] <= lines + 1):
            raise ValueError("its lines are out of order")
    own_title = one_line(extracted.title)
    first = next((heading.text for heading in headings if heading.text and not _SHEET.fullmatch(heading.text)), "")
    return Document(
        text=without_payload(extracted.text),
        kind=one.kind,
        title=own_title or first or one_line(name.stem) or "untitled",
        own_title=own_title,
        headings=headings,
        blocks=blocks,
        date=date.fromisoformat(extracted.date) if extracted.date else date_in_name(str(name.with_suffix(""))),
        author=one_line(extracted.author),
        tags=tuple(dict.fromkeys(map(one_line, extracted.tags))),
        language=one_line(extracted.language),
        places=places,
        context=context,
        unread=tuple(map(one_line, extracted.unread)),
    )


def _blocks(extracted: Extracted) -> Iterator[Block]:
    for kind, first, last in extracted.blocks:
        if kind not in {"text", "code", "table"}:
            raise ValueError(f"a block of kind {kind!r}")
        yield Block(kind, first, last)  # type: ignore[arg-type]  # one of the three
