"""What holds for lines and stands above them, line by line: the columns of a table, the items above an item."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kb.read.markup import one_line
from kb.records import Told

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

# A star at the beginning of a line is a heading in Org.
_ITEM: Final = re.compile(r"(\s*)(?:[-+]|(?<=\s)\*|\d{1,9}[.)])\s+(?:\[[ xX-]\]\s+)?(\S.*)")
_RULE: Final = re.compile(r"\s*\|[-+:|\s]*-[-+:|\s]*")


def told_in(lines: Sequence[str], start: int, code: Container[int]) -> list[Told]:
    """What is told of lines.

    Args:
        lines: All lines of a text.
        start: The line to begin with, from 0.
        code: The numbers of the lines, from 0, in which nothing is markup.
    """
    found = [*_tables(lines, start, code), *_items(lines, start, code)]
    return sorted(found, key=lambda one: (one.first_line, -one.last_line))


def _tables(lines: Sequence[str], start: int, code: Container[int]) -> Iterator[Told]:
    """The first row of a table that has a rule below it, for the rows after that."""
    number = start
    while number < len(lines):
        last = number
        while last < len(lines) and last not in code and lines[last].lstrip().startswith("|"):
            last += 1
        if last - number > 2 and _RULE.fullmatch(lines[number + 1]):  # noqa: PLR2004  (names, rule and a row)
            yield Told(number + 3, last, one_line(lines[number]))
        number = max(last, number + 1)


def _items(lines: Sequence[str], start: int, code: Container[int]) -> Iterator[Told]:
    """The first line of an item, for the lines below that are indented deeper."""
    open_: list[tuple[int, int, str]] = []
    last = start - 1
    for number in range(start, len(lines) + 1):
        line = lines[number] if number < len(lines) else "."
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip()) if number < len(lines) else 0
        while open_ and open_[-1][0] >= indent:
            _, begun, text = open_.pop()
            if last > begun:
                yield Told(begun + 2, last + 1, text)
        if number < len(lines) and number not in code and (item := _ITEM.fullmatch(line)):
            open_.append((len(item[1]), number, one_line(item[2])))
        last = number
