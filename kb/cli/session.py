"""What every command needs once: the configuration, the way to the knowledge base, and where output goes and how."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kb.cli.formats import to_json
from kb.cli.terminal import ColorChoice, Look, look_of, sanitize
from kb.errors import ConfigError
from kb.records import Filters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self, TextIO

    from kb.config import Settings
    from kb.records import (
        Answer,
        CheckReport,
        IndexProgress,
        IndexReport,
        KnownFile,
        RebuildReport,
        Shown,
        Status,
    )

_NO_FILTERS = Filters()


class Knowledge(Protocol):
    """What the commands ask of a knowledge base; ``kb.KnowledgeBase`` is one."""

    def __enter__(self) -> Self:
        """Begin to use it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close it."""

    def index(
        self,
        *,
        full: bool = False,
        dry_run: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> IndexReport:
        """Bring the index in line with the folders."""

    def search(
        self,
        question: str,
        *,
        limit: int | None = None,
        min_score: float | None = None,
        per_file: int | None = None,
        filters: Filters = _NO_FILTERS,
    ) -> Answer:
        """The passages nearest to a question."""

    def similar(
        self,
        file: str,
        *,
        limit: int | None = None,
        min_score: float | None = None,
        per_file: int | None = None,
        filters: Filters = _NO_FILTERS,
    ) -> Answer:
        """The passages nearest to a file."""

    def show(self, file: str, line: int | None = None) -> Shown:
        """The passages of a file, or the one at a line."""

    def documents(self, filters: Filters = _NO_FILTERS) -> list[KnownFile]:
        """The files of the index."""

    def status(self) -> Status:
        """The state of the index."""

    def check(self, *, repair: bool = False) -> CheckReport:
        """Compare disk, catalog and vectors."""

    def rebuild(self) -> RebuildReport:
        """Make the vector index anew."""

    def note(self, text: str, *, title: str | None = None, tags: Sequence[str] = ()) -> tuple[str, IndexReport]:
        """Write a note and index it."""


class LoadSettings(Protocol):
    """How a configuration is found; ``kb.config.load`` is the real way."""

    def __call__(self, config_file: str | None, /, *, overrides: Mapping[str, str]) -> Settings:
        """The settings in effect."""


class OpenKnowledge(Protocol):
    """How a knowledge base is opened; ``KnowledgeBase.open`` is the real way."""

    def __call__(self, settings: Settings, /, *, warn: Callable[[str], None]) -> Knowledge:
        """Open it, with a place for warnings."""


def load_settings(config_file: str | None, *, overrides: Mapping[str, str]) -> Settings:
    """The settings in effect, from files, environment and flags."""
    from kb.config import load

    return load(config_file, overrides=overrides)


def open_knowledge(settings: Settings, *, warn: Callable[[str], None]) -> Knowledge:
    """The real knowledge base."""
    from kb.app import KnowledgeBase

    return KnowledgeBase.open(settings, warn=warn)


@dataclass(slots=True)
class Session:
    """One run of the command line. The global options are filled in by the command group."""

    open_knowledge: OpenKnowledge = open_knowledge
    load_settings: LoadSettings = load_settings
    config_file: str | None = None
    overrides: dict[str, str] = field(default_factory=dict)
    color: ColorChoice = "auto"
    debug: bool = False

    def settings(self) -> Settings:
        """The configuration in effect."""
        return self.load_settings(self.config_file, overrides=self.overrides)

    def open(self) -> Knowledge:
        """The knowledge base of this configuration.

        Raises:
            ConfigError: There is no configuration, or it names no folder.
        """
        settings = self.settings()
        if not settings.config.folders.paths:
            message = f"{settings.file} names no folder" if settings.file else "no configuration was found"
            raise ConfigError(message, "kb init FOLDER writes a config.toml for a folder of notes")
        return self.open_knowledge(settings, warn=self.notice)

    def look(self) -> Look:
        """How standard output looks."""
        return look_of(
            self.color,
            os.environ,
            tty=self.is_terminal(),
            width=shutil.get_terminal_size().columns,
            cwd=current_folder(),
        )

    def is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return sys.stdout.isatty()

    def error_look(self) -> Look:
        """How standard error looks."""
        return look_of(self.color, os.environ, tty=sys.stderr.isatty(), width=80, cwd=current_folder())

    def write(self, text: str) -> None:
        """Write text, made harmless before, to standard output."""
        sys.stdout.write(text)

    def write_json(self, value: dict[str, Any]) -> None:
        """Write one JSON object to standard output, indented on a terminal."""
        self.write(to_json(value, indent=self.is_terminal()))

    def notice(self, text: str) -> None:
        """Tell something on standard error."""
        tell(text, sys.stderr)

    def complain(self, lines: str) -> None:
        """Write whole lines, made harmless before, to standard error."""
        sys.stderr.write(lines)


def tell(text: str, stream: TextIO) -> None:
    """One message of kb, made harmless: it may quote names of files."""
    stream.write(f"kb: {sanitize(text)}\n")


def current_folder() -> str:
    """The current folder's real path, or nothing where it was deleted."""
    try:
        return os.getcwd()  # noqa: PTH109 - a str, undecodable bytes included
    except FileNotFoundError:
        return ""
