"""Keeps something in line with the disk: listens where changes are reported, looks by itself where not."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from kb.errors import KbError
from kb.watching.mounts import below_without_events, mounts, points_below, without_events
from kb.watching.watcher import RAISE_WATCHES, TABLE_FULL, CannotWatch, Change, Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

# Gathers dirty places until they are quiet, so that a burst of changes is looked at once and not a thousand times.


class Everything(Enum):
    """The type of ``EVERYTHING``, which is the only value of it."""

    EVERYTHING = "everything"

    def __repr__(self) -> str:
        """As it is written in the code."""
        return "EVERYTHING"


EVERYTHING: Final = Everything.EVERYTHING
"""All watched folders: what has to be looked at where nobody knows what changed."""

Place: TypeAlias = tuple[str, str]
"""A folder, and a directory below it with ``/`` ("" for the folder itself). It stands for all that is below it."""

MOST_PLACES: Final = 200
"""How many places are kept apart. More of them cost more than to look at everything once."""


@dataclass(frozen=True, slots=True)
class _Span:
    """When a place was marked first and last."""

    first: float
    last: float


class Debouncer:
    """The dirty places that nobody took yet. Each is due after quiet, and after patience at the latest.

    Every place waits for itself: a log that is never quiet holds up nothing but its own directory. Times are
    seconds of a clock that never goes back; this class has none of its own.

    Args:
        quiet: How long a place has to be left alone before it is due.
        patience: How long a place may wait in all, however restless it is.
        most: How many places are kept apart before they are folded into ``EVERYTHING``.
    """

    def __init__(self, quiet: float = 0.3, patience: float = 5.0, most: int = MOST_PLACES) -> None:
        self._quiet = quiet
        self._patience = patience
        self._most = most
        self._spans: dict[Place | Everything, _Span] = {}

    def __len__(self) -> int:
        """How many places wait; ``EVERYTHING`` is one."""
        return len(self._spans)

    def mark(self, place: Place | Everything, now: float) -> None:
        """Something changed at a place, or below it."""
        for cover in _covers(place):
            if cover in self._spans:
                self._spans[cover] = _Span(self._spans[cover].first, now)
                return
        self._fold([known for known in self._spans if place in _covers(known)], place, now)
        if len(self._spans) > self._most:
            self._fold(list(self._spans), EVERYTHING, now)

    def due_in(self, now: float) -> float | None:
        """Seconds until the first place is due, 0 where one is; None where nothing waits."""
        if not self._spans:
            return None
        return max(0.0, min(map(self._due_at, self._spans.values())) - now)

    def take(self, now: float) -> frozenset[Place] | Everything | None:
        """Hand out what is due and forget it; None where nothing is."""
        due = {place for place, span in self._spans.items() if self._due_at(span) <= now}
        for place in due:
            del self._spans[place]
        if EVERYTHING in due:
            return EVERYTHING
        return frozenset(place for place in due if place is not EVERYTHING) or None

    def clear(self) -> int:
        """Forget all places, due or not, and say how many there were: everything is being looked at now."""
        count = len(self._spans)
        self._spans.clear()
        return count

    def _due_at(self, span: _Span) -> float:
        return min(span.last + self._quiet, span.first + self._patience)

    def _fold(self, nested: list[Place | Everything], into: Place | Everything, now: float) -> None:
        """Put one place where several were. It is as old as the oldest, so that none waits longer for it."""
        firsts = [self._spans.pop(place).first for place in nested]
        self._spans[into] = _Span(min(firsts, default=now), now)


def _covers(place: Place | Everything) -> list[Place | Everything]:
    """The place itself, the directories around it, and ``EVERYTHING``."""
    if place is EVERYTHING:
        return [EVERYTHING]
    folder, directory = place
    covers: list[Place | Everything] = [place]
    while directory:
        directory = directory.rpartition("/")[0]
        covers.append((folder, directory))
    return [*covers, EVERYTHING]


# Notices that time jumped: the machine slept, or its clock was set. Whatever happened meanwhile is unknown.

_JUMP_SECONDS: Final = 5.0


def offsets() -> tuple[float, ...]:
    """How far the other clocks are ahead of the monotonic one: constant, but for sleep and for a clock that is set."""
    now = time.monotonic()
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.time() - now,) if boot is None else (time.time() - now, time.clock_gettime(boot) - now)


class Jumps:
    """Compares the clocks from time to time.

    Args:
        read: Gives the offsets of the clocks, always in the same order.
    """

    def __init__(self, read: Callable[[], tuple[float, ...]] = offsets) -> None:
        self._read = read
        self._last = read()

    def happened(self) -> bool:
        """Whether a clock jumped since the last question, forwards or back."""
        last, self._last = self._last, self._read()
        return any(abs(now - then) > _JUMP_SECONDS for then, now in zip(last, self._last, strict=True))


_LONGEST_WAIT: Final = 1.0
_SLICE: Final = 0.25
_FIRST_RETRY: Final = 1.0
_LAST_RETRY: Final = 60.0

Kind = Literal["starting", "watching", "polling", "blind"]

_CHANGES: Final = {
    "watched": "{} is watched now; it is looked at as a whole",
    "gone": "{} is not there any more; it is watched again once it is back",
    "replaced": "{} was replaced by another folder of that name; it is looked at as a whole",
    "stopped": "The watch of {} had stopped; it was taken again, and the folder is looked at as a whole",
}


@dataclass(frozen=True, slots=True)
class WatchState:
    """How well the disk is followed, for ``kb status``.

    ``kind`` is "starting" until everything was looked at once, and "blind" where nothing can be seen: no folder is
    there, or the follower has ended. ``watched`` counts watches, ``waiting`` dirty places not yet absorbed,
    ``last_sweep`` is when everything was last absorbed, ``heartbeat`` when the follower last looked after itself (it
    does not while it absorbs), and ``errors`` what went wrong since the last success.
    """

    kind: Kind
    reason: str
    watched: int
    waiting: int
    last_sweep: datetime | None
    heartbeat: datetime
    errors: tuple[str, ...] = ()


class Follower:
    """A loop that hears of changes, waits for quiet and has them absorbed; and has everything absorbed now and then.

    Args:
        folders: Absolute real paths. One that is missing is watched as soon as it is there.
        absorb: Called on the thread of ``run`` with the places to look at, each with all that is below it, or with
            None for everything. What it raises of ``KbError`` and ``OSError`` is told and tried again; anything else
            ends ``run``.
        never: Absolute paths below which changes do not count.
        polling: Listen to nothing, look every ``poll_seconds``.
        poll_seconds: How often everything is absorbed where changes are not reported.
        sweep_seconds: How often everything is absorbed where they are.
        quiet: How long a place is left alone before it is absorbed.
        patience: How long a restless place waits at most.
        heartbeat_seconds: How often the watches are looked after.
        tell: Gets a sentence when something happened that a person may want to know.
        clock: Seconds that never go back.
        read_offsets: The offsets of the other clocks, by which sleep is noticed.
        read_mounts: The table of mounted file systems.
    """

    def __init__(
        self,
        *,
        folders: Sequence[str],
        absorb: Callable[[Collection[Place] | None], object],
        tell: Callable[[str], None],
        never: Collection[str] = (),
        polling: bool = False,
        poll_seconds: float = 30.0,
        sweep_seconds: float = 600.0,
        quiet: float = 0.3,
        patience: float = 5.0,
        heartbeat_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        read_offsets: Callable[[], tuple[float, ...]] = offsets,
        read_mounts: Callable[[], str] = mounts,
    ) -> None:
        self._folders = tuple(folders)
        self._absorb = absorb
        self._tell = tell
        self._polling = polling
        self._poll_seconds = poll_seconds
        self._sweep_seconds = sweep_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._read_mounts = read_mounts
        self._jumps = Jumps(read_offsets)
        self._observer = Observer(self._heard, self._lost, never)

        # The condition guards everything below; the observer is never called while it is held.
        self._condition = threading.Condition()
        self._debouncer = Debouncer(quiet, patience)
        self._notices: list[str] = []
        self._told_since_sweep: set[str] = set()
        self._stopping = self._ended = False
        # Tickets of the barrier: the last handed out, taken along by a full absorb, and served by one that succeeded or
        # refused by one that failed.
        # run() holds the first one, so that everything is absorbed at the start.
        self._asked, self._begun, self._served, self._refused_ticket = 1, 0, 0, 0
        self._absorbing = 0
        self._failures = 0
        self._errors: tuple[str, ...] = ()
        self._last_sweep: datetime | None = None
        self._heartbeat = datetime.now(UTC)
        self._blind_spots = self._told_reason = ""
        self._refused = ""
        self._mounted: frozenset[str] | None = None

        now = clock()
        self._beat_at = self._inspect_at = self._watch_at = self._retry_at = now
        self._sweep_at = now + sweep_seconds

    def run(self) -> None:
        """Follow the disk until ``stop``. Watches come first and a full absorb next, so that nothing is missed."""
        try:
            while (work := self._next_work()) is not None:
                self._do(work)
        finally:
            with self._condition:
                self._stopping = self._ended = True
                self._condition.notify_all()
            self._observer.stop()

    def stop(self) -> None:
        """Let ``run`` return after what it is absorbing. May be called from any thread or signal handler."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    def sync(self, timeout: float | None = None, gone: Callable[[], bool] = lambda: False) -> bool:
        """Wait until everything on the disk at this moment is absorbed; False where that failed or took too long.

        A full absorb that is under way does not count, since it may have passed what was written last; many who wait
        share the next one.

        Args:
            timeout: How many seconds to wait; None for as long as it takes.
            gone: Whether nobody waits for the answer any more, asked several times a second.
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        with self._condition:
            self._asked += 1
            ticket = self._asked
            self._condition.notify_all()
            while max(self._served, self._refused_ticket) < ticket and not self._stopping and not gone():
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._condition.wait(min(left, _SLICE))
            return self._served >= ticket

    @property
    def state(self) -> WatchState:
        """How well the disk is followed now."""
        with self._condition:
            kind, reason = self._kind()
            return WatchState(
                kind=kind,
                reason=reason,
                watched=self._observer.watched(),
                waiting=len(self._debouncer) + self._absorbing,
                last_sweep=self._last_sweep,
                heartbeat=self._heartbeat,
                errors=self._errors,
            )

    # What watchdog's threads call: they mark, and that is all.

    def _heard(self, folder: str, directory: str) -> None:
        self._mark((folder, directory))

    def _lost(self, reason: str) -> None:
        self._mark(EVERYTHING, f"Changes may have been missed: {reason}. All folders are looked at")

    def _mark(self, place: Place | Everything, notice: str = "") -> None:
        with self._condition:
            # A later mark is never due before an earlier one, so the loop has to be woken for the first only.
            if not len(self._debouncer):
                self._condition.notify_all()
            self._debouncer.mark(place, self._clock())
            if notice and notice not in self._told_since_sweep:
                self._told_since_sweep.add(notice)
                self._notices.append(notice)

    # The loop.

    def _next_work(self) -> frozenset[Place] | Everything | None:
        """Wait for the next thing to absorb; None where the follower has to stop."""
        while True:
            self._tell_notices()
            if self._clock() >= self._beat_at:
                self._beat()
            with self._condition:
                if self._stopping:
                    return None
                work = self._due(self._clock())
                if work is not None:
                    return work
                if not self._notices:
                    self._condition.wait(self._pause(self._clock()))

    def _due(self, now: float) -> frozenset[Place] | Everything | None:
        """What is to be absorbed now. Whoever waits at the barrier gets a try at once, whatever failed before."""
        if self._asked > self._begun:
            work: frozenset[Place] | Everything | None = EVERYTHING
        elif now < self._retry_at:
            return None
        else:
            work = EVERYTHING if now >= self._sweep_at else self._debouncer.take(now)
        if work is EVERYTHING:
            self._begun = self._asked
            self._absorbing = self._debouncer.clear()
        elif work is not None:
            self._absorbing = len(work)
        return work

    def _pause(self, now: float) -> float:
        """How long there is nothing to do. Bounded, for a signal that arrives just before the wait wakes nobody."""
        due = self._debouncer.due_in(now)
        work = self._sweep_at - now if due is None else min(due, self._sweep_at - now)
        return max(0.0, min(_LONGEST_WAIT, self._beat_at - now, max(work, self._retry_at - now)))

    def _do(self, work: frozenset[Place] | Everything) -> None:
        try:
            self._absorb(None if work is EVERYTHING else sorted(work))
        except (KbError, OSError) as error:
            self._failed(work, str(error))
        else:
            self._succeeded(work)

    def _failed(self, work: frozenset[Place] | Everything, sentence: str) -> None:
        """Put the work back, for later and later."""
        with self._condition:
            now = self._clock()
            for place in [EVERYTHING] if work is EVERYTHING else work:
                self._debouncer.mark(place, now)
            if work is EVERYTHING:
                self._refused_ticket = self._begun
                self._condition.notify_all()
            self._absorbing = 0
            self._retry_at = now + min(_LAST_RETRY, _FIRST_RETRY * 2**self._failures)
            self._failures = min(self._failures + 1, 10)
            if sentence not in self._errors:
                self._notices.append(sentence)
                self._errors = (*self._errors, sentence)[-5:]

    def _succeeded(self, work: frozenset[Place] | Everything) -> None:
        with self._condition:
            now = self._clock()
            self._absorbing = 0
            self._failures, self._errors, self._retry_at = 0, (), now
            if work is EVERYTHING:
                self._served = self._begun
                self._told_since_sweep.clear()
                self._last_sweep = datetime.now(UTC)
                self._sweep_at = now + self._interval()
                self._condition.notify_all()

    def _tell_notices(self) -> None:
        with self._condition:
            notices, self._notices = self._notices, []
        for notice in notices:
            self._tell(notice)

    # What keeps it alive.

    def _beat(self) -> None:
        """Look after the watches and the clocks."""
        now = self._clock()
        if self._jumps.happened():
            self._mark(EVERYTHING, "The machine slept or its clock was set. All folders are looked at")
        self._look_after_watches(now)
        reason = self._polling_reason()
        with self._condition:
            self._beat_at = now + self._heartbeat_seconds
            self._heartbeat = datetime.now(UTC)
            if reason != self._told_reason:
                self._told_reason = reason
                every = f"Looking at the folders every {self._poll_seconds:g} s: {reason}"
                self._notices.append(every if reason else "Changes are reported again: watching")
                self._sweep_at = min(self._sweep_at, now + self._interval())

    def _look_after_watches(self, now: float) -> None:
        """Watch what can be watched, and say where that is not everything."""
        if self._polling or now < self._watch_at:
            return
        table = self._read_mounts()
        self._note_mounts(points_below(self._folders, table))
        unreported = {folder: without_events(folder, table) for folder in self._folders}
        reasons = [reason or below_without_events(folder, table) for folder, reason in unreported.items()]
        self._blind_spots = "; ".join(reason for reason in reasons if reason)
        try:
            changes = self._observer.follow(folder for folder, reason in unreported.items() if reason is None)
            self._note(changes)
            self._inspect(now)
        except CannotWatch as error:
            # Watches that do not suffice are given back: other programs need them too.
            self._observer.stop()
            self._refused = str(error)
            self._watch_at = now + self._sweep_seconds
        else:
            self._refused = ""

    def _note_mounts(self, mounted: frozenset[str]) -> None:
        """Watch and look at everything where a file system was mounted inside a folder, or went: no event says so."""
        before, self._mounted = self._mounted, mounted
        if before is not None and before != mounted:
            self._observer.restart()
            names = ", ".join(sorted(before ^ mounted))
            self._mark(EVERYTHING, f"A file system was mounted or unmounted at {names}; all folders are looked at")

    def _note(self, changes: Sequence[Change]) -> None:
        """Look at everything where a watch changed. At the start that is due anyway; what is missing is told."""
        with self._condition:
            first = self._begun == 0
            missing = [folder for folder in self._folders if first and not Path(folder).is_dir()]
            self._notices.extend(f"{folder} is not there; it is watched once it is" for folder in missing)
        for change in () if first else changes:
            self._mark(EVERYTHING, _CHANGES[change.what].format(change.folder))

    def _inspect(self, now: float) -> None:
        """Make sure that every directory is watched: those that appeared at each beat, and all at each sweep."""
        everywhere = now >= self._inspect_at
        if self._observer.unwatched(everywhere=everywhere):
            self._observer.restart()
            self._mark(EVERYTHING)
            missing = self._observer.unwatched(everywhere=True)
            if missing:
                raise CannotWatch(f"{missing} directories cannot be watched: {TABLE_FULL}", RAISE_WATCHES)
        if everywhere:
            self._inspect_at = now + self._sweep_seconds

    def _polling_reason(self) -> str:
        """Why the folders have to be looked at often; empty where changes are reported."""
        return "as configured" if self._polling else self._refused or self._blind_spots

    def _interval(self) -> float:
        """Seconds between two full absorbs."""
        return min(self._poll_seconds, self._sweep_seconds) if self._polling_reason() else self._sweep_seconds

    def _kind(self) -> tuple[Kind, str]:
        if self._ended:
            return "blind", "The watcher has ended"
        if self._last_sweep is None:
            return "starting", "Not everything has been looked at yet"
        if reason := self._polling_reason():
            return "polling", reason
        missing = [folder for folder in self._folders if folder not in self._observer.folders]
        sentence = f"Not there: {', '.join(missing)}" if missing else ""
        return ("blind" if len(missing) == len(self._folders) else "watching"), sentence
