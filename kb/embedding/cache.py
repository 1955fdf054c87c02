"""The embedding cache: vectors by model and text, so that no text is embedded twice.

``EmbeddingCache`` stores them in SQLite, ``LayeredCache`` falls back to a second cache, and ``CachedQueryEmbedder``
caches question vectors. Losing the cache costs only time.
"""

from __future__ import annotations

import hashlib
import zlib
from contextlib import suppress
from threading import Lock, RLock
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import numpy as np

from kb.errors import StoreError
from kb.ports import VectorCache
from kb.sqlite import MEMORY, Database, Schema, set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.ports import Embedder


class ClosableCache(VectorCache, Protocol):
    """A cache that holds a file open."""

    def close(self) -> None:
        """Close the file."""


class LayeredCache:
    """A cache that falls back to a second, read-only one.

    Args:
        own: The cache that is written; closed with this one.
        base: The cache to fall back to. It is not written.
        close_base: Closes it, unless somebody else does.
    """

    def __init__(self, own: ClosableCache, base: VectorCache, *, close_base: Callable[[], None] = lambda: None) -> None:
        self._own = own
        self._base = base
        self._close_base = close_base

    def get(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors known to either cache, by digest."""
        found = self._own.get(fingerprint, digests)
        lacking = [digest for digest in digests if digest not in found]
        return found | self._base.get(fingerprint, lacking) if lacking else found

    def peek(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors known to either cache, by digest, without marking them as used."""
        found = self._own.peek(fingerprint, digests)
        lacking = [digest for digest in digests if digest not in found]
        return found | self._base.peek(fingerprint, lacking) if lacking else found

    def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Store vectors in the own cache."""
        self._own.put(fingerprint, vectors)

    def close(self) -> None:
        """Close the own cache, and the other one where it is to be closed."""
        self._own.close()
        self._close_base()


# A write to disk takes as long as a small model takes for a question, so that several are written together.
_QUESTIONS_AT_ONCE: Final = 32


class CachedQueryEmbedder:
    """An embedder that caches the vectors of questions. Implements ``kb.ports.Embedder``.

    The cache contains the SHA-256 of a question and its vector, not its text. Entries are evicted like all others.
    New ones stay in memory until there are several, or until ``flush``. Several threads may use it.

    Args:
        embedder: The model.
        cache: The embedding cache.
    """

    def __init__(self, embedder: Embedder, cache: VectorCache) -> None:
        self._embedder = embedder
        self._cache = cache
        self._name = f"question {embedder.fingerprint}"
        self._unwritten: dict[bytes, NDArray[np.float32]] = {}
        self._lock = Lock()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the model."""
        return self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._embedder.dimension

    def embed_documents(self, texts: Sequence[str], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Unit vectors of documents."""
        return self._embedder.embed_documents(texts, tokens)

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors of a few short texts; None if the model is not loaded."""
        return self._embedder.embed_sentences(texts)

    def question_parts(self, text: str) -> int:
        """The number of parts in which the model reads a question."""
        return self._embedder.question_parts(text)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question."""
        digest = hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).digest()
        known = self._unwritten.get(digest)
        if known is None:
            known = self._cache.get(self._name, [digest]).get(digest)
        if known is not None:
            return known
        vector = self._embedder.embed_query(text)
        with self._lock:
            self._unwritten[digest] = vector
            full = len(self._unwritten) >= _QUESTIONS_AT_ONCE
        if full:
            self.flush()
        return vector

    def flush(self) -> None:
        """Write the vectors that are only in memory. Where they cannot be written, they are given up."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, {}
            # A cached vector saves time and nothing else: a full disk fails no answer.
            with suppress(StoreError):
                self._cache.put(self._name, unwritten)


_T = TypeVar("_T")

_PAGE = 500
# Uses are written with the next vectors, or once there are this many.
_USES_KEPT = 20_000
_STORED = np.dtype("<f4")

# The application id in SQLite's header ("kbec").
_APPLICATION_ID: Final = 0x6B626563
# A vector of 1,024 numbers takes 4,096 bytes and would overflow SQLite's default pages of that size.
_PAGE_SIZE: Final = 16384

# The last use, which is written often, is separate from the vectors, which are large and never change.
_TABLES: Final = (
    "CREATE TABLE models (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, dimension INTEGER NOT NULL)",
    """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        model INTEGER NOT NULL REFERENCES models (id),
        digest BLOB NOT NULL,
        used INTEGER NOT NULL,
        UNIQUE (model, digest)
    )
    """,
    "CREATE INDEX entries_by_use ON entries (used, id)",
    "CREATE TABLE vectors (id INTEGER PRIMARY KEY, vector BLOB NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
)
# A flipped sign keeps the length of a vector, so only a checksum reveals it. It covers the digest too.
_CHECKSUMS: Final = (
    "ALTER TABLE entries ADD COLUMN crc INTEGER",
    "UPDATE entries SET crc = (SELECT kb_checksum(entries.digest, v.vector) FROM vectors v WHERE v.id = entries.id)",
)

_FIND = """
    SELECT e.id, e.digest, e.used, v.vector, e.crc FROM entries e LEFT JOIN vectors v ON v.id = e.id
    WHERE e.model = ? AND e.digest IN ({})
"""


class CacheDamaged(StoreError):
    """The cache is damaged."""


def checksum(digest: bytes, vector: bytes) -> int:
    """The CRC-32 of a digest and its vector."""
    return zlib.crc32(vector, zlib.crc32(digest))


SCHEMA: Final = Schema(
    name="embedding cache",
    application_id=_APPLICATION_ID,
    migrations=(_TABLES, _CHECKSUMS),
    tables=frozenset({b"models", b"entries", b"vectors"}),
    pragmas=(f"page_size = {_PAGE_SIZE}",),
    checksum=checksum,
    damaged=CacheDamaged,
    remedy="Run the command again: the cache is set aside, and texts are embedded again when they are next needed",
)


class EmbeddingCache:
    """Vectors by (model fingerprint, digest of the embedded text), in one SQLite file that several threads may use.

    Args:
        path: The file; created if it does not exist.
        limit: The most vectors to keep; the least recently used ones are evicted.
        warn: Called with a sentence when a damaged cache was set aside.
        read_only: Never change the file, not even to record uses or to delete invalid vectors.

    Raises:
        StoreError: The file cannot be opened, or was not created by kb.
    """

    def __init__(self, path: str, limit: int, warn: Callable[[str], None], *, read_only: bool = False) -> None:
        if limit < 1:
            raise ValueError("an embedding cache keeps at least one vector")
        self._path = path
        self._limit = limit
        self._warn = warn
        self._read_only = read_only
        self._lock = RLock()
        self._used: set[int] = set()
        try:
            self._database, self._tick = self._opened()
        except CacheDamaged as error:
            self._database, self._tick = self._recreated(error)

    def close(self) -> None:
        """Record the last uses and close the file. Closing again is allowed."""
        with self._lock:
            if self._used and not self._read_only:
                self._recovering(self._write_uses, lambda: None)
            self._database.close()

    def get(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The known vectors by digest, read-only. Marks them as used.

        A vector with a wrong length, a non-finite number or a wrong checksum is deleted and counts as unknown.
        """
        with self._lock:
            return self._recovering(lambda: self._find(fingerprint, digests), dict)

    def peek(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The known vectors by digest, without marking them as used."""
        with self._lock:
            return self._recovering(lambda: self._find(fingerprint, digests, mark=False), dict)

    def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Store vectors in one transaction; a known digest keeps its vector and counts as used.

        Raises:
            ValueError: The vectors differ in length from each other or the model's, or are not finite.
            StoreError: They cannot be written, for example because the disk is full.
        """
        if not vectors:
            return
        matrix = _matrix(vectors)

        def keep() -> None:
            self._keep(fingerprint, tuple(vectors), matrix)

        with self._lock:
            self._recovering(keep, keep)

    def count(self) -> int:
        """The number of vectors of all models."""
        with self._lock:
            return self._recovering(self._count, lambda: 0)

    def _recovering(self, work: Callable[[], _T], without: Callable[[], _T]) -> _T:
        """The result of ``work``, or of ``without`` on a new empty cache if the file turns out to be damaged."""
        try:
            with self._database.reading():
                return work()
        except CacheDamaged as error:
            self._database.close()
            self._database, self._tick = self._recreated(error)
        with self._database.reading():
            return without()

    def _find(
        self, fingerprint: str, digests: Sequence[bytes], *, mark: bool = True
    ) -> dict[bytes, NDArray[np.float32]]:
        connection = self._database.connection
        model = connection.execute("SELECT id, dimension FROM models WHERE fingerprint = ?", (fingerprint,)).fetchone()
        if model is None:
            return {}
        number, dimension = model
        found: dict[bytes, NDArray[np.float32]] = {}
        wrong: list[int] = []
        for page in _pages(digests):
            known = connection.execute(_FIND.format(_marks(page)), (number, *page)).fetchall()
            sound = [row for row in known if isinstance(row[3], bytes) and len(row[3]) == dimension * _STORED.itemsize]
            numbers = np.frombuffer(b"".join(row[3] for row in sound), _STORED).reshape(len(sound), dimension)
            finite: list[bool] = np.logical_and.reduce(np.isfinite(numbers), axis=1).tolist()
            finite = [good and row[4] == checksum(row[1], row[3]) for row, good in zip(sound, finite, strict=True)]
            found.update({row[1]: vector for row, vector, good in zip(sound, numbers, finite, strict=True) if good})
            right = {row[0] for row, good in zip(sound, finite, strict=True) if good}
            wrong += [row[0] for row in known if row[0] not in right]
            self._used |= {row[0] for row in known if mark and row[2] < self._tick} & right
        if wrong and not self._read_only:
            with self._database.writing():
                self._delete(wrong)
        if len(self._used) > _USES_KEPT and not self._read_only:
            self._write_uses()
        return found

    def _keep(self, fingerprint: str, digests: Sequence[bytes], matrix: NDArray[np.float32]) -> None:
        with self._database.writing() as connection:
            self._mark_used()  # with the old tick: earlier uses are older than this one
            self._tick += 1
            model = self._model(fingerprint, matrix.shape[1])
            known: dict[bytes, int] = {}
            for page in _pages(digests):
                sql = f"SELECT digest, id FROM entries WHERE model = ? AND digest IN ({_marks(page)})"  # noqa: S608  (only question marks are put in)
                known.update(connection.execute(sql, (model, *page)).fetchall())
            # Storing a known vector is a use; otherwise it could be evicted right after this call.
            self._used.update(known.values())
            self._mark_used()
            first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM entries").fetchone()[0]
            new = [(digest, row) for digest, row in zip(digests, matrix, strict=True) if digest not in known]
            connection.executemany(
                "INSERT INTO entries (id, model, digest, used, crc) VALUES (?, ?, ?, ?, ?)",
                [
                    (id_, model, digest, self._tick, checksum(digest, row.tobytes()))
                    for id_, (digest, row) in enumerate(new, first)
                ],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO vectors (id, vector) VALUES (?, ?)",
                ((id_, row.tobytes()) for id_, (_, row) in enumerate(new, first)),
            )
            self._drop_oldest()

    def _model(self, fingerprint: str, dimension: int) -> int:
        self._database.connection.execute(
            "INSERT OR IGNORE INTO models (fingerprint, dimension) VALUES (?, ?)", (fingerprint, dimension)
        )
        number, known = self._database.connection.execute(
            "SELECT id, dimension FROM models WHERE fingerprint = ?", (fingerprint,)
        ).fetchone()
        if known != dimension:
            raise ValueError(f"vectors of {fingerprint!r} have {known} numbers, not {dimension}")
        return int(number)

    def _drop_oldest(self) -> None:
        excess = self._count() - self._limit
        if excess > 0:
            oldest = self._database.connection.execute("SELECT id FROM entries ORDER BY used, id LIMIT ?", (excess,))
            self._delete([row[0] for row in oldest.fetchall()])

    def _delete(self, ids: Sequence[int]) -> None:
        numbers = [(id_,) for id_ in ids]
        self._database.connection.executemany("DELETE FROM entries WHERE id = ?", numbers)
        self._database.connection.executemany("DELETE FROM vectors WHERE id = ?", numbers)
        self._used.difference_update(ids)

    def _count(self) -> int:
        return int(self._database.connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    def _write_uses(self) -> None:
        with self._database.writing():
            self._mark_used()

    def _mark_used(self) -> None:
        self._database.connection.executemany(
            "UPDATE entries SET used = ? WHERE id = ?", [(self._tick, id_) for id_ in sorted(self._used)]
        )
        self._used.clear()

    def _opened(self) -> tuple[Database, int]:
        """The database and the next tick, a counter that orders uses and rises with each write."""
        database = Database(self._path, SCHEMA, access="read" if self._read_only else "write")
        if self._read_only:
            return database, 1
        try:
            with database.reading() as connection:
                tick = connection.execute("SELECT coalesce(max(used), 0) + 1 FROM entries").fetchone()[0]
        except BaseException:
            database.close()
            raise
        return database, tick

    def _recreated(self, error: CacheDamaged) -> tuple[Database, int]:
        """Set a damaged file aside and create a new one; a read-only one is replaced in memory."""
        self._used.clear()
        if self._read_only:
            self._warn(f"{error.message}; it is not used")
            return Database(MEMORY, SCHEMA), 1
        kept = set_aside(self._path, SCHEMA)
        begun = self._opened()
        self._warn(
            f"{error.message}; it is kept as {kept}, and a new one is created: texts are embedded again when they are "
            "next needed"
        )
        return begun


def _matrix(vectors: Mapping[bytes, NDArray[np.float32]]) -> NDArray[np.float32]:
    matrix = np.stack(list(vectors.values())).astype(_STORED, copy=False)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():  # noqa: PLR2004  (rows and columns)
        raise ValueError("vectors to be kept must be rows of finite numbers")
    return matrix


def _pages(digests: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(digests), _PAGE):
        yield digests[start : start + _PAGE]


def _marks(page: Sequence[bytes]) -> str:
    return ", ".join("?" * len(page))
