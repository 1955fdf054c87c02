"""Days as people type them: 2026-01-15, today, yesterday, or how long ago (7d, 2w, 3m, 1y)."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from typing import Final

_AGO: Final = re.compile(r"(\d{1,5})([dwmy])")
_DAYS: Final = {"d": 1, "w": 7}
_MONTHS: Final = {"m": 1, "y": 12}


def parse_day(text: str, today: date) -> date:
    """The day that a text names.

    Raises:
        ValueError: It names none, or one before the calendar begins.
    """
    word = text.strip().lower()
    if word == "today":
        return today
    if word == "yesterday":
        return today - timedelta(days=1)
    ago = _AGO.fullmatch(word)
    if not ago:
        return date.fromisoformat(word)
    number, unit = int(ago[1]), ago[2]
    if unit in _DAYS:
        try:
            return today - timedelta(days=number * _DAYS[unit])
        except OverflowError as error:
            raise ValueError(text) from error
    return _months_before(today, number * _MONTHS[unit])


def _months_before(day: date, months: int) -> date:
    """The same day some months before, or the month's last where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    if year < 1:
        raise ValueError(months)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
