"""Starts a daemon in the background, for commands that need one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kb.errors import KbError

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.config import Settings
    from kb.service.background import BackgroundDaemon


def daemon_command(session: Session, settings: Settings) -> list[str]:
    """The command line that starts a daemon with these settings from any folder."""
    # Without -P a folder called kb in the current one would be taken for the program.
    return [sys.executable, "-P", "-m", "kb", *session.options(settings), "watch"]


def started_daemon(session: Session, settings: Settings) -> BackgroundDaemon:
    """Start a daemon for a command that needs one, and say so. It outlives this process.

    Raises:
        KbError: No process can be started, or the log cannot be written.
    """
    from kb.service.background import start_daemon

    try:
        started = start_daemon(daemon_command(session, settings), settings.store_path())
    except OSError as error:
        raise KbError(f"kb watch could not be started: {error}", "Start it yourself: kb watch --background") from error
    session.notice(f"started kb watch in the background, process {started.process.pid}, log {started.log}")
    return started


def exited(started: BackgroundDaemon) -> KbError:
    """Return the error of a daemon that ended before it answered."""
    # The error it wrote last, which its log repeats; where there is none, all it wrote.
    why = started.output().rpartition("\nkb: ")[2]
    return KbError(f"kb watch exited during startup: {why}", f"See the log: {started.log}")
