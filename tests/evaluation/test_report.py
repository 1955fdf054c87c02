"""Quantiles are what a hand computes, and the figures are told in people's and in programs' words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.cli.commands.bench import bench_object, bench_text
from kb.evaluation.bench import BenchReport, Recall, Speed, Times, quantile

REPORT = BenchReport(
    model="tiny, cpu (float32)",
    files=20,
    files_total=1_577,
    speed=Speed(1_000, 50.0, 55.0),
    recall=Recall(0.999, 10, 100),
    saved=Times((0.4, 0.5, 1.25)),
    with_daemon=Times((0.09, 0.1)),
    without_daemon=Times((4.0,)),
    python=Times((0.02,)),
    memory=600_000_000,
    size=12_000_000,
    seconds=61.2,
)


def test_quantiles_are_of_the_nearest_rank() -> None:
    """Of 1 to 20 the median is the tenth, and nineteen of twenty are at most 19; of three, 95 % is all."""
    twenty = [float(number) for number in range(20, 0, -1)]

    assert (quantile(twenty, 0.5), quantile(twenty, 0.95), quantile(twenty, 1.0)) == (10.0, 19.0, 20.0)
    assert quantile([3.0, 1.0, 2.0], 0.95) == 3.0
    with pytest.raises(ValueError, match="of 0 values"):
        quantile([], 0.5)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_a_value_that_enough_others_do_not_exceed(values: list[float], share: float) -> None:
    """It is one of the values, and no smaller one would do."""
    found = quantile(values, share)

    assert found in values
    assert sum(one <= found for one in values) >= share * len(values) - 1e-6
    smaller = [one for one in values if one < found]
    assert len(smaller) <= max(share * len(values), 0) + 1e-6


def test_the_figures_are_told_to_people() -> None:
    """A line a figure, each with its unit and what it is compared with."""
    assert bench_text(REPORT) == (
        "model:       tiny, cpu (float32)\n"
        "notes:       20 of 1,577 files, 1,000 passages\n"
        "indexing:    50.0 passages/s, the bare model 55.0 (1.10 x)\n"
        "found after: p50 500 ms, p95 1.25 s from the end of a save (3 saves)\n"
        "question:    p50 90 ms, p95 100 ms with kb watch (2 commands; the start of Python alone is 20 ms)\n"
        "             p50 4.00 s, p95 4.00 s without kb watch (1 command)\n"
        "recall@10:   0.9990 against exact search (100 questions)\n"
        "memory:      600.0 MB (kb watch)\n"
        "disk:        12.0 MB, 12.0 kB a passage\n"
        "took:        61 s\n"
    )


def test_the_figures_are_told_to_programs() -> None:
    """Seconds and bytes as numbers, under names that stay."""
    told = bench_object(REPORT)

    assert told["passages_per_second"] == {"kb": 50.0, "bare_model": 55.0}
    assert told["save_to_found"] == {"p50": 0.5, "p95": 1.25, "count": 3}
    assert set(told["question"]) == {"with_owner", "without_owner", "python_alone"}
    assert (told["recall"]["share"], told["memory"], told["disk"]) == (0.999, 600_000_000, 12_000_000)
