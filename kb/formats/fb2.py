"""FictionBook e-books by their own XML: title, author, genres, chapters, notes; pictures are left out."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kb.formats.builder import Unreadable, line
from kb.formats.charset import prepare
from kb.formats.dates import day_of

if TYPE_CHECKING:
    from kb.formats.builder import Draft
    from kb.sandbox.protocol import Limits

__all__ = ["extract", "prepare"]

_PARAGRAPHS: Final = frozenset({"p", "v", "subtitle", "text-author", "date"})
_DEEPEST: Final = 6


def extract(_name: str, data: bytes, draft: Draft, _limits: Limits) -> None:
    """Put the book into the draft.

    Raises:
        Unreadable: It is no book of this kind, or declares entities.
    """
    if b"<!ENTITY" in data:
        raise Unreadable("declares entities, as no FictionBook does", "Open it with an e-book reader")
    root = None
    for _, element in ET.iterparse(BytesIO(data)):  # noqa: S314 - no entities in it
        element.tag = element.tag.rpartition("}")[2]
        if element.tag == "binary":
            element.clear()  # a picture, as base64
        root = element
    if root is None or root.tag != "FictionBook":
        raise Unreadable("is no FictionBook", "Open it with an e-book reader")
    _describe(draft, root)
    for body in root.findall("body"):
        # The notes of a book are a body of their own, which has a name.
        if name := body.get("name"):
            draft.place(f"chapter: {name}", anew=True)
        for child in body:
            if child.tag == "section":
                _section(draft, child, 1, begins=not name)
            else:
                _piece(draft, child)


def _describe(draft: Draft, root: ET.Element) -> None:
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
    draft.describe(about.findtext("book-title"), ", ".join(filter(None, authors)), day_of(said))
    keywords = (about.findtext("keywords") or "").split(",")
    draft.label([*(one.text or "" for one in about.findall("genre")), *keywords], line(about.findtext("lang") or ""))
    if (annotation := about.find("annotation")) is not None:
        _piece(draft, annotation)


def _section(draft: Draft, section: ET.Element, level: int, *, begins: bool) -> None:
    """A chapter or a part of one; those of the first level are places of their own."""
    title = section.find("title")
    name = line(" ".join("".join(one.itertext()) for one in title)) if title is not None else ""
    if begins and name:
        draft.place(f"chapter: {name}", anew=True)
    if name:
        draft.heading(name, min(level, _DEEPEST))
    for child in section:
        if child.tag == "section":
            _section(draft, child, level + 1, begins=False)
        elif child.tag != "title":
            _piece(draft, child)


def _piece(draft: Draft, element: ET.Element) -> None:
    """A paragraph, or what holds some: a poem, a quotation, a table."""
    if element.tag in _PARAGRAPHS:
        draft.text(line("".join(element.itertext())))
    elif element.tag == "stanza":
        draft.text("\n".join(line("".join(verse.itertext())) for verse in element))
    elif element.tag == "tr":
        draft.line(" | ".join(line("".join(cell.itertext())) for cell in element))
    else:
        for child in element:
            _piece(draft, child)
