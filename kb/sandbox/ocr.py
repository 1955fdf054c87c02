"""Has Tesseract read an image, in a process that may read its language files, write one folder, and start nothing else.

The image comes from a parser that a hostile file may have got the better of, so Tesseract is not trusted either. Python
is started first, gives up its rights and becomes Tesseract (``python -m kb.sandbox.ocr``).
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# The codes with which the launcher tells that it did not come to start Tesseract.
_UNCONFINED: Final = 76
_NOT_STARTED: Final = 77
# What Tesseract takes at rest with a language or two, in bytes, and what it may say.
_AT_REST: Final = 600_000_000
_MOST_SAID: Final = 50_000_000
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/lib32", "/opt/homebrew", "/nix/store", "/gnu/store", "/etc/ld.so.cache",
                  "/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo")  # fmt: skip
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TESSDATA_PREFIX", "LD_LIBRARY_PATH")


class NotRecognisedError(Exception):
    """No text was had from an image.

    Args:
        reason: A sentence without its subject.
        remedy: What to do about it.
        passing: Whether the reason lies with the system, so that another try may go well.
    """

    def __init__(self, reason: str, remedy: str = "", *, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.passing = passing


class Tesseract:
    """The program, found once; its layout mode depends on what it has learnt.

    Args:
        program: Where it is.
        languages: The languages in which it reads.
        memory: Bytes that reading an image may take.
        seconds: How long it may take to read one.
    """

    def __init__(self, program: str, languages: str, memory: int, seconds: float) -> None:
        self._program = program
        self._languages = languages
        self._memory = memory
        self._seconds = seconds
        self._layout = ""

    def read(self, image: bytes, deadline: float) -> str:
        """The text in an image.

        Args:
            image: In any format that Tesseract reads.
            deadline: When to give up, on the monotonic clock.

        Raises:
            NotRecognisedError: It cannot be read.
            TimeoutError: The deadline has come.
        """
        if not self._layout:
            # A page is turned the right way up where Tesseract has learnt that (``osd``).
            known = self._run(("--list-langs",), b"", deadline)[1]
            self._layout = "1" if b"osd" in known.split() else "3"
        arguments = ("stdin", "stdout", "-l", self._languages, "--psm", self._layout)
        code, said, complained = self._run(arguments, image, deadline)
        if code < 0:
            raise NotRecognisedError(f"made Tesseract end by signal {-code}", "Exclude the file")
        if code:
            told = " ".join(complained.decode("utf-8", "replace").split())
            raise NotRecognisedError(f"cannot be read by Tesseract ({told[-160:]})", "Check documents.ocr_languages")
        return said.decode("utf-8", "replace")

    def _run(self, arguments: Sequence[str], given: bytes, deadline: float) -> tuple[int, bytes, bytes]:
        """Start Tesseract confined; its exit code, what it says and what it complains of."""
        with (
            tempfile.TemporaryDirectory(prefix="kb-") as folder,
            _buffer() as image,
            _buffer() as said,
            _buffer() as bad,
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
                stdout=said,
                stderr=bad,
                start_new_session=True,
            )
            try:
                code = child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired as error:
                raise TimeoutError from error
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
            answers = (_all(said), _all(bad))
        if code in {_UNCONFINED, _NOT_STARTED}:
            told = " ".join(answers[1].decode("utf-8", "replace").split())[-160:]
            what = "cannot be confined" if code == _UNCONFINED else "cannot be started"
            raise NotRecognisedError(f"is not read: Tesseract {what} ({told})", "Run the command again", passing=True)
        return code, *answers


@contextlib.contextmanager
def _buffer() -> Iterator[IO[bytes]]:
    """A file in memory, where the system has such; one that has no name elsewhere."""
    create: Callable[[str], int] | None = getattr(os, "memfd_create", None)
    with os.fdopen(create("kb"), "w+b") if create else tempfile.TemporaryFile() as file:
        yield file


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(_MOST_SAID)


def tesseract(languages: str, memory: int, seconds: float) -> Tesseract | None:
    """Tesseract, where it is installed."""
    program = shutil.which("tesseract")
    return Tesseract(program, languages, memory, seconds) if program else None


def _become(described: dict[str, Any]) -> int:
    """Give up what Tesseract has no use for, and become it; gives an exit code where that fails."""
    program = os.path.realpath(described["program"])
    environment = os.environ
    named = [environment.get("TESSDATA_PREFIX", ""), *environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)]
    # A program of /somewhere/bin has its libraries and its languages below /somewhere, but /home/me/bin must not open
    # all of /home/me.
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
            output=_MOST_SAID,
        )
    except ConfinementError as error:
        os.write(2, str(error).encode())
        return _UNCONFINED
    environment.pop("PYTHONPATH", None)
    try:
        os.execv(program, [program, *described["arguments"]])  # noqa: S606 - there is no shell in between
    except OSError as error:
        os.write(2, str(error).encode())
    return _NOT_STARTED


def _executed(program: str) -> list[str]:
    """A program and what the kernel executes to start it: the interpreter of a script, the loader of a binary."""
    found = [program]
    for path in found:
        with contextlib.suppress(OSError, struct.error, UnicodeDecodeError):
            if (next_one := _interpreter(Path(path))) and next_one not in found:
                found.append(next_one)
    return found


def _interpreter(path: Path) -> str:
    """What a script names in its first line, or an ELF file of 64 bits as its loader (``elf(5)``); empty without."""
    with path.open("rb") as file:
        head = file.read(64)
        if head.startswith(b"#!"):
            words = head[2:].splitlines()[0].split()
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
