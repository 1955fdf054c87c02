"""The lock that gives a store one owner."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from plain_user import bound_by_rights

from kb.errors import StoreBusy, StoreError
from kb.store.lock import (
    COMMAND_LENGTH,
    LOCK_FILE,
    OWNER_FILE,
    Owner,
    StoreLock,
    command_line,
    is_locked,
    read_owner,
    recorded_owner,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = str(Path(__file__).resolve().parents[2])
HOLDER = """
import sys, time
from kb.store.lock import StoreLock
lock = StoreLock(sys.argv[1], "kb index").acquire()
print("held", flush=True)
time.sleep(60)
"""
# Takes the lock file alone.
TAKER = """
import sys, time
from filelock import FileLock
lock = FileLock(f"{sys.argv[1]}/kb.lock")
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def holder(directory: Path, code: str = HOLDER) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of a store."""
    command = [sys.executable, "-c", code, str(directory)]
    environment = os.environ | {"PYTHONPATH": ROOT}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child
        finally:
            child.kill()


def test_a_second_process_learns_who_holds_the_store(tmp_path: Path) -> None:
    """The message of a busy store names the holder's process id and command."""
    with holder(tmp_path) as child, pytest.raises(StoreBusy) as busy:
        StoreLock(str(tmp_path)).acquire(0.1)

    assert busy.value.message == f"the store at {tmp_path} is in use by process {child.pid} (kb index)"
    assert busy.value.remedy


def test_a_killed_holder_leaves_the_store_free(tmp_path: Path) -> None:
    """After kill -9 the lock is free, and the record of the dead process is ignored."""
    with holder(tmp_path) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()

        stale = read_owner(str(tmp_path))
        with StoreLock(str(tmp_path), "kb search").acquire(5.0):
            owner = read_owner(str(tmp_path))

    assert stale is None
    assert owner is not None
    assert (owner.pid, owner.command) == (os.getpid(), "kb search")


def test_a_released_store_can_be_taken_again(tmp_path: Path) -> None:
    """Release frees the lock and removes the owner record; a second release does nothing."""
    first, second = StoreLock(str(tmp_path)), StoreLock(str(tmp_path))

    first.acquire()
    first.release()
    first.release()
    second.acquire()

    assert not first.held
    assert second.held
    second.release()
    assert not (tmp_path / OWNER_FILE).exists()


def test_acquire_is_idempotent(tmp_path: Path) -> None:
    """One release is enough, however often the same object acquired."""
    lock = StoreLock(str(tmp_path)).acquire().acquire()

    lock.release()

    with StoreLock(str(tmp_path)) as other:
        assert other.held


def test_one_store_has_one_lock_under_all_its_names(tmp_path: Path) -> None:
    """A symbolic link to a store leads to the same lock."""
    store, alias = tmp_path / "store", tmp_path / "alias"
    store.mkdir()
    alias.symlink_to(store)

    with StoreLock(str(store)), pytest.raises(StoreBusy):
        StoreLock(str(alias)).acquire()


def test_a_new_store_is_private_to_the_user(tmp_path: Path) -> None:
    """A missing directory is created, readable by nobody else, and so is the lock file."""
    store = tmp_path / "new" / "store"

    with StoreLock(str(store)):
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (store, store / LOCK_FILE)]

    assert modes == [0o700, 0o600]


def test_a_folder_in_the_place_of_the_lock_file_is_set_aside(tmp_path: Path) -> None:
    """As a backup or a sync may leave it."""
    (tmp_path / LOCK_FILE).mkdir()

    with StoreLock(str(tmp_path)):
        assert (tmp_path / LOCK_FILE).is_file()


def test_a_deleted_record_of_the_owner_is_written_again(tmp_path: Path) -> None:
    """Though the lock file is in its place; where both are, nothing is done."""
    with StoreLock(str(tmp_path), "kb watch") as lock:
        assert not lock.mend()
        (tmp_path / OWNER_FILE).unlink()

        assert lock.mend()
        owner = read_owner(str(tmp_path))
        assert owner is not None
        assert owner.command == "kb watch"
        assert not lock.mend()


def test_a_file_at_the_path_of_the_store_is_reported(tmp_path: Path) -> None:
    """The error has a remedy, and no lock is held."""
    (tmp_path / "store").write_text("not a folder")

    with pytest.raises(StoreError, match="is a file, not a folder") as refused:
        StoreLock(str(tmp_path / "store")).acquire()

    assert refused.value.remedy


@bound_by_rights
def test_a_store_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """A read-only store is refused with a remedy."""
    tmp_path.chmod(0o500)

    with pytest.raises(StoreError, match="may not be read and written by you"):
        StoreLock(str(tmp_path)).acquire()


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"pid": "x", "command": "kb", "since": ""}',
        b'{"pid": -1, "command": "kb", "since": ""}',
        b'{"pid": 99999999999999999999, "command": "kb", "since": ""}',
        b"[" * 100_000,
    ],
)
def test_an_unreadable_record_names_no_owner(tmp_path: Path, note: bytes) -> None:
    """A broken record is ignored, and the lock still keeps others out."""
    with StoreLock(str(tmp_path)):
        (tmp_path / OWNER_FILE).write_bytes(note)

        owner = read_owner(str(tmp_path))
        with pytest.raises(StoreBusy, match="in use by another process"):
            StoreLock(str(tmp_path)).acquire()

    assert owner is None


def test_the_record_has_process_command_and_start(tmp_path: Path) -> None:
    """It is a small JSON object with pid, command and since."""
    with StoreLock(str(tmp_path), "kb watch"):
        note = json.loads((tmp_path / OWNER_FILE).read_bytes())

    assert note.keys() == {"pid", "command", "since"}
    assert note["command"] == "kb watch"


def test_a_command_line_is_short_and_without_the_programs_folder() -> None:
    """The holder is named by its command line, shortened."""
    assert command_line(["/usr/local/bin/kb", "search", "two words"]) == "kb search 'two words'"
    assert command_line([]) == "kb"
    assert command_line(["/usr/lib/kb/__main__.py", "watch"]) == "kb watch"
    assert len(command_line(["kb", "search", "x" * 500])) == COMMAND_LENGTH


@dataclass
class Clock:
    """A replacement for the module ``time`` in the lock, which only advances on request."""

    now: float = 0.0

    def monotonic(self) -> float:
        """Seconds that only increase."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the lock; each attempt to take the lock is short."""
    made = Clock()
    monkeypatch.setattr("kb.store.lock.time", made)
    monkeypatch.setattr("kb.store.lock.LOOK_SECONDS", 0.01)
    return made


def test_the_wait_starts_again_with_each_holder(tmp_path: Path, clock: Clock) -> None:
    """While others take turns, each for less than the wait, nobody gives up."""
    turns = [StoreLock(str(tmp_path), f"kb {number}") for number in range(4)]
    turns[0].acquire()
    left = list(turns)

    def pass_on() -> None:
        clock.now += 0.9
        left.pop(0).release()
        if left:
            left[0].acquire()

    with StoreLock(str(tmp_path), "kb last").acquire(1.0, while_waiting=pass_on):
        waited = clock.now

    assert waited == pytest.approx(3.6)


def test_one_holder_is_waited_for_no_longer_than_given(tmp_path: Path, clock: Clock) -> None:
    """However often the lock is tried meanwhile."""

    def go_on() -> None:
        clock.now += 0.3

    with StoreLock(str(tmp_path)), pytest.raises(StoreBusy):
        StoreLock(str(tmp_path)).acquire(1.0, while_waiting=go_on)

    assert 1.0 <= clock.now <= 1.5


def test_a_deleted_lock_file_lets_nobody_in(tmp_path: Path) -> None:
    """The directory is locked too; a refused process holds nothing, and gets the lock after the first one."""
    first, second = StoreLock(str(tmp_path)).acquire(), StoreLock(str(tmp_path))
    (tmp_path / LOCK_FILE).unlink()

    with pytest.raises(StoreBusy):
        second.acquire()
    assert not second.held

    first.release()
    with second as held:
        assert held.held


def test_a_lock_that_cannot_be_mended_is_let_go_whole(tmp_path: Path) -> None:
    """Where another process took the new lock file, the folder is not kept locked either."""
    lock = StoreLock(str(tmp_path), "kb watch").acquire()
    (tmp_path / LOCK_FILE).unlink()
    with holder(tmp_path, TAKER), pytest.raises(StoreBusy):
        lock.mend()

    lock.release()

    with holder(tmp_path):
        assert not lock.held


def test_a_store_at_the_path_of_a_moved_one_is_left_to_its_owner(tmp_path: Path) -> None:
    """The holder of the moved store changes nothing in the new one, and leaves its owner record."""
    store = tmp_path / "store"
    old = StoreLock(str(store), "kb old").acquire()
    old.require_place()
    store.rename(tmp_path / "away")
    with StoreLock(str(store), "kb new"):
        with pytest.raises(StoreError, match="removed or replaced"):
            old.require_place()
        old.release()

        owner = read_owner(str(store))

    assert owner is not None
    assert owner.command == "kb new"


def test_a_new_store_stays_out_of_git(tmp_path: Path) -> None:
    """Notes are often in a repository; an existing folder is not changed."""
    with StoreLock(str(tmp_path / "new")):
        assert (tmp_path / "new" / ".gitignore").read_text() == "*\n"
    with StoreLock(str(tmp_path)):
        assert not (tmp_path / ".gitignore").exists()


def test_a_long_wait_is_reported_once(tmp_path: Path, clock: Clock) -> None:
    """The user sees what the command waits for."""
    told: list[str] = []

    def go_on() -> None:
        clock.now += 0.15

    with StoreLock(str(tmp_path), "kb index"):
        with pytest.raises(StoreBusy):
            StoreLock(str(tmp_path)).acquire(0.3, told.append, go_on)
        assert told == []
        with pytest.raises(StoreBusy):
            StoreLock(str(tmp_path)).acquire(2.0, told.append, go_on)

    assert told == [f"waiting for process {os.getpid()} (kb index), at most 2 s"]


def test_is_locked_tells_without_taking_the_lock(tmp_path: Path) -> None:
    """Whether a store is held is found out without changing its files, and without keeping others from it."""
    store = tmp_path / "store"
    store.mkdir()
    assert not is_locked(str(store))
    assert list(store.iterdir()) == []

    with StoreLock(str(store), "kb watch"):
        assert is_locked(str(store))
        assert recorded_owner(str(store)) == read_owner(str(store))
    assert not is_locked(str(store))
    with StoreLock(str(store)):
        pass


def test_recorded_owner_may_have_ended(tmp_path: Path) -> None:
    """The record of a process that has ended is read, but names no holder."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    record = {"pid": ended.pid, "command": "kb index", "since": "2026-11-01T10:00:00+00:00"}
    (tmp_path / OWNER_FILE).write_text(json.dumps(record), "utf-8")

    assert read_owner(str(tmp_path)) is None
    assert recorded_owner(str(tmp_path)) == Owner(ended.pid, "kb index", "2026-11-01T10:00:00+00:00")
