"""kb as it is typed: whole commands timed from start to end, and an owner in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import KbError
from kb.serve.client import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_STARTING: Final = 600.0
_ENDING: Final = 90.0
_LOOK: Final = 0.02
_KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Ran:
    """One command: its exit code, what it wrote, and the seconds from its start to its end."""

    code: int
    out: str
    err: str
    seconds: float


class Program:
    """The command ``kb`` with the same global options every time.

    Args:
        options: What stands before each command: the configuration, and values over it.
        store: The real path of the store that these options mean.
        environ: The environment of every command; None for that of this process.
        cwd: The folder every command runs in; None for that of this process.
    """

    def __init__(
        self,
        options: Sequence[str],
        store: str,
        environ: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        self.store = store
        self._command = (*_executable(), *options)
        self._environ = environ
        self._cwd = cwd or None

    def __call__(self, *args: str) -> Ran:
        """Run one command."""
        return self._timed((*self._command, *args))

    def python(self) -> Ran:
        """Start the Python that kb runs on, and end it: the least that any command of it costs."""
        return self._timed((sys.executable, "-c", "pass"))

    @contextmanager
    def owner(self, log: Path, *args: str) -> Iterator[Watching]:
        """An owner, from when it has looked at everything once; it is ended on the way out.

        Args:
            log: The file for the lines of its log.
            args: What ``kb watch`` is given.

        Raises:
            KbError: It ended before it answered.
        """
        with log.open("wb") as stream:
            child = subprocess.Popen(
                [*self._command, "watch", *args],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=self._environ,
                cwd=self._cwd,
            )
        try:
            self._wait_for(child, log)
            yield Watching(child.pid)
        finally:
            child.terminate()
            try:
                child.wait(_ENDING)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _wait_for(self, child: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + _STARTING
        while child.poll() is None and time.monotonic() < until:
            state = ask(self.store, "/status")
            if state is not None and state["pid"] == child.pid and state["state"] != "starting":
                return
            time.sleep(_LOOK)
        told = log.read_text("utf-8", "replace").strip()
        raise KbError(f"kb watch did not begin to answer:\n{told}")

    def _timed(self, command: Sequence[str]) -> Ran:
        began = time.perf_counter()
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=self._environ, cwd=self._cwd
        )
        seconds = time.perf_counter() - began
        return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode(), seconds)


@dataclass(frozen=True, slots=True)
class Watching:
    """A running owner, seen from outside."""

    pid: int

    def memory(self) -> int:
        """The bytes of main memory it has now."""
        status = Path(f"/proc/{self.pid}/status")
        if status.is_file():
            line = next(line for line in status.read_text("ascii", "replace").splitlines() if line.startswith("VmRSS:"))
            return int(line.split()[1]) * _KIB
        told = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.pid)],  # noqa: S607 - ps as the system has it
            capture_output=True,
            check=True,
        )
        return int(told.stdout) * _KIB

    def processor(self) -> float:
        """The seconds of processor time it has taken so far, on Linux.

        Raises:
            OSError: The system does not tell.
        """
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _executable() -> tuple[str, ...]:
    """The script ``kb`` beside this Python, which is what people type; else the module."""
    script = Path(sys.executable).with_name("kb")
    # Without -P a folder called kb in the current one would be taken for the program.
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-P", "-m", "kb")
