"""Private copies of a catalog: those of processes that were killed are removed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from kb.backup.staging import private_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_copies_of_processes_that_ended_are_removed(tmp_path: Path) -> None:
    """One of a process that runs stays, and so does what has another name; a number may be that of no process."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (f"copying-{ended.pid}-a", "copying-0-b", f"copying-{10**20}-c", f"copying-{os.getpid()}-d", "other"):
        (tmp_path / name).mkdir()

    with private_folder(str(tmp_path)) as folder:
        assert folder.parent == tmp_path
        assert {path.name for path in tmp_path.iterdir()} == {f"copying-{os.getpid()}-d", "other", folder.name}
    assert not folder.exists()
