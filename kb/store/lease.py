"""A lease on the collections of a Chroma server, so that one process at a time writes to them.

Chroma has no locks and no compare-and-swap, but one call that only one of many callers can make: to create a collection
of a name. So a lease is an empty collection whose name has a number, and the highest number holds. Whoever finds that a
lease was not renewed in its time makes the next one; of several that try, one succeeds. No clocks are compared: that a
lease has run out is seen by watching it.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from kb.errors import ChromaServerError, StoreBusy, StoreError
from kb.store.collection import FORMAT, FORMAT_KEY
from kb.store.server import NameTaken
from kb.system.clocks import seconds_asleep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kb.store.server import FoundCollection

SECONDS: Final = 30.0
"""How long a lease holds without being renewed."""
OWNER_KEY: Final = "kb_owner"
PLACE_KEY: Final = "kb_place"
HOST_KEY: Final = "kb_host"
BEAT_KEY: Final = "kb_beat"
# How often another process's lease is looked at in the time that it holds.
_LOOKS: Final = 20


class Collections(Protocol):
    """The collections of a server."""

    def found(self, prefix: str) -> list[FoundCollection]:
        """Those whose names begin with a prefix, by name."""

    def make_empty(self, name: str, marks: Mapping[str, str | int]) -> None:
        """Create one; raises ``NameTaken`` if it exists."""

    def mark(self, one: FoundCollection, marks: Mapping[str, str | int]) -> bool:
        """Replace the marks of one; returns whether it is still there."""

    def delete(self, name: str) -> None:
        """Delete one; it need not exist."""


def place_of(store: str) -> str:
    """An id of a store's folder on this machine, which says nothing of either.

    Two processes with the same one cannot hold a lease at once, since each holds the lock on that folder.
    """
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = f"{uuid.getnode():x}"
    named = f"{machine}\0{socket.gethostname()}\0{store}"
    return hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()[:32]


def _now() -> float:
    """Seconds that also pass while the machine sleeps, where the system counts them."""
    return time.monotonic() + (seconds_asleep() or 0.0)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A lease of another process, and since when it was seen unchanged."""

    lease: FoundCollection
    since: float


class Lease:
    """The right of this process to write to the collections of a name.

    Args:
        server: The server.
        prefix: The first part of the names of leases.
        place: The id of the store's folder, from ``place_of``.
        seconds: How long a lease holds without being renewed.
    """

    def __init__(
        self,
        server: Collections,
        prefix: str,
        place: str,
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._server = server
        self._prefix = prefix
        self._place = place
        self._seconds = seconds
        self._owner = uuid.uuid4().hex
        self._own: FoundCollection | None = None
        self._beat = 0
        self._until = 0.0
        self._taken_by = ""
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> bool:
        """Whether this process holds the lease, as far as it knows."""
        return self._own is not None

    def acquire(self, wait_seconds: float = 0.0) -> None:
        """Take the lease, after another one has run out or was given back.

        Args:
            wait_seconds: How long to wait for a process that renews its lease. That one has run out takes
                ``seconds`` to see.

        Raises:
            StoreBusy: Another process renews its lease.
            ChromaServerError: The server cannot be used.
        """
        with self._lock:
            if self._own is None:
                self._take(wait_seconds)
        self._renew_in_background()

    def require(self) -> None:
        """Check that this process may write now; renews the lease if it was not renewed lately.

        Raises:
            StoreBusy: Another process has the lease.
            ChromaServerError: The server cannot be used, so that it is not known.
        """
        if _now() < self._until:
            return
        with self._lock:
            if _now() >= self._until:
                self._renew()

    def release(self, *, reachable: bool = True) -> None:
        """Give the lease back. Giving it back again is allowed.

        Args:
            reachable: Whether to tell the server; otherwise it runs out by itself.
        """
        self._ended.set()
        with self._lock:
            self._thread = None
            own, self._own, self._until = self._own, None, 0.0
            if own is not None and reachable:
                with suppress(StoreError):
                    if any(one.id == own.id for one in self._server.found(own.name)):
                        self._server.delete(own.name)

    def holder(self) -> str:
        """The host of another process that has a lease now, whether it renews it or not; empty if there is none."""
        found = self._server.found(self._prefix)
        return "" if not found or self._is_own(found[-1]) else _host(found[-1])

    # Taking it.

    def _take(self, wait_seconds: float) -> None:
        """Make a lease with a higher number than all others, as soon as none of them holds."""
        began, seen = _now(), None
        while True:
            found = self._server.found(self._prefix)
            top = found[-1] if found else None
            if top is None or top.marks.get(PLACE_KEY) == self._place:
                is_free = True
            else:
                now = _now()
                if seen is None or (seen.lease.id, _beat(seen.lease)) != (top.id, _beat(top)):
                    if seen is not None and now - began >= wait_seconds:
                        raise self._busy(top)
                    seen = _Seen(top, now)
                is_free = now - seen.since >= self._seconds
            if is_free and self._made(top):
                return
            time.sleep(self._seconds / _LOOKS)

    def _made(self, before: FoundCollection | None) -> bool:
        """Make the lease that follows another one; returns whether this process was the one to make it."""
        name = f"{self._prefix}{self._number(before) + 1:06d}"
        began = _now()
        try:
            self._server.make_empty(name, self._marks())
        except NameTaken:
            return False
        found = self._server.found(self._prefix)
        if not found or not self._is_own(found[-1]):
            # One that was made at the same time has a higher number.
            self._server.delete(name)
            return False
        self._own, self._until, self._taken_by = found[-1], began + self._seconds / 2, ""
        for old in found[:-1]:
            self._server.delete(old.name)
        return True

    def _number(self, lease: FoundCollection | None) -> int:
        digits = "" if lease is None else lease.name.removeprefix(self._prefix)
        return int(digits) if digits.isascii() and digits.isdigit() else 0

    def _marks(self) -> dict[str, str | int]:
        return {
            FORMAT_KEY: FORMAT,
            OWNER_KEY: self._owner,
            PLACE_KEY: self._place,
            HOST_KEY: socket.gethostname()[:100],
            BEAT_KEY: self._beat,
        }

    # Keeping it.

    def _renew(self) -> None:
        """Renew the lease.

        Raises:
            StoreBusy: Another process has taken it.
        """
        own = self._own
        if own is None:
            raise self._lost()
        began = _now()
        self._beat += 1
        higher = [one for one in self._server.found(self._prefix) if one.name > own.name]
        if higher or not self._server.mark(own, self._marks()):
            self._own, self._until = None, 0.0
            self._taken_by = f" to kb on {_host(higher[-1])}" if higher else ""
            raise self._lost()
        self._until = began + self._seconds / 2

    def _renew_in_background(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._ended = threading.Event()
            self._thread = threading.Thread(target=self._keep, args=[self._ended], name="kb-lease", daemon=True)
            self._thread.start()

    def _keep(self, ended: threading.Event) -> None:
        while not ended.wait(self._seconds / 3):
            with self._lock:
                if ended.is_set():
                    return
                try:
                    self._renew()
                except ChromaServerError:
                    # The next write tries again, and reports it.
                    continue
                except StoreError:
                    return

    def _is_own(self, lease: FoundCollection) -> bool:
        return lease.marks.get(OWNER_KEY) == self._owner

    def _busy(self, lease: FoundCollection) -> StoreBusy:
        return StoreBusy(
            f"kb on {_host(lease)} writes to {self._what()}",
            "Stop it there, or set store.collection to another name here",
        )

    def _lost(self) -> StoreBusy:
        return StoreBusy(
            f"the right to write to {self._what()} was lost{self._taken_by}", "Stop the other kb, and run it again"
        )

    def _what(self) -> str:
        return f"the collections {self._prefix.removesuffix('lease-')}* of the Chroma server"


def _beat(lease: FoundCollection) -> object:
    return lease.marks.get(BEAT_KEY)


def _host(lease: FoundCollection) -> str:
    return str(lease.marks.get(HOST_KEY, "another machine"))
