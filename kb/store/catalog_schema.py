"""Opens the catalog's SQLite file: its tables, the steps from older versions, and its errors in kb's own words."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.errors import CatalogDamaged, ForeignStore, KbError, StoreBusy, StoreError
from kb.store.catalog_links import TABLES as LINK_TABLES
from kb.store.catalog_middles import TABLES as MIDDLE_TABLES
from kb.store.catalog_rows import checksum
from kb.store.own_files import disk_full, forbidden, make_way, no_memory, unusable

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = ":memory:"

_SHAPE = """
    SELECT m.type, m.name, c.name, c.type, c."notnull", c.pk
    FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_stat%'
    UNION ALL
    SELECT m.type, m.name, m.tbl_name, i.name, i.seqno, 0
    FROM sqlite_master m JOIN pragma_index_info(m.name) i WHERE m.type = 'index'
    UNION ALL
    SELECT type, name, tbl_name, '', 0, 0 FROM sqlite_master WHERE type IN ('trigger', 'view')
"""

# Stands in SQLite's header, so that a database of another program is told apart from an empty one ("kbct").
_APPLICATION_ID = 0x6B626374

_BUSY_SECONDS = 10.0
_LEAST_ROOM = 1_000_000
# No kb will ever write so high a version: it is a broken header.
_NO_VERSION = 1000

# Numbers of ``stat`` have no affinity: inodes and far dates may pass 63 bits and are then kept as decimal text.
# A passage's text stands last, so that reading the other columns never walks over it; its integer key is what a
# full-text table can refer to, since SQLite may renumber rows that have none.
_FIRST = (
    """
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE files (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        folder BLOB NOT NULL,
        name BLOB NOT NULL,
        size BLOB NOT NULL,
        mtime_ns BLOB NOT NULL,
        ctime_ns BLOB NOT NULL,
        inode BLOB NOT NULL,
        device BLOB NOT NULL,
        content_hash BLOB NOT NULL,
        read_ns INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
        title TEXT NOT NULL,
        kind TEXT NOT NULL,
        tags TEXT NOT NULL,
        date TEXT,
        reason TEXT NOT NULL,
        replaced INTEGER NOT NULL,
        live INTEGER NOT NULL,
        indexed_at INTEGER,
        UNIQUE (folder, name)
    )
    """,
    """
    CREATE TABLE passages (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
        ordinal INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('live', 'coming', 'leaving')),
        digest BLOB NOT NULL,
        heading TEXT NOT NULL,
        first_line INTEGER NOT NULL,
        last_line INTEGER NOT NULL,
        page INTEGER,
        text TEXT NOT NULL
    )
    """,
    "CREATE INDEX passages_of_file ON passages (file_id, ordinal)",
    # AUTOINCREMENT's own counter is where new ids are reserved; without a row it would start at the first file.
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('files', 0)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
)

_LANGUAGE = ("ALTER TABLE files ADD COLUMN language TEXT NOT NULL DEFAULT ''",)
# Documents that are not plain text say who wrote them, and where in their own terms a passage stands.
_PLACES = (
    "ALTER TABLE files ADD COLUMN author TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE passages ADD COLUMN place TEXT NOT NULL DEFAULT ''",
)

# The passages with a term in a range of keys, for keyword search; filled from the passages where it is first needed.
_KEYWORDS = (
    """
    CREATE TABLE postings (
        term TEXT NOT NULL,
        part INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (term, part)
    ) WITHOUT ROWID
    """,
)

# What each row said when it was written, so that one that was changed since is told from one that was not.
_CHECKSUMS = (
    "ALTER TABLE files ADD COLUMN crc INTEGER",
    "ALTER TABLE passages ADD COLUMN crc INTEGER",
    """
    UPDATE files SET crc = kb_checksum(
        id, folder, name, content_hash, CAST(title AS BLOB), kind, tags, date, CAST(reason AS BLOB), replaced,
        language, CAST(author AS BLOB)
    )
    """,
    """
    UPDATE passages SET crc = kb_checksum(
        id, file_id, ordinal, digest, heading, first_line, last_line, page, CAST(place AS BLOB), CAST(text AS BLOB)
    )
    """,
)

# What a passage's words are taken from, where its text is not what is read: empty where it is.
_SEARCHED = ("ALTER TABLE passages ADD COLUMN searched TEXT NOT NULL DEFAULT ''",)

# What of a file was not read: empty where all of it was.
_UNREAD = ("ALTER TABLE files ADD COLUMN unread TEXT NOT NULL DEFAULT ''",)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _FIRST,
    _LANGUAGE,
    _PLACES,
    LINK_TABLES,
    _KEYWORDS,
    _CHECKSUMS,
    MIDDLE_TABLES,
    _SEARCHED,
    _UNREAD,
)
"""The statements that lead from each version to the next; the version of a catalog is how many it has behind it."""


def connect(path: str, *, copy: bool = False) -> sqlite3.Connection:
    """Open a catalog for reading and writing, made or brought up to date where needed.

    Args:
        path: The file, or ``MEMORY``.
        copy: Open a copy in memory; the file stays as it is.

    Raises:
        ForeignStore: The file is the database of another program.
        CatalogDamaged: The file is not a database, or its pages make no sense.
        StoreError: A newer kb wrote it, or it cannot be opened.
    """
    with sqlite_errors(path):
        if copy:
            connection = _copied(path)
        elif path != MEMORY:
            _clear_the_way(path)
            _make_private(path)
        if not copy:
            connection = sqlite3.connect(path, _BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def sqlite_errors(path: str) -> Iterator[None]:
    """Raise what SQLite or the operating system has against the catalog as kb's own errors."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        # The sqlite3 module's own complaint, such as a closed connection: a mistake in the calling code.
        if code is None:
            raise
        raise _store_error(path, error, code & 0xFF) from error
    except UnicodeDecodeError as error:
        # SQLite quotes a broken definition of a table in its complaint, which need not be text any more.
        raise damaged(path, "the definition of a table makes no sense") from error
    except MemoryError as error:
        raise no_memory(f"the catalog {path}") from error
    except OSError as error:
        raise unusable(f"the catalog {path}", error, path) from error


def damaged(path: str, detail: str) -> CatalogDamaged:
    """The error of a catalog that holds something kb never wrote."""
    return CatalogDamaged(
        f"The catalog {path} is damaged: {detail}",
        "Run kb index: it is set aside, every file is read again, and vectors are taken from the embedding cache",
    )


def set_aside(path: str) -> str:
    """Take a damaged catalog out of the way, with its write-ahead log, and return where it is now.

    An older one that was set aside is replaced.
    """
    target = f"{path}.damaged"
    with sqlite_errors(path):
        make_way(Path(target))
    if Path(path).is_dir() and not Path(path).is_symlink():
        Path(target).unlink(missing_ok=True)
    with sqlite_errors(path):
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                os.replace(path + suffix, target + suffix)  # noqa: PTH105  # plain strings, as sqlite3 takes them
    return target


def _copied(path: str) -> sqlite3.Connection:
    """A copy in memory of a database that cannot be written."""
    # Without a log nobody is writing, and without the permission to write SQLite needs to be told that.
    wal = Path(path + "-wal")
    mode = "mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1"
    connection = sqlite3.connect(MEMORY, _BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?{mode}", _BUSY_SECONDS, uri=True)) as source:
            source.backup(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _clear_the_way(path: str) -> None:
    """See that nothing but files of the catalog's own lies where SQLite will write.

    Raises:
        CatalogDamaged: The catalog itself is a directory or a link.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(Path(path).lstat().st_mode):
            raise damaged(path, "it is no file of its own")
    for suffix in ("-wal", "-shm", "-journal"):
        make_way(Path(path + suffix))


def _make_private(path: str) -> None:
    """Make the file readable by its owner alone; its -wal and -shm files take over the mode."""
    # An existing file is not opened here: closing it again would drop the locks of this process's connections.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        file = Path(path)
        if file.is_file() and file.stat().st_mode & 0o077:
            file.chmod(0o600)


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    connection.create_function("kb_checksum", -1, checksum, deterministic=True)
    connection.text_factory = bytes  # Texts may hold lone surrogates, which the default decoding refuses.
    connection.execute("PRAGMA secure_delete = ON")
    version = _version(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made this step while this one waited for the lock.
        if _number(connection, "user_version") < number:
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    if shape(connection) != _expected_shape(MIGRATIONS):
        raise damaged(path, "its tables are not those of kb")


def shape(connection: sqlite3.Connection) -> frozenset[tuple[Any, ...]]:
    """The columns of every table and index, and what else would change what is read or written."""
    return frozenset(tuple(map(_told, row)) for row in connection.execute(_SHAPE))


def _told(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


@lru_cache(maxsize=1)
def _expected_shape(migrations: tuple[tuple[str, ...], ...]) -> frozenset[tuple[Any, ...]]:
    connection = sqlite3.connect(MEMORY, isolation_level=None)
    try:
        connection.create_function("kb_checksum", -1, checksum, deterministic=True)
        for statements in migrations:
            for statement in statements:
                connection.execute(statement)
        return shape(connection)
    finally:
        connection.close()


def _version(connection: sqlite3.Connection, path: str) -> int:
    version = _number(connection, "user_version")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if _number(connection, "application_id") != _APPLICATION_ID and (version or tables):
        names = {bytes(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if {b"meta", b"files", b"passages"} <= names:
            raise damaged(path, "its header makes no sense")
        raise ForeignStore(f"{path} is a database of another program", "Choose another folder for the store.")
    if version > _NO_VERSION:
        raise damaged(path, "its header makes no sense")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"The catalog {path} was written by a newer kb (version {version}, this kb knows {len(MIGRATIONS)})",
            "Update kb, or choose another folder for the store.",
        )
    return version


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _store_error(path: str, error: sqlite3.Error, code: int) -> KbError:
    what = f"the catalog {path}"
    # Where the disk is full SQLite cannot make its log either, and calls that an error of the disk.
    if code == sqlite3.SQLITE_IOERR and path != MEMORY and shutil.disk_usage(Path(path).parent).free < _LEAST_ROOM:
        code = sqlite3.SQLITE_FULL
    match code:
        case sqlite3.SQLITE_FULL:
            found: KbError = disk_full(what)
        case sqlite3.SQLITE_NOMEM:
            found = no_memory(what)
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            found = forbidden(what, path)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            found = StoreBusy(f"Another process is writing the catalog {path}", "Wait until it is done, or end it.")
        # kb's statements never change: one that SQLite does not understand has met tables that are not kb's.
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_ERROR:
            found = damaged(path, str(error))
        case _:
            found = _unusable(path, str(error))
    return found


def _unusable(path: str, detail: str) -> StoreError:
    return StoreError(
        f"The catalog {path} cannot be used: {detail}",
        "Check that its folder exists, that you may write there, and that the disk works.",
    )
