"""How far an index run is, on standard error, as a bar or as a line now and then; and how Ctrl-C stops it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from kb.cli.output.reports import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from kb.records import IndexProgress

    OnProgress = Callable[[IndexProgress], None]

_WINDOW: Final = 30.0
_ENOUGH: Final = 2.0
# How long a run is measured before its end is foretold, and how slowly that is corrected afterwards.
_MEASURED: Final = 8.0
_SETTLING: Final = 30.0
_EVERY: Final = 5.0
_MINUTE: Final = 60
_STOPPING: Final = b"\nkb: stopping at the end of this file; press Ctrl-C again to stop at once\n"


class Pace:
    """The rate and the remaining time of a run, from what it did in the last half minute.

    What comes before the first passage, such as loading the model, says nothing of the rest. The remaining time follows
    the clock, and is moved towards each new measurement by a part only: a slow stretch makes it longer bit by bit.
    """

    def __init__(self) -> None:
        self._seen: deque[IndexProgress] = deque()
        self._left: float | None = None

    def add(self, now: IndexProgress) -> None:
        """Take one more sight of the run."""
        if now.doing != "embedding":
            if not now.embedded:
                self._seen.clear()
            return
        before = self._seen[-1].seconds if self._seen else now.seconds
        self._seen.append(now)
        self._trim(now)
        self._foretell(now.seconds - before)

    def _trim(self, now: IndexProgress) -> None:
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
        return self._left

    def _foretell(self, passed: float) -> None:
        """Bring the remaining time up to date, so many seconds after the last time."""
        span = self._span()
        if span is None or span < _MEASURED:
            return
        first, last = self._seen[0], self._seen[-1]
        speed = (last.size - first.size) / span
        if speed <= 0:
            return
        measured = max(0, last.size_total - last.size) / speed
        if self._left is None:
            self._left = measured
        else:
            expected = max(0.0, self._left - passed)
            self._left = expected + (measured - expected) * min(1.0, passed / _SETTLING)

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
    """How far a run is: ``62 % of 400 files, 310 passages``; before there are any, what it does.

    By bytes, not by files: passages are embedded in order of length, so that many files become done at once.
    """
    if now.doing == "loading the model" and not now.embedded:
        return f"loading the model; {now.read:,} of {count(now.files_total, 'file')} read"
    if now.doing == "reading" and not now.embedded:
        return f"reading documents: {now.read:,} of {count(now.files_total, 'file')}"
    done, total = (now.size, now.size_total) if now.size_total else (now.files, now.files_total)
    share = 100 * done // total if total else 100
    return f"{share} % of {count(now.files_total, 'file')}, {count(now.embedded + now.reused, 'passage')}"


class ProgressLines:
    """Progress as plain lines now and then, for logs and pipes: every few seconds, and once a minute in a long run.

    Args:
        say: Takes each line.
        announce: Whether to say at once that the model is being loaded, which may take a while; not for a daemon, who
            has it.
    """

    def __init__(self, say: Callable[[str], None], *, announce: bool = False) -> None:
        self._say = say
        self._announce = announce
        self._pace = Pace()
        self._next = _EVERY

    def __call__(self, now: IndexProgress) -> None:
        """Take one sight of the run; say a line where it is time for one."""
        self._pace.add(now)
        loading = self._announce and now.doing == "loading the model" and not now.embedded
        if now.seconds < self._next and not loading:
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

        yield ProgressLines(say, announce=True)


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
