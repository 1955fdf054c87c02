"""The scheduler with a recording update function, the real watchdog and real folders."""

from __future__ import annotations

import logging
import signal
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from waiting import wait_until

from kb.errors import StoreError
from kb.watching.scheduler import ClockJumps, Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kb.records import Subtree


class Updates:
    """An update function that records its calls, and fails or blocks on request."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.places: list[frozenset[Subtree] | None] = []
        self.fails: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, places: frozenset[Subtree] | None) -> None:
        """Record the call."""
        self.places.append(places)
        self.times.append(time.monotonic())
        assert self.gate.wait(120)
        if self.fails:
            raise self.fails.pop(0)

    @property
    def count(self) -> int:
        """The number of calls."""
        return len(self.times)


class Running:
    """A scheduler on its own thread, with its messages."""

    def __init__(self, updates: Updates, folders: list[str], **settings: Any) -> None:
        self.told: list[str] = []
        self.ended_with: BaseException | None = None
        values: dict[str, Any] = {
            "quiet": 0.05,
            "patience": 0.3,
            "heartbeat_seconds": 0.05,
            "update": updates,
            **settings,
        }
        self.scheduler = Scheduler(folders=folders, say=self.told.append, **values)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.scheduler.run()
        except BaseException as error:  # noqa: BLE001 - the test looks at whatever it was
            self.ended_with = error

    def wait_for_full_scan(self, since: datetime) -> None:
        """Wait until a full scan has ended after ``since``."""
        wait_until(lambda: (self.scheduler.state.last_sweep or since) > since)

    def end(self) -> None:
        """Stop and wait for it."""
        self.scheduler.stop()
        self.thread.join(120)
        assert not self.thread.is_alive()


@pytest.fixture
def updates() -> Updates:
    """A recorder without calls."""
    return Updates()


@pytest.fixture
def start(updates: Updates, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a scheduler for ``tmp_path/notes`` or other folders, and stops it after the test."""
    (tmp_path / "notes" / "work").mkdir(parents=True)
    running: list[Running] = []

    def begin(*folders: str, **settings: Any) -> Running:
        running.append(Running(updates, list(folders) or [str(tmp_path / "notes")], **settings))
        return running[-1]

    yield begin
    updates.gate.set()
    for each in running:
        each.end()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """The watched folder."""
    return tmp_path / "notes"


def settled(run: Running) -> Running:
    """The same scheduler, after its first full scan."""
    wait_until(lambda: run.scheduler.state.kind != "starting")
    return run


def test_watches_are_set_before_the_first_scan(start: Callable[..., Running], updates: Updates, notes: Path) -> None:
    """A change during the first scan leads to another update."""
    updates.gate.clear()
    run = start(quiet=0.01)
    wait_until(lambda: updates.count == 1)
    assert run.scheduler.state.kind == "starting"
    assert run.scheduler.state.watched >= 1
    (notes / "work" / "new.md").write_text("new")
    wait_until(lambda: run.scheduler.state.waiting == 1)
    updates.gate.set()
    wait_until(lambda: updates.count >= 2 and run.scheduler.state.waiting == 0)
    state = run.scheduler.state
    assert (state.kind, state.reason, state.errors) == ("watching", "", ())
    assert state.last_sweep is not None


def test_an_update_is_told_what_changed(start: Callable[..., Running], updates: Updates, notes: Path) -> None:
    """Everything at the start; then the paths that changed, those that are not due yet included."""
    now = [0.0]
    run = settled(start(quiet=3.0, patience=60.0, clock=lambda: now[0]))
    assert updates.places == [None]
    new, log, last = ((str(notes), name) for name in ("work/new.md", "log", "last"))
    # The system reports in order: once a file is waited for, all that happened to the one before it is known.
    (notes / "work" / "new.md").write_text("new")
    (notes / "log").write_text("new")
    wait_until(lambda: run.scheduler.state.waiting == 2)
    now[0] = 1.0
    (notes / "last").write_text("new")
    wait_until(lambda: run.scheduler.state.waiting == 3)
    now[0] = 3.5
    wait_until(lambda: updates.count == 2)
    assert updates.places[1] == frozenset({new, log, last})
    while run.scheduler.state.waiting:
        now[0] += 1.0
        time.sleep(0.01)
    assert last in (updates.places[-1] or ())
    assert new not in (updates.places[-1] or ())


def test_without_all_events_everything_is_looked_at(
    start: Callable[..., Running], updates: Updates, tmp_path: Path
) -> None:
    """As long as a folder is missing, or is polled, nobody knows all that changed."""
    notes = tmp_path / "notes"
    settled(start(str(notes), str(tmp_path / "missing")))
    (notes / "new.md").write_text("new")
    wait_until(lambda: updates.count >= 2)
    assert set(updates.places) == {None}


def test_changes_wait_until_update_ends(start: Callable[..., Running], updates: Updates, notes: Path) -> None:
    """They cannot be found before."""
    run = settled(start())
    updates.gate.clear()
    (notes / "new.md").write_text("new")
    wait_until(lambda: updates.count == 2)
    assert run.scheduler.state.waiting >= 1
    updates.gate.set()
    wait_until(lambda: run.scheduler.state.waiting == 0)


def test_burst_leads_to_few_updates(start: Callable[..., Running], updates: Updates, notes: Path) -> None:
    """Hundreds of changes lead to a handful of updates."""
    settled(start(quiet=0.5, patience=120.0))
    for number in range(300):
        (notes / "work" / f"{number}.md").write_text("x")
    wait_until(lambda: updates.count > 1)
    time.sleep(0.2)
    assert updates.count <= 11


def test_patience_limits_wait_for_continuous_writer(
    start: Callable[..., Running], updates: Updates, notes: Path
) -> None:
    """A file that is written without a pause is indexed all the same."""
    settled(start(quiet=5.0, patience=0.2))
    end = time.monotonic() + 120
    with (notes / "log.md").open("a") as log:
        while updates.count == 1 and time.monotonic() < end:
            log.write("line\n")
            log.flush()
            time.sleep(0.01)
    assert updates.count > 1


def test_overflow_leads_to_full_scan(start: Callable[..., Running], updates: Updates) -> None:
    """The lost events are unknown. The overflow is reported once."""
    run = settled(start())
    updates.gate.clear()
    for _ in range(3):
        logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; events were lost")
    since = datetime.now(UTC)
    updates.gate.set()
    run.wait_for_full_scan(since)
    # What it has to say it says before it waits for work.
    assert run.scheduler.sync(120)
    assert len([notice for notice in run.told if "missed" in notice]) == 1


def test_what_was_missed_is_told_once_a_scan(start: Callable[..., Running], updates: Updates) -> None:
    """Another loss after it is another event."""
    run = settled(start())
    for _ in range(2):
        updates.gate.clear()
        run.scheduler._on_lost("the queue was full")
        run.scheduler._on_lost("the queue was full")
        updates.gate.set()
        assert run.scheduler.sync(120)

    assert run.told == ["Changes may have been missed: the queue was full. All folders are scanned"] * 2


def test_dead_watch_is_restarted(start: Callable[..., Running], updates: Updates, notes: Path) -> None:
    """The heartbeat restarts it, reports it and scans everything."""
    run = settled(start())
    since = datetime.now(UTC)
    watch: Any = run.scheduler._watcher._watches[str(notes)]
    watch._emitter.stop()
    wait_until(lambda: any("had stopped" in notice for notice in run.told))
    run.wait_for_full_scan(since)
    before = updates.count
    (notes / "work" / "new.md").write_text("new")
    wait_until(lambda: updates.count > before)


def test_recreated_root_is_watched_again(start: Callable[..., Running], updates: Updates, notes: Path) -> None:
    """Without this, watchdog would report nothing more."""
    run = settled(start())
    (notes / "work").rmdir()
    notes.rmdir()
    wait_until(lambda: run.scheduler.state.kind == "blind")
    assert str(notes) in run.scheduler.state.reason
    notes.mkdir()
    wait_until(lambda: run.scheduler.state.kind == "watching")
    assert run.scheduler.sync(120)
    before = updates.count
    (notes / "new.md").write_text("new")
    wait_until(lambda: updates.count > before)
    assert any("no longer exists" in notice for notice in run.told)


def test_replaced_root_is_scanned(start: Callable[..., Running], notes: Path, tmp_path: Path) -> None:
    """Moving a root causes no event; its device and inode change."""
    run = settled(start())
    since = datetime.now(UTC)
    notes.rename(tmp_path / "moved")
    notes.mkdir()
    run.wait_for_full_scan(since)
    wait_until(lambda: any("replaced" in notice or "is watched now" in notice for notice in run.told))


def test_folder_missing_at_start_is_watched_once_it_exists(
    start: Callable[..., Running], updates: Updates, tmp_path: Path, notes: Path
) -> None:
    """The other folder is watched in the meantime."""
    later = tmp_path / "later"
    run = settled(start(str(notes), str(later)))
    assert (run.scheduler.state.kind, run.scheduler.state.reason) == ("watching", f"Missing: {later}")
    since = datetime.now(UTC)
    later.mkdir()
    wait_until(lambda: run.scheduler.state.reason == "")
    run.wait_for_full_scan(since)
    before = updates.count
    (later / "new.md").write_text("new")
    wait_until(lambda: updates.count > before)


def test_sync_waits_for_update_that_began_after_it(start: Callable[..., Running], updates: Updates) -> None:
    """An update in progress does not count, and concurrent callers share the next one."""
    updates.gate.clear()
    run = start()
    wait_until(lambda: updates.count == 1)
    results: list[bool] = []
    waiters = [threading.Thread(target=lambda: results.append(run.scheduler.sync(120))) for _ in range(5)]
    for waiter in waiters:
        waiter.start()
    wait_until(lambda: run.scheduler._asked == 6)
    updates.gate.set()
    for waiter in waiters:
        waiter.join(120)
    assert results == [True] * 5
    assert updates.count == 2


def test_sync_fails_in_time(start: Callable[..., Running], updates: Updates) -> None:
    """A timeout, a failed update and a stopped scheduler all return False."""
    run = settled(start())
    # What failed is tried again in a second, and each success clears the errors.
    updates.fails = [OSError("no")] * 9
    asked = time.monotonic()
    assert run.scheduler.sync(120) is False
    assert time.monotonic() - asked < 60
    assert run.scheduler.state.errors == ("no",)
    updates.gate.clear()
    updates.fails.clear()
    assert run.scheduler.sync(0.05) is False
    updates.gate.set()
    run.end()
    assert run.scheduler.sync(5) is False


def test_sync_ends_when_caller_disconnects(start: Callable[..., Running], updates: Updates) -> None:
    """A caller without a timeout occupies a thread of the daemon, which is freed."""
    run = settled(start())
    updates.gate.clear()
    gone = threading.Event()
    results: list[bool] = []
    waiter = threading.Thread(target=lambda: results.append(run.scheduler.sync(None, gone.is_set)))
    waiter.start()
    wait_until(lambda: updates.count == 2)
    assert results == []
    gone.set()
    waiter.join(120)
    assert results == [False]


def test_sync_does_not_wait_for_retry(start: Callable[..., Running], updates: Updates, notes: Path) -> None:
    """The caller gets an attempt at once, though the next retry is half a minute away; success clears the errors."""
    run = settled(start())
    updates.fails = [StoreError("The store is full", "Make room")] * 7
    (notes / "new.md").write_text("new")
    wait_until(lambda: run.scheduler.state.errors == ("The store is full. Make room",))
    while updates.fails:
        assert not run.scheduler.sync(120)
    assert run.scheduler.state.waiting == 1
    asked = time.monotonic()
    assert run.scheduler.sync(120)
    assert updates.times[-1] - asked < 25
    assert run.scheduler.state.errors == ()
    assert run.scheduler.state.waiting == 0


def test_failed_update_is_retried_later(start: Callable[..., Running], updates: Updates, notes: Path) -> None:
    """After a delay, and reported once."""
    run = settled(start())
    updates.fails = [OSError("the disk is full")]
    (notes / "work" / "new.md").write_text("new")
    wait_until(lambda: updates.count >= 3)
    first, second = updates.times[1:3]
    assert second - first >= 0.95
    wait_until(lambda: run.scheduler.state.waiting == 0)
    assert run.told == ["the disk is full"]


def test_retry_delay_doubles(updates: Updates, notes: Path) -> None:
    """From one second up to sixty; after a success it is one second again."""
    scheduler = Scheduler(folders=[str(notes)], update=updates, say=lambda _: None, clock=lambda: 0.0)
    delays = []
    for _ in range(12):
        scheduler._failed(frozenset({(str(notes), "")}), "no")
        delays.append(scheduler._retry_at)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]
    assert scheduler.state.waiting == 1
    scheduler._succeeded(frozenset({(str(notes), "")}), left=False)
    scheduler._failed(frozenset({(str(notes), "")}), "no")
    assert scheduler._retry_at == 1


def test_unexpected_exception_stops_scheduler(start: Callable[..., Running], updates: Updates) -> None:
    """The daemon has to fail visibly; callers of sync return."""
    run = settled(start())
    updates.fails = [ZeroDivisionError("a bug")]
    assert run.scheduler.sync(120) is False
    run.thread.join(120)
    assert isinstance(run.ended_with, ZeroDivisionError)
    assert run.scheduler.state.kind == "blind"
    assert run.scheduler.state.watched == 0


def test_stop_waits_for_update_in_progress(start: Callable[..., Running], updates: Updates) -> None:
    """No other update begins."""
    updates.gate.clear()
    run = start()
    wait_until(lambda: updates.count == 1)
    run.scheduler.stop()
    time.sleep(0.05)
    assert run.thread.is_alive()
    updates.gate.set()
    run.thread.join(120)
    assert updates.count == 1


def test_signal_handler_may_stop_scheduler(updates: Updates, notes: Path) -> None:
    """Even on the thread of the loop."""
    notes.mkdir()
    scheduler = Scheduler(folders=[str(notes)], update=updates, say=lambda _: None)
    before = signal.signal(signal.SIGALRM, lambda *_: scheduler.stop())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        scheduler.run()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert scheduler.state.kind == "blind"


def test_polling_scans_repeatedly(start: Callable[..., Running], updates: Updates) -> None:
    """As configured, without watches, and reported once."""
    run = settled(start(polling=True, poll_seconds=0.05))
    wait_until(lambda: updates.count >= 4)
    state = run.scheduler.state
    assert (state.kind, state.reason, state.watched) == ("polling", "as configured", 0)
    assert run.told == ["Scanning the folders every 0.05 s: as configured"]


@pytest.mark.parametrize("more", [{}, {"polling": True, "poll_seconds": 600.0}])
def test_full_scans_happen_at_intervals(
    start: Callable[..., Running], updates: Updates, more: dict[str, object]
) -> None:
    """Even without events; folders that are polled are not scanned less often than others."""
    run = settled(start(sweep_seconds=0.05, **more))
    run.wait_for_full_scan(datetime.now(UTC))
    wait_until(lambda: updates.count >= 3)


def test_mount_without_events_is_polled(
    start: Callable[..., Running], updates: Updates, notes: Path, tmp_path: Path
) -> None:
    """The other folder is still watched."""
    (tmp_path / "net").mkdir()
    table = f"1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / {tmp_path}/net rw - nfs4 box:/ rw\n"
    run = settled(start(str(notes), str(tmp_path / "net"), read_mounts=lambda: table, poll_seconds=0.05))
    wait_until(lambda: updates.count >= 3)
    state = run.scheduler.state
    assert state.kind == "polling"
    assert "nfs4" in state.reason
    assert run.scheduler._watcher.folders == (str(notes),)
    assert len(run.told) == 1


def test_polling_begins_at_once(updates: Updates, notes: Path) -> None:
    """Not after the time between two scans of folders that report their changes."""
    table = f"1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / {notes} rw - nfs4 box:/ rw\n"
    scheduler = Scheduler(
        folders=[str(notes)], update=updates, say=lambda _: None, clock=lambda: 0.0, read_mounts=lambda: table
    )
    assert scheduler._sweep_at == 600

    scheduler._check()

    assert scheduler._sweep_at == 30


def test_full_watch_table_leads_to_polling(start: Callable[..., Running], updates: Updates, notes: Path) -> None:
    """Directories without a watch are reported and polled; once all are watched, polling ends."""
    run = settled(start(poll_seconds=0.05, sweep_seconds=0.3))
    watcher: Any = run.scheduler._watcher
    unwatched = watcher.unwatched
    watcher.unwatched = lambda **_: 71
    wait_until(lambda: run.scheduler.state.kind == "polling")
    assert "71 directories" in run.scheduler.state.reason
    assert "max_user_watches" in run.scheduler.state.reason
    before = updates.count
    wait_until(lambda: updates.count >= before + 2)
    # Each attempt watches for a moment.
    wait_until(lambda: run.scheduler.state.watched == 0)
    watcher.unwatched = unwatched
    wait_until(lambda: run.scheduler.state.kind == "watching")
    wait_until(lambda: "Changes are reported again: watching" in run.told)
    assert run.scheduler.state.watched >= 1
    debouncer: Any = run.scheduler._debouncer
    marked: list[Any] = []
    mark = debouncer.mark

    def record(place: Any, now: float) -> None:
        marked.append(place)
        mark(place, now)

    debouncer.mark = record
    (notes / "work" / "new.md").write_text("new")
    wait_until(lambda: (str(notes), "work/new.md") in marked)


def test_clock_jump_leads_to_full_scan(start: Callable[..., Running]) -> None:
    """After sleep the clock that counts it is ahead of the one that does not."""
    ahead = [100.0, 0.0]
    run = settled(start(read_offsets=lambda: tuple(ahead)))
    since = datetime.now(UTC)
    ahead[1] = 3600.0
    run.wait_for_full_scan(since)
    wait_until(lambda: any("slept" in notice for notice in run.told))


@pytest.mark.parametrize(("shift", "jumped"), [(0.0, False), (4.0, False), (6.0, True), (-6.0, True), (7200.0, True)])
def test_small_clock_corrections_are_no_jumps(shift: float, jumped: bool) -> None:
    """Only differences of more than five seconds count, in both directions, once."""
    ahead = [50.0]
    jumps = ClockJumps(lambda: tuple(ahead))
    ahead[0] += shift
    assert jumps.happened() is jumped
    assert jumps.happened() is False


def test_real_clocks_do_not_jump() -> None:
    """Without sleep the offsets are constant."""
    assert ClockJumps().happened() is False


class Rest:
    """Work that an update leaves, in pieces; it records what it does among the calls of the update."""

    def __init__(self, updates: Updates, pieces: int) -> None:
        self.left = pieces
        self.done: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fails: list[Exception] = []
        self._updates = updates

    def update(self, places: frozenset[Subtree] | None) -> bool:
        """Record the call of the update; returns whether something is left."""
        self._updates(places)
        return self.left > 0

    def go_on(self) -> bool:
        """Do a piece, and record how many updates there were before."""
        assert self.gate.wait(120)
        if self.fails:
            raise self.fails.pop(0)
        self.left -= 1
        self.done.append(self._updates.count)
        return self.left > 0


def test_what_an_update_leaves_is_done_while_nothing_is_due(
    start: Callable[..., Running], updates: Updates, notes: Path
) -> None:
    """A change goes before the rest of it, and the folders are watched all the while."""
    rest = Rest(updates, 3)
    rest.gate.clear()
    run = start(update=rest.update, go_on=rest.go_on, quiet=60.0, patience=0.5, heartbeat_seconds=600.0)
    wait_until(lambda: run.scheduler.state.kind == "watching")
    assert (updates.count, rest.left) == (1, 3)

    (notes / "new.md").write_text("new")
    wait_until(run.scheduler.due)
    rest.gate.set()
    wait_until(lambda: not rest.left)

    # The piece that was under way was finished first.
    assert rest.done == [1, 2, 2]
    time.sleep(0.2)
    assert len(rest.done) == 3


def test_sync_waits_for_what_is_left(start: Callable[..., Running], updates: Updates) -> None:
    """Everything is indexed only then; after a failure the rest is tried again."""
    rest = Rest(updates, 2)
    run = start(update=rest.update, go_on=rest.go_on)

    assert run.scheduler.sync(120)
    assert rest.left == 0
    rest.left, rest.fails = 2, [StoreError("the disk is full")]
    assert not run.scheduler.sync(120)
    assert rest.left == 2
    wait_until(lambda: not rest.left)
    assert run.scheduler.sync(120)


def test_what_another_machine_did_not_take_is_tried_again(start: Callable[..., Running], updates: Updates) -> None:
    """After each update, and again when it says; no change waits for that, and an error of it is told once."""
    calls: list[float] = []
    answers: list[float | StoreError | None] = [0.2, StoreError("another writes"), None]

    def complete() -> float | None:
        calls.append(time.monotonic())
        answer = answers.pop(0) if answers else None
        if isinstance(answer, StoreError):
            raise answer
        return answer

    run = settled(start(update=updates, complete=complete))

    wait_until(lambda: len(calls) == 2)
    assert calls[1] - calls[0] >= 0.2
    assert run.scheduler.sync(timeout=60)
    wait_until(lambda: len(calls) == 3)
    assert run.scheduler.sync(timeout=60)
    wait_until(lambda: len(calls) == 4)
    assert run.told.count("another writes") == 1
    assert run.scheduler.state.errors == ()


def test_what_another_machine_did_not_take_comes_after_all_else(
    start: Callable[..., Running], updates: Updates
) -> None:
    """Also where the rest of an update fails and waits to be tried again."""
    rest = Rest(updates, 2)
    rest.fails = [StoreError("the disk is full")]
    left: list[int] = []

    def complete() -> None:
        left.append(rest.left)

    start(update=rest.update, go_on=rest.go_on, complete=complete)

    wait_until(lambda: bool(left))
    assert left == [0]
