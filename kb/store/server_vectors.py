"""The vector index on a Chroma server: its generations are collections, and it may be away at any time.

What cannot be written is put into the catalog's outbox, which holds ids alone, and is sent from catalog and embedding
cache once the server is back. Questions are answered from the embedding cache meanwhile. Nothing here embeds.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from kb.errors import ChromaServerError, ModelMismatch, StoreDamaged, StoreError
from kb.records import VectorServer
from kb.store.pairing import new_id
from kb.store.probe import MISSES_ALLOWED, NEIGHBOURS, lost_among

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.ports import Nearest, VectorIndex
    from kb.records import Candidates, VectorRecord
    from kb.store.catalog import SqliteCatalog
    from kb.store.chroma import ChromaIndex
    from kb.store.lease import Lease
    from kb.store.pairing import Pairing
    from kb.store.server import ChromaServer, FoundCollection
    from kb.store.server_generations import ServerGenerations

CHECK_SECONDS: Final = 60.0
"""How often a server that can be used is looked at between index runs."""

_PAGE: Final = 100
_SAMPLE: Final = 50
_FIRST_RETRY: Final = 2.0
_LAST_RETRY: Final = 60.0
_T = TypeVar("_T")


class _Behind(StoreError):
    """Changes wait to be sent, so that the server would answer from an older index."""


@dataclass(frozen=True, slots=True)
class Sendable:
    """What the catalog and the embedding cache say of some passages.

    Attributes:
        records: The records of those that have a vector.
        absent: Those that the index must not have.
        lacking: The files of those whose vector the cache no longer has; they have to be embedded again.
    """

    records: Sequence[VectorRecord]
    absent: Sequence[str]
    lacking: Sequence[int]


class CollectionSource(Protocol):
    """Makes and fills collections, from catalog and embedding cache."""

    def make(self, name: str, marks: Mapping[str, str | int], before_write: Callable[[], None]) -> ChromaIndex:
        """Create a collection; raises ``NameTaken`` if it exists."""

    def open(self, found: FoundCollection, before_write: Callable[[], None]) -> ChromaIndex:
        """Open a collection."""

    def refill(self, index: VectorIndex, should_stop: Callable[[], bool]) -> None:
        """Fill a new, empty index; raises if ``should_stop`` returns True."""

    def sendable(self, ids: Sequence[str]) -> Sendable:
        """What is to be sent of some passages."""

    def embed_again(self, file_ids: Sequence[int]) -> None:
        """Have files read and embedded again."""

    def generation(self) -> str | None:
        """The generation recorded in the catalog; None if there is none."""

    def activate_generation(self, generation: str) -> None:
        """Record a generation in the catalog."""

    def meanwhile(self) -> tuple[Nearest, str]:
        """An exact index of the vectors in the embedding cache, and what it lacks, for messages."""

    def leave_folder(self) -> None:
        """Delete the vector index in the store's own folder, which another configuration may have left."""


class ServerVectors:
    """The vector index on a Chroma server. Implements ``kb.store.vectors.VectorStore``.

    Args:
        server: The server.
        source: Makes and fills collections.
        generations: Its collections that are this store's.
        pairing: Compares a collection with the catalog.
        outbox: Returns the catalog, which holds the outbox.
        lease: The right to write.
        warn: Called with a sentence for the user.
        wait_seconds: How long to wait for another process that writes.
    """

    def __init__(
        self,
        server: ChromaServer,
        source: CollectionSource,
        *,
        generations: ServerGenerations,
        pairing: Pairing,
        outbox: Callable[[], SqliteCatalog],
        lease: Lease,
        warn: Callable[[str], None],
        wait_seconds: float = 0.0,
    ) -> None:
        self._server = server
        self._source = source
        self._generations = generations
        self._pairing = pairing
        self._outbox = outbox
        self._lease = lease
        self._warn = warn
        self._wait_seconds = wait_seconds
        # Held while the index is opened or replaced; writing has a lock of its own, so that questions go on.
        self._opening, self._writing = RLock(), RLock()
        self._open: ChromaIndex | None = None
        self._suspect = False
        self._problem: StoreError | None = None
        self._warned_of = ""
        self._failures = 0
        self._retry_at = self._checked_at = 0.0
        self._seen_connections = 0
        self._fell_back_at, self._fell_back = float("-inf"), ""

    # kb.store.vectors.VectorStore

    def index(self) -> VectorIndex:
        """The index to write to. It takes whatever is written, and keeps for later what the server does not take."""
        return _Writer(self)

    @contextmanager
    def using(self) -> Iterator[Nearest]:
        """The index for one question: on the server, or where that cannot be used, in memory from the cache."""
        yield _Reader(self)

    def rebuild(self, reason: str = "", should_stop: Callable[[], bool] = lambda: False) -> str:  # noqa: ARG002 - nothing is set aside on a server
        """Fill a new collection, switch to it, and delete the old one.

        Raises:
            ChromaServerError: The server cannot be used; the old collection stays in use.
        """
        with self._writing, self._failing():
            self._acquire()
            return self._built(self._generations.found(), should_stop)

    def restart(self) -> None:
        """Let go of the collection, for another model; the next write makes another."""
        with self._writing, self._opening:
            self._open = None
            self._outbox().sent()

    def is_usable(self) -> bool:
        """Whether the index is open and complete. Only the server knows whether one that is not open is."""
        return self._open is not None and not self._suspect and not self._outbox().count_deferred()

    def mark_suspect(self) -> None:
        """Let go of the collection, so that it is compared thoroughly before it is used again."""
        with self._opening:
            self._open, self._suspect = None, True

    def lost(self) -> bool:
        """Never: a server that is emptied is filled again."""
        return False

    def close(self) -> None:
        """Give the lease back, and close the connection."""
        with self._opening:
            self._open = None
            self._lease.release(reachable=not isinstance(self._problem, ChromaServerError))
            self._server.close()

    def abandon(self) -> None:
        """Do the same as ``close``: nothing here is recorded on closing."""
        self.close()

    # The rest is of a server alone.

    def complete(self, should_stop: Callable[[], bool] = lambda: False) -> StoreError | None:
        """Make the index complete, if it is not; returns why it cannot be at the moment, or None.

        Args:
            should_stop: Called at intervals while a new collection is filled.

        Raises:
            ForeignStore: Another store's vectors are in the collections.
            StoreBusy: Another process writes to them.
        """
        with self._writing:
            try:
                if self.is_usable():
                    self._look()
                if not self.is_usable():
                    self._for_writing(should_stop)
            except (ChromaServerError, StoreDamaged) as error:
                self._note(error)
                self._warn_once(error)
                return error
        return None

    def due_in(self) -> float:
        """After how many seconds ``complete`` should be called again."""
        return CHECK_SECONDS if self._problem is None else max(0.0, self._retry_at - time.monotonic())

    def state(self) -> VectorServer:
        """The state of the index, as far as it is known without asking the server."""
        address = self._server.address
        problem = "" if self._problem is None else self._problem.message
        return VectorServer(address.url, self._source.generation() or "", problem, self._outbox().count_deferred())

    def fell_back(self, since: float) -> str:
        """Why a question was answered from the cache since a monotonic time, in one sentence; empty if none was."""
        return self._fell_back if self._fell_back_at >= since else ""

    # Reading.

    def read(self, ask: Callable[[Nearest], _T]) -> _T:
        """Ask the index on the server; where it cannot be used, or is not complete, the one in memory."""
        try:
            return ask(self._for_reading())
        except StoreError as error:
            if not isinstance(error, _Behind):
                self._note(error)
            exact, lack = self._source.meanwhile()
            self._fell_back = f"{error.message}; vectors are taken from this machine{lack}"
            self._fell_back_at = time.monotonic()
            return ask(exact)

    def _for_reading(self) -> ChromaIndex:
        with self._opening:
            # Where somebody completes the index in the background, no question waits for the server again.
            self._require_retry(_LAST_RETRY)
            if deferred := self._outbox().count_deferred():
                raise _Behind(f"{deferred} changes are not at {self._server.address.url} yet")
            index = self._open
            if index is None:
                found = self._generations.in_service(self._generations.found())
                index = self._source.open(found, self._lease.require)
                if difference := self._pairing.difference(index, thoroughly=False):
                    raise self._differs(difference)
                self._opened_as(index)
            return index

    # Writing.

    def write(self, ids: Sequence[str], write: Callable[[VectorIndex], None]) -> None:
        """Write records, or put them into the outbox where the server does not take them.

        Args:
            ids: The ids of the records.
            write: Writes them.

        Raises:
            ForeignStore: Another store's vectors are in the collections.
            StoreBusy: Another process writes to them.
        """
        if not ids:
            return
        with self._writing:
            try:
                write(self._for_writing())
            except (ChromaServerError, StoreDamaged) as error:
                self._note(error)
                self._warn_once(error)
                self._outbox().defer(ids)

    def whole(self) -> ChromaIndex:
        """The index on the server, made complete if it was not.

        Raises:
            ChromaServerError: The server cannot be used.
        """
        with self._writing, self._failing():
            return self._for_writing()

    def _for_writing(self, should_stop: Callable[[], bool] = lambda: False) -> ChromaIndex:
        """The index, which is complete, and the right to write to it."""
        if self._open is None or self._suspect or self._outbox().count_deferred():
            self._require_retry()
            self._acquire()
            self._mend(should_stop)
        index = self._open
        if index is None:
            raise StoreDamaged("the vector index is not on the server", "Run kb rebuild")
        self._lease.require()
        return index

    def _acquire(self) -> None:
        """Take the right to write to the collections, if they are this store's.

        Raises:
            ForeignStore: They are another store's.
            StoreBusy: Another process writes to them.
        """
        if not self._lease.held:
            self._generations.refuse_foreign(self._generations.found())
        self._lease.acquire(self._wait_seconds)

    def _mend(self, should_stop: Callable[[], bool]) -> None:
        """Open the collection in service and make it complete, or make another one."""
        found = self._generations.found()
        try:
            serving = self._generations.in_service(found)
            index = self._source.open(serving, self._lease.require)
            difference = self._completed(index)
        except (StoreDamaged, ModelMismatch) as error:
            difference = error.message
        if difference is not None:
            if self._source.generation():
                self._warn(f"{difference}; it is filled from the catalog and the embedding cache")
            self._built(found, should_stop)
            return
        self._generations.delete_others(found, serving.name)
        self._opened_as(index)

    def _completed(self, index: ChromaIndex) -> str | None:
        """Send what an index lacks; returns how it differs from the catalog then, or None."""
        sent = self._send(index)
        difference = self._pairing.difference(index, thoroughly=self._suspect)
        if difference is not None:
            live = {id_ for id_, _, _ in self._outbox().with_vectors()}
            there = set(index.ids())
            self._outbox().defer(sorted((live - there) | (there - live - set(self._outbox().pending_ids()))))
            sent += self._send(index)
            difference = self._pairing.difference(index, thoroughly=True)
        if difference is not None:
            return self._differs(difference).message
        if self._suspect and self._loses_vectors(index):
            return f"the vector index at {self._server.address.url} does not find its own vectors"
        if sent and self._warned_of:
            self._warn(f"{self._server.address.url} is back: {sent} changes were sent to it")
        return None

    def _send(self, index: ChromaIndex) -> int:
        """Bring the outbox to an index; returns how many passages there were."""
        sent = 0
        while ids := self._outbox().deferred(_PAGE):
            sendable = self._source.sendable(ids)
            index.upsert(sendable.records)
            index.delete(sendable.absent)
            if sendable.lacking:
                self._source.embed_again(sendable.lacking)
            self._outbox().sent(ids)
            sent += len(ids)
        return sent

    def _built(self, found: Sequence[FoundCollection], should_stop: Callable[[], bool]) -> str:
        """Fill a new collection, switch to it, and delete all others; returns its name."""
        name, id_ = self._generations.next_name(found), new_id()
        index = self._source.make(name, self._generations.marks(id_), self._lease.require)
        try:
            self._source.refill(index, should_stop)
        except BaseException:
            with suppress(StoreError):
                self._generations.delete(name)
            raise
        # In this order: what is killed in between finds an index that is not paired, and makes another.
        self._pairing.pair(id_)
        self._source.activate_generation(name)
        self._outbox().sent()
        with self._opening:
            self._opened_as(index)
        self._generations.put_in_service(name)
        self._source.leave_folder()
        return name

    def _look(self) -> None:
        """Look from time to time whether a server was emptied, set back, or killed and restarted between two calls."""
        index = self._open
        try:
            if index is None or (self._keeps_connection(index) and time.monotonic() - self._checked_at < CHECK_SECONDS):
                return
            difference = self._pairing.difference(index, thoroughly=False)
            if difference is not None or self._loses_vectors(index):
                self.mark_suspect()
        except StoreDamaged:
            self.mark_suspect()
        self._seen_connections = self._server.connections
        self._checked_at = time.monotonic()

    def _keeps_connection(self, index: ChromaIndex) -> bool:
        """Call the server, and return whether it answers through a connection that it was asked through before."""
        index.count()
        return self._server.connections == self._seen_connections

    # Failing, and going on.

    def _opened_as(self, index: ChromaIndex) -> None:
        self._open, self._suspect = index, False
        self._problem, self._failures, self._warned_of = None, 0, ""
        self._checked_at, self._seen_connections = time.monotonic(), self._server.connections

    def _require_retry(self, later_seconds: float = 0.0) -> None:
        """Raise the last problem again until it is time to try again, so that nobody waits for the same thing twice."""
        problem = self._problem
        if isinstance(problem, ChromaServerError) and time.monotonic() < self._retry_at + later_seconds:
            raise ChromaServerError(problem.message, problem.remedy)

    def _note(self, error: StoreError) -> None:
        """Remember a problem, and when to try again."""
        with self._opening:
            if self._problem is not None and time.monotonic() < self._retry_at:
                return
            if isinstance(error, ChromaServerError):
                # Another connection reads the headers again.
                self._server.close()
            # After an outage the server may have an older index, none, or a damaged one.
            self._open, self._suspect = None, True
            self._problem = error
            self._retry_at = time.monotonic() + min(_LAST_RETRY, _FIRST_RETRY * 2**self._failures)
            self._failures = min(self._failures + 1, 10)

    def _warn_once(self, error: StoreError) -> None:
        if self._warned_of != error.message:
            self._warned_of = error.message
            self._warn(str(error))

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (ChromaServerError, StoreDamaged) as error:
            self._note(error)
            raise

    def _differs(self, difference: str) -> StoreDamaged:
        return StoreDamaged(
            f"the vector index at {self._server.address.url} does not match its catalog ({difference})", "Run kb index"
        )

    def _loses_vectors(self, index: ChromaIndex) -> bool:
        """Whether a server that was killed has torn the graph, so that vectors no longer find themselves."""
        live = self._outbox().with_vectors()
        step = max(1, len(live) // _SAMPLE)
        vectors = index.vectors([id_ for id_, _, _ in islice(live, 0, None, step)])
        most = min(NEIGHBOURS, self._server.address.limits.results)
        return lost_among(index, list(vectors.values()), most) > (MISSES_ALLOWED if len(live) > most else 0)


class _Reader:
    """The index for one question. Implements ``kb.ports.Nearest``."""

    def __init__(self, vectors: ServerVectors) -> None:
        self._vectors = vectors

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        return self._vectors.read(lambda index: index.query(vector, count, files))

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return self._vectors.read(lambda index: index.vectors(ids))


class _Writer:
    """The index for whoever writes, which is there even while the server is not. Implements ``VectorIndex``."""

    def __init__(self, vectors: ServerVectors) -> None:
        self._vectors = vectors

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        self._vectors.write([one.id for one in records], lambda index: index.upsert(records))

    def relabel(self, ids: Sequence[str], labels: Sequence[Mapping[str, str | int]]) -> None:
        self._vectors.write(ids, lambda index: index.relabel(ids, labels))

    def delete(self, ids: Sequence[str]) -> None:
        self._vectors.write(ids, lambda index: index.delete(ids))

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        return self._vectors.whole().query(vector, count, files)

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return self._vectors.whole().vectors(ids)

    def ids(self) -> Iterator[str]:
        return self._vectors.whole().ids()

    def count(self) -> int:
        return self._vectors.whole().count()
