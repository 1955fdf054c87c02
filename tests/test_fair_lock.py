"""A lock that is handed over in the order in which it was asked for."""

from __future__ import annotations

import threading
import time

from kb.fair_lock import FairLock


def test_the_thread_that_waits_gets_the_lock() -> None:
    """Not the one that has just released it and takes it again at once."""
    lock, order = FairLock(), []

    def other() -> None:
        with lock:
            order.append("other")

    thread = threading.Thread(target=other)
    with lock:
        thread.start()
        while not lock.wanted:
            time.sleep(0.001)
        order.append("first")
    with lock:
        order.append("first again")
    thread.join()

    assert order == ["first", "other", "first again"]
    assert not lock.wanted


def test_a_thread_may_take_it_again_while_it_has_it() -> None:
    """It is free once that is left as often as it was entered."""
    lock = FairLock()
    taken: list[bool] = []
    with lock, lock:
        pass

    thread = threading.Thread(target=lambda: taken.append(lock.__enter__() is lock))
    thread.start()
    thread.join()

    assert taken == [True]
