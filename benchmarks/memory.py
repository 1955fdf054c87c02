"""Peak memory of indexing many files, relative to the bare model in the same runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.child import call, progress
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "memory"
# The default of sentence-transformers.
BATCH_SIZE: Final = 32
# kb's default for the model.
BATCH: Final = 0
_MEGABYTE: Final = 1_000_000


def rows(work: Bench) -> list[Row]:
    """Measure each in a separate process."""
    kb = work.first_run
    texts = str(work.folder / "notes-texts.json")
    count = call("indexing:texts_of", docs=str(work.notes), store=str(work.folder / "notes-texts"), file=texts)
    progress(f"{NAME}: bare encode of {count} texts")
    bare = call("indexing:bare_encode", file=texts, batch=BATCH, threads=work.threads)
    torch = call("indexing:torch_encode", file=texts, batch_size=BATCH_SIZE, threads=work.threads)
    peaks = [one["peak"] / _MEGABYTE for one in (kb, bare, torch)]
    told = f"kb {peaks[0]:.0f} MB, bare in {bare['runtime']} {peaks[1]:.0f} MB, sentence-transformers {peaks[2]:.0f} MB"
    return [
        at_most(NAME, f"kb index, {count} files, above the bare encode", peaks[0] - peaks[1], 300, "MB", digits=0),
        Row(NAME, "peaks", told),
        Row(NAME, "first index run, with loading", f"{kb['wall']:.0f} s for {kb['passages']} passages"),
    ]
