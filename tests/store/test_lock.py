"""Tests of the lock that gives a store one owner."""

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

from kb.errors import StoreBusy, StoreError
from kb.store.lock import COMMAND_LENGTH, LOCK_FILE, OWNER_FILE, StoreLock, command_line, read_owner

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


@contextmanager
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of a store."""
    command = [sys.executable, "-c", HOLDER, str(directory)]
    environment = os.environ | {"PYTHONPATH": ROOT}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child
        finally:
            child.kill()


def test_a_second_process_is_told_who_holds_the_store(tmp_path: Path) -> None:
    """The message of a busy store names the holder's process id and command."""
    with holder(tmp_path) as child, pytest.raises(StoreBusy) as busy:
        StoreLock(str(tmp_path)).acquire(0.1)

    assert busy.value.message == f"the store at {tmp_path} is in use by process {child.pid} (kb index)"
    assert busy.value.remedy


def test_a_killed_holder_leaves_the_store_free(tmp_path: Path) -> None:
    """After kill -9 the lock is free, and the note of the dead process is not believed."""
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
    """Release frees the lock and removes the note; a second release changes nothing."""
    first, second = StoreLock(str(tmp_path)), StoreLock(str(tmp_path))

    first.acquire()
    first.release()
    first.release()
    second.acquire()

    assert not first.held
    assert second.held
    second.release()
    assert not (tmp_path / OWNER_FILE).exists()


def test_taking_a_lock_twice_is_taking_it_once(tmp_path: Path) -> None:
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


def test_a_store_is_made_for_the_user_alone(tmp_path: Path) -> None:
    """A directory that is missing is made, readable by nobody else."""
    store = tmp_path / "new" / "store"

    with StoreLock(str(store)):
        mode = stat.S_IMODE(store.stat().st_mode)

    assert mode == 0o700


def test_a_file_in_the_place_of_the_store_is_one_clear_error(tmp_path: Path) -> None:
    """What cannot be a store is refused with a remedy, and holds no lock."""
    (tmp_path / "store").write_text("not a folder")

    with pytest.raises(StoreError, match="cannot be used") as refused:
        StoreLock(str(tmp_path / "store")).acquire()

    assert refused.value.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    """A read-only store is refused with a remedy."""
    tmp_path.chmod(0o500)

    with pytest.raises(StoreError, match="cannot be used"):
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
def test_an_unreadable_note_names_nobody(tmp_path: Path, note: bytes) -> None:
    """A broken note is as good as none, and the lock still keeps others out."""
    with StoreLock(str(tmp_path)):
        (tmp_path / OWNER_FILE).write_bytes(note)

        owner = read_owner(str(tmp_path))
        with pytest.raises(StoreBusy, match="in use by another process"):
            StoreLock(str(tmp_path)).acquire()

    assert owner is None


def test_the_note_says_what_runs_and_since_when(tmp_path: Path) -> None:
    """The note is a small JSON object with pid, command and since."""
    with StoreLock(str(tmp_path), "kb watch"):
        note = json.loads((tmp_path / OWNER_FILE).read_bytes())

    assert note.keys() == {"pid", "command", "since"}
    assert note["command"] == "kb watch"


def test_a_command_line_is_short_and_without_the_programs_folder() -> None:
    """The holder calls itself as the user called it, in a few words."""
    assert command_line(["/usr/local/bin/kb", "search", "two words"]) == "kb search 'two words'"
    assert command_line([]) == "kb"
    assert command_line(["/usr/lib/kb/__main__.py", "watch"]) == "kb watch"
    assert len(command_line(["kb", "search", "x" * 500])) == COMMAND_LENGTH


@dataclass
class Clock:
    """Stands in for the module ``time`` of the lock, and goes on when it is told."""

    now: float = 0.0

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which a lock is waited for; each look at the lock itself is short."""
    made = Clock()
    monkeypatch.setattr("kb.store.lock.time", made)
    monkeypatch.setattr("kb.store.lock.LOOK_SECONDS", 0.01)
    return made


def test_the_wait_begins_anew_with_every_holder(tmp_path: Path, clock: Clock) -> None:
    """Where many wait, nobody gives up while the others take their turns, each for less than the wait."""
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


def test_one_holder_is_waited_for_no_longer_than_was_said(tmp_path: Path, clock: Clock) -> None:
    """However often it is looked at meanwhile."""

    def go_on() -> None:
        clock.now += 0.3

    with StoreLock(str(tmp_path)), pytest.raises(StoreBusy):
        StoreLock(str(tmp_path)).acquire(1.0, while_waiting=go_on)

    assert 1.0 <= clock.now <= 1.5


def test_a_deleted_lock_file_lets_nobody_in(tmp_path: Path) -> None:
    """The directory is locked too; who is refused holds nothing, and comes in once the first has gone."""
    first, second = StoreLock(str(tmp_path)).acquire(), StoreLock(str(tmp_path))
    (tmp_path / LOCK_FILE).unlink()

    with pytest.raises(StoreBusy):
        second.acquire()
    assert not second.held

    first.release()
    with second as held:
        assert held.held


def test_a_store_in_the_place_of_another_is_left_to_its_owner(tmp_path: Path) -> None:
    """Who held the one that was moved away changes nothing in the new one, and leaves its note there."""
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
    """Notes are often kept in a repository; a folder that was there already is left as it is."""
    with StoreLock(str(tmp_path / "new")):
        assert (tmp_path / "new" / ".gitignore").read_text() == "*\n"
    with StoreLock(str(tmp_path)):
        assert not (tmp_path / ".gitignore").exists()


def test_a_wait_that_lasts_is_told_once(tmp_path: Path, clock: Clock) -> None:
    """Whoever typed the command sees why nothing happens."""
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
