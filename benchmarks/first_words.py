"""A first run with a large model: how soon all notes are found by their words."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.child import call, progress
from benchmarks.indexing import MODEL, settings
from benchmarks.made import MadeModel, write_notes
from benchmarks.table import Row, at_most
from kb.app import LocalKnowledgeBase
from kb.container import Container
from kb.embedding.locate import locate
from kb.embedding.tokens import ModelTokens

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "scale-first"
NOTES: Final = 5_000
_PASSAGES: Final = 3
# A model of bge-m3's size on two cores.
_TOKENS_PER_SECOND: Final = 500.0
_TURNS: Final = 3


def rows(work: Bench) -> list[Row]:
    """Index notes of three passages with a slow model, up to where all are found by their words."""
    count = work.scaled(NOTES)
    found = call("first_words:measure", folder=str(work.folder / "first"), notes=count)
    what = f"{count} notes of {_PASSAGES} passages: all findable by words after"
    return [
        at_most(NAME, what, found["wall"], 30, "s", digits=1),
        Row(NAME, "CPU time of that", f"{found['processor']:.1f} s, {found['each']:.2f} ms a passage"),
        Row(NAME, "found by their words, of those that are asked for", f"{found['found']} of {found['asked']}"),
        Row(NAME, "meanwhile embedded", f"{found['embedded']} of {found['passages']} passages"),
    ]


def measure(folder: str, notes: int) -> dict[str, float]:
    """The time of the words, and how many notes are found while the vectors follow."""
    docs = Path(folder) / "docs"
    write_notes(docs, notes, _PASSAGES)
    model = MadeModel(notes * _PASSAGES, delay=lambda tokens: time.sleep(tokens / _TOKENS_PER_SECOND))
    model.tokens = ModelTokens(locate(MODEL, offline=True).directory)
    with LocalKnowledgeBase(Container(settings(str(docs), f"{folder}/store"), progress, embedder=model.encoder)) as kb:
        kb.own()
        wall, processor = time.perf_counter(), time.process_time()
        report, embedding = kb.update()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        turns = iter(range(_TURNS))
        kb.embed(embedding, should_pause=lambda: next(turns, None) is None)
        asked = [f"Note {number}" for number in range(0, notes, max(1, notes // 50))]
        found = sum(_finds(kb, title) for title in asked)
    return {
        "wall": wall,
        "processor": processor,
        "each": processor * 1000 / report.total,
        "passages": report.total,
        "embedded": embedding.embedded,
        "asked": len(asked),
        "found": found,
    }


def _finds(kb: LocalKnowledgeBase, title: str) -> bool:
    answer = kb.search(f'"{title}"', mode="hybrid", weak=True, limit=3)
    return any(hit.passage.file.title == title for hit in answer.hits)
