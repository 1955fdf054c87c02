"""Reads the text in images with Tesseract, in a process confined to its language files and one folder.

The image comes from a parser that a hostile file may control, so Tesseract is confined as well: Python starts
(``python -m kb.sandbox.ocr``), gives up its rights and executes Tesseract.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from kb.sandbox.confine import before_program
from kb.sandbox.syscalls import ConfinementError
from kb.system import WINDOWS
from kb.system.processes import apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Exit codes of the launcher if it did not execute Tesseract.
_UNCONFINED: Final = 76
_NOT_STARTED: Final = 77
# In bytes: the memory of Tesseract with two languages loaded, and its most output.
_AT_REST: Final = 600_000_000
_MAX_OUTPUT: Final = 50_000_000
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/lib32", "/opt/homebrew", "/nix/store", "/gnu/store", "/etc/ld.so.cache",
                  "/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo")  # fmt: skip
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TESSDATA_PREFIX", "LD_LIBRARY_PATH", "SYSTEMROOT")


class OcrError(Exception):
    """Tesseract could not read an image.

    Args:
        reason: Why, as a sentence without its subject; a whole sentence where it is ``transient``.
        remedy: What to do about it.
        transient: Whether the reason lies with the system, so that another try may succeed.
    """

    def __init__(self, reason: str, remedy: str = "", *, transient: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.transient = transient


class Tesseract:
    """The Tesseract program.

    Args:
        program: Its path.
        languages: The languages to read, by its names, joined by ``+``.
        memory: The most memory for one image, in bytes.
        seconds: The most processor time for one image, in seconds.
    """

    def __init__(self, program: str, languages: str, memory: int, seconds: float) -> None:
        self._program = program
        self._languages = languages
        self._memory = memory
        self._seconds = seconds
        self._layout = ""

    def read(self, image: bytes, deadline: float) -> str:
        """Return the text in an image.

        Args:
            image: The image, in any format that Tesseract reads.
            deadline: When to give up, on the monotonic clock.

        Raises:
            OcrError: It cannot be read.
            TimeoutError: The deadline has passed.
        """
        if not self._layout:
            # If the data for it (``osd``) is installed, Tesseract detects the orientation of a page.
            known = self._run(("--list-langs",), b"", deadline)[1]
            self._layout = "1" if b"osd" in known.split() else "3"
        arguments = ("stdin", "stdout", "-l", self._languages, "--psm", self._layout)
        code, output, errors = self._run(arguments, image, deadline)
        if code < 0:
            raise OcrError(f"made Tesseract end by signal {-code}", "Exclude the file")
        if code:
            message = " ".join(errors.decode("utf-8", "replace").split())
            raise OcrError(f"cannot be read by Tesseract ({message[-160:]})", "Check documents.ocr_languages")
        return output.decode("utf-8", "replace")

    def _run(self, arguments: Sequence[str], given: bytes, deadline: float) -> tuple[int, bytes, bytes]:
        """Run Tesseract confined; return its exit code, output and errors."""
        with (
            tempfile.TemporaryDirectory(prefix="kb-") as folder,
            _buffer() as image,
            _buffer() as output,
            _buffer() as errors,
        ):
            image.write(given)
            image.flush()
            image.seek(0)
            described = {
                "program": self._program,
                "arguments": arguments,
                "folder": folder,
                "memory": self._memory + _AT_REST,
                "cpu": int(self._seconds) + 1,
            }
            child = subprocess.Popen(
                [sys.executable, "-P", "-S", "-m", "kb.sandbox.ocr", json.dumps(described)],
                cwd="/",
                env={name: os.environ[name] for name in _KEPT if name in os.environ}
                | {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "TMPDIR": folder, "OMP_THREAD_LIMIT": "1"},
                stdin=image,
                stdout=output,
                stderr=errors,
                **apart(),
            )
            try:
                code = child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired as error:
                raise TimeoutError from error
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
            answers = (_all(output), _all(errors))
        if code in {_UNCONFINED, _NOT_STARTED}:
            message = " ".join(answers[1].decode("utf-8", "replace").split())[-160:]
            what = "cannot be confined" if code == _UNCONFINED else "cannot be started"
            raise OcrError(f"Tesseract {what} ({message})", "Run the command again", transient=True)
        return code, *answers


@contextlib.contextmanager
def _buffer() -> Iterator[IO[bytes]]:
    """Open an anonymous file in memory, or a temporary file if the system has none."""
    create: Callable[[str], int] | None = getattr(os, "memfd_create", None)
    with os.fdopen(create("kb"), "w+b") if create else tempfile.TemporaryFile() as file:
        yield file


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(_MAX_OUTPUT)


def tesseract(languages: str, memory: int, seconds: float) -> Tesseract | None:
    """Return Tesseract, or None if it is not installed."""
    program = shutil.which("tesseract")
    return Tesseract(program, languages, memory, seconds) if program else None


def _become(described: dict[str, Any]) -> int:
    """Confine this process and execute Tesseract; return an exit code if that fails."""
    program = os.path.realpath(described["program"])
    environment = os.environ
    named = [environment.get("TESSDATA_PREFIX", ""), *environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)]
    # The libraries and languages of a program in /somewhere/bin are below /somewhere, but a program in /home/me/bin
    # must not make all of /home/me readable.
    beside = str(Path(program).parents[1])
    prefix = [f"{beside}/lib", f"{beside}/share", f"{beside}/lib64"] if beside != "/" else []
    readable = [*_SYSTEM, *prefix, *(os.path.realpath(one) for one in named if Path(one).is_absolute())]
    try:
        before_program(
            executable=_executed(program),
            readable=readable,
            writable=described["folder"],
            memory=described["memory"],
            cpu=described["cpu"],
            output=_MAX_OUTPUT,
        )
    except ConfinementError as error:
        os.write(2, str(error).encode())
        return _UNCONFINED
    environment.pop("PYTHONPATH", None)
    command = [program, *described["arguments"]]
    try:
        if WINDOWS:
            # No program can take the place of another one there.
            return subprocess.run(
                command, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr, check=False
            ).returncode
        os.execv(program, command)  # noqa: S606 - there is no shell in between
    except OSError as error:
        os.write(2, str(error).encode())
    return _NOT_STARTED


def _executed(program: str) -> list[str]:
    """Return a program and what the kernel executes to start it: a script's interpreter, a binary's loader."""
    found = [program]
    for path in found:
        with contextlib.suppress(OSError, struct.error, UnicodeDecodeError):
            if (next_one := _interpreter(Path(path))) and next_one not in found:
                found.append(next_one)
    return found


def _interpreter(path: Path) -> str:
    """Return the interpreter of a script, or the loader of a 64-bit ELF file (``elf(5)``); empty if there is none."""
    with path.open("rb") as file:
        head = file.read(64)
        if head.startswith(b"#!"):
            words = head[2:].partition(b"\n")[0].split()
            return words[0].decode() if words else ""
        if head[:5] != b"\x7fELF\x02":
            return ""
        table, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        for at in range(count):
            file.seek(table + at * size)
            entry = file.read(56)
            if struct.unpack_from("<I", entry)[0] == 3:  # noqa: PLR2004 - PT_INTERP
                start, length = struct.unpack_from("<Q", entry, 8)[0], struct.unpack_from("<Q", entry, 32)[0]
                file.seek(start)
                return file.read(min(length, 4096)).rstrip(b"\0").decode()
    return ""


if __name__ == "__main__":
    os._exit(_become(json.loads(sys.argv[1])))
