"""The words of charts and diagrams in Office files are read where they are shown."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import made_documents as made
import pytest

from kb.formats.builder import TextBuilder
from kb.formats.drawings import axis_titles, chart_series, chart_titles, diagram_texts
from kb.formats.office_xml import mended
from kb.formats.registry import installed
from kb.formats.sheet import extract
from kb.formats.slide_parts import side_texts
from kb.sandbox.pool import Sandbox
from kb.sandbox.protocol import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

# The module for HTML loads the encodings, which any process for documents has.
OFFICE = ("kb.formats.html", "kb.formats.office")
_A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_C = 'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
_DGM = 'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"'
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def title(*runs: str) -> str:
    """The title of a chart or an axis, whose words may have several forms."""
    said = "".join(f"<a:r><a:t>{run}</a:t></a:r>" for run in runs)
    return f"<c:title><c:tx><c:rich><a:p>{said}</a:p></c:rich></c:tx></c:title>"


def points(kind: str, *values: str) -> str:
    """Values of a series as they were when the file was saved."""
    said = "".join(f'<c:pt idx="{at}"><c:v>{value}</c:v></c:pt>' for at, value in enumerate(values))
    return f"<c:{kind}><c:ref><c:f>S!$B$1</c:f><c:cache>{said}</c:cache></c:ref></c:{kind}>"


CHART = f"""<c:chartSpace {_C} {_A}><c:chart>{title("Wheels s", "old")}<c:plotArea><c:barChart>
<c:ser>{points("tx", "Oak")}{points("cat", "Bonn", "Kiel")}{points("val", "3", "4.4000000000000004")}</c:ser>
<c:ser>{points("tx", "Curve")}{points("val", *map(str, range(60)))}</c:ser></c:barChart>
<c:valAx>{title("Pieces a year")}</c:valAx></c:plotArea></c:chart></c:chartSpace>"""
DIAGRAM = f"""<dgm:dataModel {_DGM} {_A}><dgm:ptLst><dgm:pt type="doc"><dgm:t><a:p/></dgm:t></dgm:pt>
<dgm:pt><dgm:prSet phldrT="x"/><dgm:t><a:p><a:r><a:t>Cut </a:t></a:r><a:r><a:t>oak</a:t></a:r></a:p></dgm:t></dgm:pt>
</dgm:ptLst></dgm:dataModel>"""


def test_words_of_charts_and_diagrams() -> None:
    """Titles, series with their values, of a curve its name alone; shapes with a text."""
    chart = ET.fromstring(CHART)  # noqa: S314 - made here

    assert list(chart_titles(chart)) == ["Wheels sold", "Pieces a year"]
    assert list(axis_titles(chart)) == ["Pieces a year"]
    assert list(chart_series(chart)) == ["Oak: Bonn 3, Kiel 4.4", "Curve"]
    assert list(diagram_texts(ET.fromstring(DIAGRAM))) == ["Cut oak"]  # noqa: S314 - made here


def with_parts(data: bytes, parts: Mapping[str, str], old: str = "", new: str = "") -> bytes:
    """A document with further parts, and another text in each part that has the old one."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name).decode().replace(old, new) for name in archive.namelist()}
    return made.zipped(files | dict(parts))


def relations(prefix: str, **targets: str) -> str:
    """The relationships of a part, by kind."""
    listed = "".join(
        f'<Relationship Id="{kind}1" Type="{_R}/{kind}" Target="{prefix}{target}"/>' for kind, target in targets.items()
    )
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{listed}</Relationships>'
    )


@pytest.mark.skipif(not installed("xberg"), reason="the extra 'documents' is not installed")
def test_drawings_of_word_stand_below_their_paragraph() -> None:
    """Each once, where an older form of the same drawing is stored beside it too."""
    chart = f'<w:r><w:drawing><c:chart {_C} xmlns:r="{_R}" r:id="chart1"/></w:drawing></w:r>'
    diagram = f'<w:r><w:drawing><dgm:relIds {_DGM} xmlns:r="{_R}" r:dm="data1" r:lo="x"/></w:drawing></w:r>'
    data = with_parts(
        made.docx([("", "Before"), ("", "Shown here"), ("", "After")]),
        {
            "word/_rels/document.xml.rels": relations("", chart="charts/chart1.xml", data="diagrams/data1.xml"),
            "word/charts/chart1.xml": CHART,
            "word/diagrams/data1.xml": DIAGRAM,
        },
        "<w:t>Shown here</w:t></w:r>",
        f"<w:t>Shown here</w:t></w:r>{chart}{chart}{diagram}",
    )
    sandbox = Sandbox(Limits(seconds=30, memory=300_000_000, text=2_000_000), OFFICE)
    try:
        found = sandbox.extract("kb.formats.office", "x.docx", data)
    finally:
        sandbox.close()

    assert [line for line in found.text.split("\n") if line] == [
        "Before", "Shown here", "Wheels sold", "Pieces a year", "Oak: Bonn 3, Kiel 4.4", "Curve", "Cut oak", "After",
    ]  # fmt: skip


def test_drawings_that_are_missing() -> None:
    """A document that names parts it has not, or damaged ones, is read without them."""
    shown = f'<w:t>x</w:t><c:chart {_C} xmlns:r="{_R}" r:id="chart1"/>'
    for parts in ({}, {"word/charts/chart1.xml": "<c"}):
        named = {"word/_rels/document.xml.rels": relations("", chart="charts/chart1.xml"), **parts}
        data = with_parts(made.docx([("", "x")]), named, "<w:t>x</w:t>", shown)
        with zipfile.ZipFile(io.BytesIO(mended(data))) as archive:
            assert b">x<" in archive.read("word/document.xml")


def test_titles_of_charts_on_slides_and_sheets() -> None:
    """Of slides those of the axes, since xberg reads all else; of sheets, whose cells have the values, all."""
    slide = relations("../", chart="charts/chart1.xml")
    deck = with_parts(
        made.pptx([["Plan"]]), {"ppt/slides/_rels/slide1.xml.rels": slide, "ppt/charts/chart1.xml": CHART}
    )
    book = with_parts(
        made.xlsx({"Sales": {1: ["Bonn", 3]}}),
        {
            "xl/worksheets/_rels/sheet1.xml.rels": relations("../", drawing="drawings/drawing1.xml"),
            "xl/drawings/drawing1.xml": "<x/>",
            "xl/drawings/_rels/drawing1.xml.rels": relations("../", chart="charts/chart1.xml"),
            "xl/charts/chart1.xml": CHART,
        },
    )
    builder = TextBuilder(10_000)
    extract("x.xlsx", book, builder, Limits())

    assert side_texts(deck) == {1: ["Pieces a year"]}
    assert builder.build().text.split("\n")[2:] == ["Bonn | 3", "", "Wheels sold", "Pieces a year", ""]
