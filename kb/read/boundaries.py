"""Where to cut a long row of blocks, so that an edit moves only the cuts beside it.

Filling passages one after another would shift every cut behind an insertion, and every passage behind it would have
to be embedded again. Here a cut depends on the blocks around it alone.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Better boundaries compare smaller: first how little they tear apart, then a hash of what follows.
Rank = tuple[int, int]


def partition(sizes: Sequence[int], ranks: Sequence[Rank], room: int) -> list[tuple[int, int]]:
    """Divide blocks into runs of at most ``room``, as half-open ranges; a block over it stands alone.

    Args:
        sizes: The size of each block.
        ranks: For each block how good it is to cut in front of it; smaller is better.
        room: The most that a run may measure.
    """
    ends = [0, *accumulate(sizes)]
    if ends[-1] <= room or len(sizes) < 2:  # noqa: PLR2004 - one block cannot be divided here
        return [(0, len(sizes))] if sizes else []
    cuts = [0, *_local_minima(ends, ranks, room), len(sizes)]
    return [part for low, high in pairwise(cuts) for part in _divide(ends, ranks, room, low, high)]


def _local_minima(ends: Sequence[int], ranks: Sequence[Rank], room: int) -> list[int]:
    """The boundaries that are better than all others near them; the ends are better than any.

    One that tears nothing apart has to be the best within three eighths of the room, which fills runs well. One that
    does is cut only where the way between two better ones is so long that it must be.
    """
    count = len(ranks)
    left = _distances(ends, ranks, range(1, count), ends[0], ties_win=True)
    right = _distances(ends, ranks, range(count - 1, 0, -1), ends[-1], ties_win=False)
    return [at for at in range(1, count) if min(left[at], right[at]) >= (room if ranks[at][0] else room * 3 // 8)]


def _distances(ends: Sequence[int], ranks: Sequence[Rank], order: range, edge: int, *, ties_win: bool) -> list[int]:
    """How far each boundary is from the next better one against ``order``, by a stack of ever better ones."""
    distances = [0] * len(ranks)
    better: list[int] = []
    for at in order:
        while better and (ranks[better[-1]] > ranks[at] or (not ties_win and ranks[better[-1]] == ranks[at])):
            better.pop()
        distances[at] = abs(ends[at] - (ends[better[-1]] if better else edge))
        better.append(at)
    return distances


def _divide(ends: Sequence[int], ranks: Sequence[Rank], room: int, low: int, high: int) -> list[tuple[int, int]]:
    """Halve a run at its best boundary until everything fits; crumbs at the edges are avoided."""
    done: list[tuple[int, int]] = []
    waiting = [(low, high)]
    while waiting:
        low, high = waiting.pop()
        if ends[high] - ends[low] <= room or high - low == 1:
            done.append((low, high))
            continue
        at = _best(ends, ranks, room // 4, low, high)
        waiting += [(at, high), (low, at)]
    return done


def _best(ends: Sequence[int], ranks: Sequence[Rank], margin: int, low: int, high: int) -> int:
    def larger_side(at: int) -> int:
        return max(ends[at] - ends[low], ends[high] - ends[at])

    inner = [at for at in range(low + 1, high) if ends[at] - ends[low] >= margin and ends[high] - ends[at] >= margin]
    if inner:
        return min(inner, key=lambda at: (ranks[at], larger_side(at)))
    return min(range(low + 1, high), key=lambda at: (larger_side(at), ranks[at]))
