"""Pages of several columns: read column by column, however they are stored; tables are read row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kb.formats.builder import TextBuilder
from kb.formats.pdf import extract
from kb.formats.registry import installed
from kb.sandbox.protocol import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.skipif(not installed("pypdfium2"), reason="the extra 'documents' is not installed")

LEFT = [
    "The ferry leaves the island",
    "every morning at seven, and",
    "on Sundays an hour later. It",
    "takes bicycles for free, and",
    "dogs travel under the benches",
    "of the lower deck.",
]
RIGHT = [
    "Lighthouse keepers lived here",
    "until the lamp was lit by a",
    "machine. Their garden is kept",
    "by the school: beans, kale and",
    "one old pear tree stand in the",
    "shelter of its wall.",
]


def placed(*texts: tuple[float, float, str]) -> bytes:
    """A page with texts at places, stored in this order."""
    stream = "\n".join(f"BT /F1 11 Tf {x} {y} Td ({text}) Tj ET" for x, y, text in texts)
    fonts = "/Resources << /Font << /F1 3 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R {fonts} >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
    ]
    body = "".join(f"{number} 0 obj\n{content}\nendobj\n" for number, content in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer << /Size 6 /Root 1 0 R >>\n%%EOF\n".encode("latin-1")


def rows(left: Sequence[str], right: Sequence[str], x: float = 320, y: float = 700) -> list[tuple[float, float, str]]:
    """Texts in two columns, stored row by row."""
    both = []
    for at in range(max(len(left), len(right))):
        both += [(60.0, y - 14 * at, left[at])] if at < len(left) else []
        both += [(x, y - 14 * at, right[at])] if at < len(right) else []
    return both


def text(data: bytes) -> str:
    """What comes out of a PDF, without blank lines."""
    builder = TextBuilder(1_000_000)
    extract("x.pdf", data, builder, Limits())
    return "\n".join(filter(None, builder.build().text.split("\n")))


def test_columns_stored_by_row_are_read_by_column() -> None:
    """The left one whole, then the right one."""
    assert text(placed(*rows(LEFT, RIGHT))) == "\n".join((*LEFT, *RIGHT))


def test_columns_of_different_length() -> None:
    """The end of the longer one belongs to it, whichever it is."""
    assert text(placed(*rows(LEFT, RIGHT[:4]))) == "\n".join((*LEFT, *RIGHT[:4]))
    assert text(placed(*rows(LEFT[:4], RIGHT))) == "\n".join((*LEFT[:4], *RIGHT))


def test_line_across_columns_divides_them() -> None:
    """A heading between two stretches of columns ends the first one."""
    across = "A heading that goes on across the whole width of the page, beyond the gap"
    page = [*rows(LEFT, RIGHT), (60.0, 600.0, across), *rows(RIGHT, LEFT, y=580)]

    assert text(placed((60.0, 730.0, across), *page)) == "\n".join((across, *LEFT, *RIGHT, across, *RIGHT, *LEFT))


def test_words_divided_in_column_are_joined() -> None:
    """A hyphen at the end of a line joins the next one of the same column."""
    left = ["The ferry leaves the ill-omened", "island every morn-", *LEFT[1:]]
    right = [*RIGHT[:3], "by the school with straw-", "berries, kale and a pear tree", *RIGHT[4:]]
    left[2] = "ing at seven o'clock, and then"
    found = text(placed(*rows(left, right)))

    assert "morning" in found
    assert "strawberries" in found
    assert found.index("benches") < found.index("Lighthouse")


def test_columns_stored_by_column_are_unchanged() -> None:
    """As most programs store them."""
    both = rows(LEFT, RIGHT)

    assert text(placed(*both[::2], *both[1::2])) == "\n".join((*LEFT, *RIGHT))


def test_two_column_table_is_read_by_row() -> None:
    """Names with values, and names with longer texts, are no columns of running text."""
    names = ["Washer", "Bolt", "Nut", "Spring", "Rivet", "Hook"]
    prices = ["3.20", "4.00", "1.15", "9.99", "0.50", "7.75"]

    assert text(placed(*rows(names, prices))).split("\n")[1] == "Bolt 4.00"
    assert text(placed(*rows(names, RIGHT))).split("\n")[1] == f"Bolt {RIGHT[1]}"


def test_wide_table_is_read_by_row() -> None:
    """More gaps than one in a line are those of a table, whatever its cells say."""
    columns = [
        [(60.0 + 170 * side, 700.0 - 14 * at, f"{word} of the old mill") for at in range(8)]
        for side, word in enumerate(("Door", "Roof", "Wall"))
    ]
    page = [one for row in zip(*columns, strict=True) for one in row]

    assert text(placed(*page)).split("\n") == ["Door of the old mill Roof of the old mill Wall of the old mill"] * 8


MIDDLE = [
    "The miller of the island",
    "kept a heron in his yard",
    "and fed it with roach from",
    "the pond until spring came",
    "back and the ice melted on",
    "the weir.",
]


def many(*columns: Sequence[str], across: float = 170) -> list[tuple[float, float, str]]:
    """Texts in columns of the same width, stored row by row."""
    placed_texts = []
    for at in range(max(map(len, columns))):
        placed_texts += [
            (60.0 + across * side, 700.0 - 14 * at, column[at])
            for side, column in enumerate(columns)
            if at < len(column)
        ]
    return placed_texts


def test_three_columns_are_read_by_column() -> None:
    """However many there are; the last one is often shorter."""
    assert text(placed(*many(LEFT, MIDDLE, RIGHT))) == "\n".join((*LEFT, *MIDDLE, *RIGHT))
    assert text(placed(*many(LEFT, MIDDLE, RIGHT[:4]))) == "\n".join((*LEFT, *MIDDLE, *RIGHT[:4]))


def test_columns_of_different_width() -> None:
    """A narrow one beside the text of an article."""
    wide = [f"{one} {other.lower()}" for one, other in zip(LEFT, MIDDLE, strict=True)]
    narrow = [
        "Ask at the inn for a",
        "key of the old boat",
        "house; it is open by",
        "day until the first",
        "frost of November or",
        "the first ice.",
    ]

    assert text(placed(*rows(wide, narrow, x=400))) == "\n".join((*wide, *narrow))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([f"Question {at} about the mill" for at in range(8)], [f"It was answered by keeper {at}" for at in range(8)]),
        ([f"washer number {at} of steel" for at in range(8)], [f"supplier {at} of the old town" for at in range(8)]),
    ],
)
def test_tables_of_sentences_are_read_by_row(left: Sequence[str], right: Sequence[str]) -> None:
    """Cells that begin alike, or each with a capital, are no running text."""
    assert text(placed(*rows(left, right))).split("\n")[3] == f"{left[3]} {right[3]}"
