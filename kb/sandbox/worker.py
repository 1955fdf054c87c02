"""The process that parses documents and source code: reads files from standard input and writes their text.

``kb.sandbox.pool`` starts it as a program, with limits as JSON and the modules to load. It gives up writing, signals
and privileges before it loads libraries, and files, sockets, processes and programs after that
(``kb.sandbox.confine``). It reports the measures in force before it takes the first file, and takes none if one could
not be put in force.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import select
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from kb.formats.builder import TextBuilder, TooMuchText, Unreadable
from kb.sandbox.confine import after_loading, before_loading
from kb.sandbox.protocol import (
    FRAME,
    RETIRED,
    UNCONFINED,
    Extracted,
    Failed,
    Limits,
    OcrResult,
    Refused,
    Started,
    Task,
)
from kb.sandbox.syscalls import ConfinementError
from kb.system import WINDOWS
from kb.system.memory import OwnMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

IDLE_SECONDS: Final = 60.0
GRACE_SECONDS: Final = 2.0
# In bytes of memory. A larger process exits, since a parser that failed may have leaked.
_GROWN: Final = 300_000_000
_MEGABYTE: Final = 1_000_000
# What was read of a task while waiting for one.
_FIRST: Final = bytearray()
_MEMORY: Final = OwnMemory()


class Extractor(Protocol):
    """The functions that each module has that extracts a format."""

    def prepare(self) -> None:
        """Load everything that extraction needs, while files can still be opened."""

    def extract(self, name: str, data: bytes, builder: TextBuilder, limits: Limits) -> None:
        """Add the text of a file to the builder.

        Raises:
            Unreadable: The file gives no text.
        """


def main(arguments: Sequence[str]) -> int:
    """Answer tasks until standard input ends; return the exit code."""
    limits = msgspec.json.decode(arguments[0], type=Limits)
    # Output of libraries must not mix with the answers.
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # The most processor time of one file, on all cores. The limit is twice that; at half of it, the process retires.
    cpu = int((limits.seconds + GRACE_SECONDS) * (os.cpu_count() or 1)) + 1
    try:
        in_force = before_loading()
        extractors = _load(arguments[1:])
        in_force += after_loading(memory=_MEMORY.read()[0] + limits.memory, cpu=2 * cpu + int(time.process_time()))
    except ConfinementError as error:
        _say(answers, Failed(str(error)))
        return UNCONFINED
    _say(answers, Started(in_force))
    while True:
        if not _task_comes():
            return RETIRED
        head = _read(FRAME.size)
        if not head:
            return 0
        described, size = FRAME.unpack(head)
        task = msgspec.json.decode(_read(described), type=Task)
        # A parser that hangs may block all Python threads; this timer runs outside of Python.
        faulthandler.dump_traceback_later(limits.seconds + GRACE_SECONDS, exit=True)
        builder = TextBuilder(limits.text, lambda image: _read_image(answers, image, limits))
        answer = _answer(extractors, task, size, builder, limits)
        faulthandler.cancel_dump_traceback_later()
        _say(answers, answer)
        del answer, builder
        gc.collect()
        if _MEMORY.read()[1] > _GROWN or time.process_time() > cpu:
            return RETIRED


def _task_comes() -> bool:
    """Wait for a task, or for the end of standard input; False if neither comes while this process may be idle."""
    if not WINDOWS:
        return bool(select.select([0], [], [], IDLE_SECONDS)[0])
    # There is no waiting for a pipe there. The parent takes the end of this process for what it is, and starts another.
    timer = threading.Timer(IDLE_SECONDS, os._exit, [RETIRED])
    timer.daemon = True
    timer.start()
    _FIRST.extend(_read(1))
    timer.cancel()
    return True


def _load(names: Sequence[str]) -> dict[str, Extractor]:
    """Load and prepare extractors; return them by the names of their modules."""
    modules: dict[str, Any] = {name: importlib.import_module(name) for name in names}
    for module in modules.values():
        module.prepare()
    return modules


def _read_image(answers: int, image: bytes, limits: Limits) -> str:
    """Have the parent process read the text in an image; this may take longer than parsing.

    Raises:
        Unreadable: Tesseract is not installed or cannot read the image.
    """
    faulthandler.dump_traceback_later(limits.ocr_seconds + GRACE_SECONDS, exit=True)
    _write(answers, FRAME.pack(0, len(image)))
    _write(answers, image)
    size, _ = FRAME.unpack(_read(FRAME.size))
    found = msgspec.json.decode(_read(size), type=OcrResult)
    if found.reason:
        raise Unreadable(found.reason, found.remedy)
    return found.text


def _answer(
    extractors: dict[str, Extractor], task: Task, size: int, builder: TextBuilder, limits: Limits
) -> Extracted | Refused:
    try:
        extractors[task.extractor].extract(task.name, _read(size), builder, limits)
        return builder.build()
    except Unreadable as error:
        return Refused(error.reason, error.remedy)
    except TooMuchText:
        return Refused(
            f"holds more than {limits.text / _MEGABYTE:,.0f} MB of text (documents.text_mb)",
            "Raise the limit, or exclude the file",
        )
    except MemoryError:
        return Refused(
            f"needs more than {limits.memory / _MEGABYTE:,.0f} MB of memory to read (documents.memory_mb)",
            "Raise the limit, or exclude the file",
        )
    except RecursionError:
        return Refused("is nested too deeply to be read", "Exclude the file")
    except Exception as error:  # noqa: BLE001 - whatever a parser raises becomes the reason
        return Refused(f"cannot be read: it seems to be damaged ({_shortened(error)})", "Open it with its own program")


def _shortened(error: Exception) -> str:
    """Return the message of a library's error, shortened."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 160 else f"{words[:160]}…"  # noqa: PLR2004 - about two lines of a terminal


def _read(size: int) -> bytes:
    """Read ``size`` bytes of standard input; none if it ends before."""
    parts = bytearray(_FIRST[:size])
    del _FIRST[:size]
    while len(parts) < size and (part := os.read(0, min(size - len(parts), 1 << 20))):
        parts += part
    return bytes(parts) if len(parts) == size else b""


def _say(answers: int, message: Started | Failed | Extracted | Refused) -> None:
    encoded = msgspec.json.encode(message)
    _write(answers, FRAME.pack(len(encoded), 0))
    _write(answers, encoded)


def _write(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except BrokenPipeError:
        code = 0
    # Libraries with threads of their own may crash in an orderly exit.
    os._exit(code)
