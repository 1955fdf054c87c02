"""What every command needs once: the configuration, the way to the knowledge base, and where output goes and how."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

import click

from kb.cli.formats import to_json
from kb.cli.progress import stoppable
from kb.cli.terminal import ColorChoice, Look, look_of, sanitize
from kb.errors import WAYS_TO_CONFIGURE, ConfigError
from kb.records import Filters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from kb.config import Settings
    from kb.ports import Edit
    from kb.records import (
        Answer,
        CheckReport,
        FollowedLink,
        IndexProgress,
        IndexReport,
        KnownFile,
        Links,
        RebuildReport,
        SearchRequest,
        Shown,
        Status,
        Unmatched,
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
        accept_deletions: bool = False,
        take_over: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> IndexReport:
        """Update the index from the folders."""

    def search(self, request: SearchRequest, /) -> Answer:
        """The passages nearest to a question or a file."""

    def show(self, file: str, line: int | None = None) -> Shown:
        """The passages of a file, or the one at a line."""

    def resolve(self, name: str) -> str:
        """The path of the file that a name means."""

    def unmatched(self, filters: Filters) -> tuple[Unmatched, ...]:
        """The values of filters that no file has."""

    def documents(self, filters: Filters = _NO_FILTERS) -> list[KnownFile]:
        """The files of the index."""

    def links(self, file: str) -> Links:
        """What a file links to and what links to it."""

    def broken_links(self) -> list[FollowedLink]:
        """The links that lead nowhere."""

    def tags(self, filters: Filters = _NO_FILTERS) -> list[tuple[str, int]]:
        """The tags of the files, each with how many have it."""

    def status(self) -> Status:
        """The state of the index."""

    def check(self, *, repair: bool = False) -> CheckReport:
        """Compare disk, catalog and vectors."""

    def rebuild(self) -> RebuildReport:
        """Make the vector index anew."""

    def beside(self, store: str, *, folders: Sequence[str] = (), edit: Edit | None = None) -> Knowledge:
        """Another knowledge base with this one's model and vectors."""

    def note(
        self, text: str, *, title: str | None = None, tags: Sequence[str] = (), on_written: Callable[[str], None] = ...
    ) -> tuple[str, IndexReport]:
        """Write a note, say where, and index it."""


class LoadSettings(Protocol):
    """How a configuration is found; ``kb.config.load`` is the real way."""

    def __call__(
        self,
        config_file: str | None,
        /,
        *,
        overrides: Mapping[str, str],
        environ: Mapping[str, str] | None = None,
        cwd: str | None = None,
        found: bool = False,
    ) -> Settings:
        """The settings in effect."""


class OpenKnowledge(Protocol):
    """How a knowledge base is opened; ``KnowledgeBase.open`` is the real way."""

    def __call__(self, settings: Settings, /, *, warn: Callable[[str], None]) -> Knowledge:
        """Open it, with a place for warnings."""


class Owner(Protocol):
    """What a command may ask of the owner of the store, where it runs in one."""

    def sync(self, timeout: float | None, gone: Callable[[], bool]) -> bool:
        """Wait until all that is on the disk now is in the index, or the asker is gone; says whether it is."""

    def status(self) -> dict[str, Any]:
        """How the owner is: its process, since when, whether it watches, how much waits."""


def load_settings(
    config_file: str | None,
    *,
    overrides: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
    cwd: str | None = None,
    found: bool = False,
) -> Settings:
    """The settings in effect, from files, environment and flags."""
    from kb.config import load

    return load(config_file, environ, cwd, overrides, found=found)


def open_knowledge(settings: Settings, *, warn: Callable[[str], None]) -> Knowledge:
    """The real knowledge base."""
    from kb.app import KnowledgeBase

    return KnowledgeBase.open(settings, warn=warn)


@dataclass(frozen=True, slots=True)
class Asker:
    """Whoever typed the command, and where: this process, or another one for which the owner of the store works.

    ``here`` says which; ``stdin`` is what the other process read or had typed, ``gone`` whether it still listens, and
    ``terminal`` tells one terminal from another. ``columns`` and ``lines`` are the size of the terminal; ``lines`` is 0
    where there is none.
    """

    out: TextIO
    err: TextIO
    environ: Mapping[str, str]
    cwd: str
    stdin_tty: bool
    stdout_tty: bool
    stderr_tty: bool
    columns: int
    lines: int = 0
    stdin: str | None = None
    here: bool = True
    gone: Callable[[], bool] | None = None
    terminal: str = ""

    @classmethod
    def of_this_process(cls) -> Asker:
        """The terminal, folder and environment of this process."""
        size = shutil.get_terminal_size((80, 0))
        return cls(
            out=sys.stdout,
            err=sys.stderr,
            environ=os.environ,
            cwd=current_folder(),
            stdin_tty=bool(sys.stdin and sys.stdin.isatty()),
            stdout_tty=bool(sys.stdout and sys.stdout.isatty()),
            stderr_tty=bool(sys.stderr and sys.stderr.isatty()),
            columns=size.columns,
            lines=size.lines,
            terminal=str(os.getsid(0)),
        )

    def text(self) -> str:
        """All of standard input.

        Raises:
            InputNeeded: Only the asker's own process can read it.
        """
        if self.here:
            return sys.stdin.buffer.read().decode("utf-8", "replace")
        if self.stdin is None:
            raise InputNeeded("stdin")
        return self.stdin

    def typed(self) -> str:
        """A text from the asker's editor; empty where nothing was saved.

        Raises:
            InputNeeded: Only the asker's own process can open it.
        """
        if self.here:
            return click.edit("", extension=".md") or ""
        if self.stdin is None:
            raise InputNeeded("editor")
        return self.stdin


class InputNeeded(Exception):
    """A command run for another process needs ``stdin`` or the ``editor`` of that process first."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(slots=True)
class Session:
    """One run of the command line. The global options are filled in by the command group.

    Args:
        open_knowledge: How a knowledge base is opened.
        load_settings: How the configuration is found.
        asker: Whose command it is.
        owner: The owner of the store, where this process is one.
        ask_owner: Lets the owner of the store run the command instead, if there is one by now.
        run: Runs another command line; an owner needs it, and is itself a command.
    """

    open_knowledge: OpenKnowledge = open_knowledge
    load_settings: LoadSettings = load_settings
    asker: Asker = field(default_factory=Asker.of_this_process)
    owner: Owner | None = None
    ask_owner: Callable[[], int | None] | None = None
    run: Callable[[Sequence[str], Session], int] | None = None
    config_file: str | None = None
    found: bool = False
    overrides: dict[str, str] = field(default_factory=dict)
    color: ColorChoice = "auto"
    debug: bool = False

    def settings(self, **overrides: str) -> Settings:
        """The configuration in effect for whoever asks, with more values put over it by dotted key."""
        given, environ, cwd = self.overrides | overrides, self.asker.environ, self.asker.cwd or None
        return self.load_settings(self.config_file, overrides=given, environ=environ, cwd=cwd, found=self.found)

    def options(self, settings: Settings) -> list[str]:
        """The global options that mean these settings in any folder; a file that was found still has to be trusted."""
        named = "--found" if settings.found else "--config"
        file = [named, str(settings.file)] if settings.file is not None else []
        return [*file, *(word for key, value in self.overrides.items() for word in ("-s", f"{key}={value}"))]

    def open(self) -> Knowledge:
        """The knowledge base of this configuration.

        Raises:
            ConfigError: There is no configuration, or it names no folder.
        """
        settings = self.settings()
        if not settings.config.folders.paths:
            from kb.config import why_none

            message = f"{settings.file} names no folder" if settings.file else why_none(self.asker.cwd)
            raise ConfigError(message, WAYS_TO_CONFIGURE)
        return self.open_knowledge(settings, warn=self.notice)

    def open_over(self, folder: str, store: str) -> Knowledge:
        """A knowledge base over another folder in another store, with the model and rules of this configuration."""
        if self.owner is not None:
            return self.open().beside(store, folders=(folder,))
        settings = self.settings(**{"folders.paths": json.dumps([folder], ensure_ascii=False), "store.path": store})
        return self.open_knowledge(settings, warn=self.notice)

    def synced(self, owner: Owner, timeout: float | None = None) -> bool:
        """Have the owner bring everything that is on the disk now into the index; where it cannot, that is told."""
        with self.stoppable() as gone:
            if owner.sync(timeout, gone):
                return True
        failed = "; ".join(owner.status()["errors"]) or "see kb status"
        self.notice(f"not everything on the disk could be taken in: {failed}")
        return False

    def named(self, file: str) -> str:
        """The absolute path of a file as typed: from the current folder, else below a watched folder if it is there."""
        typed = os.path.expanduser(file)  # noqa: PTH111 - names as str, undecodable bytes included
        places = [os.path.join(folder, typed) for folder in (self.asker.cwd, *self.settings().folder_paths())]  # noqa: PTH118 - names as str, undecodable bytes included
        return os.path.realpath(next((place for place in places if os.path.lexists(place)), places[0]))

    def look(self, *, fits: bool = False) -> Look:
        """How standard output looks; ``fits`` says that a list has to fit the height of a terminal."""
        asker = self.asker
        look = look_of(self.color, asker.environ, tty=asker.stdout_tty, width=asker.columns, cwd=asker.cwd)
        return replace(look, height=asker.lines) if fits and asker.stdout_tty else look

    def is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return self.asker.stdout_tty

    def error_look(self) -> Look:
        """How standard error looks."""
        return look_of(self.color, self.asker.environ, tty=self.asker.stderr_tty, width=80, cwd=self.asker.cwd)

    def has_bar(self) -> bool:
        """Whether progress can be a bar: standard error is a terminal that moves its cursor."""
        return self.asker.stderr_tty and self.asker.environ.get("TERM") != "dumb"

    def write(self, text: str) -> None:
        """Write text, made harmless before, to standard output."""
        self.asker.out.write(text)

    def write_json(self, value: dict[str, Any]) -> None:
        """Write one JSON object to standard output, indented on a terminal."""
        self.write(to_json(value, indent=self.is_terminal()))

    def notice(self, text: str) -> None:
        """Tell something on standard error."""
        tell(text, self.asker.err)

    def complain(self, lines: str) -> None:
        """Write whole lines, made harmless before, to standard error."""
        self.asker.err.write(lines)

    @contextmanager
    def stoppable(self) -> Iterator[Callable[[], bool]]:
        """How a long command learns that it is to stop: from Ctrl-C, or because nobody waits for it any more."""
        gone = self.asker.gone
        with stoppable() if gone is None else nullcontext(gone) as should_stop:
            yield should_stop


def tell(text: str, stream: TextIO) -> None:
    """One message of kb, made harmless: it may quote names of files."""
    stream.write(f"kb: {sanitize(text)}\n")


def current_folder() -> str:
    """The current folder's real path, or nothing where it was deleted."""
    try:
        return os.getcwd()  # noqa: PTH109 - a str, undecodable bytes included
    except FileNotFoundError:
        return ""
