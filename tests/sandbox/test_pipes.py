"""Pipes to a child with a deadline, as POSIX and as Windows have them."""

from __future__ import annotations

import os
import threading
import time
from typing import IO, TYPE_CHECKING

import pytest

from kb.sandbox.pipes import DeadlinePassed, PipeClosed, PolledPipes, ThreadedPipes

if TYPE_CHECKING:
    from collections.abc import Iterator

Made = type[PolledPipes] | type[ThreadedPipes]


class Child:
    """The other ends of two pipes."""

    def __init__(self, kind: Made) -> None:
        to_child, from_child = os.pipe(), os.pipe()
        self.reads, self.writes = self._open(to_child[0], "rb"), self._open(from_child[1], "wb")
        self._ours = [self._open(to_child[1], "wb"), self._open(from_child[0], "rb")]
        self.pipes = kind(*self._ours)

    @staticmethod
    def _open(descriptor: int, mode: str) -> IO[bytes]:
        return os.fdopen(descriptor, mode, buffering=0)

    def close(self) -> None:
        """Close all that is open."""
        self.pipes.hang_up()
        for stream in (self.reads, self.writes):
            stream.close()
        for thread in threading.enumerate():
            if thread.name == "kb-pipe":
                thread.join(120)
        for stream in self._ours:
            stream.close()


@pytest.fixture(params=[PolledPipes, ThreadedPipes])
def child(request: pytest.FixtureRequest) -> Iterator[Child]:
    """A child, by either kind of pipes; no thread of it is left behind."""
    made = Child(request.param)
    yield made
    made.close()
    assert [one.name for one in threading.enumerate() if one.name == "kb-pipe"] == []


def soon(seconds: float = 120.0) -> float:
    """A deadline."""
    return time.monotonic() + seconds


def test_more_than_a_pipe_holds_goes_both_ways(child: Child) -> None:
    """In pieces, and in order."""
    data = os.urandom(1_500_000)

    def echo() -> None:
        left = len(data)
        while left:
            left -= child.writes.write(child.reads.read(9_999))

    threads = [
        threading.Thread(target=echo),
        threading.Thread(target=child.pipes.send, args=[(data[:9], data[9:]), soon()]),
    ]
    for thread in threads:
        thread.start()
    received = child.pipes.receive(4, soon()) + child.pipes.receive(len(data) - 4, soon())
    for thread in threads:
        thread.join(120)

    assert received == data


def test_who_writes_nothing_is_not_waited_for(child: Child) -> None:
    """What came before is kept for the next call."""
    child.writes.write(b"abc")
    assert child.pipes.receive(1, soon()) == b"a"

    with pytest.raises(DeadlinePassed):
        child.pipes.receive(9, soon(0.05))


def test_who_reads_nothing_is_not_waited_for(child: Child) -> None:
    """A pipe takes some tens of kilobytes."""
    with pytest.raises(DeadlinePassed):
        child.pipes.send((b"x" * 5_000_000,), soon(0.05))


def test_the_end_of_the_other_side_is_told(child: Child) -> None:
    """On either pipe, each time."""
    child.writes.close()
    child.reads.close()

    for _ in range(2):
        with pytest.raises(PipeClosed):
            child.pipes.receive(1, soon())
    with pytest.raises(PipeClosed):
        child.pipes.send((b"x",), soon())
