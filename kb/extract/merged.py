"""Cells of Word's tables that go on from the row above: xberg leaves them empty, so their words are put there first."""

from __future__ import annotations

import copy
import zipfile
from io import BytesIO
from typing import Final
from xml.etree import ElementTree as ET

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT: Final = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_DOCUMENT: Final = "word/document.xml"
_SIGN: Final = b":vMerge"


def filled(data: bytes) -> bytes:
    """The document with the words of merged cells in each row they cover; the same bytes where there are none."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            text = archive.read(_DOCUMENT)
            if _SIGN not in text or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
                return data
            root = ET.fromstring(text)  # noqa: S314 - no entities in it
            space = _STRICT if root.tag.startswith(_STRICT) else _W
            for table in root.iter(f"{space}tbl"):
                _fill(table, space)
            made = BytesIO()
            with zipfile.ZipFile(made, "w") as new:
                for name in archive.namelist():
                    new.writestr(
                        name,
                        ET.tostring(root, "utf-8", xml_declaration=True) if name == _DOCUMENT else archive.read(name),
                    )
            return made.getvalue()
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError, OSError, ET.ParseError):
        return data  # xberg says what is wrong with it


def _fill(table: ET.Element, space: str) -> None:
    """Copy the content of a cell into those below that continue it, column by column of the grid."""
    above: dict[int, list[ET.Element]] = {}
    for row in table.findall(f"{space}tr"):
        column = 0
        for cell in row.findall(f"{space}tc"):
            merge = cell.find(f"{space}tcPr/{space}vMerge")
            span = cell.find(f"{space}tcPr/{space}gridSpan")
            if merge is None:
                above.pop(column, None)
            elif merge.get(f"{space}val") == "restart":
                above[column] = [copy.deepcopy(one) for one in cell if one.tag == f"{space}p"]
            elif column in above and not "".join(cell.itertext()).strip():
                for one in cell.findall(f"{space}p"):
                    cell.remove(one)
                cell.extend(copy.deepcopy(above[column]))
            width = span.get(f"{space}val", "1") if span is not None else "1"
            column += int(width) if width.isdigit() else 1
