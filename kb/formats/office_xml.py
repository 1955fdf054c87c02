"""Mends the XML of Office and OpenDocument files where parsers lose text, put it into words, or show what is hidden.

The text of a merged table cell is repeated in each row that it covers. Readings of characters (ruby) are put at the end
of their paragraph. Runs of PowerPoint are joined, since a word may have several. Hidden text of Word, and what stands
elsewhere since it was moved, is removed; text boxes in headers and footers are put below the paragraph they are in, and
so are the words of charts and diagrams.
"""

from __future__ import annotations

import copy
import re
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kb.formats.drawings import chart_series, chart_titles, diagram_texts
from kb.formats.slide_parts import part_of, targets_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT: Final = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_SPACE: Final = "{http://www.w3.org/XML/1998/namespace}space"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
# The parts of a container with text, and the markup that is mended in them.
_PARTS: Final = re.compile(
    r"word/(?:document|(?:header|footer)\d*)\.xml|content\.xml|ppt/(?:slides/slide|notesSlides/notesSlide)\d+\.xml"
)
_SIGN: Final = re.compile(
    rb":vMerge|number-rows-spanned|\browSpan=|:table-rows>|:table-row-group\b|:ruby\b|:vanish\b|:moveFrom\b|:txbxContent\b"
    rb"|<text:s\b|:chart\b|:relIds\b"
)
_DRAWINGS: Final = ("/chart}chart", "/diagram}relIds")
# Of a chart, and of the words of a diagram, which has a layout, colours and styles besides.
_DRAWN: Final = re.compile(r"\{http://[^}]*/relationships\}(?:id|dm)")
_RUNS: Final = re.compile(rb":r>\s*<[A-Za-z]{1,20}:r[\s>]")
_OFF: Final = frozenset({"0", "false", "off"})
_GROUPS: Final = frozenset({f"{_TABLE}table-rows", f"{_TABLE}table-row-group"})
_PREFIX: Final = re.compile(r"\bxmlns:([\w.-]+)\s*=\s*[\"']([^\"'<>&]+)[\"']")
_OF_PYTHON: Final = re.compile(r"ns\d+")
# The attributes of rows and cells that are repeated.
_MOST_REPEATED: Final = 1_000


def mended(data: bytes) -> bytes:
    """Return the document with its XML mended; unchanged if there is nothing to mend."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = {name: part for name in archive.namelist() if (part := _mended(archive, name))}
            if not parts:
                return data
            made = BytesIO()
            with zipfile.ZipFile(made, "w") as new:
                for name in archive.namelist():
                    new.writestr(name, parts.get(name) or archive.read(name))
            return made.getvalue()
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError, OSError, ET.ParseError):
        return data  # xberg reports the error


def _mended(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a part of a document with its XML mended; empty if there is nothing to mend."""
    if not _PARTS.fullmatch(name):
        return b""
    text = archive.read(name)
    has_runs = name.startswith("ppt/") and _RUNS.search(text)
    if not (has_runs or _SIGN.search(text)) or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        return b""
    root = ET.fromstring(text)  # noqa: S314 - no entities in it
    if name.startswith("word/"):
        _mend_word(root, _STRICT if root.tag.startswith(_STRICT) else _W)
        _put_drawings(root, _STRICT if root.tag.startswith(_STRICT) else _W, archive, name)
        if not name.startswith("word/document"):
            _move_boxes(root, _STRICT if root.tag.startswith(_STRICT) else _W)
    elif name.startswith("ppt/"):
        for element in root.iter():
            if element.tag.endswith("}tbl"):
                _fill_slide(element, element.tag.removesuffix("tbl"))
            elif element.tag.endswith("}p"):
                _join_runs(element, element.tag.removesuffix("p"))
    else:
        fill_opendocument(root)
        _put_spaces(root)
        for paragraph in (*root.iter(f"{_TEXT}p"), *root.iter(f"{_TEXT}h")):
            _move_readings(paragraph)
    _keep_prefixes(text)
    return bytes(ET.tostring(root, "utf-8", xml_declaration=True))


def _mend_word(root: ET.Element, space: str) -> None:
    for table in root.iter(f"{space}tbl"):
        _fill_word(table, space)
    for paragraph in root.iter(f"{space}p"):
        _move_readings_of_word(paragraph, space)
    for parent in root.iter():
        for child in [one for one in parent if one.tag == f"{space}moveFrom" or _is_hidden(one, space)]:
            parent.remove(child)


def _is_hidden(run: ET.Element, space: str) -> bool:
    """Whether a run of text is hidden."""
    mark = run.find(f"{space}rPr/{space}vanish") if run.tag == f"{space}r" else None
    return mark is not None and mark.get(f"{space}val", "1") not in _OFF


def _put_drawings(root: ET.Element, space: str, archive: zipfile.ZipFile, name: str) -> None:
    """Put the words of charts and diagrams below the paragraph that shows them; each once, however it is stored."""
    targets = targets_of(archive, name)
    for parent in root.iter():
        for at, paragraph in reversed(list(enumerate(parent))):
            shown = [one for one in paragraph.iter() if paragraph.tag == f"{space}p" and one.tag.endswith(_DRAWINGS)]
            ids = [value for one in shown for key, value in one.attrib.items() if _DRAWN.fullmatch(key)]
            texts = [text for id_ in ids for text in _drawn(archive, targets.pop(id_, ""))]
            for text in reversed(texts):
                below = ET.Element(f"{space}p")
                ET.SubElement(ET.SubElement(below, f"{space}r"), f"{space}t").text = text
                parent.insert(at + 1, below)


def _drawn(archive: zipfile.ZipFile, name: str) -> list[str]:
    """Return the texts of a chart or a diagram."""
    if name not in archive.namelist():
        return []
    root = part_of(archive.read(name))
    return [*chart_titles(root), *chart_series(root)] if "/charts/" in name else [*diagram_texts(root)]


def _move_boxes(root: ET.Element, space: str) -> None:
    """Put the paragraphs of text boxes below the one that they are in; each once, however it is stored."""
    for at, paragraph in reversed(list(enumerate(root))):
        boxes = {"".join(box.itertext()): box for box in paragraph.iter(f"{space}txbxContent")}
        for box in reversed(boxes.values()):
            for one in reversed(box):
                root.insert(at + 1, copy.deepcopy(one))


def _keep_prefixes(text: bytes) -> None:
    """Keep the namespace prefixes of a text when it is written, since xberg identifies Word's elements by them."""
    for prefix, space in dict(_PREFIX.findall(text.decode("utf-8", "replace"))).items():
        # Python reserves prefixes of this form.
        if not _OF_PYTHON.fullmatch(prefix):
            ET.register_namespace(prefix, space)


def _fill_word(table: ET.Element, space: str) -> None:
    """Copy the content of a cell into those below that continue it, by column of the grid."""
    above: dict[int, list[ET.Element]] = {}
    for row in table.findall(f"{space}tr"):
        column = 0
        for cell in row.findall(f"{space}tc"):
            about = cell.find(f"{space}tcPr")
            merge = about.find(f"{space}vMerge") if about is not None else None
            span = cell.find(f"{space}tcPr/{space}gridSpan")
            if merge is None:
                above.pop(column, None)
            elif merge.get(f"{space}val") == "restart":
                above[column] = [copy.deepcopy(one) for one in cell if one.tag == f"{space}p"]
            elif column in above and not "".join(cell.itertext()).strip():
                for one in cell.findall(f"{space}p"):
                    cell.remove(one)
                cell.extend(copy.deepcopy(above[column]))
            if about is not None and merge is not None:
                about.remove(merge)  # xberg skips the text of a cell with it
            width = span.get(f"{space}val", "1") if span is not None else "1"
            column += int(width) if width.isdigit() else 1


def _fill_slide(table: ET.Element, space: str) -> None:
    """The same for a table of PowerPoint, where every column has a cell in every row."""
    above: dict[int, ET.Element] = {}
    for row in table.findall(f"{space}tr"):
        for column, cell in enumerate(row.findall(f"{space}tc")):
            said = cell.find(f"{space}txBody")
            goes_on = cell.get("vMerge") in {"1", "true"} and cell.get("hMerge") not in {"1", "true"}
            if said is None or not goes_on:
                above.pop(column, None)
                if said is not None and cell.attrib.pop("rowSpan", "1") != "1":
                    above[column] = said
            elif column in above and not "".join(said.itertext()).strip():
                at = list(cell).index(said)
                cell.remove(said)
                cell.insert(at, copy.deepcopy(above[column]))
                del cell.attrib["vMerge"]


def _join_runs(paragraph: ET.Element, space: str) -> None:
    """Move the text of consecutive runs of PowerPoint into the first of them; xberg puts a space between two."""
    open_: ET.Element | None = None
    for child in list(paragraph):
        text = child.find(f"{space}t") if child.tag == f"{space}r" else None
        if text is not None and open_ is not None:
            open_.text = (open_.text or "") + (text.text or "")
            paragraph.remove(child)
        else:
            open_ = text


def _move_readings_of_word(paragraph: ET.Element, space: str) -> None:
    """Put the readings in a paragraph of Word behind its text, in brackets."""
    readings = []
    for ruby in paragraph.iter(f"{space}ruby"):
        for reading in ruby.findall(f"{space}rt"):
            readings.append("".join(one.text or "" for one in reading.iter(f"{space}t")))
            ruby.remove(reading)
    if readings:
        run = ET.SubElement(paragraph, f"{space}r")
        ET.SubElement(run, f"{space}t", {_SPACE: "preserve"}).text = f" ({' '.join(readings)})"


def _move_readings(paragraph: ET.Element) -> None:
    """Put the readings in a paragraph of OpenDocument behind its text, in brackets."""
    readings = []
    for ruby in paragraph.iter(f"{_TEXT}ruby"):
        for reading in ruby.findall(f"{_TEXT}ruby-text"):
            readings.append("".join(reading.itertext()))
            ruby.remove(reading)
    if readings:
        paragraph[-1].tail = f"{paragraph[-1].tail or ''} ({' '.join(readings)})"


def _put_spaces(root: ET.Element) -> None:
    """Put a space for each element that stands for spaces, which Word writes between parts of a sentence."""
    for parent in root.iter():
        before: ET.Element | None = None
        for child in list(parent):
            if child.tag != f"{_TEXT}s":
                before = child
                continue
            said = f" {child.tail or ''}"
            if before is None:
                parent.text = (parent.text or "") + said
            else:
                before.tail = (before.tail or "") + said
            parent.remove(child)


def fill_opendocument(root: ET.Element) -> None:
    """Copy the content of cells in OpenDocument tables into those below that they cover."""
    for table in root.iter(f"{_TABLE}table"):
        # By column: the number of further rows that a cell covers, and its content.
        above: dict[int, tuple[int, list[ET.Element]]] = {}
        for row in _rows_of(table):
            column = 0
            for cell in list(row):
                if cell.tag not in {f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"}:
                    continue
                repeated = _number(cell, "number-columns-repeated")
                if cell.tag == f"{_TABLE}covered-table-cell":
                    for at in range(column, column + min(repeated, _MOST_REPEATED)):
                        if at in above:
                            _cover(row, cell, at - column, above[at][1])
                            break
                else:
                    rows = _number(cell, "number-rows-spanned")
                    above.pop(column, None)
                    if rows > 1:
                        del cell.attrib[f"{_TABLE}number-rows-spanned"]
                        above[column] = rows, list(cell)
                column += repeated
            above = {at: (rows - 1, said) for at, (rows, said) in above.items() if rows > 1}
        # xberg leaves out rows in groups.
        _ungroup(table)


def _ungroup(table: ET.Element) -> None:
    """Replace the groups of rows in a table by their rows, except for header rows."""
    for group in [child for child in table if child.tag in _GROUPS]:
        at = list(table).index(group)
        table.remove(group)
        for row in reversed(list(_rows_of(group))):
            table.insert(at, row)


def _cover(row: ET.Element, cell: ET.Element, before: int, said: list[ET.Element]) -> None:
    """Replace a covered cell, which may be repeated, by a cell with this content."""
    at = list(row).index(cell)
    repeated = _number(cell, "number-columns-repeated")
    new = ET.Element(f"{_TABLE}table-cell")
    new.extend(copy.deepcopy(said))
    parts = [(cell, before), (new, 1), (copy.copy(cell), repeated - before - 1)]
    row.remove(cell)
    for part, count in reversed(parts):
        if count > 0:
            if count > 1 or part is not new:
                part.set(f"{_TABLE}number-columns-repeated", str(count))
            row.insert(at, part)


def _rows_of(element: ET.Element) -> Iterator[ET.Element]:
    """Yield the rows of a table and its groups, without those of nested tables."""
    for child in element:
        if child.tag == f"{_TABLE}table-row":
            yield child
        elif child.tag != f"{_TABLE}table":
            yield from _rows_of(child)


def _number(cell: ET.Element, name: str) -> int:
    value = cell.get(f"{_TABLE}{name}", "1")
    return max(1, int(value)) if value.isdigit() and len(value) < 8 else 1  # noqa: PLR2004 - more than any sheet has
