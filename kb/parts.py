"""Builds the parts of a knowledge base from its settings: the only file that names concrete classes.

Each part is built when it is first asked for, so that a command pays only for what it uses: a run that finds nothing
to embed never imports torch, and the list of files never opens ChromaDB.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from kb.claims import owned
from kb.errors import WAYS_TO_CONFIGURE, FolderError, ModelMismatch
from kb.index.check import Checker
from kb.index.look import look, missing
from kb.index.rebuild import came_into_service, refill
from kb.index.sync import Indexer
from kb.integrity import Integrity, is_there, only_readable
from kb.reading import reader_of, reading_of, rules_of, sandboxes_of
from kb.records import Freshness
from kb.search.courtesy import Courtesy
from kb.search.query import Searcher
from kb.served import refuse_served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kb.config import Settings
    from kb.embed.borrow import ClosableCache
    from kb.embed.encoder import Encoder
    from kb.embed.questions import RememberedQuestions
    from kb.embed.rerankers import Rerankers
    from kb.index.plan import Comparison
    from kb.ports import Edit, Files, Nearest, Reader, VectorIndex
    from kb.reading import Sandboxes
    from kb.records import Failure
    from kb.search.exact import ExactIndex
    from kb.store.catalog import SqliteCatalog
    from kb.store.chroma import ChromaIndex
    from kb.store.copied import CopiedIndex
    from kb.store.lock import StoreLock
    from kb.store.pairing import Pairing
    from kb.store.vectors import VectorStore

CATALOG_FILE: Final = "catalog.sqlite3"
CACHE_FILE: Final = "embeddings.sqlite3"
PROBE_SECONDS: Final = 120.0
_BUILT_ON_THE_CATALOG: Final = ("indexer", "checker", "searcher", "exact", "_catalog")
_IN_MEMORY: Final = (*_BUILT_ON_THE_CATALOG, "questions", "cache")


class Parts:
    """The parts of one knowledge base.

    Args:
        settings: The configuration.
        warn: Tells the user what happened, in one sentence.
        lender: The parts of another knowledge base, whose model is used, and its vectors for texts that are equal.
        edit: Changes each document before it is split.
    """

    def __init__(
        self,
        settings: Settings,
        warn: Callable[[str], None],
        lender: Parts | None = None,
        edit: Edit | None = None,
    ) -> None:
        self.settings = settings
        self.config = settings.config
        self._lender = lender
        self._edit = edit
        self.warn = warn
        self.store_path = settings.store_path()
        # Set by an owner: whether it watches, and how many places wait.
        self.watch: Callable[[], tuple[bool, int]] | None = None
        # While questions come in beside it, an index run writes little at once: each write stops all threads.
        self.write_batch: int | None = None
        self.courtesy = Courtesy()
        self.takes_over = False  # Whether to fill the store of another configuration from now on.
        # Whether anything was built on a catalog or a cache in memory, since there was no store.
        self._in_memory = False
        self._told_read_only = False

    def beside(self, store: str, folders: Sequence[str] = (), edit: Edit | None = None) -> Parts:
        """The parts of another knowledge base over these folders, or others, with the same model."""
        return Parts(self.settings.beside(store, folders), self.warn, lender=self, edit=edit)

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """The watched folders.

        Raises:
            FolderError: None is configured.
        """
        folders = self.settings.folder_paths()
        if not folders:
            raise FolderError("no folder is configured", WAYS_TO_CONFIGURE)
        return folders

    @cached_property
    def files(self) -> Files:
        """The disk."""
        from kb.read.disk import Disk
        from kb.watch.mounts import points

        never = (self.store_path, *((str(self.settings.file),) if self.settings.file else ()))
        return Disk(self.folders, rules_of(self.config), never=never, mounted=points)

    @cached_property
    def embedder(self) -> Encoder:
        """The model; its weights are loaded with the first text."""
        from kb.models import encoder_of

        return self._lender.embedder if self._lender else encoder_of(self.settings)

    def runtime(self) -> str:
        """How the model runs, or would run; fetches and loads nothing."""
        from kb.models import runtime_of

        return runtime_of(self.settings, self.__dict__.get("embedder"))

    @cached_property
    def reader(self) -> Reader:
        """The splitter, measuring in the model's own tokens."""
        return reader_of(self.config, self.embedder.tokens, self.sandboxes, self._edit)

    @cached_property
    def sandboxes(self) -> Sandboxes:
        """Where other people's parsers run; a process starts with the first file for it."""
        return sandboxes_of(self.config)

    @property
    def catalog(self) -> SqliteCatalog:
        """The record; in memory and empty where nothing was ever indexed and nothing is being written."""
        self._leave_memory()
        return self._catalog

    @cached_property
    def _catalog(self) -> SqliteCatalog:
        from kb.store.catalog import SqliteCatalog

        catalog = SqliteCatalog(self._file(CATALOG_FILE), copy=self.read_only)
        return owned(catalog, self.settings, takes_over=self.takes_over)

    def replace_catalog(self) -> None:
        """Set a damaged catalog aside and begin an empty one; the next run fills it from folders and cache."""
        from kb.store.catalog_schema import set_aside

        for name in _BUILT_ON_THE_CATALOG:
            part = self.__dict__.pop(name, None)
            if name == "_catalog" and part is not None:
                part.close()
        kept = set_aside(self._file(CATALOG_FILE))
        self.integrity.begin()
        self.warn(f"the catalog was damaged; it is kept as {kept}, and every file is read again")

    @cached_property
    def cache(self) -> ClosableCache:
        """The vectors of all texts that were ever embedded; in memory where nothing is being written yet."""
        from kb.embed.borrow import BorrowingCache
        from kb.embed.cache import EmbeddingCache

        most = self.config.embed.cache_vectors
        if self.read_only:
            kept = EmbeddingCache(self._file(CACHE_FILE), most, warn=self.warn, read_only=True)
            return BorrowingCache(EmbeddingCache(":memory:", most, warn=self.warn), kept)
        own = EmbeddingCache(self._file(CACHE_FILE), most, warn=self.warn)
        return own if self._lender is None else BorrowingCache(own, self._lender.cache)

    @cached_property
    def lock(self) -> StoreLock:
        """The lock on the store, not yet taken."""
        from kb.store.lock import StoreLock

        return StoreLock(self.store_path)

    @property
    def exists(self) -> bool:
        """Whether anything was ever indexed here."""
        return is_there(self.store_path, CATALOG_FILE)

    @cached_property
    def read_only(self) -> bool:
        """Whether the store can be read and not be written."""
        return self.exists and only_readable(self.store_path)

    def own(self) -> None:
        """Become the owner of the store: nobody else may touch ChromaDB's files from here on.

        Raises:
            StoreBusy: Another process owns it and did not let go of it in time, or is a ``kb watch`` that never will.
        """
        if not self.lock.held:
            self.lock.acquire(self.config.store.wait_seconds, self.warn, lambda: refuse_served(self.settings))
            self.__dict__.pop("read_only", None)
            self._leave_memory()
        self.integrity.look_over()

    def ask(self) -> None:
        """Own the store for a question; one that can only be read is asked as it stands.

        Raises:
            StoreBusy: Another process owns it and did not let go of it in time.
        """
        if not self.read_only:
            self.own()
        elif not self._told_read_only:
            self._told_read_only = True
            self.warn(f"the store at {self.store_path} cannot be written: it is asked as it stands")

    @cached_property
    def integrity(self) -> Integrity:
        """How far the store is relied on."""
        return Integrity(self, os.path.join(self.store_path, CATALOG_FILE))  # noqa: PTH118  # plain strings throughout

    @cached_property
    def vectors(self) -> VectorStore:
        """The vector index and its generations. The caller owns the store."""
        from kb.store.generations import Generations
        from kb.store.probe import probe
        from kb.store.vectors import VectorStore

        return VectorStore(
            generations=Generations(self.store_path, on_step=lambda _: self.lock.require_place()),
            open_index=self._open_index,
            probe=lambda directory: probe(directory, self.config.store.collection, PROBE_SECONDS),
            refill=self._refill,
            expected=lambda: self.catalog.meta("generation"),
            on_generation=lambda name: came_into_service(self.catalog, name),
            pairing=self._pairing,
            warn=self.warn,
        )

    @cached_property
    def _pairing(self) -> Pairing:
        """Ties the vector index to the catalog."""
        from kb.store.pairing import Pairing

        return Pairing(lambda: self.catalog, lambda digests: self.cache.peek(self.embedder.fingerprint, digests))

    def index(self) -> VectorIndex:
        """The vector index, opened under the lock, for the model of the configuration.

        Raises:
            ModelMismatch: The store was made by another model.
        """
        self.own()
        self.agree()
        # What is written from here on would be missing in it.
        self.__dict__.pop("exact", None)
        return self.vectors.index()

    @contextmanager
    def lent_index(self) -> Iterator[Nearest]:
        """The vectors for one question, which no rebuild takes away meanwhile.

        Until something opens ChromaDB anyway, they come from catalog and cache where they are few enough.
        """
        self.ask()
        self.agree()
        exact = None if self.lock.held and self.vectors.opened else self.exact
        if exact is not None:
            yield exact
            return
        if self.read_only:
            yield self._copied_index.index
            return
        with self.vectors.using() as index:
            yield index

    @cached_property
    def exact(self) -> ExactIndex | None:
        """The vectors of all passages, for a process that has not opened ChromaDB; none where they are too many."""
        from kb.search.exact import MOST_BYTES, exact_index

        # A store that cannot be written has no other way: ChromaDB writes wherever it is opened.
        most = sys.maxsize if self.read_only else MOST_BYTES
        return exact_index(self.catalog, self.cache, self.embedder.fingerprint, self.embedder.dimension, most)

    @cached_property
    def _copied_index(self) -> CopiedIndex:
        """A copy of the vector index, for a store that cannot be written and whose cache lacks some of the vectors."""
        from kb.store.copied import CopiedIndex

        generation = os.path.join(self.store_path, self.catalog.meta("generation") or "none")  # noqa: PTH118  # as above
        return CopiedIndex(generation, self._open_index, self._pairing)

    @cached_property
    def questions(self) -> RememberedQuestions:
        """The model for questions, which remembers the vectors of past ones."""
        from kb.embed.questions import RememberedQuestions

        return RememberedQuestions(self.embedder, self.cache)

    def agree(self) -> None:
        """See that the store's vectors are of the configured model; a new store takes the model over.

        Raises:
            ModelMismatch: They are of another one.
        """
        stored = self.catalog.meta("fingerprint")
        if stored is None:
            self.catalog.set_meta("fingerprint", self.embedder.fingerprint)
            self.catalog.set_meta("model", self.config.embed.model)
        elif stored != self.embedder.fingerprint:
            raise ModelMismatch(
                f"the store was made with {self.catalog.meta('model')}, not with {self.config.embed.model}",
                "Run kb index --full to embed everything with the new model, or set embed.model back",
            )

    def adopt(self) -> None:
        """Take over the configured model: begin an empty index, and let every file be done again."""
        # The index of the old model is disowned first, so that whoever goes on after this was cut off makes another.
        self.catalog.set_meta("generation", "")
        self.catalog.unsettle()
        self.catalog.set_meta("model", self.config.embed.model)
        self.catalog.set_meta("fingerprint", self.embedder.fingerprint)
        self.vectors.restart()

    @cached_property
    def indexer(self) -> Indexer:
        """Brings the store in line with the disk."""
        return Indexer(
            files=self.files,
            reader=self.reader,
            embedder=self.embedder,
            cache=self.cache,
            catalog=self.catalog,
            index=self.index,
            reading=reading_of(self.config, self.embedder.fingerprint),
        )

    @cached_property
    def checker(self) -> Checker:
        """Compares disk, catalog and vectors."""
        return Checker(
            files=self.files,
            reader=self.reader,
            embedder=self.embedder,
            cache=self.cache,
            catalog=self.catalog,
            index=self.index,
            indexer=self.indexer,
        )

    @cached_property
    def searcher(self) -> Searcher:
        """Answers questions."""
        return Searcher(
            self.questions,
            self.lent_index,
            self.catalog,
            self.files,
            self.freshness,
            missing=partial(missing, self.files, self.catalog),
            verifier=self.integrity.verifier,
        )

    @cached_property
    def rerankers(self) -> Rerankers:
        """The models that read hits again."""
        from kb.models import rerankers_of

        return rerankers_of(self.settings, lambda: self.embedder)

    def freshness(self) -> Freshness:
        """When the last complete run ended and how many files wait: what the watcher says, else a scan of now."""
        if self.watch is not None:
            watching, waiting = self.watch()
            return Freshness(self.catalog.as_of(), waiting, watching=watching)
        return Freshness(self.catalog.as_of(), self.comparison()[0].pending)

    def comparison(self) -> tuple[Comparison, tuple[Failure, ...]]:
        """The disk beside the catalog, and what on the disk cannot be taken in; needs neither model nor vectors."""
        return look(self.files, self.catalog)

    def warm(self) -> None:
        """Build whatever questions and runs need, so that threads find it built, and load the model."""
        self.own()
        self.index()
        self.embedder.load()
        if self.write_batch is not None:
            self.embedder.share(self.courtesy.wait)
        for name in ("files", "reader", "cache", "searcher", "indexer", "checker"):
            getattr(self, name)

    def close(self) -> None:
        """Close what is open, the vector index before the lock."""
        built = self.__dict__
        try:
            for name in ("sandboxes", "vectors", "_copied_index", "cache", "_catalog"):
                if part := built.get(name):
                    part.close()
            if self.lock.held and (catalog := built.get("_catalog")) is not None:
                self.integrity.leave(catalog.damage)
        finally:
            if lock := built.get("lock"):
                lock.release()

    def _file(self, name: str) -> str:
        """A file of the store, or memory where there is no store and none is being made."""
        if self.lock.held or self.exists:
            return os.path.join(self.store_path, name)  # noqa: PTH118  # plain strings throughout the stores
        self._in_memory = True
        return ":memory:"

    def _leave_memory(self) -> None:
        """Let whatever was built on the empty catalog of a store that did not exist be built again on the real one."""
        if self._in_memory and (self.lock.held or self.exists):
            self._in_memory = False
            for name in _IN_MEMORY:
                self.__dict__.pop(name, None)

    def _open_index(self, directory: str, *, create: bool) -> ChromaIndex:
        """One generation, with kb's embedding function registered for other programs; kb itself passes vectors."""
        from kb.models import embedding_function_of
        from kb.store.chroma import ChromaIndex

        index = ChromaIndex.open(
            directory,
            self.config.store.collection,
            self.embedder.fingerprint,
            self.embedder.dimension,
            embedding_function_of(self.settings),
            create=create,
        )
        if self.write_batch is not None:
            index.write_batch = self.write_batch
            index.give_way = self.courtesy.wait
        return index

    def _refill(self, index: VectorIndex, should_stop: Callable[[], bool]) -> None:
        """Fill a new index from catalog and cache; files that lack a vector are left to the next run."""
        _, lacking = refill(self.catalog, self.cache, index, self.embedder.fingerprint, should_stop)
        if lacking:
            self.catalog.unsettle(lacking)
