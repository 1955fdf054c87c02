"""Reads the outline of Org files line by line.

An outline has the headings, code blocks, tags, properties, timestamps and links of a file, and the context of its
lines: the header rows of tables and the parents of list items.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from kb.formats.escapes import by_line, org_escapes
from kb.formats.markup import Outline, in_order, one_line, parents_of_items
from kb.records import Block, Heading, LineContext, Link, Name

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

# --- Context of lines ---------------------------------------------------------------------------------------------

# A star in the first column begins a heading, not an item.
_ITEM: Final = re.compile(r"(\s*)(?:[-+]|(?<=\s)\*|\d{1,9}[.)])\s+(?:\[[ xX-]\]\s+)?(\S.*)")
_RULE: Final = re.compile(r"\s*\|[-+:|\s]*-[-+:|\s]*")


def find_context(lines: Sequence[str], start: int, code: Container[int]) -> tuple[LineContext, ...]:
    """Return the context of lines: the header rows of tables and the parents of list items.

    Args:
        lines: All lines of a text.
        start: The line to begin with, counting from 0.
        code: The lines that are not markup, counting from 0.
    """
    found = [*_tables(lines, start, code), *parents_of_items(lines, start, code, _ITEM)]
    return in_order(found)


def _tables(lines: Sequence[str], start: int, code: Container[int]) -> Iterator[LineContext]:
    """Yield the first row of each table that has a rule below it, as the context of the other rows."""
    number = start
    while number < len(lines):
        last = number
        while last < len(lines) and last not in code and lines[last].lstrip().startswith("|"):
            last += 1
        if last - number > 2 and _RULE.fullmatch(lines[number + 1]):  # noqa: PLR2004 - header, rule and a row
            yield LineContext(number + 3, last, one_line(lines[number]))
        number = max(last, number + 1)


# --- Outline ------------------------------------------------------------------------------------------------------

_HEADING: Final = re.compile(r"(\*+)\s+(.*)")
_TODO: Final = re.compile(r"(?:TODO|DONE|NEXT|WAITING|WAIT|HOLD|STARTED|CANCELLED|CANCELED|SOMEDAY)(?:\s+|$)")
_PRIORITY: Final = re.compile(r"\[#\w\]\s*")
_TAGS: Final = re.compile(r"(?:^|\s):([\w@#%:]+):\s*$")
_LINK: Final = re.compile(r"\[\[([^\[\]\n]*)\](?:\[([^\[\]\n]*)\])?\]")
_KEYWORD: Final = re.compile(r"#\+(\w+):(.*)")
_BEGIN: Final = re.compile(r"\s*#\+begin_(\w+)", re.IGNORECASE)
_END: Final = re.compile(r"\s*#\+end_(\w+)", re.IGNORECASE)
_CODE: Final = frozenset({"src", "example", "export", "comment"})
_DRAWER: Final = re.compile(r"[ \t]*:(?:PROPERTIES|LOGBOOK|CLOCK):[ \t]*", re.IGNORECASE)
_DRAWER_END: Final = re.compile(r"[ \t]*:END:[ \t]*", re.IGNORECASE)
_PROPERTY: Final = re.compile(r"[ \t]*:([\w-]+)\+?:(.*)")
_TARGET: Final = re.compile(r"<<([^<>\n]+)>>")
_TIMESTAMP: Final = re.compile(r"[<\[](\d{4}-\d{2}-\d{2})(?: [^<>\[\]\n]{0,60})?[>\]]")
_OTHER_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")
_PICTURE: Final = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|bmp|tiff?|avif|heic)$", re.IGNORECASE)
# Settings for Emacs and its exporters; they are not embedded.
_SETTINGS: Final = re.compile(
    r"startup|options|property|setupfile|todo|seq_todo|typ_todo|archive|tags|columns|constants|link|priorities|"
    r"latex.*|html.*|export_.*|exclude_tags|select_tags|creator|bind|language"
)
_LONGEST_TARGET: Final = 1000


@dataclass(slots=True)
class _Found:
    """What has been read so far; ``keywords`` are by name in lower case."""

    headings: list[Heading] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    noise: list[tuple[int, int]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    days: set[str] = field(default_factory=set)
    keywords: dict[str, str] = field(default_factory=dict)
    created: str = ""


def parse_org(text: str, first_line: int = 1) -> Outline:
    """Read the outline of an Org file.

    Tags are those of ``#+FILETAGS`` and of all headings. The date is ``#+DATE``, else the property ``CREATED``, else
    the day of the timestamps if they all have the same one.
    """
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    blocks, code = _code_blocks(lines, first_line - 1)
    drawers = _drawers(lines, first_line - 1, code)
    found = _Found()
    for number in range(first_line - 1, len(lines)):
        if number in code:
            continue
        if number in drawers:
            found.noise.append((starts[number], starts[number] + len(lines[number])))
            _read_property(lines[number], number + 1, found)
            continue
        if setting := _read_line(lines[number], number + 1, found):
            found.noise.append((starts[number], starts[number] + len(setting)))
    keywords = found.keywords
    filetags = [tag for tag in re.split(r"[:\s]+", keywords.get("filetags", "")) if tag]
    return Outline(
        tuple(found.headings),
        blocks,
        tuple(found.links),
        title=keywords.get("title", ""),
        tags=tuple(dict.fromkeys(filetags + found.tags)),
        date=keywords.get("date") or found.created or (next(iter(found.days)) if len(found.days) == 1 else ""),
        aliases=tuple(found.aliases),
        names=tuple(found.names),
        noise=tuple(found.noise),
        substitutions=tuple(by_line(lines, first_line - 1, code | drawers, org_escapes)),
        context=find_context(lines, first_line - 1, code | drawers),
        language=keywords.get("language", ""),
    )


def _read_line(line: str, number: int, found: _Found) -> str:
    """Read an ordinary line, and return it if it is a setting for Emacs, else an empty text."""
    setting = ""
    if line[:1] == "*" and (heading := _HEADING.match(line)):
        title, labels, tags = _title(heading[2])
        found.headings.append(Heading(title, len(heading[1]), number, number, labels))
        found.tags += tags
    elif line[:2] == "#+" and (keyword := _KEYWORD.match(line)):
        name, value = keyword[1].lower(), one_line(keyword[2])
        if name in {"title", "filetags", "date", "language"}:
            found.keywords[name] = f"{found.keywords[name]} {value}" if name in found.keywords else value
        setting = line if _SETTINGS.fullmatch(name) else ""
    if "[[" in line:
        found.links += _links(line, number)
    if "<<" in line:
        found.names += [Name("block", target[1].strip(), number) for target in _TARGET.finditer(line)]
    if "20" in line or "19" in line:
        found.days.update(stamp[1] for stamp in _TIMESTAMP.finditer(line))
    return setting


def _read_property(line: str, number: int, found: _Found) -> None:
    """Read a line of a drawer: ids that links can name, aliases of the file, its creation date."""
    property_ = _PROPERTY.match(line)
    if property_ is None:
        return
    name, value = property_[1].lower(), property_[2].strip()
    if name in {"id", "custom_id"} and value:
        found.names.append(Name("block", value, number))
    elif name == "roam_aliases":
        found.aliases += [one_line(quoted or word) for quoted, word in re.findall(r'"([^"]*)"|(\S+)', value)]
    elif name == "created":
        found.created = found.created or value


def _title(text: str) -> tuple[str, str, list[str]]:
    """Split a heading into its title, its labels (state, priority and tags), and its tags."""
    labels = []
    for label in (_TODO, _PRIORITY):
        if found := label.match(text):
            labels.append(found[0].strip())
            text = text[found.end() :]
    # Search near the end of the line only: a search of an endless line takes quadratic time.
    found = _TAGS.search(text, max(0, len(text.rstrip()) - _LONGEST_TARGET))
    tags = [tag for tag in found[1].split(":") if tag] if found else []
    text = text[: found.start()] if found else text
    return one_line(_LINK.sub(lambda link: link[2] or link[1], text)), " ".join((*labels, *tags)), tags


def _links(line: str, number: int) -> Iterator[Link]:
    """Yield the links of a line to files, headings and ids. A picture without a description is embedded."""
    for one in _LINK.finditer(line):
        target = one[1].strip()
        if not target or len(target) > _LONGEST_TARGET:
            continue
        scheme = target.partition(":")[0].lower()
        if scheme == "id":
            yield Link(target[3:].partition("::")[0].strip(), number, "id")
            continue
        if scheme in {"file", "attachment"} and ":" in target:
            target = target.partition(":")[2]
        elif _OTHER_SCHEME.match(target):
            continue
        if "::" not in target and (target[:1] in {"*", "#"} or not re.search(r"[./]", target)):
            target = f"::{target}"
        embeds = one[2] is None and _PICTURE.search(target) is not None
        yield Link(target, number, "org", embeds)


def _drawers(lines: Sequence[str], start: int, code: set[int]) -> set[int]:
    """Return the lines of property and clock drawers, counting from 0. An unclosed drawer is ordinary text."""
    inside: set[int] = set()
    begun: int | None = None
    for number in range(start, len(lines)):
        line = lines[number]
        if number in code or line[:1] == "*":
            begun = None
        elif ":" not in line:
            continue
        elif _DRAWER.fullmatch(line):
            begun = number
        elif begun is not None and _DRAWER_END.fullmatch(line):
            inside.update(range(begun, number + 1))
            begun = None
    return inside


def _code_blocks(lines: Sequence[str], start: int) -> tuple[tuple[Block, ...], set[int]]:
    """Return the code blocks, and the numbers of their lines, counting from 0."""
    blocks: list[Block] = []
    inside: set[int] = set()
    begun: tuple[int, str] | None = None
    for number in range(start, len(lines)):
        if begun is None:
            found = _BEGIN.match(lines[number])
            # Quotes, centred text and other blocks hold ordinary text.
            begun = (number, found[1].lower()) if found and found[1].lower() in _CODE else None
        elif (found := _END.match(lines[number])) and found[1].lower() == begun[1]:
            blocks.append(Block("code", begun[0] + 1, number + 1))
            inside.update(range(begun[0], number + 1))
            begun = None
    return tuple(blocks), inside
