"""Workbooks: each row a line that says which column each value stands in.

Those of today's Excel and of OpenDocument are read by their own XML (``kb.formats.workbook``,
``kb.formats.workbook``), the others by calamine.
"""

from __future__ import annotations

import zipfile
from datetime import date, datetime, time, timedelta
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable, line
from kb.formats.containers import properties, refuse_locked
from kb.formats.dates import shown
from kb.formats.workbook import general, opendocument_sheets, sheets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from python_calamine import CalamineSheet

    from kb.formats.builder import Draft
    from kb.formats.workbook import Sheet
    from kb.sandbox.protocol import Limits

# The names of columns stand in one of the first rows that say anything.
_HEADER_WITHIN: Final = 10
_BY_XML: Final = (".xlsx", ".xlsm")
_OPEN: Final = (".ods", ".ots")
# The values of filled cells by row and column, both counting from 1.
_Rows = dict[int, dict[int, str]]


def prepare() -> None:
    """Load calamine."""
    import python_calamine  # noqa: F401


def extract(name: str, data: bytes, draft: Draft, limits: Limits) -> None:
    """Put the rows of every visible sheet into the draft.

    Raises:
        Unreadable: It is encrypted or no workbook.
    """
    from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    refuse_locked(name, data, limits)
    draft.describe(*properties(data))
    if name.lower().endswith(_BY_XML) and data.startswith(b"PK"):
        _by_xml(draft, data, sheets)
        return
    if name.lower().endswith(_OPEN) and data.startswith(b"PK"):
        _by_xml(draft, data, opendocument_sheets)
        return
    try:
        workbook = CalamineWorkbook.from_filelike(BytesIO(data))
        for sheet in workbook.sheets_metadata:
            if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
                opened = workbook.get_sheet_by_name(sheet.name)
                _rows(draft, sheet.name, _filled(opened))
    except CalamineError as error:
        if "password" in str(error).lower():
            raise Unreadable("is encrypted: it opens with a password only", "Keep an open copy beside it") from error
        raise


def _by_xml(draft: Draft, data: bytes, read: Callable[[zipfile.ZipFile], Iterable[Sheet]]) -> None:
    """A workbook by its own XML, with headers and footers below the rows."""
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except zipfile.BadZipFile as error:
        raise Unreadable("is damaged: it is no workbook", "Open it with its own program") from error
    with archive:
        for sheet in read(archive):
            if sheet.missing:
                draft.unread(f'the sheet "{sheet.name}" is missing')
                continue
            _rows(draft, sheet.name, sheet.rows, sheet.comments)
            draft.text("\n".join(sheet.around))


def _filled(opened: CalamineSheet) -> _Rows:
    """The filled cells of a sheet, those of merged ones in each row."""
    begin = opened.start or (0, 0)
    rows: _Rows = {}
    for at, row in enumerate(opened.iter_rows(), begin[0] + 1):
        said = {
            column: text for column, value in enumerate(row, begin[1] + 1) if value != "" and (text := _cell(value))
        }
        if said:
            rows[at] = said
    for first, last in opened.merged_cell_ranges or ():
        value = rows.get(first[0] + 1, {}).get(first[1] + 1)
        for at in range(first[0] + 2, last[0] + 2):
            if value and at in rows:
                rows[at] = dict(sorted({first[1] + 1: value, **rows[at]}.items()))
    return rows


def _rows(draft: Draft, name: str, rows: _Rows, comments: Mapping[int, list[str]] | None = None) -> None:
    """One sheet: rows up to the names of columns as they are, those below with the names; comments at their rows."""
    comments = comments or {}
    draft.place(name, anew=True)
    draft.heading(name, 1)
    header = _header(rows)
    begun = False
    for at in sorted({*rows, *comments}):
        row = rows.get(at, {})
        names = rows[header] if header is not None and at > header else {}
        draft.place(name, row=at, soft=begun)
        draft.line(" | ".join(_named(row, names)))
        for comment in comments.get(at, ()):
            draft.line(comment)
        begun = True
    draft.gap()


def _named(row: Mapping[int, str], names: Mapping[int, str]) -> Iterable[str]:
    """The values of a row, each behind the name of its column where that has one."""
    for at, value in row.items():
        yield f"{names[at]}: {value}" if at in names else value


def _header(rows: _Rows) -> int | None:
    """The row with the names of columns: the first one of several words, none a number, with something below it."""
    said = list(islice(rows, _HEADER_WITHIN))
    for at in said:
        values = list(rows[at].values())
        if len(values) > 1:
            named = len(set(values)) == len(values) and not any(_is_number(value) for value in values)
            return at if named and at != said[-1] else None
    return None


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()


def _cell(value: object) -> str:
    """A value as a reader sees it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return general(repr(value))
    if isinstance(value, datetime | date | time | timedelta):
        return shown(value)
    return line(str(value))
