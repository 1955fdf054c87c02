"""How far an index run is, on standard error, as a bar or as a line now and then; and how Ctrl-C stops it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from kb.cli.reports import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from kb.records import IndexProgress

    OnProgress = Callable[[IndexProgress], None]

_WINDOW: Final = 30.0
_ENOUGH: Final = 2.0
_EVERY: Final = 5.0
_MINUTE: Final = 60
_STOPPING: Final = b"\nkb: stopping at the end of this file; press Ctrl-C again to stop at once\n"


class Pace:
    """The rate and the remaining time of a run, from what it did in the last half minute.

    Loading the model takes seconds in which nothing is embedded; a window forgets them, a total would not.
    """

    def __init__(self) -> None:
        self._seen: deque[IndexProgress] = deque()

    def add(self, now: IndexProgress) -> None:
        """Take one more sight of the run."""
        self._seen.append(now)
        while len(self._seen) > 2 and now.seconds - self._seen[1].seconds >= _WINDOW:  # noqa: PLR2004 - two make a rate
            self._seen.popleft()

    def rate(self) -> float | None:
        """Passages a second, embedded or taken from the cache; None while it is too early to say."""
        span = self._span()
        if span is None:
            return None
        first, last = self._seen[0], self._seen[-1]
        return max(0, last.embedded + last.reused - first.embedded - first.reused) / span

    def remaining(self) -> float | None:
        """Seconds still to go, by the bytes left to read; None while it is too early to say."""
        span = self._span()
        if span is None:
            return None
        first, last = self._seen[0], self._seen[-1]
        speed = (last.size - first.size) / span
        return max(0, last.size_total - last.size) / speed if speed > 0 else None

    def _span(self) -> float | None:
        span = self._seen[-1].seconds - self._seen[0].seconds if self._seen else 0.0
        return span if span >= _ENOUGH else None


def pace_text(pace: Pace) -> str:
    """Rate and remaining time, as far as they are known: ``35 passages/s, 1:20 left``."""
    rate, remaining = pace.rate(), pace.remaining()
    parts = [] if rate is None else [f"{rate:,.0f} passages/s"]
    if remaining is not None:
        parts.append(f"{duration(remaining)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a clock shows them: ``0:07``, ``1:02:03``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counts_text(now: IndexProgress) -> str:
    """How far a run is: ``62 % of 400 files, 310 passages``.

    By bytes, not by files: passages are embedded in order of length, so that many files become done at once.
    """
    done, total = (now.size, now.size_total) if now.size_total else (now.files, now.files_total)
    share = 100 * done // total if total else 100
    return f"{share} % of {count(now.files_total, 'file')}, {count(now.embedded + now.reused, 'passage')}"


class Lines:
    """Progress as plain lines now and then, for logs and pipes: every few seconds, and once a minute in a long run.

    Args:
        say: Takes each line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._pace = Pace()
        self._next = _EVERY

    def __call__(self, now: IndexProgress) -> None:
        """Take one sight of the run; say a line where it is time for one."""
        self._pace.add(now)
        if now.seconds < self._next:
            return
        self._next = now.seconds + (_EVERY if now.seconds < _MINUTE else _MINUTE)
        self._say(", ".join(filter(None, (counts_text(now), pace_text(self._pace)))))


@contextmanager
def shown_progress(
    *, quiet: bool, stream: TextIO, bar: bool, color: bool, width: int | None = None
) -> Iterator[OnProgress | None]:
    """What to call with each sight of a run: a bar for a terminal, else lines; nothing when quiet."""
    if quiet:
        yield None
    elif bar:
        with _bar(stream, color=color, width=width) as on_progress:
            yield on_progress
    else:

        def say(line: str) -> None:
            stream.write(f"kb: {line}\n")
            stream.flush()

        yield Lines(say)


@contextmanager
def _bar(stream: TextIO, *, color: bool, width: int | None) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    # A terminal is known to be there: rich is not asked, since it also reads variables that say otherwise.
    console = Console(file=stream, width=width, force_terminal=True, no_color=not color, highlight=False)
    columns = (BarColumn(bar_width=30), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as progress:
        task = progress.add_task("looking through the folders", total=None)
        pace = Pace()

        def on_progress(now: IndexProgress) -> None:
            pace.add(now)
            about = ", ".join(filter(None, (counts_text(now), pace_text(pace))))
            progress.update(task, total=max(1, now.size_total), completed=now.size, description=about)

        yield on_progress


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a wish to stop at the next file boundary; a second one interrupts at once.

    Yields the function that says whether to stop. Outside the main thread there are no signals to take.
    """
    wished = threading.Event()
    main = threading.current_thread() is threading.main_thread()
    # A run in the background of a script ignores Ctrl-C, and goes on doing so.
    if not main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield wished.is_set
        return

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        if wished.is_set():
            raise KeyboardInterrupt
        wished.set()
        # Not through the stream: its buffer may be in use just where the signal came.
        os.write(_error_descriptor(), _STOPPING)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield wished.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _error_descriptor() -> int:
    """The descriptor of standard error, whatever stands in for the stream."""
    return sys.__stderr__.fileno() if sys.__stderr__ is not None else 2
