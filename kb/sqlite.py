"""Access to SQLite databases: private files, migrations, transactions, and translation of errors.

Used by the catalog and the embedding cache, which each define a ``Schema``.
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
from kb.own_files import clear_path, disk_full, forbidden, no_memory, store_error_for
from kb.system.users import rights_of_others

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

MEMORY: Final = ":memory:"
BESIDE: Final = ("-wal", "-shm", "-journal")
"""The suffixes of SQLite's auxiliary files."""

Access: TypeAlias = Literal["write", "read", "copy"]
"""How a database is opened: for writing, creating it if missing; read-only, empty if missing; or as a copy in memory
that may be written."""

_T = TypeVar("_T")

_BUSY_SECONDS = 10.0
_LEAST_ROOM: Final = 1_000_000
# What SQLite begins its findings with; the database is named anyway.
_NO_DETAIL: Final = "*** in database main ***"
# A higher version than this is a damaged header.
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

_HIDDEN: Final = """
    SELECT 1 FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c WHERE m.type = 'table' AND c.hidden != 0
"""


@dataclass(frozen=True, slots=True)
class Schema:
    """The definition of one of kb's databases.

    Attributes:
        name: Its name in messages.
        application_id: The id in SQLite's header, which identifies kb's databases.
        migrations: The statements from each version to the next; a file's version is the number of them applied.
        tables: The names of its tables; a file with these and another header is a damaged database of kb.
        pragmas: The pragmas of every connection.
        checksum: The function ``kb_checksum`` in statements.
        damaged: The exception for a damaged file.
        remedy: The remedy in that exception.
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
        """The name of the database at a path in messages."""
        return f"the {self.name} {path}"

    def damage(self, path: str, detail: str) -> StoreError:
        """The exception for a damaged database at a path, with what SQLite says of it on one line."""
        found = " ".join(detail.removeprefix(_NO_DETAIL).split())
        return self.damaged(f"{self.of(path)} is damaged: {found}", self.remedy)


class Database:
    """One SQLite file, which several threads may use.

    Texts are read as bytes, since they may contain lone surrogates, which SQLite's decoding rejects.

    Args:
        path: The file, or ``MEMORY``.
        schema: The definition of the database.
        access: How to open it.

    Attributes:
        path: The file.
        damage: How the file is damaged; empty if no damage was found.
        connection: The connection; use it only within ``reading`` or ``writing``.

    Raises:
        ForeignStore: The file is another program's database.
        StoreError: A newer version of kb wrote it, or it cannot be opened; the schema's exception if it is damaged.
    """

    def __init__(self, path: str, schema: Schema, *, access: Access = "write") -> None:
        self.path = path
        self.damage = ""
        self._schema = schema
        self._lock = RLock()
        with _Errors(path, schema):
            self.connection = _open(path, schema, access)

    def close(self) -> None:
        """Close the file. Closing again is allowed."""
        with self._lock:
            self.connection.close()

    def damaged(self, detail: str) -> StoreError:
        """Record damage, and return the exception for it."""
        error = self._schema.damage(self.path, detail)
        self.damage = error.message
        return error

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """The connection, exclusive to this thread; translates errors."""
        return _Reading(self, self._schema, self._lock)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed durably at the end, rolled back on an exception."""
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
        """The results of a function applied to each row of a statement."""
        with self.reading() as connection:
            try:
                return [record(row) for row in connection.execute(statement, parameters)]
            # A damaged page that SQLite accepts may contain values of any type.
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                raise self.damaged(f"a row makes no sense ({error})") from error

    def compact(self) -> None:
        """Free the space of deleted rows, and truncate the write-ahead log."""
        with self.reading() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def copy_database(path: str, target: str, schema: Schema) -> None:
    """Copy a database as it is at one moment, while others read and write it.

    The copy is one file without a write-ahead log. Pages that did not change are the same in two copies.

    Raises:
        StoreError: It cannot be read or written; the schema's exception if it is damaged.
    """
    with _Errors(path, schema), closing(_for_copying(path)) as source:
        _make_private(target)
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            # A copy that is not complete is of no use after a crash.
            copy.execute("PRAGMA synchronous = OFF")
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            _require_intact(copy, path, schema)


def _for_copying(path: str) -> sqlite3.Connection:
    """A connection that changes nothing; it takes part in locking where that is possible, unlike a read-only one."""
    if os.access(Path(path).parent, os.W_OK):
        connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=rw", timeout=_BUSY_SECONDS, uri=True)
        connection.execute("PRAGMA query_only = ON")
        return connection
    return _read_only(path) or sqlite3.connect(MEMORY)


def connect_unshared(path: str) -> sqlite3.Connection:
    """A read-only connection to a database that no one writes; it is not locked, and has no write-ahead log."""
    place = f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(place, isolation_level=None, uri=True)


def require_sound(path: str, schema: Schema) -> None:
    """Check a database that came from elsewhere, before it is opened for writing.

    Raises:
        ForeignStore: It is another program's database.
        StoreError: A newer version of kb wrote it; the schema's exception if it is damaged, or was made by others.
    """
    with _Errors(path, schema), closing(connect_unshared(path)) as connection:
        # Definitions in it can call nothing that has effects, and its cells are checked before they are used.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        _serve(connection, schema)
        version = _version(connection, path, schema)
        expected = _expected_shape(schema.migrations[:version], schema.checksum)
        if not version or _shape(connection) != expected or connection.execute(_HIDDEN).fetchone():
            raise schema.damage(path, "its tables are not those of kb")
        _require_intact(connection, path, schema)


def replace_database(path: str, target: str, schema: Schema) -> None:
    """Replace the content of a database by that of another one, in one durable transaction.

    Args:
        path: The new content, which nobody else uses.
        target: The database; created if it does not exist. Others may have it open.
        schema: The definition of both.

    Raises:
        StoreError: It cannot be written; the schema's exception if the old one is damaged.
    """
    with _Errors(target, schema):
        _require_own_files(target, schema)
        _make_private(target)
        with closing(sqlite3.connect(target, timeout=_BUSY_SECONDS, isolation_level=None)) as old:
            old.execute("PRAGMA synchronous = FULL")
            size = _number(old, "page_size")
            with closing(sqlite3.connect(path, isolation_level=None)) as new:
                if _number(new, "page_size") != size:
                    new.execute("PRAGMA journal_mode = DELETE")
                    new.execute(f"PRAGMA page_size = {size}")
                    new.execute("VACUUM")
                new.backup(old)
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _require_intact(connection: sqlite3.Connection, path: str, schema: Schema) -> None:
    found = _text(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise schema.damage(path, str(found))


def set_aside(path: str, schema: Schema) -> str:
    """Rename a damaged database and its write-ahead log, and return the new path.

    Replaces one that was set aside earlier.

    Raises:
        StoreError: It cannot be moved.
    """
    target = f"{path}.damaged"
    with _Errors(path, schema):
        for suffix in ("-wal", "-shm", ""):
            clear_path(Path(target + suffix))
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
            _require_own_files(path, schema)
            _make_private(path)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _checked(connection: sqlite3.Connection, path: str, schema: Schema) -> sqlite3.Connection:
    """A read-only connection; for a file of an older version, a migrated copy in memory."""
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
    """A read-only connection; None if the file does not exist."""
    file = Path(path)
    if not file.exists():
        return None
    # Without a write-ahead log nobody is writing; SQLite cannot find that out without write permission.
    wal = Path(f"{path}-wal")
    mode = "mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1"
    place = f"{file.absolute().as_uri()}?{mode}"
    return sqlite3.connect(place, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)


def _copied(path: str) -> sqlite3.Connection:
    """A copy of a database in memory; empty if the file does not exist."""
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


def _require_own_files(path: str, schema: Schema) -> None:
    """Remove anything other than regular files from the paths of SQLite's auxiliary files.

    Raises:
        StoreError: The database itself is a directory or a link.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(Path(path).lstat().st_mode):
            raise schema.damage(path, "it is no file of its own")
    for suffix in BESIDE:
        clear_path(Path(path + suffix))


def _make_private(path: str) -> None:
    """Make the file accessible only to its owner; SQLite's auxiliary files get the same mode."""
    # Not opened if it exists: closing it would release the locks of this process's connections.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        file = Path(path)
        if file.is_file() and rights_of_others(file.stat()):
            file.chmod(0o600)


def _serve(connection: sqlite3.Connection, schema: Schema) -> None:
    connection.create_function("kb_checksum", -1, schema.checksum, deterministic=True)
    connection.text_factory = bytes


def _prepare(connection: sqlite3.Connection, path: str, schema: Schema) -> None:
    """Migrate a database, and check its tables."""
    _serve(connection, schema)
    version = _version(connection, path, schema)
    # The page size can only be set before the first write.
    for pragma in (*schema.pragmas, "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    for number, statements in enumerate(schema.migrations[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have applied this migration while this one waited for the lock.
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
    """The columns of all tables and indices, and everything else that affects reads and writes."""
    return frozenset(tuple(map(_text, row)) for row in connection.execute(_SHAPE))


def _text(value: object) -> object:
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
    """The number of migrations applied to a database.

    Raises:
        ForeignStore: It is another program's database.
        StoreError: A newer version of kb wrote it; the schema's exception if its header is damaged.
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


# Classes, because a question reads the catalog a dozen times, and a generator costs each of them twice as much.
class _Errors:
    """A context that translates errors of SQLite and the operating system.

    Args:
        path: The database.
        schema: Its definition.
    """

    __slots__ = ("_path", "_schema")

    def __init__(self, path: str, schema: Schema) -> None:
        self._path = path
        self._schema = schema

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and (translated := _translated(self._path, self._schema, error)) is not None:
            raise translated from error


class _Reading:
    """A context that has the connection of a database to itself; translates errors, and records damage.

    Args:
        database: The database.
        schema: Its definition.
        lock: Its lock.
    """

    __slots__ = ("_database", "_lock", "_schema")

    def __init__(self, database: Database, schema: Schema, lock: RLock) -> None:
        self._database = database
        self._schema = schema
        self._lock = lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        return self._database.connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                return
            translated = _translated(self._database.path, self._schema, error)
            raised = translated or error
            if isinstance(raised, self._schema.damaged):
                self._database.damage = raised.message
            if translated is not None:
                raise translated from error
        finally:
            self._lock.release()


def _translated(path: str, schema: Schema, error: BaseException) -> KbError | None:
    """The exception for an error of SQLite or the operating system; None for any other error."""
    match error:
        case sqlite3.Error():
            code = getattr(error, "sqlite_errorcode", None)
            # Raised by the sqlite3 module itself, for example for a closed connection: a bug in the caller.
            return None if code is None else _error_for(path, schema, error, code & 0xFF)
        case UnicodeDecodeError():
            # SQLite's message may quote a damaged table definition, which need not be valid text.
            return schema.damage(path, "the definition of a table makes no sense")
        case MemoryError():
            return no_memory(schema.of(path))
        case OSError():
            return store_error_for(schema.of(path), error, path)
        case _:
            return None


def _error_for(path: str, schema: Schema, error: sqlite3.Error, code: int) -> KbError:
    """The exception for an error of SQLite."""
    what = schema.of(path)
    # On a full disk SQLite cannot create its log either, and reports an I/O error.
    if code == sqlite3.SQLITE_IOERR and path != MEMORY and _is_full(Path(path).parent):
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
        # kb's statements are constant: if SQLite rejects one, the tables are not kb's.
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_ERROR:
            found = schema.damage(path, str(error))
        case _:
            found = StoreError(
                f"{what} cannot be used: {error}",
                "Check that its folder exists, that you may write there, and that the disk works",
            )
    return found


def _is_full(folder: Path) -> bool:
    """Whether the disk of a folder has no room left; False if it cannot be asked, as where it is gone."""
    try:
        return shutil.disk_usage(folder).free < _LEAST_ROOM
    except OSError:
        return False
