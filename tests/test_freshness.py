"""When the folders are scanned: within the first question, and between later ones."""

from __future__ import annotations

import threading
import time

import pytest

from kb.freshness import PendingFiles
from kb.records import Missing


class Folders:
    """Folders whose scan takes as long as a test says, by a clock that the test moves."""

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.waiting = 0
        self.scans = 0
        self.blocked = threading.Event()
        self.blocked.set()

    def scan(self) -> Missing:
        """Count what waits."""
        assert self.blocked.wait(120)
        self.scans += 1
        self.now += self.seconds
        return Missing(waiting=self.waiting)

    def clock(self) -> float:
        """The time of the test."""
        return self.now


def settled(folders: Folders, scans: int) -> None:
    """Wait until so many scans were made."""
    until = time.monotonic() + 120
    while folders.scans < scans:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_the_first_question_scans_and_the_next_takes_its_result() -> None:
    """A result of this very question has no time to tell; one that was kept has."""
    folders = Folders(seconds=0.05)
    pending = PendingFiles(folders.scan, clock=folders.clock)

    first, second = pending.look(), pending.look()

    assert (first.kept, second.kept, folders.scans) == (False, True, 1)


def test_an_older_result_is_taken_while_a_thread_scans() -> None:
    """The question does not wait; the one after has the new count."""
    folders = Folders(seconds=0.05)
    pending = PendingFiles(folders.scan, clock=folders.clock)
    pending.look()
    folders.waiting, folders.now = 3, folders.now + 2
    folders.blocked.clear()

    assert pending.look().missing.waiting == 0
    assert pending.look().missing.waiting == 0
    folders.blocked.set()
    settled(folders, 2)
    pending.close()

    assert folders.scans == 2


@pytest.mark.parametrize(("seconds", "later"), [(0.001, 2.0), (0.05, 6.0), (3.0, 6.0)])
def test_a_quick_scan_and_one_long_ago_are_made_within_the_question(seconds: float, later: float) -> None:
    """Neither keeps an answer from being exact where that costs nothing, or would say little."""
    folders = Folders(seconds)
    pending = PendingFiles(folders.scan, clock=folders.clock)
    pending.look()
    folders.waiting, folders.now = 1, folders.now + later

    look = pending.look()

    assert (look.kept, look.missing.waiting) == (False, 1)


@pytest.mark.parametrize(("seconds", "soon", "later"), [(0.2, 1.9, 2.1), (3.0, 2.4, 2.6)])
def test_long_scans_are_made_less_often(seconds: float, soon: float, later: float) -> None:
    """They take at most a tenth of the time, but no result is kept for more than a moment."""
    folders = Folders(seconds)
    pending = PendingFiles(folders.scan, clock=folders.clock)
    pending.look()
    ended = folders.now
    folders.now = ended + soon
    pending.look()
    assert folders.scans == 1

    folders.now = ended + later
    assert pending.look().kept
    settled(folders, 2)
    pending.close()


def test_a_reset_forgets_also_what_a_scan_under_way_will_say() -> None:
    """It began before the change."""
    folders = Folders(seconds=0.05)
    pending = PendingFiles(folders.scan, clock=folders.clock)
    pending.look()
    folders.now += 2
    folders.blocked.clear()
    pending.look()
    pending.reset()
    folders.blocked.set()
    settled(folders, 2)
    folders.waiting = 5

    assert pending.look().missing.waiting == 5


def test_an_error_in_the_thread_is_met_by_the_next_question() -> None:
    """Nobody sees what a thread raises."""
    folders = Folders(seconds=0.05)
    fails = False

    def scan() -> Missing:
        if fails:
            folders.scans += 1
            raise OSError("gone")
        return folders.scan()

    pending = PendingFiles(scan, clock=folders.clock)
    pending.look()
    fails, folders.now = True, folders.now + 2
    pending.look()
    settled(folders, 2)
    pending.close()

    with pytest.raises(OSError, match="gone"):
        pending.look()
