"""What is examined: where the configuration and the store are, and what the checks share. Each part is found once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb.config import load
from kb.config.find import look_for
from kb.doctor.finding import Skipped
from kb.doctor.within import TookTooLong, within
from kb.embedding.fetch import ModelAbsent
from kb.errors import ConfigError
from kb.integrity import is_there
from kb.open_store import CATALOG_FILE
from kb.service.address import CommandLine, Undetermined, store_of
from kb.service.client import RequestRefused, connect
from kb.service.client import ask as ask_daemon
from kb.store.lock import is_locked, read_owner, recorded_owner
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kb.config import Settings
    from kb.config.find import ConfigFile
    from kb.embedding.encoder import Encoder
    from kb.service.login import Service
    from kb.store.lock import Owner

# How long a daemon may take for a request that costs it nothing.
ANSWER_SECONDS: Final = 5.0
NO_CONFIGURATION: Final = "there is no configuration"
NOTHING_INDEXED: Final = "nothing is indexed yet"


@dataclass(frozen=True, slots=True)
class Holder:
    """The lock on the store.

    Attributes:
        locked: Whether a process holds it.
        owner: The process that the store's record names, which may have ended; None if there is no record.
        alive: Whether that process still runs.
    """

    locked: bool
    owner: Owner | None
    alive: bool

    @property
    def is_daemon(self) -> bool:
        """Whether ``kb watch`` holds it."""
        return self.locked and self.alive and self.owner is not None and self.owner.command.startswith("kb watch")


@dataclass(frozen=True, slots=True)
class DaemonAnswer:
    """What came back from the daemon of the store.

    Attributes:
        status: Its status; None if it did not answer, or there is none.
        silent: Whether something listens and does not answer in time.
        refused: Why it refused to answer; empty if it did not.
        pid: The process that listens; 0 if that is not known or nobody does.
    """

    status: Mapping[str, Any] | None = None
    silent: bool = False
    refused: str = ""
    pid: int = 0


@dataclass(eq=False)
class Case:
    """One examination.

    Attributes:
        environ: The environment.
        cwd: The current folder; empty if it was deleted.
        home: The home folder.
        make_encoder: Returns the configured model, not yet loaded.
        service: Returns the service file for a configuration; None if this platform has none.
        now: The clock, in seconds since the epoch.
        config_file: The configuration that was named.
        overrides: The values that were typed, by dotted key.
        found: Whether ``config_file`` was found, not named.
        patience: The longest that any check may take, in seconds.
    """

    environ: Mapping[str, str]
    cwd: str
    home: Path
    make_encoder: Callable[[Settings], Encoder]
    service: Callable[[Settings], Service] | None
    now: Callable[[], float]
    config_file: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    found: bool = False
    patience: float = float("inf")

    def command(self, *words: str) -> str:
        """A command line of kb with the options that were typed, so that it means the same configuration."""
        return shell.kb_command(words, None if self.found else self.config_file, self.overrides)

    # The configuration.

    @cached_property
    def place(self) -> ConfigFile | None:
        """The configuration file in effect, trusted or not; None if there is none.

        Raises:
            ConfigError: One that was named does not exist.
        """
        return look_for(self.config_file, self.environ, Path(self.cwd), found=self.found)

    @cached_property
    def untrusted(self) -> Settings:
        """The configuration as it is written, which may not be used before it is known to be trusted.

        Raises:
            ConfigError: It is invalid.
        """
        file = str(self.place.file) if self.place else None
        return load(file, self.environ, self.cwd, self.overrides)

    @cached_property
    def settings(self) -> Settings:
        """The configuration in effect.

        Raises:
            ConfigError: It is invalid, or not trusted.
        """
        return load(self.config_file, self.environ, self.cwd, self.overrides, found=self.found)

    # The store.

    @cached_property
    def chroma(self) -> str:
        """The Chroma server that keeps the vectors; empty if the store does, or the configuration cannot be used."""
        try:
            return self.settings.config.store.chroma
        except ConfigError:
            return ""

    @cached_property
    def store(self) -> str:
        """The real path of the store, also where the rest of the configuration is invalid.

        Raises:
            Skipped: The configuration does not say where it is.
        """
        try:
            settings = self.settings
        except ConfigError:
            if self._is_valid():
                raise Skipped("the configuration is not trusted") from None
            line = CommandLine(self.config_file, self.overrides, "doctor")
            try:
                return store_of(line, self.environ, self.cwd, tolerant=True)
            except Undetermined:
                raise Skipped("the configuration does not say where the store is") from None
        if not settings.config.folders.paths and "store.path" not in settings.origins:
            raise Skipped(NO_CONFIGURATION if settings.file is None else "the configuration names no folder")
        return settings.store_path()

    def _is_valid(self) -> bool:
        """Whether the configuration is valid, trusted or not."""
        try:
            return bool(self.untrusted)
        except ConfigError:
            return False

    def require_catalog(self) -> None:
        """Check that the store has a catalog.

        Raises:
            Skipped: It has none yet.
        """
        if not is_there(self.store, CATALOG_FILE):
            raise Skipped(NOTHING_INDEXED)

    def file(self, name: str) -> str:
        """The path of a file of the store."""
        return os.path.join(self.store, name)  # noqa: PTH118 - plain strings throughout the stores

    @cached_property
    def holder(self) -> Holder:
        """Who holds the lock on the store."""
        return Holder(is_locked(self.store), recorded_owner(self.store), read_owner(self.store) is not None)

    @cached_property
    def daemon(self) -> DaemonAnswer:
        """What the daemon of the store answers, within seconds."""
        seconds = min(ANSWER_SECONDS, self.patience / 2)
        connection = within(seconds, lambda: connect(self.store, self.environ))
        if connection is None:
            return DaemonAnswer()
        connection.socket.close()
        try:
            status = within(seconds, lambda: ask_daemon(self.store, "/status"))
        except TookTooLong:
            return DaemonAnswer(silent=True, pid=connection.pid)
        except (RequestRefused, ValueError) as error:
            return DaemonAnswer(refused=str(error), pid=connection.pid)
        return DaemonAnswer(status, pid=connection.pid)

    # The model.

    @cached_property
    def configured_encoder(self) -> Encoder:
        """The configured model; its weights are loaded on first use.

        Raises:
            ModelError: It is not on this machine (``ModelAbsent``), or incomplete.
        """
        return self.make_encoder(self.settings)

    @property
    def encoder(self) -> Encoder:
        """The configured model, for checks that say nothing without it.

        Raises:
            Skipped: It is not on this machine.
        """
        try:
            return self.configured_encoder
        except ModelAbsent:
            raise Skipped("the model is not on this machine") from None
