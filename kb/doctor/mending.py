"""Makes the changes of findings that are safe, and says which were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kb.errors import KbError, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kb.doctor.check import Result


@dataclass(frozen=True, slots=True)
class Fixed:
    """A change that was made, or could not be.

    Attributes:
        check: The check that found what it mends.
        what: What it does.
        problem: Why it could not be made; empty if it was.
    """

    check: str
    what: str
    problem: str = ""


def fix(results: Iterable[Result]) -> Iterator[Fixed]:
    """Make the changes of some results, in order, and yield each once it is made."""
    for result in results:
        for change in result.finding.fixes:
            try:
                change.do()
            except KbError as error:
                yield Fixed(result.check.name, change.what, error.message)
            except OSError as error:
                yield Fixed(result.check.name, change.what, reason_of(error))
            else:
                yield Fixed(result.check.name, change.what)
