"""Starts the daemon in the background, with a log file of its own, and tells the command that starts this kb."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from kb.system import WINDOWS
from kb.system.processes import apart

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class BackgroundDaemon:
    """A daemon that was started in the background.

    Attributes:
        process: Its process.
        log: Its log file.
        begin: The size of the log file in bytes when it was started.
    """

    process: subprocess.Popen[bytes]
    log: Path
    begin: int

    def running(self) -> bool:
        """Whether its process is alive."""
        return self.process.poll() is None

    def output(self) -> str:
        """Return what it has written to its log."""
        with self.log.open("rb") as stream:
            stream.seek(self.begin)
            return stream.read().decode("utf-8", "replace").strip()


def own_command() -> tuple[str, ...]:
    """The command that starts this kb, with an absolute path: the script beside this Python, else the module."""
    script = Path(sys.executable).with_name("kb.exe" if WINDOWS else "kb")
    # Without -P a folder called kb in the current one would be taken for the program.
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-P", "-m", "kb")


def daemon_name(store: str) -> str:
    """Identifies the daemon of a store in file names, in letters and digits."""
    return sha256(os.fsencode(store)).hexdigest()[:12]


def log_file(store: str) -> Path:
    """The log of a daemon that has no terminal to write to."""
    import platformdirs

    return Path(platformdirs.user_log_dir("kb", appauthor=False)) / f"watch-{daemon_name(store)}.log"


def start_daemon(command: Sequence[str], store: str) -> BackgroundDaemon:
    """Start a daemon that outlives this process.

    Args:
        command: The whole command line of ``kb watch``, to which the option for the log is added.
        store: The real path of its store.

    Raises:
        OSError: The log cannot be written, or no process be started.
    """
    log = log_file(store)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.touch(mode=0o600)
    begin = log.stat().st_size
    # What it writes before its log is open, or when it dies, goes to the same file.
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [*command, "--log", str(log)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            **apart(),
        )
    return BackgroundDaemon(process, log, begin)
