"""The state of one command: its configuration, how to open the knowledge base, and where its output goes."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from kb.cli.output.formats import to_json
from kb.cli.output.progress import shown_progress, stoppable
from kb.cli.output.terminal import ColorChoice, OutputStyle, output_style, sanitize
from kb.cli.output.wrap import wrapped
from kb.errors import WAYS_TO_CONFIGURE, ConfigError, OutputError, reason_of
from kb.records.wording import count
from kb.service.client import DEFAULT_COLUMNS, CommandInput
from kb.system import shell
from kb.system.paths import expand_home, real_path
from kb.system.terminals import environment_of_terminal, is_terminal, leave_standard_output, terminal_id, terminal_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from kb.api.remote import RemoteKnowledgeBase
    from kb.cli.output.progress import OnProgress
    from kb.config import Settings
    from kb.ports import Knowledge, RunningDaemon


def load_settings(session: Session, overrides: Mapping[str, str]) -> Settings:
    """The settings in effect for a command line, from files, environment and flags."""
    from kb.config import load

    client = session.client
    return load(session.config_file, client.environ, client.cwd or None, overrides, found=session.found)


# How long a command waits for the daemon, in seconds, before it says what for.
_SLOW_SECONDS: Final = 3.0


def open_knowledge(settings: Settings, warn: Callable[[str], None]) -> Knowledge:
    """The knowledge base of some settings, opened in this process."""
    from kb.app import LocalKnowledgeBase

    return LocalKnowledgeBase.open(settings, warn=warn)


@dataclass(frozen=True, slots=True)
class ClientContext:
    """Where a command was typed: in this process, or in a client of the daemon.

    Attributes:
        out: Standard output.
        err: Standard error.
        environ: The environment; of a client, only what kb needs.
        cwd: The current folder; empty if it was deleted.
        stdin_tty: Whether standard input is a terminal.
        stdout_tty: Whether standard output is a terminal.
        stderr_tty: Whether standard error is a terminal.
        columns: The width of the terminal.
        error_columns: The width of standard error if that is a terminal, as it also is if standard output is a pipe; 0
            if it is not known.
        lines: Its height; 0 if there is no terminal.
        stdin: What the client read from standard input or its editor, if it was asked to.
        given: What was read or written in this process already; None if the command was typed in another one.
        gone: Whether the client has stopped listening.
        terminal: Identifies the terminal.
        umask: The rights that new files do not have, of a client; those of a command that was typed in this process are
            the system's to take away.
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
    error_columns: int = 0
    stdin: str | None = None
    given: CommandInput | None = None
    gone: Callable[[], bool] | None = None
    terminal: str = ""
    umask: int = 0

    @property
    def here(self) -> bool:
        """Whether the command was typed in this process."""
        return self.given is not None

    @classmethod
    def of_this_process(cls, given: CommandInput | None = None) -> ClientContext:
        """The terminal, folder and environment of this process."""
        return cls(
            out=_there(sys.stdout),
            err=_there(sys.stderr),
            environ=os.environ | environment_of_terminal(os.environ),
            cwd=current_folder(),
            stdin_tty=is_terminal(sys.stdin),
            stdout_tty=is_terminal(sys.stdout),
            stderr_tty=is_terminal(sys.stderr),
            columns=terminal_size(0) or DEFAULT_COLUMNS,
            lines=terminal_size(1),
            error_columns=terminal_size(0, 2) if is_terminal(sys.stderr) else 0,
            terminal=terminal_id(os.environ),
            given=given or CommandInput(),
        )

    def text(self) -> str:
        """All of standard input.

        Raises:
            InputNeeded: The client has to read it first.
        """
        return self._input("stdin")

    def typed(self) -> str:
        """A text from the editor; empty if nothing was saved.

        Raises:
            InputNeeded: The client has to open it first.
        """
        return self._input("editor")

    def _input(self, what: str) -> str:
        if self.given is not None:
            return self.given.read(what)
        if self.stdin is None:
            raise InputNeeded(what)
        return self.stdin


class InputNeeded(Exception):
    """A command needs ``stdin`` or the ``editor`` of its client."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class ConfigurationEdited(Exception):
    """The configuration of the daemon was edited while a command waited in it for the index."""


@dataclass(slots=True)
class Session:
    """One run of the command line. The global options are filled in by the command group.

    Args:
        open_knowledge: How a knowledge base is opened, with a function that receives warnings.
        load_settings: How the configuration is found, with values that override it by dotted key.
        client: Where the command was typed.
        daemon: The daemon, if the command runs in it.
        ask_daemon: Has the daemon run the command instead; returns None if there is still none.
        run: Runs another command line, which the daemon needs.
        server: The address of another machine to ask instead; empty for none.
    """

    open_knowledge: Callable[[Settings, Callable[[str], None]], Knowledge] = open_knowledge
    load_settings: Callable[[Session, Mapping[str, str]], Settings] = load_settings
    client: ClientContext = field(default_factory=ClientContext.of_this_process)
    daemon: RunningDaemon | None = None
    ask_daemon: Callable[[], int | None] | None = None
    run: Callable[[Sequence[str], Session], int] | None = None
    server: str = ""
    config_file: str | None = None
    found: bool = False
    overrides: dict[str, str] = field(default_factory=dict)
    color: ColorChoice = "auto"
    debug: bool = False
    write_above: Callable[[str], None] | None = None

    def settings(self, **overrides: str) -> Settings:
        """The configuration in effect, with some values overridden by dotted key."""
        return self.load_settings(self, self.overrides | overrides)

    def options(self, settings: Settings) -> list[str]:
        """The global options that mean these settings in any folder; a file that was found still has to be trusted."""
        named = "--found" if settings.found else "--config"
        file = [named, str(settings.file)] if settings.file is not None else []
        return [*file, *(word for key, value in self.overrides.items() for word in ("-s", f"{key}={value}"))]

    def command(self, *words: str) -> str:
        """A command line of kb with the global options that were typed, so that it means the same configuration."""
        return sanitize(shell.kb_command(words, None if self.found else self.config_file, self.overrides))

    def open(self) -> Knowledge:
        """The knowledge base of this configuration.

        Raises:
            ConfigError: There is no configuration, or it names no folder.
        """
        return self.open_knowledge(self.settings_with_folders(), self.notice)

    def settings_with_folders(self) -> Settings:
        """The configuration in effect, which names at least one folder.

        Raises:
            ConfigError: There is no configuration, or it names no folder.
        """
        settings = self.settings()
        if not settings.config.folders.paths:
            from kb.config import why_none

            message = f"{settings.file} names no folder" if settings.file else why_none(self.client.cwd)
            raise ConfigError(message, WAYS_TO_CONFIGURE)
        return settings

    def open_to_ask(self) -> Knowledge | RemoteKnowledgeBase:
        """The knowledge base of another machine where one is to be asked, else that of this configuration.

        Raises:
            ConfigError: See ``open``.
            ServerError: The address is none, or there is no token.
        """
        return self.open_server() if self.server else self.open()

    def open_server(self) -> RemoteKnowledgeBase:
        """The knowledge base of the other machine.

        Raises:
            ServerError: The address is none, or there is no token.
        """
        from kb.api.remote import RemoteKnowledgeBase, address_of, token_from

        # A wrong address is told before a missing token, which nobody can look up for it.
        address_of(self.server)
        return RemoteKnowledgeBase(self.server, token_from(self.client.environ))

    def open_over(self, folder: str, store: str) -> Knowledge:
        """A knowledge base over another folder in another store, with the model and rules of this configuration."""
        if self.daemon is not None:
            return self.open().beside(store, folders=(folder,))
        settings = self.settings(**{"folders.paths": json.dumps([folder], ensure_ascii=False), "store.path": store})
        return self.open_knowledge(settings, self.notice)

    def wait_for_index(self, daemon: RunningDaemon, timeout: float | None = None) -> bool:
        """Wait until the daemon has indexed everything on disk now; report it if that fails, or takes a while."""
        from kb.cli.output.reports import daemon_text

        def tell() -> None:
            self.notice(f"waiting for kb watch ({daemon_text(daemon.status())}); kb status shows how far it is")

        slow = threading.Timer(_SLOW_SECONDS, tell)
        slow.daemon = True
        slow.start()
        try:
            with self.stoppable() as gone:
                if daemon.sync(timeout, gone):
                    return True
        finally:
            slow.cancel()
        errors = "; ".join(daemon.status()["errors"])
        self.notice(f"some files could not be indexed: {errors}" if errors else "some changes are not indexed yet")
        return False

    def resolve_path(self, file: str) -> str:
        """The absolute path of a file as typed: from the current folder, else below a watched folder if it is there.

        Files of another machine keep their names, which it resolves.
        """
        if self.server:
            return file
        typed = expand_home(file)
        places = [os.path.join(folder, typed) for folder in (self.client.cwd, *self.settings().folder_paths())]  # noqa: PTH118 - names as str, undecodable bytes included
        return real_path(next((place for place in places if os.path.lexists(place)), places[0]))

    def place(self, file: str) -> Path:
        """The absolute path of a file as typed, from the current folder."""
        return Path(os.path.join(self.client.cwd, expand_home(file)))  # noqa: PTH118 - see resolve_path

    def style(self, *, fits: bool = False) -> OutputStyle:
        """How standard output is formatted; with ``fits``, a list must fit the height of the terminal."""
        client = self.client
        style = output_style(self.color, client.environ, tty=client.stdout_tty, width=client.columns, cwd=client.cwd)
        return replace(style, height=client.lines) if fits and client.stdout_tty else style

    def error_style(self) -> OutputStyle:
        """How standard error is formatted."""
        return output_style(self.color, self.client.environ, tty=self.client.stderr_tty, width=80, cwd=self.client.cwd)

    def has_bar(self) -> bool:
        """Whether progress can be a bar: standard error is a terminal that moves its cursor."""
        return self.client.stderr_tty and self.client.environ.get("TERM") != "dumb"

    def write(self, text: str) -> None:
        """Write sanitized text to standard output.

        Raises:
            OutputError: It cannot be written.
            BrokenPipeError: The reader closed the pipe.
        """
        with self._writing():
            self.client.out.write(text)

    def flush(self) -> None:
        """Have what was written leave this process; raises as ``write`` does."""
        with self._writing():
            self.client.out.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Name standard output in the errors of writing to it."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            # The stream of a command of another process leads there; what became of it is that client's to tell.
            if not self.client.here:
                raise
            leave_standard_output()
            raise OutputError(f"standard output cannot be written: {reason_of(error)}") from error

    def say(self, text: str, *, indent: int = 4) -> None:
        """Write sanitized prose to standard output, wrapped where that is a terminal.

        Args:
            text: Whole lines, each with its end.
            indent: The indent of continuation lines in columns.
        """
        if self.client.stdout_tty:
            text = wrapped(text, self.client.columns, there=self._is_there, indent=indent)
        self.write(text)

    def write_json(self, value: dict[str, Any]) -> None:
        """Write one JSON object to standard output, indented on a terminal."""
        self.write(to_json(value, indent=self.client.stdout_tty))

    def write_report(self, value: dict[str, Any], text: str, *, as_json: bool) -> None:
        """Write what was done, as a JSON object or as prose."""
        if as_json:
            self.write_json(value)
        else:
            self.say(text)

    def notice(self, text: str) -> None:
        """Write a notice to standard error, wrapped where that is a terminal."""
        self.write_error(f"kb: {sanitize(text)}\n")

    def notice_more(self, noun: str, shown: int, total: int) -> None:
        """Write a notice of how many more there are than a list shows, and how to see them; nothing if it has all."""
        if shown < total:
            self.notice(f"{count(total - shown, f'more {noun}')}; -n {total} shows all")

    def hint(self, remedy: str) -> None:
        """Write the remedy for the last notice, indented."""
        self.write_error(f"    {sanitize(remedy)}\n")

    def write_error(self, lines: str, *, wrap: bool = True) -> None:
        """Write sanitized lines to standard error.

        Args:
            lines: The lines, each with its end.
            wrap: Whether to break them between words where standard error is a terminal; not what is laid out already.
        """
        if wrap and self.client.stderr_tty:
            width = self.client.error_columns or self.client.columns
            lines = wrapped(lines, width, there=self._is_there)
        (self.write_above or self.client.err.write)(lines)

    def put_above(self, write: Callable[[str], None] | None) -> None:
        """Have messages written above a progress bar while there is one."""
        self.write_above = write

    def _is_there(self, path: str) -> bool:
        """Whether a path, as it is shown, names a file."""
        return os.path.lexists(os.path.join(self.client.cwd, path))  # noqa: PTH118 - names as str, undecodable bytes included

    def progress(self, *, quiet: bool = False) -> AbstractContextManager[OnProgress | None]:
        """A context with a function to call on progress, which shows it on standard error; None when quiet."""
        return shown_progress(
            quiet=quiet,
            stream=self.client.err,
            bar=self.has_bar(),
            color=self.error_style().color,
            width=self.client.error_columns or self.client.columns,
            above=self.put_above,
        )

    @contextmanager
    def stoppable(self) -> Iterator[Callable[[], bool]]:
        """Yields a function that says whether to stop: after Ctrl-C, or when the client is gone."""
        gone = self.client.gone
        with stoppable() if gone is None else nullcontext(gone) as should_stop:
            yield should_stop


def _there(stream: TextIO | None) -> TextIO:
    """A stream, or one that goes nowhere: a program without a console has none on Windows."""
    return stream if stream is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - for the process


def current_folder() -> str:
    """The real path of the current folder; empty if it was deleted."""
    try:
        return os.getcwd()  # noqa: PTH109 - a str, undecodable bytes included
    except FileNotFoundError:
        return ""
