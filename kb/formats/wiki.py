"""Reads the markup of wikis: of MediaWiki, in files and XML exports, and of Vimwiki, whose files have the same suffix.

Headings, links and lists are nearly the same in both. What is markup for the eye is read as what a page shows.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable
from kb.formats.charset import prepare
from kb.formats.dates import iso_date
from kb.formats.escapes import references
from kb.formats.markup import Outline, in_order, one_line, parents_of_items
from kb.formats.xml_tree import local, root_name, said, tree_of
from kb.records import Block, Heading, LineContext, Link

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from xml.etree import ElementTree as ET

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

__all__ = ["extract", "is_export", "parse_wiki", "prepare"]

_HEADING: Final = re.compile(r"[ \t]*(={1,6})(?!=)[ \t]*(\S(?:.*\S)?)[ \t]*(?<!=)\1[ \t]*")
_CODE: Final = re.compile(r"[ \t]*(?:<(pre|syntaxhighlight|source)\b[^<>]*>|\{\{\{)", re.IGNORECASE)
_BULLETS: Final = re.compile(r"\A[*#]++(?=\s*[^\s])")
_ITEM: Final = re.compile(r"(\s*)(?:[*#-]|\d{1,9}[.)])\s+(?:\[.\]\s+)?(\S.*)")
_SETTING: Final = re.compile(r"%(title|date|nohtml|template)\b[ \t]*(.*)")
_TAGS: Final = re.compile(r"[ \t]*:((?:[^\s:]{1,100}:)+)[ \t]*")

_FILES: Final = r"(?:File|Image|Media|Datei|Bild|Fichier|Archivo|Imagen|Immagine|Bestand|Ficheiro|Файл)"
_CATEGORIES: Final = r"(?:Category|Kategorie|Catégorie|Categoría|Categoria|Categorie|Kategoria|Категория)"
_LAYOUT: Final = (
    r"(?:thumb(?:nail)?|mini|frame(?:d|less)?|border|left|right|center|none|baseline|middle|top|bottom|links|rechts"
    r"|x?\d{1,5}(?:x\d{1,5})?px|(?:upright|alt|link|page|lang)(?:=[^|\[\]\n]{0,200})?)"
)
_SWITCHES: Final = (
    "(?:NO|FORCE)?TOC|NOEDITSECTION|(?:NO)?NEWSECTIONLINK|NOGALLERY|HIDDENCAT|EXPECTUNUSEDCATEGORY|NOCONTENTCONVERT"
    "|NOTITLECONVERT|(?:NO)?INDEX|STATICREDIRECT|DISAMBIG"
)
# Elements whose content is shown as it is written.
_LITERAL: Final = re.compile(r"<(/?)(nowiki|math|chem|syntaxhighlight|source|pre)\b[^<>]{0,300}(?<!/)>", re.IGNORECASE)
# Attributes of a cell, with the bar behind them.
_ATTRIBUTES: Final = (
    r"(?:\s*(?:style|class|scope|colspan|rowspan|align|valign|width|bgcolor|id|data-sort-value)\s*="
    r"\s*(?:\"[^\"\n|]{0,200}\"|[^\s\"|]{1,50}))+\s*\|(?!\|)"
)
_MARKUP: Final = re.compile(
    r"(?P<comment><!--.*?(?:-->|\Z))"
    rf"|\[\[\s*{_CATEGORIES}\s*:\s*(?P<category>[^\[\]|\n]{{1,200}})(?:\|[^\[\]\n]{{0,200}})?\]\]"
    rf"|(?P<file>\[\[\s*{_FILES}\s*:[^\[\]|\n]{{1,300}}(?:\|\s*{_LAYOUT}\s*(?=[|\]]))*\|?)"
    r"|\[\[(?P<target>[^\[\]|\n]{1,500})(?:\|(?P<label>[^\[\]\n]{0,500}))?\]\]"
    r"|(?P<end>\]\])"
    r"|\[(?:https?:)?//[^\s\[\]]{1,1000}\s+(?P<named>[^\[\]\n]{1,500})\]"
    r"|(?P<emphasis>'{2,5})"
    r"|(?P<note><ref\b[^<>]{0,200}(?<!/)>)|(?P<noted></ref>)"
    r"|(?P<tag></?(?:ref|references|nowiki|br|small|big|sub|sup|center|div|span|u|s|b|i|em|strong|code|del|ins|blockquote"
    r"|gallery|noinclude|includeonly|onlyinclude|poem|p)\b(?:\s+[\w:-]{1,50}\s*=[^<>]{0,300})?\s*/?>)"
    rf"|(?P<switch>(?-i:__(?:{_SWITCHES})__))"
    r"|^[ \t]*(?P<rule>\{\|[^\n]*|\|[}-][^\n]*)"
    rf"|(?:^[ \t]*[!|]|!!|\|\|)(?P<attributes>{_ATTRIBUTES})",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_AROUND_NAME: Final = re.compile(r"^[^:]*:|\s*\([^()]*\)$")
_BREAK: Final = re.compile(r"</?(?:br|p|div|poem|blockquote)\b", re.IGNORECASE)
_NOTES: Final = {"note": " (", "noted": ")"}
_CELL: Final = re.compile(rf"(?:^[!|]|!!|\|\|)(?:{_ATTRIBUTES})?")


def parse_wiki(text: str, first_line: int = 1) -> Outline:
    """Read the outline of a page. Its title is its heading of level one, which MediaWiki has outside of the text."""
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    blocks = tuple(_code(lines, first_line - 1))
    code = {at for block in blocks for at in range(block.first_line - 1, block.last_line)}
    headings: list[Heading] = []
    links: list[Link] = []
    noise: list[tuple[int, int]] = []
    tags: list[str] = []
    settings: dict[str, str] = {}
    for at in range(first_line - 1, len(lines)):
        line = lines[at]
        if at in code:
            continue
        if found := _HEADING.fullmatch(line):
            headings.append(Heading(one_line(shown(found[2])), len(found[1]), at + 1, at + 1))
        elif found := _SETTING.fullmatch(line):
            settings.setdefault(found[1], found[2])
            noise.append((starts[at], starts[at] + len(line)))
        elif found := _TAGS.fullmatch(line):
            tags += found[1].strip(":").split(":")
        links += (
            Link(link["target"].strip().removeprefix(":"), at + 1, "wiki") for link in _links(line) if link["target"]
        )
        tags += (one_line(link["category"]) for link in _links(line) if link["category"])
    title = next((one.text for one in headings if one.level == 1), "")
    nested = [_BULLETS.sub(lambda found: " " * (len(found[0]) - 1) + "* ", line, count=1) for line in lines]
    parents = (
        replace(one, text=one_line(shown(one.text))) for one in parents_of_items(nested, first_line - 1, code, _ITEM)
    )
    return Outline(
        headings=tuple(headings),
        blocks=blocks,
        links=tuple(links),
        title=one_line(settings.get("title", "")) or title,
        tags=tuple(dict.fromkeys(tags)),
        date=settings.get("date", ""),
        noise=tuple(noise),
        substitutions=tuple(_substitutions(text, code)),
        context=in_order((*parents, *_columns(lines, first_line - 1, code))),
    )


def shown(text: str, code: Collection[int] = ()) -> str:
    """Return a text as a page shows it, with the same lines.

    Args:
        text: The text.
        code: The lines of code in it, counting from 0.
    """
    parts, at = [], 0
    for start, end, new in _substitutions(text, code):
        parts += [text[at:start], new, "\n" * text.count("\n", start, end)]
        at = end
    return "".join((*parts, text[at:]))


def _links(line: str) -> Iterator[re.Match[str]]:
    return _MARKUP.finditer(line) if "[[" in line else iter(())


def _code(lines: Sequence[str], start: int) -> Iterator[Block]:
    """Yield the blocks of code."""
    at = start
    while at < len(lines):
        if found := _CODE.match(lines[at]):
            end = f"</{found[1].lower()}>" if found[1] else "}}}"
            last = next((one for one in range(at, len(lines)) if end in lines[one].lower()), len(lines) - 1)
            yield Block("code", at + 1, last + 1)
            at = last
        at += 1


def _substitutions(text: str, code: Collection[int]) -> Iterator[tuple[int, int, str]]:
    """Yield what is read for markup outside of code, in order."""
    if code:
        text = "\n".join("\0" * len(line) if at in code else line for at, line in enumerate(text.split("\n")))
    text = _without_literal(text)
    marks = (_replaced(one) for one in _MARKUP.finditer(text))
    last = 0
    for start, end, new in sorted((*references(text), *marks), key=lambda one: (one[0], -one[1])):
        if start >= last:
            yield start, end, new
            last = end


def _without_literal(text: str) -> str:
    """Return a text of the same length without what is shown as it is written."""
    parts, at = [], 0
    opened: re.Match[str] | None = None
    for tag in _LITERAL.finditer(text):
        if opened is None:
            opened = None if tag[1] else tag
        elif tag[1] and tag[2].lower() == opened[2].lower():
            parts += [text[at : opened.end()], "\0" * (tag.start() - opened.end())]
            at, opened = tag.start(), None
    return "".join((*parts, text[at:]))


def _replaced(found: re.Match[str]) -> tuple[int, int, str]:
    kind = found.lastgroup or ""
    return *(found.span(kind) if kind in {"rule", "attributes"} else found.span()), _read(found, kind)


def _read(found: re.Match[str], kind: str) -> str:
    """Return what a page shows for markup of a kind."""
    if kind == "target":
        return found["target"].strip().removeprefix(":")
    if kind == "label":
        # Without a label, what stands behind a colon or before brackets is shown.
        return found["label"] or _AROUND_NAME.sub("", found["target"])
    if kind == "tag":
        return " " if _BREAK.match(found["tag"]) else ""
    return found["named"] if kind == "named" else _NOTES.get(kind, "")


def _columns(lines: Sequence[str], start: int, code: Collection[int]) -> Iterator[LineContext]:
    """Yield the header rows of tables as the context of the rows below them."""
    names: list[str] = []
    begun = 0
    for at in range(start, len(lines)):
        line = lines[at].strip()
        if at in code:
            continue
        if line.startswith(("{|", "|}")):
            if len(names) > 1 and begun and at > begun:
                yield LineContext(begun + 1, at, one_line(" | ".join(names)))
            names, begun = [], 0
        elif line.startswith("!") and not begun:
            names += [shown(name).strip() for name in _CELL.split(line)[1:]]
        elif line.startswith("|") and not line.startswith(("|-", "|+")) and names and not begun:
            begun = at


# --- Exports ------------------------------------------------------------------------------------------------------

# Namespaces of pages for the program: messages, templates and modules.
_FOR_PROGRAMS: Final = frozenset({"8", "10", "828"})


def is_export(data: bytes) -> bool:
    """Whether an XML file is an export of MediaWiki."""
    return root_name(data) == "mediawiki"


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add each page to the builder, in its last revision.

    Raises:
        Unreadable: It is not an export of MediaWiki.
    """
    root = tree_of(data, builder)
    if local(root) != "mediawiki":
        raise Unreadable("is not an export of MediaWiki", "Export it again with Special:Export")
    builder.set_properties(said(next((one for one in root.iter() if local(one) == "sitename"), None)))
    for page in root:
        if local(page) == "page":
            _add(builder, page)


def _add(builder: TextBuilder, page: ET.Element) -> None:
    parts = {local(one): one for one in page}  # the last revision
    revision = {local(one): one for one in parts.get("revision", ())}
    if (
        said(parts.get("ns")) in _FOR_PROGRAMS
        or "redirect" in parts
        or said(revision.get("model")) not in {"", "wikitext"}
    ):
        return
    title, day = said(parts.get("title")), iso_date(said(revision.get("timestamp")))
    builder.add_place("page: " + ", ".join(filter(None, (title or "no title", day))), reset_headings=True)
    builder.add_heading(title, 1)
    text = (revision["text"].text or "") if "text" in revision else ""
    outline = parse_wiki(text)
    code = {at for block in outline.blocks for at in range(block.first_line - 1, block.last_line)}
    builder.add_tags(outline.tags)
    above = builder.next_line - 1
    lines = shown(text, code).split("\n")
    for heading in outline.headings:
        lines[heading.first_line - 1] = heading.text
    builder.add_lines(lines)
    builder.add_headings(
        (one.text, max(2, one.level), above + one.first_line, above + one.last_line) for one in outline.headings
    )
    for context in outline.context:
        builder.add_context(above + context.first_line, above + context.last_line, context.text)
    builder.add_blank_line()
