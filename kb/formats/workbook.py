"""Reads workbooks of Excel and OpenDocument from their XML: filled cells as displayed, merged cells and comments.

calamine is not used for them, since it lays out a sheet as a rectangle: three cells far apart, or a cell repeated a
million times, become a billion cells. Nor does it return how numbers are displayed.
"""

from __future__ import annotations

import operator as op
import posixpath
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kb.formats.builder import Unreadable, line
from kb.formats.dates import shown
from kb.formats.drawings import chart_titles
from kb.formats.presentation import words

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

# --- Number formats (ECMA-376, 18.8.30) ---------------------------------------------------------------------------

# Built-in formats by number. Dates and times are shown in one form, so theirs need not be exact.
BUILT_IN: Final = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 14: "yyyy-mm-dd",
    15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm", 37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00",
    45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss", 49: "@",
}  # fmt: skip
_LITERAL: Final = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|_.|\*.')
_BRACKETS: Final = re.compile(r"\[[^\]]*\]")
# A section is for numbers below or above another one, such as those of a telephone number without an area code.
_CONDITION: Final = re.compile(r"\[(<=?|>=?|=|<>)\s*(-?[0-9]{1,15}(?:\.[0-9]{1,15})?)\]")
_COMPARED: Final = {"<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge, "=": op.eq, "<>": op.ne}
_ELAPSED: Final = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_DAY: Final = re.compile(r"[dy]|m{3}", re.IGNORECASE)
_TIME: Final = re.compile(r"[hs]", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[#0?][#0?,]*(?:\.[#0?]+)?")
_LARGEST: Final = 1e21
_DAYS_1904: Final = 1462
_LAST_DAY: Final = 2_958_466
_MARK: Final = "\0"


def displayed(raw: str, code: str, *, since_1904: bool = False) -> str:
    """Format a number as the sheet displays it; dates and times as ISO 8601, whatever the format.

    Args:
        raw: The number as it is in the file.
        code: The number format of its cell; empty for General.
        since_1904: Whether days count from 1904.
    """
    try:
        value = float(raw)
    except ValueError:
        return raw
    if value != value or abs(value) == float("inf"):  # noqa: PLR0124 - NaN
        return raw
    part = _section(code, value)
    literals: list[str] = []

    def kept(found: re.Match[str]) -> str:
        literals.append(found[1] or found[2] or found[3] or "")
        return _MARK

    elapsed = _ELAPSED.search(part)
    bare = _BRACKETS.sub("", _LITERAL.sub(kept, part))
    if elapsed:
        return _duration(value)
    if _DAY.search(bare) or _TIME.search(bare):
        return _moment(value, bare, since_1904=since_1904) or general(raw)
    if "E" in bare.upper() or "/" in bare or not (digits := _DIGITS.search(bare)):
        return general(raw)
    return _displayed_number(value, bare, digits, literals)


def general(raw: str) -> str:
    """Format a number as General does, but whole numbers with all their digits."""
    try:
        value = float(raw)
    except ValueError:
        return raw
    if re.fullmatch(r"-?[0-9]+", raw):
        return raw
    return str(int(value)) if value.is_integer() and abs(value) < _LARGEST else f"{value:.15g}"


def _section(code: str, value: float) -> str:
    """Return the section of a format that applies to a number: positive, negative or zero."""
    parts = re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', code)
    conditions = [_CONDITION.search(part) for part in parts]
    if any(conditions):
        holds = (not one or _COMPARED[one[1]](value, float(one[2])) for one in conditions)
        return next((part for part, true in zip(parts, holds, strict=True) if true), parts[-1])
    if value < 0 and len(parts) > 1:
        return "-" + parts[1].strip("()-") if "-" not in parts[1] else parts[1]
    return parts[2] if value == 0 and len(parts) > 2 and _DIGITS.search(parts[2]) else parts[0]  # noqa: PLR2004 - zero


def _moment(value: float, code: str, *, since_1904: bool) -> str:
    days = value + (_DAYS_1904 if since_1904 else 0)
    if not 0 <= days < _LAST_DAY:
        return ""
    # Excel treats 1900 as a leap year.
    when = datetime(1899, 12, 31 if days < 60 else 30) + timedelta(seconds=round(days * 86_400))  # noqa: DTZ001, PLR2004 - no zone; 1 March 1900
    if not _DAY.search(code):
        return when.strftime("%H:%M:%S").removesuffix(":00") if when.second == 0 else when.strftime("%H:%M:%S")
    return shown(when) if _TIME.search(code) else when.date().isoformat()


def _duration(days: float) -> str:
    seconds = round(abs(days) * 86_400)
    sign = "-" if days < 0 else ""
    text = f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}"
    return f"{text}:{seconds % 60:02d}" if seconds % 60 else text


def _displayed_number(value: float, code: str, digits: re.Match[str], literals: list[str]) -> str:
    """Format a number with leading zeros, decimals, groups, percent signs and the literal text around it."""
    negative, value = value < 0, abs(value)
    percent = code.count("%")
    value *= 100**percent
    rest = code[digits.end() :]
    # Telephone numbers and the like have several groups of digits.
    if re.search(r"[0#]", rest) and "." not in code:
        body = _groups(round(value), code)
    else:
        pattern = digits[0]
        scaled = len(pattern) - len(pattern.rstrip(","))
        whole, _, fraction = pattern.rstrip(",").partition(".")
        number = value / 1000**scaled
        text = f"{number:,.{len(fraction)}f}" if "," in whole else f"{number:.{len(fraction)}f}"
        before, dot, after = text.partition(".")
        least = len(fraction.rstrip("#?"))
        after = after[:least] + after[least:].rstrip("0")
        body = before.zfill(whole.count("0")) + (dot + after if after else "")
        body = code[: digits.start()] + body + rest
    body = re.sub(_MARK, lambda _: literals.pop(0) if literals else "", body)
    return ("-" if negative and "-" not in body and "(" not in code else "") + body.strip()


def _groups(value: int, code: str) -> str:
    places = len(re.findall(r"[0#]", code))
    text = str(value)
    spare, text = text[: max(0, len(text) - places)], text[max(0, len(text) - places) :].rjust(places)
    digits = iter(text)
    found = []
    for sign in code:
        digit = next(digits) if sign in "0#" else sign
        found.append(("0" if sign == "0" else "") if sign in "0#" and digit == " " else digit)
    return spare + "".join(found)


# --- Excel --------------------------------------------------------------------------------------------------------

_CELL: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_RELATION: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION: Final = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
_HEADER_CODES: Final = re.compile(r"&(?:\"[^\"]*\"|[0-9]+|K[0-9A-F]{6}|&|.)")
_AROUND: Final = frozenset({"oddHeader", "oddFooter", "firstHeader", "firstFooter", "evenHeader", "evenFooter"})
# A merged range may be a whole column; its value is repeated in no more rows than this.
_MOST_MERGED: Final = 2_000


@dataclass(slots=True)
class Sheet:
    """A visible sheet.

    Attributes:
        name: Its name.
        missing: Whether the workbook lists it but does not contain it.
        rows: The values of its filled cells by row and column, both counting from 1.
        comments: The comments on its cells, by row.
        around: The texts of its shapes, its headers and its footers.
    """

    name: str
    missing: bool = False
    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    comments: dict[int, list[str]] = field(default_factory=dict)
    around: list[str] = field(default_factory=list)


def sheets(archive: zipfile.ZipFile) -> Iterator[Sheet]:
    """Yield the visible sheets of an Excel workbook, in order.

    Raises:
        Unreadable: It is not a workbook, or declares entities.
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
    sheet.around = list(dict.fromkeys(filter(None, (*_boxes(archive, path), *sheet.around))))
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
        parts = {_tag(part): part for part in cell}
        raw = (parts["v"].text or "") if "v" in parts else ""
        match cell.get("t", "n"):
            case "s":
                value = strings[int(raw)] if raw.isdigit() and int(raw) < len(strings) else ""
            case "inlineStr":
                value = _text(parts["is"]) if "is" in parts else ""
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
    """Repeat the value of a merged cell in each row that it covers, in its first column."""
    first, _, last = ref.partition(":")
    begin, end = _CELL.fullmatch(first), _CELL.fullmatch(last)
    if not (begin and end):
        return
    column, top, bottom = _column(begin[1]), int(begin[2]), int(end[2])
    value = rows.get(top, {}).get(column)
    if not value:
        return
    for number in range(top + 1, min(bottom, top + _MOST_MERGED) + 1):
        # An otherwise empty row stays empty.
        if number in rows:
            rows[number].setdefault(column, value)
            rows[number] = dict(sorted(rows[number].items()))


def _boxes(archive: zipfile.ZipFile, path: str) -> Iterator[str]:
    """Yield the texts of the shapes and text boxes on a sheet, and the titles of its charts."""
    for target in _targets(archive, path, "drawing").values():
        root = _root(archive, target)
        for one in root.iter() if root is not None else ():
            if _tag(one) == "txBody":
                yield line(" ".join("".join(part.itertext()) for part in one if _tag(part) == "p"))
        for name in _targets(archive, target, "chart").values():
            if (chart := _root(archive, name)) is not None:
                yield from chart_titles(chart)


def _comments(archive: zipfile.ZipFile, path: str) -> Iterator[tuple[int, str]]:
    """Yield the comments on a sheet with their rows: threaded comments, then notes that do not repeat one."""
    seen: set[str] = set()
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
            seen.add(cell)
            yield comment_on(cell, who, _text(one))
    for target in _targets(archive, path, "comments").values():
        root = _root(archive, target)
        if root is None:
            continue
        authors = [one.text or "" for one in root.iter() if _tag(one) == "author"]
        for one in root.iter():
            cell = one.get("ref") or ""
            if _tag(one) == "comment" and cell not in seen:
                at = one.get("authorId") or ""
                who = authors[int(at)] if at.isdigit() and int(at) < len(authors) else ""
                yield comment_on(cell, who, _text(one))


def comment_on(cell: str, who: str, text: str) -> tuple[int, str]:
    """Return the row of a cell, such as B2, and its comment on a line; the author is left out if the text names him."""
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
    """Return the number format of each cell style."""
    root = _root(archive, path) if path else None
    if root is None:
        return []
    own = {one.get("numFmtId") or "": one.get("formatCode") or "" for one in root.iter() if _tag(one) == "numFmt"}
    styles = _child(root, "cellXfs")
    known = {str(at): code for at, code in BUILT_IN.items()} | own
    return [known.get(one.get("numFmtId") or "", "") for one in styles] if styles is not None else []


def _text(element: ET.Element) -> str:
    """Return the text of a string, without phonetic readings."""
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
    """Return the targets of a part's relationships by id, of one kind or of all."""
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


# --- OpenDocument -------------------------------------------------------------------------------------------------

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_CREATOR: Final = "{http://purl.org/dc/elements/1.1/}creator"
_ODS_CELL: Final = f"{_TABLE}table-cell"
_COVERED: Final = f"{_TABLE}covered-table-cell"
# A repeated cell that is filled is repeated in no more rows and columns than this.
_MOST_REPEATED: Final = 1_000


def opendocument_sheets(archive: zipfile.ZipFile) -> Iterator[Sheet]:
    """Yield the visible sheets of an OpenDocument spreadsheet, in order.

    Raises:
        Unreadable: It is not a spreadsheet, or declares entities.
    """
    if "content.xml" not in archive.namelist():
        raise Unreadable("is damaged: it is no OpenDocument spreadsheet", "Open it with LibreOffice")
    if b"<!ENTITY" in archive.read("content.xml"):
        raise Unreadable("declares entities, as no spreadsheet does", "Save it again with LibreOffice")
    hidden: set[str] = set()
    with archive.open("content.xml") as stream:
        reader = _Reader()
        for event, element in ET.iterparse(stream, ("start", "end")):  # noqa: S314 - no entities in it
            if event == "start":
                reader.begin(element)
            elif element.tag == f"{_STYLE}style":
                shown = element.find(f"{_STYLE}table-properties")
                if shown is not None and shown.get(f"{_TABLE}display") == "false":
                    hidden.add(element.get(f"{_STYLE}name") or "")
            elif (sheet := reader.end(element)) and reader.style not in hidden:
                yield sheet


class _Reader:
    """Builds sheets row by row; a table inside a cell or a drawing is not a sheet."""

    def __init__(self) -> None:
        self._sheet = Sheet("")
        self._tables = 0
        self._row = 1
        # By column, the last row of a merged cell and its value.
        self._merged: dict[int, tuple[int, str]] = {}
        self.style = ""

    def begin(self, element: ET.Element) -> None:
        """Handle the start of an element."""
        if element.tag == f"{_TABLE}table":
            self._tables += 1
            if self._tables == 1:
                self._sheet = Sheet(element.get(f"{_TABLE}name") or "")
                self.style = element.get(f"{_TABLE}style-name") or ""
                self._row, self._merged = 1, {}

    def end(self, element: ET.Element) -> Sheet | None:
        """Handle the end of an element; return the sheet that ends with it, if one does."""
        if element.tag == f"{_TABLE}table":
            self._tables -= 1
            element.clear()
            return None if self._tables else self._sheet
        if element.tag == f"{_TABLE}table-row" and self._tables == 1:
            self._take(element)
            element.clear()
        return None

    def _take(self, row: ET.Element) -> None:
        repeated = _number(row, "number-rows-repeated")
        values: dict[int, str] = {}
        column = 1
        for cell in row:
            if cell.tag not in {_ODS_CELL, _COVERED}:
                continue
            many = _number(cell, "number-columns-repeated")
            text = _cell_text(cell)
            if text:
                for at in range(column, column + min(many, _MOST_REPEATED)):
                    values[at] = text
            for comment in cell.findall(f"{_OFFICE}annotation"):
                self._sheet.comments.setdefault(self._row, []).append(_ods_comment(comment, column, self._row))
            if text and (rows := _number(cell, "number-rows-spanned")) > 1:
                self._merged[column] = self._row + rows - 1, text
            column += many
        for number in range(self._row, self._row + min(repeated, _MOST_REPEATED)):
            if not values:
                break  # an otherwise empty row stays empty
            on = {at: text for at, (last, text) in self._merged.items() if number <= last and at not in values}
            self._sheet.rows[number] = dict(sorted({**values, **on}.items()))
        self._row += repeated


def _cell_text(cell: ET.Element) -> str:
    return line(" ".join(words(one) for one in cell.findall(f"{_TEXT}p")))


def _ods_comment(comment: ET.Element, column: int, row: int) -> str:
    who = line(comment.findtext(_CREATOR) or "")
    text = line(" ".join(words(one) for one in comment.findall(f"{_TEXT}p")))
    return f"Comment {letters(column)}{row}: {f'{who}: ' if who else ''}{text}"


def letters(column: int) -> str:
    """Return the letters of a column."""
    found = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        found = chr(ord("A") + rest) + found
    return found


def _number(element: ET.Element, name: str) -> int:
    value = element.get(f"{_TABLE}{name}", "1")
    return max(1, int(value)) if value.isdigit() and len(value) < 10 else 1  # noqa: PLR2004 - more than any sheet has
