"""Runs a program with everything it starts under strace. ``python tests/strace.py`` makes sure that this works here.

Python's audit hooks see Python's own calls alone; the kernel sees those of native libraries and of every child too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from syscalls import TRACED, Call, calls_of, ways_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Makes a socket as native code does, unseen by Python's audit hooks.
NATIVE: Final = "import ctypes; ctypes.CDLL(None).socket(2, 1, 0)"
# With -I2 strace can be ended, and ends the program then.
_OPTIONS: Final = ("-I2", "-f", "-ff", "--seccomp-bpf", "-yy", "-s", "256", "-qqq", "-e", f"trace={','.join(TRACED)}")
_INSTALL: Final = (
    ("apt-get", "update", "-qq"),
    ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "strace"),
)


class CannotTrace(Exception):
    """System calls cannot be traced here; the message says why."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A program that ran under strace.

    Attributes:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
        calls: What it and everything it started asked of the kernel.
    """

    code: int
    out: str
    err: str
    calls: tuple[Call, ...]


class Tracing:
    """A program under strace that is running.

    Args:
        command: The program and its arguments.
        environ: Its whole environment.
        cwd: The folder it runs in.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], cwd: Path) -> None:
        strace = shutil.which("strace")
        if strace is None:
            raise CannotTrace("strace is not installed")
        self._folder = Path(tempfile.mkdtemp(prefix="kb-strace-"))
        self.process = subprocess.Popen(
            [strace, *_OPTIONS, "-o", str(self._folder / "t"), *command],
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def done(self, timeout: float = 600) -> Traced:
        """Wait until the program and all it started have ended, and read what was traced."""
        try:
            out, err = self.process.communicate(timeout=timeout)
            return Traced(self.process.returncode, out, err, tuple(self._calls()))
        finally:
            if self.process.poll() is None:
                self.process.terminate()
                self.process.wait(10)
            shutil.rmtree(self._folder)

    def _calls(self) -> list[Call]:
        found: list[Call] = []
        for file in sorted(self._folder.iterdir()):
            with file.open(encoding="utf-8", errors="surrogateescape") as lines:
                found += calls_of(lines, file.suffix.removeprefix("."))
        return found


def trace(command: Sequence[str], environ: Mapping[str, str], cwd: Path, timeout: float = 600) -> Traced:
    """Run a program to its end under strace."""
    return Tracing(command, environ, cwd).done(timeout)


@cache
def why_not() -> str:
    """Why programs cannot be traced here; empty where they can. Tried on one that makes a socket natively."""
    if not sys.platform.startswith("linux"):
        return "system calls are traced on Linux only"
    try:
        tried = trace([sys.executable, "-S", "-c", NATIVE], {"PATH": os.environ.get("PATH", "")}, Path("/"), 60)
    except CannotTrace as error:
        return str(error)
    if tried.code:
        return f"the kernel does not let programs be traced ({' '.join(tried.err.split()) or f'code {tried.code}'})"
    if not ways_out(tried.calls, []):
        return "strace does not show the sockets that a program makes"
    return ""


def main() -> int:
    """Install strace where it is missing and can be installed, and say whether programs can be traced."""
    if sys.platform.startswith("linux") and shutil.which("strace") is None and shutil.which("apt-get"):
        sys.stderr.write("Installing strace\n")
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        for command in _INSTALL:
            if root and shutil.which("sudo") is None:
                break
            subprocess.run([*root, *command], check=False)
    if reason := why_not():
        sys.stderr.write(f"Cannot prove that nothing leaves the machine: {reason}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
