"""Headings and code of markup that is understood line by line: reStructuredText and AsciiDoc.

These formats need no parser for what kb wants of them: where sections begin, what they are called, what is code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kb.read.tables import asciidoc_columns, rst_columns
from kb.records import Block, Heading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.records import Link, Name, Place, Told

# A heading is repeated in the trail of every passage below it, so a runaway line must not become one.
LONGEST_LINE: Final = 300
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Outline:
    """What the markup of a text says: its structure and links, and a title, tags and the like where it has them.

    ``names``, ``noise``, ``spelled``, ``told``, ``language``, ``author`` and ``places`` are as in ``Document``.
    """

    headings: tuple[Heading, ...] = ()
    blocks: tuple[Block, ...] = ()
    links: tuple[Link, ...] = ()
    title: str = ""
    tags: tuple[str, ...] = ()
    date: str = ""
    aliases: tuple[str, ...] = ()
    names: tuple[Name, ...] = ()
    noise: tuple[tuple[int, int], ...] = ()
    spelled: tuple[tuple[int, int, str], ...] = ()
    told: tuple[Told, ...] = ()
    language: str = ""
    author: str = ""
    places: tuple[Place, ...] = ()


def one_line(text: str) -> str:
    """A text as one line of bounded length, without control characters, lone surrogates or doubled spaces."""
    line = " ".join(_CONTROLS.sub(" ", text).split())
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1].rstrip() + "…"


# --- reStructuredText ---------------------------------------------------------------------------------------------

_ADORNMENT: Final = re.compile(r"([!-/:-@\[-`{-~])\1*\s*")
_RST_CODE: Final = re.compile(r"(\s*)\.\.\s+(?:code|code-block|sourcecode|parsed-literal)::")
_RST_COMMENT: Final = re.compile(r"\s*\.\.(\s|$)")


def parse_rst(text: str, first_line: int = 1) -> Outline:
    """The outline of reStructuredText; levels follow the order in which adornments appear."""
    lines = text.split("\n")
    code = tuple(_rst_code(lines, first_line - 1))
    literal = {number for block in code for number in range(block.first_line - 1, block.last_line)}
    levels: dict[tuple[str, bool], int] = {}
    headings = []
    at = first_line - 1
    while at < len(lines):
        found = None if at in literal else _rst_heading(lines, at)
        if found is None:
            at += 1
            continue
        title, style, size = found
        level = levels.setdefault(style, len(levels) + 1)
        headings.append(Heading(one_line(title), level, at + 1, at + size))
        at += size
    columns = (replace(one, text=one_line(one.text)) for one in rst_columns(lines, first_line - 1, literal))
    return Outline(headings=tuple(headings), blocks=code, told=tuple(columns))


def _rst_heading(lines: Sequence[str], at: int) -> tuple[str, tuple[str, bool], int] | None:
    """Title, (adornment, overlined) and number of lines of the heading that begins here, if one does."""
    first, second, third = (lines[at + step] if at + step < len(lines) else "" for step in range(3))
    if _is_adornment(first) and not _is_adornment(second) and second.strip():
        fits = len(first.rstrip()) >= len(second.rstrip()) or len(first.rstrip()) > 3  # noqa: PLR2004 - docutils' rule
        if fits and third.rstrip() == first.rstrip():
            return second.strip(), (first[0], True), 3
    if not first.strip() or first[0].isspace() or _is_adornment(first) or not _is_adornment(second):
        return None
    if at and lines[at - 1].strip() and not _is_adornment(lines[at - 1]):
        return None  # the last line of a paragraph, with a transition or a table rule below it
    # docutils takes an underline shorter than its title only from four characters on.
    long_enough = len(second.rstrip()) >= min(len(first.rstrip()), 4)
    return (first.strip(), (second[0], False), 2) if long_enough and not _RST_COMMENT.match(first) else None


def _is_adornment(line: str) -> bool:
    return len(line.rstrip()) > 1 and _ADORNMENT.fullmatch(line) is not None


def _rst_code(lines: Sequence[str], start: int) -> Iterator[Block]:
    """Code directives and literal blocks: what is indented below them, blank lines included."""
    at = start
    while at < len(lines):
        line = lines[at]
        directive = _RST_CODE.match(line)
        if directive or (line.rstrip().endswith("::") and not _RST_COMMENT.match(line)):
            last = _indented_until(lines, at)
            if last > at:
                yield Block("code", (at if directive else _first_text(lines, at + 1)) + 1, last + 1)
                at = last
        at += 1


def _indented_until(lines: Sequence[str], at: int) -> int:
    """The last line of what is indented deeper than line ``at`` right below it, or ``at`` itself."""
    indent = _indent(lines[at])
    last = at
    for number in range(at + 1, len(lines)):
        if not lines[number].strip():
            continue
        if _indent(lines[number]) <= indent:
            break
        last = number
    return last


def _first_text(lines: Sequence[str], at: int) -> int:
    while not lines[at].strip():
        at += 1
    return at


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


# --- AsciiDoc -----------------------------------------------------------------------------------------------------

_ADOC_HEADING: Final = re.compile(r"(={1,6}|#{1,6})\s+(\S.*)")
_ADOC_FENCE: Final = re.compile(r"(-{4,}|\.{4,}|\+{4,}|/{4,}|```)\s*|(```)\w+\s*|([|,:!]={3,})\s*")


def parse_asciidoc(text: str, first_line: int = 1) -> Outline:
    """The outline of AsciiDoc; listings, literals, passthroughs and comments are code, ``|===`` is a table."""
    lines = text.split("\n")
    headings, blocks, told = [], [], []
    number = first_line - 1
    closers = _closing_lines(lines, number)
    while number < len(lines):
        fence = _adoc_fence(lines[number])
        end = closers.get(number, number) if fence else number
        if fence and end > number:
            is_table = fence.endswith("===")
            blocks.append(Block("table" if is_table else "code", number + 1, end + 1))
            if is_table and (names := asciidoc_columns(lines, number, end)):
                told.append(replace(names, text=one_line(names.text)))
        elif found := _ADOC_HEADING.fullmatch(lines[number].rstrip()):
            title = re.sub(r"\s+=+$", "", found[2])
            headings.append(Heading(one_line(title), len(found[1]), number + 1, number + 1))
        number = end + 1
    return Outline(tuple(headings), tuple(blocks), told=tuple(told))


def _adoc_fence(line: str) -> str:
    found = _ADOC_FENCE.fullmatch(line)
    return next(group for group in found.groups() if group) if found else ""


def _closing_lines(lines: Sequence[str], start: int) -> dict[int, int]:
    """For each delimiter line the next one that is the same: where its block ends, if it is a beginning."""
    following: dict[str, int] = {}
    closers: dict[int, int] = {}
    for number in range(len(lines) - 1, start - 1, -1):
        if not (fence := _adoc_fence(lines[number])):
            continue
        if fence in following:
            closers[number] = following[fence]
        # "```python" opens a block and never closes one.
        if lines[number].rstrip() == fence:
            following[fence] = number
    return closers
