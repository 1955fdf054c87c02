"""OpenDocument spreadsheets: filled cells at their places, however far apart, as they are displayed."""

from __future__ import annotations

import time

import made_documents as made
import pytest

from kb.formats import sheet
from kb.formats.builder import TextBuilder, Unreadable
from kb.formats.registry import installed
from kb.sandbox.protocol import Extracted, Limits

pytestmark = pytest.mark.skipif(not installed("python_calamine"), reason="the extra 'documents' is not installed")


def cell(text: str = "", more: str = "") -> str:
    """A cell with a text as it is displayed."""
    return f"<table:table-cell {more}>{f'<text:p>{text}</text:p>' if text else ''}</table:table-cell>"


def row(*cells: str, repeated: int = 1) -> str:
    """A row, which may stand for many."""
    return f'<table:table-row table:number-rows-repeated="{repeated}">{"".join(cells)}</table:table-row>'


def table(*rows: str, name: str = "Bees") -> str:
    """A sheet."""
    return f'<table:table table:name="{name}">{"".join(rows)}</table:table>'


def extracted(*tables: str) -> Extracted:
    """What comes out of a spreadsheet."""
    builder = TextBuilder(1_000_000)
    sheet.extract("x.ods", made.opendocument("spreadsheet", "".join(tables)), builder, Limits())
    return builder.build()


def gap(count: int) -> str:
    """Cells without a value."""
    return f'<table:table-cell table:number-columns-repeated="{count}"/>'


def test_distant_cells_are_read_quickly() -> None:
    """Three of them in the corners of the largest sheet."""
    begun = time.process_time()
    found = extracted(
        table(
            row(cell("queen"), gap(16_382), cell("drone")),
            row(gap(16_384), repeated=1_048_574),
            row(gap(16_383), cell("worker")),
            name="Hive",
        )
    )

    assert found.text == "Hive\n\nqueen | drone\ndrone: worker\n"
    assert [(place[1], place[2]) for place in found.places] == [("Hive", 0), ("Hive", 1), ("Hive", 1_048_576)]
    assert time.process_time() - begun < 2.0


def test_values_are_displayed_with_column_names() -> None:
    """A number keeps its unit, zeros in front and spaces that the format writes as elements."""
    price = cell("1,234.50 CHF", 'office:value-type="float" office:value="1234.5"')
    found = extracted(
        table(
            row(cell("Hive"), cell("Post code"), cell("Price")),
            row(cell("No.<text:s/>1"), cell("01067"), price),
            row(cell("No.<text:s/>2"), cell("01069"), gap(1)),
        )
    )

    assert found.text.split("\n")[2:5] == [
        "Hive | Post code | Price",
        "Hive: No. 1 | Post code: 01067 | Price: 1,234.50 CHF",
        "Hive: No. 2 | Post code: 01069",
    ]


def test_merged_cells_and_comments() -> None:
    """A merged cell is said in each row that says something; a comment follows its row."""
    note = (
        "<office:annotation><dc:creator>Ana</dc:creator><text:p>ask Bo</text:p></office:annotation><text:p>3</text:p>"
    )
    found = extracted(
        table(
            row(cell("Meadow"), cell("Hives")),
            row(cell("South", 'table:number-rows-spanned="3"'), f"<table:table-cell>{note}</table:table-cell>"),
            row("<table:covered-table-cell/>", cell("5")),
            row("<table:covered-table-cell/>", gap(1)),
            row(cell("North"), cell("7")),
        )
    )

    assert found.text.split("\n")[2:7] == [
        "Meadow | Hives",
        "Meadow: South | Hives: 3",
        "Comment B2: Ana: ask Bo",
        "Meadow: South | Hives: 5",
        "Meadow: North | Hives: 7",
    ]


def test_repeated_cells_are_limited() -> None:
    """A column or a row of one value is said a thousand times at most, and what is below has its own number."""
    many = cell("full", 'table:number-columns-repeated="16384"')
    found = extracted(table(row(many), row(cell("honey"), repeated=1_048_000), row(cell("last"))))

    assert found.text.count("full") == found.text.count("honey") == 1_000
    assert found.places[-1][2] == 1_048_002


def test_hidden_sheets_and_tables_in_drawings_are_skipped() -> None:
    """Only what is seen, in the order of the sheets."""
    hidden = (
        '<style:style xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" style:name="ta2" '
        'style:family="table"><style:table-properties table:display="false"/></style:style>'
    )
    secret = table(row(cell("secret")), name="Secret").replace("<table:table ", '<table:table table:style-name="ta2" ')
    drawn = f"<table:shapes><draw:frame>{table(row(cell('drawn')), name='In')}</draw:frame></table:shapes>"
    first = table(row(cell("bees")), name="A").replace("</table:table>", f"{drawn}</table:table>")

    assert extracted(hidden, first, secret, table(row(cell("wasps")), name="B")).text == "A\n\nbees\n\nB\n\nwasps\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (made.zipped({"mimetype": "x"}), "no OpenDocument spreadsheet"),
        (made.zipped({"content.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}), "declares entities"),
        (b"PK\x03\x04 and no more", "is damaged"),
    ],
)
def test_file_that_is_not_spreadsheet_is_refused(data: bytes, reason: str) -> None:
    """Damage is one sentence."""
    with pytest.raises(Unreadable, match=reason):
        sheet.extract("x.ods", data, TextBuilder(1_000_000), Limits())
