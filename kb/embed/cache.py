"""The embedding cache: vectors by model and text, so that no text is embedded twice. Its loss costs time only."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from kb.embed.cache_file import Damaged, checksum, connect, connect_read_only, empty, errors, files_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

_T = TypeVar("_T")

_PAGE = 500
# Uses are written with the next vectors, or when this many wait.
_USES_KEPT = 20_000
_STORED = np.dtype("<f4")

_FIND = """
    SELECT e.id, e.digest, e.used, v.vector, e.crc FROM entries e LEFT JOIN vectors v ON v.id = e.id
    WHERE e.model = ? AND e.digest IN ({})
"""


class EmbeddingCache:
    """Vectors by (model fingerprint, digest of the embedded text), in one SQLite file that several threads may use.

    Args:
        path: The file, made where it does not exist.
        limit: The most vectors to keep; beyond it, those whose last use is longest ago are dropped.
        warn: Is told, in a sentence, when a damaged cache was set aside and a new one begun.
        read_only: Leave the file as it is, uses and wrong vectors included; nothing can be put.

    Raises:
        StoreError: The file cannot be opened, or is not kb's.
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
        self._connection: sqlite3.Connection
        self._open()

    def close(self) -> None:
        """Write down the last uses and let go of the file. Closing again is allowed."""
        with self._lock:
            if self._used and not self._read_only:
                self._recovering(self._write_uses, lambda: None)
            self._connection.close()

    def get(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors known, by digest; they are read-only. Marks them as used.

        A stored vector of a wrong length, with a number that is not finite, or other than its checksum says counts as
        absent and is removed.
        """
        with self._lock:
            return self._recovering(lambda: self._find(fingerprint, digests), dict)

    def peek(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors known, by digest; to read thousands for one question is no use of them, so none is marked."""
        with self._lock:
            return self._recovering(lambda: self._find(fingerprint, digests, mark=False), dict)

    def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep vectors durably, in one transaction; a digest that is known already keeps its vector and counts as used.

        Raises:
            ValueError: The vectors are not of one length, that of the model's others, or not finite.
            StoreError: They cannot be written, as on a full disk.
        """
        if not vectors:
            return
        matrix = _matrix(vectors)
        with self._lock:
            self._recovering(
                lambda: self._keep(fingerprint, tuple(vectors), matrix),
                lambda: self._keep(fingerprint, tuple(vectors), matrix),
            )

    def count(self) -> int:
        """How many vectors are kept, of all models."""
        with self._lock:
            return self._recovering(self._count, lambda: 0)

    def size_bytes(self) -> int:
        """What the cache takes up on the disk."""
        return sum(file.stat().st_size for file in files_of(self._path) if file.exists())

    def _recovering(self, work: Callable[[], _T], without: Callable[[], _T]) -> _T:
        """The result of some work or, where the file turns out damaged, of what is done with the new empty one."""
        try:
            with errors(self._path):
                return work()
        except Damaged as error:
            self._connection.close()
            self._set_aside(str(error))
        with errors(self._path):
            return without()

    def _find(
        self, fingerprint: str, digests: Sequence[bytes], *, mark: bool = True
    ) -> dict[bytes, NDArray[np.float32]]:
        model = self._connection.execute(
            "SELECT id, dimension FROM models WHERE fingerprint = ?", (fingerprint,)
        ).fetchone()
        if model is None:
            return {}
        number, dimension = model
        found: dict[bytes, NDArray[np.float32]] = {}
        wrong: list[int] = []
        for page in _pages(digests):
            known = self._connection.execute(_FIND.format(_marks(page)), (number, *page)).fetchall()
            sound = [row for row in known if isinstance(row[3], bytes) and len(row[3]) == dimension * _STORED.itemsize]
            numbers = np.frombuffer(b"".join(row[3] for row in sound), _STORED).reshape(len(sound), dimension)
            finite: list[bool] = np.logical_and.reduce(np.isfinite(numbers), axis=1).tolist()
            finite = [good and row[4] == checksum(row[1], row[3]) for row, good in zip(sound, finite, strict=True)]
            found.update({row[1]: vector for row, vector, good in zip(sound, numbers, finite, strict=True) if good})
            right = {row[0] for row, good in zip(sound, finite, strict=True) if good}
            wrong += [row[0] for row in known if row[0] not in right]
            self._used |= {row[0] for row in known if mark and row[2] < self._tick} & right
        if wrong and not self._read_only:
            with self._transaction():
                self._delete(wrong)
        if len(self._used) > _USES_KEPT and not self._read_only:
            self._write_uses()
        return found

    def _keep(self, fingerprint: str, digests: Sequence[bytes], matrix: NDArray[np.float32]) -> None:
        with self._transaction() as connection:
            self._mark_used()  # before the count rises: what was looked at earlier is older than what comes now
            self._tick += 1
            model = self._model(fingerprint, matrix.shape[1])
            known: dict[bytes, int] = {}
            for page in _pages(digests):
                sql = f"SELECT digest, id FROM entries WHERE model = ? AND digest IN ({_marks(page)})"  # noqa: S608  (only question marks are put in)
                known.update(connection.execute(sql, (model, *page)).fetchall())
            # To be put again is a use: else a vector of an earlier run could be dropped just after it was acknowledged.
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
        self._connection.execute(
            "INSERT OR IGNORE INTO models (fingerprint, dimension) VALUES (?, ?)", (fingerprint, dimension)
        )
        number, known = self._connection.execute(
            "SELECT id, dimension FROM models WHERE fingerprint = ?", (fingerprint,)
        ).fetchone()
        if known != dimension:
            raise ValueError(f"vectors of {fingerprint!r} have {known} numbers, not {dimension}")
        return int(number)

    def _drop_oldest(self) -> None:
        excess = self._count() - self._limit
        if excess > 0:
            oldest = self._connection.execute("SELECT id FROM entries ORDER BY used, id LIMIT ?", (excess,))
            self._delete([row[0] for row in oldest.fetchall()])

    def _delete(self, ids: Sequence[int]) -> None:
        numbers = [(id_,) for id_ in ids]
        self._connection.executemany("DELETE FROM entries WHERE id = ?", numbers)
        self._connection.executemany("DELETE FROM vectors WHERE id = ?", numbers)
        self._used.difference_update(ids)

    def _count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    def _write_uses(self) -> None:
        with self._transaction():
            self._mark_used()

    def _mark_used(self) -> None:
        self._connection.executemany(
            "UPDATE entries SET used = ? WHERE id = ?", [(self._tick, id_) for id_ in sorted(self._used)]
        )
        self._used.clear()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _open(self) -> None:
        try:
            with errors(self._path):
                self._connect()
        except Damaged as error:
            self._set_aside(str(error))

    def _set_aside(self, detail: str) -> None:
        """Rename the damaged file, so that it can be looked at, and begin a new one; leave a read-only one as it is."""
        self._used.clear()
        if self._read_only:
            self._connection = empty()
            self._tick = 1
            self._warn(f"The embedding cache {self._path} is damaged ({detail}) and is not used")
            return
        aside = Path(f"{self._path}.damaged")
        if aside.is_dir():
            aside = Path(f"{self._path}.damaged-{time.time_ns()}")
        with errors(self._path):
            database, *others = files_of(self._path)
            if database.is_dir():
                aside.unlink(missing_ok=True)
            database.replace(aside)
            for file in others:
                file.unlink(missing_ok=True)
            self._connect()
        self._warn(
            f"The embedding cache {self._path} was damaged ({detail}) and is now {aside}: "
            "a new one is begun, and texts will be embedded again when they are next needed."
        )

    def _connect(self) -> None:
        if self._read_only:
            self._connection, self._tick = connect_read_only(self._path), 1
            return
        connection = connect(self._path)
        try:
            # Uses are told apart by a count that rises with each writing, not by a clock that may jump.
            self._tick = connection.execute("SELECT coalesce(max(used), 0) + 1 FROM entries").fetchone()[0]
        except BaseException:
            connection.close()
            raise
        self._connection = connection


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
