"""The daemon behind ``kb watch``: follows the folders, answers commands, reloads an edited configuration."""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kb.api.events import EventBus
from kb.cli.http_port import HttpPort
from kb.cli.output.progress import ProgressLines
from kb.cli.output.reports import daemon_status, event_text
from kb.cli.output.terminal import shown_path
from kb.cli.process_priority import freeze_memory, prepare_process, run_at_low_priority, unfreeze_memory
from kb.cli.read_write_lock import ReadWriteLock
from kb.cli.remote import DaemonProxy, client_context
from kb.cli.resource_errors import resource_error
from kb.cli.session import ConfigurationEdited, InputNeeded, Session, current_folder, load_settings
from kb.cli.web_port import WebPort, open_in_editor
from kb.config.compare import differences, disagreement, shared_values
from kb.errors import ConfigError, FolderError, KbError, StoreError
from kb.formats.registry import REGISTRY
from kb.interrupts import undisturbed
from kb.records import FileEvent, IndexReport
from kb.records.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kb.api.http import Api, Backend, Configuration, Mounted
    from kb.app import LocalKnowledgeBase
    from kb.config import Settings
    from kb.config.schema import Config
    from kb.embedding.takeover import OnnxTakeover
    from kb.ports import EmbeddingRun
    from kb.records import IndexProgress, Subtree
    from kb.service.server import CommandOutput, CommandRequest, DaemonServer
    from kb.watching.scheduler import Scheduler
    from kb.web.context import Backend as PageBackend

    Run = Callable[[Sequence[str], Session], int]

_HEARTBEAT_SECONDS: Final = 1.0
_LOCK_SECONDS: Final = 0.5
# How long commands and programs wait until an edited configuration is reloaded, which running commands may prevent.
_RELOAD_SECONDS: Final = 10.0
_RELOAD_POLL_SECONDS: Final = 0.05
_RESTART_SECONDS: Final = 10.0
_WRITE_BATCH: Final = 32
# A run that takes as long is worth a line of the log at its end.
_LONG_SECONDS: Final = 10.0


class Daemon:
    """A process that holds a store while ``kb watch`` runs.

    Args:
        load: Reads the current configuration.
        folders_given: Whether the folders were named on the command line; then those of commands do not matter.
        say: Receives each line of the log.
        run: Runs a command line.
        log: The path of the log file, if there is one, for ``kb watch --status``.
    """

    def __init__(
        self, load: Callable[[], Settings], *, folders_given: bool, say: Callable[[str], None], run: Run, log: str = ""
    ) -> None:
        self._log_file = log
        self._load = load
        self._folders_given = folders_given
        self._say = say
        self._run = run
        self._settings = load()
        self._file_stamp = _file_stamp(self._settings)
        self._in_use = ReadWriteLock()
        # A signal may interrupt any code; unlike an event, this queue is reentrant.
        self._stop_requests: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._interrupt = threading.Event()
        # Whoever reads a file of the log later does not know where this process was started.
        self._cwd = "" if log else current_folder()
        self._since = datetime.now(UTC)
        self._totals_logged = False
        self._reopening = False
        self._progress: IndexProgress | None = None
        # What embeds the texts that the last index runs left, in turns; None where none are left.
        self._embedding: EmbeddingRun | None = None
        self._indexing = False
        self._configuration: tuple[Settings, Configuration] | None = None
        self._events = EventBus()
        self._http = HttpPort(self._backend(), say, self._mounts)
        self._web = WebPort(self._page_backend, say, str(self._settings.store_path()))
        self._last_warning = ""
        self._takeover: OnnxTakeover | None = None
        self._kb: LocalKnowledgeBase
        self._server: DaemonServer
        self._api: Api
        self._scheduler: Scheduler
        self._thread: threading.Thread
        self._followed_at = 0.0

    def stop(self) -> None:
        """Request a stop; returns at once, and is safe to call from a signal handler."""
        self._stop_requests.put(None)

    def serve(self, ready: Callable[[], None]) -> None:
        """Run until a stop is requested.

        Raises:
            StoreBusy: Another process has the store open.
            ModelError: The model is missing or invalid.
        """
        started = time.monotonic()
        prepare_process()
        threading.Thread(target=self._show_forecast, args=[self._settings], name="kb-forecast", daemon=True).start()
        self._say(f"loading {self._settings.config.embed.model}")
        try:
            self._open(self._settings)
            self._say(f"process {os.getpid()} opened the store at {shown_path(self._settings.store_path(), self._cwd)}")
            with undisturbed():
                self._server, self._api = self._listen()
                self._start_watching(started)
            self._server.start()
            self._http.move(self._settings.config.serve.http)
            ready()
            while not self._stop_requested():
                self._check_health()
        finally:
            self._end()
        self._say("stopped")

    def _show_forecast(self, settings: Settings) -> None:
        """Log what the first run of a new store will do, while the model is loaded or downloaded."""
        from kb.cli.forecast import show_forecast
        from kb.forecast import of_new_store

        show_forecast(settings, lambda: of_new_store(settings, tries=False), self._say, watching=True)

    def _end(self) -> None:
        """Stop and close whatever was started before a signal interrupted it; a store that is gone is left alone."""
        begun = vars(self)
        try:
            # First of all, so that whoever waits for the index is told that this process stops.
            self._http.stop()
            if "_api" in begun:
                self._api.stop()
            if self._takeover is not None:
                self._takeover.stop()
            if "_thread" in begun:
                self._stop_watching()
            self._http.close()
            self._web.close()
            if "_server" in begun:
                self._server.close()
                self._api.close()
        finally:
            if "_kb" in begun and self._kb.monitor.lost():
                self._kb.monitor.abandon()
            elif "_kb" in begun:
                self._kb.close()

    # Requests of clients.

    def run_command(self, request: CommandRequest, output: CommandOutput) -> int | None:
        """Run a command for another process, with the configuration as it is on disk."""
        daemon = _DaemonOfCommand(self)
        while True:
            self._wait_for_reload(lambda: output.stopping() or daemon.late())
            session = Session(
                open_knowledge=lambda settings, _warn: DaemonProxy(self._kb, settings.config),
                load_settings=self._settings_for,
                client=client_context(request, output),
                daemon=daemon,
            )
            with self._in_use.reading():
                try:
                    return self._run(request.args, session)
                except InputNeeded as needed:
                    output.need(needed.what)
                    return None
                except ConfigurationEdited:
                    # It has written nothing, and the edit cannot take effect while it runs: it begins again after that.
                    continue

    def edited(self) -> bool:
        """Whether the configuration was edited and is not reloaded yet."""
        stamp = _file_stamp(self._settings)
        # A missing file may be being replaced at the moment.
        return bool(stamp) and stamp != self._file_stamp

    def _wait_for_reload(self, stopping: Callable[[], bool]) -> None:
        """Wait until an edited configuration is reloaded, but not for commands that run for long."""
        until = time.monotonic() + _RELOAD_SECONDS
        while self.edited() and not stopping() and time.monotonic() < until:
            time.sleep(_RELOAD_POLL_SECONDS)

    def sync(self, timeout: float | None, gone: Callable[[], bool]) -> bool:
        """Wait until everything on disk now is indexed, or the client is gone; returns whether it is indexed.

        Where the watcher ends meanwhile, as when an edited configuration is reloaded, it waits for the next one.
        """
        until = _end_of(timeout)
        while True:
            scheduler = self._scheduler
            if scheduler.sync(until - time.monotonic(), gone):
                return True
            if not scheduler.stopping:
                return False
            while scheduler is self._scheduler:
                if gone() or time.monotonic() >= until:
                    return False
                time.sleep(_RELOAD_POLL_SECONDS)

    def open_page(self, port: int = 0) -> str:
        """Open the page for browsers, at a port or at any free one, and return a link that works once."""
        return self._web.link(port)

    def close_page(self) -> bool:
        """Close the page and end its sessions; returns whether it was open."""
        return self._web.close()

    def status(self) -> dict[str, Any]:
        """The state of the daemon, for ``kb watch --status`` and ``kb status``."""
        state, folders = self._scheduler.state, self._settings.folder_paths()
        if self._reopening:
            # The old watcher has ended, and the next one waits for the model.
            state = replace(state, kind="starting", reason="The configuration is being reloaded")
        run, http, log = self._progress_now(), self._http.url, self._log_file
        return daemon_status(state, folders, self._since, log, run, http=http, rescans=self._totals_logged)

    def _progress_now(self) -> IndexProgress | None:
        """The progress of the index run under way, or of the embedding, which goes on in turns."""
        if (progress := self._progress) is not None:
            return progress
        embedding = self._embedding
        return embedding.progress if embedding is not None and embedding.progress.to_embed else None

    def _settings_for(self, session: Session, overrides: Mapping[str, str]) -> Settings:
        """Return the settings of a command, if this daemon can serve them.

        Raises:
            ConfigError: They select another store, model or chunking.
        """
        settings = load_settings(session, overrides)
        asked, owned = shared_values(settings), shared_values(self._settings)
        if keys := differences(asked, owned, folders=not self._folders_given):
            theirs, ours = (str(one.file) if one.file else None for one in (self._settings, settings))
            raise disagreement(keys, os.getpid(), theirs, ours)
        if not self._folders_given:
            return settings
        folders = msgspec.structs.replace(settings.config.folders, paths=self._settings.config.folders.paths)
        return replace(settings, config=msgspec.structs.replace(settings.config, folders=folders))

    # The life cycle of the daemon.

    def _stop_requested(self) -> bool:
        try:
            self._stop_requests.get(timeout=_HEARTBEAT_SECONDS)
        except queue.Empty:
            return False
        return True

    def _open(self, settings: Settings) -> None:
        from kb.app import LocalKnowledgeBase

        kb = self._kb = LocalKnowledgeBase.open(settings, warn=self._say)
        try:
            kb.own(self._watch_state, write_batch=_WRITE_BATCH, log=self._log)
        except BaseException:
            kb.close()
            raise
        self._settings, self._embedding = settings, None
        if self._takeover is not None:
            self._takeover.stop()
        self._takeover = kb.takeover(self._say)
        freeze_memory()

    def _log(self, event: FileEvent, seconds: float) -> None:
        """Log an indexed file, also one indexed by a command; during the first scan only failures.

        Files of kinds that kb does not read are counted by ``kb status``.
        """
        self._events.publish("file", event)
        if self._totals_logged or (event.kind == "failed" and not REGISTRY.unread(event.path, event.reason)):
            self._say(event_text(event, seconds, self._cwd))

    def _watch_state(self) -> tuple[bool, int]:
        """Whether changes are noticed, and how many wait; at least one until the first scan is done.

        A changed place may hold any number of files: during a run that has counted them, the files that are left.
        """
        state, run = self._scheduler.state, self._progress
        settled = state.kind in {"watching", "polling"}
        waiting = max(state.waiting, run.files_total - run.files if run else 0)
        # While it starts, everything is pending until the first scan, which needs no request.
        return settled or state.kind == "starting", waiting if settled else max(1, waiting)

    def _listen(self) -> tuple[DaemonServer, Api]:
        """Listen for the clients of this user; nothing is answered yet."""
        from kb import __version__
        from kb.api.access import Access
        from kb.api.http import Api
        from kb.api.limits import LOCAL
        from kb.service.listen import listen
        from kb.service.server import DaemonServer, Handlers

        store = self._settings.store_path()
        handlers = Handlers(run=self.run_command, status=self.status, stop=self.stop)
        listening = listen(store, os.environ)
        secret = listening.secret
        access = Access(listening.hosts, (lambda: secret) if secret else None)
        api = Api(self._backend(), access, LOCAL, {"read", "write", "local"})
        return DaemonServer(listening, store, __version__, handlers, self._say, api=api), api

    def _backend(self) -> Backend:
        from kb.api.http import Backend

        return Backend(
            using=self._using,
            daemon=self,
            configuration=self.configuration,
            wait_for_reload=self._wait_for_reload,
            events=self._events,
            follower=self._follower,
            known=resource_error,
            say=self._say,
        )

    def _mounts(self) -> tuple[Mounted, ...]:
        """What else is served at the port for programs: agents at /mcp, where the SDK is installed."""
        if find_spec("mcp") is None:
            return ()
        from kb.api.http import Mounted
        from kb.mcp.endpoint import McpEndpoint
        from kb.mcp.sources import HeldSource

        endpoint = McpEndpoint(HeldSource(lambda: self._settings, self._using, self.status))
        return (Mounted("/mcp", endpoint, endpoint.lifespan),)

    def _page_backend(self) -> PageBackend:
        from kb.web.context import Backend

        return Backend(
            using=self._using,
            content=self._content,
            launch=open_in_editor,
            daemon=self,
            events=self._events,
            known=resource_error,
            say=self._say,
        )

    def _content(self, folder: str, path: str) -> bytes:
        # The knowledge base of the moment: it is replaced when the configuration is edited.
        return self._kb.content(folder, path)

    def _follower(self) -> Callable[[IndexProgress | FileEvent], None]:
        """A function that logs and publishes what happens in an index run that a program asked for."""
        before = time.monotonic()

        def follow(one: IndexProgress | FileEvent) -> None:
            nonlocal before
            if isinstance(one, FileEvent):
                now = time.monotonic()
                self._log(one, now - before)
                before = now
            else:
                self._events.publish("progress", one)

        return follow

    @contextmanager
    def _using(self) -> Iterator[LocalKnowledgeBase]:
        """Hold the knowledge base for a request."""
        with self._in_use.reading():
            yield self._kb

    def configuration(self) -> Configuration:
        """The configuration in effect, for clients that compare it with their own."""
        settings, known = self._settings, self._configuration
        if known is None or known[0] is not settings:
            self._configuration = known = (settings, self._described(settings))
        return known[1]

    def _described(self, settings: Settings) -> Configuration:
        from kb import __version__
        from kb.api.http import Configuration
        from kb.service.address import PROTOCOL

        return Configuration.of(
            {
                "version": __version__,
                "protocol": PROTOCOL,
                "pid": os.getpid(),
                "store": settings.store_path(),
                "file": None if settings.file is None else str(settings.file),
                "folders_given": self._folders_given,
                "listing": shared_values(settings),
            }
        )

    def _new_scheduler(self, started: float) -> Scheduler:
        from kb.watching.scheduler import Scheduler

        wanted = self._settings.config.watch
        return Scheduler(
            folders=self._settings.folder_paths(),
            update=lambda places: self._index_changes(places, started),
            go_on=self._embed_waiting,
            complete=self._kb.complete_index,
            say=self._say,
            never=(self._settings.store_path(),),
            polling=wanted.polling,
            poll_seconds=wanted.poll_seconds,
            sweep_seconds=wanted.sweep_minutes * 60,
            quiet=wanted.quiet_ms / 1000,
            patience=wanted.patience_seconds,
        )

    def _start_watching(self, started: float) -> None:
        self._interrupt.clear()
        self._scheduler = self._new_scheduler(started)
        self._followed_at = time.monotonic()
        self._thread = threading.Thread(
            target=run_at_low_priority, args=[self._scheduler.run], name="kb-follow", daemon=True
        )
        self._thread.start()

    def _stop_watching(self) -> None:
        self._interrupt.set()
        self._scheduler.stop()
        self._thread.join()

    def _index_changes(self, places: frozenset[Subtree] | None, started: float) -> bool:
        """Make changed files found by their words, and log the progress of a long run; after the first, log the totals.

        Args:
            places: Where something changed since the last time; None where that is not known.
            started: When the daemon was started.

        Returns:
            Whether texts are left to embed, or the run was interrupted.
        """
        first = not self._totals_logged
        lines = ProgressLines(self._say)

        def on_progress(now: IndexProgress) -> None:
            self._progress = now
            self._events.publish("progress", now)
            lines(now)

        with self._run_shown():
            report, embedding = self._kb.update(places=places, on_progress=on_progress, should_stop=self._should_stop)
            self._events.publish("run", report)
        if not report.unembedded:
            self._embedding = None
        elif self._embedding is None:
            self._embedding = embedding
        if first and not report.interrupted:
            state = self._kb.status()
            folders = ", ".join(self._settings.folder_paths())
            totals = f"{count(state.files, 'file')}, {count(state.passages, 'passage')}"
            left = f", {state.unembedded:,} to embed" if state.unembedded else ""
            self._say(f"{totals}{left}, {time.monotonic() - started:.1f} s, watching {folders}")
            # From now on files are logged one by one, and the model may be exported.
            self._totals_logged = True
        if report.held:
            self._say(f"{count(report.held, 'missing file')} kept (run kb index --accept-deletions to drop them)")
        return report.interrupted or bool(report.unembedded)

    def _embed_waiting(self) -> bool:
        """Embed what is queued, until something else is due; returns whether something is left."""
        embedding = self._embedding
        if embedding is None:
            return False
        with self._run_shown():
            left = self._kb.embed(embedding, should_stop=self._should_stop, should_pause=self._scheduler.due)
        if left or embedding.interrupted:
            return True
        self._embedding = None
        report = embedding.report(IndexReport())
        self._events.publish("run", report)
        if report.seconds >= _LONG_SECONDS:
            self._say(f"{count(report.embedded, 'passage')} embedded: all files are found by meaning")
        return False

    @contextmanager
    def _run_shown(self) -> Iterator[None]:
        """Show that an index run is under way, and translate errors of the system, which may pass."""
        try:
            self._publish_state(indexing=True)
            yield
        except (MemoryError, OSError, RuntimeError) as error:
            # The system may have the resource again later: log the error and retry.
            raise resource_error(error) or error from error
        finally:
            self._progress = None
            self._indexing = False

    def _publish_state(self, *, indexing: bool) -> None:
        """Tell listeners what the daemon does, if that is another thing than before."""
        from kb.api.events import WatchingState

        self._indexing = indexing
        state = self._scheduler.state
        self._events.publish(
            "state", WatchingState(state.kind, state.reason, state.waiting, indexing, tuple(state.errors))
        )

    def _should_stop(self) -> bool:
        """Whether the index run must stop; called between files, where it waits for running queries."""
        self._kb.query_priority.wait()
        return self._interrupt.is_set()

    def _check_health(self) -> None:
        """Check the store, the socket and the watcher, repair what is broken, and reload an edited configuration.

        Raises:
            KbError: The store is gone and cannot be rebuilt.
        """
        if lost := self._kb.monitor.confirmed_lost():
            self._rebuild_store(lost)
        elif self._kb.monitor.restore_lock():
            self._say("the lock file of the store was deleted; it is restored")
        if not self._thread.is_alive() and time.monotonic() - self._followed_at > _RESTART_SECONDS:
            self._say("the watcher died; restarted")
            self._start_watching(time.monotonic())
        if not self._server.reachable():
            self._listen_again()
        self._publish_state(indexing=self._indexing)
        # Every file is found by its words first.
        if self._totals_logged and self._takeover is not None:
            self._takeover.step()
        stamp = _file_stamp(self._settings)
        if self.edited() and self._reload():
            self._file_stamp = stamp

    def _rebuild_store(self, lost: str) -> None:
        """Rebuild a removed store from the folders, once the commands that use it have ended.

        Raises:
            KbError: It cannot be rebuilt.
        """
        store = self._settings.store_path()
        self._server.stop_commands()
        self._api.stop_runs()
        self._http.stop_runs()
        with self._in_use.writing(_LOCK_SECONDS) as alone:
            if not alone:
                self._warn_once(f"{lost}; it will be rebuilt when the running commands have finished")
                return
            self._last_warning = ""
            self._stop_watching()
            self._kb.monitor.abandon()
            unfreeze_memory()
            if not Path(store).parent.is_dir():
                raise StoreError(
                    f"{lost}, and so was its parent folder", "Mount or create that folder, then start kb watch again"
                )
            self._say(f"{lost}; rebuilding it from the folders")
            self._totals_logged = False
            self._open(self._settings)
            self._start_watching(time.monotonic())

    def _listen_again(self) -> None:
        """Listen again where clients look, which may be another folder after a logout; repeated until it works."""
        with self._in_use.writing(_LOCK_SECONDS) as alone:
            if not alone:
                return
            try:
                server, api = self._listen()
            except (FolderError, OSError) as error:
                self._warn_once(f"commands cannot reach this process: {error}")
                return
            server.start()
            self._api.stop()
            self._server.close()
            self._api.close()
            self._server, self._api = server, api
        self._last_warning = ""
        self._say("the socket was deleted; listening on a new one")

    def _warn_once(self, text: str) -> None:
        """Log a warning unless it is the same as the last one."""
        if text != self._last_warning:
            self._say(text)
        self._last_warning = text

    def _reload(self) -> bool:
        """Reload an edited configuration; returns False if running commands prevent that for now."""
        try:
            settings = self._load()
            if not settings.config.folders.paths:
                raise ConfigError(f"{settings.file} names no folder")
        except KbError as error:
            self._say(f"config.toml not reloaded: {error}")
            return True
        if settings.config == self._settings.config:
            return True
        if settings.store_path() != self._settings.store_path():
            self._say("store.path changed; restart kb watch to apply it")
            return True
        if _without_port(settings) != _without_port(self._settings):
            with self._in_use.writing(_LOCK_SECONDS) as alone:
                if not alone:
                    return False
                self._reopen(settings)
        else:
            self._settings = settings
        self._move_port(settings.config.serve.http)
        return True

    def _move_port(self, address: str) -> None:
        """Answer programs where the edited configuration says."""
        try:
            self._http.move(address)
        except KbError as error:
            self._say(f"serve.http not changed: {error}")

    def _reopen(self, settings: Settings) -> None:
        """Reopen the knowledge base with other settings, or with the old ones if that fails."""
        old = self._settings
        self._reopening = True
        try:
            self._stop_watching()
            self._kb.close()
            unfreeze_memory()
            try:
                self._open(settings)
                self._say("config.toml reloaded")
            except KbError as error:
                self._say(f"config.toml not reloaded: {error}")
                self._open(old)
            self._start_watching(time.monotonic())
        finally:
            self._reopening = False


class _DaemonOfCommand:
    """The daemon, as a command sees it that runs in it and keeps an edited configuration from taking effect."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        # When to give up waiting for the index, also where the command begins again.
        self._until: float | None = None
        self.status = daemon.status
        self.open_page = daemon.open_page
        self.close_page = daemon.close_page

    def late(self) -> bool:
        """Whether the time that the command has for the index is over."""
        return self._until is not None and time.monotonic() >= self._until

    def sync(self, timeout: float | None, gone: Callable[[], bool]) -> bool:
        """Wait until everything on disk now is indexed, or the client is gone; returns whether it is indexed.

        Raises:
            ConfigurationEdited: The configuration was edited meanwhile.
        """
        if self._until is None:
            self._until = _end_of(timeout)
        done = self._daemon.sync(self._until - time.monotonic(), lambda: gone() or self._daemon.edited())
        if not done and self._daemon.edited() and not (gone() or self.late()):
            raise ConfigurationEdited
        return done


def _end_of(timeout: float | None) -> float:
    """Return when a number of seconds is over; never where there is none."""
    return math.inf if timeout is None else time.monotonic() + timeout


def _without_port(settings: Settings) -> Config:
    """Return the part of a configuration that the knowledge base and the watcher depend on."""
    return msgspec.structs.replace(settings.config, serve=type(settings.config.serve)())


def _file_stamp(settings: Settings) -> tuple[int, ...]:
    """Return what identifies a version of the configuration file; empty if there is no file."""
    if settings.file is None:
        return ()
    try:
        found = settings.file.stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
