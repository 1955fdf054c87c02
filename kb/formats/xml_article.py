"""Reads articles and books in XML: JATS, DocBook and TEI, by the elements that they have in common.

JATS is the form in which publishers and PubMed Central deliver articles (https://jats.nlm.nih.gov), DocBook that of
manuals (https://docbook.org), TEI that of editions (https://tei-c.org).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable, line
from kb.formats.charset import prepare
from kb.formats.dates import iso_date
from kb.formats.xml_tree import inline, is_mixed, language, local, root_name, said, tree_of

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

__all__ = ["extract", "is_article", "prepare"]

_DOCBOOK: Final = frozenset(
    {"article", "book", "chapter", "part", "preface", "appendix", "section", "refentry", "reference", "set", "glossary"}
)
_TEI: Final = frozenset({"TEI", "TEI.2", "teiCorpus"})
# What a file says about itself near its beginning.
_HEAD: Final = 1 << 14
_SIGNS: Final = (b"docbook.org/ns/", b"dtd docbook", b"<article-meta", b"<journal-meta", b"dtd-version=", b"//nlm//dtd")

# Elements whose title is a heading for what they hold.
_SECTIONS: Final = (
    _DOCBOOK
    | {"sec", "abstract", "trans-abstract", "ack", "app", "ref-list", "glossary", "notes", "boxed-text", "div", "index"}
    | {"simplesect", "sidebar", "refsection", "bibliography", "dedication"}
    | {"note", "tip", "warning", "caution", "important"}
    | {f"{name}{level}" for name in ("sect", "refsect", "div") for level in range(8)}
)  # fmt: skip
_TITLES: Final = frozenset({"title", "head", "label", "subtitle"})
_CODE: Final = frozenset({"programlisting", "screen", "literallayout", "synopsis", "preformat", "eg"})
_ROWS: Final = frozenset({"tr", "row"})
_ITEMS: Final = frozenset({"listitem", "list-item", "item", "varlistentry", "def-item"})
_BLOCKS: Final = _ITEMS | _CODE | _ROWS
# One entry of a bibliography, one line of a poem and so on: a paragraph, whatever is in it.
_PARAGRAPHS: Final = frozenset(
    {"p", "para", "simpara", "formalpara", "l", "ab", "ref", "bibl", "biblStruct", "biblioentry", "bibliomixed"}
    | {"disp-formula", "term", "caption", "fn", "footnote", "refpurpose", "refname", "cmdsynopsis", "speaker"}
)
_ABOUT: Final = frozenset(
    {"front", "info", "teiHeader", "articleinfo", "bookinfo", "chapterinfo", "sectioninfo", "refsectioninfo"}
)
# Metadata and titles, which are read apart, pictures, and keys of an index.
_LEFT_OUT: Final = _ABOUT | frozenset(
    {"indexterm"}
    | {"graphic", "media", "mediaobject", "object-id", "processing-meta", "permissions", "facsimile", "title", "head"}
)
_DEEPEST: Final = 6


def is_article(data: bytes) -> bool:
    """Whether an XML file is an article or a book in JATS, DocBook or TEI."""
    name = root_name(data)
    if name in _TEI:
        return True
    head = data[:_HEAD].lower()
    return name in _DOCBOOK and any(sign in head for sign in _SIGNS)


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add the text to the builder, section by section.

    Raises:
        Unreadable: It is an XML file of another kind.
    """
    root = tree_of(data, builder)
    if local(root) not in _DOCBOOK | _TEI:
        raise Unreadable(f"is XML, but no article or book: it begins with <{local(root)}>", "Name the file .xml")
    _describe(builder, root)
    for child in root:
        if local(child) == "front":
            # The abstract of JATS is among the metadata.
            for abstract in child.iter():
                if local(abstract) in {"abstract", "trans-abstract"}:
                    _section(builder, abstract, 1, default="Abstract")
        else:
            _piece(builder, child, 1)
    builder.end_items()


def _describe(builder: TextBuilder, root: ET.Element) -> None:
    """Set title, authors, day, keywords and language."""
    about = next((one for one in root.iter() if local(one) in _ABOUT), root)
    title = _first(about, "article-title", "title")
    title = _first(root, "title", "head") if title is None else title
    people = (one for one in about.iter() if local(one) in {"contrib", "author", "personname"})
    authors = dict.fromkeys(filter(None, map(_person, people)))
    builder.set_properties(said(title), ", ".join(authors), _day(about))
    keywords = (said(one) for one in about.iter() if local(one) in {"kwd", "keyword", "subjectterm"})
    builder.add_tags(keywords, language(root))


def _first(element: ET.Element, *names: str) -> ET.Element | None:
    """Return the first element with one of these names, the names in this order."""
    return next((one for name in names for one in element.iter() if local(one) == name), None)


def _person(element: ET.Element) -> str:
    """Return the name of an author, the given name first."""
    if element.get("contrib-type") not in {None, "author"}:
        return ""
    given, family = _first(element, "given-names", "firstname", "forename"), _first(element, "surname")
    if family is not None:
        return line(f"{said(given)} {said(family)}")
    return said(_first(element, "persName", "string-name", "collab", "orgname")) or (
        said(element) if not len(element) else ""
    )


def _day(about: ET.Element) -> str:
    """Return the first day of publication."""
    days = []
    for one in about.iter():
        if local(one) in {"pub-date", "pubdate", "date"}:
            parts = [said(_first(one, name)) for name in ("year", "month", "day")]
            plain = "-".join(part.zfill(2) for part in (parts[0], parts[1] or "1", parts[2] or "1"))
            days.append(iso_date(plain if parts[0] else one.get("when") or said(one)))
    return min(filter(None, days), default="")


def _piece(builder: TextBuilder, element: ET.Element, level: int, depth: int = 0) -> None:
    """Add an element and what is in it, which is in ``depth`` lists."""
    name = local(element)
    if name in _LEFT_OUT:
        return
    if name in _CODE:
        builder.add_text("".join(element.itertext()), "code")
    elif name in _ROWS:
        builder.add_line(" | ".join(said(cell) for cell in element))
    elif name in _ITEMS:
        _item(builder, element, level, depth + 1)
    elif name in _PARAGRAPHS or is_mixed(element):
        _paragraph(builder, element, level, depth)
    elif name in _SECTIONS:
        _section(builder, element, level)
    else:
        # A figure, a list, a table: its title is a paragraph.
        for child in element:
            if local(child) in {"title", "head"}:
                builder.add_text(said(child))
            else:
                _piece(builder, child, level, depth)


def _paragraph(builder: TextBuilder, element: ET.Element, level: int, depth: int) -> None:
    """Add a paragraph. Lists, code and tables in it stand between its lines, as they are drawn."""
    blocks = {child for child in element if _holds_blocks(child)}
    if not blocks:
        builder.add_text(said(element))
        return
    text = element.text or ""
    for child in element:
        if child in blocks:
            builder.add_text(line(text))
            _piece(builder, child, level, depth)
            text = child.tail or ""
        else:
            text += inline(child) + (child.tail or "")
    builder.add_text(line(text))


def _holds_blocks(element: ET.Element) -> bool:
    """Whether an element is or holds a list, code or a table."""
    return any(local(one) in _BLOCKS for one in element.iter())


def _item(builder: TextBuilder, item: ET.Element, level: int, depth: int) -> None:
    """Add a list item, and below it what it holds beside text: another list, code or a table."""
    below = dict.fromkeys(child for child in item if _holds_blocks(child))
    own = " ".join([item.text or "", *(said(child) for child in item if child not in below)]) if below else said(item)
    builder.add_item(f"- {line(own)}", depth)
    for child in below:
        _piece(builder, child, level, depth)
    builder.end_items(depth - 1)


def _section(builder: TextBuilder, section: ET.Element, level: int, default: str = "") -> None:
    """Add a section with its heading."""
    titles = [one for one in section if local(one) in _TITLES]
    own = [one for one in section if local(one) in _ABOUT]
    titles += [one for info in own for one in info if local(one) == "title"]
    builder.add_heading(line(" ".join(map(said, titles))) or default, min(level, _DEEPEST))
    for child in section:
        if child not in titles:
            _piece(builder, child, level + 1)
