"""The paths that the real watchdog marks as changed, and its failures."""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from waiting import wait_until

from kb.watching.watcher import FAILED, OVERFLOWED, Change, Watcher, _cannot_watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at watchdog's inotify")


class Heard:
    """Records the callbacks of a watcher."""

    def __init__(self) -> None:
        self.dirty: list[tuple[str, str]] = []
        self.lost: list[str] = []

    def on_dirty(self, folder: str, path: str) -> None:
        """Record a changed path."""
        self.dirty.append((folder, path))

    def paths(self) -> set[str]:
        """The changed paths of all folders."""
        return {path for _, path in self.dirty}


@pytest.fixture
def heard() -> Heard:
    """A record without callbacks."""
    return Heard()


@pytest.fixture
def watcher(heard: Heard, tmp_path: Path) -> Iterator[Watcher]:
    """A watcher without folders, which ignores ``.kb`` in the test's folder."""
    watcher = Watcher(heard.on_dirty, heard.lost.append, never=[str(tmp_path / ".kb")])
    yield watcher
    watcher.stop()


@pytest.fixture
def folder(tmp_path: Path, watcher: Watcher) -> Path:
    """A watched folder with a few notes."""
    (tmp_path / "work" / "old").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "top.md").write_text("top")
    (tmp_path / "work" / "plan.md").write_text("plan")
    (tmp_path / "work" / "old" / "done.md").write_text("done")
    watcher.update([str(tmp_path)])
    return tmp_path


def atomic_save(folder: Path) -> None:
    """Save like most editors: write a temporary file and rename it."""
    (folder / "work" / "plan.md.tmp").write_text("plan 2")
    (folder / "work" / "plan.md.tmp").replace(folder / "work" / "plan.md")


OPERATIONS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "create": (lambda f: (f / "work" / "new.md").write_text("new"), {"work/new.md"}),
    "modify": (lambda f: (f / "work" / "plan.md").write_text("other"), {"work/plan.md"}),
    "delete": (lambda f: (f / "work" / "old" / "done.md").unlink(), {"work/old/done.md"}),
    "in the folder itself": (lambda f: (f / "top.md").write_text("other"), {"top.md"}),
    "atomic save": (atomic_save, {"work/plan.md.tmp", "work/plan.md"}),
    "chmod": (lambda f: (f / "work" / "plan.md").chmod(0o600), {"work/plan.md"}),
    "move a file": (
        lambda f: (f / "work" / "plan.md").rename(f / "home" / "plan.md"),
        {"work/plan.md", "home/plan.md"},
    ),
    "move a directory": (lambda f: (f / "work" / "old").rename(f / "home" / "old"), {"work/old", "home/old"}),
    "make a directory": (lambda f: (f / "work" / "fresh").mkdir(), {"work/fresh"}),
    "remove a directory": (lambda f: (f / "home").rmdir(), {"home"}),
    "move out": (lambda f: (f / "work" / "old").rename(f.parent / f"{f.name}-out"), {"work/old"}),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_marks_changed_paths(operation: str, folder: Path, heard: Heard) -> None:
    """Both ends of a move, and nothing wider than the change."""
    act, expected = OPERATIONS[operation]
    act(folder)
    wait_until(lambda: expected <= heard.paths())
    assert "" not in heard.paths()
    assert {one for one, _ in heard.dirty} == {str(folder)}


def test_files_in_new_directory_are_noticed(folder: Path, heard: Heard) -> None:
    """A tree that is filled before it can be watched is reported, and later changes in it too."""
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "deep.md").write_text("deep")
    wait_until(lambda: "a" in heard.paths())
    wait_until(lambda: "a/b/deep.md" in heard.paths())
    heard.dirty.clear()
    (folder / "a" / "b" / "deep.md").write_text("deeper")
    wait_until(lambda: "a/b/deep.md" in heard.paths())


def test_moved_directory_is_watched_at_new_path(folder: Path, heard: Heard) -> None:
    """Its watches move with it."""
    (folder / "work").rename(folder / "done")
    wait_until(lambda: {"work", "done"} <= heard.paths())
    (folder / "done" / "old" / "done.md").write_text("again")
    wait_until(lambda: "done/old/done.md" in heard.paths())


def test_reads_and_changes_of_store_are_ignored(folder: Path, heard: Heard) -> None:
    """Neither reads nor writes of kb itself are reported."""
    (folder / "work" / "plan.md").read_text()
    assert list((folder / "work").iterdir())
    (folder / ".kb" / "deep").mkdir(parents=True)
    (folder / ".kb" / "deep" / "catalog").write_text("x")
    (folder / ".kbignore").write_text("*.log")
    wait_until(lambda: heard.dirty)
    time.sleep(0.1)
    assert heard.paths() == {".kbignore"}


def test_undecodable_names_are_noticed(folder: Path, heard: Heard) -> None:
    """A directory whose name is not UTF-8 is reported as Python decodes it."""
    try:
        (folder / os.fsdecode(b"\xff")).mkdir()
    except OSError:
        pytest.skip("the file system takes no such names")
    wait_until(lambda: "\udcff" in heard.paths())
    (folder / os.fsdecode(b"\xff") / "note.md").write_text("note")
    wait_until(lambda: "\udcff/note.md" in heard.paths())


@linux
def test_overflow_in_watchdog_log_is_reported(folder: Path, heard: Heard) -> None:
    """It is only in the log of watchdog; other messages do not count, and a higher log level does not matter."""
    from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, Mask, WatchDescriptor

    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.CRITICAL)
    try:
        other = Watcher(lambda *_: None, lambda _: None)
        other.update([str(folder)])
        reader: Any = other._watches[str(folder)]._observer
        logging.getLogger("watchdog.observers.inotify").error("called when the thread is inactive")
        assert heard.lost == []
        reader._inotify_fd.handle_event(InotifyEvent(WatchDescriptor(-1), Mask(InotifyConstants.IN_Q_OVERFLOW), 0, b""))
        other.stop()
    finally:
        root.setLevel(before)
    assert set(heard.lost) == {OVERFLOWED}


def test_an_error_in_watchdog_is_not_called_an_overflow(folder: Path, watcher: Watcher, heard: Heard) -> None:
    """Changes may be missed all the same."""
    watcher.update([str(folder)])

    logging.getLogger("watchdog.observers.inotify_c").error("failed", exc_info=ValueError("a bad event"))

    assert heard.lost == [FAILED]


def test_stopped_watcher_reports_nothing(folder: Path, watcher: Watcher, heard: Heard) -> None:
    """Threads, watches and the log handler are released."""
    threads = threading.active_count()
    watcher.stop()
    (folder / "top.md").write_text("other")
    time.sleep(0.05)
    assert heard.dirty == []
    assert watcher.watched() == 0
    assert threading.active_count() < threads
    logging.getLogger("watchdog.observers.inotify_c").warning("queue overflowed")
    assert heard.lost == []


@linux
def test_every_directory_is_watched(folder: Path, watcher: Watcher) -> None:
    """The root and all below it; new ones are counted too."""
    assert watcher.watched() == 4
    assert watcher.unwatched(everywhere=True) == 0
    (folder / "work" / "fresh").mkdir()
    wait_until(lambda: watcher.watched() == 5)
    assert watcher.unwatched() == 0


@linux
def test_directories_without_watch_are_counted(folder: Path, watcher: Watcher) -> None:
    """As when the table is full below the root, where watchdog reports nothing; new watches repair it."""
    table: Any = watcher._watches[str(folder)]._table()
    del table[os.fsencode(folder / "work" / "old")]
    table[os.fsencode(folder / "home")] = -1
    assert watcher.unwatched(everywhere=True) == 2
    watcher.restart()
    assert watcher.unwatched(everywhere=True) == 0


@linux
def test_new_directory_without_watch_is_found_without_walk(folder: Path, watcher: Watcher) -> None:
    """New directories that are not in the table are remembered until the next check."""
    from watchdog.events import DirCreatedEvent

    watch = watcher._watches[str(folder)]
    table: Any = watch._table()
    del table[os.fsencode(folder / "home")]
    watch._on_event(DirCreatedEvent(str(folder / "home")))
    assert watcher.unwatched() == 1
    assert watcher.unwatched() == 0


@linux
def test_folder_busy_during_start_is_watched(tmp_path: Path, watcher: Watcher, heard: Heard) -> None:
    """Events may arrive before the start is complete."""
    for number in range(100):
        (tmp_path / str(number)).mkdir()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            (tmp_path / "0" / "new").mkdir()
            (tmp_path / "0" / "new").rmdir()

    writer = threading.Thread(target=work)
    writer.start()
    try:
        for _ in range(5):
            watcher.update([str(tmp_path)])
            wait_until(lambda: heard.dirty)
            assert watcher._watches[str(tmp_path)]._observer.is_alive()
            watcher.restart()
    finally:
        stop.set()
        writer.join()


def test_healthy_watch_is_kept(folder: Path, watcher: Watcher) -> None:
    """A check changes nothing."""
    watch = watcher._watches[str(folder)]
    assert watcher.update([str(folder)]) == ()
    assert watcher._watches[str(folder)] is watch


def test_folder_that_comes_and_goes_is_watched(tmp_path: Path, watcher: Watcher, heard: Heard) -> None:
    """Missing, created, replaced by another one, moved away."""
    notes = tmp_path / "notes"
    assert watcher.update([str(notes)]) == ()
    notes.mkdir()
    assert watcher.update([str(notes)]) == (Change(str(notes), "watched"),)
    notes.rename(tmp_path / "kept")
    notes.mkdir()
    assert watcher.update([str(notes)]) == (Change(str(notes), "replaced"),)
    heard.dirty.clear()
    (notes / "new.md").write_text("new")
    wait_until(lambda: heard.dirty)
    notes.rename(tmp_path / "away")
    assert watcher.update([str(notes)]) == (Change(str(notes), "gone"),)
    assert watcher.folders == ()


@pytest.mark.parametrize("part", ["_observer", "_emitter"])
def test_dead_thread_is_replaced(part: str, folder: Path, watcher: Watcher, heard: Heard) -> None:
    """Whichever of watchdog's threads ended."""
    thread: Any = getattr(watcher._watches[str(folder)], part)
    thread.stop()
    thread.join(120)
    assert watcher.update([str(folder)]) == (Change(str(folder), "stopped"),)
    (folder / "top.md").write_text("other")
    wait_until(lambda: "top.md" in heard.paths())


@linux
def test_watchdog_failure_is_handled(
    folder: Path, watcher: Watcher, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory is moved out and created again, and both are deleted: watchdog's reader dies and is replaced."""
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    out = folder.parent / f"{folder.name}-out"
    table: Any = watcher._watches[str(folder)]._table()
    home = os.fsencode(folder / "home")
    ghost = table[home]
    (folder / "home").rename(out)
    (folder / "home").mkdir()
    wait_until(lambda: table[home] != ghost)
    (folder / "home").rmdir()
    wait_until(lambda: home not in table)
    threads = threading.active_count()
    out.rmdir()
    wait_until(lambda: died)
    wait_until(lambda: watcher.update([str(folder)]) == (Change(str(folder), "stopped"),))
    assert threading.active_count() <= threads
    heard.dirty.clear()
    (folder / "top.md").write_text("other")
    wait_until(lambda: "top.md" in heard.paths())


def test_removed_folder_is_unwatched(tmp_path: Path, watcher: Watcher) -> None:
    """Only the folders of the last call are watched."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    watcher.update([str(one), str(two)])
    watcher.update([str(two)])
    assert watcher.folders == (str(two),)


@linux
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_directory_that_becomes_readable_is_reported_unwatched(tmp_path: Path, watcher: Watcher) -> None:
    """A directory that could not be watched at the start has no watch once it could be."""
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0)
    watcher.update([str(tmp_path)])
    assert watcher.unwatched(everywhere=True) == 0
    locked.chmod(0o700)
    wait_until(lambda: watcher.unwatched() == 1)


@pytest.mark.parametrize(
    ("code", "part"),
    [(errno.ENOSPC, "max_user_watches"), (errno.EMFILE, "max_user_instances"), (errno.EIO, "cannot be watched")],
)
def test_failure_has_remedy(code: int, part: str) -> None:
    """A full table of watches, too many watchers, and anything else."""
    assert part in str(_cannot_watch("/notes", OSError(code, os.strerror(code))))


def test_watching_raises_no_warnings(folder: Path, watcher: Watcher) -> None:
    """Copying trees prints no table of watches."""
    with warnings.catch_warnings(record=True) as caught:
        watcher.restart()
        for number in range(5):
            (folder / "work").rename(folder / f"moved{number}")
            (folder / f"moved{number}").rename(folder / "work")
        (folder / "x" / "y" / "z").mkdir(parents=True)
        wait_until(lambda: watcher.unwatched(everywhere=True) == 0)
    assert [str(each.message) for each in caught] == []
