"""The one way to open SQLite: private files, steps from older versions, transactions, and errors in kb's own words.

The catalog and the embedding cache say what their tables are (``Schema``); everything else about a file of SQLite is
decided here.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from kb.errors import ForeignStore, KbError, StoreBusy, StoreError
from kb.own_files import disk_full, forbidden, make_way, no_memory, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMORY: Final = ":memory:"
BESIDE: Final = ("-wal", "-shm", "-journal")
"""What SQLite appends to the name of a database for the files beside it."""

Access: TypeAlias = Literal["write", "read", "copy"]
"""How a database is opened: for writing, made where it is missing; for reading alone, or nothing where it is missing;
or as a copy in memory that may be written while the file stays as it is."""

_T = TypeVar("_T")

_BUSY_SECONDS = 10.0
_LEAST_ROOM: Final = 1_000_000
# No kb will ever write so high a version: it is a broken header.
_NO_VERSION: Final = 1000

_SHAPE: Final = """
    SELECT m.type, m.name, c.name, c.type, c."notnull", c.pk
    FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_stat%'
    UNION ALL
    SELECT m.type, m.name, m.tbl_name, i.name, i.seqno, 0
    FROM sqlite_master m JOIN pragma_index_info(m.name) i WHERE m.type = 'index'
    UNION ALL
    SELECT type, name, tbl_name, '', 0, 0 FROM sqlite_master WHERE type IN ('trigger', 'view')
"""


@dataclass(frozen=True, slots=True)
class Schema:
    """What makes a file of SQLite one of kb's databases.

    Attributes:
        name: What messages call it.
        application_id: Stands in SQLite's header, so that a database of another program is told from an empty one.
        migrations: The statements that lead from each version to the next; the version of a file is how many it has
            behind it.
        tables: Tables that only kb has together: a file that has them and another header is a damaged one of kb's.
        pragmas: What is set on every connection.
        checksum: What ``kb_checksum`` computes in statements.
        damaged: The error of a file that holds something kb never wrote.
        remedy: What helps against that.
    """

    name: str
    application_id: int
    migrations: tuple[tuple[str, ...], ...]
    tables: frozenset[bytes]
    pragmas: tuple[str, ...]
    checksum: Callable[..., int]
    damaged: type[StoreError]
    remedy: str

    def of(self, path: str) -> str:
        """What messages call the database at this path."""
        return f"the {self.name} {path}"

    def damage(self, path: str, detail: str) -> StoreError:
        """The error of a database at this path that holds something kb never wrote."""
        return self.damaged(f"{self.of(path)} is damaged: {detail}", self.remedy)


class Database:
    """One SQLite file, which several threads may use.

    Texts are read as bytes, since they may hold lone surrogates, which SQLite's own decoding refuses.

    Args:
        path: The file, or ``MEMORY``.
        schema: What its tables are.
        access: How to open it.

    Attributes:
        path: The file.
        damage: How the file turned out to be damaged; empty where it did not.
        connection: The connection; whoever uses it holds ``reading`` or ``writing``.

    Raises:
        ForeignStore: The file is the database of another program.
        StoreError: A newer kb wrote it, or it cannot be opened; the error of the schema where it is damaged.
    """

    def __init__(self, path: str, schema: Schema, *, access: Access = "write") -> None:
        self.path = path
        self.damage = ""
        self._schema = schema
        self._lock = RLock()
        with _errors(path, schema):
            self.connection = _open(path, schema, access)

    def close(self) -> None:
        """Let go of the file. Closing again is allowed."""
        with self._lock:
            self.connection.close()

    def damaged(self, detail: str) -> StoreError:
        """The error of a row or value that kb never wrote; the damage is remembered."""
        error = self._schema.damage(self.path, detail)
        self.damage = error.message
        return error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone; what SQLite has against the file becomes an error of kb's."""
        with self._lock:
            try:
                with _errors(self.path, self._schema):
                    yield self.connection
            except self._schema.damaged as error:
                self.damage = error.message
                raise

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk at the end, or nothing where anything is raised."""
        with self.reading() as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def rows(self, statement: str, parameters: tuple[Any, ...], record: Callable[[tuple[Any, ...]], _T]) -> list[_T]:
        """What each row of a statement becomes."""
        with self.reading() as connection:
            try:
                return [record(row) for row in connection.execute(statement, parameters)]
            # A damaged page that SQLite lets pass gives values of any type where kb wrote none such.
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                raise self.damaged(f"a row makes no sense ({error})") from error

    def compact(self) -> None:
        """Give back the space of what was deleted, and leave no trace of it in the write-ahead log."""
        with self.reading() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def set_aside(path: str, schema: Schema) -> str:
    """Take a damaged database out of the way, with its write-ahead log, and return where it is now.

    An older one that was set aside is replaced.

    Raises:
        StoreError: It cannot be moved.
    """
    target = f"{path}.damaged"
    with _errors(path, schema):
        for suffix in ("-wal", "-shm", ""):
            make_way(Path(target + suffix))
            Path(target + suffix).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                Path(path + suffix).rename(target + suffix)
    return target


def _open(path: str, schema: Schema, access: Access) -> sqlite3.Connection:
    if access == "read":
        connection = _read_only(path)
        if connection is not None:
            return _checked(connection, path, schema)
        path = MEMORY
    if access == "copy":
        connection = _copied(path)
    else:
        if path != MEMORY:
            _clear_the_way(path, schema)
            _make_private(path)
        connection = sqlite3.connect(path, _BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _checked(connection: sqlite3.Connection, path: str, schema: Schema) -> sqlite3.Connection:
    """A connection for reading alone; of a file of an older version, a copy in memory that was brought up to date."""
    try:
        _serve(connection, schema)
        if _version(connection, path, schema) == len(schema.migrations):
            _require_shape(connection, path, schema)
            return connection
        copy = _in_memory(connection)
    except BaseException:
        connection.close()
        raise
    connection.close()
    try:
        _prepare(copy, path, schema)
    except BaseException:
        copy.close()
        raise
    return copy


def _read_only(path: str) -> sqlite3.Connection | None:
    """A connection that leaves the file as it is; None where there is none."""
    file = Path(path)
    if not file.exists():
        return None
    # Without a log nobody is writing, and without the permission to write SQLite needs to be told that.
    wal = Path(f"{path}-wal")
    mode = "mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1"
    place = f"{file.absolute().as_uri()}?{mode}"
    return sqlite3.connect(place, _BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)


def _copied(path: str) -> sqlite3.Connection:
    """A copy in memory of a database; an empty one where there is none."""
    source = _read_only(path)
    if source is None:
        return sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False)
    with closing(source):
        return _in_memory(source)


def _in_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(MEMORY, isolation_level=None, check_same_thread=False)
    try:
        source.backup(copy)
    except BaseException:
        copy.close()
        raise
    return copy


def _clear_the_way(path: str, schema: Schema) -> None:
    """See that nothing but files of the database's own lies where SQLite will write.

    Raises:
        StoreError: The database itself is a directory or a link.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(Path(path).lstat().st_mode):
            raise schema.damage(path, "it is no file of its own")
    for suffix in BESIDE:
        make_way(Path(path + suffix))


def _make_private(path: str) -> None:
    """Make the file readable by its owner alone; the files beside it take over the mode."""
    # An existing file is not opened here: closing it again would drop the locks of this process's connections.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        file = Path(path)
        if file.is_file() and file.stat().st_mode & 0o077:
            file.chmod(0o600)


def _serve(connection: sqlite3.Connection, schema: Schema) -> None:
    connection.create_function("kb_checksum", -1, schema.checksum, deterministic=True)
    connection.text_factory = bytes


def _prepare(connection: sqlite3.Connection, path: str, schema: Schema) -> None:
    """Bring a database up to date, and see that its tables are those of kb."""
    _serve(connection, schema)
    version = _version(connection, path, schema)
    # The size of a page can only be set before anything is written.
    for pragma in (*schema.pragmas, "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    for number, statements in enumerate(schema.migrations[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made this step while this one waited for the lock.
        if _number(connection, "user_version") < number:
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    _require_shape(connection, path, schema)


def _require_shape(connection: sqlite3.Connection, path: str, schema: Schema) -> None:
    if _shape(connection) != _expected_shape(schema.migrations, schema.checksum):
        raise schema.damage(path, "its tables are not those of kb")


def _shape(connection: sqlite3.Connection) -> frozenset[tuple[Any, ...]]:
    """The columns of every table and index, and what else would change what is read or written."""
    return frozenset(tuple(map(_told, row)) for row in connection.execute(_SHAPE))


def _told(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


@lru_cache(maxsize=4)
def _expected_shape(
    migrations: tuple[tuple[str, ...], ...], checksum: Callable[..., int]
) -> frozenset[tuple[Any, ...]]:
    with closing(sqlite3.connect(MEMORY, isolation_level=None)) as connection:
        connection.create_function("kb_checksum", -1, checksum, deterministic=True)
        for statements in migrations:
            for statement in statements:
                connection.execute(statement)
        return _shape(connection)


def _version(connection: sqlite3.Connection, path: str, schema: Schema) -> int:
    """How many migrations a database has behind it.

    Raises:
        ForeignStore: It is the database of another program.
        StoreError: A newer kb wrote it; the error of the schema where its header makes no sense.
    """
    version = _number(connection, "user_version")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if _number(connection, "application_id") != schema.application_id and (version or tables):
        names = {bytes(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if schema.tables <= names:
            raise schema.damage(path, "its header makes no sense")
        raise ForeignStore(f"{path} is a database of another program", "Choose another folder for the store")
    if version > _NO_VERSION:
        raise schema.damage(path, "its header makes no sense")
    if version > len(schema.migrations):
        raise StoreError(
            f"{schema.of(path)} was written by a newer kb (version {version}, this kb knows {len(schema.migrations)})",
            "Update kb, or choose another folder for the store",
        )
    return version


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


@contextmanager
def _errors(path: str, schema: Schema) -> Iterator[None]:
    """Raise what SQLite or the operating system has against a database as kb's own errors."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        # The sqlite3 module's own complaint, such as a closed connection: a mistake in the calling code.
        if code is None:
            raise
        raise _told_of(path, schema, error, code & 0xFF) from error
    except UnicodeDecodeError as error:
        # SQLite quotes a broken definition of a table in its complaint, which need not be text any more.
        raise schema.damage(path, "the definition of a table makes no sense") from error
    except MemoryError as error:
        raise no_memory(schema.of(path)) from error
    except OSError as error:
        raise unusable(schema.of(path), error, path) from error


def _told_of(path: str, schema: Schema, error: sqlite3.Error, code: int) -> KbError:
    """The error of kb's that says what an error of SQLite means."""
    what = schema.of(path)
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
            found = StoreBusy(f"another process is writing {what}", "Wait until it is done, or end it")
        # kb's statements never change: one that SQLite does not understand has met tables that are not kb's.
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_ERROR:
            found = schema.damage(path, str(error))
        case _:
            found = StoreError(
                f"{what} cannot be used: {error}",
                "Check that its folder exists, that you may write there, and that the disk works",
            )
    return found
