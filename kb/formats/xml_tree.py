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
# Atomic, since any file with an unknown suffix is tried.
_SPACE: Final = rb"(?>(?:\s++|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*+(?:\[.*?\]\s*+)?>)*)"
_ROOT: Final = re.compile(rb"(?:\xef\xbb\xbf)?" + _SPACE + rb"<(?:[\w.-]{1,60}:)?([\w.-]{1,60})[\s/>]", re.DOTALL)
_DECLARATION: Final = re.compile(r"\s*<\?xml\s.*?\?>", re.DOTALL)
_DOCTYPE: Final = re.compile(
    r"<!DOCTYPE[^\[>]*+(?:\[(?>(?:<!--.*?-->|<\?.*?\?>|\"[^\"]*+\"|'[^']*+'|[^\]\"'<]++|<)*)\]\s*+)?>", re.DOTALL
)
# A document type may declare all entities of HTML itself.
_LONGEST_DOCTYPE: Final = 1 << 20
_ENTITY: Final = re.compile(r"<!ENTITY\s+([\w.-]{1,60})\s+(?:\"([^\"&<]{0,60})\"|'([^'&<]{0,60})')\s*>")
# What stands in CDATA is no markup, nor is a comment.
_VERBATIM: Final = r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)"
_REFERENCE: Final = re.compile(_VERBATIM + r"|&([A-Za-z][\w.-]{0,59});", re.DOTALL)
_BARE: Final = re.compile(_VERBATIM + r"|(&)(?!(?:\w{1,60}|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)", re.DOTALL)
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_PREFIX: Final = re.compile(r"(?:</?|\s)([A-Za-z_][\w.-]{0,59}):[A-Za-z_]")
_DECLARED_PREFIX: Final = re.compile(r"\sxmlns:([\w.-]{1,60})\s*=")
_FIRST_TAG: Final = re.compile(r"<[A-Za-z_][\w.:-]{0,120}")
_MOST_PREFIXES: Final = 100
_XML_ENTITIES: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
# A formula as a whole document in TeX, which JATS puts beside the same formula in MathML.
_NOT_TEXT: Final = frozenset({"tex-math"})
# Elements that are set apart from the text around them: breaks, notes, paragraphs and formulas of their own.
_APART: Final = frozenset(
    {"break", "br", "lb", "pb", "cb", "sbr", "fn", "footnote", "note", "p", "para", "simpara", "title", "blockquote"}
    | {"disp-formula", "disp-quote", "equation", "informalequation", "list", "table-wrap", "fig"}
)
# UTF-16 by its first two bytes, where no mark says so either.
_WIDE: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"


def root_name(data: bytes) -> str:
    """Return the local name of the first element of an XML file; empty if the file does not begin like XML."""
    wide = _WIDE.get(data[:2])
    head = data[:_HEAD].decode(wide, "ignore").lstrip("\ufeff").encode("utf-8", "ignore") if wide else data[:_HEAD]
    found = _ROOT.match(head)
    return found[1].decode() if found else ""


def tree_of(data: bytes, builder: TextBuilder) -> ET.Element:
    """Parse a file and return its first element.

    Frequent mistakes are mended: an ampersand that begins no reference, control characters, prefixes that nothing
    declares. Where others are left, the elements before the first one are returned, and the builder is told so.
    Entities are replaced once by the short texts that the file declares for them, so that none can grow; those of HTML
    are known.

    Raises:
        Unreadable: There is no element before the mistake, or the document type cannot be left out.
    """
    text = _DECLARATION.sub("", decoded(data, _WIDE.get(data[:2]) or named(data)), count=1)
    declared: dict[str, str] = {}
    if (doctype := _DOCTYPE.search(text, 0, _LONGEST_DOCTYPE)) is not None:
        declared = {name: one or other for name, one, other in _ENTITY.findall(doctype[0])}
        text = text[: doctype.start()] + "\n" * doctype[0].count("\n") + text[doctype.end() :]
    text = _REFERENCE.sub(lambda found: _replacement(found[1], declared) if found[1] else found[0], text)
    root, mistake = _parsed(text)
    if mistake:
        mended, left = _parsed(_mended(text))
        root, mistake = (root, mistake) if mended is None else (mended, left)
    if root is None:
        raise Unreadable(f"is not XML: {mistake or 'it has no element'}", "Export it again")
    if mistake:
        builder.add_unread(f"what follows a mistake in its XML ({mistake})")
    return root


def _parsed(text: str) -> tuple[ET.Element | None, str]:
    """Return the first element, None if there is none, and the first mistake, empty if there is none."""
    target = _Tree()
    try:
        parser = ET.XMLParser(target=target)  # noqa: S314 - no document type and no entities are left in the text
        parser.feed(text)
        parser.close()
    except ET.ParseError as error:
        return target.root, str(error)
    return target.root, ""


def _mended(text: str) -> str:
    """Return a text without the mistakes that programs make most often. Its lines stay where they are."""
    text = _BARE.sub(lambda found: "&amp;" if found[1] else found[0], _CONTROL.sub("", text))
    unknown = sorted(set(_PREFIX.findall(text)) - set(_DECLARED_PREFIX.findall(text)) - {"xml", "xmlns"})
    told = "".join(f' xmlns:{prefix}="urn:undeclared:{prefix}"' for prefix in unknown[:_MOST_PREFIXES])
    return _FIRST_TAG.sub(lambda found: found[0] + told, text, count=1)


class _Tree(ET.TreeBuilder):
    """Keeps the first element, which ``TreeBuilder`` gives only for a whole document.

    Attributes:
        root: The first element; None before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root: ET.Element | None = None

    def doctype(self, _name: str, _pubid: str | None, _system: str | None, /) -> None:
        """Refuse a document type, whose entities could grow without bounds.

        Raises:
            Unreadable: There is one.
        """
        raise Unreadable("has a document type that is too long or not well-formed", "Export it again without one")

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


def inline(child: ET.Element) -> str:
    """Return the text of an element amid other text, with spaces around what is set apart from it."""
    name = local(child)
    if name in _NOT_TEXT:
        return ""
    return f" {_text(child)} " if name in _APART and child.get("break") != "no" else _text(child)


def _text(element: ET.Element) -> str:
    """Join the text in an element. Where no text stands between elements, they are words of their own: names, years."""
    parts = [element.text or ""]
    for child in element:
        parts += [inline(child), child.tail or ""]
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
