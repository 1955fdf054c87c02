"""The follower with a recording absorb, the real watchdog and real folders."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from waiting import wait_until

from kb.errors import StoreError
from kb.watching.scheduler import Follower, Jumps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from kb.watching.scheduler import Place


class Absorber:
    """Records what it is asked to absorb; fails or dawdles where told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Place, ...] | None] = []
        self.times: list[float] = []
        self.fails: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, places: Collection[Place] | None) -> None:
        """Absorb some places, or everything."""
        self.times.append(time.monotonic())
        self.calls.append(None if places is None else tuple(places))
        assert self.gate.wait(120)
        if self.fails:
            raise self.fails.pop(0)

    @property
    def full(self) -> int:
        """How many times everything was absorbed."""
        return self.calls.count(None)

    def places(self) -> set[Place]:
        """Every place that was absorbed for itself."""
        return {place for call in self.calls for place in call or ()}


class Running:
    """A follower on a thread of its own, with what it told."""

    def __init__(self, absorber: Absorber, folders: list[str], **settings: Any) -> None:
        self.told: list[str] = []
        self.ended_with: BaseException | None = None
        values: dict[str, Any] = {"quiet": 0.05, "patience": 0.3, "heartbeat_seconds": 0.05, **settings}
        self.follower = Follower(folders=folders, absorb=absorber, tell=self.told.append, **values)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.follower.run()
        except BaseException as error:  # noqa: BLE001 - the test looks at whatever it was
            self.ended_with = error

    def end(self) -> None:
        """Stop and wait for it."""
        self.follower.stop()
        self.thread.join(120)
        assert not self.thread.is_alive()


@pytest.fixture
def absorber() -> Absorber:
    """An empty record."""
    return Absorber()


@pytest.fixture
def start(absorber: Absorber, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a follower of ``tmp_path/notes``, or of other folders, and ends it after the test."""
    (tmp_path / "notes" / "work").mkdir(parents=True)
    running: list[Running] = []

    def begin(*folders: str, **settings: Any) -> Running:
        running.append(Running(absorber, list(folders) or [str(tmp_path / "notes")], **settings))
        return running[-1]

    yield begin
    absorber.gate.set()
    for each in running:
        each.end()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """The folder that is followed."""
    return tmp_path / "notes"


def settled(run: Running) -> Running:
    """The same, after it has absorbed everything once."""
    wait_until(lambda: run.follower.state.kind != "starting")
    return run


def test_everything_is_absorbed_at_the_start_after_the_watches(
    start: Callable[..., Running], absorber: Absorber, notes: Path
) -> None:
    """What is written during the first absorb is heard: the watches were there before."""
    absorber.gate.clear()
    run = start(quiet=0.01)
    wait_until(lambda: absorber.calls == [None])
    assert run.follower.state.kind == "starting"
    assert run.follower.state.watched >= 1
    (notes / "work" / "new.md").write_text("new")
    wait_until(lambda: run.follower.state.waiting == 1)
    absorber.gate.set()
    wait_until(lambda: absorber.calls[:2] == [None, ((str(notes), "work"),)])
    state = run.follower.state
    assert (state.kind, state.reason, state.errors) == ("watching", "", ())
    assert state.last_sweep is not None


def test_what_is_being_absorbed_still_waits(start: Callable[..., Running], absorber: Absorber, notes: Path) -> None:
    """It is not found yet, so it counts until the absorb is through."""
    run = settled(start())
    absorber.gate.clear()
    (notes / "new.md").write_text("new")
    wait_until(lambda: absorber.calls[1:] == [((str(notes), ""),)])
    assert run.follower.state.waiting >= 1
    absorber.gate.set()
    wait_until(lambda: run.follower.state.waiting == 0)


def test_a_burst_is_absorbed_at_once(start: Callable[..., Running], absorber: Absorber, notes: Path) -> None:
    """Hundreds of changes lead to a handful of absorbs of the place around them."""
    settled(start(quiet=0.5, patience=120.0))
    for number in range(300):
        (notes / "work" / f"{number}.md").write_text("x")
    wait_until(lambda: absorber.places() == {(str(notes), "work")})
    time.sleep(0.2)
    assert 1 <= len(absorber.calls) - absorber.full <= 10


def test_a_writer_that_never_pauses_is_not_waited_for(
    start: Callable[..., Running], absorber: Absorber, notes: Path
) -> None:
    """Patience ends the wait for quiet."""
    settled(start(quiet=5.0, patience=0.2))
    end = time.monotonic() + 120
    with (notes / "log.md").open("a") as log:
        while not absorber.places() and time.monotonic() < end:
            log.write("line\n")
            log.flush()
            time.sleep(0.01)
    assert absorber.places() == {(str(notes), "")}


def test_an_overflow_leads_to_a_full_absorb(start: Callable[..., Running], absorber: Absorber) -> None:
    """Nobody knows what was lost, so everything is looked at, and told once."""
    run = settled(start())
    for _ in range(3):
        logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; events were lost")
    wait_until(lambda: absorber.full == 2)
    assert len([notice for notice in run.told if "missed" in notice]) == 1


def test_a_dead_observer_is_healed(start: Callable[..., Running], absorber: Absorber, notes: Path) -> None:
    """The heartbeat starts it again, says so, and looks at everything."""
    run = settled(start())
    watch: Any = run.follower._observer._watches[str(notes)]
    watch._emitter.stop()
    wait_until(lambda: any("had stopped" in notice for notice in run.told))
    wait_until(lambda: absorber.full == 2)
    (notes / "work" / "new.md").write_text("new")
    wait_until(lambda: (str(notes), "work") in absorber.places())


def test_a_root_that_is_deleted_and_made_again_is_heard(
    start: Callable[..., Running], absorber: Absorber, notes: Path
) -> None:
    """watchdog alone would be deaf for ever."""  # noqa: D403 - a name that is written so
    run = settled(start())
    (notes / "work").rmdir()
    notes.rmdir()
    wait_until(lambda: run.follower.state.kind == "blind")
    assert str(notes) in run.follower.state.reason
    notes.mkdir()
    wait_until(lambda: run.follower.state.kind == "watching")
    assert run.follower.sync(120)
    (notes / "new.md").write_text("new")
    wait_until(lambda: absorber.calls[-1] == ((str(notes), ""),))
    assert any("not there any more" in notice for notice in run.told)


def test_a_root_that_is_replaced_between_two_beats_is_noticed(
    start: Callable[..., Running], absorber: Absorber, notes: Path, tmp_path: Path
) -> None:
    """Moving a root gives no event at all; its device and inode tell."""
    run = settled(start())
    notes.rename(tmp_path / "moved")
    notes.mkdir()
    wait_until(lambda: absorber.full == 2)
    wait_until(lambda: any("replaced" in notice or "is watched now" in notice for notice in run.told))


def test_a_folder_missing_at_the_start_is_watched_once_it_is_there(
    start: Callable[..., Running], absorber: Absorber, tmp_path: Path, notes: Path
) -> None:
    """The other folder is watched meanwhile."""
    later = tmp_path / "later"
    run = settled(start(str(notes), str(later)))
    assert (run.follower.state.kind, run.follower.state.reason) == ("watching", f"Not there: {later}")
    later.mkdir()
    wait_until(lambda: run.follower.state.reason == "")
    wait_until(lambda: absorber.full == 2)
    (later / "new.md").write_text("new")
    wait_until(lambda: (str(later), "") in absorber.places())


def test_the_barrier_waits_for_an_absorb_that_began_after_it(start: Callable[..., Running], absorber: Absorber) -> None:
    """One that is under way does not count, and all who wait share the next."""
    absorber.gate.clear()
    run = start()
    wait_until(lambda: absorber.full == 1)
    results: list[bool] = []
    waiters = [threading.Thread(target=lambda: results.append(run.follower.sync(120))) for _ in range(5)]
    for waiter in waiters:
        waiter.start()
    wait_until(lambda: run.follower._asked == 6)
    absorber.gate.set()
    for waiter in waiters:
        waiter.join(120)
    assert results == [True] * 5
    assert absorber.full == 2


def test_the_barrier_gives_up_in_time(start: Callable[..., Running], absorber: Absorber) -> None:
    """A timeout, a failing absorb and an ended follower are all False."""
    run = settled(start())
    absorber.fails = [OSError("no")]
    asked = time.monotonic()
    assert run.follower.sync(120) is False
    assert time.monotonic() - asked < 60
    assert run.follower.state.errors == ("no",)
    absorber.gate.clear()
    assert run.follower.sync(0.05) is False
    absorber.gate.set()
    run.end()
    assert run.follower.sync(5) is False


def test_the_barrier_lets_go_of_those_who_are_gone(start: Callable[..., Running], absorber: Absorber) -> None:
    """Whoever waits without end holds a thread of the owner: it is free once nobody listens any more."""
    run = settled(start())
    absorber.gate.clear()
    gone = threading.Event()
    results: list[bool] = []
    waiter = threading.Thread(target=lambda: results.append(run.follower.sync(None, gone.is_set)))
    waiter.start()
    wait_until(lambda: absorber.full == 2)
    assert results == []
    gone.set()
    waiter.join(120)
    assert results == [False]


def test_the_barrier_does_not_wait_for_a_retry(start: Callable[..., Running], absorber: Absorber, notes: Path) -> None:
    """Whoever asks gets a try at once, though the next one would be half a minute away; success forgives."""
    run = settled(start())
    absorber.fails = [StoreError("The store is full", "Make room")] * 7
    (notes / "new.md").write_text("new")
    wait_until(lambda: run.follower.state.errors == ("The store is full. Make room",))
    while absorber.fails:
        assert not run.follower.sync(120)
    assert run.follower.state.waiting == 1
    asked = time.monotonic()
    assert run.follower.sync(120)
    assert absorber.times[-1] - asked < 25
    assert run.follower.state.errors == ()
    assert run.follower.state.waiting == 0


def test_what_failed_is_tried_again_later(start: Callable[..., Running], absorber: Absorber, notes: Path) -> None:
    """Not at once, with the same places, and told once."""
    run = settled(start())
    absorber.fails = [OSError("the disk is full")]
    (notes / "work" / "new.md").write_text("new")
    wait_until(lambda: absorber.calls[1:3] == [((str(notes), "work"),)] * 2)
    first, second = absorber.times[1:3]
    assert second - first >= 0.95
    wait_until(lambda: run.follower.state.waiting == 0)
    assert run.told == ["the disk is full"]


def test_the_retries_come_later_and_later(absorber: Absorber, notes: Path) -> None:
    """One second, doubled each time, never more than sixty."""
    follower = Follower(folders=[str(notes)], absorb=absorber, tell=lambda _: None, clock=lambda: 0.0)
    delays = []
    for _ in range(12):
        follower._failed(frozenset({(str(notes), "")}), "no")
        delays.append(follower._retry_at)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]
    assert follower.state.waiting == 1


def test_an_error_that_is_no_fault_of_the_world_ends_it(start: Callable[..., Running], absorber: Absorber) -> None:
    """The owner has to die loudly; whoever waits is let go."""
    run = settled(start())
    absorber.fails = [ZeroDivisionError("a bug")]
    assert run.follower.sync(120) is False
    run.thread.join(120)
    assert isinstance(run.ended_with, ZeroDivisionError)
    assert run.follower.state.kind == "blind"
    assert run.follower.state.watched == 0


def test_a_stop_waits_for_the_absorb_under_way(start: Callable[..., Running], absorber: Absorber) -> None:
    """And begins no other."""
    absorber.gate.clear()
    run = start()
    wait_until(lambda: absorber.full == 1)
    run.follower.stop()
    time.sleep(0.05)
    assert run.thread.is_alive()
    absorber.gate.set()
    run.thread.join(120)
    assert absorber.calls == [None]


def test_a_signal_handler_may_stop_it(absorber: Absorber, notes: Path) -> None:
    """Also where it runs on the thread that the loop is on."""
    notes.mkdir()
    follower = Follower(folders=[str(notes)], absorb=absorber, tell=lambda _: None)
    before = signal.signal(signal.SIGALRM, lambda *_: follower.stop())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        follower.run()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert follower.state.kind == "blind"


def test_polling_looks_again_and_again(start: Callable[..., Running], absorber: Absorber) -> None:
    """Without any watch, as configured, and says so once."""
    run = settled(start(polling=True, poll_seconds=0.05))
    wait_until(lambda: absorber.full >= 4)
    state = run.follower.state
    assert (state.kind, state.reason, state.watched) == ("polling", "as configured", 0)
    assert run.told == ["Looking at the folders every 0.05 s: as configured"]


def test_a_sweep_looks_at_everything(start: Callable[..., Running], absorber: Absorber) -> None:
    """Now and then, though nothing is heard."""
    start(sweep_seconds=0.05)
    wait_until(lambda: absorber.full >= 3)
    assert absorber.places() == set()


def test_a_mount_without_events_is_polled(
    start: Callable[..., Running], absorber: Absorber, notes: Path, tmp_path: Path
) -> None:
    """The other folder is watched all the same."""
    (tmp_path / "net").mkdir()
    table = f"1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / {tmp_path}/net rw - nfs4 box:/ rw\n"
    run = settled(start(str(notes), str(tmp_path / "net"), read_mounts=lambda: table, poll_seconds=0.05))
    wait_until(lambda: absorber.full >= 3)
    state = run.follower.state
    assert state.kind == "polling"
    assert "nfs4" in state.reason
    assert run.follower._observer.folders == (str(notes),)
    assert len(run.told) == 1


def test_a_full_watch_table_leads_to_polling(start: Callable[..., Running], absorber: Absorber, notes: Path) -> None:
    """Directories that stay without a watch are noticed, told and polled; once all are watched it listens again."""
    run = settled(start(poll_seconds=0.05, sweep_seconds=0.3))
    observer: Any = run.follower._observer
    count = observer.unwatched
    observer.unwatched = lambda **_: 71
    wait_until(lambda: run.follower.state.kind == "polling")
    assert "71 directories" in run.follower.state.reason
    assert "max_user_watches" in run.follower.state.reason
    before = absorber.full
    wait_until(lambda: absorber.full >= before + 2)
    assert run.follower.state.watched == 0
    observer.unwatched = count
    wait_until(lambda: run.follower.state.kind == "watching")
    wait_until(lambda: "Changes are reported again: watching" in run.told)
    (notes / "work" / "new.md").write_text("new")
    wait_until(lambda: (str(notes), "work") in absorber.places())


def test_a_jump_of_the_clocks_leads_to_a_full_absorb(start: Callable[..., Running], absorber: Absorber) -> None:
    """The machine slept: the clock that counts sleep is ahead of the one that does not."""
    ahead = [100.0, 0.0]
    run = settled(start(read_offsets=lambda: tuple(ahead)))
    ahead[1] = 3600.0
    wait_until(lambda: absorber.full == 2)
    assert any("slept" in notice for notice in run.told)


@pytest.mark.parametrize(("shift", "jumped"), [(0.0, False), (4.0, False), (6.0, True), (-6.0, True), (7200.0, True)])
def test_a_jump_is_more_than_a_correction(shift: float, jumped: bool) -> None:
    """Clocks are nudged all the time; sleep and a clock that is set are jumps, forwards and back, once."""
    ahead = [50.0]
    jumps = Jumps(lambda: tuple(ahead))
    ahead[0] += shift
    assert jumps.happened() is jumped
    assert jumps.happened() is False


def test_the_real_clocks_do_not_jump() -> None:
    """Without sleep the offsets stay."""
    assert Jumps().happened() is False
