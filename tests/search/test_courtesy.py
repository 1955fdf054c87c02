"""Background work waits while a question is answered, and never for ever."""

from __future__ import annotations

import threading
import time

from kb.search.courtesy import Courtesy


def test_without_questions_nobody_waits() -> None:
    """Before any, and after all have left."""
    courtesy = Courtesy()
    with courtesy:
        pass

    began = time.monotonic()
    for _ in range(1000):
        courtesy.wait()

    assert time.monotonic() - began < 0.1


def test_work_begins_when_the_last_question_is_answered() -> None:
    """Not when the first of two is."""
    courtesy = Courtesy()
    order: list[str] = []
    inside = threading.Event()

    def ask() -> None:
        with courtesy:
            with courtesy:
                inside.set()
            time.sleep(0.05)
            order.append("answered")

    asking = threading.Thread(target=ask)
    asking.start()
    assert inside.wait(5)
    courtesy.wait()
    order.append("work")
    asking.join()

    assert order == ["answered", "work"]


def test_endless_questions_leave_half_of_the_time() -> None:
    """After each wait the work goes ahead for as long as it waited."""
    courtesy = Courtesy()
    worked = 0.0
    with courtesy:
        began = time.monotonic()
        while time.monotonic() - began < 0.9:
            courtesy.wait()
            before = time.monotonic()
            time.sleep(0.01)
            worked += time.monotonic() - before

    assert worked > 0.3
