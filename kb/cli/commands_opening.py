"""The command that opens a hit of the last answer at its place."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import click

from kb.cli.options import Command
from kb.cli.recall import Spot, recall
from kb.cli.terminal import one_line, shown_path
from kb.cli.viewers import launch_of
from kb.errors import KbError

if TYPE_CHECKING:
    from kb.cli.session import Session

_ASK_DESKTOP: Final = ("xdg-mime", "query", "default", "application/pdf")
_PATIENCE: Final = 2.0


@click.command("open", cls=Command, short_help="Open a hit of the last search.")
@click.argument("number", type=click.IntRange(1), required=False)
@click.option("--print", "print_only", is_flag=True, help="Only show the command that would open it.")
@click.pass_obj
def open_hit(session: Session, number: int | None, *, print_only: bool) -> int:
    """Open the hit with this NUMBER, counted from the best, of the last answer in this terminal.

    Text opens in $VISUAL or $EDITOR at its line, a PDF in a viewer at its page, other documents in their own program.
    Without a number the hits are listed.
    """
    spots = recall(session.asker.terminal)
    if not spots:
        raise KbError("there is no answer to open a hit of", "Search first: kb search QUESTION")
    if number is None:
        session.write("".join(_listed(session, at, spot) for at, spot in enumerate(spots, 1)))
        return 0
    if number > len(spots):
        raise KbError(f"the last answer has {len(spots)} hits", "kb open lists them")
    spot = spots[number - 1]
    if not os.path.isfile(spot.path):  # noqa: PTH113 - names as str, undecodable bytes included
        raise KbError(f"{one_line(spot.path)} is not there any more", "Search again")
    launch = launch_of(spot, session.asker.environ, shutil.which, _default_pdf() if spot.page else "")
    if print_only:
        session.write(one_line(shlex.join(launch.command)) + "\n")
        return 0
    return _started(launch.command, here=launch.here)


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
