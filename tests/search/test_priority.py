"""Background work waits while a question is answered, and never for ever."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kb.search.priority import QueryPriority

if TYPE_CHECKING:
    import pytest


def test_without_questions_nobody_waits() -> None:
    """Before any, and after all have left."""
    # A clock that stands still: were there a wait, there would be one each time.
    query_priority = QueryPriority(lambda: 0.0)
    with query_priority:
        pass

    began = time.monotonic()
    for _ in range(1000):
        query_priority.wait()

    assert time.monotonic() - began < 60


def test_work_begins_when_the_last_question_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when the first of two is."""
    monkeypatch.setattr("kb.search.priority._LONGEST", 120)
    query_priority = QueryPriority()
    order: list[str] = []
    inside = threading.Event()

    def ask() -> None:
        with query_priority:
            with query_priority:
                inside.set()
            time.sleep(0.05)
            order.append("answered")

    asking = threading.Thread(target=ask)
    asking.start()
    assert inside.wait(120)
    query_priority.wait()
    order.append("work")
    asking.join()

    assert order == ["answered", "work"]


def test_endless_questions_leave_half_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each wait the work goes ahead for as long as it waited."""
    now, worked = 0.0, 0.0
    query_priority = QueryPriority(lambda: now)

    def wait_for(_: object, seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(query_priority._condition, "wait_for", wait_for)
    with query_priority:
        while now < 90:
            query_priority.wait()
            now += 0.01
            worked += 0.01

    assert 0.4 < worked / now < 0.6
