"""What a measurement on one's own notes found, as values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of something done several times, in the order in which it was done."""

    seconds: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many times it was done."""
        return len(self.seconds)

    @property
    def p50(self) -> float:
        """The median, as the nearest rank: half of the times were at most this long."""
        return quantile(self.seconds, 0.5)

    @property
    def p95(self) -> float:
        """Nineteen of twenty were at most this long; of fewer than twenty, all."""
        return quantile(self.seconds, 0.95)


@dataclass(frozen=True, slots=True)
class Speed:
    """How many passages were indexed, how many a second kb did, and how many the bare model, loaded before."""

    passages: int
    kb: float
    bare: float


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the ``depth`` exactly nearest passages that the store gives, over so many questions."""

    share: float
    depth: int
    questions: int


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What ``kb bench`` found.

    Attributes:
        model: The model.
        files: The files measured with.
        files_total: The files there are; more than ``files`` where a sample was taken.
        speed: Indexing beside the bare model.
        recall: The store beside exact search.
        saved: From the end of a save until ``kb search`` shows the note.
        asked: ``kb search`` as a whole command, through an owner.
        asked_alone: The same without an owner.
        python: The start of Python alone, in the same run.
        memory: The bytes of main memory that the owner took at the end.
        size: The bytes of the temporary store on the disk.
        seconds: How long all of it took.
    """

    model: str
    files: int
    files_total: int
    speed: Speed
    recall: Recall
    saved: Times
    asked: Times
    asked_alone: Times
    python: Times
    memory: int
    size: int
    seconds: float


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of the values does not exceed (nearest rank).

    Raises:
        ValueError: There are no values, or the share is not in 0..1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"no quantile {share} of {len(values)} values")
    return sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]
