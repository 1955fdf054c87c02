"""Reads the rows of CSV and TSV files and of tables in plain text, and the header row, the context of the others."""

from __future__ import annotations

import csv
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from kb.formats.markup import Outline, one_line, parse_text
from kb.records import Block, Heading, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DELIMITERS: Final = ",;\t|"
# The first line in which Excel keeps the delimiter.
_SAID: Final = re.compile(r"\ufeff?\"?sep=([,;\t|])\"?\s*", re.IGNORECASE)
_SAMPLE: Final = 20
_LONGEST_FIELD: Final = 10_000_000
# Of a table in plain text: the least columns and rows below the first one, and the least share of rows as long as it.
_LEAST_COLUMNS: Final = 3
_LEAST_ROWS: Final = 2
_ALIKE: Final = 0.9
# The number of a row, its first and last line, and its values.
_Row = tuple[int, int, int, list[str]]


def parse_csv(text: str, first_line: int = 1) -> Outline:
    """Read the rows of a table, numbered as in a spreadsheet; quoted values may span lines.

    A first line that names the delimiter, as Excel writes it, is no row.

    Args:
        text: The whole text of the file.
        first_line: The line on which the table begins.
    """
    lines = text.split("\n")[first_line - 1 :]
    said = _SAID.fullmatch(lines[0]) if lines else None
    if said:
        lines[0] = ""  # the names of the columns follow it
    rows = list(_rows(lines, said[1] if said else _delimiter(lines)))
    return _outline(rows, first_line, without=bool(said))


def parse_plain(text: str, first_line: int = 1) -> Outline:
    """Read a plain text: the rows of a table, if programs wrote one with tabs, else its lists.

    Args:
        text: The whole text of the file.
        first_line: The line on which the text begins.
    """
    if "\t" in text:
        rows = list(_rows(text.split("\n")[first_line - 1 :], "\t"))
        if _are_table(rows):
            return _outline(rows, first_line)
    return parse_text(text, first_line)


def _outline(rows: Sequence[_Row], first_line: int, *, without: bool = False) -> Outline:
    """Return the outline of rows, whose numbers count the first line unless it is ``without`` a row."""
    blocks = tuple(Block("table", first_line + low, first_line + high) for _, low, high, _ in rows)
    places = tuple(
        Place(block.first_line, row=row - without, soft=block is not blocks[0])
        for (row, *_), block in zip(rows, blocks, strict=True)
    )
    at = _header(rows)
    names = rows[at][-1] if rows else []
    # A first row with numbers is not a header, so there is no context.
    named = len(names) > 1 and len(rows) > at + 1 and not any(_is_number(name) for name in names)
    headings = (
        (Heading(one_line(", ".join(filter(None, names))), 1, blocks[at].first_line, blocks[at].last_line),)
        if named
        else ()
    )
    return Outline(headings=headings, blocks=blocks, places=places)


def _header(rows: Sequence[_Row]) -> int:
    """Return the position of the row with the names of the columns: the first that is not mostly empty.

    What stands above it, a title or facts on the table, fills few of the columns.
    """
    counts = Counter(len(values) for *_, values in rows[:_SAMPLE])
    usual = counts.most_common(1)[0][0] if counts else 0
    filled = (sum(map(bool, values)) for *_, values in rows[:_SAMPLE])
    return next((at for at, count in enumerate(filled) if count > max(1, usual / 2)), 0)


def _are_table(rows: Sequence[_Row]) -> bool:
    """Whether rows divided by tabs are a table: of the same columns, one of which has digits below its name only."""
    at = _header(rows)
    below = [values for *_, values in rows[at + 1 :]]
    names = rows[at][-1] if rows else []
    alike = sum(len(values) == len(names) for values in below)
    if len(names) < _LEAST_COLUMNS or len(below) < _LEAST_ROWS or alike < _ALIKE * len(below):
        return False
    return any(
        name
        and not _has_digit(name)
        and sum(_has_digit("".join(one[column : column + 1])) for one in below) > alike / 2
        for column, name in enumerate(names)
    )


def _has_digit(text: str) -> bool:
    return any(sign.isdigit() for sign in text)


def _delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that divides the first lines most consistently, and into the most values."""
    sample = [line for line in lines[:_SAMPLE] if line.strip()]
    best, score = ",", (0, 0)
    for delimiter in _DELIMITERS:
        counts = Counter(count for line in sample if (count := line.count(delimiter)))
        if counts:
            columns, often = counts.most_common(1)[0]
            if (often, columns) > score:
                best, score = delimiter, (often, columns)
    return best


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[_Row]:
    """Yield each row with values: its number from 1, its first and last line from 0, and its values.

    Empty rows are counted, as in a spreadsheet. Reading ends at the first error.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    begun = 0
    try:
        for number, values in enumerate(reader, 1):
            if any(value.strip() for value in values):
                yield number, begun, reader.line_num - 1, [value.strip() for value in values]
            begun = reader.line_num
    except csv.Error:
        return


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace(",", "", 1).lstrip("+-").isdigit()
