"""Tags, links, block ids and properties in the lines of Markdown notes, as Obsidian, Logseq and Markdown have them.

Everything is found in one text in which code is blanked out, so that offsets and lines stay. Each expression can
begin at a place in one way only and ends at the next bracket, line or paragraph: the time is linear in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from kb.read.markup import one_line
from kb.records import Link, Name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kb.records import Block

# More than a person writes; a generated file must not fill the catalog.
MOST_TAGS: Final = 1000
MOST_LINKS: Final = 10_000
LONGEST_TAG: Final = 200
_LONGEST_TARGET: Final = 1000

# Stands for what is hidden: no space, no part of a name, nothing that means anything.
_HIDDEN: Final = "\0"
_BACKTICKS: Final = re.compile("`+")
_PARAGRAPH_END: Final = re.compile(r"\n[ \t]*(?=\n)")
# Obsidian's rule: whatever is neither space nor punctuation, but for -, _ and /.
_TAG: Final = re.compile(r"#([^\s\0!-,.:-@\[-^`{-~\u2000-\u206f\u2e00-\u2e7f\u3000-\u303f\uff00-\uff0f\uff1a-\uff20]+)")
_LONG_TAG: Final = re.compile(r"(?<!\S)#\[\[([^\[\]\n|#\0]+)\]\]")
_WIKILINK: Final = re.compile(r"(!?)\[\[([^\[\]\n]+)\]\]")
# As in CommonMark, nothing but a title stands behind a destination: "[sic](see the note)" is no link. Many programs
# take the size of a picture too.
_TITLE: Final = r"""(?:"(?:[^"\\\n]|\\.|\n(?![ \t]*\n))*+"|'(?:[^'\\\n]|\\.|\n(?![ \t]*\n))*+'|\([^()]*+\))"""
_SPACE: Final = r"[ \t]*+(?:\n[ \t]*+)?"
_DESTINATION: Final = re.compile(
    rf"{_SPACE}(?:<([^<>\n]*)>|([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*))"
    rf"{_SPACE}(?:(?<=\s)(?:{_TITLE}|=\d*%?x?\d*%?){_SPACE})?\)"
)
_DEFINITION: Final = re.compile(
    rf"^ {{0,3}}\[([^\[\]\n]+)\]:[ \t]*(?:<([^<>\n]*)>|([^\s<>]+))(?:[ \t]++{_TITLE})?[ \t]*$", re.MULTILINE
)
_HTML: Final = re.compile(r"<[a-zA-Z/!][^<>]*>")
_HTML_TARGET: Final = re.compile(r"""\s(src|href|id|name)=(?:"([^"]*)"|'([^']*)'|([^"'\s<>]+))""", re.IGNORECASE)
_BLOCK_REFERENCE: Final = re.compile(
    r"(\{\{embed )?\(\(([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\)\)"
)
_EMBEDDED_PAGE: Final = "{{embed "
_BLOCK_ID: Final = re.compile(r"(?:(?<=\s)|^)\^([A-Za-z0-9-]+)[ \t]*$", re.MULTILINE)
_PROPERTY: Final = re.compile(r"^[ \t]*(?:[-*][ \t]+)?([A-Za-z][\w.-]*)::[ \t]*(.*)$", re.MULTILINE)
_DRAWER: Final = re.compile(
    r"^[ \t]*:(?:LOGBOOK|PROPERTIES):[ \t]*\n(?:[ \t]*(?!:(?:END|LOGBOOK|PROPERTIES):)\S.*\n)*[ \t]*:END:[ \t]*$",
    re.MULTILINE,
)
_SIGNS: Final = ("[[", "::", "((", "]:", "^", "src=", "href=", "id=", "name=", ":END:")
_LINK_INSIDE: Final = re.compile(r"\]\((?!https?://)")
_SIGN_OF_TAG: Final = re.compile(r"#(?<![^\s(]#)[^\s#0-9]")
_EXTERNAL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:|//")
# What Logseq keeps for itself in a block.
_LOGSEQ_OWN: Final = re.compile(
    r"(?:collapsed|id|heading|background-color|created-at|updated-at|query-.*|card-.*|logseq\..*|ls-.*|hl-.*)"
)


@dataclass(slots=True)
class Inline:
    """What stands in the lines of a note: links with their offsets, in order.

    ``properties`` are Logseq's of the page, by name in small letters.
    """

    tags: list[str] = field(default_factory=list)
    links: list[tuple[int, Link]] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    noise: list[tuple[int, int]] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)


class Lines:
    """The lines of a text by offset, counted from 1."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._starts = [0, *accumulate(len(line) + 1 for line in lines)]

    def start(self, line: int) -> int:
        """Where a line begins; the end of the text for one behind the last."""
        return self._starts[min(line, len(self._starts)) - 1]

    def at(self, offset: int) -> int:
        """The line in which an offset lies."""
        return bisect_right(self._starts, offset)


def read_inline(text: str, lines: Sequence[str], blocks: Iterable[Block], first_line: int = 1) -> Inline:
    """Tags, links, block ids and properties of a Markdown text.

    Args:
        text: The whole text.
        lines: The same, split at line feeds.
        blocks: Its blocks; what is code holds none of these.
        first_line: Where the Markdown begins. In front matter before it only wikilinks count.
    """
    places = Lines(lines)
    found = Inline()
    body = places.start(first_line)
    spans = [(places.start(one.first_line), places.start(one.last_line + 1)) for one in blocks if one.kind == "code"]
    plain = _blanked(text, spans) if spans else text
    if not _says_anything(plain):
        return found
    plain = _without_code(plain)
    if "::" in plain or ":END:" in plain:
        _properties(plain, text, body, places, found)
    if "^" in plain:
        for block in _BLOCK_ID.finditer(plain, body):
            found.names.append(Name("block", block[1], places.at(block.start(1))))
            found.noise.append(block.span())
    found.noise.sort()
    linked = sorted(_links(plain, body, places, found))
    _tags(plain, body, linked, found)
    found.tags = list(dict.fromkeys(found.tags))[:MOST_TAGS]
    return found


def _says_anything(text: str) -> bool:
    """Whether there can be anything to find: most texts have links to the web only, and are left at once."""
    return any(sign in text for sign in _SIGNS) or any(sign.search(text) for sign in (_LINK_INSIDE, _SIGN_OF_TAG))


def _without_code(text: str) -> str:
    """A text with its code spans blanked; a run of backticks is closed by the next as long in the same paragraph."""
    if "`" not in text:
        return text
    runs = [run.span() for run in _BACKTICKS.finditer(text)]
    ends = [found.start() for found in _PARAGRAPH_END.finditer(text)]
    next_same: list[int | None] = []
    latest: dict[int, int] = {}
    for at in range(len(runs) - 1, -1, -1):
        size = runs[at][1] - runs[at][0]
        next_same.append(latest.get(size))
        latest[size] = at
    next_same.reverse()
    spans = []
    at = 0
    while at < len(runs):
        closer = next_same[at]
        start, end = runs[at]
        escaped = start > 0 and text[start - 1] == "\\"
        if closer is None or escaped or bisect_left(ends, end) != bisect_left(ends, runs[closer][0]):
            at += 1
            continue
        spans.append((start, runs[closer][1]))
        at = closer + 1
    return _blanked(text, spans) if spans else text


def _blanked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A text of the same length and lines, in which some stretches are nothing that could be markup, nor a space."""
    parts = []
    at = 0
    for start, end in spans:
        hidden = text[start:end]
        parts.append(text[at:start])
        parts.append("\n".join(_HIDDEN * len(line) for line in hidden.split("\n")))
        at = end
    return "".join((*parts, text[at:]))


def _properties(plain: str, text: str, body: int, places: Lines, found: Inline) -> None:
    """Logseq's properties: tags of any block, what the first block says of the page, and what is its own business.

    They are found in the text without its code, and their values are what stands there in truth.
    """
    page_until = _first_block_end(plain, body)
    for one in _PROPERTY.finditer(plain, body):
        name, value = one[1].lower(), text[one.start(2) : one.end(2)].strip()
        if name in {"tags", "tag"}:
            found.tags += _listed(value)
        if name == "id":
            found.names.append(Name("block", value, places.at(one.start(1))))
        if one.start() < page_until:
            found.properties.setdefault(name, value)
        if _LOGSEQ_OWN.fullmatch(name):
            found.noise.append((places.start(places.at(one.start(1))), one.end()))
    found.noise += [drawer.span() for drawer in _DRAWER.finditer(plain, body)] if ":END:" in plain else []


def _first_block_end(text: str, body: int) -> int:
    """Where the properties of the page end: they are the first lines of all, without a line between them."""
    at = body
    while (line := _PROPERTY.match(text, at)) and line.end() < len(text):
        at = line.end() + 1
    return at if line is None else len(text)


def _listed(value: str) -> Iterator[str]:
    """The names in a property: separated by commas, each perhaps a page or a tag."""
    for item in value.split(","):
        name = one_line(item).lstrip("#").removeprefix("[[").removesuffix("]]").strip().strip("\"'")
        if name:
            yield name


def names_in(value: str) -> tuple[str, ...]:
    """The names in the value of a property of Logseq, without brackets and signs."""
    return tuple(_listed(value))


def _tags(text: str, body: int, linked: Sequence[tuple[int, int]], found: Inline) -> None:
    """Collect the tags of a text, none of which stands in a link."""
    for one in _TAG.finditer(text, body):
        at = one.start()
        before = text[max(0, at - 2) : at]
        # A tag begins a word, which may stand in parentheses.
        if not (before[-1:].isspace() or not before or (before[-1] == "(" and not before[:-1].strip())):
            continue
        tag = one[1].strip("/")
        inside = bisect_right(linked, (at, len(text)))
        if inside and linked[inside - 1][1] > at:
            continue
        if tag.strip("0123456789-_/") and len(tag) <= LONGEST_TAG:
            found.tags.append(tag)


def _links(text: str, body: int, places: Lines, found: Inline) -> Iterator[tuple[int, int]]:
    """Collect the links and long tags of a text; gives the stretches in which no tag can stand."""
    if "[[" in text:
        yield from _wikilinks(text, body, places, found)
    if "](" in text:
        yield from _markdown_links(text, body, places, found)
    if "]:" in text:
        for one in _DEFINITION.finditer(text, body):
            yield one.span()
            # [^1]: is a footnote, whose first word is no target.
            if not one[1].startswith("^"):
                _add(found, places, one.start(1), one[2] or one[3] or "")
    if "<" in text:
        yield from _html_links(text, body, places, found)
    if "((" in text:
        for one in _BLOCK_REFERENCE.finditer(text, body):
            found.links.append((one.start(), Link(one[2], places.at(one.start()), "id", bool(one[1]))))
    found.links.sort(key=lambda link: link[0])
    del found.links[MOST_LINKS:]


def _wikilinks(text: str, body: int, places: Lines, found: Inline) -> Iterator[tuple[int, int]]:
    """Collect wikilinks, those of front matter too, and tags of several words; gives the stretches they take up."""
    long_tags = {tag.end() for tag in _LONG_TAG.finditer(text, body)} if "#[[" in text else set()
    for one in _WIKILINK.finditer(text):
        yield one.span()
        if one.end() in long_tags:
            found.tags.append(one_line(one[2]))
            continue
        # In a table the bar has to be escaped.
        target = one[2].partition("|")[0].removesuffix("\\")
        embeds = bool(one[1]) or text.endswith(_EMBEDDED_PAGE, 0, one.start())
        _add(found, places, one.start(2), target, embeds=embeds, wiki=True)


def _html_links(text: str, body: int, places: Lines, found: Inline) -> Iterator[tuple[int, int]]:
    """Collect what elements of HTML show and lead to; gives the stretches that their tags take up."""
    for one in _HTML.finditer(text, body):
        if "\n\n" in one[0]:
            continue
        yield one.span()
        for target in _HTML_TARGET.finditer(one[0]):
            value = target[2] or target[3] or target[4] or ""
            attribute = target[1].lower()
            at = one.start() + target.start()
            if attribute not in {"id", "name"}:
                _add(found, places, at, value, embeds=attribute == "src")
            elif value and "\n" not in value:
                found.names.append(Name("block", value, places.at(at + 1)))


def _markdown_links(text: str, body: int, places: Lines, found: Inline) -> Iterator[tuple[int, int]]:
    """Collect links and pictures with a label in brackets; gives the stretches that they take up."""
    last = body
    at = text.find("](", body)
    while at >= 0:
        start = text.rfind("[", last, at)
        label = text[start + 1 : at] if start >= 0 else ""
        whole = start >= 0 and "]" not in label and "\n\n" not in label
        last = at + 1
        # Or else the label is a picture that is a link itself: [![alt](picture)](target).
        if whole or text[at - 1 : at] == ")":
            start = start if whole else at
            destination = _DESTINATION.match(text, at + 2)
            if destination is not None:
                embeds = whole and text[max(0, start - 1) : start] == "!"
                _add(found, places, start, destination[1] or destination[2] or "", embeds=embeds)
                yield start, destination.end()
        at = text.find("](", at + 1)


def _add(found: Inline, places: Lines, at: int, target: str, *, embeds: bool = False, wiki: bool = False) -> None:
    """Take a link in, unless it leads out of the folder, holds code or there are enough."""
    target = target.strip()
    if not 0 < len(target) <= _LONGEST_TARGET or _HIDDEN in target or _EXTERNAL.match(target):
        return
    if len(found.links) < MOST_LINKS:
        found.links.append((at, Link(target, places.at(at), "wiki" if wiki else "path", embeds)))
