"""Owns a store for as long as ``kb watch`` runs: follows the folders, answers commands, takes over edited settings."""

from __future__ import annotations

import os
import queue
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kb.cli.gate import Gate
from kb.cli.manners import gently, prepare_process, settle_memory, unsettle_memory
from kb.cli.progress import Lines
from kb.cli.remote import Lent, asker_of, differences
from kb.cli.reports import count, event_text, owner_status
from kb.cli.session import InputNeeded, Session, current_folder
from kb.cli.shortage import shortage
from kb.cli.terminal import shown_path
from kb.errors import ConfigError, FolderError, KbError, StoreError
from kb.interrupts import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kb.app import KnowledgeBase
    from kb.cli.session import Knowledge
    from kb.config import Settings
    from kb.records import FileEvent, IndexReport
    from kb.serve.owner import Owner, Request, Wire
    from kb.watch.follow import Follower

    Run = Callable[[Sequence[str], Session], int]

_BEAT: Final = 1.0
_PATIENCE: Final = 0.5
_AGAIN: Final = 10.0
_WRITE_BATCH: Final = 32


class Ownership:
    """The life of one owner.

    Args:
        load: Reads the configuration as it is now.
        folders_given: Whether the folders were named on the command line, so that no command's own ones count.
        say: Takes each line of the log.
        run: Runs a command line.
        log: The file that takes what is said, if it is one; for those who ask where it is.
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
        self._stamp = _stamp(self._settings)
        self._gate = Gate()
        # A signal may come anywhere; unlike an event, this queue may be filled from within itself.
        self._wishes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._cwd = current_folder()
        self._since = datetime.now(UTC)
        self._told_totals = False
        self._complained = ""
        self._kb: KnowledgeBase
        self._owner: Owner
        self._follower: Follower
        self._thread: threading.Thread
        self._followed_at = 0.0

    def stop(self) -> None:
        """Begin to end; returns at once, and may be called by a signal handler."""
        self._wishes.put(None)

    def serve(self, ready: Callable[[], None]) -> None:
        """Own the store until told to stop.

        Args:
            ready: Called once commands are answered.

        Raises:
            StoreBusy: Another process owns the store.
            ModelError: The model cannot be had.
        """
        started = time.monotonic()
        prepare_process()
        try:
            self._open(self._settings)
            self._say(f"process {os.getpid()} has the store at {shown_path(self._settings.store_path(), self._cwd)}")
            with undisturbed():
                self._owner = self._listen()
                self._follow(started)
            self._owner.start()
            ready()
            while not self._wished():
                self._look_after()
        finally:
            self._end()
        self._say("stopped")

    def _end(self) -> None:
        """Stop and close what was begun, which a signal may have cut short anywhere; a store that is gone is left."""
        begun = vars(self)
        try:
            if "_thread" in begun:
                self._unfollow()
            if "_owner" in begun:
                self._owner.close()
        finally:
            if "_kb" in begun and self._kb.guard.lost():
                self._kb.guard.abandon()
            elif "_kb" in begun:
                self._kb.close()

    # What the owner does for others.

    def run_command(self, request: Request, wire: Wire) -> int | None:
        """Run a command for another process."""
        session = Session(
            open_knowledge=self._lend, load_settings=self._settings_for, asker=asker_of(request, wire), owner=self
        )
        with self._gate.shared():
            try:
                return self._run(request.args, session)
            except InputNeeded as needed:
                wire.need(needed.what)
                return None

    def sync(self, timeout: float | None, gone: Callable[[], bool]) -> bool:
        """Wait until all that is on the disk now is in the index, or the asker is gone; says whether it is."""
        return self._follower.sync(timeout, gone)

    def status(self) -> dict[str, Any]:
        """How the owner is, for ``kb watch --status`` and ``kb status``."""
        return owner_status(self._follower.state, self._settings.folder_paths(), self._since, self._log_file)

    def _lend(self, settings: Settings, *, warn: Callable[[str], None]) -> Knowledge:  # noqa: ARG002 - the log has it
        return Lent(self._kb, settings.config)

    def _settings_for(
        self,
        config_file: str | None,
        *,
        overrides: Mapping[str, str],
        environ: Mapping[str, str] | None = None,
        cwd: str | None = None,
        found: bool = False,
    ) -> Settings:
        """The settings of a command, if this owner can answer for them.

        Raises:
            ConfigError: It wants another store, model or splitting than this owner has.
        """
        from kb.config import load

        settings = load(config_file, environ, cwd, overrides, found=found)
        if keys := differences(settings, self._settings, folders=not self._folders_given):
            other = settings.file != self._settings.file
            files = f"; it goes by {self._settings.file}, this command by {settings.file}" if other else ""
            raise ConfigError(
                f"the running owner (process {os.getpid()}) has other values of {', '.join(keys)}{files}",
                "Leave them as it has them, or stop it first: kb watch --stop. An edited config.toml is taken over "
                "within seconds",
            )
        if not self._folders_given:
            return settings
        folders = msgspec.structs.replace(settings.config.folders, paths=self._settings.config.folders.paths)
        return replace(settings, config=msgspec.structs.replace(settings.config, folders=folders))

    # How it lives.

    def _wished(self) -> bool:
        try:
            self._wishes.get(timeout=_BEAT)
        except queue.Empty:
            return False
        return True

    def _open(self, settings: Settings) -> None:
        from kb.app import KnowledgeBase

        kb = self._kb = KnowledgeBase.open(settings, warn=self._say)
        try:
            kb.own(self._watched, write_batch=_WRITE_BATCH, log=self._log)
        except BaseException:
            kb.close()
            raise
        self._settings = settings
        settle_memory()

    def _log(self, event: FileEvent, seconds: float) -> None:
        """Tell of a file, whoever had it indexed; the first time round, when there may be thousands, of failed ones."""
        if self._told_totals or event.kind == "failed":
            self._say(event_text(event, seconds, self._cwd))

    def _watched(self) -> tuple[bool, int]:
        """Whether changes are noticed, and how many places wait; before the first full look something always does."""
        state = self._follower.state
        settled = state.kind in {"watching", "polling"}
        # While it begins, everything waits to be looked at, and is looked at without anybody's doing.
        return settled or state.kind == "starting", state.waiting if settled else max(1, state.waiting)

    def _listen(self) -> Owner:
        from kb import __version__
        from kb.serve.listen import listen
        from kb.serve.owner import Duties, Owner

        store = self._settings.store_path()
        duties = Duties(run=self.run_command, status=self.status, sync=self.sync, stop=self.stop)
        return Owner(listen(store, os.environ), store, __version__, duties, self._say)

    def _new_follower(self, started: float) -> Follower:
        from kb.watch.follow import Follower

        wanted = self._settings.config.watch
        return Follower(
            folders=self._settings.folder_paths(),
            # A scan of everything is cheap beside a wrong hint, so the places that changed only say when to look.
            absorb=lambda _places: self._absorb(started),
            tell=self._say,
            never=(self._settings.store_path(),),
            polling=wanted.polling,
            poll_seconds=wanted.poll_seconds,
            sweep_seconds=wanted.sweep_minutes * 60,
            quiet=wanted.quiet_ms / 1000,
            patience=wanted.patience_seconds,
        )

    def _follow(self, started: float) -> None:
        self._hurry.clear()
        self._follower = self._new_follower(started)
        self._followed_at = time.monotonic()
        self._thread = threading.Thread(target=gently, args=[self._follower.run], name="kb-follow", daemon=True)
        self._thread.start()

    def _unfollow(self) -> None:
        self._hurry.set()
        self._follower.stop()
        self._thread.join()

    def _absorb(self, started: float) -> IndexReport:
        """Take in what changed, telling how far it is where that takes long; the first time, tell the totals."""
        first = not self._told_totals
        try:
            report = self._kb.index(on_progress=Lines(self._say), should_stop=self._stops)
        except (MemoryError, OSError, RuntimeError) as error:
            # What the system is short of now may be there later: it is told, and tried again.
            raise shortage(error) or error from error
        if first and not report.interrupted:
            self._told_totals = True
            state = self._kb.status()
            folders = ", ".join(self._settings.folder_paths())
            totals = f"{count(state.files, 'file')}, {count(state.passages, 'passage')}"
            self._say(f"{totals}, {time.monotonic() - started:.1f} s, watching {folders}")
        if report.held:
            self._say(f"{count(report.held, 'file')} went at once and are kept: see kb status")
        return report

    def _stops(self) -> bool:
        """Whether an index run has to stop; asked between files, so that a question meanwhile need not share."""
        self._kb.courtesy.wait()
        return self._hurry.is_set()

    def _look_after(self) -> None:
        """See that the store and the way to this process are there, that the follower lives, and take over settings.

        Raises:
            KbError: The store is gone and cannot be made again.
        """
        if lost := self._kb.guard.gone():
            self._make_again(lost)
        elif self._kb.guard.mend_lock():
            self._say("the lock of the store had been deleted; it is there again")
        if not self._thread.is_alive() and time.monotonic() - self._followed_at > _AGAIN:
            self._say("the watcher had died; it is started again")
            self._follow(time.monotonic())
        if not self._owner.reachable():
            self._listen_anew()
        stamp = _stamp(self._settings)
        # A file that is not there may be in the middle of being replaced.
        if stamp and stamp != self._stamp and self._reload():
            self._stamp = stamp

    def _make_again(self, lost: str) -> None:
        """Make a store that was removed again from the folders, once the commands that use it have ended.

        Raises:
            KbError: It cannot be made again.
        """
        store = self._settings.store_path()
        self._owner.stop_commands()
        with self._gate.alone(_PATIENCE) as alone:
            if not alone:
                self._complain(f"{lost}; it is made again once the running commands have ended")
                return
            self._complained = ""
            self._unfollow()
            self._kb.guard.abandon()
            unsettle_memory()
            if not Path(store).parent.is_dir():
                raise StoreError(f"{lost}, with the folder it was in", "Mount or make it, and start kb watch again")
            self._say(f"{lost}; it is made again from the folders")
            self._told_totals = False
            self._open(self._settings)
            self._follow(time.monotonic())

    def _listen_anew(self) -> None:
        """Listen where askers look; the place may be another one now, as after a logout. Tried again until it works."""
        with self._gate.alone(_PATIENCE) as alone:
            if not alone:
                return
            try:
                owner = self._listen()
            except (FolderError, OSError) as error:
                self._complain(f"commands cannot reach this process: {error}")
                return
            owner.start()
            self._owner.close()
            self._owner = owner
        self._complained = ""
        self._say("the socket was gone; a new one is there")

    def _complain(self, text: str) -> None:
        """Tell once what every beat finds anew."""
        if text != self._complained:
            self._say(text)
        self._complained = text

    def _reload(self) -> bool:
        """Take over an edited configuration; False where it has to be tried again because commands are running."""
        try:
            settings = self._load()
            if not settings.config.folders.paths:
                raise ConfigError(f"{settings.file} names no folder")
        except KbError as error:
            self._say(f"the edited configuration is not taken over: {error}")
            return True
        if settings.config == self._settings.config:
            return True
        if settings.store_path() != self._settings.store_path():
            self._say("store.path was changed: that takes effect when kb watch is started again")
            return True
        with self._gate.alone(_PATIENCE) as alone:
            if alone:
                self._exchange(settings)
        return alone

    def _exchange(self, settings: Settings) -> None:
        """Close the knowledge base and open it with other settings; where that fails, with the old ones."""
        old = self._settings
        self._unfollow()
        self._kb.close()
        unsettle_memory()
        try:
            self._open(settings)
            self._say("the edited configuration is in effect")
        except KbError as error:
            self._say(f"the edited configuration is not taken over: {error}")
            self._open(old)
        self._follow(time.monotonic())


def _stamp(settings: Settings) -> tuple[int, ...]:
    """What tells one state of the configuration file from another."""
    if settings.file is None:
        return ()
    try:
        found = settings.file.stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
