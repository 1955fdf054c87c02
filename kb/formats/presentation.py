"""Reads OpenDocument presentations from their XML: the text of a slide, its notes and descriptions of its pictures.

xberg leaves out the text in drawn shapes, which most text of an Impress presentation is in.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kb.formats.builder import Unreadable, alternative_text, line
from kb.formats.containers import properties, refuse_encrypted
from kb.formats.office_xml import fill_opendocument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

_DRAW: Final = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_SVG: Final = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_DESCRIPTIONS: Final = frozenset({f"{_SVG}desc", f"{_SVG}title"})
_NOTES: Final = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}notes"
_GAPS: Final = {f"{_TEXT}s": " ", f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}
_PARAGRAPHS: Final = frozenset({f"{_TEXT}p", f"{_TEXT}h"})
_LONGEST_TITLE: Final = 120


def prepare() -> None:
    """Nothing: Python reads XML and ZIP."""


def extract(name: str, data: bytes, builder: TextBuilder, limits: Limits) -> None:
    """Add the slides to the builder.

    Raises:
        Unreadable: It is encrypted or not a presentation.
    """
    refuse_encrypted(name, data, limits)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            content = archive.read("content.xml")
    except (zipfile.BadZipFile, KeyError) as error:
        raise Unreadable("is damaged: it is not an OpenDocument presentation", "Open it with LibreOffice") from error
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Unreadable("declares entities, as no presentation does", "Save it again with LibreOffice")
    builder.set_properties(*properties(data))
    root = ET.fromstring(content)  # noqa: S314 - no entities in it
    fill_opendocument(root)
    for number, page in enumerate(root.iter(f"{_DRAW}page"), 1):
        _slide(builder, number, page)


def _slide(builder: TextBuilder, number: int, page: ET.Element) -> None:
    """Add a slide: its first line as the heading if it is short, tables row by row, notes, descriptions of pictures."""
    begun = False
    for kind, text in sorted(_pieces(page), key=lambda piece: piece[0] == "description"):
        if not begun:
            builder.add_blank_line()
            builder.add_place(f"slide {number}", reset_headings=True)
        if not begun and kind == "text" and len(line(text)) <= _LONGEST_TITLE:
            builder.add_heading(text, 1)
        elif kind == "row":
            builder.add_line(text)
        else:
            builder.add_text(text)
        begun = True


def _pieces(element: ET.Element) -> Iterator[tuple[str, str]]:
    """Yield paragraphs, descriptions of pictures and table rows in order, with the notes last."""
    notes = []
    for child in element:
        if child.tag == _NOTES:
            notes.append(child)
        elif child.tag in _PARAGRAPHS:
            if text := words(child).strip():
                yield "text", text
        elif child.tag in _DESCRIPTIONS:
            if text := alternative_text(child.text or ""):
                yield "description", text
        elif child.tag == f"{_TABLE}table-row":
            cells = (" ".join(text for _, text in _pieces(cell)) for cell in child)
            if row := " | ".join(filter(None, cells)):
                yield "row", row
        else:
            yield from _pieces(child)
    for note in notes:
        yield from _pieces(note)


def words(element: ET.Element) -> str:
    """Return the text of a paragraph, including spaces and line ends that are elements."""
    parts = [element.text or ""]
    for child in element:
        parts += [_GAPS.get(child.tag) or words(child), child.tail or ""]
    return "".join(parts)
