"""What happens in the daemon, as server-sent events.

The last events are kept for all listeners together. A listener only remembers its place among them, so that however
slowly it reads, it costs no memory; one that falls behind what is kept is disconnected.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from starlette.responses import StreamingResponse

from kb.api.codec import encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

EventType = Literal["file", "progress", "run", "state", "missed"]
EVENTS: Final = "/v1/events"
MEDIA_TYPE: Final = "text/event-stream"
_KEPT: Final = 1_000
# Seconds of silence after which a client gets a comment, which shows that the daemon is there.
HEARTBEAT_SECONDS: Final = 15.0
_PROGRESS_SECONDS: Final = 0.25
_DIGITS: Final = 18
HEARTBEAT: Final = b": still here\n\n"


class WatchingState(msgspec.Struct, frozen=True):
    """What the daemon does: the data of an event ``state``.

    Attributes:
        state: ``starting``, ``watching``, ``polling`` where the system reports no changes, ``blind`` where the folders
            are not there.
        reason: Why it polls, or what is missing.
        waiting: How many changed places wait to be indexed.
        indexing: Whether an index run is under way.
        errors: Why the last runs failed.
    """

    state: str
    reason: str
    waiting: int
    indexing: bool
    errors: tuple[str, ...] = ()


class Missed(msgspec.Struct, frozen=True):
    """The data of an event ``missed``: some events after ``Last-Event-ID`` are gone, so ask anew for what matters."""


@dataclass(frozen=True, slots=True)
class _Event:
    number: int
    text: bytes


class EventBus:
    """Takes events from any thread, and keeps the last ones for all listeners.

    Args:
        kept: How many events are kept.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept: deque[_Event] = deque(maxlen=kept)
        self._lock = threading.Lock()
        # The ids of another daemon, or of this one before it was restarted, mean nothing here.
        self._epoch = secrets.token_hex(4)
        self._last = 0
        self._state = b""
        self._progress_at = 0.0
        self._listeners: set[Listener] = set()

    def publish(self, kind: EventType, data: object) -> None:
        """Hand an event to all listeners.

        A ``state`` that is as before is no event, and of ``progress`` there are a few a second.
        """
        if kind == "progress":
            now = time.monotonic()
            if now - self._progress_at < _PROGRESS_SECONDS:
                return
            self._progress_at = now
        body = encode(data)
        with self._lock:
            if kind == "state":
                if body == self._state:
                    return
                self._state = body
            self._last += 1
            self._kept.append(_Event(self._last, _text(kind, body, self._id(self._last))))
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener.wake()

    def add(self, listener: Listener) -> None:
        """Wake a listener at each event from now on."""
        with self._lock:
            self._listeners.add(listener)

    def remove(self, listener: Listener) -> None:
        """Forget a listener."""
        with self._lock:
            self._listeners.discard(listener)

    def begin(self, last_id: str) -> tuple[bytes, int]:
        """Return what a listener gets first, and the number of the event before those that follow.

        Args:
            last_id: The id of the last event that it had; empty for a listener that begins.
        """
        epoch, _, digits = last_id.rpartition("-")
        with self._lock:
            number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS else -1
            if epoch == self._epoch and 0 <= number <= self._last and self._has_after(number):
                return b"", number
            now = self._id(self._last)
            state = _text("state", self._state, now) if self._state else b""
            return (_text("missed", b"{}", now) if last_id else b"") + state, self._last

    def after(self, number: int) -> tuple[_Event, ...] | None:
        """Return the events after one; None where some of them are no longer kept."""
        with self._lock:
            if not self._has_after(number):
                return None
            first = len(self._kept) - (self._last - number)
            return tuple(islice(self._kept, first, None))

    def _has_after(self, number: int) -> bool:
        return self._last - number <= len(self._kept)

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"


class Listener:
    """A client that follows the events, in the loop of its server.

    Args:
        bus: The events.
        last_id: The id of the last event that it had; empty where it begins.
        heartbeat: Seconds without an event after which it gets a comment, which shows that the daemon is there.
    """

    def __init__(self, bus: EventBus, last_id: str = "", heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._bus = bus
        self._last_id = last_id
        self._heartbeat = heartbeat
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._closed = False

    def wake(self) -> None:
        """Tell it, from any thread, that something happened."""
        # The loop is closed where its server ended.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._woken.set)

    def close(self) -> None:
        """End its stream, from any thread."""
        self._closed = True
        self.wake()

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the events as the protocol has them, until it is closed or has fallen behind."""
        self._bus.add(self)
        try:
            begin, number = self._bus.begin(self._last_id)
            yield begin or HEARTBEAT
            while not self._closed:
                self._woken.clear()
                events = self._bus.after(number)
                if events is None:
                    return
                for event in events:
                    yield event.text
                    number = event.number
                if not events and not await self._happens():
                    yield HEARTBEAT
        finally:
            self._bus.remove(self)

    async def _happens(self) -> bool:
        """Wait for the next event, or for a heartbeat; whether something happened."""
        try:
            await asyncio.wait_for(self._woken.wait(), self._heartbeat)
        except TimeoutError:
            return False
        return True


class EventResponse(StreamingResponse):
    """The stream of a listener, which is one of some listeners from the request to the end of the response."""

    def __init__(self, listener: Listener, listeners: set[Listener]) -> None:
        super().__init__(listener.stream(), media_type=MEDIA_TYPE)
        self._listener = listener
        self._listeners = listeners
        listeners.add(listener)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._listeners.discard(self._listener)


def _text(kind: EventType, data: bytes, number: str) -> bytes:
    """Return an event as the protocol has it; JSON is one line."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (number.encode(), kind.encode(), data)
