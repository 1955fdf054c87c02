"""Converts the dates of documents to ISO 8601; an invalid date is empty."""

from __future__ import annotations

import re
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_PDF: Final = re.compile(r"(?:D:)?(\d{4})(\d{2})?(\d{2})?")
_ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_COMPACT: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?!\d)")
_NO_YEAR: Final = re.compile(r" -\d{4} ")
_FIRST_YEAR: Final = 1900


def pdf_date(text: str) -> str:
    """Convert a date in a PDF's notation, ``D:20240131093000+01'00'``."""
    found = _PDF.match(text.strip())
    return _day(found[1], found[2] or "01", found[3] or "01") if found else ""


def iso_date(text: str | None) -> str:
    """Return the day of an ISO 8601 date and time, as the Office formats write it."""
    found = _ISO.match((text or "").strip())
    return _day(*found[0].split("-")) if found else ""


def day_of(text: str | None) -> str:
    """Return the day of a date with or without hyphens, such as ``20240131T093000Z``."""
    found = _COMPACT.match((text or "").strip())
    return _day(found[1], found[2], found[3]) if found else ""


def mail_date(text: str | None) -> str:
    """Return the day in a mail's date header, in the sender's time zone. A year below 1, as in a draft, is no date."""
    try:
        return parsedate_to_datetime(text).date().isoformat() if text and not _NO_YEAR.search(text) else ""
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def shown(value: object) -> str:
    """Format a date and time of a sheet; midnight is left out."""
    if isinstance(value, datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    return str(value)


def _day(year: str, month: str, day: str) -> str:
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        return ""
    return found.isoformat() if found.year >= _FIRST_YEAR else ""
