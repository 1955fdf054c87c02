"""The time from saving a file to finding it by its words, and by its meaning, with an idle daemon."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Final

from benchmarks.child import progress
from benchmarks.daemon import notes_program, succeeded, until_indexed
from benchmarks.indexing import settings
from benchmarks.table import Row, at_most
from kb.evaluation.bench import Times
from kb.knowledge_base import KnowledgeBase
from kb.records import Mode

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench

NAME: Final = "scale-saving"
SAVES: Final = 60
_LEAST: Final = 10
_REST: Final = 0.2
_WITHIN: Final = 60.0
_BETWEEN: Final = 0.01


def rows(work: Bench) -> list[Row]:
    """Alternate new files and rewritten files, beside 10,000."""
    kb = notes_program(work)
    files = sum(1 for _ in work.notes.rglob("*.md"))
    saves = max(_LEAST, work.scaled(SAVES))
    new = work.notes / "saved"
    new.mkdir()
    words, meaning = [], []
    progress(f"{NAME}: {saves} saves beside {files} files")
    with kb.daemon(work.folder / "meaning.log"):
        with KnowledgeBase.open(settings(str(work.notes), str(work.notes_store), work.threads)) as asked:
            for number in range(saves):
                text = f"Saved for the {number}th time: kobalu remi {number * 7919} tifo."
                took = _seconds(asked, new / f"saved-{number // 2}.md", text)
                words.append(took[Mode.KEYWORD])
                meaning.append(took[Mode.COSINE])
                until_indexed(kb, files + len(list(new.iterdir())))
                time.sleep(_REST)
        shutil.rmtree(new)
        succeeded(kb("sync"))
    by_words, by_meaning = Times(tuple(words)), Times(tuple(meaning))
    return [
        at_most(NAME, f"end of a save to found by words, {files} files, p95", by_words.p95, 0.5, "s"),
        at_most(NAME, f"end of a save to found by meaning, {files} files, p95", by_meaning.p95, 0.8, "s"),
        Row(NAME, f"p50 of {saves} saves", f"{by_words.p50:.2f} s by words, {by_meaning.p50:.2f} s by meaning"),
    ]


def _seconds(kb: KnowledgeBase, file: Path, text: str) -> dict[Mode, float]:
    """Write a note, and ask in both modes by turns until each finds it: the seconds since the end of the write.

    Raises:
        RuntimeError: It is not found.
    """
    file.write_text(f"{text}\n", "utf-8")
    began = time.perf_counter()
    found: dict[Mode, float] = {}
    while time.perf_counter() - began < _WITHIN:
        for mode in (Mode.KEYWORD, Mode.COSINE):
            if mode not in found and _finds(kb, text, mode):
                found[mode] = time.perf_counter() - began
        if len(found) > 1:
            return found
        time.sleep(_BETWEEN)
    raise RuntimeError(f"a note was not found {_WITHIN:.0f} s after it was saved")


def _finds(kb: KnowledgeBase, text: str, mode: Mode) -> bool:
    return any(text in hit.passage.text for hit in kb.search(text, mode=mode, weak=True).hits)
