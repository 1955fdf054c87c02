"""An owner over files of the benchmarks, and what several of them do with one."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import clean_environment
from benchmarks.indexing import settings
from kb.evaluation.bench import CommandResult, Program
from kb.service.client import ask

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench

_PATIENCE: Final = 1800.0
_LOOK: Final = 0.1


def program(docs: Path, store: Path, threads: int = 0) -> Program:
    """The command ``kb`` for these documents and this store."""
    settings(str(docs), str(store), threads)
    return Program(["--config", f"{store}.toml"], os.path.realpath(store), clean_environment())


def notes_program(work: Bench) -> Program:
    """The command ``kb`` for the store of the small notes, which is filled first."""
    work.first_run  # noqa: B018 - fills the store
    return program(work.notes, work.notes_store, work.threads)


def succeeded(ran: CommandResult) -> CommandResult:
    """A command that did what it was to do.

    Raises:
        RuntimeError: It did not.
    """
    if ran.code:
        raise RuntimeError(f"kb ended with code {ran.code}: {ran.err[-2000:]}")
    return ran


def told(kb: Program, *args: str) -> dict[str, Any]:
    """What a command tells as JSON."""
    value: dict[str, Any] = json.loads(succeeded(kb(*args, "--json")).out)
    return value


def waiting(kb: Program) -> int:
    """How many places wait to be taken in.

    Raises:
        RuntimeError: The owner is gone.
    """
    state = ask(kb.store, "/status")
    if state is None:
        raise RuntimeError("the owner has ended")
    return int(state["waiting"])


def until_indexed(kb: Program, files: int) -> None:
    """Wait, without asking for a scan, until so many files are in the index and none waits.

    Raises:
        RuntimeError: That takes too long.
    """
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if not waiting(kb) and told(kb, "status")["files"] == files:
            return
        time.sleep(_LOOK)
    raise RuntimeError(f"there are not {files} files in the index after {_PATIENCE:.0f} s")
