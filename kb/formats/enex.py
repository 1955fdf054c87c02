"""Reads exports of Evernote: the title, day, tags, author and text of each note, and the names of attached files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable, line
from kb.formats.charset import prepare
from kb.formats.dates import day_of
from kb.formats.html import parsed, put
from kb.formats.xml_tree import local, tree_of

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

__all__ = ["extract", "prepare"]

_DATA: Final = re.compile(rb"(<data\b[^<>]*>)[^<]*")


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add each note to the builder.

    Raises:
        Unreadable: It is not an export of Evernote.
    """
    # Attachments are base64; a tree of them would take a multiple of their size.
    root = tree_of(_DATA.sub(rb"\1", data), builder)
    if local(root) != "en-export":
        raise Unreadable("is not an export of Evernote: it has no note", "Export the notes again")
    notes = [one for one in root if local(one) == "note"]
    for note in notes:
        _note(builder, note, alone=len(notes) == 1)


def _note(builder: TextBuilder, note: ET.Element, *, alone: bool) -> None:
    title, author = line(note.findtext("title") or ""), line(note.findtext("note-attributes/author") or "")
    day = day_of(note.findtext("created") or note.findtext("updated"))
    tags = [tag for one in note.iter("tag") if (tag := line("".join(one.itertext())))]
    if alone:
        builder.set_properties(title, author, day)
    builder.add_tags(tags)
    builder.add_place("note: " + ", ".join(filter(None, (title or "no title", day))), reset_headings=True)
    builder.add_heading(title, 1)
    facts = (("Author", "" if alone else author), ("Tags", ", ".join(tags)))
    source = line(note.findtext("note-attributes/source-url") or "")
    builder.add_text("\n".join(f"{name}: {value}" for name, value in (*facts, ("Source", source)) if value))
    put(parsed(note.findtext("content") or ""), builder)
    names = [line(one.text or "") for one in note.iter("file-name")]
    builder.add_text("Attachments: " + ", ".join(names) if any(names) else "")
