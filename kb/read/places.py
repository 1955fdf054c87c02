"""Where a passage stands in its document's own terms: a page, a slide, some rows of a sheet."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from kb.records import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOWHERE: Final = Place(1)


def place_of(places: Sequence[Place], first_line: int, last_line: int) -> Place:
    """The place of the lines from one to another; its name says the rows, where there are some.

    Args:
        places: The places of the document, in the order of their lines.
        first_line: The first line of the passage.
        last_line: The last one.
    """
    first = _at(places, first_line)
    rows = [place.row for place in (first, _at(places, last_line)) if place.row]
    if not rows:
        # The name of a sheet stands above its first row.
        return first
    named = f"row {rows[0]}" if rows[0] == rows[-1] else f"rows {rows[0]}-{rows[-1]}"
    return Place(first.first_line, f"{first.name} {named}".strip(), rows[0], first.page)


def _at(places: Sequence[Place], line: int) -> Place:
    at = bisect_right(places, line, key=lambda place: place.first_line)
    return places[at - 1] if at else _NOWHERE
