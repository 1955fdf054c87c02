"""A store while it is open: its record, its vectors and whatever is built on them, opened and closed as a whole.

A store that is made, lost or begun anew is another ``OpenStore``: nothing that was built on the one before goes on
being used. Each part is opened when it is first asked for, so that a command pays only for what it uses.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from kb.claims import owned
from kb.errors import KbError, ModelMismatch
from kb.indexing.check import Checker
from kb.indexing.rebuild import came_into_service, refill
from kb.indexing.sync import Indexer, look, missing
from kb.integrity import Integrity
from kb.lazy import Lazy
from kb.reading import reading_of
from kb.records import Freshness
from kb.search.search import Searcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.config import Settings
    from kb.embedding.cache import ClosableCache, RememberedQuestions
    from kb.embedding.encoder import Encoder
    from kb.indexing.plan import Comparison
    from kb.ports import Files, Nearest, Reader, VectorIndex
    from kb.records import Failure
    from kb.search.exact import ExactIndex
    from kb.search.priority import QueryPriority
    from kb.store.catalog import SqliteCatalog
    from kb.store.chroma import ChromaIndex
    from kb.store.lock import StoreLock
    from kb.store.pairing import Pairing
    from kb.store.vectors import CopiedIndex, VectorStore

CATALOG_FILE: Final = "catalog.sqlite3"
CACHE_FILE: Final = "embeddings.sqlite3"
PROBE_SECONDS: Final = 120.0

State: TypeAlias = Literal["absent", "read-only", "there"]
"""Whether a store is there: where it is not, record and cache are kept in memory; one that can be read and not be
written is opened as a copy."""


class _Closable(Protocol):
    """Something that holds files open."""

    def close(self) -> None:
        """Let go of them."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a process owns a store for long.

    Attributes:
        watch: Tells whether a watcher is at work and how many places wait; None where a scan has to tell.
        write_batch: How many passages are written at once while questions come in; None for as many as are quickest.
    """

    watch: Callable[[], tuple[bool, int]] | None = None
    write_batch: int | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """What a store is opened with, and what outlasts it.

    Attributes:
        settings: The configuration.
        store: The folder of the store.
        warn: Tells the user what happened, in one sentence.
        lock: The lock on the store.
        files: The disk.
        embedder: The model; its weights are loaded with the first text.
        reader: The splitter, measuring in the model's own tokens.
        query_priority: Lets questions go first.
        serving: How this process owns the store.
        lender: The embedding cache of another knowledge base, whose vectors are used for texts that are equal.
        takes_over: Whether the store of another configuration may be filled.
    """

    settings: Settings
    store: str
    warn: Callable[[str], None]
    lock: StoreLock
    files: Lazy[Files]
    embedder: Lazy[Encoder]
    reader: Lazy[Reader]
    query_priority: QueryPriority
    serving: Serving
    lender: Callable[[], ClosableCache] | None = None
    takes_over: bool = False

    def file(self, name: str) -> str:
        """The path of a file of the store."""
        return os.path.join(self.store, name)  # noqa: PTH118  # plain strings throughout the stores


class OpenStore:
    """One opening of a store.

    Args:
        environment: What it is opened with.
        state: Whether the store is there.
        own: Takes the lock on the store, before ChromaDB's files are touched.

    Attributes:
        state: Whether the store is there.
        catalog: The record.
        cache: The vectors of all texts that were ever embedded.
        vectors: The vector index and its generations. Whoever uses it owns the store.
        copied: A copy of the vector index, for a store that cannot be written and whose cache lacks some vectors.
        exact: The vectors of all passages, for a process that has not opened ChromaDB; None where they are too many.
        questions: The model for questions, which remembers the vectors of past ones.
        indexer: Brings the store in line with the disk.
        checker: Compares disk, catalog and vectors.
        searcher: Answers questions.
        integrity: How far the store is relied on.
    """

    def __init__(self, environment: Environment, state: State, own: Callable[[], None]) -> None:
        self.state = state
        self._environment = environment
        self._own = own
        self.catalog: Lazy[SqliteCatalog] = Lazy(self._open_catalog)
        self.cache: Lazy[ClosableCache] = Lazy(self._open_cache)
        self._pairing: Lazy[Pairing] = Lazy(self._make_pairing)
        self._source: Lazy[_Source] = Lazy(lambda: _Source(environment, self.catalog, self.cache))
        self.vectors: Lazy[VectorStore] = Lazy(self._make_vectors)
        self.copied: Lazy[CopiedIndex] = Lazy(self._copy_index)
        self.exact: Lazy[ExactIndex | None] = Lazy(self._read_exact)
        self.questions: Lazy[RememberedQuestions] = Lazy(self._make_questions)
        self.indexer = Lazy(self._make_indexer)
        self.checker = Lazy(self._make_checker)
        self.searcher = Lazy(self._make_searcher)
        self.integrity = Integrity(
            environment.file(CATALOG_FILE),
            catalog=self.catalog.get,
            files=environment.files.get,
            reader=environment.reader.get,
            warn=environment.warn,
        )

    # Opening and closing.

    def files(self) -> Iterator[tuple[str, object]]:
        """The files of the store that are open, by name, each with what has it open."""
        for name, part in ((CATALOG_FILE, self.catalog.built), (CACHE_FILE, self.cache.built)):
            if part is not None and self.state == "there":
                yield name, part

    def build(self) -> None:
        """Open and build whatever questions and runs need, so that threads find it there."""
        self.searcher.get()
        self.indexer.get()
        self.checker.get()

    def close(self) -> None:
        """Close what is open, the vector index first, and note how the catalog was left. Closing again is allowed."""
        catalog = self.catalog.built
        with ExitStack() as closing:
            if catalog is not None:
                if self.state == "there" and self._environment.lock.held:
                    closing.callback(lambda: self.integrity.leave(catalog.damage))
                closing.callback(catalog.close)
            parts: tuple[_Closable | None, ...] = (self.cache.built, self.copied.built, self.vectors.built)
            for part in parts:
                if part is not None:
                    closing.callback(part.close)

    def abandon(self) -> None:
        """Let go of a store that is lost or damaged, and note nothing in it."""
        if (vectors := self.vectors.built) is not None:
            with suppress(KbError, OSError):
                vectors.abandon()
        parts: tuple[_Closable | None, ...] = (self.copied.built, self.cache.built, self.catalog.built)
        for part in parts:
            if part is not None:
                # What cannot be written any more is lost with the store.
                with suppress(KbError, OSError):
                    part.close()

    def _open_catalog(self) -> SqliteCatalog:
        from kb.store.catalog import SqliteCatalog

        catalog = SqliteCatalog(self._file(CATALOG_FILE), copy=self.state == "read-only")
        return owned(catalog, self._environment.settings, takes_over=self._environment.takes_over)

    def _open_cache(self) -> ClosableCache:
        from kb.embedding.cache import BorrowingCache, EmbeddingCache

        most, warn = self._environment.settings.config.embed.cache_vectors, self._environment.warn
        if self.state == "read-only":
            kept = EmbeddingCache(self._file(CACHE_FILE), most, warn=warn, read_only=True)
            return BorrowingCache(EmbeddingCache(":memory:", most, warn=warn), kept)
        own = EmbeddingCache(self._file(CACHE_FILE), most, warn=warn)
        lender = self._environment.lender
        return own if lender is None else BorrowingCache(own, lender())

    def _file(self, name: str) -> str:
        return ":memory:" if self.state == "absent" else self._environment.file(name)

    # The vector index.

    def index(self) -> VectorIndex:
        """The vector index, opened under the lock, for the model of the configuration.

        Raises:
            ModelMismatch: The store was made by another model.
        """
        self._own()
        self.agree()
        # What is written from here on would be missing in it.
        self.exact.forget()
        return self.vectors.get().index()

    @contextmanager
    def lent_index(self) -> Iterator[Nearest]:
        """The vectors for one question, which no rebuild takes away meanwhile.

        Until something opens ChromaDB anyway, they come from catalog and cache where they are few enough.
        """
        if self.state != "read-only":
            self._own()
        self.agree()
        vectors = self.vectors.built
        exact = None if vectors is not None and vectors.opened else self.exact.get()
        if exact is not None:
            yield exact
            return
        if self.state == "read-only":
            yield self.copied.get().index
            return
        with self.vectors.get().using() as index:
            yield index

    def agree(self) -> None:
        """See that the store's vectors are of the configured model; a new store takes the model over.

        Raises:
            ModelMismatch: They are of another one.
        """
        catalog, embedder = self.catalog.get(), self._environment.embedder.get()
        model = self._environment.settings.config.embed.model
        stored = catalog.meta("fingerprint")
        if stored is None:
            catalog.set_meta("fingerprint", embedder.fingerprint)
            catalog.set_meta("model", model)
        elif stored != embedder.fingerprint:
            raise ModelMismatch(
                f"the store was made with {catalog.meta('model')}, not with {model}",
                "Run kb index --full to embed everything with the new model, or set embed.model back",
            )

    def adopt(self) -> None:
        """Take over the configured model: begin an empty index, and let every file be done again."""
        catalog = self.catalog.get()
        # The index of the old model is disowned first, so that whoever goes on after this was cut off makes another.
        catalog.set_meta("generation", "")
        catalog.unsettle()
        catalog.set_meta("model", self._environment.settings.config.embed.model)
        catalog.set_meta("fingerprint", self._environment.embedder.get().fingerprint)
        self.vectors.get().restart()

    def _make_vectors(self) -> VectorStore:
        from kb.store.generations import Generations
        from kb.store.vectors import VectorStore

        lock = self._environment.lock
        generations = Generations(self._environment.store, on_step=lambda _: lock.require_place())
        return VectorStore(generations, self._source.get(), self._pairing.get(), self._environment.warn)

    def _make_pairing(self) -> Pairing:
        """Ties the vector index to the catalog."""
        from kb.store.pairing import Pairing

        embedder = self._environment.embedder
        return Pairing(self.catalog.get, lambda digests: self.cache.get().peek(embedder.get().fingerprint, digests))

    def _copy_index(self) -> CopiedIndex:
        from kb.store.vectors import CopiedIndex

        generation = self._environment.file(self.catalog.get().meta("generation") or "none")
        return CopiedIndex(generation, self._source.get().open, self._pairing.get())

    def _read_exact(self) -> ExactIndex | None:
        from kb.search.exact import MOST_BYTES, exact_index

        embedder = self._environment.embedder.get()
        # A store that cannot be written has no other way: ChromaDB writes wherever it is opened.
        most = sys.maxsize if self.state == "read-only" else MOST_BYTES
        return exact_index(self.catalog.get(), self.cache.get(), embedder.fingerprint, embedder.dimension, most)

    # What is built on them.

    def freshness(self) -> Freshness:
        """When the last complete run ended and how many files wait: what the watcher says, else a scan of now."""
        as_of = self.catalog.get().as_of()
        if self._environment.serving.watch is not None:
            watching, waiting = self._environment.serving.watch()
            return Freshness(as_of, waiting, watching=watching)
        return Freshness(as_of, self.comparison()[0].pending)

    def comparison(self) -> tuple[Comparison, tuple[Failure, ...]]:
        """The disk beside the catalog, and what on the disk cannot be taken in; needs neither model nor vectors."""
        return look(self._environment.files.get(), self.catalog.get())

    def _make_questions(self) -> RememberedQuestions:
        from kb.embedding.cache import RememberedQuestions

        return RememberedQuestions(self._environment.embedder.get(), self.cache.get())

    def _make_indexer(self) -> Indexer:
        embedder = self._environment.embedder.get()
        return Indexer(
            files=self._environment.files.get(),
            reader=self._environment.reader.get(),
            embedder=embedder,
            cache=self.cache.get(),
            catalog=self.catalog.get(),
            index=self.index,
            reading=reading_of(self._environment.settings.config, embedder.fingerprint),
        )

    def _make_checker(self) -> Checker:
        return Checker(
            files=self._environment.files.get(),
            reader=self._environment.reader.get(),
            embedder=self._environment.embedder.get(),
            cache=self.cache.get(),
            catalog=self.catalog.get(),
            index=self.index,
            indexer=self.indexer.get(),
        )

    def _make_searcher(self) -> Searcher:
        files, catalog = self._environment.files.get(), self.catalog.get()
        return Searcher(
            self.questions.get(),
            self.lent_index,
            catalog,
            files,
            self.freshness,
            missing=partial(missing, files, catalog),
            verifier=self.integrity.verifier,
        )


class _Source:
    """What the vector index of a store is opened with and filled from.

    Args:
        environment: Knows the model, and how fast to write.
        catalog: Knows the passages, and which generation is served.
        cache: Has their vectors.
    """

    def __init__(self, environment: Environment, catalog: Lazy[SqliteCatalog], cache: Lazy[ClosableCache]) -> None:
        self._environment = environment
        self._catalog = catalog
        self._cache = cache

    def open(self, directory: str, *, create: bool) -> ChromaIndex:
        """One generation, with kb's embedding function registered for other programs; kb itself passes vectors."""
        from kb.models import embedding_function_of
        from kb.store.chroma import ChromaIndex, Pace

        embedder = self._environment.embedder.get()
        batch = self._environment.serving.write_batch
        return ChromaIndex.open(
            directory,
            self._environment.settings.config.store.collection,
            embedder.fingerprint,
            embedder.dimension,
            embedding_function_of(self._environment.settings),
            create=create,
            pace=Pace() if batch is None else Pace(batch, self._environment.query_priority.wait),
        )

    def probe(self, directory: str) -> str | None:
        """Try a generation in a process of its own; the reason where it is not sound."""
        from kb.store.probe import probe

        return probe(directory, self._environment.settings.config.store.collection, PROBE_SECONDS)

    def refill(self, index: VectorIndex, should_stop: Callable[[], bool]) -> None:
        """Fill a new index from catalog and cache; files that lack a vector are left to the next run."""
        fingerprint = self._environment.embedder.get().fingerprint
        _, lacking = refill(self._catalog.get(), self._cache.get(), index, fingerprint, should_stop)
        if lacking:
            self._catalog.get().unsettle(lacking)

    def generation(self) -> str | None:
        """The generation that the catalog belongs to; None where it is new or knows none."""
        return self._catalog.get().meta("generation")

    def came_into_service(self, generation: str) -> None:
        """Have the catalog belong to a generation from now on."""
        came_into_service(self._catalog.get(), generation)
