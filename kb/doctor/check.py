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
        examine: Looks; returns what it found. It may raise ``Skipped``, and any other exception is a failure. Its
            docstring says what is looked at, as "Whether ...".
        remedy: The usual remedy, for the documentation.
        needs: The checks without which it says nothing: if one of them failed or was skipped, so is this one.
        seconds: How long it may take.
        stuck: The remedy if it takes longer.
    """

    name: str
    examine: Callable[[Case], Finding]
    remedy: str
    needs: tuple[str, ...] = ()
    seconds: float = 15.0
    stuck: str = "Run kb doctor again when the machine is less busy"

    @property
    def about(self) -> str:
        """What is so if nothing is wrong, for the documentation."""
        said = (self.examine.__doc__ or "").partition("\n")[0]
        return said.removeprefix("Whether ").removesuffix(".").replace("``", "`")


@dataclass(frozen=True, slots=True)
class Result:
    """A check, what it found, and how many seconds it took."""

    check: Check
    finding: Finding
    seconds: float
