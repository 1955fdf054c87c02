"""Where a long row of blocks is cut."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kb.chunking.split import partition

_sizes = st.lists(st.integers(0, 120), min_size=1, max_size=60)


def _ranks(sizes: list[int], seed: int) -> list[tuple[int, int]]:
    chance = random.Random(seed)
    return [(chance.choice([0, 0, 0, 1, 8]), chance.randrange(50)) for _ in sizes]


@given(_sizes, st.integers(0, 1000), st.integers(4, 100))
def test_runs_cover_all_blocks_in_order_and_fit(sizes: list[int], seed: int, budget: int) -> None:
    """Runs follow one another without gaps; none is over the room unless it is a single block."""
    runs = partition(sizes, _ranks(sizes, seed), budget)

    assert runs[0][0] == 0
    assert runs[-1][1] == len(sizes)
    assert all(before[1] == after[0] for before, after in pairwise(runs))
    assert all(low < high for low, high in runs)
    assert all(sum(sizes[low:high]) <= budget or high - low == 1 for low, high in runs)


def test_blocks_that_fit_are_not_cut() -> None:
    """Blocks that fit together stay together, whatever their ranks."""
    assert partition([5, 5, 5], [(0, 1), (0, 0), (0, 2)], 15) == [(0, 3)]
    assert partition([], [], 10) == []


def test_better_boundary_nearby_is_preferred() -> None:
    """Cutting after a heading or inside a line is a last resort."""
    sizes = [30, 30, 30, 30]

    runs = partition(sizes, [(0, 0), (8, 0), (0, 99), (8, 0)], 70)

    assert runs == [(0, 2), (2, 4)]


@given(st.integers(0, 10_000), st.integers(1, 298))
def test_insertion_moves_only_nearby_cuts(seed: int, where: int) -> None:
    """After one block is added to 300, at most six runs hold something they did not hold before."""
    chance = random.Random(seed)
    blocks = [(chance.randint(5, 70), (0, chance.getrandbits(32))) for _ in range(300)]
    added = [*blocks[:where], (chance.randint(5, 70), (0, chance.getrandbits(32))), *blocks[where:]]

    def runs(row: list[tuple[int, tuple[int, int]]]) -> set[tuple[tuple[int, tuple[int, int]], ...]]:
        parts = partition([size for size, _ in row], [rank for _, rank in row], 250)
        return {tuple(row[low:high]) for low, high in parts}

    assert len(runs(added) - runs(blocks)) <= 6
