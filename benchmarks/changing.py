"""What one changed file costs, by the number of files beside it."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.child import call, progress
from benchmarks.indexing import settings
from benchmarks.made import MadeModel, Texts, note_path, write_notes
from benchmarks.table import Row, at_most
from kb.app import LocalKnowledgeBase
from kb.container import Container
from kb.files.scan import Disk
from kb.indexing.places import LastRun, compare_places
from kb.search.links import LinkResolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from kb.records import Subtree

NAME: Final = "scale-change"
FEW: Final = 1_000
MANY: Final = 100_000
_TIMES: Final = 15
_SCAN: Final = "scan and plan"
_RUN: Final = "index run, words and vectors"


def rows(work: Bench) -> list[Row]:
    """One file changed among few and among many: scan and plan, and everything that follows."""
    few, many = work.scaled(FEW), work.scaled(MANY)
    found = {
        count: call("changing:measure", folder=str(work.folder / f"change-{count}"), files=count)
        for count in (few, many)
    }
    ratio = {what: found[many][what] / found[few][what] for what in found[few]}
    told = [
        Row(NAME, f"{what}, CPU", f"{found[few][what]:.2f} ms among {few}, {found[many][what]:.2f} ms among {many}")
        for what in found[few]
    ]
    beside = f"relative to that among {few}"
    return [
        at_most(NAME, f"scan and plan of one changed file among {many}, CPU, {beside}", ratio[_SCAN], 2, "x"),
        at_most(NAME, f"its whole index run, {beside}", ratio[_RUN], 2, "x"),
        *told,
    ]


def measure(folder: str, files: int) -> dict[str, float]:
    """Milliseconds of CPU time for each thing that follows a change, the median of several changes."""
    docs = Path(folder) / "docs"
    write_notes(docs, files, 1)
    model = MadeModel(files)
    parts = Container(settings(str(docs), f"{folder}/store"), progress, embedder=model.encoder)
    progress(f"{NAME}: indexing {files} files")
    with LocalKnowledgeBase(parts) as kb:
        kb.own(lambda: (True, 0))
        _index(kb, None)
        texts, salt = Texts(), time.time_ns()
        spent: dict[str, list[float]] = {}
        for number in range(_TIMES):
            path = note_path(number * 7 % files)
            (docs / path).write_text(texts.note(salt + number, 1), "utf-8")
            for what, act in _steps(kb, parts, {(str(docs), path)}):
                began = time.process_time()
                act()
                spent.setdefault(what, []).append((time.process_time() - began) * 1000)
    return {what: median(milliseconds) for what, milliseconds in spent.items()}


def _steps(
    kb: LocalKnowledgeBase, parts: Container, places: set[Subtree]
) -> tuple[tuple[str, Callable[[], object]], ...]:
    """What a daemon does after a change, and what is asked of it then."""
    catalog, disk = parts.catalog, parts.files
    last = parts.indexer._last  # noqa: SLF001 - what the index run itself goes by
    if not isinstance(disk, Disk) or not isinstance(last, LastRun):
        raise TypeError("the index run before left nothing to go by")
    return (
        (_SCAN, lambda: compare_places(disk, catalog, places, last)),
        (_RUN, lambda: _index(kb, places)),
        ("counts for an answer", parts.store.freshness),
        ("the list of all files, for filters", catalog.files),
        ("where links lead", LinkResolver(catalog, disk).broken),
        ("a question by meaning", lambda: kb.search("what was changed", weak=True, mode="cosine")),
        ("a question by both", lambda: kb.search("what was changed", weak=True, mode="hybrid")),
        ("a scan and plan of everything", parts.store.comparison),
        ("kb status", kb.status),
    )


def _index(kb: LocalKnowledgeBase, places: set[Subtree] | None) -> None:
    _, embedding = kb.update(places=places)
    while kb.embed(embedding):
        pass
