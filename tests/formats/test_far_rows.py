"""Old Excel workbooks with cells far apart are read in little memory, each cell at its row."""

from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from kb.formats import sheet
from kb.formats.builder import TextBuilder
from kb.formats.far_rows import brought_together
from kb.formats.registry import installed
from kb.sandbox.protocol import Extracted, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

needs_calamine = pytest.mark.skipif(not installed("python_calamine"), reason="the extra 'documents' is not installed")
_SECTOR = 512
_END_OF_CHAIN, _OF_TABLE, _FREE = 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF


def record(kind: int, content: bytes) -> bytes:
    """A record of a workbook."""
    return struct.pack("<HH", kind, len(content)) + content


def part(kind: int, *records: bytes) -> bytes:
    """A part of a workbook: the list of its sheets, or a sheet."""
    begin = record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0, 1997, 0, 0x0600))
    return begin + b"".join(records) + record(0x000A, b"")


def stream_of(
    sheets: Mapping[str, Mapping[tuple[int, int], str]], merged: Sequence[tuple[int, int, int, int]]
) -> bytes:
    """The records of a workbook; ``merged`` are ranges of the first sheet."""
    parts = []
    for number, cells in enumerate(sheets.values()):
        said = [
            record(0x0204, struct.pack("<HHHHB", row, column, 0, len(text), 0) + text.encode("latin-1"))
            for (row, column), text in sorted(cells.items())
        ]
        last = max((row for row, _ in cells), default=0)
        extent = record(0x0200, struct.pack("<IIHHH", 0, last + 1, 0, 256, 0))
        ranges = record(0x00E5, struct.pack("<H", len(merged)) + b"".join(struct.pack("<HHHH", *one) for one in merged))
        parts.append(part(0x0010, extent, *said, *([ranges] if merged and not number else [])))
    names = [name.encode("latin-1") for name in sheets]
    entries = sum(4 + 8 + len(name) for name in names)
    at = len(part(0x0005)) + entries
    listed = []
    for name, own in zip(names, parts, strict=True):
        listed.append(record(0x0085, struct.pack("<IHBB", at, 0, len(name), 0) + name))
        at += len(own)
    return part(0x0005, *listed) + b"".join(parts)


def workbook(stream: bytes, *, turned: bool = False) -> bytes:
    """A compound file with a workbook, whose sectors may be stored from the last one to the first."""
    stream = stream.ljust(max(len(stream), 4096), b"\0")
    count = -(-len(stream) // _SECTOR)
    stream = stream.ljust(count * _SECTOR, b"\0")
    order = list(range(count))[:: -1 if turned else 1]
    tables = -(-(count + 2) // 126)
    following = [_FREE] * (tables * _SECTOR // 4)
    for at, after in zip(order, [*order[1:], None], strict=True):
        following[at] = _END_OF_CHAIN if after is None else after
    following[count] = _END_OF_CHAIN
    for at in range(tables):
        following[count + 1 + at] = _OF_TABLE
    sectors = [b""] * count
    for at, place in enumerate(order):
        sectors[place] = stream[at * _SECTOR : (at + 1) * _SECTOR]
    directory = b""
    for name, kind, child, first, size in (
        ("Root Entry", 5, 1, _END_OF_CHAIN, 0),
        ("Workbook", 2, _FREE, order[0], len(stream)),
    ):
        title = f"{name}\0".encode("utf-16-le")
        entry = title.ljust(64, b"\0") + struct.pack("<HBBIII", len(title), kind, 1, _FREE, _FREE, child)
        directory += entry.ljust(116, b"\0") + struct.pack("<IQ", first, size)
    listed = [count + 1 + at for at in range(tables)] + [_FREE] * (109 - tables)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, tables, count, 0, 4096, _END_OF_CHAIN, 0, _END_OF_CHAIN, 0)
    header += struct.pack("<109I", *listed)
    return header + b"".join(sectors) + directory.ljust(_SECTOR, b"\0") + struct.pack(f"<{len(following)}I", *following)


def extracted(data: bytes) -> Extracted:
    """What comes out of a workbook."""
    builder = TextBuilder(1_000_000)
    sheet.extract("x.xls", data, builder, Limits())
    return builder.build()


FAR = {
    "Far": {(0, 0): "origin", (30_000, 100): "middle", (65_535, 255): "corner"},
    "Near": {(1, 0): "Bird", (1, 1): "Nest", (2, 0): "heron", (2, 1): "tree"},
}


@needs_calamine
@pytest.mark.parametrize("turned", [False, True])
def test_cells_far_apart(turned: bool) -> None:
    """Each at its row; a sheet beside it is as it was."""
    data = workbook(stream_of(FAR, ()), turned=turned)

    tracemalloc.start()
    found = extracted(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [line for line in found.text.split("\n") if line] == [
        "Far", "origin", "middle", "corner", "Near", "Bird | Nest", "Bird: heron | Nest: tree",
    ]  # fmt: skip
    assert [place[2] for place in found.places] == [0, 1, 30_001, 65_536, 0, 2, 3]
    assert most < 10_000_000


@needs_calamine
def test_merged_cells_far_apart() -> None:
    """A merged cell is repeated in the filled rows that it covers; one in an empty row has nothing to repeat."""
    cells = {(5, 0): "north", (5, 1): "7", (40_000, 1): "b", (50_000, 1): "c", (60_000, 1): "d"}
    merged = ((5, 50_000, 0, 0), (55_000, 65_000, 1, 1))

    found = extracted(workbook(stream_of({"Far": cells}, merged))).text

    assert [line for line in found.split("\n") if line] == ["Far", "north | 7", "north | b", "north | c", "d"]


def test_other_files_are_unchanged() -> None:
    """Workbooks whose rows are near, and files that are none or damaged."""
    near = workbook(stream_of({"Near": FAR["Near"]}, ()))
    far = workbook(stream_of(FAR, ()))
    for data in (
        near,
        b"PK\3\4",
        b"",
        far[:600],
        far[:512] + bytes(len(far) - 512),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ):
        assert brought_together(data) == (data, {})


def test_sectors_in_a_circle_are_noticed() -> None:
    """A chain that leads back into itself ends."""
    data = bytearray(workbook(stream_of(FAR, ())))
    table = len(data) - _SECTOR
    data[table : table + 8] = struct.pack("<II", 1, 0)

    assert brought_together(bytes(data)) == (bytes(data), {})
