"""An open store: its catalog, cache, vector index and the components built on them, closed together.

A store that is created, lost or recreated gets a new ``OpenStore``, so that no component of the old one stays in use.
Components are opened on first use, so that a command pays only for what it needs.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from kb.claims import require_claim
from kb.errors import KbError, ModelMismatch
from kb.formats.registry import REGISTRY
from kb.freshness import PendingFiles
from kb.indexing.check import Checker
from kb.indexing.rebuild import activate_generation, refill
from kb.indexing.sync import Indexer, compare_with_disk, missing
from kb.integrity import Integrity
from kb.lazy import Lazy
from kb.reading import reading_of
from kb.records import Freshness
from kb.search.links import LinkResolver
from kb.search.search import Searcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.config import Settings
    from kb.embedding.cache import CachedQueryEmbedder, ClosableCache
    from kb.embedding.encoder import Encoder
    from kb.indexing.plan import Comparison
    from kb.ports import Files, KnownVectors, Nearest, Reader, VectorIndex
    from kb.records import Failure, Missing
    from kb.search.exact import ExactIndex
    from kb.search.priority import QueryPriority
    from kb.store.catalog import SqliteCatalog
    from kb.store.chroma import ChromaIndex, Pace
    from kb.store.local_vectors import CopiedIndex
    from kb.store.lock import StoreLock
    from kb.store.pairing import Pairing
    from kb.store.server_vectors import ServerVectors
    from kb.store.vectors import VectorStore

# In the fingerprint of a model in int8, followed by the version of the rounding.
_INT8: Final = " int8/"
CATALOG_FILE: Final = "catalog.sqlite3"
CACHE_FILE: Final = "embeddings.sqlite3"

State: TypeAlias = Literal["absent", "read-only", "there"]
"""Whether the store exists: catalog and cache of an absent one are kept in memory; a read-only one is copied."""


def _is_failure(one: Failure) -> bool:
    """Whether a file failed, rather than being of a kind that kb does not read."""
    return not REGISTRY.unread(one.path, one.reason)


class _Closable(Protocol):
    """An object that holds files open."""

    def close(self) -> None:
        """Close the files."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a daemon uses a store.

    Attributes:
        watch: Returns whether folders are watched and how many changes are waiting; None to scan instead.
        write_batch: The number of passages written at once; None for the fastest.
    """

    watch: Callable[[], tuple[bool, int]] | None = None
    write_batch: int | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """What a store is opened with; unchanged when the store is reopened.

    Attributes:
        settings: The configuration.
        store: The directory of the store.
        warn: Called with a sentence for the user.
        lock: The lock on the store.
        files: The watched folders on disk.
        embedder: The embedding model; its weights are loaded on first use.
        reader: Reads files and splits them into passages.
        query_priority: Gives searches priority over indexing.
        serving: How a daemon uses the store.
        base: The embedding cache of another knowledge base, which is read but not written.
        takes_over: Whether a store that another configuration filled may be used.
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
    base: Callable[[], ClosableCache] | None = None
    takes_over: bool = False

    def file(self, name: str) -> str:
        """The path of a file of the store."""
        return os.path.join(self.store, name)  # noqa: PTH118  # plain strings throughout the stores

    def pace(self) -> Pace:
        """How fast the vector index is written."""
        from kb.store.chroma import Pace

        batch = self.serving.write_batch
        return Pace() if batch is None else Pace(batch, self.query_priority.wait)


class OpenStore:
    """One opening of a store.

    Args:
        environment: What it is opened with.
        state: Whether the store exists.
        own: Locks the store; called before ChromaDB's files are opened.

    Attributes:
        state: Whether the store exists.
        catalog: The catalog.
        cache: The embedding cache.
        vectors: The vector index and its generations. Users must hold the lock.
        copied: A copy of the vector index, for a read-only store whose cache lacks vectors.
        exact: All vectors in memory, for a process without an open ChromaDB; None if there are too many.
        questions: The embedding model with a cache of question vectors.
        indexer: Brings the store up to date with the disk.
        checker: Compares disk, catalog and vectors.
        link_resolver: Resolves links.
        searcher: Answers questions.
        integrity: The integrity checks of the store.
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
        self._server_vectors: Lazy[ServerVectors] = Lazy(self._make_server_vectors)
        self.copied: Lazy[CopiedIndex] = Lazy(self._copy_index)
        self.exact: Lazy[ExactIndex | None] = Lazy(self._read_exact)
        # Whether there are no vectors in memory because they were too many.
        self._too_many = False
        self.questions: Lazy[CachedQueryEmbedder] = Lazy(self._make_questions)
        self.indexer = Lazy(self._make_indexer)
        self.checker = Lazy(self._make_checker)
        self.link_resolver = Lazy(lambda: LinkResolver(self.catalog.get(), environment.files.get()))
        self.searcher = Lazy(self._make_searcher)
        self._pending = PendingFiles(
            lambda: missing(environment.files.get(), self.catalog.get(), _is_failure), environment.query_priority.wait
        )
        self.integrity = Integrity(
            environment.file(CATALOG_FILE),
            catalog=self.catalog.get,
            files=environment.files.get,
            reader=environment.reader.get,
            warn=environment.warn,
        )

    # Opening and closing.

    def files(self) -> Iterator[tuple[str, object]]:
        """The open files of the store: each name with the object that has the file open."""
        for name, part in ((CATALOG_FILE, self.catalog.built), (CACHE_FILE, self.cache.built)):
            if part is not None and self.state == "there":
                yield name, part

    def build(self) -> None:
        """Build all components before other threads use them."""
        self.searcher.get()
        self.indexer.get()
        self.checker.get()

    def close(self) -> None:
        """Close everything, the vector index first, and record the state of the catalog. Closing again is allowed."""
        self._pending.close()
        catalog = self.catalog.built
        with ExitStack() as closing:
            if catalog is not None:
                if self.state == "there" and self._environment.lock.held:
                    closing.callback(lambda: self.integrity.save(catalog.damage))
                closing.callback(catalog.close)
            parts: tuple[_Closable | None, ...] = (self.cache.built, self.copied.built, self.vectors.built)
            for part in parts:
                if part is not None:
                    closing.callback(part.close)
            if (questions := self.questions.built) is not None:
                questions.flush()

    def abandon(self) -> None:
        """Close a lost or damaged store without recording its state."""
        self._pending.close()
        if (vectors := self.vectors.built) is not None:
            with suppress(KbError, OSError):
                vectors.abandon()
        parts: tuple[_Closable | None, ...] = (self.copied.built, self.cache.built, self.catalog.built)
        for part in parts:
            if part is not None:
                # Unwritten data is lost with the store.
                with suppress(KbError, OSError):
                    part.close()

    def _open_catalog(self) -> SqliteCatalog:
        from kb.store.catalog import SqliteCatalog

        catalog = SqliteCatalog(self._file(CATALOG_FILE), copy=self.state == "read-only")
        return require_claim(catalog, self._environment.settings, takes_over=self._environment.takes_over)

    def _open_cache(self) -> ClosableCache:
        from kb.embedding.cache import EmbeddingCache, LayeredCache

        most, warn = self._environment.settings.config.embed.cache_vectors, self._environment.warn
        if self.state == "read-only":
            kept = EmbeddingCache(self._file(CACHE_FILE), most, warn=warn, read_only=True)
            return LayeredCache(EmbeddingCache(":memory:", most, warn=warn), kept, close_base=kept.close)
        own = EmbeddingCache(self._file(CACHE_FILE), most, warn=warn)
        base = self._environment.base
        return own if base is None else LayeredCache(own, base())

    def _file(self, name: str) -> str:
        return ":memory:" if self.state == "absent" else self._environment.file(name)

    # The vector index.

    def index(self) -> VectorIndex:
        """The vector index, opened under the lock, for the configured model.

        Raises:
            ModelMismatch: The store was made with another model.
        """
        self._own()
        self.require_model()
        index = self.vectors.get().index()
        if self._environment.serving.watch is None:
            # It would miss what is written from here on; another copy of the vectors is worth its memory to a daemon.
            self.exact = Lazy.of(None)
            return index
        # Built before anything is written, so that it misses nothing.
        exact = self._exact_if_whole()
        if exact is None:
            self._give_up_exact()
            return index
        from kb.search.exact import FollowedIndex

        return FollowedIndex(index, exact, self.exact.reset)

    def settle_exact(self, *, cache_filled: bool = False) -> None:
        """Let a daemon hold the vectors in memory again if there is room for them now, and none that it does not ask.

        Nothing else changes the store meanwhile.

        Args:
            cache_filled: Whether the cache may have got vectors that it lacked.
        """
        from kb.search.exact import has_room

        if self._environment.serving.watch is None or self._exact_if_whole() is not None:
            return
        self._give_up_exact()
        dimension = self._environment.embedder.get().dimension
        if (self._too_many or cache_filled) and has_room(self.catalog.get(), dimension):
            self.exact = Lazy(self._read_exact)

    def _exact_if_whole(self) -> ExactIndex | None:
        """The vectors in memory, of which none is missing; None if there are none."""
        exact = self.exact.get()
        return exact if exact is not None and not exact.full else None

    def _give_up_exact(self) -> None:
        """Let go of vectors in memory that are not all of them."""
        exact = self.exact.get()
        self._too_many = self._too_many or exact is not None
        self.exact = Lazy.of(None)

    @contextmanager
    def query_index(self) -> Iterator[Nearest]:
        """An index for one search, which no rebuild replaces in the meantime.

        A store of moderate size is searched with all vectors in memory: by a daemon always, and by other processes as
        long as they have not opened ChromaDB.
        """
        if self.state != "read-only":
            self._own()
        self.require_model()
        exact = self._exact_if_whole()
        if exact is not None:
            yield exact
            return
        if self.state == "read-only" and not self.on_server:
            yield self.copied.get().index
            return
        with self.vectors.get().using() as index:
            yield index

    def require_model(self) -> None:
        """Check that the store was made with the configured model; a new store records it.

        Raises:
            ModelMismatch: It was made with another model.
        """
        catalog, embedder = self.catalog.get(), self._environment.embedder.get()
        model = self._environment.settings.config.embed.model
        stored = catalog.meta("fingerprint")
        if stored is None:
            catalog.set_meta("fingerprint", embedder.fingerprint)
            catalog.set_meta("model", model)
        elif stored != embedder.fingerprint:
            before = catalog.meta("model")
            if before == model and _INT8 in stored and _INT8 in embedder.fingerprint:
                raise ModelMismatch(
                    f"the store was made with {model} in an earlier int8 form, whose vectors do not mix with these",
                    "Run kb index --full to embed everything with the present form",
                )
            if before == model:
                raise ModelMismatch(
                    f"the store was made with other files or another precision of {model}",
                    "Run kb index --full to embed everything with it as it is now",
                )
            raise ModelMismatch(
                f"the store was made with {before}, not with {model}",
                "Run kb index --full to embed everything with the new model, or set embed.model back",
            )

    def switch_model(self) -> None:
        """Switch to the configured model: create an empty index and mark every file pending."""
        catalog = self.catalog.get()
        # Detach the old index first, so that a run after an interruption here does not use it.
        catalog.set_meta("generation", "")
        catalog.mark_pending()
        # From here on no passage has a vector.
        self.exact = Lazy(self._read_exact)
        catalog.set_meta("model", self._environment.settings.config.embed.model)
        catalog.set_meta("fingerprint", self._environment.embedder.get().fingerprint)
        self.vectors.get().restart()

    def _make_vectors(self) -> VectorStore:
        if self.on_server:
            return self._server_vectors.get()
        from kb.store.generations import Generations
        from kb.store.local_vectors import LocalVectors

        lock = self._environment.lock
        generations = Generations(self._environment.store, on_step=lambda _: lock.require_place())
        return LocalVectors(generations, self._source.get(), self._pairing.get(), self._environment.warn)

    def _make_server_vectors(self) -> ServerVectors:
        from kb.server_index import server_vectors

        environment = self._environment
        return server_vectors(
            environment.settings,
            embedder=environment.embedder.get,
            catalog=self.catalog.get,
            cache=self.cache.get,
            pairing=self._pairing.get(),
            warn=environment.warn,
            pace=environment.pace(),
            takes_over=environment.takes_over,
        )

    # On a Chroma server.

    @property
    def on_server(self) -> bool:
        """Whether a Chroma server keeps the vectors."""
        return bool(self._environment.settings.config.store.chroma)

    @property
    def server(self) -> ServerVectors | None:
        """The vector index on the Chroma server; None if the store keeps it."""
        return self._server_vectors.get() if self.on_server else None

    def complete(self, should_stop: Callable[[], bool]) -> None:
        """Make the index on the Chroma server complete if it is not; where that cannot be done now, warn.

        Raises:
            ForeignStore: Another store's vectors are in its collections.
            StoreBusy: Another process writes to them.
        """
        catalog = self.catalog.get()
        if catalog.count_embedded() or catalog.count_deferred():
            self._own()
            self.require_model()
            self._server_vectors.get().complete(should_stop)

    def _make_pairing(self) -> Pairing:
        """Checks that vector index and catalog belong together."""
        from kb.store.pairing import Pairing

        embedder = self._environment.embedder
        return Pairing(self.catalog.get, lambda digests: self.cache.get().peek(embedder.get().fingerprint, digests))

    def _copy_index(self) -> CopiedIndex:
        from kb.store.local_vectors import CopiedIndex

        generation = self._environment.file(self.catalog.get().meta("generation") or "none")
        return CopiedIndex(generation, self._source.get(), self._pairing.get())

    def _read_exact(self) -> ExactIndex | None:
        from kb.search.exact import MOST_BYTES, exact_index, fits

        embedder = self._environment.embedder.get()
        # ChromaDB writes to any store that it opens, so a read-only store is always searched this way.
        most = sys.maxsize if self.state == "read-only" else MOST_BYTES
        catalog = self.catalog.get()
        self._too_many = not fits(catalog, embedder.dimension, most)
        return exact_index(catalog, self.cache.get(), embedder.fingerprint, embedder.dimension, most)

    # Components built on catalog, cache and index.

    def freshness(self, waiting: int | None = None) -> Freshness:
        """How many files are found by words and by meaning, and how many are waiting: from the watcher, or a scan.

        Questions that follow one another share scans; ``Freshness.counted`` says when the last one ended.

        Args:
            waiting: How many files are waiting, where the caller has just scanned the folders; None to find out.
        """
        catalog = self.catalog.get()
        found = Freshness(catalog.as_of(), 0, files=catalog.count_files(), words_only=catalog.queue_size().files)
        if self._environment.serving.watch is not None:
            watching, pending = self._environment.serving.watch()
            return replace(found, pending=pending, watching=watching)
        if waiting is not None:
            return replace(found, pending=waiting)
        look = self._pending.look()
        return replace(found, pending=look.missing.waiting, counted=look.at if look.kept else None)

    def missing(self) -> Missing:
        """What an answer may lack: waiting files, missing files that are kept, and files that failed."""
        if self._environment.serving.watch is None:
            return self._pending.look().missing
        watching, waiting = self._environment.serving.watch()
        left_out = self.indexer.get().left_out
        # Where no folder is there, no run ends, and what the last one left out says nothing.
        if not watching or left_out is None or not any(map(os.path.isdir, self._environment.settings.folder_paths())):
            return missing(self._environment.files.get(), self.catalog.get(), _is_failure)
        failed = left_out.failed + sum(map(_is_failure, self.catalog.get().problems()))
        return replace(left_out, waiting=waiting, failed=failed)

    def look_again(self) -> None:
        """Scan the folders for the next question, because the index or a file was changed here."""
        self._pending.reset()

    def comparison(self) -> tuple[Comparison, tuple[Failure, ...]]:
        """Compare disk and catalog; also returns files that cannot be read. Needs neither model nor vectors."""
        return compare_with_disk(self._environment.files.get(), self.catalog.get())

    def _make_questions(self) -> CachedQueryEmbedder:
        from kb.embedding.cache import CachedQueryEmbedder

        return CachedQueryEmbedder(self._environment.embedder.get(), self.cache.get())

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
            in_memory=self._exact_if_whole,
            indexer=self.indexer.get(),
        )

    def _make_searcher(self) -> Searcher:
        files, catalog = self._environment.files.get(), self.catalog.get()
        return Searcher(
            self.questions.get(),
            self.query_index,
            catalog,
            files,
            self.freshness,
            missing=self.missing,
            verifier=self.integrity.verifier,
        )


class _Source:
    """Opens, probes and fills generations of the vector index.

    Args:
        environment: The model and the write batch.
        catalog: The passages, and the generation in use.
        cache: The vectors of the passages.
    """

    def __init__(self, environment: Environment, catalog: Lazy[SqliteCatalog], cache: Lazy[ClosableCache]) -> None:
        self._environment = environment
        self._catalog = catalog
        self._cache = cache

    def open(self, directory: str, *, create: bool) -> ChromaIndex:
        """Open one generation. kb's embedding function is registered for other programs; kb passes vectors."""
        from kb.models import embedding_function_of
        from kb.store.local_chroma import open_index

        embedder = self._environment.embedder.get()
        return open_index(
            directory,
            self._environment.settings.config.store.collection,
            embedder.fingerprint,
            embedder.dimension,
            embedding_function_of(self._environment.settings),
            create=create,
            pace=self._environment.pace(),
        )

    def probe(self, directory: str) -> str | None:
        """Test a generation in a child process; returns what is wrong with it, or None."""
        from kb.store.probe import longest, probe

        seconds = longest(self._catalog.get().count())
        return probe(directory, self._environment.settings.config.store.collection, seconds)

    def refill(
        self,
        index: VectorIndex,
        should_stop: Callable[[], bool],
        previous: KnownVectors,
    ) -> None:
        """Fill a new index from catalog and cache, and from the one before; what is in none is left to the next run."""
        fingerprint = self._environment.embedder.get().fingerprint
        catalog, cache = self._catalog.get(), self._cache.get()
        _, lacking = refill(catalog, cache, index, fingerprint, should_stop, previous=previous)
        if lacking:
            catalog.mark_pending(lacking)

    def generation(self) -> str | None:
        """The generation recorded in the catalog; None if there is none."""
        return self._catalog.get().meta("generation")

    def activate_generation(self, generation: str) -> None:
        """Record a generation in the catalog."""
        activate_generation(self._catalog.get(), generation)
