"""Where the tools get their knowledge from: a daemon, which is started if need be, or the store in this process."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from kb.errors import KbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from kb.api.client import DaemonClient
    from kb.config import Settings
    from kb.ports import Knowledge
    from kb.records import IndexProgress

    Files: TypeAlias = DaemonClient | Knowledge

_POLL_SECONDS: Final = 0.1
_START_SECONDS: Final = 20.0
_BUILD_SECONDS: Final = 10.0
_FRESH_SECONDS: Final = 1.0
# What every error of a command begins with.
_PROGRAM: Final = "kb: "


class NotReady(KbError):
    """The daemon is not able to answer yet; the message says what it is doing."""


@dataclass(frozen=True, slots=True)
class Building:
    """An index run that is going on.

    Attributes:
        files: How many files are indexed.
        of: How many files there are to index; 0 where that is not known yet.
        passages: How many passages are indexed.
    """

    files: int = 0
    of: int = 0
    passages: int = 0

    def __str__(self) -> str:
        if not self.of:
            return "the files are being read"
        return f"{self.files:,} of {self.of:,} files, {self.passages:,} passages"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool.

    Attributes:
        report: Tells the client how far it is: (done, total or None, what is being done).
        cancelled: Whether the client has given up.
    """

    report: Callable[[float, float | None, str], None] = lambda _done, _total, _what: None
    cancelled: Callable[[], bool] = lambda: False


class KnowledgeSource(Protocol):
    """Where the knowledge comes from."""

    @property
    def settings(self) -> Settings:
        """The configuration in effect."""

    def opened(self, call: Call) -> AbstractContextManager[Files]:
        """A knowledge base to ask.

        Raises:
            NotReady: There will be one in a moment.
        """

    def building(self) -> Building | None:
        """The index run that is going on; None where there is none, or it has nothing to do."""

    def refresh(self) -> None:
        """Begin an index run, where nothing else does."""


def wait_until_built(source: KnowledgeSource, call: Call, seconds: float = _BUILD_SECONDS) -> None:
    """Wait until the index run that is going on has ended, the time is over, or the client has given up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not call.cancelled():
        now = source.building()
        if now is None:
            return
        call.report(now.files, now.of or None, f"indexing: {now}")
        time.sleep(_POLL_SECONDS)


class Starting(Protocol):
    """A daemon that was started in the background."""

    def running(self) -> bool:
        """Whether its process is alive."""

    def output(self) -> str:
        """What it has written to its log."""


@dataclass(slots=True)
class DaemonSource:
    """Asks the daemon of the store, and starts one where none runs.

    Args:
        settings: The configuration.
        client: Asks the daemon.
        start: Starts a daemon in the background.
        seconds: How long a call waits for a daemon that is starting.
    """

    settings: Settings
    client: DaemonClient
    start: Callable[[Settings], Starting]
    seconds: float = _START_SECONDS
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _started: Starting | None = None

    @contextmanager
    def opened(self, call: Call) -> Iterator[Files]:
        """A knowledge base that asks the daemon.

        Raises:
            NotReady: The daemon is still starting.
            KbError: It cannot be started.
        """
        self._wait_for_daemon(call)
        yield self.client

    def building(self) -> Building | None:
        """The index run of the daemon."""
        return building_of(self._status() or {})

    def refresh(self) -> None:
        """Nothing to do: the daemon follows the folders."""

    def close(self) -> None:
        """Close the connections to the daemon, which goes on."""
        self.client.close()

    def _status(self) -> dict[str, Any] | None:
        from kb.service.client import RequestRefused, ask

        try:
            return ask(self.settings.store_path(), "/status")
        except RequestRefused as error:
            raise KbError(f"the daemon does not answer: {error}", "kb watch --status shows its state") from error

    def _wait_for_daemon(self, call: Call) -> None:
        began = time.monotonic()
        while self._status() is None:
            self._require_one_starting()
            waited = time.monotonic() - began
            if waited > self.seconds or call.cancelled():
                raise NotReady(
                    f"kb is starting: its daemon is loading the model {self.settings.config.embed.model}",
                    "Ask again in a few seconds",
                )
            call.report(waited, None, "starting kb's daemon")
            time.sleep(_POLL_SECONDS)

    def _require_one_starting(self) -> None:
        """Start a daemon unless one is starting already.

        Raises:
            KbError: The one that was started has ended.
        """
        with self._lock:
            if self._started is None:
                if not _is_starting_elsewhere(self.settings.store_path()):
                    self._started = self.start(self.settings)
            elif not self._started.running():
                failure, self._started = self._started.output(), None
                # Of two that are started at once, one finds the store taken.
                if self._status() is None and not _is_starting_elsewhere(self.settings.store_path()):
                    raise _failed_to_start(failure)


def _failed_to_start(output: str) -> KbError:
    """Return the error of a daemon that ended, from what it wrote last: a sentence, and its remedy on further lines."""
    lines = output.splitlines() or ["it wrote nothing to its log"]
    begin = max((number for number, line in enumerate(lines) if line.startswith(_PROGRAM)), default=len(lines) - 1)
    message, *remedy = (line.strip() for line in lines[begin:])
    return KbError(
        f"kb's daemon could not start: {message.removeprefix(_PROGRAM)}",
        " ".join(remedy) or "Run kb watch to see the same",
    )


def _is_starting_elsewhere(store: str) -> bool:
    """Whether another process holds the store, as a daemon does while it loads the model."""
    from kb.store.lock import is_locked, read_owner

    holder = read_owner(store)
    # A record that a dead process left behind may name the id of another one.
    return holder is not None and holder.command.startswith("kb watch") and is_locked(store)


def building_of(status: dict[str, Any]) -> Building | None:
    """Return the index run that a daemon's status tells of: until its first one has ended, there always is one.

    While passages are embedded, everything is found by its words.
    """
    if (run := status.get("run")) and not run.get("to_embed"):
        return Building(run["indexed"], run["files"], run["passages"])
    return Building() if status.get("state") == "starting" else None


@dataclass(slots=True)
class OwnSource:
    """Opens the store in this process, and indexes the folders before it answers, unless it has within a second.

    Args:
        settings: The configuration.
        connect: Opens the knowledge base, for calls from several threads.
        seconds: How long a call waits for the model to be loaded, and then for the index run.
    """

    settings: Settings
    connect: Callable[[Settings], Knowledge]
    seconds: float = _BUILD_SECONDS
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _knowledge: Knowledge | None = None
    _run: threading.Thread | None = None
    _progress: IndexProgress | None = None
    _error: Exception | None = None
    _ended: float = -math.inf
    _closed: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def opened(self, call: Call) -> Iterator[Files]:
        """The knowledge base, after an index run or a while of it.

        Raises:
            NotReady: The model is still being loaded.
            Exception: What kept the folders from being indexed, a ``KbError`` unless it is a fault of kb.
        """
        if time.monotonic() - self._ended > _FRESH_SECONDS:
            self.refresh()
        wait_until_built(self, call, self.seconds)
        error, self._error = self._error, None
        if error is not None:
            raise error
        if self._knowledge is None:
            raise NotReady(f"kb is loading the model {self.settings.config.embed.model}", "Ask again in a few seconds")
        yield self._knowledge

    def building(self) -> Building | None:
        """The index run of this process; none once everything is found by its words."""
        now = self._progress
        if self._run is None or not self._run.is_alive() or (now and now.to_embed):
            return None
        return Building(now.files, now.files_total, now.embedded + now.reused) if now else Building()

    def refresh(self) -> None:
        """Begin an index run in a thread, unless one is going on."""
        with self._lock:
            if self._run is None or not self._run.is_alive():
                self._run = threading.Thread(target=self._index, name="kb-index", daemon=True)
                self._run.start()

    def close(self) -> None:
        """End the index run, and close the store."""
        self._closed.set()
        if self._run is not None:
            self._run.join()
        if self._knowledge is not None:
            self._knowledge.__exit__(None, None, None)

    def _index(self) -> None:
        try:
            self._knowledge = self._knowledge or self.connect(self.settings)
            self._knowledge.index(on_progress=self._show, should_stop=self._closed.is_set)
        except Exception as error:  # noqa: BLE001 - the next call raises it
            self._error = error
        finally:
            self._progress, self._ended = None, time.monotonic()

    def _show(self, now: IndexProgress) -> None:
        self._progress = now


@dataclass(slots=True)
class ConfiguredSource:
    """The source of the configuration in effect, which is looked for again at each call until there is one.

    A client shows of a server that ends at once no more than that it failed. So the tools are served without a
    configuration too, and say what to do.
    """

    make: Callable[[], DaemonSource | OwnSource]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _source: DaemonSource | OwnSource | None = None

    def source(self) -> DaemonSource | OwnSource:
        """The source.

        Raises:
            KbError: There is no configuration, it names no folder, or it has a mistake.
        """
        with self._lock:
            if self._source is None:
                self._source = self.make()
            return self._source

    @property
    def settings(self) -> Settings:
        """The configuration in effect.

        Raises:
            KbError: As for ``source``.
        """
        return self.source().settings

    def opened(self, call: Call) -> AbstractContextManager[Files]:
        """A knowledge base to ask.

        Raises:
            KbError: As for ``source``.
        """
        return self.source().opened(call)

    def building(self) -> Building | None:
        """The index run that is going on."""
        return self.source().building()

    def refresh(self) -> None:
        """Begin an index run, where nothing else does."""
        self.source().refresh()

    def close(self) -> None:
        """Close the source, if there is one."""
        if self._source is not None:
            self._source.close()


@dataclass(frozen=True, slots=True)
class HeldSource:
    """The knowledge base of the daemon that this code runs in."""

    configuration: Callable[[], Settings]
    knowledge: Callable[[], AbstractContextManager[Knowledge]]
    status: Callable[[], dict[str, Any]]

    @property
    def settings(self) -> Settings:
        """The configuration in effect."""
        return self.configuration()

    def opened(self, call: Call) -> AbstractContextManager[Knowledge]:  # noqa: ARG002 - there is nothing to wait for
        """The knowledge base of the daemon."""
        return self.knowledge()

    def building(self) -> Building | None:
        """The index run of the daemon."""
        return building_of(self.status())

    def refresh(self) -> None:
        """Nothing to do: the daemon follows the folders."""
