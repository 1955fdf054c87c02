"""The process in which documents and source code are parsed: files in over standard input, what they say out.

It is started by ``kb.sandbox.pool`` as a program and given limits as JSON, and which modules to load. It gives up
writing, signals and powers before it loads their libraries, and files, sockets, processes and other programs after that
(``kb.sandbox.confine``): nothing outside of the document it was handed can be read or changed, and nothing sent. It
says what is in force before it takes the first file, and takes none where something could not be put in force.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import select
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from kb.formats.builder import Draft, TooMuchText, Unreadable
from kb.sandbox.confine import after_loading, before_loading
from kb.sandbox.protocol import (
    FRAME,
    RETIRED,
    UNCONFINED,
    Extracted,
    Failed,
    Limits,
    Recognised,
    Refused,
    Started,
    Task,
)
from kb.sandbox.syscalls import ConfinementError

if TYPE_CHECKING:
    from collections.abc import Sequence

IDLE_SECONDS: Final = 60.0
GRACE_SECONDS: Final = 2.0
# A parser that fails on a file may leave much behind; a process that has grown so far makes way for a new one.
_GROWN: Final = 300_000_000
_MEGABYTE: Final = 1_000_000


def _statm() -> int | None:
    """The system's account of this process's memory, opened while files can still be opened."""
    try:
        return os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return None


_STATM: Final = _statm()


class Extractor(Protocol):
    """What each module that reads a format has."""

    def prepare(self) -> None:
        """Load whatever reading a file will need, while files can still be opened."""

    def extract(self, name: str, data: bytes, draft: Draft, limits: Limits) -> None:
        """Put the text of a file into the draft.

        Raises:
            Unreadable: The file gives no text.
        """


def main(arguments: Sequence[str]) -> int:
    """Answer tasks until there are no more; the exit code says whether a new process may take over."""
    limits = msgspec.json.decode(arguments[0], type=Limits)
    # What a library prints must not get between the answers.
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # One file takes its time on every core at most; what a process may take is that twice, and at half it makes way.
    cpu = int((limits.seconds + GRACE_SECONDS) * (os.cpu_count() or 1)) + 1
    try:
        in_force = before_loading()
        extractors = _load(arguments[1:])
        in_force += after_loading(memory=_memory()[0] + limits.memory, cpu=2 * cpu + int(time.process_time()))
    except ConfinementError as error:
        _say(answers, Failed(str(error)))
        return UNCONFINED
    _say(answers, Started(in_force))
    while True:
        if not select.select([0], [], [], IDLE_SECONDS)[0]:
            return RETIRED
        head = _read(FRAME.size)
        if not head:
            return 0
        described, size = FRAME.unpack(head)
        task = msgspec.json.decode(_read(described), type=Task)
        # A parser that never comes back keeps every Python thread waiting; this clock runs outside of Python.
        faulthandler.dump_traceback_later(limits.seconds + GRACE_SECONDS, exit=True)
        draft = Draft(limits.text, lambda image: _recognised(answers, image, limits))
        answer = _answer(extractors, task, size, draft, limits)
        faulthandler.cancel_dump_traceback_later()
        _say(answers, answer)
        del answer, draft
        gc.collect()
        if _memory()[1] > _GROWN or time.process_time() > cpu:
            return RETIRED


def _load(names: Sequence[str]) -> dict[str, Extractor]:
    """The extractors to use, by the names of their modules, ready to work."""
    modules: dict[str, Any] = {name: importlib.import_module(name) for name in names}
    for module in modules.values():
        module.prepare()
    return modules


def _recognised(answers: int, image: bytes, limits: Limits) -> str:
    """Have the owner of this process recognise the text in an image, which may take longer than parsing.

    Raises:
        Unreadable: There is none to be had.
    """
    faulthandler.dump_traceback_later(limits.ocr_seconds + GRACE_SECONDS, exit=True)
    _write(answers, FRAME.pack(0, len(image)))
    _write(answers, image)
    size, _ = FRAME.unpack(_read(FRAME.size))
    found = msgspec.json.decode(_read(size), type=Recognised)
    if found.reason:
        raise Unreadable(found.reason, found.remedy)
    return found.text


def _answer(
    extractors: dict[str, Extractor], task: Task, size: int, draft: Draft, limits: Limits
) -> Extracted | Refused:
    try:
        extractors[task.extractor].extract(task.name, _read(size), draft, limits)
        return draft.done()
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
    except Exception as error:  # noqa: BLE001 - whatever a parser of a broken file raises is told as its reason
        return Refused(f"cannot be read: it seems to be damaged ({_told(error)})", "Open it with its own program")


def _told(error: Exception) -> str:
    """An error of a library in few words."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 160 else f"{words[:160]}…"  # noqa: PLR2004 - about two lines of a terminal


def _memory() -> tuple[int, int]:
    """Bytes of address space and of memory in use now; nothing where the system does not say."""
    if _STATM is None:
        return 0, 0
    pages = os.sysconf("SC_PAGE_SIZE")
    total, resident = os.pread(_STATM, 200, 0).split()[:2]
    return int(total) * pages, int(resident) * pages


def _read(size: int) -> bytes:
    """So many bytes of standard input; none where it ends."""
    parts = bytearray()
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
    # Libraries with threads of their own may crash in an orderly end.
    os._exit(code)
