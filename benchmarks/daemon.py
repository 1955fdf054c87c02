"""Running a daemon over benchmark files, and helpers for several benchmarks."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import clean_environment
from benchmarks.indexing import settings
from kb.evaluation.bench import Program
from kb.service.client import ask

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench
    from kb.evaluation.bench import CommandResult

_PATIENCE: Final = 1800.0
_LOOK: Final = 0.1


def program(docs: Path, store: Path, threads: int = 0) -> Program:
    """The ``kb`` command for a folder of documents and a store."""
    settings(str(docs), str(store), threads)
    return Program(["--config", f"{store}.toml"], os.path.realpath(store), clean_environment())


def notes_program(work: Bench) -> Program:
    """The ``kb`` command for the store of small notes, which is filled first."""
    work.first_run  # noqa: B018 - fills the store
    return program(work.notes, work.notes_store, work.threads)


def succeeded(ran: CommandResult) -> CommandResult:
    """Return the result of a command that succeeded.

    Raises:
        RuntimeError: It failed.
    """
    if ran.code:
        raise RuntimeError(f"kb ended with code {ran.code}: {ran.err[-2000:]}")
    return ran


def json_output(kb: Program, *args: str) -> dict[str, Any]:
    """The JSON output of a command."""
    value: dict[str, Any] = json.loads(succeeded(kb(*args, "--json")).out)
    return value


def waiting(kb: Program) -> int:
    """The number of changes that are waiting to be indexed.

    Raises:
        RuntimeError: The daemon has ended.
    """
    state = ask(kb.store, "/status")
    if state is None:
        raise RuntimeError("the daemon has ended")
    return int(state["waiting"])


def until_indexed(kb: Program, files: int) -> None:
    """Wait, without requesting a scan, until a number of files is indexed and none is waiting.

    Raises:
        RuntimeError: It takes too long.
    """
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if not waiting(kb) and json_output(kb, "status")["files"] == files:
            return
        time.sleep(_LOOK)
    raise RuntimeError(f"there are not {files} files in the index after {_PATIENCE:.0f} s")
