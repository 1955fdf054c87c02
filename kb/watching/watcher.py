"""Watches folders with watchdog and reduces every event to changed paths. No other module imports watchdog."""

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
from kb.system.paths import with_slashes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, EventEmitter

_LOGGER: Final = "watchdog.observers"
_GRACE_SECONDS: Final = 0.1
_MOST_SUSPECTS: Final = 1000

TABLE_FULL: Final = "the system's table of file watches is full"
RAISE_WATCHES: Final = "Raise fs.inotify.max_user_watches"
_RAISE_INSTANCES: Final = "Raise fs.inotify.max_user_instances"

OVERFLOWED: Final = "the event queue overflowed"
"""The reason for a full scan after the event queue overflowed."""

FAILED: Final = "an event could not be read"
"""The reason for a full scan after an error in watchdog."""


class CannotWatch(KbError):
    """The system cannot watch a folder, or not all directories in it."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change in the watch of a folder."""

    folder: str
    what: Literal["watched", "gone", "replaced", "stopped"]


class Watcher:
    """Watches folders recursively, including hidden and ignored directories.

    ``watched`` may be called from any thread, everything else from one thread only. Callbacks run on watchdog's threads
    and must return at once.

    Args:
        on_dirty: Called with (folder, path) when the file or directory at a path, or something below it, changed.
        on_lost: Called with a reason when changes may have been missed.
        never: Absolute paths in which changes are ignored, such as the store.
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

    def update(self, folders: Iterable[str]) -> tuple[Change, ...]:
        """Set missing watches and restart broken ones; call it at the start and at intervals.

        A missing folder is watched once it exists. The watch is restarted if the folder was replaced by another
        directory (such as a mount or a new clone) or if the watch died; changes in the meantime are unknown.

        Returns:
            What changed since the last call, by folder.

        Raises:
            CannotWatch: The system cannot watch a folder.
        """
        wanted = tuple(folders)
        self._alarm.install()
        for folder in [each for each in self._watches if each not in wanted]:
            self._watches.pop(folder).stop()
        return tuple(change for folder in wanted if (change := self._check_folder(folder)) is not None)

    def restart(self) -> None:
        """Stop and restart all watches.

        Raises:
            CannotWatch: The system cannot watch a folder.
        """
        folders = tuple(self._watches)
        self._drop_all()
        self.update(folders)

    def stop(self) -> None:
        """Stop all watches; ``update`` restarts them."""
        self._drop_all()
        self._alarm.remove()

    @property
    def folders(self) -> tuple[str, ...]:
        """The watched folders."""
        return tuple(self._watches)

    def watched(self) -> int:
        """The number of watches: one per directory if the system needs one for each, otherwise one per folder."""
        return sum(watch.count() for watch in list(self._watches.values()))

    def unwatched(self, *, everywhere: bool = False) -> int:
        """The number of directories without a watch because the system's table of watches is full.

        watchdog does not report them. Directories that kb cannot read do not count.

        Args:
            everywhere: Walk the folders instead of checking only new directories.
        """
        missing = [path for watch in self._watches.values() for path in watch.unwatched(everywhere=everywhere)]
        if not missing:
            return 0
        # Directories created during the walk get their watch in a moment.
        time.sleep(_GRACE_SECONDS)
        return sum(watch.lacks(path) for watch in self._watches.values() for path in missing)

    def _check_folder(self, folder: str) -> Change | None:
        """Set or restart the watch of one folder if necessary; returns what changed, or None."""
        identity = _identity(folder)
        watch = self._watches.get(folder)
        if watch is not None:
            if watch.identity == identity and watch.listening():
                return None
            del self._watches[folder]
            watch.stop()
        if identity is not None:
            try:
                self._watches[folder] = _Watch(folder, identity, self._on_dirty, self._never)
            except CannotWatch:
                if _identity(folder) == identity:
                    raise
                # It was removed in the meantime; the next call handles it.
                identity = None
        if watch is None:
            return None if identity is None else Change(folder, "watched")
        if identity is None:
            return Change(folder, "gone")
        return Change(folder, "stopped" if watch.identity == identity else "replaced")

    def _drop_all(self) -> None:
        while self._watches:
            self._watches.popitem()[1].stop()


class _Watch:
    """The watch of one folder, with its own watchdog observer, so that it can be restarted separately."""

    def __init__(
        self, folder: str, identity: tuple[int, int], on_dirty: Callable[[str, str], None], never: tuple[str, ...]
    ) -> None:
        self.identity = identity
        self._folder = folder
        self._on_dirty = on_dirty
        self._never = never
        self._suspects: deque[str] = deque(maxlen=_MOST_SUSPECTS)
        try:
            # Both are set before the first event, which may arrive during the start.
            self._observer, self._emitter = self._scheduled()
        except OSError as error:
            raise _cannot_watch(folder, error) from error
        try:
            self._observer.start()
        except OSError as error:
            self._observer.stop()
            raise _cannot_watch(folder, error) from error

    def _scheduled(self) -> tuple[BaseObserver, EventEmitter]:
        """A new watchdog observer, not yet started, and its only emitter."""
        from watchdog import events
        from watchdog.observers import Observer as NativeObserver

        heard = self._on_event

        class Handler(events.FileSystemEventHandler):
            """Receives watchdog's events."""

            def dispatch(self, event: FileSystemEvent) -> None:
                heard(event)

        # The warning about a duplicate watch is harmless, but would print every path of the folder.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.observers\.inotify")
        kinds: list[type[FileSystemEvent]] = [
            events.FileCreatedEvent,
            events.FileModifiedEvent,
            events.FileMovedEvent,
            events.FileDeletedEvent,
            events.FileClosedEvent,  # the only event of a write through a memory map
            events.FileAttribEvent,  # a file may have become readable
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
            # watchdog fails after a directory was moved out and recreated, and leaves its emitter blocked.
            group._move_event_grouper.close()  # noqa: SLF001 - no public way to wake it
            self._observer.stop()
        self._observer.join()

    def listening(self) -> bool:
        """Whether all threads are alive and the folder is still watched."""
        reader = getattr(self._observer, "_inotify_fd", self._observer)
        threads = (self._observer, self._emitter, reader)
        return all(thread.is_alive() for thread in threads) and not self.lacks(self._folder)

    def count(self) -> int:
        """The number of watched directories."""
        table = self._table()
        return 1 if table is None else len(table)

    def unwatched(self, *, everywhere: bool) -> list[str]:
        """The directories in the folder without a watch."""
        suspects: set[str] = set()
        while self._suspects:
            suspects.add(self._suspects.popleft())
        if everywhere and self._table() is not None:
            suspects.update(directory for directory, _, _ in os.walk(self._folder))
        return [path for path in suspects if self.lacks(path)]

    def lacks(self, path: str) -> bool:
        """Whether a path is a directory that could be watched but is not."""
        table = self._table()
        if table is None or table.get(os.fsencode(path), -1) >= 0 or _below(path, self._folder) is None:
            return False
        try:
            is_directory = modes.S_ISDIR(Path(path).lstat().st_mode)
        except OSError:
            return False
        return is_directory and os.access(path, os.R_OK) and not self._is_never(path)

    def _on_event(self, event: FileSystemEvent) -> None:
        """Mark the paths of an event: both ends of a move."""
        for path in (event.src_path, event.dest_path):
            if not isinstance(path, str) or not path or self._is_never(path):
                continue
            if event.is_directory and self._has_no_watch(path):
                self._suspects.append(path)
            inner = _below(path, self._folder)
            if inner is not None:
                self._on_dirty(self._folder, inner)

    def _is_never(self, path: str) -> bool:
        return any(_below(path, never) is not None for never in self._never)

    def _has_no_watch(self, path: str) -> bool:
        table = self._table()
        return table is not None and table.get(os.fsencode(path), -1) < 0

    def _table(self) -> dict[bytes, int] | None:
        """Watchdog's table of directories, with -1 for a failed watch; None if this platform has none."""
        return getattr(getattr(self._emitter, "_inotify", None), "_active_callbacks_by_path", None)


class _Alarm(logging.Handler):
    """Detects overflows of the event queue and other errors, which watchdog only logs."""

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._on_lost = on_lost

    def install(self) -> None:
        """Attach to watchdog's logger and enable warnings."""
        logger = logging.getLogger(_LOGGER)
        if not logger.isEnabledFor(logging.WARNING):
            logger.setLevel(logging.WARNING)
        logger.addHandler(self)

    def remove(self) -> None:
        """Detach from watchdog's logger."""
        logging.getLogger(_LOGGER).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by ``logging`` on the thread that logs."""
        if "overflow" in record.getMessage():
            self._on_lost(OVERFLOWED)
        elif record.exc_info:
            self._on_lost(FAILED)


def _below(path: str, folder: str) -> str | None:
    """The path relative to a folder, separated by ``/``; "" for the folder itself, None outside it."""
    path = with_slashes(path)
    if path == folder:
        return ""
    prefix = folder if folder.endswith("/") else f"{folder}/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def _identity(folder: str) -> tuple[int, int] | None:
    """Device and inode of a directory; None if there is none."""
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
