"""nDCG@10 on judged collections with the bundled model, ranking files by their best passage."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

from benchmarks.child import call, progress
from benchmarks.corpora import read_collection
from benchmarks.indexing import settings
from benchmarks.ndcg import ndcg
from benchmarks.table import Row, at_least, skipped
from kb.app import LocalKnowledgeBase

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "quality"
DEPTH: Final = 10
# nDCG@10 of the same model with one vector per document, truncated to 256 tokens, by exact cosine.
BASELINES: Final = {"til-simonw": 0.899, "cranfield": 0.396}


def rows(work: Bench) -> list[Row]:
    """One row for each collection. Baselines are of whole collections, so sizes are not scaled down."""
    return [_row(work, name, baseline) for name, baseline in BASELINES.items()]


def _row(work: Bench, name: str, baseline: float) -> Row:
    what = f"nDCG@10 by file, {name}"
    collection = work.collection(name)
    if collection is None:
        where = f"in {work.data}" if work.data else "(name a folder with --data)"
        return skipped(NAME, what, f"there is no {name} {where}", f"at least {baseline:.3f}")
    store = work.stores.setdefault(str(collection.docs), work.folder / f"quality-{name}")
    progress(f"{NAME}: {name}, {len(collection.questions)} questions")
    found = call("quality:measure", folder=str(collection.docs.parent), store=str(store), threads=work.threads)
    return at_least(NAME, what, found, baseline)


def measure(folder: str, store: str, threads: int, more: dict[str, str] | None = None) -> float:
    """Index a collection if necessary, and ask all its questions through the public API."""
    collection = read_collection(Path(folder))
    scores = []
    with LocalKnowledgeBase.open(settings(str(collection.docs), store, threads, **(more or {}))) as knowledge:
        knowledge.index()
        for number, (id_, question) in enumerate(collection.questions.items(), 1):
            hits = knowledge.search(question, per_file=1, limit=DEPTH, literal=True).hits
            scores.append(ndcg([Path(hit.passage.file.path).stem for hit in hits], collection.relevant[id_], DEPTH))
            if number % 100 == 0:
                progress(f"{NAME}: {number} questions, nDCG@10 so far {fmean(scores):.3f}")
    return fmean(scores)
