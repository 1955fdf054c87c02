"""The command that opens a hit of the last answer at its place."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import click

from kb.cli.naming import of_file
from kb.cli.options import Command, file_names
from kb.cli.recall import Spot, recall
from kb.cli.terminal import one_line, shown_path
from kb.cli.viewers import launch_of
from kb.errors import KbError, NotIndexed

if TYPE_CHECKING:
    from kb.cli.session import Session

_ASK_DESKTOP: Final = ("xdg-mime", "query", "default", "application/pdf")
_PATIENCE: Final = 2.0


@click.command("open", cls=Command, short_help="Open a hit of the last search.")
@click.argument("target", metavar="[NUMBER|FILE[:LINE]]", required=False, shell_complete=file_names)
@click.option("--print", "print_only", is_flag=True, help="Print the command instead of running it.")
@click.pass_obj
def open_hit(session: Session, target: str | None, *, print_only: bool) -> int:
    """Open hit NUMBER of the last search in this terminal, or a FILE.

    FILE is a path, a file name with or without its suffix, an alias or a title. Text opens in $VISUAL or $EDITOR at its
    line, a PDF in a viewer at its page, other documents in their own program. Without an argument, the hits are listed.
    """
    if target is None:
        session.write("".join(_listed(session, at, spot) for at, spot in enumerate(_hits(session), 1)))
        return 0
    here = os.path.join(session.asker.cwd, target)  # noqa: PTH118 - names as str, undecodable bytes included
    hit = target.isdecimal() and not os.path.isfile(here)  # noqa: PTH113
    spot = _spot(session, int(target)) if hit else _file(session, target)
    if not os.path.isfile(spot.path):  # noqa: PTH113 - names as str, undecodable bytes included
        raise KbError(f"{one_line(spot.path)} is not there any more", "Search again")
    launch = launch_of(spot, session.asker.environ, shutil.which, _default_pdf() if spot.page else "")
    if print_only:
        session.write(one_line(shlex.join(launch.command)) + "\n")
        return 0
    return _started(launch.command, here=launch.here)


def _hits(session: Session) -> list[Spot]:
    """The hits of the last answer."""
    spots = recall(session.asker.terminal)
    if not spots:
        raise KbError("there is no answer to open a hit of", "Search first: kb search QUESTION")
    return spots


def _spot(session: Session, number: int) -> Spot:
    """The place of a hit; of a note that is called by a number, where there are not so many hits."""
    spots = recall(session.asker.terminal) or []
    if 0 < number <= len(spots):
        return spots[number - 1]
    try:
        with session.open() as kb:
            path = kb.resolve(str(number))
            return Spot(path, "1", kb.show(path).file.kind)
    except NotIndexed as error:
        _hits(session)
        raise KbError(f"the last answer has {len(spots)} hits", "kb open lists them") from error


def _file(session: Session, typed: str) -> Spot:
    """The place of a file of the index, at its first line or the one that was typed."""
    with session.open() as kb:
        path, line, kind = of_file(session, kb, typed, lambda path, line: (path, line, kb.show(path).file.kind))
    return Spot(path, str(line or 1), kind, line or 1)


def _listed(session: Session, number: int, spot: Spot) -> str:
    return f"{number:>3}  {shown_path(spot.path, session.look().cwd)}:{spot.where}\n"


def _started(command: tuple[str, ...], *, here: bool) -> int:
    """Run a program in this terminal until it ends, or beside it."""
    try:
        if here:
            return subprocess.run(command, check=False).returncode
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise KbError(
            f"{command[0]} could not be started: {error.strerror}", "Set EDITOR to another command"
        ) from error
    return 0


def _default_pdf() -> str:
    """What the desktop opens PDFs with, by the name of its entry; empty where there is no desktop that says so."""
    if shutil.which(_ASK_DESKTOP[0]) is None:
        return ""
    try:
        done = subprocess.run(_ASK_DESKTOP, capture_output=True, check=False, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()
