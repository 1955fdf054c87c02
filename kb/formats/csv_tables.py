"""Reads the rows of CSV and TSV files, and the header row, which is the context of the others."""

from __future__ import annotations

import csv
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from kb.formats.markup import Outline, one_line
from kb.records import Block, Heading, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DELIMITERS: Final = ",;\t|"
# The first line in which Excel keeps the delimiter.
_SAID: Final = re.compile(r"\ufeff?\"?sep=([,;\t|])\"?\s*", re.IGNORECASE)
_SAMPLE: Final = 20
_LONGEST_FIELD: Final = 10_000_000


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
    if not rows:
        return Outline()
    blocks = tuple(Block("table", first_line + low, first_line + high) for _, low, high, _ in rows)
    places = tuple(
        Place(block.first_line, row=row - bool(said), soft=block is not blocks[0])
        for (row, *_), block in zip(rows, blocks, strict=True)
    )
    names = rows[0][-1]
    # A first row with numbers is not a header, so there is no context.
    named = len(names) > 1 and len(rows) > 1 and not any(_is_number(name) for name in names)
    headings = (
        (Heading(one_line(", ".join(filter(None, names))), 1, blocks[0].first_line, blocks[0].last_line),)
        if named
        else ()
    )
    return Outline(headings=headings, blocks=blocks, places=places)


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


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, int, int, list[str]]]:
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
