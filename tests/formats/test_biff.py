"""Numbers of old Excel workbooks are read as displayed, with comments and the texts of shapes."""

from __future__ import annotations

import struct

import pytest
from growth import is_linear
from test_far_rows import extracted, needs_calamine, part, record, workbook

from kb.formats.biff import Besides, besides


def string(text: str, *, wide: bool = False) -> bytes:
    """A string with its length; of one byte a letter or two."""
    return struct.pack("<HB", len(text), wide) + text.encode("utf-16-le" if wide else "latin-1")


def shape(number: int, *texts: str, wide: bool = False) -> bytes:
    """A shape with a text, which several records may hold."""
    length = sum(map(len, texts))
    said = b"".join(
        record(0x003C, bytes([wide]) + one.encode("utf-16-le" if wide else "latin-1")) for one in texts
    ) + record(0x003C, bytes(16))
    begun = record(0x005D, struct.pack("<HHHHH", 0x15, 0x12, 0x19, number, 0).ljust(26, b"\0"))
    return begun + record(0x01B6, struct.pack("<HHHIHHI", 0, 0, 0, 0, length, 16, 0)) + said


def note(row: int, column: int, number: int, author: str) -> bytes:
    """A comment, whose text is in a shape."""
    return record(0x001C, struct.pack("<HHHH", row, column, 0, number) + string(author) + b"\0")


def number(row: int, column: int, style: int, value: float) -> bytes:
    """A cell with a number."""
    return record(0x0203, struct.pack("<HHHd", row, column, style, value))


def packed(value: int) -> int:
    """A whole number in four bytes."""
    return value << 2 | 2


def text(row: int, column: int, said: str) -> bytes:
    """A cell with a text."""
    return record(0x0204, struct.pack("<HHH", row, column, 0) + string(said))


def stream(*cells: bytes) -> bytes:
    """A workbook with formats and one sheet: style 1 is a postcode, 2 a share, 3 a price."""
    formats = record(0x041E, struct.pack("<H", 164) + string("00000")) + record(
        0x041E, struct.pack("<H", 165) + string('0.00\\ "€"', wide=True)
    )
    styles = b"".join(record(0x00E0, struct.pack("<HHH", 0, one, 0).ljust(20, b"\0")) for one in (0, 164, 9, 165))
    listed = record(0x0085, struct.pack("<IHBB", 0, 0, 4, 0) + b"Post")
    at = len(part(0x0005, formats, styles, listed))
    listed = record(0x0085, struct.pack("<IHBB", at, 0, 4, 0) + b"Post")
    last = 40_000 if any(one[4:6] == struct.pack("<H", 40_000) for one in cells) else 9
    extent = record(0x0200, struct.pack("<IIHHH", 0, last + 1, 0, 256, 0))
    return part(0x0005, formats, styles, listed) + part(0x0010, extent, *cells)


HEADER = (text(0, 0, "Town"), text(0, 1, "Code"), text(0, 2, "Rate"), text(0, 3, "Price"))


@needs_calamine
@pytest.mark.parametrize("row", [1, 40_000])
def test_numbers_as_displayed(row: int) -> None:
    """In cells of each kind; those of a chart on the sheet are its own; far rows keep their formats."""
    several = record(
        0x00BD, struct.pack("<HH", 2, 1) + struct.pack("<HIHI", 1, packed(1099), 2, packed(1)) + struct.pack("<H", 2)
    )
    chart = part(0x0020, number(row, 1, 2, 5))
    formula = record(0x0006, struct.pack("<HHHdHIH", row, 3, 3, 4.5, 0, 0, 0))
    cells = (
        *HEADER,
        several,
        text(row, 0, "Dresden"),
        number(row, 1, 1, 1067),
        number(row, 2, 2, 0.19),
        formula,
        chart,
    )

    found = extracted(workbook(stream(*cells)))

    assert "Code: 01099 | Rate: 100%" in found.text
    assert "Town: Dresden | Code: 01067 | Rate: 19% | Price: 4.50 €" in found.text
    assert row + 1 in {place[2] for place in found.places}


@needs_calamine
def test_comments_and_shapes() -> None:
    """A comment stands below its row, with its author unless its text names him; other shapes below the sheet."""
    data = stream(
        *HEADER,
        text(1, 0, "Dresden"),
        shape(1, "Ana:\nAsk the ", "post office"),
        shape(2, "Größe in ", "Łódź", wide=True),
        shape(3, "Only until May"),
        note(1, 0, 1, "Ana"),
        note(4, 1, 2, "Ben"),
        note(5, 0, 9, "Nobody"),
    )

    said = [line for line in extracted(workbook(data)).text.split("\n") if line]

    assert said[-4:] == [
        "Town: Dresden",
        "Comment A2: Ana: Ask the post office",
        "Comment B5: Ben: Größe in Łódź",
        "Only until May",
    ]


def test_many_comments_take_linear_time() -> None:
    """A sheet may have as many as it has rows."""

    def commented(count: int) -> bytes:
        shapes = (shape(at, "a") for at in range(count))
        return workbook(stream(*shapes, *(note(at, 0, at, "b") for at in range(count))))

    assert len(besides(commented(4_800))[0].comments) == 4_800
    assert is_linear(besides, commented, 4_800)


def test_other_files_have_nothing_beside() -> None:
    """Files that are none, older or damaged; those cut off anywhere give what is whole, or nothing."""
    whole = stream(*HEADER, number(1, 1, 1, 1067), shape(1, "a"), note(1, 1, 1, "b"))
    older = whole[:4] + struct.pack("<H", 0x0500) + whole[6:]
    for data in (b"", b"PK\3\4", b"\xd0\xcf\x11\xe0", workbook(older)):
        assert besides(data) == []
    assert besides(workbook(whole)) == [Besides({(2, 2): "00000"}, {2: ["Comment B2: b: a"]}, [])]
    for end in range(len(whole)):
        besides(workbook(whole[:end]))
