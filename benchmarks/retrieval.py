"""Retrieval quality of every mode on every collection, measured like ``kb eval``.

Embeds about 1.3 million tokens, so it runs only by name (``make bench-quality``).
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import call, progress
from benchmarks.corpora import write_small_notes
from benchmarks.indexing import settings
from benchmarks.table import Row, at_least, at_most, skipped
from kb.app import LocalKnowledgeBase
from kb.cli.commands.eval import ask_with
from kb.container import Container
from kb.evaluation.judged import read_judged
from kb.evaluation.measures import means
from kb.evaluation.run import Names, run_questions
from kb.records import Mode
from kb.testing import FakeEmbedder, FakeTokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.bench import Bench
    from kb.records import Answer

NAME: Final = "retrieval"
MODES: Final = tuple(Mode)
# nDCG@10 by file: BM25 with the right tokenizer, and the bundled model with one vector a document, cut at 256 tokens.
BASELINES: Final = {
    "til-simonw": (0.907, 0.899),
    "cranfield": (0.356, 0.396),
    "xquad/en": (0.965, 0.943),
    "xquad/es": (0.962, 0.632),
    "xquad/zh": (0.967, 0.243),
    "xquad/th": (0.912, 0.102),
    "braindump": (0.794, 0.784),
    # Twelve long filings that differ little: no other numbers than kb's own are known, here of its cosine.
    "sec10q": (0.0, 0.739),
}
ENGLISH: Final = frozenset({"til-simonw", "cranfield", "xquad/en", "braindump", "sec10q"})
# What hybrid aims at beyond the better one of its sides.
GOALS: Final = {"til-simonw": 0.96, "braindump": 0.85, "sec10q": 0.82}
# Where files are long, passages have to gain something over whole documents.
GAINS: Final = {"til-simonw": 0.02}
SPANS: Final = "chunking-eval"
# A question of one collection is foreign to the notes of the other.
FOREIGN: Final = (("til-simonw", "xquad/en"), ("xquad/en", "til-simonw"))
ASKED: Final = 300
PASSAGES: Final = 100_000
TIMED: Final = 100


class Words(FakeEmbedder):
    """A fake model that counts words, for measuring everything else."""

    tokens = FakeTokens()

    def load(self) -> str:
        """Where it runs."""
        return "nowhere"


def rows(work: Bench) -> list[Row]:
    """The rows for every available collection, refusals and time."""
    found: list[Row] = []
    gains: list[float] = []
    for name, (bm25, whole) in BASELINES.items():
        scores = _measured(work, name)
        if scores is None:
            found.append(_absent(work, f"nDCG@10 by file, {name}"))
            continue
        ndcg = {mode: values["nDCG@10"] for mode, values in scores.items()}
        found += judged(name, ndcg, bm25, whole)
        if "hybrid" in ndcg:
            gains.append(ndcg["hybrid"] - max(ndcg["cosine"], bm25))
    if gains:
        found.append(at_least(NAME, "hybrid over the better of BM25 and cosine, mean", fmean(gains), 0.02))
    spans = _measured(work, SPANS)
    found += spanned(spans) if spans else [_absent(work, f"span recall@5, {SPANS}")]
    if "hybrid" in MODES:
        found += [row for own, foreign in FOREIGN for row in _refusals(work, own, foreign)]
        found.append(_time(work))
    return found


def judged(name: str, ndcg: Mapping[str, float], bm25: float, whole: float) -> list[Row]:
    """The rows for a collection: each mode's nDCG@10 by file, with its target."""
    found = []
    for mode, value in ndcg.items():
        what = f"nDCG@10 by file, {name}, {mode}"
        if mode == "cosine" and name in ENGLISH:
            found.append(at_least(NAME, what, value, whole + GAINS.get(name, 0.0)))
        elif mode == "hybrid":
            better = max(bm25, ndcg["cosine"], ndcg.get("keyword", 0.0), GOALS.get(name, 0.0))
            found.append(at_least(NAME, what, value, round(better, 3)))
        elif mode == "keyword" and name not in ENGLISH:
            found.append(at_least(NAME, what, value, bm25))
        else:
            found.append(Row(NAME, what, f"{value:.3f}"))
    return found


def spanned(scores: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """The rows for the collection with exact answer spans."""
    targets = {
        ("cosine", "span recall@5"): 0.80,
        ("cosine", "span IoU@5"): 0.070,
        ("hybrid", "span recall@5"): 0.85,
    }
    found = []
    for mode, values in scores.items():
        for measure, value in values.items():
            what = f"{measure}, {SPANS}, {mode}"
            if target := targets.get((mode, measure)):
                found.append(at_least(NAME, what, value, target))
            elif measure.startswith("span "):
                found.append(Row(NAME, what, f"{value:.3f}"))
    return found


def measure(folder: str, store: str, threads: int) -> dict[str, dict[str, float]]:
    """Index a collection if necessary, and measure each mode like ``kb eval``."""
    judgements = read_judged(folder)
    with LocalKnowledgeBase.open(settings(str(Path(folder, "docs")), store, threads)) as knowledge:
        knowledge.index()
        names = Names(knowledge.documents(), judgements.documents)
        return {mode: means(run_questions(mode, ask_with(knowledge, mode), judgements, names).values) for mode in MODES}


def refused(docs: str, folder: str, store: str, threads: int) -> dict[str, float]:
    """The share of a collection's questions that each mode refuses with a store of other documents."""
    questions = list(read_judged(folder).questions.values())
    some = questions[:: max(1, len(questions) // ASKED)]
    with LocalKnowledgeBase.open(settings(docs, store, threads)) as knowledge:
        return {mode: fmean(not _asked(knowledge, one, mode, weak=False).hits for one in some) for mode in MODES}


def timed(notes: str, store: str, count: int) -> dict[str, float]:
    """The median seconds of a question in each mode, without the model, over a number of passages."""
    parts = Container(settings(notes, store), progress, embedder=Words(384))  # type: ignore[arg-type]  # a fake
    files = sorted(Path(notes).rglob("*.md"))
    questions = [file.read_text("utf-8") for file in files[:: max(1, len(files) // count)]][:count]
    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    with LocalKnowledgeBase(parts) as knowledge:
        knowledge.index()
        knowledge.own(lambda: (True, 0))
        for question in questions:
            for mode, spent in seconds.items():
                began = time.perf_counter()
                _asked(knowledge, question, mode, weak=True)
                spent.append(time.perf_counter() - began)
    return {mode: median(spent) for mode, spent in seconds.items()}


def _asked(knowledge: LocalKnowledgeBase, question: str, mode: str, *, weak: bool) -> Answer:
    """A user's answer in a mode."""
    wanted: dict[str, Any] = {"mode": mode, "weak": weak, "literal": True}
    return knowledge.search(question, **wanted)


def _measured(work: Bench, name: str) -> dict[str, dict[str, float]] | None:
    collection = work.collection(name)
    if collection is None:
        return None
    progress(f"{NAME}: {name}, {len(collection.questions)} questions, {', '.join(MODES)}")
    found: dict[str, dict[str, float]] = call(
        "retrieval:measure", folder=str(collection.docs.parent), store=str(_store(work, name)), threads=work.threads
    )
    return found


def _store(work: Bench, name: str) -> Path:
    collection = work.collection(name)
    docs = str(collection.docs) if collection else name
    return work.stores.setdefault(docs, work.folder / f"quality-{name.replace('/', '-')}")


def _refusals(work: Bench, own: str, foreign: str) -> list[Row]:
    asked, strange = work.collection(own), work.collection(foreign)
    if asked is None or strange is None:
        return [_absent(work, f"refusals, {own}")]
    common = {"docs": str(asked.docs), "store": str(_store(work, own)), "threads": work.threads}
    ours, theirs = (call("retrieval:refused", folder=str(one.docs.parent), **common) for one in (asked, strange))
    found = []
    for mode in MODES:
        what = f"questions of {foreign} refused by {own}, {mode}"
        found.append(at_least(NAME, what, 100 * theirs[mode], 90, "%", digits=1))
        found.append(at_most(NAME, f"own questions refused by {own}, {mode}", 100 * ours[mode], 5, "%", digits=1))
    return found


def _time(work: Bench) -> Row:
    count = work.scaled(PASSAGES)
    notes = work.folder / "many"
    progress(f"{NAME}: {count} passages")
    write_small_notes(notes, count)
    found = call("retrieval:timed", notes=str(notes), store=str(work.folder / "many-store"), count=TIMED)
    told = f"a question, hybrid / cosine, {count} passages, without the model"
    return at_most(NAME, told, found["hybrid"] / found["cosine"], 1.6, "x")


def _absent(work: Bench, what: str) -> Row:
    where = f"in {work.data}" if work.data else "(name a folder with --data)"
    return skipped(NAME, what, f"the collection is not {where}", "")
