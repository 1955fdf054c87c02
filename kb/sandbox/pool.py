"""Has documents extracted by child processes: a bomb, a crash or an endless loop costs one file and is told.

One process is kept warm while there is something to extract. It ends by itself when it idles, has grown, or is left
behind, and is killed where a file takes too long or gives too much. What it may do at all is in ``kb.sandbox.confine``.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from kb.errors import DocumentBusy, DocumentError
from kb.formats.registry import REGISTRY
from kb.records import SCANNED
from kb.sandbox.confine import offered
from kb.sandbox.ocr import NotRecognisedError, Tesseract, tesseract
from kb.sandbox.protocol import FRAME, RETIRED, Extracted, Failed, Limits, Recognised, Refused, Started, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEGABYTE: Final = 1_000_000
_PIECE: Final = 1 << 20
# JSON takes at most six bytes for one of text; what describes the structure may come on top.
_OVERHEAD: Final = 6
_STARTS: Final = 60.0
_TRIES: Final = 3
_ANSWER: Final[msgspec.json.Decoder[Extracted | Refused]] = msgspec.json.Decoder(Extracted | Refused)
_FIRST: Final[msgspec.json.Decoder[Started | Failed]] = msgspec.json.Decoder(Started | Failed)
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
# An image that a page is rendered to, or an image file; more than any is.
_LARGEST_IMAGE: Final = 500_000_000
# The signals by which a process ends itself for what it has done. The others come from somebody else: the system that
# runs out of memory, a user, a shutdown.
_OWN_SIGNALS: Final = frozenset(
    {
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT),
        *(getattr(signal, name) for name in ("SIGTRAP", "SIGSYS", "SIGXCPU", "SIGXFSZ") if hasattr(signal, name)),
    }
)
_AGAIN: Final = "Run the command again; nothing is wrong with the file"


class _Gone(Exception):
    """The child ended before it had answered."""


class _Unconfined(Exception):
    """The child could not be confined as this system can confine it, or did not come to say so."""


class _TooSlow(Exception):
    """The child did not answer in time."""


class _TooLong(Exception):
    """The child has more to say than is allowed."""


class Sandbox:
    """Extracts one document after another; threads take turns.

    Args:
        limits: What one file may cost.
        extra: Modules that extract beside those of the registry, for tests.
        own: Which modules extract; all of the registry's that read documents unless told.
    """

    def __init__(self, limits: Limits, extra: Sequence[str] = (), own: Sequence[str] | None = None) -> None:
        self._limits = limits
        self._modules = (*(REGISTRY.parsers() if own is None else own), *extra)
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def extract(self, extractor: str, name: str, data: bytes) -> Extracted:
        """The text of a document with its places.

        Args:
            extractor: Which module reads it, by its full name.
            name: Its file name, by whose suffix the extractor may tell formats apart.
            data: Its bytes.

        Raises:
            DocumentBusy: It cannot be read now, for a reason that is not the file's own.
            DocumentError: It gives no text; the message says why.
        """
        with self._lock:
            # A file may have a name that is no text.
            answer = self._answer(Task(extractor, name.encode("utf-8", "replace").decode()), data)
        if isinstance(answer, Refused):
            raise DocumentError(answer.reason, answer.remedy)
        return answer

    def close(self) -> None:
        """End the child. It is started again when needed."""
        with self._lock:
            self._drop()

    @property
    def process(self) -> int | None:
        """The id of the child that is at hand, if there is one."""
        return self._worker.process if self._worker else None

    def _answer(self, task: Task, data: bytes) -> Extracted | Refused:
        limits = self._limits
        ended = ""
        # A child that has retired, or that somebody has killed, says nothing about the file: another one is asked.
        for _ in range(_TRIES):
            worker = self._worker or _Worker(limits, self._modules)
            self._worker = worker
            try:
                return worker.ask(task, data)
            except _Gone:
                self._worker = None
                code = worker.end()
                if code != RETIRED and not _ended_from_outside(code):
                    return _crashed(code, limits)
                ended = "retires at once" if code == RETIRED else f"was ended from outside ({_ending(code)})"
            except _Unconfined as error:
                self._drop()
                raise DocumentBusy(f"is not read: {error}", _AGAIN) from error
            except _TooSlow:
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
                # Whatever is left in the pipes belongs to this file and must not be taken for the next one's.
                self._drop()
                raise
        raise DocumentBusy(f"is not read: the process that reads it {ended}", _AGAIN)

    def _drop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()


class _Worker:
    """One child process and the pipes to it."""

    def __init__(self, limits: Limits, modules: Sequence[str]) -> None:
        self._limits = limits
        self._fresh = True
        self._tesseract: Tesseract | None = None
        described = msgspec.json.encode(limits).decode()
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "kb.sandbox.worker", described, *modules],
            cwd="/",
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONPATH": _import_path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        assert self._child.stdin is not None  # noqa: S101 - both are pipes
        assert self._child.stdout is not None  # noqa: S101 - the same
        self._in, self._out = self._child.stdin.fileno(), self._child.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    @property
    def process(self) -> int:
        """The child's process id."""
        return self._child.pid

    def ask(self, task: Task, data: bytes) -> Extracted | Refused:
        """Send a task and wait for its answer.

        Raises:
            _Gone: The child ended.
            _Unconfined: It, or Tesseract, cannot be confined.
            _TooSlow: Time is up.
            _TooLong: The answer is over the limit.
        """
        if self._fresh:
            self._fresh = False
            self._started()
        deadline = time.monotonic() + self._limits.seconds
        described = msgspec.json.encode(task)
        self._send((FRAME.pack(len(described), len(data)), described, data), deadline)
        size, follows = FRAME.unpack(self._receive(FRAME.size, deadline))
        if follows and self._limits.ocr:
            deadline = time.monotonic() + self._limits.ocr_seconds
        while follows and self._limits.ocr:
            if follows > _LARGEST_IMAGE:
                raise _TooLong
            answer = msgspec.json.encode(self._recognised(self._receive(follows, deadline), deadline))
            self._send((FRAME.pack(len(answer), 0), answer), deadline)
            size, follows = FRAME.unpack(self._receive(FRAME.size, deadline))
        if size > _OVERHEAD * self._limits.text + _PIECE:
            raise _TooLong
        try:
            return _ANSWER.decode(self._receive(size, deadline))
        except msgspec.DecodeError as error:
            raise _Gone from error

    def _started(self) -> None:
        """Wait until the child has loaded its libraries and given up its rights.

        Raises:
            _Unconfined: It has not given up all that this system can take, or does not start.
        """
        deadline = time.monotonic() + _STARTS
        try:
            size, _ = FRAME.unpack(self._receive(FRAME.size, deadline))
            first = _FIRST.decode(self._receive(min(size, _PIECE), deadline))
        except _Gone as error:
            if _ended_from_outside(self.end()):
                raise
            raise _Unconfined(f"the process that reads it does not start ({_ending(self.end())})") from error
        except _TooSlow as error:
            raise _Unconfined(f"the process that reads it does not start within {_STARTS:g} seconds") from error
        except msgspec.DecodeError as error:
            raise _Unconfined("the process that reads it does not say how it is confined") from error
        if isinstance(first, Failed):
            raise _Unconfined(f"the process that reads it cannot be confined ({first.reason})")
        if missing := set(offered()) - set(first.in_force):
            told = ", ".join(sorted(missing))
            raise _Unconfined(f"the process that reads it is not confined as it should be ({told})")

    def _recognised(self, image: bytes, deadline: float) -> Recognised:
        """What Tesseract reads in an image that the child hands out.

        Raises:
            _TooSlow: Time is up.
            _Unconfined: Tesseract cannot be confined or started.
        """
        limits = self._limits
        if self._tesseract is None:
            self._tesseract = tesseract(limits.ocr, limits.memory, limits.ocr_seconds)
        if self._tesseract is None:
            return Recognised("", f"{SCANNED}, and Tesseract is not installed", "Install tesseract-ocr")
        try:
            return Recognised(self._tesseract.read(image, deadline))
        except TimeoutError as error:
            raise _TooSlow from error
        except NotRecognisedError as error:
            if error.passing:
                raise _Unconfined(error.reason) from error
            return Recognised("", error.reason, error.remedy)

    def end(self) -> int:
        """Kill the child if it still runs, and give its exit code."""
        with self._child as child:
            if child.poll() is None and child.stdin is not None:
                child.stdin.close()
                try:
                    return child.wait(0.05)
                except subprocess.TimeoutExpired:
                    child.kill()
            return child.wait()

    def _send(self, parts: Sequence[bytes], deadline: float) -> None:
        for part in parts:
            view = memoryview(part)
            while view:
                self._wait(self._in, select.POLLOUT, deadline)
                try:
                    view = view[os.write(self._in, view[:_PIECE]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError as error:
                    raise _Gone from error

    def _receive(self, size: int, deadline: float) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            self._wait(self._out, select.POLLIN, deadline)
            part = os.read(self._out, min(size - len(parts), _PIECE))
            if not part:
                raise _Gone
            parts += part
        return bytes(parts)

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise _TooSlow


def _ended_from_outside(code: int) -> bool:
    """Whether somebody else has ended a child: it says nothing about the file that it was reading."""
    return code < 0 and -code not in _OWN_SIGNALS


def _ending(code: int) -> str:
    return signal.strsignal(-code) or f"signal {-code}" if code < 0 else f"exit code {code}"


def _crashed(code: int, limits: Limits) -> Refused:
    """What the end of a child means for the file it was reading."""
    if code == -signal.SIGABRT:
        # Rust and C++ abort where an allocation fails.
        return Refused(
            f"makes its parser give up, most likely for more than {limits.memory / _MEGABYTE:,.0f} MB of memory "
            "(documents.memory_mb)",
            "Raise the limit, or exclude the file",
        )
    if code == -getattr(signal, "SIGXCPU", 0):
        return Refused(
            "takes too much processor time to read (documents.seconds)", "Raise the limit, or exclude the file"
        )
    return Refused(f"made its reader crash ({_ending(code)})", "Open it with its own program, or exclude it")


def _import_path() -> str:
    """Where the child finds this very kb and its libraries; nothing is imported from the folder it runs in."""
    here = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([here, *(entry for entry in inherited if Path(entry).is_absolute())])
