"""The catalog of a store as the checks read it: without a lock, and without changing anything."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from kb.open_store import CATALOG_FILE
from kb.sqlite import Database
from kb.store import catalog_outbox as outbox
from kb.store import catalog_rows as rows
from kb.store.audit import audit
from kb.store.catalog_schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.doctor.case import Case
    from kb.records import KnownFile, StoredPassage
    from kb.store.audit import Findings

# After how many steps of SQLite's machine the time is looked at.
_STEPS: Final = 20_000
_PASSAGES: Final = f"""
    SELECT {rows.FILE_COLUMNS}, {rows.PASSAGE_COLUMNS}
    FROM passages p JOIN files f ON f.id = p.file_id
    WHERE p.state = 'live' AND f.state = 'done' AND p.key NOT IN (SELECT passage FROM unembedded) LIMIT ?
"""  # noqa: S608 - only constants are put in


class OutOfTime(Exception):
    """A query was ended, because it took too long."""


class CatalogView:
    """A catalog that is only read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def meta(self, key: str) -> str | None:
        """A stored value."""
        found = self._database.rows("SELECT value FROM meta WHERE key = ?", (key,), lambda row: rows.text_of(row[0]))
        return found[0] if found else None

    def files(self) -> list[KnownFile]:
        """All files, in no order."""
        return self._database.rows(rows.FILES, (), rows.known_file)

    def files_by_folder(self) -> dict[str, int]:
        """How many files are indexed from each folder."""
        counted: dict[str, int] = {}
        for file in self.files():
            counted[file.folder] = counted.get(file.folder, 0) + (file.state == "done")
        return counted

    def mounts(self) -> list[tuple[str, str]]:
        """The mount points inside the folders at the last run, as (folder, path)."""
        return next(iter(self._database.rows(rows.MOUNTS, (), rows.mounts)), [])

    def with_vectors(self) -> list[tuple[str, int, bytes]]:
        """Every live passage with a vector as (id, file id, digest), by file id and order."""
        return self._database.rows(rows.EMBEDDED, (), lambda row: (row[0].decode(), row[1], row[2]))

    def pending_ids(self) -> list[str]:
        """The ids of passages whose vectors may be missing."""
        return self._database.rows(rows.UNSETTLED, (), lambda row: str(row[0].decode()))

    def count_unembedded(self) -> int:
        """How many passages wait to be embedded."""
        return self._database.rows("SELECT count(*) FROM unembedded", (), lambda row: int(row[0]))[0]

    def count_deferred(self) -> int:
        """How many passages wait to be sent to a Chroma server."""
        return self._database.rows(outbox.COUNT, (), lambda row: int(row[0]))[0]

    def passages(self, most: int) -> list[StoredPassage]:
        """Some live passages with a vector, of files that are indexed."""
        return self._database.rows(_PASSAGES, (most,), _passage)

    def quick_check(self, seconds: float) -> str:
        """What SQLite finds wrong with the file; empty if nothing. Raises as ``quick_check`` does."""
        return quick_check(self._database, seconds)

    def audit(self, seconds: float) -> Findings:
        """Compare every row with its checksum.

        Raises:
            OutOfTime: It did not end in time.
            ValueError: It cannot be repaired row by row.
        """
        with self._database.reading() as connection, _at_most(connection, seconds):
            connection.execute("BEGIN")
            try:
                return audit(connection)
            finally:
                connection.execute("ROLLBACK")


def quick_check(database: Database, seconds: float) -> str:
    """What SQLite finds wrong with a database; empty if nothing.

    Raises:
        OutOfTime: It did not end in time.
        StoreError: It cannot be read at all.
    """
    with database.reading() as connection, _at_most(connection, seconds):
        found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    return "" if found == [b"ok"] else "; ".join(one.decode("utf-8", "replace") for one in found)


def _passage(row: tuple[object, ...]) -> StoredPassage:
    file = rows.known_file(row[: rows.FILE_WIDTH])
    passage = row[rows.FILE_WIDTH :]
    return rows.stored_passage(passage, file, sound=rows.passage_is_sound(passage, file.id))


@contextmanager
def _at_most(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Have SQLite end a query that takes longer.

    Raises:
        OutOfTime: It did.
    """
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise OutOfTime from error
        raise
    finally:
        connection.set_progress_handler(None, 0)


@contextmanager
def opened_catalog(case: Case) -> Iterator[CatalogView]:
    """The catalog of the store, open for reading.

    Raises:
        Skipped: There is none.
        StoreError: It cannot be opened; ``CatalogDamaged`` if it is damaged.
    """
    case.require_catalog()
    catalog = CatalogView(Database(case.file(CATALOG_FILE), SCHEMA, access="read"))
    try:
        yield catalog
    finally:
        catalog.close()
