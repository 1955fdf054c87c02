"""Schedules index runs from file events, with polling where a file system reports no changes.

``Debouncer`` collects changed paths until they are quiet, ``ClockJumps`` detects sleep and clock changes, and
``Scheduler`` is the loop that combines them with the watches of ``kb.watching.watcher``.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from kb.errors import KbError
from kb.records import subtrees_above
from kb.system.clocks import seconds_asleep
from kb.watching.mounts import below_without_events, mounts, points_below, without_events
from kb.watching.watcher import RAISE_WATCHES, TABLE_FULL, CannotWatch, Change, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from kb.records import Subtree

# Debouncing: a burst of changes leads to one index run.


class FullScan(Enum):
    """The type of the sentinel ``FULL_SCAN``."""

    FULL_SCAN = "everything"


FULL_SCAN: Final = FullScan.FULL_SCAN
"""All watched folders: used where what changed is unknown."""

MAX_PLACES: Final = 200
"""How many places are tracked separately before the deepest are replaced by the directories that they are in."""


@dataclass(frozen=True, slots=True)
class _Span:
    """When a place was first and last marked, in seconds."""

    first: float
    last: float


class Debouncer:
    """Changed places that are waiting for an index run.

    A place is due ``quiet`` seconds after its last change, or ``patience`` seconds after its first. Places are timed
    separately, so a log file that is written continuously delays only itself. The caller passes the time,
    in seconds of a monotonic clock.

    Args:
        quiet: Seconds without a change after which a place is due.
        patience: The longest a place waits, in seconds.
        most: How many places are tracked separately before the deepest are replaced by their directories, and all of
            them by ``FULL_SCAN`` where that leads up to a watched folder.
    """

    def __init__(self, quiet: float = 0.3, patience: float = 5.0, most: int = MAX_PLACES) -> None:
        self._quiet = quiet
        self._patience = patience
        self._most = most
        self._spans: dict[Subtree | FullScan, _Span] = {}

    def __len__(self) -> int:
        """The number of waiting places; ``FULL_SCAN`` counts as one."""
        return len(self._spans)

    def mark(self, place: Subtree | FullScan, now: float) -> None:
        """Record a change in a place."""
        for cover in _covers(place):
            if cover in self._spans:
                self._spans[cover] = _Span(self._spans[cover].first, now)
                return
        self._fold([known for known in self._spans if place in _covers(known)], place, now)
        while len(self._spans) > self._most:
            self._fold_deepest(now)

    def due_in(self, now: float) -> float | None:
        """Seconds until the next place is due, 0 if one is; None if nothing is waiting."""
        if not self._spans:
            return None
        return max(0.0, min(map(self._due_at, self._spans.values())) - now)

    def take(self, now: float) -> frozenset[Subtree] | FullScan | None:
        """Remove and return the places that are due; None if there are none."""
        due = {place for place, span in self._spans.items() if self._due_at(span) <= now}
        for place in due:
            del self._spans[place]
        if FULL_SCAN in due:
            return FULL_SCAN
        return frozenset(place for place in due if place is not FULL_SCAN) or None

    def waiting(self) -> frozenset[Subtree] | FullScan:
        """The places that are left, due or not."""
        if FULL_SCAN in self._spans:
            return FULL_SCAN
        return frozenset(place for place in self._spans if place is not FULL_SCAN)

    def clear(self) -> int:
        """Remove all places, due or not, and return how many there were."""
        count = len(self._spans)
        self._spans.clear()
        return count

    def _due_at(self, span: _Span) -> float:
        return min(span.last + self._quiet, span.first + self._patience)

    def _fold_deepest(self, now: float) -> None:
        """Replace the deepest places by the directories that they are in, and by everything where that is a folder."""
        places = [place for place in self._spans if place is not FULL_SCAN]
        depth = max(path.count("/") for _, path in places)
        if depth == 0:
            self._fold(list(self._spans), FULL_SCAN, now)
            return
        for folder, path in places:
            # Another one may have replaced it already.
            if path.count("/") == depth and (folder, path) in self._spans:
                above = (folder, path.rpartition("/")[0])
                self._fold([known for known in self._spans if above in _covers(known)], above, now)

    def _fold(self, nested: list[Subtree | FullScan], into: Subtree | FullScan, now: float) -> None:
        """Replace several places by one that is as old as the oldest of them."""
        firsts = [self._spans.pop(place).first for place in nested]
        self._spans[into] = _Span(min(firsts, default=now), now)


def _covers(place: Subtree | FullScan) -> list[Subtree | FullScan]:
    """The place, its parent directories and ``FULL_SCAN``."""
    if place is FULL_SCAN:
        return [FULL_SCAN]
    return [place, *subtrees_above(place), FULL_SCAN]


# Sleep and clock changes: what happened in the meantime is unknown.

_JUMP_SECONDS: Final = 5.0


def offsets() -> tuple[float, ...]:
    """Seconds by which the other clocks are ahead of the monotonic one; sleep and setting a clock change them."""
    asleep = seconds_asleep()
    return (time.time() - time.monotonic(), *([] if asleep is None else [asleep]))


class ClockJumps:
    """Detects sleep and clock changes by comparing clocks.

    Args:
        read: Returns the offsets of the clocks, in a fixed order.
    """

    def __init__(self, read: Callable[[], tuple[float, ...]] = offsets) -> None:
        self._read = read
        self._last = read()

    def happened(self) -> bool:
        """Whether a clock jumped since the last call, forwards or backwards."""
        last, self._last = self._last, self._read()
        return any(abs(now - then) > _JUMP_SECONDS for then, now in zip(last, self._last, strict=True))


_LONGEST_WAIT: Final = 1.0
_SLICE: Final = 0.25
_FIRST_RETRY: Final = 1.0
_LAST_RETRY: Final = 60.0

Kind = Literal["starting", "watching", "polling", "blind"]

_CHANGES: Final = {
    "watched": "{} is watched now; it is scanned as a whole",
    "gone": "{} no longer exists; it is watched again once it is back",
    "replaced": "{} was replaced by another folder of that name; it is scanned as a whole",
    "stopped": "The watch of {} had stopped and was restarted; the folder is scanned as a whole",
}


@dataclass(frozen=True, slots=True)
class WatchState:
    """The state of the scheduler, for ``kb status``.

    Attributes:
        kind: "starting" before the first full scan; "blind" if no folder exists or the scheduler has ended.
        reason: Why it polls, or which folders are missing; empty otherwise.
        watched: The number of watches.
        waiting: The number of changed places that are not indexed yet.
        last_sweep: The end of the last full scan.
        heartbeat: When the watches were last checked; not during an index run.
        errors: The errors since the last successful run.
    """

    kind: Kind
    reason: str
    watched: int
    waiting: int
    last_sweep: datetime | None
    heartbeat: datetime
    errors: tuple[str, ...] = ()


class Scheduler:
    """Runs ``update`` after changes have settled and at regular intervals, and ``go_on`` in between.

    Args:
        folders: Absolute real paths. A missing folder is watched once it exists.
        update: Brings the index up to date with all folders; called on the thread of ``run`` with the places that
            changed since it was last called, or with None where these are not known. Returns whether it left something
            to ``go_on``. A ``KbError`` or ``OSError`` is reported and retried; any other exception ends ``run``.
        go_on: Does what ``update`` left, whenever nothing else is due; returns whether something is still left. It has
            to return soon once ``due`` is True. None where ``update`` leaves nothing.
        complete: Tries again what another machine did not take, once nothing else is left; returns after how many
            seconds it has to be called again, or None for never before the next update. An error is reported, and it is
            called again later.
        say: Called with a sentence for the user's log.
        never: Absolute paths in which changes are ignored.
        polling: Use no watches; scan every ``poll_seconds``.
        poll_seconds: Seconds between full scans while changes are not reported.
        sweep_seconds: Seconds between full scans while they are.
        quiet: Seconds without a change after which a place is indexed.
        patience: The longest a changed place waits, in seconds.
        heartbeat_seconds: Seconds between checks of the watches.
        clock: A monotonic clock, in seconds.
        read_offsets: Returns the offsets of the other clocks, for detecting sleep.
        read_mounts: Returns the mount table.
    """

    def __init__(
        self,
        *,
        folders: Sequence[str],
        update: Callable[[frozenset[Subtree] | None], object],
        go_on: Callable[[], bool] | None = None,
        complete: Callable[[], float | None] | None = None,
        say: Callable[[str], None],
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
        self._update = update
        self._go_on = go_on
        self._complete = complete
        self._say = say
        self._polling = polling
        self._poll_seconds = poll_seconds
        self._sweep_seconds = sweep_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._read_mounts = read_mounts
        self._clock_jumps = ClockJumps(read_offsets)
        self._watcher = Watcher(self._on_change, self._on_lost, never)

        # The condition guards everything below; the watcher is never called while it is held.
        self._condition = threading.Condition()
        self._debouncer = Debouncer(quiet, patience)
        self._notices: list[str] = []
        self._reported_since_sweep: set[str] = set()
        self._stopping = self._ended = False
        # Tickets of sync(): the last one issued, included in a full scan, completed, refused after a failure. A ticket
        # is completed once nothing is left. run() holds the first ticket, so it starts with a full scan.
        self._asked, self._begun, self._served, self._refused_ticket = 1, 0, 0, 0
        self._left = False
        self._updating = 0
        self._failures = 0
        self._errors: tuple[str, ...] = ()
        self._last_sweep: datetime | None = None
        self._heartbeat = datetime.now(UTC)
        self._blind_spots = self._reported_reason = ""
        self._refused = ""
        self._mounted: frozenset[str] | None = None

        now = clock()
        self._check_at = self._coverage_at = self._watch_at = self._retry_at = now
        self._complete_at = float("inf")
        self._sweep_at = now + sweep_seconds

    def run(self) -> None:
        """Watch the folders until ``stop``. Watches are set before the first full scan, so that no change is missed."""
        try:
            while (work := self._next_work()) is not None:
                self._do(work)
        finally:
            with self._condition:
                self._stopping = self._ended = True
                self._condition.notify_all()
            self._watcher.stop()

    def stop(self) -> None:
        """Let ``run`` return after the current update. May be called from any thread or signal handler."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    def sync(self, timeout: float | None = None, gone: Callable[[], bool] = lambda: False) -> bool:
        """Wait until everything that is on the disk now is indexed; False if that failed or took too long.

        An update in progress may have missed the latest changes, so the next full scan is awaited; callers share it.

        Args:
            timeout: The longest to wait, in seconds; None for no limit.
            gone: Returns whether the caller has disconnected; called several times a second.
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
    def stopping(self) -> bool:
        """Whether it ends or has ended, so that it completes no more ``sync``."""
        with self._condition:
            return self._stopping

    @property
    def state(self) -> WatchState:
        """The current state."""
        with self._condition:
            kind, reason = self._kind()
            return WatchState(
                kind=kind,
                reason=reason,
                watched=self._watcher.watched(),
                waiting=len(self._debouncer) + self._updating,
                last_sweep=self._last_sweep,
                heartbeat=self._heartbeat,
                errors=self._errors,
            )

    def due(self) -> bool:
        """Whether something is to be done before ``go_on``; it costs little to ask often."""
        with self._condition:
            now = self._clock()
            changed = now >= self._retry_at and self._debouncer.due_in(now) == 0
            asked = self._asked > self._begun
            return self._stopping or asked or changed or now >= min(self._check_at, self._sweep_at)

    # Called on watchdog's threads, which must not be blocked.

    def _on_change(self, folder: str, path: str) -> None:
        self._mark((folder, path))

    def _on_lost(self, reason: str) -> None:
        self._mark(FULL_SCAN, f"Changes may have been missed: {reason}. All folders are scanned")

    def _mark(self, place: Subtree | FullScan, notice: str = "") -> None:
        with self._condition:
            # A later mark is never due before an earlier one, so only the first has to wake the loop.
            if not len(self._debouncer):
                self._condition.notify_all()
            self._debouncer.mark(place, self._clock())
            if notice and notice not in self._reported_since_sweep:
                self._reported_since_sweep.add(notice)
                self._notices.append(notice)

    # The loop.

    def _next_work(self) -> frozenset[Subtree] | FullScan | None:
        """Wait for work; None to stop."""
        while True:
            self._report_notices()
            if self._clock() >= self._check_at:
                self._check()
            with self._condition:
                if self._stopping:
                    return None
                work = self._due(self._clock())
                if work is not None:
                    return work
                completes = self._clock() >= self._complete_at
                if not self._notices and not completes:
                    self._condition.wait(self._pause(self._clock()))
            if completes:
                self._try_to_complete()

    def _due(self, now: float) -> frozenset[Subtree] | FullScan | None:
        """The work that is due now; no places where only what the last update left is to be done.

        Places that changed and are not due yet are looked at too, since a file may have been moved between them; they
        are looked at again once they are. A caller of ``sync`` gets an attempt at once, even after a failure.
        """
        if self._asked > self._begun:
            work: frozenset[Subtree] | FullScan | None = FULL_SCAN
        elif now < self._retry_at:
            return None
        else:
            work = FULL_SCAN if now >= self._sweep_at else self._debouncer.take(now)
        if work is FULL_SCAN:
            self._begun = self._asked
            self._updating = self._debouncer.clear()
        elif work is not None:
            self._updating = len(work)
            waiting = self._debouncer.waiting()
            work = FULL_SCAN if waiting is FULL_SCAN else work | waiting
        return frozenset() if work is None and self._left else work

    def _pause(self, now: float) -> float:
        """Seconds to wait. Bounded, because a signal that arrives just before the wait would not end it."""
        due = self._debouncer.due_in(now)
        work = self._sweep_at - now if due is None else min(due, self._sweep_at - now)
        first = min(self._check_at, self._complete_at) - now
        return max(0.0, min(_LONGEST_WAIT, first, max(work, self._retry_at - now)))

    def _do(self, work: frozenset[Subtree] | FullScan) -> None:
        try:
            left = self._go_on() if not work and self._go_on is not None else self._update(self._changed(work))
        except (KbError, OSError) as error:
            self._failed(work, str(error))
        else:
            self._succeeded(work, left=left is True and self._go_on is not None)

    def _changed(self, work: frozenset[Subtree] | FullScan) -> frozenset[Subtree] | None:
        """The changed places; None where they are not all known, because not every folder reports its changes."""
        if work is FULL_SCAN or self._polling_reason() or len(self._watcher.folders) < len(self._folders):
            return None
        return work

    def _try_to_complete(self) -> None:
        """Try again what another machine did not take. That it does not yet is no failure of anything here."""
        again: float | None = _LAST_RETRY
        try:
            again = None if self._complete is None else self._complete()
        except (KbError, OSError) as error:
            with self._condition:
                if str(error) not in self._reported_since_sweep:
                    self._reported_since_sweep.add(str(error))
                    self._notices.append(str(error))
        self._complete_at = float("inf") if again is None else self._clock() + again

    def _failed(self, work: frozenset[Subtree] | FullScan, sentence: str) -> None:
        """Put the work back and retry after a growing delay."""
        with self._condition:
            now = self._clock()
            for place in [FULL_SCAN] if work is FULL_SCAN else work:
                self._debouncer.mark(place, now)
            if work is FULL_SCAN or not work:
                self._refused_ticket = self._begun
                self._condition.notify_all()
            self._updating = 0
            self._retry_at = now + min(_LAST_RETRY, _FIRST_RETRY * 2**self._failures)
            self._failures = min(self._failures + 1, 10)
            if sentence not in self._errors:
                self._notices.append(sentence)
                self._errors = (*self._errors, sentence)[-5:]

    def _succeeded(self, work: frozenset[Subtree] | FullScan, *, left: bool) -> None:
        with self._condition:
            now = self._clock()
            self._updating = 0
            self._left = left
            self._failures, self._errors, self._retry_at = 0, (), now
            if self._complete is not None and not left:
                self._complete_at = now
            if not left:
                self._served = self._begun
                self._condition.notify_all()
            if work is FULL_SCAN:
                self._reported_since_sweep.clear()
                self._last_sweep = datetime.now(UTC)
                self._sweep_at = now + self._interval()

    def _report_notices(self) -> None:
        with self._condition:
            notices, self._notices = self._notices, []
        for notice in notices:
            self._say(notice)

    # Watches and clocks.

    def _check(self) -> None:
        """Check the watches and the clocks."""
        now = self._clock()
        if self._clock_jumps.happened():
            self._mark(FULL_SCAN, "The machine slept or its clock was set. All folders are scanned")
        self._check_watches(now)
        reason = self._polling_reason()
        with self._condition:
            self._check_at = now + self._heartbeat_seconds
            self._heartbeat = datetime.now(UTC)
            if reason != self._reported_reason:
                self._reported_reason = reason
                every = f"Scanning the folders every {self._poll_seconds:g} s: {reason}"
                self._notices.append(every if reason else "Changes are reported again: watching")
                self._sweep_at = min(self._sweep_at, now + self._interval())

    def _check_watches(self, now: float) -> None:
        """Watch every folder that reports changes; note the reasons for those that do not."""
        if self._polling or now < self._watch_at:
            return
        table = self._read_mounts()
        self._handle_mounts(points_below(self._folders, table))
        unreported = {folder: without_events(folder, table) for folder in self._folders}
        reasons = [reason or below_without_events(folder, table) for folder, reason in unreported.items()]
        self._blind_spots = "; ".join(reason for reason in reasons if reason)
        try:
            changes = self._watcher.update(folder for folder, reason in unreported.items() if reason is None)
            self._handle_changes(changes)
            self._check_coverage(now)
        except CannotWatch as error:
            # Too few watches are of no use here, and other programs need them.
            self._watcher.stop()
            self._refused = str(error)
            self._watch_at = now + self._sweep_seconds
        else:
            self._refused = ""

    def _handle_mounts(self, mounted: frozenset[str]) -> None:
        """Restart the watches and scan everything after a mount or unmount in a folder, which causes no event."""
        before, self._mounted = self._mounted, mounted
        if before is not None and before != mounted:
            self._watcher.restart()
            names = ", ".join(sorted(before ^ mounted))
            self._mark(FULL_SCAN, f"A file system was mounted or unmounted at {names}; all folders are scanned")

    def _handle_changes(self, changes: Sequence[Change]) -> None:
        """Scan everything after a watch changed. At the start, which scans anyway, only report missing folders."""
        with self._condition:
            first = self._begun == 0
            missing = [folder for folder in self._folders if first and not Path(folder).is_dir()]
            self._notices.extend(f"{folder} does not exist; it is watched once it does" for folder in missing)
        for change in () if first else changes:
            self._mark(FULL_SCAN, _CHANGES[change.what].format(change.folder))

    def _check_coverage(self, now: float) -> None:
        """Check that every directory is watched: new ones each time, all of them every ``sweep_seconds``."""
        everywhere = now >= self._coverage_at
        if self._watcher.unwatched(everywhere=everywhere):
            self._watcher.restart()
            self._mark(FULL_SCAN)
            missing = self._watcher.unwatched(everywhere=True)
            if missing:
                raise CannotWatch(f"{missing} directories cannot be watched: {TABLE_FULL}", RAISE_WATCHES)
        if everywhere:
            self._coverage_at = now + self._sweep_seconds

    def _polling_reason(self) -> str:
        """Why the folders are polled; empty if changes are reported."""
        return "as configured" if self._polling else self._refused or self._blind_spots

    def _interval(self) -> float:
        """Seconds between full scans."""
        return min(self._poll_seconds, self._sweep_seconds) if self._polling_reason() else self._sweep_seconds

    def _kind(self) -> tuple[Kind, str]:
        if self._ended:
            return "blind", "The watcher has ended"
        if self._last_sweep is None:
            return "starting", "The first full scan has not finished"
        if reason := self._polling_reason():
            return "polling", reason
        missing = [folder for folder in self._folders if folder not in self._watcher.folders]
        sentence = f"Missing: {', '.join(missing)}" if missing else ""
        return ("blind" if len(missing) == len(self._folders) else "watching"), sentence
