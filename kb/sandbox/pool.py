"""Extracts documents in a child process, so that a crash, an endless loop or a decompression bomb costs one file.

One process is kept while there are documents to extract. It exits when it is idle, has grown too large, or its parent
is gone, and is killed when a document exceeds a limit. ``kb.sandbox.confine`` restricts what it may do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec

from kb.errors import DocumentBusy, DocumentError, reason_of
from kb.formats.registry import REGISTRY
from kb.records import SCANNED
from kb.sandbox.confine import offered
from kb.sandbox.endings import description, from_outside, out_of_memory, out_of_time
from kb.sandbox.ocr import OcrError, Tesseract, tesseract
from kb.sandbox.pipes import DeadlinePassed, PipeClosed, pipes
from kb.sandbox.protocol import FRAME, RETIRED, Extracted, Failed, Limits, OcrResult, Refused, Started, Task
from kb.system.processes import apart, import_path

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEGABYTE: Final = 1_000_000
_PIECE: Final = 1 << 20
# JSON takes at most six bytes for one byte of text; the structure comes on top.
_OVERHEAD: Final = 6
_STARTS: Final = 60.0
_TRIES: Final = 3
_ANSWER: Final[msgspec.json.Decoder[Extracted | Refused]] = msgspec.json.Decoder(Extracted | Refused)
_FIRST: Final[msgspec.json.Decoder[Started | Failed]] = msgspec.json.Decoder(Started | Failed)
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
# In bytes; larger than any image file or rendered page.
_LARGEST_IMAGE: Final = 500_000_000
_AGAIN: Final = "Run the command again; nothing is wrong with the file"


class _Unconfined(Exception):
    """The child is not confined by every measure that this system offers, or did not start."""


class _TooLong(Exception):
    """The answer of the child is over the limit."""


class Sandbox:
    """Extracts documents, one at a time; safe to share between threads.

    Args:
        limits: What one file may cost.
        modules: The modules that extract; None for those of every installed document format.
    """

    def __init__(self, limits: Limits, modules: Sequence[str] | None = None) -> None:
        self._limits = limits
        self._modules = REGISTRY.parsers() if modules is None else modules
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def extract(self, extractor: str, name: str, data: bytes) -> Extracted:
        """Extract the text of a document, with its structure.

        Args:
            extractor: The full name of the module that reads it.
            name: Its file name; the suffix may select the format.
            data: Its bytes.

        Raises:
            DocumentBusy: It cannot be read now, for a reason that lies outside the file.
            DocumentError: It gives no text; the message says why.
        """
        with self._lock:
            # A file name may hold bytes that are not UTF-8.
            answer = self._answer(Task(extractor, name.encode("utf-8", "replace").decode()), data)
        if isinstance(answer, Refused):
            raise DocumentError(answer.reason, answer.remedy)
        return answer

    def close(self) -> None:
        """Stop the child process. The next extraction starts another one."""
        with self._lock:
            self._drop()

    @property
    def process(self) -> int | None:
        """The process id of the child, or None if none is running."""
        return self._worker.process if self._worker else None

    def _answer(self, task: Task, data: bytes) -> Extracted | Refused:
        limits = self._limits
        ended = ""
        # If the child retired, or was killed from outside, the file is not to blame: try again with another one.
        for _ in range(_TRIES):
            try:
                worker = self._worker = self._worker or _Worker(limits, self._modules)
                return worker.ask(task, data)
            except PipeClosed:
                self._worker = None
                code = worker.end()
                if code != RETIRED and not from_outside(code):
                    return _crashed(code, limits)
                ended = "retires at once" if code == RETIRED else f"was ended from outside ({description(code)})"
            except _Unconfined as error:
                self._drop()
                raise DocumentBusy(f"is not read: {error}", _AGAIN) from error
            except DeadlinePassed:
                self._drop()
                return Refused(
                    f"takes longer than {limits.seconds:g} seconds to read (documents.seconds)",
                    "Raise the limit, or exclude the file",
                )
            except _TooLong:
                self._drop()
                return Refused(
                    f"holds more than {limits.text / _MEGABYTE:,.0f} MB of text (documents.text_mb)",
                    "Raise the limit, or exclude the file",
                )
            except BaseException:
                # The pipes may hold part of an answer, which must not be read as the answer to the next task.
                self._drop()
                raise
        raise DocumentBusy(f"is not read: the process that reads it {ended}", _AGAIN)

    def _drop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()


class _Worker:
    """One child process and the pipes to it.

    Raises:
        _Unconfined: The process cannot be started.
    """

    def __init__(self, limits: Limits, modules: Sequence[str]) -> None:
        self._limits = limits
        self._fresh = True
        self._tesseract: Tesseract | None = None
        described = msgspec.json.encode(limits).decode()
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "kb.sandbox.worker", described, *modules],
                cwd="/",
                env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONPATH": import_path()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                **apart(),
            )
        except OSError as error:
            # There is no room for another process, or this Python was uninstalled while it runs.
            raise _Unconfined(f"the process that reads it cannot be started: {reason_of(error)}") from error
        assert self._child.stdin is not None  # noqa: S101 - both are pipes
        assert self._child.stdout is not None  # noqa: S101 - the same
        self._pipes = pipes(self._child.stdin, self._child.stdout)

    @property
    def process(self) -> int:
        """The process id of the child."""
        return self._child.pid

    def ask(self, task: Task, data: bytes) -> Extracted | Refused:
        """Send a task and wait for its answer.

        Raises:
            PipeClosed: The child exited.
            _Unconfined: It, or Tesseract, cannot be confined.
            DeadlinePassed: The time limit is exceeded.
            _TooLong: The answer is over the limit.
        """
        if self._fresh:
            self._fresh = False
            self._started()
        deadline = time.monotonic() + self._limits.seconds
        described = msgspec.json.encode(task)
        self._pipes.send((FRAME.pack(len(described), len(data)), described, data), deadline)
        size, follows = FRAME.unpack(self._pipes.receive(FRAME.size, deadline))
        if follows and self._limits.ocr:
            deadline = time.monotonic() + self._limits.ocr_seconds
        while follows and self._limits.ocr:
            if follows > _LARGEST_IMAGE:
                raise _TooLong
            answer = msgspec.json.encode(self._read_image(self._pipes.receive(follows, deadline), deadline))
            self._pipes.send((FRAME.pack(len(answer), 0), answer), deadline)
            size, follows = FRAME.unpack(self._pipes.receive(FRAME.size, deadline))
        if size > _OVERHEAD * self._limits.text + _PIECE:
            raise _TooLong
        try:
            return _ANSWER.decode(self._pipes.receive(size, deadline))
        except msgspec.DecodeError as error:
            raise PipeClosed from error

    def _started(self) -> None:
        """Wait until the child has loaded its libraries and is confined.

        Raises:
            _Unconfined: A measure that this system offers is not in force, or the child does not start.
        """
        deadline = time.monotonic() + _STARTS
        try:
            size, _ = FRAME.unpack(self._pipes.receive(FRAME.size, deadline))
            first = _FIRST.decode(self._pipes.receive(min(size, _PIECE), deadline))
        except PipeClosed as error:
            if from_outside(self.end(), starting=True):
                raise
            raise _Unconfined(f"the process that reads it does not start ({description(self.end())})") from error
        except DeadlinePassed as error:
            raise _Unconfined(f"the process that reads it does not start within {_STARTS:g} seconds") from error
        except msgspec.DecodeError as error:
            raise _Unconfined("the process that reads it does not say how it is confined") from error
        if isinstance(first, Failed):
            raise _Unconfined(f"the process that reads it cannot be confined ({first.reason})")
        if missing := set(offered()) - set(first.in_force):
            names = ", ".join(sorted(missing))
            raise _Unconfined(f"the process that reads it is not confined as it should be ({names})")

    def _read_image(self, image: bytes, deadline: float) -> OcrResult:
        """Return the text that Tesseract reads in an image from the child.

        Raises:
            DeadlinePassed: The time limit is exceeded.
            _Unconfined: Tesseract cannot be confined or started.
        """
        limits = self._limits
        if self._tesseract is None:
            self._tesseract = tesseract(limits.ocr, limits.memory, limits.ocr_seconds)
        if self._tesseract is None:
            return OcrResult("", f"{SCANNED}, and Tesseract is not installed", "Install tesseract-ocr")
        try:
            return OcrResult(self._tesseract.read(image, deadline))
        except TimeoutError as error:
            raise DeadlinePassed from error
        except OSError as error:
            raise _Unconfined(f"Tesseract cannot be started: {reason_of(error)}") from error
        except OcrError as error:
            if error.transient:
                raise _Unconfined(error.reason) from error
            return OcrResult("", error.reason, error.remedy)

    def end(self) -> int:
        """Stop the child, killing it if need be, and return its exit code."""
        with self._child as child:
            # Also where it has ended: the threads of the pipes do not all notice that.
            self._pipes.hang_up()
            try:
                return child.wait(0.05)
            except subprocess.TimeoutExpired:
                child.kill()
            return child.wait()


def _crashed(code: int, limits: Limits) -> Refused:
    """Explain what the exit code of a child means for the file it was reading."""
    if out_of_memory(code):
        return Refused(
            f"makes its parser give up, most likely for more than {limits.memory / _MEGABYTE:,.0f} MB of memory "
            "(documents.memory_mb)",
            "Raise the limit, or exclude the file",
        )
    if out_of_time(code):
        return Refused(
            "takes too much processor time to read (documents.seconds)", "Raise the limit, or exclude the file"
        )
    return Refused(f"made its reader crash ({description(code)})", "Open it with its own program, or exclude it")
