"""Things made before they are asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.indexing.pipeline import prefetch

if TYPE_CHECKING:
    from collections.abc import Iterator


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(0, 20))
def test_items_keep_order(weights: list[int], most: int) -> None:
    """However much or little may wait."""
    with prefetch(weights, lambda weight: weight, most) as things:
        assert list(things) == weights


def test_prefetch_is_bounded() -> None:
    """Whoever takes slowly is not buried: what waits is bounded, and one more is in the making."""
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    with prefetch(numbers(), lambda _: 1, 5) as things:
        for taken in things:
            assert len(made) <= taken + 1 + 5 + 2
            if taken == 50:
                break

    assert len(made) < 70
    assert not any(thread.name == "kb-prefetch" for thread in threading.enumerate())


def test_items_are_prefetched_while_others_are_used() -> None:
    """The second is there before the first is done with."""
    second = threading.Event()

    def two() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    with prefetch(two(), lambda _: 1, 10) as things:
        for taken in things:
            if taken == 1:
                assert second.wait(10)


def test_error_is_raised_after_earlier_items() -> None:
    """And it is the very error."""

    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    taken: list[int] = []
    with pytest.raises(KeyError, match="lost"), prefetch(broken(), lambda _: 1, 10) as things:
        taken.extend(things)

    assert taken == [1]
