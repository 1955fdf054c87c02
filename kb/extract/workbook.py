"""Workbooks of Excel by their own XML: the cells that are filled, as they are displayed, with merged ones and comments.

calamine lays a sheet out as a rectangle: three cells far apart are a billion. Nor does it tell how a number is shown.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kb.extract.clean import line
from kb.extract.draft import Unreadable
from kb.extract.numbers import BUILT_IN, displayed

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

_CELL: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_RELATION: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION: Final = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
_HEADER_CODES: Final = re.compile(r"&(?:\"[^\"]*\"|[0-9]+|K[0-9A-F]{6}|&|.)")
_AROUND: Final = frozenset({"oddHeader", "oddFooter", "firstHeader", "firstFooter", "evenHeader", "evenFooter"})
# A merged range may be a whole column; what is displayed there is said in no more rows than this.
_MOST_MERGED: Final = 2_000


@dataclass(slots=True)
class Sheet:
    """A visible sheet.

    Attributes:
        name: What it is called.
        missing: Whether the workbook names it and does not hold it.
        rows: The values of its filled cells by row and column, both counting from 1.
        comments: What is written to its cells, by row.
        around: Its headers and footers.
    """

    name: str
    missing: bool = False
    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    comments: dict[int, list[str]] = field(default_factory=dict)
    around: list[str] = field(default_factory=list)


def sheets(archive: zipfile.ZipFile) -> Iterator[Sheet]:
    """The visible sheets of a workbook in their order.

    Raises:
        Unreadable: It is no workbook, or declares entities.
    """
    main = next(iter(_targets(archive, "", "officeDocument").values()), "xl/workbook.xml")
    workbook = _root(archive, main)
    if workbook is None:
        raise Unreadable("is damaged: it has no workbook", "Open it with its own program")
    related = _targets(archive, main)
    strings = _strings(archive, _first(archive, main, "sharedStrings"))
    formats = _formats(archive, _first(archive, main, "styles"))
    properties = _child(workbook, "workbookPr")
    since_1904 = properties is not None and properties.get("date1904") in {"1", "true"}
    for one in workbook.iter():
        if _tag(one) != "sheet" or one.get("state") in {"hidden", "veryHidden"}:
            continue
        path = related.get(one.get(_RELATION) or one.get(_STRICT_RELATION) or "", "")
        name = one.get("name") or ""
        if path not in archive.namelist():
            yield Sheet(name, missing=True)
        elif "chartsheets/" not in path:
            yield _sheet(archive, path, name, strings, formats, since_1904=since_1904)


def _sheet(
    archive: zipfile.ZipFile, path: str, name: str, strings: list[str], formats: list[str], *, since_1904: bool
) -> Sheet:
    sheet = Sheet(name)
    merged: list[str] = []
    number = 0
    with archive.open(path) as stream:
        for event, element in ET.iterparse(stream, ("start", "end")):  # noqa: S314 - entities are refused
            tag = _tag(element)
            if event == "start":
                if tag == "row":
                    number = int(element.get("r") or number + 1)
            elif tag == "row":
                values = _row(element, strings, formats, since_1904=since_1904)
                if values:
                    sheet.rows.setdefault(number, {}).update(values)
                element.clear()
            elif tag == "mergeCell":
                merged.append(element.get("ref") or "")
            elif tag in _AROUND:
                sheet.around.append(line(_HEADER_CODES.sub(" ", element.text or "")))
    sheet.around = list(dict.fromkeys(filter(None, sheet.around)))
    for ref in merged:
        _spread(sheet.rows, ref)
    sheet.rows = dict(sorted(sheet.rows.items()))
    for row, comment in _comments(archive, path):
        sheet.comments.setdefault(row, []).append(comment)
    return sheet


def _row(row: ET.Element, strings: list[str], formats: list[str], *, since_1904: bool) -> dict[int, str]:
    values: dict[int, str] = {}
    column = 0
    for cell in row:
        if _tag(cell) != "c":
            continue
        found = _CELL.fullmatch(cell.get("r") or "")
        column = _column(found[1]) if found else column + 1
        said = {_tag(part): part for part in cell}
        raw = (said["v"].text or "") if "v" in said else ""
        match cell.get("t", "n"):
            case "s":
                value = strings[int(raw)] if raw.isdigit() and int(raw) < len(strings) else ""
            case "inlineStr":
                value = _text(said["is"]) if "is" in said else ""
            case "b":
                value = {"1": "TRUE", "0": "FALSE"}.get(raw, "")
            case "str" | "e" | "d":
                value = raw
            case _:
                style = int(cell.get("s") or 0)
                value = displayed(raw, formats[style] if style < len(formats) else "", since_1904=since_1904)
        if value := line(value):
            values[column] = value
    return values


def _spread(rows: dict[int, dict[int, str]], ref: str) -> None:
    """Say the value of a merged cell in each row that it covers; its columns are one."""
    first, _, last = ref.partition(":")
    begin, end = _CELL.fullmatch(first), _CELL.fullmatch(last)
    if not (begin and end):
        return
    column, top, bottom = _column(begin[1]), int(begin[2]), int(end[2])
    value = rows.get(top, {}).get(column)
    if not value:
        return
    for number in range(top + 1, min(bottom, top + _MOST_MERGED) + 1):
        # A row that says nothing else is only the room that the cell takes up.
        if number in rows:
            rows[number].setdefault(column, value)
            rows[number] = dict(sorted(rows[number].items()))


def _comments(archive: zipfile.ZipFile, path: str) -> Iterator[tuple[int, str]]:
    """What is written to the cells of a sheet with their rows, newer threads before the old notes that repeat them."""
    told: set[str] = set()
    persons = {
        one.get("id"): one.get("displayName") or ""
        for name in archive.namelist()
        if name.startswith("xl/persons/") and (root := _root(archive, name)) is not None
        for one in root.iter()
        if _tag(one) == "person"
    }
    for target in _targets(archive, path, "threadedComment").values():
        root = _root(archive, target)
        for one in root if root is not None else ():
            who, cell = persons.get(one.get("personId")) or "", one.get("ref") or ""
            told.add(cell)
            yield _comment(cell, who, _text(one))
    for target in _targets(archive, path, "comments").values():
        root = _root(archive, target)
        if root is None:
            continue
        authors = [one.text or "" for one in root.iter() if _tag(one) == "author"]
        for one in root.iter():
            cell = one.get("ref") or ""
            if _tag(one) == "comment" and cell not in told:
                at = one.get("authorId") or ""
                who = authors[int(at)] if at.isdigit() and int(at) < len(authors) else ""
                yield _comment(cell, who, _text(one))


def _comment(cell: str, who: str, text: str) -> tuple[int, str]:
    found = _CELL.fullmatch(cell)
    who = "" if not who or line(text).startswith(f"{who}:") or who.startswith("tc=") else f"{line(who)}: "
    return int(found[2]) if found else 0, f"Comment {cell}: {who}{line(text)}"


def _strings(archive: zipfile.ZipFile, path: str) -> list[str]:
    if not path or path not in archive.namelist():
        return []
    found = []
    with archive.open(path) as stream:
        for _, element in ET.iterparse(stream):  # noqa: S314 - entities are refused
            if _tag(element) == "si":
                found.append(_text(element))
                element.clear()
    return found


def _formats(archive: zipfile.ZipFile, path: str) -> list[str]:
    """The format of numbers of each style of cells."""
    root = _root(archive, path) if path else None
    if root is None:
        return []
    own = {one.get("numFmtId") or "": one.get("formatCode") or "" for one in root.iter() if _tag(one) == "numFmt"}
    styles = _child(root, "cellXfs")
    known = {str(at): code for at, code in BUILT_IN.items()} | own
    return [known.get(one.get("numFmtId") or "", "") for one in styles] if styles is not None else []


def _text(element: ET.Element) -> str:
    """The words of a string, without the readings of Japanese ones."""
    parts = []
    for child in element:
        if _tag(child) == "t" or (_tag(child) == "text" and child.text and not len(child)):
            parts.append(child.text or "")
        elif _tag(child) != "rPh":
            parts.append(_text(child))
    return "".join(parts)


def _root(archive: zipfile.ZipFile, path: str) -> ET.Element | None:
    if path not in archive.namelist():
        return None
    data = archive.read(path)
    if b"<!ENTITY" in data:
        raise Unreadable("declares entities, as no workbook does", "Save it again with its own program")
    return ET.fromstring(data)  # noqa: S314 - no entities in it


def _targets(archive: zipfile.ZipFile, path: str, kind: str = "") -> dict[str, str]:
    """The files that a file of the container refers to by the names of the references; of one kind, or all of them."""
    folder, _, name = path.rpartition("/")
    root = _root(archive, posixpath.join(folder, "_rels", f"{name}.rels"))
    found = {}
    for one in root if root is not None else ():
        target = one.get("Target") or ""
        if one.get("TargetMode") != "External" and (not kind or (one.get("Type") or "").endswith(f"/{kind}")):
            place = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            found[one.get("Id") or ""] = place
    return found


def _first(archive: zipfile.ZipFile, path: str, kind: str) -> str:
    return next(iter(_targets(archive, path, kind).values()), "")


def _child(element: ET.Element, name: str) -> ET.Element | None:
    return next((one for one in element if _tag(one) == name), None)


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number
