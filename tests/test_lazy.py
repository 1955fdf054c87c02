"""Parts that are built when they are first asked for."""

from __future__ import annotations

import threading
import time

import pytest

from kb.lazy import Lazy


def test_is_built_once_whichever_thread_asks() -> None:
    """Threads that ask while it is being built wait for the same one."""
    built: list[object] = []

    def build() -> object:
        time.sleep(0.05)
        built.append(object())
        return built[-1]

    part, got = Lazy(build), []
    threads = [threading.Thread(target=lambda: got.append(part.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(built) == 1
    assert got == built * 8


def test_nothing_is_built_unasked_and_none_counts_as_built() -> None:
    """A part that turned out to be None is not built again at each question."""
    calls: list[int] = []
    part: Lazy[None] = Lazy(lambda: calls.append(1))

    assert part.built is None
    assert calls == []
    part.get()
    part.get()
    assert calls == [1]
    part.forget()
    part.get()
    assert calls == [1, 1]


def test_failed_build_is_tried_again() -> None:
    """A disk that was not there may be there the next time."""
    answers = [OSError("not there"), None]

    def build() -> str:
        if error := answers.pop(0):
            raise error
        return "built"

    part = Lazy(build)
    with pytest.raises(OSError, match="not there"):
        part.get()

    assert part.get() == part.built == "built"
