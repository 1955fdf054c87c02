"""Thousands of files written at once while a daemon runs: all found, none twice, and nearly at the model's speed."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import call, progress
from benchmarks.corpora import write_paragraphs
from benchmarks.daemon import json_output, program, until_indexed
from benchmarks.index_speed import beside_torch
from benchmarks.table import Row, at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

NAME: Final = "burst"
FILES: Final = 5000


def rows(work: Bench) -> list[Row]:
    """Compare the daemon with the bare model in the same runtime over the same texts."""
    docs, count = work.folder / "burst", work.scaled(FILES)
    docs.mkdir()
    kb = program(docs, work.folder / "burst-store", work.threads)
    with kb.daemon(work.folder / "burst.log"):
        progress(f"{NAME}: writing {count} files")
        began = time.perf_counter()
        write_paragraphs(docs, count)
        written = time.perf_counter() - began
        until_indexed(kb, count)
        wall = time.perf_counter() - began
        listed = [file["path"] for file in json_output(kb, "list")["files"]]
        checked = json_output(kb, "check")
    texts = str(work.folder / "burst-texts.json")
    passages = call("indexing:texts_of", docs=str(docs), store=str(work.folder / "burst-texts"), file=texts)
    progress(f"{NAME}: bare encode of {passages} texts (the daemon took {wall:.1f} s)")
    batch = call("indexing:best_batch", file=texts, threads=work.threads)
    bare = call("indexing:bare_encode", file=texts, batch=batch, threads=work.threads)
    missed = sum(1 for file in docs.iterdir() if str(file) not in set(listed))
    walls = {"owner": wall, "bare": bare["wall"], "writing": written}
    torch = beside_torch(NAME, "first file written to all found", wall, texts, work.threads)
    return [*judged(listed, missed, checked, walls, passages), torch]


def judged(
    listed: Sequence[str], missed: int, checked: dict[str, Any], walls: dict[str, float], passages: int
) -> list[Row]:
    """The rows for the files found and the time."""
    twice = sum(times > 1 for times in Counter(listed).values())
    differences = len(checked["differences"])
    wrong = f"{missed} missed, {twice} twice, {differences} differences"
    seconds = ", ".join(f"{name} {wall:.1f} s" for name, wall in walls.items())
    return [
        Row(NAME, f"{len(listed) + missed} files at once", wrong, "none", not missed and not twice and not differences),
        at_most(NAME, "first file written to all found / bare encode", walls["owner"] / walls["bare"], 1.10, "x"),
        Row(NAME, f"{passages} passages", f"{passages / walls['owner']:.0f} passages/s; {seconds}"),
    ]
