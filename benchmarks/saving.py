"""The time from saving a file to finding it with ``kb search``, with an idle daemon."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Final

from benchmarks.child import progress
from benchmarks.daemon import notes_program, succeeded, until_indexed
from benchmarks.table import Row, at_most
from kb.config import Config
from kb.evaluation.bench import Times, seconds_until_found

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "saving"
SAVES: Final = 60
_LEAST: Final = 10
_REST: Final = 0.2


def rows(work: Bench) -> list[Row]:
    """Alternate new files and rewritten files."""
    kb = notes_program(work)
    quiet = Config().watch.quiet_ms / 1000
    files = sum(1 for _ in work.notes.rglob("*.md"))
    saves = max(_LEAST, work.scaled(SAVES))
    new = work.notes / "saved"
    new.mkdir()
    seconds = []
    progress(f"{NAME}: {saves} saves beside {files} files")
    with kb.daemon(work.folder / "saving.log"):
        for number in range(saves):
            text = f"Saved for the {number}th time: kobalu remi {number * 7919} tifo."
            seconds.append(seconds_until_found(kb, new / f"saved-{number // 2}.md", text))
            until_indexed(kb, files + len(list(new.iterdir())))
            time.sleep(_REST)
        shutil.rmtree(new)
        succeeded(kb("sync"))
    return judged(Times(tuple(seconds)), quiet, files)


def judged(times: Times, quiet: float, files: int) -> list[Row]:
    """The rows for the measurements."""
    summary = f"p50 {times.p50:.2f} s, most {max(times.seconds):.2f} s, quiet {quiet:.1f} s"
    return [
        at_most(NAME, f"end of a save to found by kb search, {files} files, p95", times.p95, quiet + 0.5, "s"),
        Row(NAME, f"{times.count} saves", summary),
    ]
