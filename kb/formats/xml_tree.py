"""Parses XML that other programs wrote: document types are not followed, and what comes before a mistake is kept."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kb.formats.builder import Unreadable, line
from kb.formats.charset import decoded, named

if TYPE_CHECKING:
    from kb.formats.builder import TextBuilder

_HEAD: Final = 1 << 16
# Possessive, since any file with an unknown suffix is tried.
_SPACE: Final = rb"(?:\s++|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*+(?:\[.*?\]\s*+)?>)*+"
_ROOT: Final = re.compile(rb"(?:\xef\xbb\xbf)?" + _SPACE + rb"<(?:[\w.-]{1,60}:)?([\w.-]{1,60})[\s/>]", re.DOTALL)
_DECLARATION: Final = re.compile(r"\s*<\?xml\s.*?\?>", re.DOTALL)
_DOCTYPE: Final = re.compile(r"<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
_ENTITY: Final = re.compile(r"<!ENTITY\s+([\w.-]{1,60})\s+(?:\"([^\"&<]{0,60})\"|'([^'&<]{0,60})')\s*>")
_REFERENCE: Final = re.compile(r"&([A-Za-z][\w.-]{0,59});")
_XML_ENTITIES: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
# A formula as a whole document in TeX, which JATS puts beside the same formula in MathML.
_NOT_TEXT: Final = frozenset({"tex-math"})
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"


def root_name(data: bytes) -> str:
    """Return the local name of the first element of an XML file; empty if the file does not begin like XML."""
    found = _ROOT.match(data[:_HEAD])
    return found[1].decode() if found else ""


def tree_of(data: bytes, builder: TextBuilder) -> ET.Element:
    """Parse a file and return its first element.

    If it is not well-formed, the elements before the mistake are returned, and the builder is told so. Entities are
    replaced once by the short texts that the file declares for them, so that none can grow; those of HTML are known.

    Raises:
        Unreadable: There is no element before the mistake.
    """
    text = _DECLARATION.sub("", decoded(data, named(data)), count=1)
    declared: dict[str, str] = {}
    if (doctype := _DOCTYPE.search(text, 0, _HEAD)) is not None:
        declared = {name: one or other for name, one, other in _ENTITY.findall(doctype[0])}
        text = text[: doctype.start()] + "\n" * doctype[0].count("\n") + text[doctype.end() :]
    text = _REFERENCE.sub(lambda found: _replacement(found[1], declared), text)
    target = _Tree()
    mistake = ""
    try:
        parser = ET.XMLParser(target=target)  # noqa: S314 - no document type and no entities are left in the text
        parser.feed(text)
        parser.close()
    except ET.ParseError as error:
        mistake = str(error)
    if target.root is None:
        raise Unreadable(f"is not XML: {mistake or 'it has no element'}", "Export it again")
    if mistake:
        builder.add_unread(f"what follows a mistake in its XML ({mistake})")
    return target.root


class _Tree(ET.TreeBuilder):
    """Keeps the first element, which ``TreeBuilder`` gives only for a whole document.

    Attributes:
        root: The first element; None before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root: ET.Element | None = None

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        """Begin an element."""
        element = super().start(tag, attrs)
        self.root = element if self.root is None else self.root
        return element


def local(element: ET.Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def is_mixed(element: ET.Element) -> bool:
    """Whether text stands directly in an element, as in a paragraph."""
    return bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)


def said(element: ET.Element | None) -> str:
    """Return all text in an element, on one line; empty without one."""
    return "" if element is None else line(_text(element))


def _text(element: ET.Element) -> str:
    """Join the text in an element. Where no text stands between elements, they are words of their own: names, years."""
    parts = [element.text or ""]
    for child in element:
        parts += ["" if local(child) in _NOT_TEXT else _text(child), child.tail or ""]
    return ("" if is_mixed(element) else " ").join(parts)


def language(element: ET.Element) -> str:
    """Return the language that an element declares; empty if it declares none."""
    return line(element.get(_LANGUAGE) or "").partition("-")[0].lower()


def _replacement(name: str, declared: dict[str, str]) -> str:
    """Return what stands for a reference to an entity; an unknown one becomes its name."""
    if name in _XML_ENTITIES:
        return f"&{name};"
    text = declared.get(name)
    if text is None:
        text = html.unescape(f"&{name};")
        text = name if text.startswith("&") else text
    return text.replace("&", "&amp;").replace("<", "&lt;")
