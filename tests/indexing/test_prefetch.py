"""Items that are produced in advance."""

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
    """With any limit of waiting items."""
    with prefetch(weights, lambda weight: weight, most) as things:
        assert list(things) == weights


def test_prefetch_is_bounded() -> None:
    """With a slow consumer, the number of waiting items is limited, plus one in progress."""
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
    """The second item is ready before the first is used up."""
    second = threading.Event()

    def two() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    with prefetch(two(), lambda _: 1, 10) as things:
        for taken in things:
            if taken == 1:
                assert second.wait(120)


def test_error_is_raised_after_earlier_items() -> None:
    """It is the same exception."""

    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    taken: list[int] = []
    with pytest.raises(KeyError, match="lost"), prefetch(broken(), lambda _: 1, 10) as things:
        taken.extend(things)

    assert taken == [1]
