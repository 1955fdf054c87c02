"""Reads workbooks: each row becomes a line with the column names before the values.

Excel workbooks in XML and OpenDocument spreadsheets are read by ``kb.formats.workbook``, all others by calamine.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from datetime import date, datetime, time, timedelta
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Final

from kb.formats.biff import Besides, besides
from kb.formats.builder import Unreadable, line
from kb.formats.containers import properties, refuse_encrypted
from kb.formats.dates import shown
from kb.formats.far_rows import brought_together
from kb.formats.workbook import displayed, opendocument_sheets, sheets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from python_calamine import CalamineSheet

    from kb.formats.builder import TextBuilder
    from kb.formats.workbook import Sheet
    from kb.sandbox.protocol import Limits

# The header row is searched for among this many first rows with values.
_HEADER_WITHIN: Final = 10
_SAMPLE: Final = 20
_BY_XML: Final = (".xlsx", ".xlsm")
_OPEN: Final = (".ods", ".ots")
# The values of filled cells by row and column, both counting from 1.
_Rows = dict[int, dict[int, str]]


def prepare() -> None:
    """Load calamine."""
    import python_calamine  # noqa: F401


def extract(name: str, data: bytes, builder: TextBuilder, limits: Limits) -> None:
    """Add the rows of every visible sheet to the builder.

    Raises:
        Unreadable: It is encrypted or not a workbook.
    """
    from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    refuse_encrypted(name, data, limits)
    builder.set_properties(*properties(data))
    if name.lower().endswith(_BY_XML) and data.startswith(b"PK"):
        _by_xml(builder, data, sheets)
        return
    if name.lower().endswith(_OPEN) and data.startswith(b"PK"):
        _by_xml(builder, data, opendocument_sheets)
        return
    beside = besides(data) if name.lower().endswith(".xls") else []
    data, renumbered = brought_together(data)
    try:
        workbook = CalamineWorkbook.from_filelike(BytesIO(data))
        for number, sheet in enumerate(workbook.sheets_metadata):
            if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
                own = beside[number] if number < len(beside) else Besides()
                old = renumbered.get(number)
                rows = _filled(workbook.get_sheet_by_name(sheet.name), own.formats, old)
                if old:
                    rows = {old[at - 1] + 1: row for at, row in rows.items()}
                _rows(builder, sheet.name, rows, own.comments)
                builder.add_text("\n".join(own.around))
    except CalamineError as error:
        if "password" in str(error).lower():
            raise Unreadable("is encrypted: it opens with a password only", "Keep an open copy beside it") from error
        raise


def _by_xml(builder: TextBuilder, data: bytes, read: Callable[[zipfile.ZipFile], Iterable[Sheet]]) -> None:
    """Add the sheets of a workbook in XML, with the texts of shapes, headers and footers below the rows."""
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except zipfile.BadZipFile as error:
        raise Unreadable("is damaged: it is not a workbook", "Open it with its own program") from error
    with archive:
        for sheet in read(archive):
            if sheet.missing:
                builder.add_unread(f'the sheet "{sheet.name}" is missing')
                continue
            _rows(builder, sheet.name, sheet.rows, sheet.comments)
            builder.add_text("\n".join(sheet.around))


def _filled(opened: CalamineSheet, formats: Mapping[tuple[int, int], str], old: Sequence[int] | None) -> _Rows:
    """Return the filled cells of a sheet, with merged cells repeated in each row.

    Args:
        opened: The sheet.
        formats: The number formats of its cells, by row and column.
        old: The numbers that its rows had, from 0, if they were renumbered.
    """
    left = (opened.start or (0, 0))[1]
    rows: _Rows = {}
    # Rows count from the first one of the sheet, columns from the first one that is filled.
    for at, row in enumerate(opened.iter_rows(), 1):
        number = old[at - 1] + 1 if old else at
        said = {
            column: text
            for column, value in enumerate(row, left + 1)
            if value != "" and (text := _cell(value, formats.get((number, column), "")))
        }
        if said:
            rows[at] = said
    for first, last in opened.merged_cell_ranges or ():
        value = rows.get(first[0] + 1, {}).get(first[1] + 1)
        for at in range(first[0] + 2, last[0] + 2):
            if value and at in rows:
                rows[at] = dict(sorted({first[1] + 1: value, **rows[at]}.items()))
    return rows


def _rows(builder: TextBuilder, name: str, rows: _Rows, comments: Mapping[int, list[str]] | None = None) -> None:
    """Add a sheet: rows up to the header as they are, those below with column names; comments at their rows."""
    comments = comments or {}
    builder.add_place(name, reset_headings=True)
    builder.add_heading(name, 1)
    header = _header(rows)
    begun = False
    for at in sorted({*rows, *comments}):
        row = rows.get(at, {})
        names = rows[header] if header is not None and at > header else {}
        builder.add_place(name, row=at, soft=begun)
        builder.add_line(" | ".join(_named(row, names)))
        for comment in comments.get(at, ()):
            builder.add_line(comment)
        begun = True
    builder.add_blank_line()


def _named(row: Mapping[int, str], names: Mapping[int, str]) -> Iterable[str]:
    """Return the values of a row, each after the name of its column if it has one."""
    for at, value in row.items():
        yield f"{names[at]}: {value}" if at in names else value


def _header(rows: _Rows) -> int | None:
    """Return the header row: the first with several values, none a number, and a row below it.

    Facts on the table that stand above it fill few of the columns.
    """
    said = list(islice(rows, _HEADER_WITHIN))
    counts = Counter(len(row) for row in islice(rows.values(), _SAMPLE))
    usual = counts.most_common(1)[0][0] if counts else 0
    for at in said:
        values = list(rows[at].values())
        if len(values) > max(1, usual / 2):
            named = len(set(values)) == len(values) and not any(_is_number(value) for value in values)
            return at if named and at != said[-1] else None
    return None


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()


def _cell(value: object, code: str) -> str:
    """Format a value; a number as its format displays it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return displayed(repr(value), code)
    if isinstance(value, datetime | date | time | timedelta):
        return shown(value)
    return line(str(value))
