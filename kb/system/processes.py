"""Other processes: whether one is alive, and how children of kb are started, import kb and end with their parent."""

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


def import_path() -> str:
    """The PYTHONPATH by which a child finds this kb and its libraries, and nothing relative to a current folder."""
    from pathlib import Path

    here = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([here, *(entry for entry in inherited if Path(entry).is_absolute())])


def end_with_parent() -> None:
    """End this process once its parent closes standard input, as it does when it ends in any way."""
    import threading

    def wait() -> None:
        # Not with sys.stdin: at exit, Python may abort if a thread still reads a buffered stream.
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def may_be(pid: int, started: int) -> bool:
    """Whether a process may be the one that ``subprocess`` started under some id.

    In a virtual environment on Windows it need not have that id: ``python.exe`` there starts another process.
    """
    return WINDOWS or pid == started
