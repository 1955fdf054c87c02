"""Other processes: whether one is alive, and how one is started that the keys of this terminal do not reach."""

from __future__ import annotations

import os
import sys

from kb.system import WINDOWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs. Ids below 1 would address groups of processes."""
    if pid < 1:
        return False
    if WINDOWS:
        # There, os.kill would end it.
        from kb.system.win32 import is_process_alive

        return is_process_alive(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It exists but belongs to another user.
        return True
    except OverflowError:
        return False
    return True


def apart() -> dict[str, Any]:
    """Arguments of ``subprocess.Popen`` for a process that Ctrl-C in this terminal does not reach.

    On Windows it gets no window either, and outlives the one of its parent.
    """
    if sys.platform == "win32":
        import subprocess

        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def may_be(pid: int, started: int) -> bool:
    """Whether a process may be the one that ``subprocess`` started under some id.

    In a virtual environment on Windows it need not have that id: ``python.exe`` there starts another process.
    """
    return WINDOWS or pid == started
