"""Measurements with their targets, and a table of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement.

    Attributes:
        name: The benchmark.
        what: What was measured.
        measured: The value with its unit, or why it was skipped.
        target: The target; empty if there is none.
        met: Whether the target is met; None if it was skipped or has no target.
    """

    name: str
    what: str
    measured: str
    target: str = ""
    met: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """The row as plain values."""
        return asdict(self)


def at_most(name: str, what: str, value: float, most: float, unit: str = "", *, digits: int = 2) -> Row:
    """A value with a maximum."""
    return Row(
        name,
        what,
        _number(value, unit, digits),
        f"at most {_number(most, unit, digits)}",
        _round(value, digits) <= most,
    )


def at_least(name: str, what: str, value: float, least: float, unit: str = "", *, digits: int = 3) -> Row:
    """A value with a minimum."""
    return Row(
        name,
        what,
        _number(value, unit, digits),
        f"at least {_number(least, unit, digits)}",
        _round(value, digits) >= least,
    )


def skipped(name: str, what: str, reason: str, target: str) -> Row:
    """A value that cannot be measured here."""
    return Row(name, what, f"skipped: {reason}", target)


def table(rows: Sequence[Row]) -> str:
    """The rows in aligned columns with a header. Values without a target may be longer than their column."""
    heading = ("benchmark", "what", "measured", "target", "met")
    lines = [heading, *((row.name, row.what, row.measured, row.target, _verdict(row)) for row in rows)]
    judged = [heading, *(line for line, row in zip(lines[1:], rows, strict=True) if row.target)]
    widths = [max(len(line[column]) for line in (lines if column < 2 else judged)) for column in range(len(heading))]
    told = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([told[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *told[1:]])


def _verdict(row: Row) -> str:
    if row.met is None:
        return "-" if row.target else ""
    return "yes" if row.met else "NO"


def _round(value: float, digits: int) -> float:
    """The number as it is shown, which is also compared with the target."""
    return round(value, digits)


def _number(value: float, unit: str, digits: int) -> str:
    return f"{value:.{digits}f}{' ' if unit else ''}{unit}"
