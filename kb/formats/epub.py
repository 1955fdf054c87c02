"""Reads e-books: their pages as web pages, in the order of the book, under the chapters of its table of contents."""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from kb.formats.builder import Unreadable
from kb.formats.charset import decoded, named, prepare
from kb.formats.containers import refuse_encrypted
from kb.formats.dates import iso_date
from kb.formats.html import parsed, put_pieces
from kb.formats.xml_tree import local, said, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from xml.etree import ElementTree as ET

    from kb.formats.builder import TextBuilder
    from kb.formats.html import Piece
    from kb.sandbox.protocol import Limits

__all__ = ["extract", "prepare"]

_CONTAINER: Final = "META-INF/container.xml"
_OPEN: Final = "Open it with an e-book reader"
# Notes and asides belong to the text of a book; in a web page they are around it.
_AROUND: Final = re.compile(r"(</?)(?:aside|footer)(?=[\s/>])", re.IGNORECASE)
_OLD_CONTENTS: Final = "application/x-dtbncx+xml"
_PAGES: Final = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document"})
_SUFFIXES: Final = (".xhtml", ".html", ".htm")


def extract(name: str, data: bytes, builder: TextBuilder, limits: Limits) -> None:
    """Add the book to the builder.

    Raises:
        Unreadable: It is protected against copying, or not an e-book.
    """
    refuse_encrypted(name, data, limits)
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise Unreadable(f"is not an e-book: {error}", _OPEN) from error
    with archive:
        book = _Book(archive, builder)
        about = book.package
        builder.set_properties(about.title, about.author, about.date)
        builder.add_tags(about.subjects, about.language)
        names = book.contents()
        pages = [(page, book.pieces(page)) for page in about.pages]
    level = _chapter_level(piece for _, pieces in pages for piece in pieces)
    for page, pieces in pages:
        _chapters(builder, pieces, level, names.get(page, ""))


@dataclass(frozen=True, slots=True)
class _Package:
    """What the package of a book says.

    Attributes:
        title: The title.
        author: The authors.
        date: The day of publication.
        subjects: The subjects.
        language: The language.
        pages: The names of the pages in the archive, in the order of the book.
        contents: The name of the table of contents in the archive; empty if there is none.
    """

    title: str
    author: str
    date: str
    subjects: tuple[str, ...]
    language: str
    pages: tuple[str, ...]
    contents: str


class _Book:
    """A book in its archive."""

    def __init__(self, archive: zipfile.ZipFile, builder: TextBuilder) -> None:
        self._archive = archive
        self._builder = builder
        self.package = self._package()

    def pieces(self, page: str) -> list[Piece]:
        """Return the pieces of a page; if it is missing, the builder is told so."""
        data = self._member(page)
        if data is None:
            self._builder.add_unread(f"the page {page}, which is missing or damaged")
            return []
        return parsed(_AROUND.sub(r"\1div", decoded(data, named(data)))).pieces

    def contents(self) -> dict[str, str]:
        """Return the title of each page by the table of contents: of several, the first."""
        place = self.package.contents
        found: dict[str, str] = {}
        try:
            tree = self._tree(place) if place else None
        except Unreadable as error:
            # It only names chapters.
            self._builder.add_unread(f"the table of contents, which {error.reason}")
            return found
        for target, title in _entries(tree) if tree is not None else ():
            if title:
                found.setdefault(_resolved(place, target), title)
        return found

    def _package(self) -> _Package:
        """Read the package.

        Raises:
            Unreadable: There is none.
        """
        container = self._tree(_CONTAINER)
        roots = [] if container is None else [one for one in container.iter() if local(one) == "rootfile"]
        place = roots[0].get("full-path", "") if roots else ""
        tree = self._tree(posixpath.normpath(place)) if place else None
        if tree is None:
            raise Unreadable("is not an e-book: it does not say what its pages are", _OPEN)
        facts: dict[str, list[str]] = {}
        items: dict[str, ET.Element] = {}
        order: list[str] = []
        for one in tree.iter():
            match local(one):
                case "item":
                    items[one.get("id", "")] = one
                case "itemref":
                    order.append(one.get("idref", ""))
                case name:
                    facts.setdefault(name, []).append(said(one))
        contents = next((one for one in items.values() if "nav" in one.get("properties", "").split()), None)
        # A page belongs to a book once, however often it is listed.
        pages = [items[one] for one in dict.fromkeys(order) if one in items and items[one] is not contents]
        if contents is None:
            contents = next((one for one in items.values() if one.get("media-type") == _OLD_CONTENTS), None)
        return _Package(
            title=next(iter(facts.get("title", ())), ""),
            author=", ".join(filter(None, facts.get("creator", ()))),
            date=iso_date(next(iter(facts.get("date", ())), "")),
            subjects=tuple(filter(None, facts.get("subject", ()))),
            language=next(iter(facts.get("language", ())), "").partition("-")[0].lower(),
            pages=tuple(dict.fromkeys(_resolved(place, one.get("href", "")) for one in pages if _is_page(one))),
            contents=_resolved(place, contents.get("href", "")) if contents is not None else "",
        )

    def _tree(self, name: str) -> ET.Element | None:
        data = self._member(name)
        return None if data is None else tree_of(data, self._builder)

    def _member(self, name: str) -> bytes | None:
        """Return a file in the archive; None if it cannot be read."""
        try:
            return self._archive.read(name)
        except (KeyError, ValueError, RuntimeError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
            return None


def _is_page(item: ET.Element) -> bool:
    """Whether an item of the manifest is a web page, by its type or else by its name."""
    media = item.get("media-type", "").strip().lower()
    return media in _PAGES or (not media and item.get("href", "").lower().endswith(_SUFFIXES))


def _resolved(base: str, target: str) -> str:
    """Return the name in the archive of a link in one of its files, without its fragment."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(target.partition("#")[0])))


def _entries(contents: ET.Element) -> Iterator[tuple[str, str]]:
    """Yield links and titles of a table of contents, of version 3 (a list of links) or 2 (navigation points)."""
    lists = [one for one in contents.iter() if local(one) == "nav"]
    # Beside it there may be a list of the printed pages, and one of the parts of the book.
    main = next((one for one in lists if "toc" in _types(one)), contents)
    for one in main.iter():
        if local(one) == "a" and one.get("href"):
            yield one.get("href", ""), said(one)
        elif local(one) == "navPoint":
            parts: Mapping[str, ET.Element] = {local(child): child for child in one}
            if "content" in parts and "navLabel" in parts:
                yield parts["content"].get("src", ""), said(parts["navLabel"])


def _types(element: ET.Element) -> list[str]:
    """Return what an element is in a book (``epub:type``); its prefix may be undeclared."""
    return [one for name, value in element.items() if name.rpartition("}")[2] == "type" for one in value.split()]


def _chapter_level(pieces: Iterator[Piece]) -> int:
    """Return the level of the headings that begin chapters: the highest with more than one heading."""
    levels = Counter(piece.level for piece in pieces if piece.kind == "heading")
    return min((level for level, count in levels.items() if count > 1), default=min(levels, default=0))


def _chapters(builder: TextBuilder, pieces: list[Piece], level: int, name: str) -> None:
    """Add a page. A heading of at most this level begins a chapter; without one, the table of contents names it."""
    begins = [at for at, piece in enumerate(pieces) if piece.kind == "heading" and piece.level <= level]
    if name and pieces and not begins:
        builder.add_place(f"chapter: {name}", reset_headings=True)
    for first, last in zip([0, *begins], [*begins, len(pieces)], strict=True):
        if first in begins and first < last:
            builder.add_place(f"chapter: {pieces[first].text}", reset_headings=True)
        put_pieces(pieces[first:last], builder)
