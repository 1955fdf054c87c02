"""A check, a row of the table, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding


@dataclass(frozen=True, slots=True)
class Check:
    """A check.

    Attributes:
        name: Its name, which stays the same in all versions.
        about: What it looks at, for the documentation.
        remedy: The usual remedy, for the documentation.
        examine: Looks; returns what it found. It may raise ``Skipped``, and any other exception is a failure.
        needs: The checks without which it says nothing: if one of them failed or was skipped, so is this one.
        seconds: How long it may take.
        stuck: The remedy if it takes longer.
    """

    name: str
    about: str
    remedy: str
    examine: Callable[[Case], Finding]
    needs: tuple[str, ...] = ()
    seconds: float = 15.0
    stuck: str = "Run kb doctor again when the machine is less busy"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check.

    Attributes:
        check: The check.
        finding: What it found.
        seconds: How long it took.
    """

    check: Check
    finding: Finding
    seconds: float
