"""The terminal that a command is typed in: which one it is, what it can show, and how streams are encoded."""

from __future__ import annotations

import os
import sys

from kb.system import WINDOWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


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


def environment_of_terminal(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that tell what the terminal lacks: ``TERM=dumb`` for a console without colours and links.

    Consoles of Windows interpret escape sequences when they are asked to, which this does.
    """
    if not WINDOWS or "TERM" in environ:
        return {}
    from kb.system.win32 import show_escapes

    return {} if show_escapes() else {"TERM": "dumb"}
