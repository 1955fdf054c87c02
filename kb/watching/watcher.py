"""Watches folders through watchdog, the only file that knows it, and reduces every event to a dirty directory."""

from __future__ import annotations

import errno
import logging
import os
import stat as modes
import time
import warnings
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from kb.errors import KbError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, EventEmitter

_LOGGER: Final = "watchdog.observers"
_GRACE_SECONDS: Final = 0.1
_MOST_SUSPECTS: Final = 1000

TABLE_FULL: Final = "the system's table of file watches is full"
RAISE_WATCHES: Final = "Raise fs.inotify.max_user_watches"
_RAISE_INSTANCES: Final = "Raise fs.inotify.max_user_instances"

OVERFLOWED: Final = "the event queue overflowed"
"""Why everything has to be looked at after the event queue overflowed."""


class CannotWatch(KbError):
    """The system gives no watch for a folder, or not for all directories below it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the observer found when it looked after the watch of a folder."""

    folder: str
    what: Literal["watched", "gone", "replaced", "stopped"]


class Observer:
    """Watches folders with all that is below them, hidden and ignored directories too.

    Only ``watched`` may be called from any thread; the rest belongs to one. The callbacks come from watchdog's
    threads and have to return at once.

    Args:
        on_dirty: Called with (folder, directory) when something changed in that directory or below it.
        on_lost: Called with a reason when changes may have been missed.
        never: Absolute paths below which changes do not count (the store, so that kb never hears itself).
    """

    def __init__(
        self,
        on_dirty: Callable[[str, str], None],
        on_lost: Callable[[str], None],
        never: Collection[str] = (),
    ) -> None:
        self._on_dirty = on_dirty
        self._never = tuple(never)
        self._alarm = _Alarm(on_lost)
        self._watches: dict[str, _Watch] = {}

    def follow(self, folders: Iterable[str]) -> tuple[Change, ...]:
        """Bring the watches in line with the folders: called to start, and from time to time to heal.

        A folder that is not there is watched as soon as it is. One that is gone, was replaced by another directory
        (also by a mount or a fresh clone), or whose watch died, is watched anew: whatever happened there meanwhile
        is unknown.

        Returns:
            What changed since the last call, by folder.

        Raises:
            CannotWatch: The system gives no watch for a folder.
        """
        wanted = tuple(folders)
        self._alarm.install()
        for folder in [each for each in self._watches if each not in wanted]:
            self._watches.pop(folder).stop()
        return tuple(change for folder in wanted for change in self._look_after(folder))

    def restart(self) -> None:
        """Let all watches go and take them again.

        Raises:
            CannotWatch: The system gives no watch for a folder.
        """
        folders = tuple(self._watches)
        self._drop_all()
        self.follow(folders)

    def stop(self) -> None:
        """Let all watches go. ``follow`` takes them again."""
        self._drop_all()
        self._alarm.remove()

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that are watched now."""
        return tuple(self._watches)

    def watched(self) -> int:
        """How many watches there are: one for each directory where the system counts them so, else for each folder."""
        return sum(watch.count() for watch in list(self._watches.values()))

    def unwatched(self, *, everywhere: bool = False) -> int:
        """How many directories should be watched and are not, because the system's table of watches is full.

        watchdog says nothing of them. Directories that kb may not read do not count: nobody could watch those.

        Args:
            everywhere: Walk the folders. Otherwise only directories that appeared since are asked about.
        """
        missing = [path for watch in self._watches.values() for path in watch.unwatched(everywhere=everywhere)]
        if not missing:
            return 0
        # What was made during the walk has its watch in a moment.
        time.sleep(_GRACE_SECONDS)
        return sum(watch.lacks(path) for watch in self._watches.values() for path in missing)

    def _look_after(self, folder: str) -> Iterator[Change]:
        """Watch one folder as it is now."""
        identity = _identity(folder)
        watch = self._watches.get(folder)
        if watch is not None:
            if watch.identity == identity and watch.listening():
                return
            del self._watches[folder]
            watch.stop()
        if identity is not None:
            try:
                self._watches[folder] = _Watch(folder, identity, self._on_dirty, self._never)
            except CannotWatch:
                if _identity(folder) == identity:
                    raise
                # It went away meanwhile; the next call will see what became of it.
                identity = None
        if watch is None:
            change = None if identity is None else Change(folder, "watched")
        elif identity is None:
            change = Change(folder, "gone")
        else:
            change = Change(folder, "stopped" if watch.identity == identity else "replaced")
        if change is not None:
            yield change

    def _drop_all(self) -> None:
        while self._watches:
            self._watches.popitem()[1].stop()


class _Watch:
    """The watch of one folder: a watchdog observer of its own, so that it can be replaced alone."""

    def __init__(
        self, folder: str, identity: tuple[int, int], on_dirty: Callable[[str, str], None], never: tuple[str, ...]
    ) -> None:
        self.identity = identity
        self._folder = folder
        self._on_dirty = on_dirty
        self._never = never
        self._suspects: deque[str] = deque(maxlen=_MOST_SUSPECTS)
        try:
            # Both are there before the first event: it may come while the start is still taking watches.
            self._observer, self._emitter = self._scheduled()
        except OSError as error:
            raise _cannot_watch(folder, error) from error
        try:
            self._observer.start()
        except OSError as error:
            self._observer.stop()
            raise _cannot_watch(folder, error) from error

    def _scheduled(self) -> tuple[BaseObserver, EventEmitter]:
        """A watchdog observer that is not started yet, and its only emitter."""
        from watchdog import events
        from watchdog.observers import Observer as NativeObserver

        heard = self._heard

        class Handler(events.FileSystemEventHandler):
            """What watchdog calls with each event."""

            def dispatch(self, event: FileSystemEvent) -> None:
                heard(event)

        # It would print every path of the folder; what it warns of, a watch taken twice, is harmless.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.observers\.inotify")
        kinds: list[type[FileSystemEvent]] = [
            events.FileCreatedEvent,
            events.FileModifiedEvent,
            events.FileMovedEvent,
            events.FileDeletedEvent,
            events.FileClosedEvent,  # all that a write through a memory map gives
            events.FileAttribEvent,  # a file that may be read again
            events.DirCreatedEvent,
            events.DirMovedEvent,
            events.DirDeletedEvent,
            events.DirAttribEvent,
        ]
        observer = NativeObserver()
        observer.schedule(Handler(), self._folder, recursive=True, event_filter=kinds)
        return observer, next(iter(observer.emitters))

    def stop(self) -> None:
        """End the threads."""
        group: Any = getattr(self._emitter, "_inotify", None)
        try:
            self._observer.stop()
        except KeyError:
            # watchdog trips over a directory that moved out and was made again, and leaves its emitter waiting.
            group._move_event_grouper.close()  # noqa: SLF001 - nothing public wakes it
            self._observer.stop()
        self._observer.join()

    def listening(self) -> bool:
        """Whether all threads live and the folder itself is still watched."""
        reader = getattr(self._observer, "_inotify_fd", self._observer)
        threads = (self._observer, self._emitter, reader)
        return all(thread.is_alive() for thread in threads) and not self.lacks(self._folder)

    def count(self) -> int:
        """How many directories are watched."""
        table = self._table()
        return 1 if table is None else len(table)

    def unwatched(self, *, everywhere: bool) -> list[str]:
        """Directories below the folder that have no watch."""
        suspects: set[str] = set()
        while self._suspects:
            suspects.add(self._suspects.popleft())
        if everywhere and self._table() is not None:
            suspects.update(directory for directory, _, _ in os.walk(self._folder))
        return [path for path in suspects if self.lacks(path)]

    def lacks(self, path: str) -> bool:
        """Whether this is a directory of the folder that could be watched and is not."""
        table = self._table()
        if table is None or table.get(os.fsencode(path), -1) >= 0 or _below(path, self._folder) is None:
            return False
        try:
            is_directory = modes.S_ISDIR(Path(path).lstat().st_mode)
        except OSError:
            return False
        return is_directory and os.access(path, os.R_OK) and not self._is_never(path)

    def _heard(self, event: FileSystemEvent) -> None:
        """Mark what an event touches. A directory touches the one around it, which stands for all below."""
        for path in (event.src_path, event.dest_path):
            if not isinstance(path, str) or not path or self._is_never(path):
                continue
            if event.is_directory and self._untabled(path):
                self._suspects.append(path)
            inner = _below(path, self._folder)
            if inner is not None:
                self._on_dirty(self._folder, inner.rpartition("/")[0])

    def _is_never(self, path: str) -> bool:
        return any(_below(path, never) is not None for never in self._never)

    def _untabled(self, path: str) -> bool:
        table = self._table()
        return table is not None and table.get(os.fsencode(path), -1) < 0

    def _table(self) -> dict[bytes, int] | None:
        """The watched directories as watchdog keeps them, -1 where one was refused; None where it keeps none."""
        return getattr(getattr(self._emitter, "_inotify", None), "_active_callbacks_by_path", None)


class _Alarm(logging.Handler):
    """Hears the one thing watchdog does when its queue overflows: it writes a line into its log."""

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._on_lost = on_lost

    def install(self) -> None:
        """Listen, also where the program's own logging is set to hear less."""
        logger = logging.getLogger(_LOGGER)
        if not logger.isEnabledFor(logging.WARNING):
            logger.setLevel(logging.WARNING)
        logger.addHandler(self)

    def remove(self) -> None:
        """Listen no longer."""
        logging.getLogger(_LOGGER).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by ``logging``, on whatever thread has something to say."""
        if "overflow" in record.getMessage() or record.exc_info:
            self._on_lost(OVERFLOWED)


def _below(path: str, folder: str) -> str | None:
    """The path relative to a folder with ``/``, "" for the folder itself; None where it is elsewhere."""
    if path == folder:
        return ""
    prefix = folder if folder.endswith(os.sep) else folder + os.sep
    return path[len(prefix) :].replace(os.sep, "/") if path.startswith(prefix) else None


def _identity(folder: str) -> tuple[int, int] | None:
    """What tells this directory from another one that takes its name later; None where none is there."""
    try:
        stat = Path(folder).stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino) if modes.S_ISDIR(stat.st_mode) else None


def _cannot_watch(folder: str, error: OSError) -> CannotWatch:
    if error.errno == errno.ENOSPC:
        return CannotWatch(f"{folder} cannot be watched: {TABLE_FULL}", RAISE_WATCHES)
    if error.errno == errno.EMFILE:
        return CannotWatch(f"{folder} cannot be watched: too many programs watch files", _RAISE_INSTANCES)
    return CannotWatch(f"{folder} cannot be watched: {error.strerror or error}")
