"""``KnowledgeBase.search`` in a program: through a daemon, and without one beside a plain Chroma query."""

from __future__ import annotations

import shutil
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.asking import never_asked
from benchmarks.child import call, progress
from benchmarks.daemon import notes_program, program
from benchmarks.indexing import MODEL, settings
from benchmarks.table import Row, at_most
from kb import KnowledgeBase
from kb.app import LocalKnowledgeBase
from kb.container import Container
from kb.embedding.encoder import Encoder
from kb.embedding.locate import locate
from kb.evaluation.bench import Times

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Bench

NAME: Final = "programs-python"
ASKED: Final = 200
PAUSED: Final = 25
HITS: Final = 10
_LEAST: Final = 10
_WARM_UP: Final = 5
# Freshness is looked up anew if it is older than a second, beside the question; a look takes a fraction of one.
_STALE_SECONDS: Final = 1.2
_LOOK_SECONDS: Final = 0.6
_BATCH: Final = 1000
_COLLECTION: Final = "plain"


def rows(work: Bench) -> list[Row]:
    """The rows with a daemon and without one."""
    return [*_through_daemon(work), *_without_daemon(work)]


def documents_store(work: Bench) -> Path:
    """The store of the documents, which is filled first unless another benchmark did."""
    docs = str(work.documents)
    store = work.stores.setdefault(docs, work.folder / "documents-store")
    if not store.is_dir():
        progress(f"indexing {docs}")
        call("indexing:first_run", docs=docs, store=str(store), threads=work.threads)
    program(work.documents, store, work.threads)
    return store


def document_questions(work: Bench) -> list[str]:
    """Questions about the documents: those of the collection, or beginnings of generated ones."""
    collection = work.collection("til-simonw")
    if collection:
        return list(collection.questions.values())
    return [file.read_text("utf-8").splitlines()[0].lstrip("# ") for file in sorted(work.documents.iterdir())]


def _through_daemon(work: Bench) -> list[Row]:
    """Ask a daemon and, in turn, a knowledge base in the asking process over a copy of its store."""
    kb = notes_program(work)
    copy = work.folder / "notes-copy"
    shutil.copytree(work.notes_store, copy)
    count = max(_LEAST, work.scaled(ASKED))
    progress(f"{NAME}: {count} questions through the daemon, and as many inside the process")
    with kb.daemon(work.folder / "programs-python.log"):
        found = call(
            "programs_python:ask_both",
            docs=str(work.notes),
            store=str(work.notes_store),
            copy=str(copy),
            count=count,
            threads=work.threads,
        )
    return judged_door(Times(tuple(found["port"])), Times(tuple(found["inside"])), found["passages"])


def judged_door(port: Times, inside: Times, passages: int) -> list[Row]:
    """The rows for questions through the daemon."""
    what = f"KnowledgeBase.search, {passages} passages"
    extra = (port.p50 - inside.p50) * 1000
    return [
        at_most(NAME, f"{what}: through the daemon - inside its process, p50", extra, 3, "ms"),
        Row(NAME, "through the daemon", summary(port)),
        Row(NAME, "inside", summary(inside)),
    ]


def ask_both(docs: str, store: str, copy: str, count: int, threads: int) -> dict[str, Any]:
    """Time the same questions through the daemon of a store, and inside this process over a copy of that store."""
    files = sorted(Path(docs).rglob("*.md"))
    questions = never_asked([file.read_text("utf-8").strip() for file in files[:: max(1, len(files) // count)]])
    times: dict[str, list[float]] = {"port": [], "inside": []}
    with (
        KnowledgeBase.open(settings(docs, store, threads)) as port,
        LocalKnowledgeBase.open(settings(docs, copy, threads)) as inside,
    ):
        # As the daemon does it: with the model loaded, and with folders that are watched and not scanned.
        inside.own(lambda: (True, 0))
        asked: dict[str, Callable[[str], object]] = {"port": port.search, "inside": inside.search}
        for question in islice(questions, _WARM_UP):
            for search in asked.values():
                search(question)
        for number, question in enumerate(islice(questions, count)):
            # Each is the first one as often as the other.
            for name in sorted(asked, reverse=bool(number % 2)):
                times[name].append(_seconds(asked[name], question))
        passages = inside.status().passages
    return {**times, "passages": passages}


def _without_daemon(work: Bench) -> list[Row]:
    """Ask over the documents beside a plain Chroma query, and over many files with and without a look at the disk."""
    store, plain = documents_store(work), work.folder / "plain-chroma"
    pauses = max(_LEAST // 2, work.scaled(PAUSED))
    passages = call("programs_python:fill_plain", docs=str(work.documents), store=str(store), folder=str(plain))
    progress(f"{NAME}: without a daemon, beside plain Chroma, {passages} passages")
    beside = call(
        "programs_python:ask_alone",
        docs=str(work.documents),
        store=str(store),
        questions=document_questions(work),
        plain=str(plain),
        count=max(_LEAST, work.scaled(ASKED)),
        pauses=pauses,
        threads=work.threads,
    )
    work.first_run  # noqa: B018 - fills the store
    files = sorted(work.notes.rglob("*.md"))
    progress(f"{NAME}: without a daemon, over {len(files)} files")
    many = call(
        "programs_python:ask_alone",
        docs=str(work.notes),
        store=str(work.notes_store),
        questions=[file.read_text("utf-8").strip() for file in files[:: max(1, len(files) // 100)]],
        plain="",
        count=0,
        pauses=pauses,
        threads=work.threads,
    )
    named = {name: Times(tuple(seconds)) for name, seconds in beside["times"].items()}
    paused = {name: Times(tuple(seconds)) for name, seconds in many["times"].items() if seconds}
    return judged_alone(named, beside["files"], paused, many["files"])


def judged_alone(beside: dict[str, Times], files: int, many: dict[str, Times], many_files: int) -> list[Row]:
    """The rows for questions without a daemon."""
    what = f"KnowledgeBase.search without a daemon, {files} files / plain Chroma query, p50"
    extra = (many["looking"].p50 - many["kept"].p50) * 1000
    return [
        at_most(NAME, f"{what}, one question after another", beside["on"].p50 / beside["plain"].p50, 1.5, "x"),
        at_most(
            NAME, f"{what}, a pause before each", beside["looking"].p50 / beside["plain after a pause"].p50, 1.5, "x"
        ),
        *(Row(NAME, f"{files} files, {name}", summary(times)) for name, times in beside.items()),
        at_most(NAME, f"{many_files} files: with a look at the disk - freshness kept, p50", extra, 5, "ms"),
        *(Row(NAME, f"{many_files} files, {name}", summary(times)) for name, times in many.items()),
    ]


def ask_alone(
    *, docs: str, store: str, questions: Sequence[str], plain: str, count: int, pauses: int, threads: int
) -> dict[str, Any]:
    """Time questions without a daemon in a process that has asked before.

    Args:
        docs: The folder.
        store: Its store.
        questions: What to ask, made different each time.
        plain: The folder of a Chroma database with the same passages, to compare with; empty for none.
        count: The number of questions one after another.
        pauses: The number of questions asked after a pause, for which the disk is looked at, and of those asked soon
            after, for which it is not.
        threads: Threads of the model.
    """
    times: dict[str, list[float]] = {name: [] for name in ("plain", "on", "plain after a pause", "looking", "kept")}
    asked = never_asked(questions)
    query = PlainChroma(plain, threads) if plain else None
    with KnowledgeBase.open(settings(docs, store, threads)) as knowledge:
        search = partial(knowledge.search, limit=HITS)
        for question in islice(asked, _WARM_UP):
            search(question)
            if query:
                query(question)
        for question in islice(asked, count):
            if query:
                times["plain"].append(_seconds(query, f"{question} plain"))
            times["on"].append(_seconds(search, f"{question} on"))
        for question in islice(asked, pauses):
            time.sleep(_STALE_SECONDS)
            times["looking"].append(_seconds(search, f"{question} looking"))
            time.sleep(_LOOK_SECONDS)
            times["kept"].append(_seconds(search, f"{question} kept"))
            if query:
                time.sleep(_STALE_SECONDS)
                times["plain after a pause"].append(_seconds(query, f"{question} plain"))
        files = len(knowledge.documents())
    return {"times": {name: seconds for name, seconds in times.items() if seconds}, "files": files}


class PlainChroma:
    """What a program does without kb: embed the question, and query a Chroma collection for passages with their texts.

    Args:
        folder: The folder of the database, made by ``fill_plain``.
        threads: Threads of the model.
    """

    def __init__(self, folder: str, threads: int) -> None:
        # As a program imports it, before kb does so in its own way.
        import chromadb

        self._encoder = Encoder(locate(MODEL, offline=True), threads=threads)
        self._collection = chromadb.PersistentClient(folder).get_collection(_COLLECTION)

    def __call__(self, question: str) -> object:
        """Ask."""
        vectors: Any = [self._encoder.embed_query(question)]
        return self._collection.query(query_embeddings=vectors, n_results=HITS)


def fill_plain(docs: str, store: str, folder: str) -> int:
    """Copy the passages of a store with their vectors into a new Chroma database; returns their number."""
    import chromadb

    collection = chromadb.PersistentClient(folder).create_collection(_COLLECTION, metadata={"hnsw:space": "cosine"})
    work = Container(settings(docs, store), progress)
    work.ask()
    passages = list(work.catalog.all_passages())
    for begin in range(0, len(passages), _BATCH):
        some = passages[begin : begin + _BATCH]
        vectors = work.index().vectors([one.id for one in some])
        embeddings: Any = [vectors[one.id] for one in some]
        collection.add(
            ids=[one.id for one in some],
            embeddings=embeddings,
            documents=[one.text for one in some],
            metadatas=[{"path": one.file.path, "line": one.first_line} for one in some],
        )
    work.close()
    return len(passages)


def summary(times: Times) -> str:
    """Percentiles in milliseconds."""
    return f"p50 {times.p50 * 1000:.1f} ms, p95 {times.p95 * 1000:.1f} ms, of {times.count}"


def _seconds(run: Callable[[str], object], question: str) -> float:
    began = time.perf_counter()
    run(question)
    return time.perf_counter() - began
