"""OpenDocument spreadsheets by their own XML: the cells that are filled, as they are displayed, and their comments.

A sheet may say of a cell that it is repeated a million times: calamine lays all of them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kb.extract.clean import line
from kb.extract.draft import Unreadable
from kb.extract.impress import words
from kb.extract.workbook import Sheet

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_CREATOR: Final = "{http://purl.org/dc/elements/1.1/}creator"
_CELL: Final = f"{_TABLE}table-cell"
_COVERED: Final = f"{_TABLE}covered-table-cell"
# What is filled and repeated is said in no more rows and columns than these.
_MOST_REPEATED: Final = 1_000


def opendocument_sheets(archive: zipfile.ZipFile) -> Iterator[Sheet]:
    """The visible sheets of a spreadsheet in their order.

    Raises:
        Unreadable: It is no spreadsheet, or declares entities.
    """
    if "content.xml" not in archive.namelist():
        raise Unreadable("is damaged: it is no OpenDocument spreadsheet", "Open it with LibreOffice")
    if b"<!ENTITY" in archive.read("content.xml"):
        raise Unreadable("declares entities, as no spreadsheet does", "Save it again with LibreOffice")
    hidden: set[str] = set()
    with archive.open("content.xml") as stream:
        reader = _Reader()
        for event, element in ET.iterparse(stream, ("start", "end")):  # noqa: S314 - no entities in it
            if event == "start":
                reader.begin(element)
            elif element.tag == f"{_STYLE}style":
                shown = element.find(f"{_STYLE}table-properties")
                if shown is not None and shown.get(f"{_TABLE}display") == "false":
                    hidden.add(element.get(f"{_STYLE}name") or "")
            elif (sheet := reader.end(element)) and reader.style not in hidden:
                yield sheet


class _Reader:
    """Puts sheets together row by row; a table inside a cell or a drawing is none of them."""

    def __init__(self) -> None:
        self._sheet = Sheet("")
        self._tables = 0
        self._row = 1
        # By column: up to which row a merged cell goes, and what it says.
        self._merged: dict[int, tuple[int, str]] = {}
        self.style = ""

    def begin(self, element: ET.Element) -> None:
        """An element begins."""
        if element.tag == f"{_TABLE}table":
            self._tables += 1
            if self._tables == 1:
                self._sheet = Sheet(element.get(f"{_TABLE}name") or "")
                self.style = element.get(f"{_TABLE}style-name") or ""
                self._row, self._merged = 1, {}

    def end(self, element: ET.Element) -> Sheet | None:
        """An element has ended; gives the sheet that ends with it."""
        if element.tag == f"{_TABLE}table":
            self._tables -= 1
            element.clear()
            return None if self._tables else self._sheet
        if element.tag == f"{_TABLE}table-row" and self._tables == 1:
            self._take(element)
            element.clear()
        return None

    def _take(self, row: ET.Element) -> None:
        repeated = _number(row, "number-rows-repeated")
        values: dict[int, str] = {}
        column = 1
        for cell in row:
            if cell.tag not in {_CELL, _COVERED}:
                continue
            many = _number(cell, "number-columns-repeated")
            text = _said(cell)
            if text:
                for at in range(column, column + min(many, _MOST_REPEATED)):
                    values[at] = text
            for comment in cell.findall(f"{_OFFICE}annotation"):
                self._sheet.comments.setdefault(self._row, []).append(_comment(comment, column, self._row))
            if text and (rows := _number(cell, "number-rows-spanned")) > 1:
                self._merged[column] = self._row + rows - 1, text
            column += many
        for number in range(self._row, self._row + min(repeated, _MOST_REPEATED)):
            if not values:
                break  # a row that says nothing else is only the room that a merged cell takes up
            on = {at: text for at, (last, text) in self._merged.items() if number <= last and at not in values}
            self._sheet.rows[number] = dict(sorted({**values, **on}.items()))
        self._row += repeated


def _said(cell: ET.Element) -> str:
    return line(" ".join(words(one) for one in cell.findall(f"{_TEXT}p")))


def _comment(comment: ET.Element, column: int, row: int) -> str:
    who = line(comment.findtext(_CREATOR) or "")
    text = line(" ".join(words(one) for one in comment.findall(f"{_TEXT}p")))
    return f"Comment {_letters(column)}{row}: {f'{who}: ' if who else ''}{text}"


def _letters(column: int) -> str:
    """A column as a spreadsheet calls it."""
    letters = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _number(element: ET.Element, name: str) -> int:
    told = element.get(f"{_TABLE}{name}", "1")
    return max(1, int(told)) if told.isdigit() and len(told) < 10 else 1  # noqa: PLR2004 - more than any sheet has
