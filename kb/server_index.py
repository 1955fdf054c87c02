"""The vector index on a configured Chroma server: what it is filled with, and what answers while it is away."""

from __future__ import annotations

import os
import uuid
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from kb.indexing.rebuild import activate_generation, records_of, refill
from kb.models import embedding_function_of
from kb.search.exact import MOST_BYTES_MEANWHILE, cached_index
from kb.store.chroma import Pace
from kb.store.generations import CURRENT_FILE, Generations
from kb.store.headers import headers_from
from kb.store.index_stamp import STAMP_FILE
from kb.store.lease import Lease, place_of
from kb.store.server import ChromaServer, ServerAddress
from kb.store.server_generations import LEASE, ServerGenerations
from kb.store.server_vectors import Sendable, ServerVectors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.config import Settings
    from kb.embedding.cache import ClosableCache
    from kb.embedding.encoder import Encoder
    from kb.ports import Nearest, VectorIndex
    from kb.store.catalog import SqliteCatalog
    from kb.store.chroma import ChromaIndex
    from kb.store.pairing import Pairing
    from kb.store.server import FoundCollection

STORE_ID: Final = "store id"
# A call with more records may take longer than a server is waited for.
_BATCH: Final = 100


def address_of(settings: Settings, environ: Mapping[str, str]) -> ServerAddress:
    """The server of a configuration that names one."""
    store = settings.config.store
    return ServerAddress(
        store.chroma.rstrip("/"),
        store.tenant,
        store.database,
        store.collection,
        store.server_seconds,
        partial(headers_from, environ, settings.headers_file()),
    )


def server_vectors(
    settings: Settings,
    *,
    embedder: Callable[[], Encoder],
    catalog: Callable[[], SqliteCatalog],
    cache: Callable[[], ClosableCache],
    pairing: Pairing,
    warn: Callable[[str], None],
    pace: Pace,
    takes_over: bool,
) -> ServerVectors:
    """The vector index on the server of a configuration.

    Args:
        settings: The configuration.
        embedder: Returns the model.
        catalog: Returns the catalog.
        cache: Returns the embedding cache.
        pairing: Compares a collection with the catalog.
        warn: Called with a sentence for the user.
        pace: How fast to write.
        takes_over: Whether collections of another store may be replaced.
    """
    server = ChromaServer(address_of(settings, os.environ))
    place = place_of(settings.store_path())
    source = _Source(
        settings,
        server,
        embedder=embedder,
        catalog=catalog,
        cache=cache,
        pace=Pace(min(pace.batch, _BATCH), pace.give_way),
    )
    return ServerVectors(
        server,
        source,
        generations=ServerGenerations(server, server.address, source, pairing, place=place, takes_over=takes_over),
        pairing=pairing,
        outbox=catalog,
        lease=Lease(server, f"{server.address.collection}-{LEASE}", place),
        warn=warn,
        wait_seconds=settings.config.store.wait_seconds,
    )


class _Source:
    """Makes and fills collections.

    Implements ``kb.store.server_vectors.Source`` and ``kb.store.server_generations.Record``.
    """

    def __init__(
        self,
        settings: Settings,
        server: ChromaServer,
        *,
        embedder: Callable[[], Encoder],
        catalog: Callable[[], SqliteCatalog],
        cache: Callable[[], ClosableCache],
        pace: Pace,
    ) -> None:
        self._settings = settings
        self._server = server
        self._embedder = embedder
        self._catalog = catalog
        self._cache = cache
        self._pace = pace
        self._meanwhile: tuple[tuple[int, int], Nearest, str] | None = None
        self._reading = Lock()

    def make(self, name: str, marks: Mapping[str, str | int], before_write: Callable[[], None]) -> ChromaIndex:
        """Create a collection. kb's embedding function is registered for other programs; kb passes vectors."""
        embedder = self._embedder()
        return self._server.make(
            name,
            marks,
            fingerprint=embedder.fingerprint,
            dimension=embedder.dimension,
            function=embedding_function_of(self._settings),
            pace=self._paced(before_write),
            known=self._cached,
        )

    def open(self, found: FoundCollection, before_write: Callable[[], None]) -> ChromaIndex:
        """Open a collection."""
        embedder = self._embedder()
        return self._server.open(
            found,
            fingerprint=embedder.fingerprint,
            dimension=embedder.dimension,
            pace=self._paced(before_write),
            known=self._cached,
        )

    def _cached(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of passages that are in the embedding cache."""
        digests = self._catalog().digests_of(ids)
        known = self._cache().peek(self._embedder().fingerprint, list(dict.fromkeys(digests.values())))
        return {id_: known[digest] for id_, digest in digests.items() if digest in known}

    def _paced(self, before_write: Callable[[], None]) -> Pace:
        def give_way() -> None:
            self._pace.give_way()
            before_write()

        return Pace(self._pace.batch, give_way)

    def refill(self, index: VectorIndex, should_stop: Callable[[], bool]) -> None:
        """Fill a new index from catalog and cache; files with missing vectors are left to the next run."""
        _, lacking = refill(self._catalog(), self._cache(), index, self._embedder().fingerprint, should_stop)
        self.embed_again(lacking)

    def sendable(self, ids: Sequence[str]) -> Sendable:
        """What is to be sent of some passages."""
        return Sendable(*records_of(self._catalog(), self._cache(), self._embedder().fingerprint, ids))

    def embed_again(self, file_ids: Sequence[int]) -> None:
        """Have files read and embedded again."""
        if file_ids:
            self._catalog().mark_pending(file_ids)

    def generation(self) -> str | None:
        """The generation recorded in the catalog; None if there is none."""
        return self._catalog().meta("generation") or None

    def activate_generation(self, generation: str) -> None:
        """Record a generation in the catalog."""
        activate_generation(self._catalog(), generation)

    def store_id(self) -> str:
        """An id of the catalog, which copies and backups of it share."""
        known = self._catalog().meta(STORE_ID)
        if known is None:
            known = uuid.uuid4().hex
            self._catalog().set_meta(STORE_ID, known)
        return known

    def meanwhile(self) -> tuple[Nearest, str]:
        """An exact index of the vectors in the embedding cache, and what it lacks; made anew after each change."""
        with self._reading:
            version = self._catalog().version()
            if self._meanwhile is None or self._meanwhile[0] != version:
                embedder = self._embedder()
                index, lacking = cached_index(
                    self._catalog(), self._cache(), embedder.fingerprint, embedder.dimension, MOST_BYTES_MEANWHILE
                )
                lack = f", which lacks those of {lacking} passages: they are found by their words" if lacking else ""
                self._meanwhile = version, index, lack
            return self._meanwhile[1], self._meanwhile[2]

    def leave_folder(self) -> None:
        """Delete the vector index in the store's own folder, which another configuration may have left."""
        store = self._settings.store_path()
        if os.path.lexists(os.path.join(store, CURRENT_FILE)):  # noqa: PTH118 - plain strings throughout the stores
            Generations(store).discard_all()
            Path(store, STAMP_FILE).unlink(missing_ok=True)
