"""Progress of an index run on standard error, as a bar or as lines, and interruption by Ctrl-C."""

from __future__ import annotations

import itertools
import math
import os
import signal
import sys
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from kb.records.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from kb.records import IndexProgress

    OnProgress = Callable[[IndexProgress], None]

# The time that is measured: the last half minute, later the second half of the run, at most five minutes.
_WINDOW: Final = 30.0
_LONGEST: Final = 300.0
_APART: Final = 0.5
_ENOUGH: Final = 2.0
# How long and over how many steps a run is measured before there is an estimate; how long and how closely measurements
# have to agree; how slowly the estimate follows them.
_MEASURED: Final = 8.0
_STEPS: Final = 3
_AGREED: Final = 5.0
_NEAR: Final = 1.5
_SETTLING: Final = 10.0
# Between two updates, apart from the passing time, the estimate changes by at most this share of itself plus two
# seconds.
_MOVE: Final = 0.15
_SLACK: Final = 2.0
_REDRAW: Final = 1.0
_EVERY: Final = 5.0
# A log line omits a remaining time that differs from the expected one by more than this factor.
_DOUBT: Final = 2.0
_MINUTE: Final = 60
# Shorter times are shown with tenths of a second.
_TENTHS: Final = 10
_STOPPING: Final = b"\nkb: stopping; press Ctrl-C again to stop at once\n"


class Pace:
    """The rate and the remaining time of a run that embeds, from its recent progress.

    The time before the first passage, such as for loading the model, is not counted. The estimate follows the clock and
    moves gradually towards each new measurement, so that a spike or a short pause hardly shows. There is none until
    several measurements agree.
    """

    def __init__(self) -> None:
        self._seen: deque[IndexProgress] = deque()
        self._began = 0.0
        self._now = 0.0
        self._agreed: tuple[float, float] | None = None
        self._left: float | None = None
        self._shown: tuple[float, float] | None = None

    def add(self, now: IndexProgress) -> None:
        """Add the progress at some time."""
        if now.doing != "embedding":
            if not now.embedded:
                self._seen.clear()
            return
        if not self._seen:
            self._began = self._now = now.seconds
        passed, self._now = max(0.0, now.seconds - self._now), now.seconds
        if len(self._seen) > 2 and self._seen[-1].seconds - self._seen[-2].seconds < _APART:  # noqa: PLR2004 - two make a rate
            self._seen.pop()
        self._seen.append(now)
        window = min(_LONGEST, max(_WINDOW, (now.seconds - self._began) / 2))
        while len(self._seen) > 2 and now.seconds - self._seen[1].seconds >= window:  # noqa: PLR2004 - two make a rate
            self._seen.popleft()
        self._update_estimate(passed)

    def rate(self) -> float | None:
        """Passages per second in the last half minute, embedded or cached; None while it is too early."""
        if self._span() is None:
            return None
        last = self._seen[-1]
        first = next(one for one in self._seen if self._now - one.seconds <= _WINDOW or one is self._seen[-2])
        passages = last.embedded + last.reused - first.embedded - first.reused
        return max(0, passages) / max(_APART, last.seconds - first.seconds)

    def remaining(self) -> float | None:
        """The estimated remaining time in seconds, by the tokens left to embed; None while it is unknown."""
        if self._left is None:
            return None
        if self._shown is None:
            self._shown = self._now, self._left
            return self._left
        at, shown = self._shown
        expected = max(0.0, shown - (self._now - at))
        if self._now - at < _REDRAW:
            return expected
        move = _MOVE * expected + _SLACK
        self._shown = self._now, max(0.0, expected - move, min(expected + move, self._left))
        return self._shown[1]

    def _update_estimate(self, passed: float) -> None:
        """Update the remaining time, ``passed`` seconds after the last update."""
        measured = self._measured()
        if measured is None:
            return
        if self._left is not None:
            # In proportion, since it may be wrong by any factor, in either direction.
            expected = max(1.0, self._left - passed)
            self._left = expected * (max(1.0, measured) / expected) ** (1 - math.exp(-passed / _SETTLING))
        elif self._agreed is None or not _agree(measured, self._agreed[1] - (self._now - self._agreed[0])):
            self._agreed = self._now, measured
        elif self._now - self._agreed[0] >= _AGREED:
            self._left = measured

    def _measured(self) -> float | None:
        """Return the remaining seconds at the recent speed; None where there is too little progress."""
        span = self._span()
        first = self._seen[0] if self._seen else None
        steps = itertools.islice(itertools.groupby(one.tokens for one in self._seen), _STEPS + 1)
        if first is None or span is None or span < _MEASURED or sum(1 for _ in steps) <= _STEPS:
            return None
        last = self._seen[-1]
        speed = (last.tokens - first.tokens) / span
        return max(0, last.tokens_total - last.tokens) / speed if speed > 0 else None

    def _span(self) -> float | None:
        span = self._seen[-1].seconds - self._seen[0].seconds if self._seen else 0.0
        return span if span >= _ENOUGH else None


def _agree(one: float, other: float) -> bool:
    """Whether two times are about the same."""
    low, high = sorted((max(0.0, one), max(0.0, other)))
    return high <= _NEAR * low + _SLACK


def pace_text(pace: Pace) -> str:
    """Return rate and remaining time, as far as known: ``35 passages/s, 1:20 left``."""
    return ", ".join(filter(None, (_rate_text(pace), _left_text(pace.remaining()))))


def _rate_text(pace: Pace) -> str:
    rate = pace.rate() or 0.0
    if rate >= 1:
        return f"{count(round(rate), 'passage')}/s"
    slow = round(rate * _MINUTE)
    return f"{count(slow, 'passage')}/min" if slow else ""


def _left_text(left: float | None) -> str:
    return "" if left is None else f"{duration(left)} left"


def duration(seconds: float) -> str:
    """Format seconds as a clock: ``0:07``, ``1:02:03``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counts_text(now: IndexProgress) -> str:
    """Return the progress of a run: ``words of 400 files in 2 s, embedding 310 of 2,400 passages``."""
    if now.doing == "reading":
        return f"reading documents: {now.read:,} of {count(now.files_total, 'file')}"
    if now.doing == "finishing":
        return f"{count(now.embedded + now.reused, 'passage')} indexed; measuring the cutoff for weak hits"
    words = ""
    if now.files_total and now.words_seconds is not None:
        words = f"words of {count(now.files_total, 'file')} in {_seconds_text(now.words_seconds)}, "
    if now.doing == "loading the model":
        return f"{words}loading the model to embed {count(now.to_embed, 'passage')}"
    return f"{words}embedding {now.embedded_of:,} of {count(now.to_embed, 'passage')}"


def _seconds_text(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < _TENTHS else f"{seconds:.0f} s"


class ProgressLines:
    """Progress as plain lines for logs and pipes: every few seconds, and once a minute in a long run.

    Args:
        say: Writes a line.
        announce: Whether to report at once that the model is being loaded; not for a daemon, which has loaded it.
    """

    def __init__(self, say: Callable[[str], None], *, announce: bool = False) -> None:
        self._say = say
        self._announce = announce
        self._pace = Pace()
        self._next = _EVERY
        self._told: tuple[float, float] | None = None

    def __call__(self, now: IndexProgress) -> None:
        """Add the progress of the run; write a line where it is time for one."""
        self._pace.add(now)
        left = self._pace.remaining()
        loading = self._announce and now.doing == "loading the model"
        if now.seconds < self._next and not loading:
            return
        self._next = now.seconds + (_EVERY if now.seconds < _MINUTE else _MINUTE)
        left_text = _left_text(self._plausible(left, now.seconds))
        self._say(", ".join(filter(None, (counts_text(now), _rate_text(self._pace), left_text))))

    def _plausible(self, left: float | None, now: float) -> float | None:
        """Return the remaining time; None once where it differs greatly from what the last line implies."""
        before, self._told = self._told, None if left is None else (now, left)
        if left is None or before is None:
            return left
        low, high = sorted((left, max(0.0, before[1] - (now - before[0]))))
        if high <= _DOUBT * low + 2 * _EVERY:
            return left
        self._told = None
        return None


@contextmanager
def shown_progress(
    *,
    quiet: bool,
    stream: TextIO,
    bar: bool,
    color: bool,
    width: int | None = None,
    above: Callable[[Callable[[str], None] | None], None] = lambda _: None,
) -> Iterator[OnProgress | None]:
    """A context with a function to call on progress: a bar for a terminal, else lines; None when quiet.

    Args:
        quiet: Whether to show nothing.
        stream: The stream to write to.
        bar: Whether that can show a bar.
        color: Whether the bar has colours.
        width: The width of the terminal in columns.
        above: Called with a function that writes lines above the bar, and with None once the bar is gone.
    """
    if quiet:
        yield None
    elif bar:
        with _bar(stream, color=color, width=width, above=above) as on_progress:
            yield on_progress
    else:

        def say(line: str) -> None:
            stream.write(f"kb: {line}\n")
            stream.flush()

        yield ProgressLines(say, announce=True)


@contextmanager
def _bar(
    stream: TextIO, *, color: bool, width: int | None, above: Callable[[Callable[[str], None] | None], None]
) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    # Do not let rich detect the terminal: it also reads variables that override it.
    console = Console(file=stream, width=width, force_terminal=True, no_color=not color, highlight=False)
    columns = (BarColumn(bar_width=30), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as progress:
        task = progress.add_task("looking through the folders", total=None)
        pace = Pace()

        def on_progress(now: IndexProgress) -> None:
            pace.add(now)
            about = ", ".join(filter(None, (counts_text(now), "" if now.doing == "finishing" else pace_text(pace))))
            done, total = (now.tokens, now.tokens_total) if now.to_embed else (now.size, now.size_total)
            progress.update(task, total=max(1, total), completed=done, description=about)

        above(lambda lines: console.out(lines.rstrip("\n"), highlight=False))
        try:
            yield on_progress
        finally:
            above(None)


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """A context in which the first Ctrl-C requests a stop at the next file; a second one interrupts at once.

    Yields a function that returns whether to stop. Outside the main thread, signals are not handled.
    """
    wished = threading.Event()
    main = threading.current_thread() is threading.main_thread()
    # A background job of a script ignores Ctrl-C; keep it so.
    if not main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield wished.is_set
        return

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        if wished.is_set():
            raise KeyboardInterrupt
        wished.set()
        # Not through the stream, whose buffer may be in use when the signal arrives.
        os.write(_error_descriptor(), _STOPPING)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield wished.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _error_descriptor() -> int:
    """Return the file descriptor of standard error, even if ``sys.stderr`` is replaced."""
    return sys.__stderr__.fileno() if sys.__stderr__ is not None else 2
