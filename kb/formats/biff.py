"""Reads of an old Excel workbook (``.xls``) what calamine leaves out: how numbers are displayed, comments and shapes.

The records are those of Excel 97 to 2003 ([MS-XLS] 2.4); of older ones nothing is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import error, unpack_from
from typing import TYPE_CHECKING, Final

from kb.formats.builder import line
from kb.formats.far_rows import BEGIN, END, places_of_stream, records
from kb.formats.workbook import BUILT_IN, comment_on, letters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VERSION: Final = 0x0600
_SHEET_LIST, _FORMAT, _STYLE = 0x0085, 0x041E, 0x00E0
# Cells with a number: one, packed, several packed, the result of a formula.
_SEVERAL: Final = 0x00BD
_NUMBERS: Final = frozenset({0x0203, 0x027E, _SEVERAL, 0x0006})
_NOTE, _OBJECT, _TEXT, _CONTINUED = 0x001C, 0x005D, 0x01B6, 0x003C
_PACKED_SIZE: Final = 6


@dataclass(frozen=True, slots=True)
class Besides:
    """What is beside the values of a sheet.

    Attributes:
        formats: The number formats of cells by row and column, both counting from 1; without those of General.
        comments: The comments on its cells, by row.
        around: The texts of its shapes.
    """

    formats: dict[tuple[int, int], str] = field(default_factory=dict)
    comments: dict[int, list[str]] = field(default_factory=dict)
    around: list[str] = field(default_factory=list)


def besides(data: bytes) -> list[Besides]:
    """Return what is beside the values of each sheet of a workbook, in order.

    Nothing if it is not one of Excel 97 to 2003, or is damaged, which its parser reports.
    """
    try:
        stream = b"".join(data[start:end] for start, end in places_of_stream(data))
        if len(stream) < 6 or unpack_from("<H", stream, 4)[0] != _VERSION:  # noqa: PLR2004 - begins with the version
            return []
        formats = dict(BUILT_IN)
        styles: list[str] = []
        starts: list[int] = []
        for kind, at, _ in records(stream, 0):
            if kind == _FORMAT:
                formats[unpack_from("<H", stream, at)[0]] = _string(stream, at + 2)
            elif kind == _STYLE:
                styles.append(formats.get(unpack_from("<H", stream, at + 2)[0], ""))
            elif kind == _SHEET_LIST:
                starts.append(unpack_from("<I", stream, at)[0])
        return [_of_sheet(stream, start, dict(enumerate(styles))) for start in starts]
    except (error, IndexError, ValueError):
        return []


def _of_sheet(stream: bytes, start: int, styles: Mapping[int, str]) -> Besides:
    found = Besides()
    texts: dict[int, str] = {}
    notes: list[tuple[int, int, int, str]] = []
    shape = depth = 0
    parts = list(records(stream, start))
    for number, (kind, at, size) in enumerate(parts):
        depth += (kind == BEGIN) - (kind == END)
        if depth > 1:
            continue  # a chart on the sheet has numbers of its own
        if kind in _NUMBERS:
            found.formats.update(_formats(stream, at, size if kind == _SEVERAL else 0, styles))
        elif kind == _OBJECT:
            shape = unpack_from("<H", stream, at + 6)[0]
        elif kind == _TEXT:
            texts[shape] = line(_text(stream, unpack_from("<H", stream, at + 10)[0], parts, number + 1))
        elif kind == _NOTE:
            row, column, _, of = unpack_from("<HHHH", stream, at)
            notes.append((row + 1, column + 1, of, _string(stream, at + 8)))
    for row, column, of, author in notes:
        if text := texts.pop(of, ""):
            found.comments.setdefault(row, []).append(comment_on(f"{letters(column)}{row}", author, text)[1])
    found.around.extend(dict.fromkeys(filter(None, texts.values())))
    return found


def _formats(stream: bytes, at: int, size: int, styles: Mapping[int, str]) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield the row, column and format of a cell with a number, or of each in a record of a size."""
    row, column = unpack_from("<HH", stream, at)
    for more in range(max(1, size // _PACKED_SIZE - 1)):
        if code := styles.get(unpack_from("<H", stream, at + 4 + _PACKED_SIZE * more)[0]):
            yield (row + 1, column + more + 1), code


def _string(stream: bytes, at: int) -> str:
    """Return the string at a place, with its length before it."""
    count, wide = unpack_from("<HB", stream, at)
    return _characters(stream[at + 3 : at + 3 + count * (1 + wide % 2)], wide)


def _text(stream: bytes, count: int, parts: Sequence[tuple[int, int, int]], number: int) -> str:
    """Return the text of a shape, which is in the records that continue the one of its length, from a number on."""
    text = ""
    while number < len(parts) and parts[number][0] == _CONTINUED and len(text) < count:
        _, at, size = parts[number]
        text += _characters(stream[at + 1 : at + size], stream[at])
        number += 1
    return text[:count]


def _characters(data: bytes, flags: int) -> str:
    """Decode characters, which have one byte each or two, as the lowest flag says."""
    return data.decode("utf-16-le" if flags % 2 else "latin-1", "replace")
