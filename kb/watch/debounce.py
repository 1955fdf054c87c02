"""Gathers dirty places until they are quiet, so that a burst of changes is looked at once and not a thousand times."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias


class Everything(Enum):
    """The type of ``EVERYTHING``, which is the only value of it."""

    EVERYTHING = "everything"

    def __repr__(self) -> str:
        """As it is written in the code."""
        return "EVERYTHING"


EVERYTHING: Final = Everything.EVERYTHING
"""All watched folders: what has to be looked at where nobody knows what changed."""

Place: TypeAlias = tuple[str, str]
"""A folder, and a directory below it with ``/`` ("" for the folder itself). It stands for all that is below it."""

MOST_PLACES: Final = 200
"""How many places are kept apart. More of them cost more than to look at everything once."""


@dataclass(frozen=True, slots=True)
class _Span:
    """When a place was marked first and last."""

    first: float
    last: float


class Debouncer:
    """The dirty places that nobody took yet. Each is due after quiet, and after patience at the latest.

    Every place waits for itself: a log that is never quiet holds up nothing but its own directory. Times are
    seconds of a clock that never goes back; this class has none of its own.

    Args:
        quiet: How long a place has to be left alone before it is due.
        patience: How long a place may wait in all, however restless it is.
        most: How many places are kept apart before they are folded into ``EVERYTHING``.
    """

    def __init__(self, quiet: float = 0.3, patience: float = 5.0, most: int = MOST_PLACES) -> None:
        self._quiet = quiet
        self._patience = patience
        self._most = most
        self._spans: dict[Place | Everything, _Span] = {}

    def __len__(self) -> int:
        """How many places wait; ``EVERYTHING`` is one."""
        return len(self._spans)

    def mark(self, place: Place | Everything, now: float) -> None:
        """Something changed at a place, or below it."""
        for cover in _covers(place):
            if cover in self._spans:
                self._spans[cover] = _Span(self._spans[cover].first, now)
                return
        self._fold([known for known in self._spans if place in _covers(known)], place, now)
        if len(self._spans) > self._most:
            self._fold(list(self._spans), EVERYTHING, now)

    def due_in(self, now: float) -> float | None:
        """Seconds until the first place is due, 0 where one is; None where nothing waits."""
        if not self._spans:
            return None
        return max(0.0, min(map(self._due_at, self._spans.values())) - now)

    def take(self, now: float) -> frozenset[Place] | Everything | None:
        """Hand out what is due and forget it; None where nothing is."""
        due = {place for place, span in self._spans.items() if self._due_at(span) <= now}
        for place in due:
            del self._spans[place]
        if EVERYTHING in due:
            return EVERYTHING
        return frozenset(place for place in due if place is not EVERYTHING) or None

    def clear(self) -> int:
        """Forget all places, due or not, and say how many there were: everything is being looked at now."""
        count = len(self._spans)
        self._spans.clear()
        return count

    def _due_at(self, span: _Span) -> float:
        return min(span.last + self._quiet, span.first + self._patience)

    def _fold(self, nested: list[Place | Everything], into: Place | Everything, now: float) -> None:
        """Put one place where several were. It is as old as the oldest, so that none waits longer for it."""
        firsts = [self._spans.pop(place).first for place in nested]
        self._spans[into] = _Span(min(firsts, default=now), now)


def _covers(place: Place | Everything) -> list[Place | Everything]:
    """The place itself, the directories around it, and ``EVERYTHING``."""
    if place is EVERYTHING:
        return [EVERYTHING]
    folder, directory = place
    covers: list[Place | Everything] = [place]
    while directory:
        directory = directory.rpartition("/")[0]
        covers.append((folder, directory))
    return [*covers, EVERYTHING]
