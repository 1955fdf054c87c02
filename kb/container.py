"""Builds the parts of a knowledge base from its settings, and opens its store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING

from kb.claims import refuse_served
from kb.errors import WAYS_TO_CONFIGURE, FolderError, KbError
from kb.integrity import is_there, only_readable
from kb.lazy import Lazy
from kb.open_store import CATALOG_FILE, Environment, OpenStore, Serving
from kb.reading import reader_of, rules_of, sandboxes_of
from kb.search.priority import QueryPriority

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.config import Settings
    from kb.embedding.cache import ClosableCache
    from kb.embedding.encoder import Encoder
    from kb.embedding.rerankers import Rerankers
    from kb.indexing.check import Checker
    from kb.indexing.plan import Comparison
    from kb.indexing.sync import Indexer
    from kb.integrity import Integrity
    from kb.open_store import State
    from kb.ports import Edit, Files, Reader, VectorIndex
    from kb.reading import Sandboxes
    from kb.records import Failure, Freshness
    from kb.search.search import Searcher
    from kb.store.catalog import SqliteCatalog
    from kb.store.lock import StoreLock
    from kb.store.vectors import VectorStore


class Container:
    """The parts of one knowledge base.

    The disk, the model and the lock are made once. The store is opened when it is first needed; where it is made, begun
    anew or opened in another way, another ``OpenStore`` takes the place of the one before, in ``_renew`` and nowhere
    else.

    Args:
        settings: The configuration.
        warn: Tells the user what happened, in one sentence.
        lender: The parts of another knowledge base, whose model is used, and its vectors for texts that are equal.
        edit: Changes each document before it is split.
        embedder: The model, where it is not that of the configuration.
    """

    def __init__(
        self,
        settings: Settings,
        warn: Callable[[str], None],
        *,
        lender: Container | None = None,
        edit: Edit | None = None,
        embedder: Encoder | None = None,
    ) -> None:
        from kb.store.lock import StoreLock

        self.settings = settings
        self.config = settings.config
        self.warn = warn
        self.store_path = settings.store_path()
        self.query_priority = QueryPriority()
        self._lender = lender
        self._edit = edit
        self._sandboxes = Lazy(lambda: sandboxes_of(settings.config))
        self._environment = Environment(
            settings=settings,
            store=self.store_path,
            warn=warn,
            lock=StoreLock(self.store_path),
            files=Lazy(self._disk),
            embedder=Lazy(self._encoder) if embedder is None else Lazy.of(embedder),
            reader=Lazy(self._reader),
            query_priority=self.query_priority,
            serving=Serving(),
            lender=None if lender is None else lambda: lender.cache,
        )
        self._store: OpenStore | None = None
        self._renewing = RLock()
        self._told_read_only = False

    def beside(self, store: str, folders: Sequence[str] = (), edit: Edit | None = None) -> Container:
        """The parts of another knowledge base over these folders, or others, with the same model."""
        return Container(self.settings.beside(store, folders), self.warn, lender=self, edit=edit)

    # What outlasts a store.

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

    @property
    def files(self) -> Files:
        """The disk."""
        return self._environment.files.get()

    @property
    def embedder(self) -> Encoder:
        """The model; its weights are loaded with the first text."""
        return self._environment.embedder.get()

    @property
    def reader(self) -> Reader:
        """The splitter, measuring in the model's own tokens."""
        return self._environment.reader.get()

    @property
    def sandboxes(self) -> Sandboxes:
        """Where other people's parsers run; a process starts with the first file for it."""
        return self._sandboxes.get()

    @property
    def lock(self) -> StoreLock:
        """The lock on the store."""
        return self._environment.lock

    @cached_property
    def rerankers(self) -> Rerankers:
        """The models that read hits again."""
        from kb.models import rerankers_of

        return rerankers_of(self.settings, self._environment.embedder.get)

    def runtime(self) -> str:
        """How the model runs, or would run; fetches and loads nothing."""
        from kb.models import runtime_of

        return runtime_of(self.settings, self._environment.embedder.built)

    def _disk(self) -> Files:
        from kb.files.scan import Disk
        from kb.watching.mounts import points

        never = (self.store_path, *((str(self.settings.file),) if self.settings.file else ()))
        return Disk(self.folders, rules_of(self.config), never=never, mounted=points)

    def _encoder(self) -> Encoder:
        from kb.models import encoder_of

        return encoder_of(self.settings) if self._lender is None else self._lender.embedder

    def _reader(self) -> Reader:
        return reader_of(self.config, self.embedder.tokens, self.sandboxes, self._edit)

    # The store that is open.

    @property
    def exists(self) -> bool:
        """Whether anything was ever indexed here."""
        return is_there(self.store_path, CATALOG_FILE)

    @property
    def opened(self) -> OpenStore | None:
        """The store as it is open; None where nothing needed it yet."""
        return self._store

    @property
    def store(self) -> OpenStore:
        """The store, opened; in memory and empty where nothing was ever indexed and nothing is being written."""
        store = self._store
        if store is not None and store.state != "absent":
            return store
        with self._renewing:
            store = self._store
            appeared = store is not None and store.state == "absent" and (self.lock.held or self.exists)
            return self._renew() if store is None or appeared else store

    @property
    def catalog(self) -> SqliteCatalog:
        """The record."""
        return self.store.catalog.get()

    @property
    def cache(self) -> ClosableCache:
        """The vectors of all texts that were ever embedded."""
        return self.store.cache.get()

    @property
    def vectors(self) -> VectorStore:
        """The vector index and its generations. The caller owns the store."""
        return self.store.vectors.get()

    @property
    def indexer(self) -> Indexer:
        """Brings the store in line with the disk."""
        return self.store.indexer.get()

    @property
    def checker(self) -> Checker:
        """Compares disk, catalog and vectors."""
        return self.store.checker.get()

    @property
    def searcher(self) -> Searcher:
        """Answers questions."""
        return self.store.searcher.get()

    @property
    def integrity(self) -> Integrity:
        """How far the store is relied on."""
        return self.store.integrity

    def index(self) -> VectorIndex:
        """The vector index, opened under the lock, for the model of the configuration.

        Raises:
            ModelMismatch: The store was made by another model.
        """
        self.own()
        return self.store.index()

    def agree(self) -> None:
        """See that the store's vectors are of the configured model; a new store takes the model over.

        Raises:
            ModelMismatch: They are of another one.
        """
        self.store.agree()

    def adopt(self) -> None:
        """Take over the configured model: begin an empty index, and let every file be done again."""
        self.store.adopt()

    def freshness(self) -> Freshness:
        """When the last complete run ended and how many files wait."""
        return self.store.freshness()

    def comparison(self) -> tuple[Comparison, tuple[Failure, ...]]:
        """The disk beside the catalog, and what on the disk cannot be taken in; needs neither model nor vectors."""
        return self.store.comparison()

    # Its life.

    def own(self) -> None:
        """Become the owner of the store: nobody else may touch ChromaDB's files from here on.

        Raises:
            StoreBusy: Another process owns it and did not let go of it in time, or is a ``kb watch`` that never will.
        """
        if not self.lock.held:
            self.lock.acquire(self.config.store.wait_seconds, self.warn, lambda: refuse_served(self.settings))
            if self._store is not None and self._store.state != "there":
                self._renew()
        self.integrity.look_over()

    def ask(self) -> None:
        """Own the store for a question; one that can only be read is asked as it stands.

        Raises:
            StoreBusy: Another process owns it and did not let go of it in time.
        """
        if self.store.state != "read-only":
            self.own()
        elif not self._told_read_only:
            self._told_read_only = True
            self.warn(f"the store at {self.store_path} cannot be written: it is asked as it stands")

    def take_over(self) -> None:
        """Fill the store from now on, though another configuration filled it before."""
        self._environment = replace(self._environment, takes_over=True)
        if self._store is not None and self._store.catalog.built is None:
            self._renew()

    def serve(self, serving: Serving) -> None:
        """Own the store from now on until ``close``, with the model loaded, for questions from many threads.

        Raises:
            StoreBusy: Another process owns it.
        """
        self._environment = replace(self._environment, serving=serving)
        if self._store is not None:
            self._renew()
        self.warm()

    def warm(self) -> None:
        """Own the store and build whatever questions and runs need, so that threads find it built; load the model."""
        self.index()
        self.embedder.load()
        if self._environment.serving.write_batch is not None:
            self.embedder.share(self.query_priority.wait)
        self.store.build()

    def replace_catalog(self) -> None:
        """Set a damaged catalog aside and begin an empty one; the next run fills it from folders and cache."""
        from kb.sqlite import set_aside
        from kb.store.catalog_schema import SCHEMA

        if self._store is not None:
            self._store.abandon()
        kept = set_aside(self._environment.file(CATALOG_FILE), SCHEMA)
        self._renew(closed=True).integrity.begin()
        self.warn(f"the catalog was damaged; it is kept as {kept}, and every file is read again")

    def close(self) -> None:
        """Close what is open, the store before its lock. Closing again is allowed."""
        try:
            if (sandboxes := self._sandboxes.built) is not None:
                sandboxes.close()
            if self._store is not None:
                self._store.close()
        finally:
            self._store = None
            self.lock.release()

    def abandon(self) -> None:
        """Let go of a store that was lost, in place of closing it: nothing is written where it was."""
        store, self._store = self._store, None
        if store is not None:
            store.abandon()
        with suppress(KbError, OSError):
            if (sandboxes := self._sandboxes.built) is not None:
                sandboxes.close()
        with suppress(KbError, OSError):
            self.lock.release()

    def _renew(self, *, closed: bool = False) -> OpenStore:
        """Open the store as it is now, in place of what was open before; ``closed`` where that was let go of."""
        with self._renewing:
            before, state = self._store, self._state()
            if before is not None and not closed:
                before.close()
            self._store = OpenStore(self._environment, state, self.own)
            return self._store

    def _state(self) -> State:
        if self.lock.held:
            return "there"
        if not self.exists:
            return "absent"
        return "read-only" if only_readable(self.store_path) else "there"
