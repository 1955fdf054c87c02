"""Brings the rows of an old Excel workbook (``.xls``) together where they are far apart.

calamine lays out a sheet as a rectangle, so three cells in the corners of a sheet take a gigabyte. Before it reads such
a workbook, the numbers of the rows are replaced by consecutive ones in its stream of records ([MS-XLS] 2.1.4).
"""

from __future__ import annotations

from itertools import chain
from struct import Struct, error, pack_into, unpack_from
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Of the header and the directory of a compound file ([MS-CFB] 2.2, 2.6).
_SECTOR_SIZE, _DIRECTORY, _LONG_TABLE, _TABLE = 30, 48, 68, 76
_ENTRY, _NAME_SIZE, _FIRST, _SIZE = 128, 64, 116, 120
_LAST: Final = 0xFFFFFFFA
_LEAST: Final = 4096
_NUMBER: Final = Struct("<I")
# Records: the begin and end of a part, an entry of the list of sheets, the extent of a sheet, merged cells, and what
# fills a cell.
BEGIN: Final = 0x0809
END: Final = 0x000A
_SHEET_LIST, _EXTENT, _MERGED = 0x0085, 0x0200, 0x00E5
_CELLS: Final = frozenset({0x0006, 0x0206, 0x0406, 0x0203, 0x0204, 0x0205, 0x00D6, 0x00FD, 0x027E, 0x00BD})
# Rows that are empty do not matter up to this number, and this share.
_FEW: Final = 1_000
_SPARSE: Final = 4


def brought_together(data: bytes) -> tuple[bytes, dict[int, Sequence[int]]]:
    """Return a workbook whose rows are consecutive where most were empty.

    Returns:
        The bytes, and for each sheet whose rows were renumbered, by its position, the old numbers, from 0. Unchanged
        and nothing if no sheet is sparse, or the file is not as expected, which its parser reports.
    """
    try:
        places = places_of_stream(data) if data.startswith(_OLE) else []
        stream = bytearray().join(data[start:end] for start, end in places)
        starts = {unpack_from("<I", stream, at)[0]: None for kind, at, _ in records(stream, 0) if kind == _SHEET_LIST}
        old: dict[int, Sequence[int]] = {}
        for number, start in enumerate(starts):
            cells = [(kind, at, size) for kind, at, size in records(stream, start)]
            rows = sorted({unpack_from("<H", stream, at)[0] for kind, at, _ in cells if kind in _CELLS})
            if rows and rows[-1] > _FEW + _SPARSE * len(rows):
                _renumber(stream, cells, {row: at for at, row in enumerate(rows)})
                old[number] = rows
    except (error, IndexError, ValueError):
        return data, {}
    if not old:
        return data, {}
    new, at = bytearray(data), 0
    for start, end in places:
        new[start:end] = stream[at : at + end - start]
        at += end - start
    return bytes(new), old


def _renumber(stream: bytearray, records: Sequence[tuple[int, int, int]], new: Mapping[int, int]) -> None:
    """Replace the numbers of the rows of a sheet."""
    for kind, at, size in records:
        if kind in _CELLS:
            pack_into("<H", stream, at, new[unpack_from("<H", stream, at)[0]])
        elif kind == _EXTENT:
            pack_into("<II" if size > 10 else "<HH", stream, at, 0, len(new))  # noqa: PLR2004 - of Excel before 97
        elif kind == _MERGED:
            for place in range(at + 2, at + size - 7, 8):
                first, last = unpack_from("<HH", stream, place)
                # A range is as long as its filled rows; one that begins in an empty row has no value.
                count = sum(first < row <= last for row in new)
                begin = new.get(first)
                pack_into("<HH", stream, place, *((0, 0) if begin is None else (begin, begin + count)))


def records(stream: bytes | bytearray, start: int) -> Iterator[tuple[int, int, int]]:
    """Yield the records from a place up to the end of their part: kind, offset and size of the content."""
    at, depth = start, 0
    while at + 4 <= len(stream):
        kind, size = unpack_from("<HH", stream, at)
        depth += (kind & 0xF0FF == BEGIN & 0xFF) - (kind == END)
        yield kind, at + 4, size
        if not depth:
            return
        at += 4 + size


def places_of_stream(data: bytes) -> list[tuple[int, int]]:
    """Return the ranges of bytes that hold the stream of the workbook, in order; none if it is a small one.

    Raises:
        ValueError: Its sectors go in a circle.
    """
    size = 1 << unpack_from("<H", data, _SECTOR_SIZE)[0]

    def numbers(sector: int) -> list[int]:
        return [one for (one,) in _NUMBER.iter_unpack(data[(sector + 1) * size : (sector + 2) * size])]

    table = list(unpack_from("<109I", data, _TABLE))
    more = _NUMBER.unpack_from(data, _LONG_TABLE)[0]
    seen = set()
    while more < _LAST and more not in seen:
        seen.add(more)
        *part, more = numbers(more)
        table += part
    following = list(chain.from_iterable(numbers(sector) for sector in table if sector < _LAST))

    def sectors(first: int) -> list[int]:
        found: dict[int, None] = {}
        while first < _LAST:
            if first in found:
                raise ValueError("its sectors go in a circle")
            found[first] = None
            first = following[first]
        return list(found)

    directory = b"".join(
        data[(one + 1) * size : (one + 2) * size] for one in sectors(unpack_from("<I", data, _DIRECTORY)[0])
    )
    for at in range(0, len(directory) - _ENTRY + 1, _ENTRY):
        name = directory[at : at + unpack_from("<H", directory, at + _NAME_SIZE)[0]].decode("utf-16-le", "replace")
        first, length = unpack_from("<II", directory, at + _FIRST)
        if name.rstrip("\0") in {"Workbook", "Book"} and length >= _LEAST:
            return [((one + 1) * size, min((one + 2) * size, len(data))) for one in sectors(first)]
    return []
