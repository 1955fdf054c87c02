"""Reads FictionBook e-books from their XML: title, author, genres, chapters and notes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable, line
from kb.formats.charset import prepare
from kb.formats.dates import day_of
from kb.formats.xml_tree import local, tree_of

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

__all__ = ["extract", "prepare"]

_PARAGRAPHS: Final = frozenset({"p", "v", "subtitle", "text-author", "date"})
_DEEPEST: Final = 6
_DATA: Final = re.compile(rb"(<binary\b[^<>]*>)[^<]*")


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add the book to the builder.

    Raises:
        Unreadable: It is not a FictionBook.
    """
    # Pictures are base64; a tree of them would take a multiple of their size.
    root = tree_of(_DATA.sub(rb"\1", data), builder)
    for element in root.iter():
        element.tag = local(element)
    if root.tag != "FictionBook":
        raise Unreadable("is not a FictionBook", "Open it with an e-book reader")
    _describe(builder, root)
    for body in root.findall("body"):
        # The notes of a book are in a separate body, which has a name.
        if name := body.get("name"):
            builder.add_place(f"chapter: {name}", reset_headings=True)
        for child in body:
            if child.tag == "section":
                _section(builder, child, 1, begins=not name)
            else:
                _piece(builder, child)


def _describe(builder: TextBuilder, root: ET.Element) -> None:
    about = root.find("description/title-info")
    if about is None:
        return
    authors = [
        line(" ".join(one.findtext(part) or "" for part in ("first-name", "middle-name", "last-name")))
        or line(one.findtext("nickname") or "")
        for one in about.findall("author")
    ]
    written = about.find("date")
    said = (written.get("value") or written.text) if written is not None else ""
    builder.set_properties(about.findtext("book-title"), ", ".join(filter(None, authors)), day_of(said))
    keywords = (about.findtext("keywords") or "").split(",")
    builder.add_tags(
        [*(one.text or "" for one in about.findall("genre")), *keywords], line(about.findtext("lang") or "")
    )
    # A reading program makes the title page of these; the text of the book does not repeat them.
    series = [line(f"{one.get('name') or ''} {one.get('number') or ''}") for one in about.findall("sequence")]
    facts = (("Author", ", ".join(filter(None, authors))), ("Series", ", ".join(filter(None, series))))
    builder.add_text("\n".join(f"{name}: {value}" for name, value in facts if value))
    if (annotation := about.find("annotation")) is not None:
        _piece(builder, annotation)


def _section(builder: TextBuilder, section: ET.Element, level: int, *, begins: bool) -> None:
    """Add a chapter or a part of one; a chapter of the first level is a place."""
    title = section.find("title")
    name = line(" ".join("".join(one.itertext()) for one in title)) if title is not None else ""
    if begins and name:
        builder.add_place(f"chapter: {name}", reset_headings=True)
    if name:
        builder.add_heading(name, min(level, _DEEPEST))
    for child in section:
        if child.tag == "section":
            _section(builder, child, level + 1, begins=False)
        elif child.tag != "title":
            _piece(builder, child)


def _piece(builder: TextBuilder, element: ET.Element) -> None:
    """Add a paragraph, or the paragraphs in an element such as a poem, a quotation or a table."""
    if element.tag in _PARAGRAPHS:
        builder.add_text(line("".join(element.itertext())))
    elif element.tag == "stanza":
        builder.add_text("\n".join(line("".join(verse.itertext())) for verse in element))
    elif element.tag == "table":
        for row in element.iter("tr"):
            is_header = len(row) > 1 and all(cell.tag == "th" for cell in row)
            add = builder.add_header_row if is_header else builder.add_line
            add(" | ".join(line("".join(cell.itertext())) for cell in row))
        builder.end_table()
        builder.add_blank_line()
    else:
        for child in element:
            _piece(builder, child)
