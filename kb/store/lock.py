"""The lock on a store, which one process holds as long as it uses the store, and the record of its owner.

Two processes that open ChromaDB's files at once damage them, even if they only read, so no process opens them without
this lock. If the system can lock directories, the store's directory is locked too: someone may delete the lock file
while it is held, and the next process would create and lock a new one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from filelock import FileLock, Timeout

from kb.errors import StoreBusy, StoreError
from kb.own_files import clear_path, store_error_for, write_atomically
from kb.system import locks, shell
from kb.system.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

LOCK_FILE: Final = "kb.lock"
OWNER_FILE: Final = "owner.json"
COMMAND_LENGTH: Final = 60
LOOK_SECONDS: Final = 0.25
WARN_SECONDS: Final = 1.0


Identity: TypeAlias = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that holds the lock: process id, command line and start time (ISO 8601)."""

    pid: int
    command: str
    since: str


class StoreLock:
    """An exclusive lock on a store, held until it is released or the process ends.

    The operating system releases it when the holder is killed, so it never has to be removed by hand.

    Args:
        directory: The store; created if missing, accessible to the user only.
        command: The name of the holder in messages to other processes; empty for the command line.
    """

    def __init__(self, directory: str, command: str = "") -> None:
        self.directory = os.path.realpath(directory)
        self._command = command or command_line(sys.argv)
        self._lock = FileLock(Path(self.directory, LOCK_FILE), mode=0o600, thread_local=False)
        # The descriptor of the locked directory, and the identities of the locked directory and lock file.
        self._locked: int | None = None
        self._identities: tuple[Identity, Identity] = (None, None)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock.is_locked

    def acquire(
        self,
        wait_seconds: float = 0.0,
        warn: Callable[[str], None] | None = None,
        while_waiting: Callable[[], None] | None = None,
    ) -> Self:
        """Take the lock, waiting for each holder in turn.

        Args:
            wait_seconds: The longest to wait for one process; the time starts again when the holder changes.
            warn: Called once with a sentence if the wait takes longer than ``WARN_SECONDS``.
            while_waiting: Called at each attempt; may raise an exception to end the wait.

        Raises:
            StoreBusy: One process kept the lock for all this time.
            StoreError: The store's directory cannot be created or written.
        """
        if self.held:
            return self
        require_no_file(self.directory)
        try:
            self._create_directory()
            self._wait(wait_seconds, warn, while_waiting)
        except Timeout as error:
            raise self._busy() from error
        except OSError as error:
            raise store_error_for(f"the store at {self.directory}", error, self.directory) from error
        try:
            self._write_owner()
        except OSError as error:
            self.release()
            raise store_error_for(f"the store at {self.directory}", error, self.directory) from error
        return self

    def _create_directory(self) -> None:
        """Create the store's directory if it is missing, with a ``.gitignore`` for everything in it."""
        directory = Path(self.directory)
        if not directory.is_dir():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (directory / ".gitignore").write_text("*\n", encoding="utf-8")
        clear_path(directory / LOCK_FILE)

    def _wait(
        self, seconds: float, warn: Callable[[str], None] | None, while_waiting: Callable[[], None] | None
    ) -> None:
        """Take the lock as soon as it is free.

        Raises:
            Timeout: One process kept it for this many seconds.
        """
        holder = read_owner(self.directory)
        warn_at = time.monotonic() + WARN_SECONDS
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            try:
                self._take(min(max(0.0, left), LOOK_SECONDS))
            except Timeout:
                if while_waiting:
                    while_waiting()
                now = read_owner(self.directory)
                if now is not None and now != holder:
                    holder, until = now, time.monotonic() + seconds
                elif left <= LOOK_SECONDS:
                    raise
                if warn and time.monotonic() > warn_at:
                    warn(f"waiting for {_description(now)}, at most {seconds:g} s")
                    warn = None
            else:
                return

    def _take(self, seconds: float) -> None:
        """Lock the lock file and its directory.

        Raises:
            Timeout: One of them stayed locked by another process.
        """
        self._lock.acquire(timeout=seconds)
        try:
            self._lock_directory()
        except BaseException:
            self._lock.release()
            raise
        self._identities = (_identity(self.directory), _identity(self._lock.lock_file))

    def _lock_directory(self) -> None:
        """Lock the store's directory if the system supports that.

        Raises:
            Timeout: Another process, whose lock file was deleted, has locked it.
        """
        if self._locked is not None:
            return
        try:
            # Where the system cannot, the lock file has to be enough.
            self._locked = locks.lock_directory(self.directory)
        except BlockingIOError as error:
            raise Timeout(self._lock.lock_file) from error

    def in_place(self) -> bool:
        """Whether the locked directory is still the one at the store's path."""
        return self._identities[0] is not None and _identity(self.directory) == self._identities[0]

    def require_place(self) -> None:
        """Check that the store at this path is the locked one, before changing anything in it.

        Raises:
            StoreError: It was removed or replaced.
        """
        if self.held and not self.in_place():
            raise StoreError(f"the store at {self.directory} was removed or replaced", "Run the command again")

    def mend(self) -> bool:
        """Restore a deleted lock file or owner record; returns whether one was missing.

        The directory must be in place. It stays locked, so no other process can take the lock in between.

        Raises:
            StoreBusy: Another process took the new lock file, on a system that cannot lock directories.
            StoreError: They cannot be written.
        """
        intact = _identity(self._lock.lock_file) == self._identities[1]
        if intact and _identity(str(Path(self.directory, OWNER_FILE))) is not None:
            return False
        try:
            if not intact:
                self._lock.release(force=True)
                self._take(LOOK_SECONDS)
            self._write_owner()
        except Timeout as error:
            raise self._busy() from error
        except OSError as error:
            raise store_error_for(f"the store at {self.directory}", error, self.directory) from error
        return True

    def release(self) -> None:
        """Release the lock; idempotent."""
        try:
            # Otherwise the file is the owner record of another process, or of another store at this path.
            if self.held and self.in_place():
                Path(self.directory, OWNER_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise store_error_for(f"the store at {self.directory}", error, self.directory) from error
        finally:
            self._lock.release()
            # Also where ``mend`` has lost the lock file to another process.
            if self._locked is not None:
                os.close(self._locked)
                self._locked = None

    def _write_owner(self) -> None:
        """Record the holder of the lock, atomically, for messages to other processes."""
        record = {
            "pid": os.getpid(),
            "command": self._command,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_atomically(Path(self.directory, OWNER_FILE), json.dumps(record))

    def _busy(self) -> StoreBusy:
        owner = read_owner(self.directory)
        return StoreBusy(
            f"the store at {self.directory} is in use by {_description(owner)}",
            "Wait until it ends, or stop it, and try again",
        )

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def _identity(path: str) -> Identity:
    """Device and inode of a file or directory; None if it does not exist."""
    try:
        found = os.stat(path)  # noqa: PTH116 - plain strings throughout the stores
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _description(owner: Owner | None) -> str:
    return "another process" if owner is None else f"process {owner.pid} ({owner.command})"


def require_no_file(directory: str) -> None:
    """Check that the place of a store is a directory, or free.

    Raises:
        StoreError: It is a file.
    """
    if os.path.exists(directory) and not os.path.isdir(directory):  # noqa: PTH110, PTH112 - undecodable bytes
        raise StoreError(f"the store {directory} is a file, not a folder", "Set store.path to a folder")


def read_owner(directory: str) -> Owner | None:
    """The holder of the store's lock; None if there is no record of one, or its process has ended."""
    owner = recorded_owner(directory)
    if owner is None:
        return None
    return owner if is_alive(owner.pid) else None


def recorded_owner(directory: str) -> Owner | None:
    """The process in the record of the store's lock, which may have ended; None if there is no valid record."""
    try:
        record = json.loads(Path(directory, OWNER_FILE).read_bytes())
        return Owner(pid=int(record["pid"]), command=str(record["command"]), since=str(record["since"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def is_locked(directory: str) -> bool:
    """Whether another process holds the store's lock. Neither the lock file nor the record is changed.

    Raises:
        OSError: The lock file cannot be read.
    """
    return locks.is_locked(str(Path(directory, LOCK_FILE)))


def command_line(arguments: list[str]) -> str:
    """A command line for messages: without the program's directory, shortened if necessary."""
    program, *rest = arguments or ["kb"]
    name = Path(program).name
    text = shell.join([name if name not in {"", "__main__.py"} else "kb", *rest])
    return text if len(text) <= COMMAND_LENGTH else f"{text[: COMMAND_LENGTH - 1]}…"
