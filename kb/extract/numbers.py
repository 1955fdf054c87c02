"""Numbers of a sheet as they are displayed: by the format of their cell, as Excel writes it (ECMA-376, 18.8.30)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from kb.extract.dates import shown

# The formats that have a number instead of a code; those of days and times are only told apart.
BUILT_IN: Final = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 14: "yyyy-mm-dd",
    15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm", 37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00",
    45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss", 49: "@",
}  # fmt: skip
_LITERAL: Final = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|_.|\*.')
_BRACKETS: Final = re.compile(r"\[[^\]]*\]")
_ELAPSED: Final = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_DAY: Final = re.compile(r"[dy]|m{3}", re.IGNORECASE)
_TIME: Final = re.compile(r"[hs]", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[#0?][#0?,]*(?:\.[#0?]+)?")
_LARGEST: Final = 1e21
_DAYS_1904: Final = 1462
_LAST_DAY: Final = 2_958_466
_MARK: Final = "\0"


def displayed(raw: str, code: str, *, since_1904: bool = False) -> str:
    """A number as a reader sees it; a day and a time in the order of ISO 8601, whatever the format.

    Args:
        raw: The number as the file has it.
        code: The format of its cell; empty for the general one.
        since_1904: Whether days count from 1904.
    """
    try:
        value = float(raw)
    except ValueError:
        return raw
    if value != value or abs(value) == float("inf"):  # noqa: PLR0124 - no number
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
    return _number(value, bare, digits, literals)


def general(raw: str) -> str:
    """A number without a format: whole ones with all their digits."""
    try:
        value = float(raw)
    except ValueError:
        return raw
    if re.fullmatch(r"-?[0-9]+", raw):
        return raw
    return str(int(value)) if value.is_integer() and abs(value) < _LARGEST else f"{value:.15g}"


def _section(code: str, value: float) -> str:
    """The part of a format that is for a number: positive, negative, zero."""
    parts = re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', code)
    if value < 0 and len(parts) > 1:
        return "-" + parts[1].strip("()-") if "-" not in parts[1] else parts[1]
    return parts[2] if value == 0 and len(parts) > 2 and _DIGITS.search(parts[2]) else parts[0]  # noqa: PLR2004 - zero


def _moment(value: float, code: str, *, since_1904: bool) -> str:
    days = value + (_DAYS_1904 if since_1904 else 0)
    if not 0 <= days < _LAST_DAY:
        return ""
    # Excel takes 1900 for a leap year.
    when = datetime(1899, 12, 31 if days < 60 else 30) + timedelta(seconds=round(days * 86_400))  # noqa: DTZ001, PLR2004 - no zone; 1 March 1900
    if not _DAY.search(code):
        return when.strftime("%H:%M:%S").removesuffix(":00") if when.second == 0 else when.strftime("%H:%M:%S")
    return shown(when) if _TIME.search(code) else when.date().isoformat()


def _duration(days: float) -> str:
    seconds = round(abs(days) * 86_400)
    sign = "-" if days < 0 else ""
    text = f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}"
    return f"{text}:{seconds % 60:02d}" if seconds % 60 else text


def _number(value: float, code: str, digits: re.Match[str], literals: list[str]) -> str:
    """A number in the places of a format: leading zeros, decimals, groups, percent, and what is written around it."""
    negative, value = value < 0, abs(value)
    percent = code.count("%")
    value *= 100**percent
    rest = code[digits.end() :]
    # A number of a telephone or the like has its digits in several groups.
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
    said = iter(text)
    found = []
    for sign in code:
        digit = next(said) if sign in "0#" else sign
        found.append(("0" if sign == "0" else "") if sign in "0#" and digit == " " else digit)
    return spare + "".join(found)
