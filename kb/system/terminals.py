"""The terminal that a command is typed in: which one it is, what it can show, and how streams are encoded."""

from __future__ import annotations

import os
import sys

from kb.system import WINDOWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TextIO


def terminal_id(environ: Mapping[str, str]) -> str:
    """What tells the terminal from others, in letters and digits.

    It is the session of the process; on Windows the tab of Windows Terminal, else the window of the console.
    """
    if sys.platform != "win32":
        return str(os.getsid(0))
    if tab := environ.get("WT_SESSION", ""):
        return tab.replace("-", "")
    from kb.system.win32 import console_window

    return str(console_window())


def prepare_streams() -> None:
    """Write UTF-8 to pipes and files, where Windows would take the code page of old programs.

    A console takes any character anyway.
    """
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr) if WINDOWS else ()
    for stream in streams:
        if stream is not None and not stream.isatty():
            stream.reconfigure(encoding="utf-8")


def open_missing_streams() -> None:
    """Open standard output and standard error where they were closed, as by ``kb list >&-``.

    What is written to standard output then fails as on a full disk, and no file of the store gets its number, into
    which a library would print. A program without a console on Windows has no streams at all, and needs none.
    """
    if WINDOWS:
        return
    if sys.stdout is None:
        # It cannot be written to: the command has to say so.
        sys.stdout = _opened(1, os.O_RDONLY)
    if sys.stderr is None:
        sys.stderr = _opened(2, os.O_WRONLY)


def _opened(number: int, flags: int) -> TextIO:
    """Return a stream with this number that leads nowhere."""
    descriptor = os.open(os.devnull, flags)
    if descriptor != number:
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.set_inheritable(number, True)
    return open(number, "w", encoding="utf-8", closefd=False)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; a program without a console has none on Windows."""
    return stream is not None and stream.isatty()


def terminal_size(which: int, descriptor: int = 1) -> int:
    """Return the columns (0) or lines (1) of a terminal, as ``shutil.get_terminal_size`` does; 0 if there is none."""
    given = os.environ.get(("COLUMNS", "LINES")[which], "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(descriptor)[which]
    except OSError:
        return 0


def leave_standard_output() -> None:
    """Have standard output lead nowhere, so that what is left in its buffer does not fail again at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def environment_of_terminal(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that tell what the terminal lacks: ``TERM=dumb`` for a console without colours and links.

    Consoles of Windows interpret escape sequences when they are asked to, which this does.
    """
    if not WINDOWS or "TERM" in environ:
        return {}
    from kb.system.win32 import show_escapes

    return {} if show_escapes() else {"TERM": "dumb"}
