"""The dependency container of a knowledge base: builds its components from settings and opens its store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING

from kb.backup.staging import remove_unfinished
from kb.claims import refuse_while_served
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
    from kb.indexing.sync import Indexer
    from kb.open_store import State
    from kb.ports import Edit, Files, Reader, VectorIndex
    from kb.reading import Sandboxes
    from kb.search.search import Searcher
    from kb.store.catalog import SqliteCatalog
    from kb.store.lock import StoreLock
    from kb.store.vectors import VectorStore


class Container:
    """The components of one knowledge base.

    Files, model and lock are created once. The store is opened on first use. When it is created, recreated or opened
    in another state, ``_reopen`` replaces the ``OpenStore``; nothing else does.

    Args:
        settings: The configuration.
        warn: Called with a sentence for the user.
        base: The container of another knowledge base, whose model and cached vectors are used too.
        edit: Changes each document before it is split.
        embedder: A model that replaces the configured one.
    """

    def __init__(
        self,
        settings: Settings,
        warn: Callable[[str], None],
        *,
        base: Container | None = None,
        edit: Edit | None = None,
        embedder: Encoder | None = None,
    ) -> None:
        from kb.store.lock import StoreLock

        self.settings = settings
        self.config = settings.config
        self.warn = warn
        self.store_path = settings.store_path()
        self.query_priority = QueryPriority()
        self._base = base
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
            base=None if base is None else lambda: base.cache,
        )
        self._store: OpenStore | None = None
        self._reopening = RLock()
        self._warned_read_only = False

    def beside(self, store: str, folders: Sequence[str] = (), edit: Edit | None = None) -> Container:
        """A container for another store, over the same or other folders, with the same model."""
        return Container(self.settings.beside(store, folders), self.warn, base=self, edit=edit)

    # Components that are independent of the open store.

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
        """The watched folders on disk."""
        return self._environment.files.get()

    @property
    def embedder(self) -> Encoder:
        """The embedding model; its weights are loaded on first use."""
        return self._environment.embedder.get()

    def embedder_if_here(self) -> Encoder | None:
        """The embedding model; None if it would have to be downloaded first."""
        from kb.embedding.locate import is_here

        embed = self.config.embed
        here = self._environment.embedder.built is not None or is_here(self.settings.model(), embed.revision)
        return self.embedder if here else None

    @property
    def reader(self) -> Reader:
        """Reads files and splits them into passages, counting the model's tokens."""
        return self._environment.reader.get()

    @property
    def sandboxes(self) -> Sandboxes:
        """The sandboxes for third-party parsers; a process starts with the first file for it."""
        return self._sandboxes.get()

    @property
    def lock(self) -> StoreLock:
        """The lock on the store."""
        return self._environment.lock

    @cached_property
    def rerankers(self) -> Rerankers:
        """The reranking models."""
        from kb.models import rerankers_of

        return rerankers_of(self.settings, self._environment.embedder.get)

    def runtime(self) -> str:
        """How the model runs or would run; downloads and loads nothing."""
        from kb.models import runtime_of

        return runtime_of(self.settings, self._environment.embedder.built)

    def _disk(self) -> Files:
        from kb.files.scan import Disk
        from kb.watching.mounts import points

        return Disk(self.folders, rules_of(self.config), never=self.settings.own_files(), mounted=points)

    def _encoder(self) -> Encoder:
        from kb.models import encoder_of

        return encoder_of(self.settings) if self._base is None else self._base.embedder

    def _reader(self) -> Reader:
        return reader_of(self.config, self.embedder.tokens, self.sandboxes, self._edit)

    # The open store.

    @property
    def exists(self) -> bool:
        """Whether the store exists."""
        return is_there(self.store_path, CATALOG_FILE)

    @property
    def opened(self) -> OpenStore | None:
        """The open store; None if it was not used yet."""
        return self._store

    @property
    def store(self) -> OpenStore:
        """The store, opened on first use; empty and in memory while none exists and the lock is not held."""
        store = self._store
        if store is not None and store.state != "absent":
            return store
        with self._reopening:
            store = self._store
            appeared = store is not None and store.state == "absent" and (self.lock.held or self.exists)
            return self._reopen() if store is None or appeared else store

    @property
    def catalog(self) -> SqliteCatalog:
        """The catalog."""
        return self.store.catalog.get()

    @property
    def cache(self) -> ClosableCache:
        """The embedding cache."""
        return self.store.cache.get()

    @property
    def vectors(self) -> VectorStore:
        """The vector index and its generations. The caller holds the lock."""
        return self.store.vectors.get()

    @property
    def indexer(self) -> Indexer:
        """Brings the store up to date with the disk."""
        return self.store.indexer.get()

    @property
    def searcher(self) -> Searcher:
        """Answers questions."""
        return self.store.searcher.get()

    def index(self) -> VectorIndex:
        """The vector index, opened under the lock, for the configured model.

        Raises:
            ModelMismatch: The store was made with another model.
        """
        self.own()
        return self.store.index()

    def look_again(self) -> None:
        """Scan the folders for the next question, because the index or a file was changed here."""
        if self._store is not None:
            self._store.look_again()

    # Lifecycle.

    def own(self) -> None:
        """Lock the store, so that no other process opens ChromaDB's files.

        Raises:
            StoreBusy: Another process did not release the lock in time, or is a daemon.
        """
        self.hold(self.config.store.wait_seconds)
        self.store.integrity.audit()

    def hold(self, wait_seconds: float) -> None:
        """Lock the store, so that no other process opens ChromaDB's files, and look at nothing in it yet.

        Args:
            wait_seconds: How long to wait for any one process that holds it.

        Raises:
            StoreBusy: Another process did not release the lock in time, or is a daemon.
        """
        if not self.lock.held:
            self.lock.acquire(wait_seconds, self.warn, lambda: refuse_while_served(self.settings))
            remove_unfinished(self.store_path)
            if self._store is not None and self._store.state != "there":
                self._reopen()

    def ask(self) -> None:
        """Lock the store for a search; a read-only store is searched without a lock.

        Raises:
            StoreBusy: Another process did not release the lock in time.
        """
        if self.store.state != "read-only":
            self.own()
        elif not self._warned_read_only:
            self._warned_read_only = True
            self.warn(f"the store at {self.store_path} cannot be written: it is asked as it stands")

    def take_over(self) -> None:
        """Use the store even if another configuration filled it."""
        self._environment = replace(self._environment, takes_over=True)
        if self._store is not None and (self._store.catalog.built is None or self._store.on_server):
            self._reopen()

    def serve(self, serving: Serving) -> None:
        """Lock the store until ``close`` and load the model, for searches from many threads.

        Raises:
            StoreBusy: Another process holds the store.
        """
        self._environment = replace(self._environment, serving=serving)
        if self._store is not None:
            self._reopen()
        self.warm()

    def warm(self) -> None:
        """Lock the store, load the model and build all components before other threads use them."""
        self.index()
        self.embedder.load()
        if self._environment.serving.write_batch is not None:
            self.embedder.share(self.query_priority.wait)
        self.store.build()

    def replace_catalog(self) -> None:
        """Set a damaged catalog aside and create an empty one; the next run fills it from folders and cache."""
        from kb.sqlite import set_aside
        from kb.store.catalog_schema import SCHEMA

        if self._store is not None:
            self._store.abandon()
        kept = set_aside(self._environment.file(CATALOG_FILE), SCHEMA)
        self._reopen(closed=True).integrity.skip_audit()
        self.warn(f"the catalog was damaged; it is kept as {kept}, and every file is read again")

    def close(self) -> None:
        """Close everything, the store before its lock. Closing again is allowed."""
        try:
            if (sandboxes := self._sandboxes.built) is not None:
                sandboxes.close()
            if self._store is not None:
                self._store.close()
        finally:
            self._store = None
            self.lock.release()

    def abandon(self) -> None:
        """Close a lost store without writing anything at its path."""
        store, self._store = self._store, None
        if store is not None:
            store.abandon()
        with suppress(KbError, OSError):
            if (sandboxes := self._sandboxes.built) is not None:
                sandboxes.close()
        with suppress(KbError, OSError):
            self.lock.release()

    def _reopen(self, *, closed: bool = False) -> OpenStore:
        """Replace the open store by the store as it is now; ``closed`` if the old one is closed already."""
        with self._reopening:
            before, state = self._store, self._state()
            if before is not None and not closed:
                before.close()
            self._store = OpenStore(self._environment, state, self.own)
            return self._store

    def _state(self) -> State:
        if self.lock.held:
            return "there"
        if not self.exists:
            from kb.store.lock import require_no_file

            require_no_file(self.store_path)
            return "absent"
        return "read-only" if only_readable(self.store_path) else "there"
