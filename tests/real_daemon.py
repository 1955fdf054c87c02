"""A real ``kb watch`` over a folder, for programs that ask it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kb.config import render_default
from kb.service.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class World:
    """A folder of notes with its configuration.

    Attributes:
        root: The folder that the configuration is in.
        notes: The watched folder.
        model: The name of the model.
    """

    root: Path
    notes: Path
    model: str

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.root / "config.toml"

    @property
    def store(self) -> str:
        """The real path of the store."""
        return os.path.realpath(self.root / ".kb")

    def configure(self) -> None:
        """Write the configuration."""
        values = {"folders.paths": [str(self.notes)], "embed.model": self.model, "embed.offline": True}
        self.config.write_text(render_default(values))

    @contextmanager
    def watching(self) -> Iterator[subprocess.Popen[bytes]]:
        """A daemon that answers, which is ended at last if it has not ended by then."""
        command = [sys.executable, "-P", "-m", "kb", "--config", str(self.config), "watch"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
            try:
                self._wait(daemon)
                yield daemon
            finally:
                if daemon.poll() is None:
                    daemon.send_signal(signal.SIGCONT)
                    daemon.terminate()

    def _wait(self, daemon: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + _START_SECONDS
        while (connection := connect(self.store, os.environ)) is None:
            if daemon.poll() is not None or time.monotonic() > until:
                raise TimeoutError("the daemon does not answer")
            time.sleep(0.05)
        connection.socket.close()
