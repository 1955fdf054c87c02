"""Questions over a large store: their time, the memory of its owner, its disk, and recall against exact search.

The store is made by an index run as any other, with vectors that no model computed. With ``--stores`` it is kept, so
that another run asks it again, or finishes it where it was stopped.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.child import call, progress
from benchmarks.indexing import peak_memory, settings
from benchmarks.made import PER_FILE, MadeModel, Texts, write_notes
from benchmarks.table import Row, at_least, at_most
from kb.app import LocalKnowledgeBase
from kb.container import Container
from kb.records import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.bench import Bench
    from kb.records import IndexProgress

NAME: Final = "scale-questions"
PASSAGES: Final = 1_000_000
QUESTIONS: Final = 100
DEPTH: Final = 10
_WARM_UP: Final = 5
_PAGE: Final = 5_000
_BETWEEN: Final = 20.0
_GIGABYTE: Final = 1e9
_FILES: Final = (
    ("catalog", "catalog.sqlite3*"),
    ("embedding cache", "embeddings.sqlite3*"),
    ("vector index", "generation-*/**/*"),
)


def rows(work: Bench) -> list[Row]:
    """The largest store that is asked for; ``--scale 10`` makes it of a tenth of the passages."""
    files = work.scaled(PASSAGES // PER_FILE)
    folder = (work.stores_folder or work.folder) / f"big-{files}"
    built = call("large:build", folder=str(folder), files=files)
    found = call("large:measure", folder=str(folder), files=files)
    size = f"{found['passages']:,} passages of {files:,} files"
    sizes = ", ".join(f"{name} {found['sizes'][name] / found['passages'] / 1000:.1f}" for name, _ in _FILES)
    return [
        at_most(NAME, f"a question in cosine, p50, {size}", found["cosine"]["p50"], 60, "ms", digits=0),
        at_most(NAME, f"a question in hybrid, p50, {size}", found["hybrid"]["p50"], 150, "ms", digits=0),
        at_most(NAME, f"memory of the owner, {size}", found["memory"] / _GIGABYTE, 4, "GB", digits=2),
        at_least(NAME, f"recall@{DEPTH} in cosine, {size}", found["recall"], 0.999, digits=4),
        Row(NAME, "p95 in cosine and in hybrid", f"{found['cosine']['p95']:.0f}, {found['hybrid']['p95']:.0f} ms"),
        Row(NAME, "CPU time of a question, p50", f"{found['cosine']['cpu']:.0f}, {found['hybrid']['cpu']:.0f} ms"),
        Row(NAME, "disk, kB per passage", sizes),
        Row(NAME, "opening, until the first answer", f"{found['opening']:.1f} s"),
        Row(NAME, "making it, words and vectors, CPU time", f"{built['words']:.0f} s, {built['vectors']:.0f} s"),
    ]


def build(folder: str, files: int) -> dict[str, float]:
    """Index made notes, or what is left of them; returns the seconds of CPU time of words and of vectors."""
    docs = Path(folder) / "docs"
    write_notes(docs, files)
    with LocalKnowledgeBase(_parts(folder, files)) as kb:
        began = time.process_time()
        report, embedding = kb.update(on_progress=_Told())
        words = time.process_time() - began
        if report.unembedded:
            while kb.embed(embedding):
                pass
        return {"words": words, "vectors": time.process_time() - began - words}


class _Told:
    """Prints the progress now and then."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, now: IndexProgress) -> None:
        """Print it, if the last time is long ago."""
        if time.monotonic() - self._last > _BETWEEN:
            self._last = time.monotonic()
            done = f"{now.files} of {now.files_total} files, {now.embedded_of} of {now.to_embed} passages"
            progress(f"{NAME}: {now.doing}, {done}")


def measure(folder: str, files: int) -> dict[str, Any]:
    """Ask an owner of the store, and compare what it finds with exact search."""
    parts = _parts(folder, files)
    texts, model = Texts(), MadeModel(files * PER_FILE)
    questions = [texts.question(number) for number in range(_WARM_UP + QUESTIONS)]
    with LocalKnowledgeBase(parts) as kb:
        began = time.perf_counter()
        kb.own(lambda: (True, 0))
        kb.search(questions[0], weak=True)
        opening = time.perf_counter() - began
        found, cosine = _asked(kb, questions, Mode.COSINE)
        _, hybrid = _asked(kb, questions, Mode.HYBRID)
        memory = peak_memory()
        passages = parts.catalog.count()
        vectors = np.array([model.embed_query(one) for one in questions[_WARM_UP:]])
        nearest = _nearest(parts, vectors)
    shares = [len(one & other) / len(other) for one, other in zip(found, nearest, strict=True)]
    sizes = {
        name: sum(one.stat().st_size for one in Path(folder, "store").glob(pattern) if one.is_file())
        for name, pattern in _FILES
    }
    return {
        "passages": passages,
        "opening": opening,
        "cosine": cosine,
        "hybrid": hybrid,
        "memory": memory,
        "recall": float(np.mean(shares)),
        "sizes": sizes,
    }


def _parts(folder: str, files: int) -> Container:
    # The cache has room for all passages, and for the questions.
    room = 2 * files * PER_FILE + 1000
    chosen = settings(f"{folder}/docs", f"{folder}/store", 0, **{"embed.cache_vectors": str(room)})
    return Container(chosen, progress, embedder=MadeModel(files * PER_FILE).encoder)


def _asked(kb: LocalKnowledgeBase, questions: Sequence[str], mode: Mode) -> tuple[list[set[bytes]], dict[str, float]]:
    """The digests of the hits of each question but the first ones, and the milliseconds."""
    found, wall, processor = [], [], []
    for number, question in enumerate(questions):
        began, used = time.perf_counter(), time.process_time()
        answer = kb.search(question, limit=DEPTH, mode=mode, weak=True, literal=True)
        if number >= _WARM_UP:
            wall.append((time.perf_counter() - began) * 1000)
            processor.append((time.process_time() - used) * 1000)
            found.append({hit.passage.digest for hit in answer.hits})
    return found, {"p50": median(wall), "p95": float(np.quantile(wall, 0.95)), "cpu": median(processor)}


def _nearest(parts: Container, questions: NDArray[np.float32]) -> list[set[bytes]]:
    """The digests of the nearest passages of each question, by all vectors of the cache."""
    best: list[list[tuple[float, bytes]]] = [[] for _ in questions]
    digests = [digest for _, _, digest in parts.catalog.with_vectors()]
    for start in range(0, len(digests), _PAGE):
        known = parts.cache.peek(parts.embedder.fingerprint, digests[start : start + _PAGE])
        names, matrix = list(known), np.array(list(known.values()))
        cosines = matrix @ questions.T
        for number, scores in enumerate(cosines.T):
            top = np.argpartition(-scores, min(DEPTH, len(scores) - 1))[:DEPTH]
            among = [*best[number], *((float(scores[at]), names[at]) for at in top)]
            best[number] = sorted(among, reverse=True)[:DEPTH]
    return [{digest for _, digest in one} for one in best]
