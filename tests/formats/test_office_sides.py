"""What stands beside the text of office documents: merged cells, comments, headers and footers, formats of numbers."""

# ruff: noqa: E501 - XML in one piece
from __future__ import annotations

import io
import time
import zipfile
from functools import cache
from typing import TYPE_CHECKING, Any

import made_documents as made
import pytest

from kb.formats import sheet
from kb.formats.builder import TextBuilder, Unreadable
from kb.formats.office_xml import mended
from kb.formats.registry import installed
from kb.formats.workbook import displayed
from kb.sandbox.protocol import Extracted, Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def workbook(cells: str, *, more: str = "", comments: str = "", formats: Sequence[str] = ()) -> bytes:
    """A workbook of one sheet with the XML of its rows, and the formats of its styles."""
    own = "".join(f'<numFmt numFmtId="{170 + at}" formatCode="{code}"/>' for at, code in enumerate(formats))
    styles = "".join(f'<xf numFmtId="{170 + at}"/>' for at in range(len(formats)))
    target = f'<Relationship Id="r1" Type="{_RELATION}/comments" Target="../comments1.xml"/>'
    return made.zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" Type="{_RELATION}/officeDocument" '
            'Target="/xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATION}"><sheets><sheet name="Ducks" sheetId="1" '
            'r:id="r1"/><sheet name="Secret" sheetId="2" r:id="r1" state="hidden"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" '
            f'Type="{_RELATION}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" '
            f'Type="{_RELATION}/styles" Target="styles.xml"/></Relationships>',
            "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts>{own}</numFmts><cellXfs><xf numFmtId="0"/>{styles}'
            "</cellXfs></styleSheet>",
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>{cells}</sheetData>{more}</worksheet>',
            "xl/worksheets/_rels/sheet1.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{target}</Relationships>',
            "xl/comments1.xml": f'<comments xmlns="{_MAIN}"><authors><author>Ana</author></authors><commentList>'
            f"{comments}</commentList></comments>",
        }
    )


def test_missing_sheet_is_reported() -> None:
    """The workbook names it, and the container does not hold it; the others are read."""
    data = made.xlsx({"Ducks": {1: ["mallard"]}, "Geese": {1: ["greylag"]}})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if not name.endswith("sheet2.xml")}
    builder = TextBuilder(1_000_000)
    sheet.extract("x.xlsx", made.zipped(kept), builder, Limits())
    found = builder.build()

    assert "mallard" in found.text
    assert found.unread == ['the sheet "Geese" is missing']


def row(number: int, **cells: str) -> str:
    """A row of texts by the letters of their columns."""
    said = "".join(f'<c r="{at}{number}" t="inlineStr"><is><t>{text}</t></is></c>' for at, text in cells.items())
    return f'<row r="{number}">{said}</row>'


def extracted(data: bytes) -> Extracted:
    """What comes out of a workbook."""
    builder = TextBuilder(1_000_000)
    sheet.extract("x.xlsx", data, builder, Limits())
    return builder.build()


@pytest.mark.parametrize(("number", "column"), [(1_048_576, "XFD"), (60_000, "IV"), (3, "XFD"), (900_000, "A")])
def test_cells_far_apart(number: int, column: str) -> None:
    """Three cells cost what three cells cost, wherever they stand."""
    begun = time.thread_time()

    found = extracted(
        workbook(row(1, A="Name", B="Town") + row(2, A="Lena", B="Bonn") + row(number, **{column: "heron"}))
    )

    assert time.thread_time() - begun < 1
    assert [line for line in found.text.split("\n") if line][:3] == ["Ducks", "Name | Town", "Name: Lena | Town: Bonn"]
    assert "heron" in found.text
    assert found.places[-1][2] == number


def test_merged_cells() -> None:
    """The value of a merged cell stands in each row that it covers and says something; its columns are one."""
    cells = row(1, A="Harvest") + row(2, A="Region", B="Fruit") + row(3, A="North", B="Apples")
    cells += row(4, B="Pears") + row(5, B="Figs") + row(6, A="South", B="Olives")
    merged = '<mergeCells><mergeCell ref="A1:B1"/><mergeCell ref="A3:A5"/><mergeCell ref="D1:D1048576"/></mergeCells>'

    found = extracted(workbook(cells, more=merged)).text

    assert found.split("\n")[2:8] == [
        "Harvest",
        "Region | Fruit",
        "Region: North | Fruit: Apples",
        "Region: North | Fruit: Pears",
        "Region: North | Fruit: Figs",
        "Region: South | Fruit: Olives",
    ]


def test_comments_headers_and_footers() -> None:
    """A comment stands at the row of its cell, what is printed around the sheet below it."""
    comment = '<comment ref="A2" authorId="0"><text><r><t>went </t></r><r><t>bankrupt</t></r></text></comment>'
    around = '<headerFooter><oddHeader>&amp;L&amp;"Arial,Bold"&amp;12Ledger of Ana&amp;RPage &amp;P</oddHeader></headerFooter>'

    found = extracted(
        workbook(
            row(1, A="Name", B="Town") + row(2, A="Foundry", B="Bonn") + row(3, A="Mill", B="Ulm"),
            more=around,
            comments=comment,
        )
    ).text

    assert found.split("\n")[2:] == [
        "Name | Town",
        "Name: Foundry | Town: Bonn",
        "Comment A2: Ana: went bankrupt",
        "Name: Mill | Town: Ulm",
        "",
        "Ledger of Ana Page",
        "",
    ]
    assert "Secret" not in found


def test_texts_of_shapes_on_a_sheet() -> None:
    """They stand below the rows, above what is printed around them."""
    drawn = "http://schemas.openxmlformats.org/drawingml/2006"
    words = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in ("Ask the", "miller"))
    with zipfile.ZipFile(io.BytesIO(workbook(row(1, A="Foundry")))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/_rels/sheet1.xml.rels"
    target = f'<Relationship Id="r2" Type="{_RELATION}/drawing" Target="../drawings/drawing1.xml"/></Relationships>'
    files[name] = files[name].replace(b"</Relationships>", target.encode())
    files["xl/drawings/drawing1.xml"] = (
        f'<d:wsDr xmlns:d="{drawn}/spreadsheetDrawing" xmlns:a="{drawn}/main"><d:twoCellAnchor><d:sp><d:txBody>{words}'
        "</d:txBody></d:sp></d:twoCellAnchor></d:wsDr>"
    ).encode()

    assert extracted(made.zipped(files)).text.split("\n")[2:] == ["Foundry", "", "Ask the miller", ""]


@pytest.mark.parametrize(
    ("raw", "code", "said"),
    [
        ("1067", "00000", "01067"),
        ("4000123412341234", "", "4000123412341234"),
        ("1.5E+20", "", "150000000000000000000"),
        ("0.30000000000000004", "", "0.3"),
        ("1.5", "", "1.5"),
        ("0.125", "0.00%", "12.50%"),
        ("1234.5", '#,##0.00 "EUR"', "1,234.50 EUR"),
        ("-1234.5", '#,##0.00 "EUR";[Red]-#,##0.00 "EUR"', "-1,234.50 EUR"),
        ("1234.5", "[$€-407] #,##0.00", "€ 1,234.50"),
        ("123456789", "000-00-0000", "123-45-6789"),
        ("7", '"No. "000', "No. 007"),
        ("45778", "[$-407]d. mmmm yyyy", "2025-05-01"),
        ("45778.75", "dd/mm/yyyy hh:mm", "2025-05-01 18:00:00"),
        ("0.75", "h:mm AM/PM", "18:00"),
        ("1.5625", "[h]:mm", "37:30"),
        ("12", "0.##", "12"),
        ("5", "@", "5"),
        ("x", "0", "x"),
        ("5551234567", r"[<=9999999]###\-####;\(###\)\ ###\-####", "(555) 123-4567"),
        ("1234567", r"[<=9999999]###\-####;\(###\)\ ###\-####", "123-4567"),
        ("1067", '[Red][<100]0.0;[>=1000]"D-"00000;0', "D-01067"),
        ("200", '[Red][<100]0.0;[>=1000]"D-"00000;0', "200"),
    ],
)
def test_numbers_as_displayed(raw: str, code: str, said: str) -> None:
    """Leading zeros, units, percent and every digit of a long number; days in the order of ISO 8601."""
    assert displayed(raw, code) == said


def test_facts_above_the_header_row() -> None:
    """A row of two facts on a wide table has no names of its columns; of a table of two columns it has."""
    facts, names = row(1, A="Account", B="DE12"), row(3, A="Day", B="Payee", C="Use", D="Sum", E="Note")
    rows = row(4, A="1.5.", B="Ana", C="rent", D="9") + row(5, A="2.5.", B="Ben", C="bread", D="1")

    wide = extracted(workbook(facts + names + rows)).text
    narrow = extracted(workbook(facts + row(2, A="Name", B="Ana"))).text

    assert "Day: 1.5. | Payee: Ana | Use: rent | Sum: 9" in wide
    assert "Account: Name | DE12: Ana" in narrow


def test_formats_of_cells() -> None:
    """The style of a cell says how its number is shown."""
    cells = row(1, A="Postcode", B="Town") + '<row r="2"><c r="A2" s="1"><v>1067</v></c></row>' + row(3, A="x", B="y")

    assert "Postcode: 01067" in extracted(workbook(cells, formats=["00000"])).text
    with pytest.raises(Unreadable, match="damaged"):
        extracted(made.zipped({"x": "y"}))


def _word(table: str, **parts: str) -> bytes:
    files = {f"word/{name}.xml": text for name, text in parts.items()}
    return (
        made.docx([("", "Ledger")])
        if not table
        else made.zipped(
            {"word/document.xml": f"<w:document {_W}><w:body><w:tbl>{table}</w:tbl></w:body></w:document>", **files}
        )
    )


def test_merged_cells_of_word() -> None:
    """A cell that goes on from the row above has its words; one beside it keeps its own."""
    cell = "<w:tc><w:tcPr>{}</w:tcPr><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>".format
    begin, on, wide = '<w:vMerge w:val="restart"/>', "<w:vMerge/>", '<w:gridSpan w:val="2"/>'
    rows = (
        f"<w:tr>{cell(wide, 'top')}{cell(begin, 'North')}</w:tr><w:tr>{cell('', 'a')}{cell('', 'b')}{cell(on, '')}</w:tr>"
        f"<w:tr>{cell('', 'c')}{cell('', 'd')}{cell('', 'South')}</w:tr>"
    )

    import re
    import zipfile
    from io import BytesIO

    with zipfile.ZipFile(BytesIO(mended(_word(rows)))) as archive:
        words = re.findall(r">(\w+)</", archive.read("word/document.xml").decode())

    assert words == ["top", "North", "a", "b", "North", "c", "d", "South"]
    plain = made.docx([("", "text")])
    assert mended(plain) is plain
    assert mended(b"PK no archive") == b"PK no archive"


_NAMES = {"header1": "header", "footer1": "footer", "comments": "comments", "footnotes": "footnotes"}
paragraph = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>".format


@cache
def _prepared() -> Any:
    """The reader, which keeps one event loop for the life of the process."""
    from kb.formats import office

    office.prepare()
    return office


def _document(body: str, header: str, footer: str, comments: str = "", footnotes: str = "") -> list[str]:
    """The lines of a Word document with these parts."""
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    listed = "".join(
        f'<Override PartName="/word/{name}.xml" ContentType="{kind}.{of}+xml"/>'
        for name, of in {"document": "document.main", **_NAMES}.items()
    )
    related = "".join(
        f'<Relationship Id="r{name}" Type="{_RELATION}/{of}" Target="{name}.xml"/>' for name, of in _NAMES.items()
    )
    data = made.zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default '
            'Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default '
            f'Extension="xml" ContentType="application/xml"/>{listed}</Types>',
            "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" Type="{_RELATION}/officeDocument" '
            'Target="word/document.xml"/></Relationships>',
            "word/document.xml": f'<w:document {_W} xmlns:r="{_RELATION}"><w:body>{body}'
            '<w:sectPr><w:headerReference w:type="default" r:id="rheader1"/><w:footerReference w:type="default" '
            'r:id="rfooter1"/></w:sectPr></w:body></w:document>',
            "word/_rels/document.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{related}</Relationships>',
            "word/header1.xml": f"<w:hdr {_W}>{header}</w:hdr>",
            "word/footer1.xml": f"<w:ftr {_W}>{footer}</w:ftr>",
            "word/comments.xml": f"<w:comments {_W}>{comments}</w:comments>",
            "word/footnotes.xml": f"<w:footnotes {_W}>{footnotes}</w:footnotes>",
        }
    )
    builder = TextBuilder(10_000)
    _prepared().extract("x.docx", data, builder, Limits())
    return [line for line in builder.build().text.split("\n") if line]


@pytest.mark.skipif(not installed("xberg"), reason="the extra 'documents' is not installed")
def test_word_document() -> None:
    """Headers, footers, notes and comments are read once, below the text; marks of references are none of it."""
    noted = (
        '<w:p><w:r><w:t>Noted</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:commentReference w:id="0"/>'
        "</w:r></w:p>"
    )

    said = _document(
        paragraph("Body") + noted,
        paragraph("Ledger of the mill"),
        paragraph("Kept by Ana"),
        f'<w:comment w:id="0">{paragraph("Ask Bo")}</w:comment>',
        f'<w:footnote w:id="2">{paragraph("See there")}</w:footnote>',
    )

    assert said == ["Body", "Noted", "See there", "Ask Bo", "Ledger of the mill", "Kept by Ana"]


@pytest.mark.skipif(not installed("xberg"), reason="the extra 'documents' is not installed")
def test_tables_and_boxes_of_headers() -> None:
    """A letterhead is often a table or a text box, which is stored in two forms; a number of a page says nothing."""
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("Form", "VX-4471"))
    box = f"<w:pict><w:txbxContent>{paragraph('Mill Lane 12')}{paragraph('York')}</w:txbxContent></w:pict>"

    said = _document(
        paragraph("Body"),
        f"<w:p><w:r><w:t>Above</w:t></w:r><w:r>{box}</w:r><w:r>{box}</w:r></w:p>",
        f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>{paragraph('7')}",
    )

    assert said == ["Body", "Above", "Mill Lane 12", "York", "Form | VX-4471"]


@pytest.mark.skipif(not installed("xberg"), reason="the extra 'documents' is not installed")
def test_hidden_and_moved_text() -> None:
    """What Word does not show is not read, and what was moved stands only where it is now."""
    runs = "<w:r><w:rPr>{}</w:rPr><w:t>{}</w:t></w:r>".format
    shown = runs('<w:vanish w:val="0"/>', "shown")

    said = _document(
        f"<w:p>{runs('<w:vanish/>', 'secret')}{shown}</w:p>"
        f"<w:p><w:moveFrom>{runs('', 'moved')}</w:moveFrom></w:p><w:p><w:moveTo>{runs('', 'moved')}</w:moveTo></w:p>",
        f"<w:p>{runs('<w:vanish/>', 'draft')}{runs('', 'Head')}</w:p>",
        paragraph("Foot"),
    )

    assert said == ["shown", "moved", "Head", "Foot"]


@pytest.mark.skipif(not installed("xberg"), reason="the extra 'documents' is not installed")
def test_items_are_context_of_items_nested_in_them() -> None:
    """The items of a list stand together, those of another list below it apart."""
    item = "<text:list-item><text:p>{}</text:p>{}</text:list-item>".format
    list_of = "<text:list>{}</text:list>".format
    roof = item("Roof", list_of(item("slate", "") + item("batten", "")))
    body = list_of(item("Barn", list_of(roof)) + item("Mill", ""))
    data = made.opendocument("text", body + "<text:p>Between.</text:p>" + list_of(item("Weir", "")))
    builder = TextBuilder(10_000)
    _prepared().extract("x.odt", data, builder, Limits())
    found = builder.build()

    assert found.text == "- Barn\n- Roof\n- slate\n- batten\n- Mill\n\nBetween.\n\n- Weir\n"
    assert found.context == [(2, 4, "Barn"), (3, 4, "Roof")]
