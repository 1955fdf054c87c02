"""Which rows of a table were changed, so that what is kept of them in memory is read again for those alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

# Done seldom: deletions count as a change of the catalog (``SqliteCatalog.version``), after which much is read again.
_MOST_NOTES: Final = 100_000


class NotedChanges:
    """The changes of a table by one connection, which triggers note; those of others show only that there were some.

    The notes are in a table of this connection alone; what a transaction notes is rolled back with the transaction.

    Args:
        notes: The name of the table of notes.
        table: The table.
        column: The column whose values are noted.
        where: The condition on the rows whose changes are noted, without the name of the table; empty for all.
    """

    def __init__(self, notes: str, table: str, column: str, where: str = "") -> None:
        self._notes = notes
        self._table = table
        self._column = column
        self._where = where
        # Where another connection wrote, and the rows of any table that this one had changed, when all was followed.
        self._followed: tuple[int, int] | None = None
        # The last note that was followed; both of what is being followed.
        self._last = 0
        self._following = (0, 0)

    @property
    def begun(self) -> bool:
        """Whether the table was ever followed."""
        return self._followed is not None

    def none_since(self, connection: sqlite3.Connection) -> bool:
        """Whether nothing has changed in the database since the table was followed."""
        return self._followed == (_data_version(connection), connection.total_changes)

    def values(self, connection: sqlite3.Connection) -> list[int] | None:
        """The values of the rows that have changed since then; None where that is not known, so that any may have."""
        if self._followed is None:
            self._begin(connection)
        version = _data_version(connection)
        statement = f"SELECT {self._column}, max(rowid) FROM temp.{self._notes} WHERE rowid > ? GROUP BY {self._column}"  # noqa: S608  (names of kb's own)
        found = dict(connection.execute(statement, (self._last,)).fetchall())
        self._following = version, max(found.values(), default=self._last)
        return list(found) if self._followed is not None and version == self._followed[0] else None

    def follow(self, connection: sqlite3.Connection) -> None:
        """Record that what ``values`` returned was read again."""
        version, self._last = self._following
        if self._last > _MOST_NOTES:
            connection.execute(f"DELETE FROM temp.{self._notes}")  # noqa: S608  (a name of kb's own)
            self._last = 0
        self._followed = version, connection.total_changes

    def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {self._notes} ({self._column} INTEGER NOT NULL)")
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            when = f"WHEN {row}.{self._where}" if self._where else ""
            connection.execute(
                f"CREATE TEMP TRIGGER IF NOT EXISTS {self._notes}_{event.lower()} "  # noqa: S608  (names of kb's own)
                f"AFTER {event} ON main.{self._table} {when} "
                f"BEGIN INSERT INTO {self._notes} VALUES ({row}.{self._column}); END"
            )


def _data_version(connection: sqlite3.Connection) -> int:
    """A number that changes where another connection wrote."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
