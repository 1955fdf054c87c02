"""CPU time, including full scans, and memory of an idle daemon."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from benchmarks.child import progress
from benchmarks.daemon import notes_program, succeeded
from benchmarks.table import Row, at_most
from kb.config import Config

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "resting"
SECONDS: Final = 300
_SETTLING: Final = 5.0
_SWEEPS: Final = 5
_MEGABYTE: Final = 1_000_000


def rows(work: Bench) -> list[Row]:
    """Measure some idle minutes, and then some full scans."""
    kb = notes_program(work)
    files = sum(1 for _ in work.notes.rglob("*.md"))
    seconds = work.scaled(SECONDS)
    with kb.daemon(work.folder / "resting.log") as daemon:
        succeeded(kb("search", "--weak", "anything"))
        time.sleep(_SETTLING)
        progress(f"{NAME}: {seconds} s over {files} files")
        memory, processor, began = daemon.memory(), daemon.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        wall = time.monotonic() - began
        rest, grown = daemon.cpu_seconds() - processor, daemon.memory() - memory
        processor = daemon.cpu_seconds()
        for _ in range(_SWEEPS):
            succeeded(kb("sync"))
        sweep = (daemon.cpu_seconds() - processor) / _SWEEPS
    return judged(rest / wall, sweep, grown, memory, f"{files} files, {wall:.0f} s")


def judged(rest: float, sweep: float, grown: int, memory: int, what: str) -> list[Row]:
    """The rows for the idle share of a core, the seconds of a full scan, and the growth of memory in bytes."""
    every = Config().watch.sweep_minutes * 60
    share = 100 * (rest + sweep / every)
    return [
        at_most(NAME, f"share of one core, {what}, sweeps included", share, 0.5, "%"),
        at_most(NAME, "memory at the end / at the beginning", (memory + grown) / memory, 1.01, "x"),
        Row(
            NAME, "without sweeps; one sweep, asked for", f"{100 * rest:.2f} %; {sweep * 1000:.0f} ms every {every:g} s"
        ),
        Row(NAME, "memory", f"{memory / _MEGABYTE:.0f} MB, {grown / _MEGABYTE:+.1f} MB in that time"),
    ]
