"""Parts that are built when they are first asked for."""

from __future__ import annotations

import threading
import time

import pytest

from kb.lazy import Lazy


def test_value_is_built_once_by_any_thread() -> None:
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


def test_value_is_built_on_first_use_and_none_is_a_value() -> None:
    """A part that turned out to be None is not built again at each question."""
    calls: list[int] = []
    part: Lazy[None] = Lazy(lambda: calls.append(1))

    assert part.built is None
    assert calls == []
    part.get()
    part.get()
    assert calls == [1]
    part.reset()
    part.get()
    assert calls == [1, 1]


def test_failed_build_is_retried() -> None:
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
