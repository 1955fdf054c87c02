"""Memory of a daemon after many rounds of indexing and deleting files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from benchmarks.child import progress
from benchmarks.corpora import write_paragraphs
from benchmarks.daemon import json_output, program, succeeded
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

NAME: Final = "rounds"
ROUNDS: Final = 24
FILES: Final = 500
_SETTLED: Final = 3
_MEGABYTE: Final = 1_000_000


def rows(work: Bench) -> list[Row]:
    """Use other texts each time; more files stay than go, so that no deletion is withheld."""
    docs, count = work.folder / "rounds", work.scaled(FILES)
    write_paragraphs(docs / "staying", count + 1, seed=7)
    kb = program(docs, work.folder / "rounds-store", work.threads)
    megabytes = []
    with kb.daemon(work.folder / "rounds.log") as daemon:
        for number in range(1, ROUNDS + 1):
            write_paragraphs(docs / "coming", count, seed=100 + number)
            succeeded(kb("sync"))
            shutil.rmtree(docs / "coming")
            succeeded(kb("sync"))
            if (left := json_output(kb, "status")["files"]) != count + 1:
                raise RuntimeError(f"{left} files are left in the index, not {count + 1}")
            megabytes.append(daemon.memory() / _MEGABYTE)
            progress(f"{NAME}: round {number} of {ROUNDS}, {megabytes[-1]:.0f} MB")
    return judged(megabytes, count)


def judged(megabytes: Sequence[float], files: int) -> list[Row]:
    """The rows for the memory after each round."""
    what = f"memory after {len(megabytes)} rounds of {files} files / after round {_SETTLED}"
    told_all = ", ".join(f"{one:.0f}" for one in megabytes)
    return [
        at_most(NAME, what, megabytes[-1] / megabytes[_SETTLED - 1], 1.10, "x"),
        Row(NAME, "MB after each round", told_all),
    ]
