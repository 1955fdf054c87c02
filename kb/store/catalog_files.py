"""All files of the catalog, kept in memory and in step with it by what changed."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from kb.store import catalog_rows as rows

if TYPE_CHECKING:
    import sqlite3

    from kb.records import KnownFile
    from kb.sqlite import Database

# With a larger share of changed files, reading all of them again takes no longer.
_MOST_CHANGED: Final = 0.25
_SOME: Final = 100
# A table of this connection alone; what a transaction notes in it is rolled back with the transaction.
_NOTE_CHANGES: Final = (
    "CREATE TEMP TABLE IF NOT EXISTS changed_files (id INTEGER NOT NULL)",
    """
    CREATE TEMP TRIGGER IF NOT EXISTS file_added AFTER INSERT ON main.files
    BEGIN INSERT INTO changed_files VALUES (NEW.id); END
    """,
    """
    CREATE TEMP TRIGGER IF NOT EXISTS file_changed AFTER UPDATE ON main.files
    BEGIN INSERT INTO changed_files VALUES (NEW.id); END
    """,
    """
    CREATE TEMP TRIGGER IF NOT EXISTS file_removed AFTER DELETE ON main.files
    BEGIN INSERT INTO changed_files VALUES (OLD.id); END
    """,
)
_CHANGED: Final = "SELECT id, max(rowid) FROM temp.changed_files WHERE rowid > ? GROUP BY id"
# Done seldom: deletions count as a change of the catalog (``SqliteCatalog.version``), after which much is read again.
_FORGET: Final = "DELETE FROM temp.changed_files"
_MOST_NOTES: Final = 100_000
_SOME_FILES: Final = f"{rows.FILES} WHERE f.id IN (SELECT value FROM json_each(?))"  # noqa: S608  (only a constant is put in)
_ORDER: Final = attrgetter("folder", "path")


@dataclass(slots=True)
class Totals:
    """Sums over all files.

    Attributes:
        done: The number of indexed files.
        passages: The number of live passages.
    """

    done: int = 0
    passages: int = 0

    def add(self, file: KnownFile, times: int = 1) -> None:
        """Add a file, or with -1 take it away."""
        self.done += times * (file.state == "done")
        self.passages += times * file.passages


class FileList:
    """The files, sorted by folder and path. After a change only the rows that changed are read again.

    Args:
        database: The catalog's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files: list[KnownFile] = []
        self._by_id: dict[int, KnownFile] = {}
        self._totals = Totals()
        # Changes where another connection wrote; None before the first reading.
        self._version: int | None = None
        # The last note of a change that was followed.
        self._followed = 0
        # The rows that this connection had changed by then, of any table.
        self._changes = -1

    def get(self) -> list[KnownFile]:
        """The files as they are now, in a list of the caller's own."""
        with self._database.reading() as connection:
            if connection.in_transaction:
                # What it has written may still be rolled back.
                return self._read_all()
            self._follow(connection)
            return list(self._files)

    def totals(self) -> Totals | None:
        """The sums over the files as they are now; None if the files were not read yet."""
        with self._database.reading() as connection:
            if self._version is None or connection.in_transaction:
                return None
            self._follow(connection)
            return self._totals

    def _follow(self, connection: sqlite3.Connection) -> None:
        """Read what changed since the last time."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if (version, connection.total_changes) == (self._version, self._changes):
            return
        if self._version is None:
            for statement in _NOTE_CHANGES:
                connection.execute(statement)
        notes = dict(connection.execute(_CHANGED, (self._followed,)).fetchall())
        changed = list(notes)
        if version != self._version or len(changed) > _SOME + _MOST_CHANGED * len(self._files):
            self._files = self._read_all()
            self._by_id = {file.id: file for file in self._files}
            self._totals = Totals()
            for file in self._files:
                self._totals.add(file)
        elif changed:
            self._read_again(changed)
        self._followed = max(notes.values(), default=self._followed)
        if self._followed > _MOST_NOTES:
            connection.execute(_FORGET)
            self._followed = 0
        self._version, self._changes = version, connection.total_changes

    def _read_all(self) -> list[KnownFile]:
        return sorted(self._database.rows(rows.FILES, (), rows.known_file), key=_ORDER)

    def _read_again(self, changed: list[int]) -> None:
        """Put the files with these ids, which may be new or gone, in the place of what was known of them."""
        found = self._database.rows(_SOME_FILES, (json.dumps(changed),), rows.known_file)
        for id_ in changed:
            if (known := self._by_id.pop(id_, None)) is not None:
                del self._files[bisect_left(self._files, _ORDER(known), key=_ORDER)]
                self._totals.add(known, -1)
        for file in found:
            insort(self._files, file, key=_ORDER)
            self._by_id[file.id] = file
            self._totals.add(file)
