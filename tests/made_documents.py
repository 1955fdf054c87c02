"""Documents of many formats made from a few words, so that tests need no files of other programs."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from benchmarks.made_pdf import pdf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["docx", "epub", "notebook", "opendocument", "pdf", "pptx", "xlsx", "zipped"]

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_A = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0"'
)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A container with these files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def docx(paragraphs: Sequence[tuple[str, str]], *, title: str = "", author: str = "") -> bytes:
    """A Word document of (style, text); the style is ``Heading1`` or ``Heading2``, or empty."""
    body = "".join(
        f"<w:p><w:pPr><w:pStyle w:val='{style or 'Normal'}'/></w:pPr><w:r><w:t>{escape(text)}</w:t></w:r></w:p>"
        for style, text in paragraphs
    )
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{level}"><w:name w:val="heading {level}"/></w:style>'
        for level in (1, 2)
    )
    types = _override("/word/document.xml", "wordprocessingml.document.main") + _override(
        "/word/styles.xml", "wordprocessingml.styles"
    )
    return zipped(
        {
            "[Content_Types].xml": _content_types(types),
            "_rels/.rels": _relations(("officeDocument", "word/document.xml")),
            "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": f"<w:styles {_W}>{styles}</w:styles>",
            "word/_rels/document.xml.rels": _relations(("styles", "styles.xml")),
            "docProps/core.xml": _core(title, author),
        }
    )


def pptx(slides: Sequence[Sequence[str]]) -> bytes:
    """A presentation with paragraphs on each slide."""
    files: dict[str, str | bytes] = {}
    types = _override("/ppt/presentation.xml", "presentationml.presentation.main")
    for number, paragraphs in enumerate(slides, 1):
        shapes = "".join(
            f"<p:sp><p:nvSpPr><p:cNvPr id='{at + 2}' name='x'/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/>"
            f"<p:txBody><a:bodyPr/><a:p><a:r><a:t>{escape(text)}</a:t></a:r></a:p></p:txBody></p:sp>"
            for at, text in enumerate(paragraphs)
        )
        files[f"ppt/slides/slide{number}.xml"] = f"<p:sld {_A}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        types += _override(f"/ppt/slides/slide{number}.xml", "presentationml.slide")
    listed = "".join(f'<p:sldId id="{255 + at}" r:id="rId{at}"/>' for at in range(1, len(slides) + 1))
    return zipped(
        {
            "[Content_Types].xml": _content_types(types),
            "_rels/.rels": _relations(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f"<p:presentation {_A}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": _relations(
                *(("slide", f"slides/slide{number}.xml") for number in range(1, len(slides) + 1))
            ),
        }
        | files
    )


def xlsx(sheets: Mapping[str, Mapping[int, Sequence[str | float]]]) -> bytes:
    """A workbook of sheets with the values of some rows, which count from 1."""
    files: dict[str, str | bytes] = {}
    types = _override("/xl/workbook.xml", "spreadsheetml.sheet.main")
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    for number, rows in enumerate(sheets.values(), 1):
        lines = "".join(
            f'<row r="{at}">{"".join(_xlsx_cell(at, column, value) for column, value in enumerate(values))}</row>'
            for at, values in rows.items()
        )
        files[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'
        )
        types += _override(f"/xl/worksheets/sheet{number}.xml", "spreadsheetml.worksheet")
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"/>' for at, name in enumerate(sheets, 1)
    )
    return zipped(
        {
            "[Content_Types].xml": _content_types(types),
            "_rels/.rels": _relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{_RELATION}"><sheets>{listed}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": _relations(
                *(("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(sheets) + 1))
            ),
        }
        | files
    )


def _xlsx_cell(row: int, column: int, value: str | float) -> str:
    place = f"{chr(ord('A') + column)}{row}"
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def opendocument(kind: str, body: str, *, title: str = "", manifest: str = "") -> bytes:
    """An OpenDocument of a kind (``text``, ``presentation``, ``spreadsheet``) with the XML of its body."""
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "META-INF/manifest.xml": manifest or "<manifest/>",
            "content.xml": f"<office:document-content {_OFFICE}><office:body><office:{kind}>{body}</office:{kind}>"
            "</office:body></office:document-content>",
            "meta.xml": f"<office:document-meta {_OFFICE}><office:meta><dc:title>{title}</dc:title>"
            "<dc:creator>Ada</dc:creator></office:meta></office:document-meta>",
        }
    )


def epub(chapters: Sequence[tuple[str, str]], *, title: str = "A Book") -> bytes:
    """An e-book of (title, text) chapters."""
    items = "".join(
        f'<item id="c{at}" href="c{at}.xhtml" media-type="application/xhtml+xml"/>' for at in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{at}"/>' for at in range(len(chapters)))
    opf = "http://www.idpf.org/2007/opf"
    files: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">'
        '<rootfiles><rootfile full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        "b.opf": f'<package xmlns="{opf}" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>{title}</dc:title><dc:creator>Ada</dc:creator></metadata><manifest>{items}</manifest>"
        f"<spine>{spine}</spine></package>",
    }
    for at, (name, text) in enumerate(chapters):
        files[f"c{at}.xhtml"] = (
            f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{name}</h1><p>{text}</p></body></html>'
        )
    return zipped(files)


def notebook(*cells: tuple[str, str] | tuple[str, str, str]) -> bytes:
    """A notebook of (kind, source) or (kind, source, printed output) cells."""
    made: list[dict[str, Any]] = []
    for kind, source, *printed in cells:
        outputs = [{"output_type": "stream", "name": "stdout", "text": printed}] if printed else []
        made.append({"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)})
        made[-1] |= {"outputs": outputs, "execution_count": None} if kind == "code" else {}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}).encode()


def _core(title: str, author: str) -> str:
    return (
        '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">'
        f"<dc:title>{escape(title)}</dc:title><dc:creator>{escape(author)}</dc:creator>"
        "<dcterms:created>2024-01-31T09:30:00Z</dcterms:created></cp:coreProperties>"
    )


def _override(part: str, kind: str) -> str:
    return f'<Override PartName="{part}" ContentType="application/vnd.openxmlformats-officedocument.{kind}+xml"/>'


def _content_types(overrides: str) -> str:
    return (
        f'<Types xmlns="{_TYPES}"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
    )


def _relations(*relations: tuple[str, str]) -> str:
    listed = "".join(
        f'<Relationship Id="rId{at}" Type="{_RELATION}/{kind}" Target="{target}"/>'
        for at, (kind, target) in enumerate(relations, 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}">{listed}</Relationships>'
