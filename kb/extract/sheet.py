"""Workbooks by calamine: each row a line that says which column each value stands in."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from kb.extract.clean import line
from kb.extract.containers import properties, refuse_locked
from kb.extract.dates import shown
from kb.extract.draft import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.extract.draft import Draft
    from kb.extract.wire import Limits

# The names of columns stand in one of the first rows that say anything.
_HEADER_WITHIN: Final = 10
_WHOLE: Final = 1e15


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
    try:
        workbook = CalamineWorkbook.from_filelike(BytesIO(data))
        for sheet in workbook.sheets_metadata:
            if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
                opened = workbook.get_sheet_by_name(sheet.name)
                first = opened.start[0] + 1 if opened.start else 1
                _rows(draft, sheet.name, first, opened.to_python(skip_empty_area=True))
    except CalamineError as error:
        if "password" in str(error).lower():
            raise Unreadable("is encrypted: it opens with a password only", "Keep an open copy beside it") from error
        raise


def _rows(draft: Draft, name: str, first: int, rows: Iterable[Sequence[Any]]) -> None:
    """One sheet: rows up to the names of columns as they are, those below with the names."""
    draft.place(name, anew=True)
    draft.heading(name, 1)
    cells = [[_cell(value) for value in row] for row in rows]
    header = _header(cells)
    begun = False
    for at, row in enumerate(cells):
        names = cells[header] if header is not None and at > header else ()
        if any(row):
            draft.place(name, row=first + at, soft=begun)
            draft.line(" | ".join(_named(row, names)))
            begun = True
    draft.gap()


def _named(row: Sequence[str], names: Sequence[str]) -> Iterable[str]:
    """The values of a row, each behind the name of its column where that has one."""
    for at, value in enumerate(row):
        if value:
            name = names[at] if at < len(names) else ""
            yield f"{name}: {value}" if name else value


def _header(rows: Sequence[Sequence[str]]) -> int | None:
    """The row with the names of columns: the first one of several words, none a number, with something below it."""
    said = [at for at, row in enumerate(rows) if any(row)][:_HEADER_WITHIN]
    for at in said:
        values = [value for value in rows[at] if value]
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
        return str(int(value)) if value.is_integer() and abs(value) < _WHOLE else f"{value:.15g}"
    if isinstance(value, datetime | date | time | timedelta):
        return shown(value)
    return line(str(value))
