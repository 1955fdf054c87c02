"""The command ``kb open``, and which program opens a file at a place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

import click

from kb.cli.command import command
from kb.cli.file_arguments import resolve_file
from kb.cli.last_results import Location, load_results
from kb.cli.options import file_names
from kb.cli.output.terminal import one_line, shown_path
from kb.errors import KbError, NotIndexed
from kb.formats.registry import REGISTRY
from kb.records.wording import count
from kb.system import WINDOWS, shell
from kb.system.paths import in_own_form, with_slashes
from kb.system.processes import apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kb.cli.session import Session

_ASK_DESKTOP: Final = ("xdg-mime", "query", "default", "application/pdf")
_PATIENCE: Final = 2.0
# Arguments that open a PDF viewer at a page, by program; the first ones are the defaults of desktops.
_PAGE: Final[dict[str, tuple[str, ...]]] = {
    "evince": ("--page-index={page}", "{path}"),
    "papers": ("--page-index={page}", "{path}"),
    "atril": ("--page-index={page}", "{path}"),
    "xreader": ("--page-index={page}", "{path}"),
    "okular": ("-p", "{page}", "{path}"),
    "zathura": ("-P", "{page}", "{path}"),
    "sioyek": ("--page", "{page}", "{path}"),
    "qpdfview": ("{path}#{page}",),
    "mupdf": ("{path}", "{page}"),
    "xpdf": ("{path}", "{page}"),
}
# Arguments that open an editor at a line.
_PLUS: Final = frozenset(
    {"vi", "vim", "nvim", "gvim", "view", "nano", "emacs", "emacsclient", "micro", "kak", "joe", "ne", "jed"}
)
_GOTO: Final = frozenset({"code", "code-insiders", "codium", "vscodium", "cursor", "windsurf"})
_COLON: Final = frozenset({"hx", "helix", "subl", "zed", "zeditor", "lapce"})
# Editors that draw in the terminal.
_IN_TERMINAL: Final = (_PLUS | {"hx", "helix"}) - {"gvim", "emacs", "emacsclient"}
# Emacs does so without a display, and when told to.
_EMACS: Final = frozenset({"emacs", "emacsclient"})
_EMACS_IN_TERMINAL: Final = frozenset({"-nw", "--no-window-system", "-t", "-tty", "--tty"})
_OPENERS: Final = ("explorer",) if WINDOWS else ("xdg-open", "open", "wslview")
# These show a document without a display of this system.
_NEED_NO_DISPLAY: Final = frozenset({"explorer", "wslview"})
_EDITORS: Final = ("notepad",) if WINDOWS else ("code", "codium", "nano", "vim", "vi")


@command(short_help="Open a hit of the last search.", local=True)
@click.argument("target", metavar="[NUMBER|FILE[:LINE]]", required=False, shell_complete=file_names)
@click.option("--print", "print_only", is_flag=True, help="Print the command instead of running it.")
@click.pass_obj
def open_hit(session: Session, target: str | None, *, print_only: bool) -> int:
    """Open hit NUMBER of the last search in this terminal, or a FILE.

    FILE is a path, a file name with or without its suffix, an alias or a title; by its path, a file of a watched folder
    opens although it could not be indexed. Text opens in $VISUAL or $EDITOR at its line, a PDF in a viewer at its page,
    other documents in their own program. Without an argument, the hits are listed.
    """
    if target is None:
        session.write("".join(f"{at:>3}  {_place(session, location)}" for at, location in enumerate(_hits(session), 1)))
        return 0
    here = os.path.join(session.client.cwd, target)  # noqa: PTH118 - names as str, undecodable bytes included
    hit = target.isdecimal() and not os.path.isfile(here)  # noqa: PTH113
    location = _spot(session, int(target)) if hit else _file(session, target)
    if not os.path.isfile(location.path):  # noqa: PTH113 - names as str, undecodable bytes included
        if location.server:
            shown = shell.join(["kb", "--server", location.server, "show", f"{location.path}:{location.line}"])
            raise KbError(f"{one_line(location.path)} is on {location.server}, not on this machine", one_line(shown))
        raise KbError(f"{one_line(location.path)} no longer exists", "Search again")
    prints = shell.join(["kb", "open", target, "--print"])
    try:
        launch = launch_of(location, session.client.environ, shutil.which, default_pdf() if location.page else "")
    except NoViewer as error:
        if not print_only:
            raise NoViewer(error.message, f"{error.remedy}; {one_line(prints)} prints its path") from error
        session.write(one_line(location.path) + "\n")
        return 0
    if print_only:
        session.write(one_line(shell.join(launch.command)) + "\n")
        return 0
    if launch.terminal and not (session.client.stdin_tty and session.client.stdout_tty):
        session.write(_place(session, location))
        message = f"{one_line(launch.command[0])} needs a terminal, and standard input or output is none"
        raise KbError(message, f"{one_line(prints)} prints the command")
    code = start(launch.command, here=launch.here)
    if not launch.here:
        session.say(f"opening {one_line(PurePosixPath(location.path).name)} with {one_line(launch.command[0])}\n")
    return code


def _hits(session: Session) -> list[Location]:
    """The locations of the hits of the last search."""
    locations = load_results(session.client.terminal)
    if locations is None:
        raise KbError("no search to open a hit of", "Search first: kb search QUESTION")
    if not locations:
        raise KbError("the last search has no hits", "Search again: kb search QUESTION")
    return locations


def _spot(session: Session, number: int) -> Location:
    """The location of a hit; if there are fewer hits, of a note whose name is that number."""
    locations = load_results(session.client.terminal) or []
    if 0 < number <= len(locations):
        return locations[number - 1]
    try:
        with session.open() as kb:
            path = kb.resolve(str(number))
            return Location(path, "1", kb.show(path).file.kind)
    except NotIndexed as error:
        _hits(session)
        raise KbError(f"the last search has {count(len(locations), 'hit')}", "kb open lists them") from error


def _file(session: Session, typed: str) -> Location:
    """The location of a file, at its first line or the given one."""
    with session.open() as kb:

        def locate(path: str, line: int | None) -> Location:
            try:
                kind = kb.show(path).file.kind
            except NotIndexed:
                kind = _kind_beside_index(path, session.settings().folder_paths())
                if not kind:
                    raise
            return Location(path, str(line or 1), kind, line or 1)

        return resolve_file(session, kb, typed, locate)


def _kind_beside_index(path: str, folders: Iterable[str]) -> str:
    """The kind of a file in one of the folders, such as one that could not be indexed; empty where kb reads no such."""
    if not os.path.isfile(path) or not any(PurePath(path).is_relative_to(one) for one in folders):  # noqa: PTH113 - names as str, undecodable bytes included
        return ""
    row = REGISTRY.of(with_slashes(path)) or REGISTRY.text
    return "" if row.how == "unread" else row.kind


def _place(session: Session, location: Location) -> str:
    return f"{shown_path(location.path, session.style().cwd)}:{location.where}\n"


def start(command: tuple[str, ...], *, here: bool) -> int:
    """Run a program in this terminal until it ends, or in the background."""
    try:
        if here:
            return subprocess.run(command, check=False).returncode
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **apart(),
        )
    except OSError as error:
        raise KbError(
            f"{command[0]} could not be started: {error.strerror}", "Set EDITOR to another command"
        ) from error
    return 0


def default_pdf() -> str:
    """The desktop entry of the default PDF viewer; empty if there is none."""
    if shutil.which(_ASK_DESKTOP[0]) is None:
        return ""
    try:
        done = subprocess.run(_ASK_DESKTOP, capture_output=True, check=False, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


class NoViewer(KbError):
    """Nothing on this machine can show a document."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A command that opens a file.

    Attributes:
        command: The program and its arguments.
        here: Whether kb waits for it.
        terminal: Whether it draws in the terminal.
    """

    command: tuple[str, ...]
    here: bool
    terminal: bool = False


def launch_of(
    location: Location, environ: Mapping[str, str], installed: Callable[[str], str | None], default_pdf: str = ""
) -> Launch:
    """The command that opens a location.

    Text goes to the user's editor at its line, and never to a program that might run it. Documents go to their viewer.

    Args:
        location: What to open.
        environ: Where ``VISUAL``, ``EDITOR`` and, on Linux, the display are looked up.
        installed: The path of a program by its name, or None.
        default_pdf: What the desktop calls its PDF viewer.

    Raises:
        NoViewer: It is a document, and nothing that can show it is installed, or there is no display.
        KbError: There is no editor.
    """
    if not REGISTRY.is_extracted(location.path, location.kind):
        return _editor(location, environ, installed)
    display = has_display(environ)
    if location.kind == "pdf" and location.page and display:
        known = [name for name in _PAGE if installed(name)]
        wished = [name for name in known if name in default_pdf.lower()]
        if viewer := next(iter(wished or ([] if default_pdf else known)), ""):
            # Evince and its kin count pages from 0 where they do not go by the label that is printed on them.
            page = location.page - 1 if "index" in _PAGE[viewer][0] else location.page
            return Launch((viewer, *(part.format(page=page, path=location.path) for part in _PAGE[viewer])), here=False)
    name = PurePosixPath(location.path).name
    there = [opener for opener in _OPENERS if installed(opener)]
    if not there:
        raise NoViewer(f"no program found to open {name}", "Install xdg-utils")
    opener = next((one for one in there if display or one in _NEED_NO_DISPLAY), "")
    if not opener:
        raise NoViewer(f"nothing can show {name} here: there is no display", "Open it in a graphical session")
    return Launch((opener, in_own_form(location.path)), here=False)


def has_display(environ: Mapping[str, str]) -> bool:
    """Whether programs can open windows. On Windows and macOS nothing says that they cannot."""
    return WINDOWS or sys.platform == "darwin" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _editor(location: Location, environ: Mapping[str, str], installed: Callable[[str], str | None]) -> Launch:
    wished = environ.get("VISUAL") or environ.get("EDITOR") or ""
    try:
        command = shell.split(wished)
    except ValueError as error:
        raise KbError(
            f"cannot parse the editor command: {wished}", "Set $VISUAL or $EDITOR to a command such as nano"
        ) from error
    if not command:
        command = next(([name] for name in _EDITORS if installed(name)), [])
    if not command:
        raise KbError("no editor found", "Set $EDITOR to a command such as nano")
    name = _program(command[0])
    if name in _GOTO:
        return Launch((*command, "-g", f"{location.path}:{location.line}"), here="--wait" in command)
    terminal = name in _IN_TERMINAL
    if name in _EMACS:
        terminal = not has_display(environ) or not _EMACS_IN_TERMINAL.isdisjoint(command)
    if name in _PLUS:
        return Launch((*command, f"+{location.line}", location.path), here=True, terminal=terminal)
    place = f"{location.path}:{location.line}" if name in _COLON else location.path
    return Launch((*command, place), here=True, terminal=terminal)


def _program(command: str, *, windows: bool = WINDOWS) -> str:
    """The name of a program, as in the tables above."""
    return PureWindowsPath(command).stem.lower() if windows else PurePosixPath(command).name
