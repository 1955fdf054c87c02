"""Reads the outline of structured text: YAML, JSON, TOML and XML.

A key with a long value is a heading; shorter entries stay whole. The outline follows the indentation that people and
programs write; data on one long line is read as plain text.
"""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Final

from kb.formats.bare_markup import is_bare_markup
from kb.formats.escapes import code_escapes, json_escapes, properties_escapes, references, string_escapes
from kb.formats.markup import Outline, one_line
from kb.records import Block, Heading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# The key of an entry with this many lines becomes a heading, and its own entries become blocks.
_LONG: Final = 12
_DEEPEST: Final = 6
_KEY: Final = re.compile(
    r"""\s*(?:-\s+)?(?:"([^"\\\n]{1,100})"|'([^'\n]{1,100})'|([^\s#'"{}\[\],&*!|>%@`:][^:#\n]{0,100}?))\s*:(?:\s|$)"""
)
_ELEMENT: Final = re.compile(r"\s*<([A-Za-z_][\w.:-]*)((?:\s+[\w.:-]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*)\s*/?>?")
_NAMED: Final = re.compile(r"\b(?:id|name|title|key|label)\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')")
_SVG_TITLE: Final = re.compile(r"<(?:svg:)?title[^<>]{0,200}>([^<]{1,300})</")
_TABLE: Final = re.compile(r"\s*\[{1,2}\s*([^\[\]\n]{1,200}?)\s*\]{1,2}\s*(?:#.*)?$")


def parse_json(text: str, first_line: int = 1) -> Outline:
    """Read the outline of JSON, with comments or without, by its indentation."""
    return replace(_outline(text, first_line, _key), substitutions=tuple(json_escapes(text)))


def parse_indented(text: str, first_line: int = 1) -> Outline:
    """Read the outline of YAML by its indentation."""
    return replace(_outline(text, first_line, _key), substitutions=tuple(string_escapes(text)))


def parse_xml(text: str, first_line: int = 1) -> Outline:
    """Read the outline of XML by its indentation; a heading is a tag and the name of the element."""
    return replace(_outline(text, first_line, _element), substitutions=tuple(references(text)))


def parse_svg(text: str, first_line: int = 1) -> Outline:
    """Read the outline of a drawing, with its title."""
    found = _SVG_TITLE.search(text)
    return replace(parse_xml(text, first_line), title=one_line(unescape(found[1])) if found else "")


def parse_toml(text: str, first_line: int = 1) -> Outline:
    """Read the outline of TOML and INI files: their tables."""
    headings = []
    for number, line in enumerate(text.split("\n")[first_line - 1 :], first_line):
        if found := _TABLE.match(line):
            headings.append(Heading(one_line(found[1]), found[1].count(".") + 1, number, number))
    return Outline(headings=tuple(headings), substitutions=tuple(string_escapes(text)))


def parse_settings(text: str, _first_line: int = 1) -> Outline:
    """Read settings; the outline has substitutions only."""
    return Outline(substitutions=tuple(code_escapes(text)))


def parse_properties(text: str, _first_line: int = 1) -> Outline:
    """Read properties of Java; the outline has substitutions only."""
    return Outline(substitutions=tuple(properties_escapes(text)))


def parse_translations(text: str, _first_line: int = 1) -> Outline:
    """Read texts for translators; the outline has substitutions only."""
    return Outline(substitutions=tuple(json_escapes(text)))


def parse_records(text: str, first_line: int = 1) -> Outline:
    """Read JSON Lines: each line is a block."""
    lines = text.split("\n")[first_line - 1 :]
    blocks = tuple(Block("table", at, at) for at, line in enumerate(lines, first_line) if line.strip())
    return Outline(blocks=blocks, substitutions=tuple(json_escapes(text)))


def _key(line: str) -> str:
    found = _KEY.match(line)
    return next(group for group in found.groups() if group) if found else ""


def _element(line: str) -> str:
    found = _ELEMENT.match(line)
    if found is None:
        return ""
    named = _NAMED.search(found[2])
    return f"{found[1]} {named[1] or named[2] or ''}".strip() if named else found[1]


def _outline(text: str, first_line: int, name_of: Callable[[str], str]) -> Outline:
    lines = text.split("\n")
    depths = [_depth(line) for line in lines]
    headings: list[Heading] = []
    blocks: list[Block] = []
    waiting = [(first_line - 1, len(lines), 1)]
    while waiting:
        low, high, level = waiting.pop()
        for begin, end in _entries(lines, depths, low, high):
            inner = begin + 1
            if end - begin > _LONG and level <= _DEEPEST and any(lines[at].strip() for at in range(inner, end)):
                if name := name_of(lines[begin]):
                    headings.append(Heading(one_line(name), level, begin + 1, begin + 1))
                waiting.append((inner, end, level + 1 if name else level))
            elif end > inner or not is_bare_markup(lines[begin]):
                blocks.append(Block("code", begin + 1, end))
    headings.sort(key=lambda heading: heading.first_line)
    blocks.sort(key=lambda block: block.first_line)
    return Outline(headings=tuple(headings), blocks=tuple(blocks))


def _depth(line: str) -> int:
    """Return the indentation of a line; -1 for closing brackets and tags and blank lines, which begin no entry."""
    stripped = line.lstrip()
    if not stripped or stripped[0] in "}])" or stripped.startswith("</"):
        return -1
    # In YAML, the items of a list may have the same indentation as their key.
    item = stripped.startswith("- ") or stripped == "-"
    return 2 * (len(line) - len(stripped)) + item


def _entries(lines: Sequence[str], depths: Sequence[int], low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield the entries of a range of lines as half-open ranges: from each line of the least depth to the next one."""
    said = [depths[at] for at in range(low, high) if depths[at] >= 0]
    if not said:
        return
    least = min(said)
    starts = [at for at in range(low, high) if depths[at] == least]
    if starts[0] > low and any(depths[at] >= 0 for at in range(low, starts[0])):
        starts.insert(0, low)
    for begin, end in zip(starts, [*starts[1:], high], strict=True):
        last = end
        while last > begin + 1 and not lines[last - 1].strip():
            last -= 1
        yield begin, last
