"""One process at a time owns a store: the lock it holds for life, and the note that says who it is.

ChromaDB tears its own files when two processes open them, readers included, so nobody opens them without this lock.
Where the system can lock a directory, the store's own is locked beside the lock file: a file can be deleted under its
holder, and the next process would lock the one that it makes in its place.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from filelock import FileLock, Timeout

from kb.errors import StoreBusy, StoreError
from kb.own_files import clear_path, store_error_for, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

LOCK_FILE: Final = "kb.lock"
OWNER_FILE: Final = "owner.json"
COMMAND_LENGTH: Final = 60
LOOK_SECONDS: Final = 0.25
TELL_SECONDS: Final = 1.0


Identity: TypeAlias = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that holds a store, as it described itself."""

    pid: int
    command: str
    since: str


class StoreLock:
    """An exclusive lock on a store, held until it is released, or this object or its process is gone.

    The operating system lets go of it when the holder is killed, so it never has to be removed by hand.

    Args:
        directory: The store. It is made, for the user alone, where it is missing.
        command: What the holder calls itself in the message to others; the command line where it is empty.
    """

    def __init__(self, directory: str, command: str = "") -> None:
        self.directory = os.path.realpath(directory)
        self._command = command or command_line(sys.argv)
        self._lock = FileLock(Path(self.directory, LOCK_FILE), mode=0o600, thread_local=False)
        # The directory that is locked, as an open descriptor; and which directory and which lock file they were.
        self._locked: int | None = None
        self._identities: tuple[Identity, Identity] = (None, None)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock.is_locked

    def acquire(
        self,
        wait_seconds: float = 0.0,
        tell: Callable[[str], None] | None = None,
        while_waiting: Callable[[], None] | None = None,
    ) -> Self:
        """Take the lock, waiting at most so long for any one process that has it, and telling of a wait that lasts.

        Where many wait, each lets go after a moment: the wait begins anew with every one that had its turn.
        ``while_waiting`` is called at each look, and may raise where waiting is of no use.

        Raises:
            StoreBusy: One process kept it all the while.
            StoreError: The store's directory cannot be made or written.
        """
        if self.held:
            return self
        try:
            self._make()
            self._wait(wait_seconds, tell, while_waiting)
        except Timeout as error:
            raise self._busy() from error
        except OSError as error:
            raise store_error_for(f"the store at {self.directory}", error, self.directory) from error
        try:
            self._introduce()
        except OSError as error:
            self.release()
            raise store_error_for(f"the store at {self.directory}", error, self.directory) from error
        return self

    def _make(self) -> None:
        """Make the store's directory where it is missing, and keep it out of the git repository it may lie in."""
        directory = Path(self.directory)
        if not directory.is_dir():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (directory / ".gitignore").write_text("*\n", encoding="utf-8")
        clear_path(directory / LOCK_FILE)

    def _wait(
        self, seconds: float, tell: Callable[[str], None] | None, while_waiting: Callable[[], None] | None
    ) -> None:
        """Take the lock as soon as it is free.

        Raises:
            Timeout: One process kept it for so many seconds.
        """
        holder = read_owner(self.directory)
        told_at = time.monotonic() + TELL_SECONDS
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
                if tell and time.monotonic() > told_at:
                    tell(f"waiting for {_named(now)}, at most {seconds:g} s")
                    tell = None
            else:
                return

    def _take(self, seconds: float) -> None:
        """Lock the file, and the directory it is in.

        Raises:
            Timeout: One of them stayed locked.
        """
        self._lock.acquire(timeout=seconds)
        try:
            self._lock_directory()
        except BaseException:
            self._lock.release()
            raise
        self._identities = (_identity(self.directory), _identity(self._lock.lock_file))

    def _lock_directory(self) -> None:
        """Lock the store's directory, where that can be done.

        Raises:
            Timeout: Another process has it locked, whose lock file was deleted.
        """
        if sys.platform == "win32" or self._locked is not None:
            # On Windows nobody can delete a file that is open.
            return
        import fcntl

        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Timeout(self._lock.lock_file) from error
        except OSError:
            # A file system that locks no directories, such as NFS: there the file alone has to do.
            os.close(descriptor)
        else:
            self._locked = descriptor

    def in_place(self) -> bool:
        """Whether the directory that is locked is still the one at the store's path."""
        return self._identities[0] is not None and _identity(self.directory) == self._identities[0]

    def require_place(self) -> None:
        """Change nothing in a store that took the place of the one that is locked.

        Raises:
            StoreError: Another one did, or none is there.
        """
        if self.held and not self.in_place():
            raise StoreError(f"the store at {self.directory} was removed or replaced", "Run the command again")

    def mend(self) -> bool:
        """Make the lock file and the note again where they were deleted; says whether one was missing.

        The directory has to be in place. It stays locked meanwhile, so nobody comes in between.

        Raises:
            StoreBusy: Another process took the new lock file, on a system that locks no directories.
            StoreError: They cannot be written.
        """
        whole = _identity(self._lock.lock_file) == self._identities[1]
        if whole and _identity(str(Path(self.directory, OWNER_FILE))) is not None:
            return False
        try:
            if not whole:
                self._lock.release(force=True)
                self._take(LOOK_SECONDS)
            self._introduce()
        except Timeout as error:
            raise self._busy() from error
        except OSError as error:
            raise store_error_for(f"the store at {self.directory}", error, self.directory) from error
        return True

    def release(self) -> None:
        """Let go of the lock; doing it again changes nothing."""
        if self.held:
            try:
                if self.in_place():
                    # Another store may have taken the path of this one, with an owner of its own.
                    Path(self.directory, OWNER_FILE).unlink(missing_ok=True)
            except OSError as error:
                raise store_error_for(f"the store at {self.directory}", error, self.directory) from error
            finally:
                self._lock.release()
                self._unlock_directory()

    def _unlock_directory(self) -> None:
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None

    def _introduce(self) -> None:
        """Write down who holds the lock, whole or not at all, for the message to others."""
        note = {"pid": os.getpid(), "command": self._command, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        write_atomically(Path(self.directory, OWNER_FILE), json.dumps(note))

    def _busy(self) -> StoreBusy:
        owner = read_owner(self.directory)
        return StoreBusy(
            f"the store at {self.directory} is in use by {_named(owner)}",
            "Wait until it has ended, or stop it, and try again.",
        )

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def _identity(path: str) -> Identity:
    """What tells a file or directory from the next one of its name; None where nothing is there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - plain strings throughout the stores
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _named(owner: Owner | None) -> str:
    return "another process" if owner is None else f"process {owner.pid} ({owner.command})"


def read_owner(directory: str) -> Owner | None:
    """Who holds the store, or None where nobody says so or the one who did is gone."""
    try:
        note = json.loads(Path(directory, OWNER_FILE).read_bytes())
        owner = Owner(pid=int(note["pid"]), command=str(note["command"]), since=str(note["since"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return owner if _alive(owner.pid) else None


def command_line(arguments: list[str]) -> str:
    """A command line for people: the program's name without its folder, cut where it grows long."""
    program, *rest = arguments or ["kb"]
    name = Path(program).name
    text = shlex.join([name if name not in {"", "__main__.py"} else "kb", *rest])
    return text if len(text) <= COMMAND_LENGTH else f"{text[: COMMAND_LENGTH - 1]}…"


def _alive(pid: int) -> bool:
    """Whether a process of this number runs. A number below 1 would mean whole groups of processes."""
    if pid < 1:
        return False
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # The process is somebody else's; what counts is that it is there.
        return True
    except OverflowError:
        return False
    return True
