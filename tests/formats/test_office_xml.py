"""The words of merged cells stand in each row that they cover; readings do not stand within words."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

import made_documents as made
import pytest

from kb.formats import presentation
from kb.formats.builder import TextBuilder
from kb.formats.office_xml import mended
from kb.formats.registry import installed
from kb.sandbox.pool import Sandbox
from kb.sandbox.protocol import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

# The module for HTML loads the encodings, which any process for documents has.
OFFICE = ("kb.formats.html", "kb.formats.office")
COVERED = "<table:covered-table-cell/>"
ROWS = [
    "Pond | Animal | Count",
    "Mill pond | otter | 2",
    "Mill pond | toad | 40",
    "Mill pond | newts",
    "Duck pond | pike | 1",
]


def cell(text: str, more: str = "") -> str:
    """A cell of OpenDocument."""
    return f"<table:table-cell {more}><text:p>{text}</text:p></table:table-cell>"


def opened(*rows: str) -> str:
    """A table of OpenDocument, the first row of which names the columns."""
    lines = [f"<table:table-row>{row}</table:table-row>" for row in rows]
    head = f"<table:table-header-rows>{lines[0]}</table:table-header-rows>"
    body = f"<table:table-rows>{''.join(lines[1:])}</table:table-rows>"
    return f"<table:table><table:table-column/>{head}{body}</table:table>"


PONDS = opened(
    cell("Pond") + cell("Animal") + cell("Count"),
    cell("Mill pond", 'table:number-rows-spanned="3"') + cell("otter") + cell("2"),
    COVERED + cell("toad") + cell("40"),
    COVERED + cell("newts", 'table:number-columns-spanned="2"') + COVERED,
    cell("Duck pond") + cell("pike") + cell("1"),
)


def part(data: bytes, name: str) -> str:
    """A part of a container."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name).decode()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Where documents are parsed."""
    made_ = Sandbox(Limits(), OFFICE)
    yield made_
    made_.close()


@pytest.mark.skipif(not installed("xberg"), reason="the extra 'documents' is not installed")
def test_tables_of_texts(sandbox: Sandbox) -> None:
    """A row without its first cell has that of the row above."""
    found = sandbox.extract("kb.formats.office", "x.odt", made.opendocument("text", PONDS))

    assert found.text.split("\n")[:5] == ROWS


@pytest.mark.skipif(not installed("xberg"), reason="the extra 'documents' is not installed")
def test_tables_of_word(sandbox: Sandbox) -> None:
    """The text of a document with merged cells is all there, whatever else stands in it."""
    begin, on = '<w:tcPr><w:vMerge w:val="restart"/></w:tcPr>', "<w:tcPr><w:vMerge/></w:tcPr>"
    tc = "<w:tc>{}<w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>".format
    rows = (
        tc("", "Pond") + tc("", "Animal"),
        tc(begin, "Mill pond") + tc("", "otter"),
        tc(on, "") + tc("", "toad"),
        tc("", "Duck pond") + tc("", "pike"),
    )
    table = "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>"
    with zipfile.ZipFile(io.BytesIO(made.docx([("Heading1", "Ponds"), ("", "Below.")]))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["word/document.xml"] = files["word/document.xml"].replace(b"</w:body>", table.encode() + b"</w:body>")
    found = sandbox.extract("kb.formats.office", "x.docx", made.zipped(files))

    assert found.text.split("\n\n")[:2] == ["Ponds", "Below."]
    assert found.text.rstrip().split("\n")[-4:] == [
        "Pond | Animal",
        "Mill pond | otter",
        "Mill pond | toad",
        "Duck pond | pike",
    ]


def test_tables_of_presentations() -> None:
    """On slides too."""
    data = made.opendocument("presentation", f'<draw:page draw:name="a"><draw:frame>{PONDS}</draw:frame></draw:page>')

    builder = TextBuilder(1_000_000)
    presentation.extract("x.odp", data, builder, Limits())

    assert builder.build().text.split("\n")[:5] == ROWS


@pytest.mark.skipif(not installed("xberg"), reason="the extra 'documents' is not installed")
def test_tables_of_powerpoint(sandbox: Sandbox) -> None:
    """Cells that are covered to the right stay empty."""

    def tc(words: str, more: str = "") -> str:
        return f"<a:tc {more}><a:txBody><a:bodyPr/><a:p><a:r><a:t>{words}</a:t></a:r></a:p></a:txBody><a:tcPr/></a:tc>"

    rows = (
        tc("Pond") + tc("Animal") + tc("Count"),
        tc("Mill pond", 'rowSpan="3"') + tc("otter") + tc("2"),
        tc("", 'vMerge="1"') + tc("toad") + tc("40"),
        tc("", 'vMerge="true"') + tc("newts", 'gridSpan="2"') + tc("", 'hMerge="1"'),
        tc("Duck pond") + tc("pike") + tc("1"),
    )
    table = "".join(f'<a:tr h="1">{row}</a:tr>' for row in rows)
    frame = (
        '<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="9" name="t"/><p:cNvGraphicFramePr/><p:nvPr/>'
        '</p:nvGraphicFramePr><p:xfrm><a:off x="0" y="0"/><a:ext cx="1" cy="1"/></p:xfrm><a:graphic><a:graphicData '
        'uri="http://schemas.openxmlformats.org/drawingml/2006/table"><a:tbl><a:tblPr/><a:tblGrid><a:gridCol w="1"/>'
        f'<a:gridCol w="1"/><a:gridCol w="1"/></a:tblGrid>{table}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>'
    )
    with zipfile.ZipFile(io.BytesIO(made.pptx([["Animals"]]))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    slide = "ppt/slides/slide1.xml"
    files[slide] = files[slide].replace(b"</p:spTree>", frame.encode() + b"</p:spTree>")
    lines = sandbox.extract("kb.formats.office", "x.pptx", made.zipped(files)).text.split("\n")

    assert [re.sub(r"\s*\t\s*", " | ", one) for one in lines if "\t" in one] == ROWS


def test_covered_cells_written_as_one() -> None:
    """Several covered cells may be one element; only that in the column of the cell above is filled."""
    table = opened(
        cell("a") + cell("b") + cell("c"),
        cell("d") + cell("e", 'table:number-rows-spanned="2" table:number-columns-spanned="2"') + COVERED,
        cell("f") + '<table:covered-table-cell table:number-columns-repeated="2"/>',
        cell("g") + cell("h") + cell("i"),
    )
    found = part(mended(made.opendocument("text", table)), "content.xml")

    assert re.findall(r">(\w)<", found) == list("abcdefeghi")


def test_merged_cell_ends_at_its_span() -> None:
    """What is covered by nothing, or by another cell, is not filled; the bytes of other documents stay."""
    table = opened(
        cell("a"),
        cell("b", 'table:number-rows-spanned="2"'),
        COVERED,
        COVERED,
        cell("c", 'table:number-rows-spanned="x"'),
    )
    plain = made.opendocument("text", "<text:p>a</text:p>")

    assert re.findall(r">(\w)<", part(mended(made.opendocument("text", table)), "content.xml")) == list("abbc")
    assert mended(plain) is plain


WORD_RUBY = (
    '<w:p><w:r><w:t xml:space="preserve">Heron on the </w:t></w:r><w:r><w:ruby><w:rt><w:r><w:t>kawa</w:t></w:r></w:rt>'
    "<w:rubyBase><w:r><w:t>\u5ddd</w:t></w:r></w:rubyBase></w:ruby></w:r><w:r><w:t>\u5cb8</w:t></w:r></w:p>"
)
OPENED_RUBY = (
    "<text:p>Heron on the <text:ruby><text:ruby-base>\u5ddd</text:ruby-base><text:ruby-text>kawa</text:ruby-text>"
    "</text:ruby>\u5cb8</text:p>"
)


@pytest.mark.skipif(not installed("xberg"), reason="the extra 'documents' is not installed")
def test_readings_do_not_stand_within_words(sandbox: Sandbox) -> None:
    """They follow the text of their paragraph, so that they can be found too."""
    with zipfile.ZipFile(io.BytesIO(made.docx([]))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["word/document.xml"] = files["word/document.xml"].replace(b"</w:body>", WORD_RUBY.encode() + b"</w:body>")
    word = sandbox.extract("kb.formats.office", "x.docx", made.zipped(files))
    opened = sandbox.extract("kb.formats.office", "x.odt", made.opendocument("text", OPENED_RUBY))

    assert word.text == opened.text == "Heron on the \u5ddd\u5cb8 (kawa)\n"
