"""Reads OPML, the files of outliners and lists of feeds: each entry is a list item with those above it as context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb.formats.builder import Unreadable, line
from kb.formats.charset import prepare
from kb.formats.dates import day_of, mail_date
from kb.formats.html import parsed
from kb.formats.xml_tree import local, root_name, said, tree_of

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

__all__ = ["extract", "is_opml", "prepare"]


def is_opml(data: bytes) -> bool:
    """Whether an XML file is an outline in OPML."""
    return root_name(data).lower() == "opml"


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add each entry to the builder.

    Raises:
        Unreadable: It is not OPML.
    """
    root = tree_of(data, builder)
    if local(root).lower() != "opml":
        raise Unreadable("is not an outline in OPML", "Name the file .xml")
    head = {local(one): said(one) for part in root if local(part) == "head" for one in part}
    written = head.get("dateCreated") or head.get("dateModified")
    builder.set_properties(head.get("title"), head.get("ownerName"), mail_date(written) or day_of(written))
    for body in root:
        if local(body) == "body":
            for entry in body:
                _add(builder, entry, 1)


def _add(builder: TextBuilder, entry: ET.Element, depth: int) -> None:
    """Add an entry, its note and address, and the entries below it."""
    name = _shown(entry.get("text") or entry.get("title") or "")
    note = _shown(entry.get("_note") or entry.get("description") or "")
    address = line(entry.get("htmlUrl") or entry.get("url") or entry.get("xmlUrl") or "")
    text = "\n".join(filter(None, (f"- {name}" if name else "", note, address)))
    builder.add_item(text, depth)
    for child in entry:
        _add(builder, child, depth + 1)
    builder.end_items(depth - 1)


def _shown(text: str) -> str:
    """Return the text of an attribute, which may hold HTML."""
    return line(" ".join(piece.text for piece in parsed(text).pieces))
