"""All files of the catalog, kept in memory and in step with it by what changed."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from kb.store import catalog_rows as rows
from kb.store.noted_changes import NotedChanges

if TYPE_CHECKING:
    import sqlite3

    from kb.records import KnownFile
    from kb.sqlite import Database

# With a larger share of changed files, reading all of them again takes no longer.
_MOST_CHANGED: Final = 0.25
_SOME: Final = 100
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
        self._changes = NotedChanges("changed_files", "files", "id")

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
            if not self._changes.begun or connection.in_transaction:
                return None
            self._follow(connection)
            return self._totals

    def _follow(self, connection: sqlite3.Connection) -> None:
        """Read what changed since the last time."""
        if self._changes.none_since(connection):
            return
        changed = self._changes.values(connection)
        if changed is None or len(changed) > _SOME + _MOST_CHANGED * len(self._files):
            self._files = self._read_all()
            self._by_id = {file.id: file for file in self._files}
            self._totals = Totals()
            for file in self._files:
                self._totals.add(file)
        elif changed:
            self._read_again(changed)
        self._changes.follow(connection)

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
