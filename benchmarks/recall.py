"""Recall of the approximate index relative to exact search, and the time of a search."""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import numpy as np

from benchmarks.child import call, progress
from benchmarks.indexing import MODEL, Clocked
from benchmarks.table import Row, at_least, at_most
from kb.config import Config
from kb.embedding.bge_m3 import BgeM3EmbeddingFunction
from kb.indexing.plan import compare, identify, labels
from kb.records import Document, FileChange, Freshness, Passage, ResolvedRequest, VectorRecord
from kb.search.search import Searcher
from kb.store.catalog import SqliteCatalog
from kb.store.local_chroma import open_index
from kb.testing import MemoryFiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.bench import Bench
    from kb.records import FoundFile
    from kb.store.chroma import ChromaIndex

NAME: Final = "recall"
PASSAGES: Final = 100_000
DIMENSION: Final = 384
# Passages about one subject lie near each other; a cosine of about 0.6 within a cluster is what models give.
PER_CLUSTER: Final = 50
SPREAD: Final = 0.8
QUESTIONS: Final = 300
DEPTH: Final = 10
PER_FILE: Final = 10
_FILES_AT_ONCE: Final = 200
_WARM_UP: Final = 20
_FOLDER: Final = "/notes"
_FRESHNESS_LOOKS: Final = 5


def rows(work: Bench) -> list[Row]:
    """Recall and time of searches with the default number of candidates."""
    found = call("recall:measure", folder=str(work.folder), passages=work.scaled(PASSAGES))
    spent = ", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in found["spent"].items())
    size = f"{found['passages']} clustered passages"
    return [
        at_least(NAME, f"recall@{DEPTH} of search, {size}", found["recall"], 0.999, digits=4),
        at_most(NAME, "median search, without embedding the question", found["median"], 20, "ms", digits=1),
        Row(NAME, "one search in a hundred takes longer than", f"{found['slowest']:.1f} ms"),
        Row(NAME, "where a search's time goes, mean", spent),
        Row(NAME, "beside it, comparing known files with the disk", f"{found['freshness']:.0f} ms"),
        Row(NAME, "writing them", f"{found['written']:.0f} s"),
    ]


class Clusters:
    """Reproducible unit vectors in clusters.

    Args:
        points: The number of points, which determines the number of clusters.
        dimension: The length of a vector.
    """

    def __init__(self, points: int, dimension: int = DIMENSION) -> None:
        self._chance = np.random.default_rng(4)
        count = max(1, points // PER_CLUSTER)
        self._centres = _units(self._chance.standard_normal((count, dimension)))

    def draw(self, count: int) -> NDArray[np.float32]:
        """Points around random centres, shape (count, dimension)."""
        centres = self._centres[self._chance.integers(len(self._centres), size=count)]
        noise = self._chance.standard_normal(centres.shape) / np.sqrt(centres.shape[1])
        return _units(centres + SPREAD * noise)


class Given:
    """A fake model: question number N has the Nth vector, any other text a vector of its own.

    Args:
        vectors: The vectors of the questions.
    """

    fingerprint = "given vectors"
    dimension = DIMENSION

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of a question."""
        if text.isdecimal():
            vector: NDArray[np.float32] = self._vectors[int(text)]
        else:
            vector = _units(np.random.default_rng(crc32(text.encode())).standard_normal((1, DIMENSION)))[0]
        return vector

    def question_parts(self, _text: str) -> int:
        """One: a number is short."""
        return 1

    def embed_documents(self, *_: object) -> NDArray[np.float32]:
        """Nothing is embedded here."""
        raise NotImplementedError

    def embed_sentences(self, _texts: object) -> None:
        """No model is loaded."""


def measure(folder: str, passages: int) -> dict[str, Any]:
    """Fill a store, search it, and compare with exact search."""
    clusters = Clusters(passages)
    vectors, questions = clusters.draw(passages), clusters.draw(_WARM_UP + QUESTIONS)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        began = time.perf_counter()
        filled = _Filled.begun(place, -(-passages // PER_FILE))
        try:
            filled.fill(vectors)
            written = time.perf_counter() - began
            found = _ask(filled, vectors, questions)
            return {"passages": passages, "written": written, "freshness": _freshness(filled), **found}
        finally:
            filled.index.close()
            filled.catalog.close()


@dataclass
class _Filled:
    """A store with given vectors.

    Attributes:
        index: The vector index.
        catalog: The catalog.
        files: The files of the passages.
        ids: The ids of the passages in the order of the vectors.
    """

    index: ChromaIndex
    catalog: SqliteCatalog
    files: MemoryFiles
    ids: list[str] = field(default_factory=list)

    @classmethod
    def begun(cls, place: str, files: int) -> _Filled:
        """An empty store for a number of files."""
        function = BgeM3EmbeddingFunction(model=MODEL)
        index = open_index(f"{place}/index", "passages", Given.fingerprint, DIMENSION, function, create=True)
        contents = {(_FOLDER, f"{number:06}.md"): b"" for number in range(files)}
        return cls(index, SqliteCatalog(f"{place}/catalog.sqlite3"), MemoryFiles(contents))

    def fill(self, vectors: NDArray[np.float32]) -> None:
        """Write each vector as a passage of a file, in the steps of an index run."""
        found = self.files.scan().files
        for start in range(0, len(found), _FILES_AT_ONCE):
            changes = [_change(self.catalog.new_id(), file) for file in found[start : start + _FILES_AT_ONCE]]
            self.catalog.begin(changes)
            passages = [(change, one) for change in changes for one in change.passages]
            rest = vectors[len(self.ids) :]
            records = [
                VectorRecord(one.id, vector, one.text, labels(change.file_id, change.file.path, ()))
                for (change, one), vector in zip(passages, rest, strict=False)
            ]
            self.index.upsert(records)
            self.catalog.finish([change.file_id for change in changes])
            self.ids += [record.id for record in records]
            if (start // _FILES_AT_ONCE) % 5 == 0:
                progress(f"{NAME}: {len(self.ids)} of {len(vectors)} passages written")


def exact(vectors: NDArray[np.float32], question: NDArray[np.float32], depth: int = DEPTH) -> list[int]:
    """The positions of the nearest unit vectors by cosine, by exact search."""
    cosines = vectors @ question
    nearest = np.argpartition(-cosines, min(depth, len(cosines) - 1))[:depth]
    found: list[int] = nearest[np.argsort(-cosines[nearest])].tolist()
    return found


def _ask(filled: _Filled, vectors: NDArray[np.float32], questions: NDArray[np.float32]) -> dict[str, Any]:
    """Ask all questions through kb's searcher."""
    spent: dict[str, float] = {}
    index: Any = Clocked(filled.index, "ChromaDB", spent)
    catalog: Any = Clocked(filled.catalog, "catalog", spent)
    freshness = Freshness(datetime.now(UTC), 0)
    searcher = Searcher(Given(questions), lambda: nullcontext(index), catalog, filled.files, lambda: freshness)
    wanted = ResolvedRequest(limit=DEPTH, candidates=Config().search.candidates, weak=True)
    milliseconds, found = [], 0
    for number in range(len(questions)):
        if number == _WARM_UP:
            spent.clear()
        began = time.perf_counter()
        answer = searcher.search(replace(wanted, question=str(number)))
        milliseconds.append((time.perf_counter() - began) * 1000)
        nearest = {filled.ids[position] for position in exact(vectors, questions[number])}
        if number >= _WARM_UP:
            found += len(nearest & {hit.passage.id for hit in answer.hits})
    measured = milliseconds[_WARM_UP:]
    means = {name: seconds * 1000 / len(measured) for name, seconds in spent.items()}
    return {
        "recall": found / (min(DEPTH, len(filled.ids)) * len(measured)),
        "median": median(measured),
        "slowest": float(np.quantile(measured, 0.99)),
        "spent": {**means, "the rest": float(np.mean(measured)) - sum(means.values())},
    }


def _freshness(filled: _Filled) -> float:
    """The milliseconds for comparing the known files with a scan, which each command does once."""
    scan = filled.files.scan()
    milliseconds = []
    for _ in range(_FRESHNESS_LOOKS):
        began = time.perf_counter()
        if compare(scan, filled.catalog.files()).pending:
            raise RuntimeError("the catalog does not know the files as they are")
        milliseconds.append((time.perf_counter() - began) * 1000)
    return median(milliseconds)


def _change(file_id: int, file: FoundFile) -> FileChange:
    """A file with passages of typical length."""
    texts = [f"Passage {number} of {file.path}: " + "some words of a text " * 25 for number in range(PER_FILE)]
    passages: tuple[Passage, ...] = identify(
        file_id, [Passage(text, text, 150, line, line) for line, text in enumerate(texts, 1)]
    )
    document = Document("\n".join(texts), "text", Path(file.path).stem)
    return FileChange(file_id, file, sha256(file.path.encode()).digest(), time.time_ns(), document, passages)


def _units(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found
