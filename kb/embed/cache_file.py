"""Opens the embedding cache's SQLite file: its tables, the steps from older versions, and its errors in kb's words."""

from __future__ import annotations

import errno
import os
import shlex
import sqlite3
import stat
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kb.errors import ForeignStore, StoreBusy, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Stands in SQLite's header, so that a database of another program is told apart from an empty one ("kbec").
_APPLICATION_ID = 0x6B626563
_VERSION = 2
# No kb will ever write so high a version: it is a broken header.
_NO_VERSION = 1000
_BUSY_SECONDS = 10.0
# A vector of 1024 numbers takes 4096 bytes: with SQLite's usual pages of that size each would spill over.
_PAGE_SIZE = 16384

# What is often written (the last use) stands apart from the vectors, which are large and never change.
_TABLES = (
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
# A vector with a flipped sign is as long as before: only a checksum tells. It binds the vector to its digest.
_CHECKSUMS = (
    "ALTER TABLE entries ADD COLUMN crc INTEGER",
    "UPDATE entries SET crc = (SELECT kb_checksum(entries.digest, v.vector) FROM vectors v WHERE v.id = entries.id)",
)
_MIGRATIONS = (_TABLES, _CHECKSUMS)


class Damaged(StoreError):
    """The file is not a sound database."""


@contextmanager
def errors(path: str) -> Iterator[None]:
    """Raise what SQLite or the operating system has against the cache as kb's own errors."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        # The sqlite3 module's own complaint, such as a closed connection: a mistake in the calling code.
        if code is None:
            raise
        raise _of_sqlite(path, error, code & 0xFF) from error
    except UnicodeDecodeError as error:
        # SQLite quotes a broken definition of a table in its complaint, which need not be text any more.
        raise Damaged("the definition of a table makes no sense") from error
    except MemoryError as error:
        raise _no_memory(path) from error
    except OSError as error:
        raise _of_system(path, error) from error


def connect(path: str) -> sqlite3.Connection:
    """The file for reading and writing, made or brought up to date where needed."""
    if path != ":memory:":
        _clear_the_way(path)
        _make_private(path)
    connection = sqlite3.connect(path, _BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def files_of(path: str) -> list[Path]:
    """The database, and what SQLite puts beside it."""
    return [Path(path), Path(f"{path}-wal"), Path(f"{path}-shm")]


def checksum(digest: bytes, vector: bytes) -> int:
    """The checksum of a vector, bound to its digest."""
    return zlib.crc32(vector, zlib.crc32(digest))


def _clear_the_way(path: str) -> None:
    """See that nothing but files of the cache's own lies where SQLite will write.

    Raises:
        Damaged: The cache itself is a directory or a link.
    """
    database, *others = files_of(path)
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(database.lstat().st_mode):
            raise Damaged("it is no file of its own")
    for file in others:
        if file.is_symlink():
            file.unlink()
        elif file.is_dir():
            file.rename(f"{file}.damaged-{time.time_ns()}")


def connect_read_only(path: str) -> sqlite3.Connection:
    """The file for reading alone, or nothing where there is none."""
    file = Path(path)
    if not file.exists():
        return empty()
    # Without a log nobody is writing, and without the permission to write SQLite needs to be told that.
    wal = Path(f"{path}-wal")
    mode = "mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1"
    place = f"{file.absolute().as_uri()}?{mode}"
    connection = sqlite3.connect(place, _BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
    if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
        return connection
    try:
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.backup(copy)
    finally:
        connection.close()
    _prepare(copy, path)
    return copy


def empty() -> sqlite3.Connection:
    """A cache in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _prepare(connection, ":memory:")
    return connection


def _make_private(path: str) -> None:
    # An existing file is not opened here: closing it again would drop the locks of this process's connections.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        file = Path(path)
        if file.is_file() and file.stat().st_mode & 0o077:
            file.chmod(0o600)


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    version, tables, application = (
        connection.execute(sql).fetchone()[0]
        for sql in ("PRAGMA user_version", "SELECT count(*) FROM sqlite_master", "PRAGMA application_id")
    )
    if application != _APPLICATION_ID and (version or tables):
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if {"models", "entries", "vectors"} <= names:
            raise Damaged("its header makes no sense")
        raise ForeignStore(f"{path} is a database of another program", "Choose another place for the embedding cache.")
    if version > _NO_VERSION:
        raise Damaged("its header makes no sense")
    if version > _VERSION:
        raise StoreError(f"The embedding cache {path} was written by a newer kb", "Update kb, or move the file away.")
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.create_function("kb_checksum", 2, checksum, deterministic=True)
    for number, statements in enumerate(_MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made this step while this one waited for the lock.
        if connection.execute("PRAGMA user_version").fetchone()[0] < number:
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def _unusable(path: str, detail: str) -> StoreError:
    return StoreError(
        f"The embedding cache {path} cannot be used: {detail}",
        "Check that its folder exists, that you may write there, and that the disk works.",
    )


def _of_sqlite(path: str, error: sqlite3.Error, code: int) -> StoreError:
    """What an error of SQLite means."""
    match code:
        # kb's statements never change: one that SQLite does not understand has met tables that are not kb's.
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_ERROR:
            return Damaged(str(error))
        case sqlite3.SQLITE_FULL:
            return _disk_full(path)
        case sqlite3.SQLITE_NOMEM:
            return _no_memory(path)
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return _forbidden(path)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(
                f"Another process is writing the embedding cache {path}", "Wait until it is done, or end it."
            )
    return _unusable(path, str(error))


def _of_system(path: str, error: OSError) -> StoreError:
    """What an error of the operating system means."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _disk_full(path)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return _forbidden(path)
    return _unusable(path, error.strerror or str(error))


def _disk_full(path: str) -> StoreError:
    return StoreError(
        f"The disk is full: the embedding cache {path} cannot be written",
        "Free some space and run the command again; nothing that was written before is lost.",
    )


def _no_memory(path: str) -> StoreError:
    return StoreError(
        f"There is too little memory to use the embedding cache {path}", "End other programs and run the command again."
    )


def _forbidden(path: str) -> StoreError:
    """The file may not be read or written."""
    place = next((one for one in (Path(path), *Path(path).parents) if one.exists()), Path(path))
    if place.stat().st_uid != os.geteuid() != 0:
        return StoreError(
            f"The embedding cache {path} belongs to another user, and you may not use it",
            "Set store.path to a folder of your own, or run kb as that user.",
        )
    return StoreError(
        f"The embedding cache {path} may not be read and written",
        f"Run chmod -R u+rwX {shlex.quote(str(place))} and run the command again.",
    )
