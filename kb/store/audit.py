"""Detects changes to the catalog that kb did not make.

SQLite has no checksums, so a flipped bit, an edit by another program or pages of another database may be read without
an error. kb's rows have checksums of their own. They are checked when a row is shown, and ``audit`` checks all of them
when ``CatalogStamp`` finds that the file changed since kb closed it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import CatalogDamaged
from kb.own_files import store_error_for, write_atomically
from kb.store import catalog_queue as queue
from kb.store import catalog_rows as rows
from kb.store import keywords
from kb.store.catalog_schema import SCHEMA

if TYPE_CHECKING:
    import sqlite3

STAMP_FILE: Final = "catalog.left"
_DAMAGED: Final = "damaged"


class CatalogStamp:
    """The recorded size and time of a catalog's files. Only the holder of the store's lock may write it.

    Args:
        catalog: The catalog's file.
    """

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._place = Path(catalog).with_name(STAMP_FILE)

    def is_unchanged(self) -> bool:
        """Whether the files are unchanged since ``save``.

        Raises:
            CatalogDamaged: The catalog was found damaged when it was last used.
        """
        left = self._saved_stamp()
        if isinstance(left, dict) and _DAMAGED in left:
            raise CatalogDamaged(str(left[_DAMAGED]), SCHEMA.remedy)
        return left is not None and left == self._current()

    def save(self, damage: str) -> None:
        """Record the state of the files, or that they are damaged.

        Args:
            damage: What is wrong with the catalog; empty if nothing is.

        Raises:
            StoreError: It cannot be written.
        """
        left = {_DAMAGED: damage} if damage else self._current()
        if left == self._saved_stamp():
            return
        try:
            write_atomically(self._place, json.dumps(left))
        except OSError as error:
            raise store_error_for(f"the store at {self._place.parent}", error, str(self._place)) from error

    def _saved_stamp(self) -> object:
        try:
            return json.loads(self._place.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None

    def _current(self) -> list[list[int]]:
        """Size and modification time of the database and of its write-ahead log, if there is one."""
        files = (Path(self._catalog), Path(f"{self._catalog}-wal"))
        stats = [path.stat() for path in files if path.is_file()]
        return [[one.st_size, one.st_mtime_ns] for one in stats if one.st_size]


# All passages by file, passages without a file, and the highest file ids.
_ALL_PASSAGES = f"SELECT p.file_id, p.state, {rows.PASSAGE_COLUMNS} FROM passages p ORDER BY p.file_id"  # noqa: S608
_ORPHANS = "SELECT count(*) FROM passages WHERE file_id NOT IN (SELECT id FROM files)"
_IDS_USED = """
    SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'files'), -1),
           coalesce((SELECT max(id) FROM files), 0)
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """Repairable damage of a catalog.

    Attributes:
        files: The ids of files with a changed row, which have to be read again.
        keywords: Whether the keyword index has to be rebuilt.
    """

    files: tuple[int, ...] = ()
    keywords: bool = False


def audit(connection: sqlite3.Connection) -> Findings:
    """Check every row of a catalog. The caller holds a transaction.

    Raises:
        ValueError: It cannot be repaired row by row.
    """
    for (reported,) in connection.execute("PRAGMA integrity_check(1)"):
        if reported != b"ok":
            raise ValueError(reported.decode("utf-8", "replace"))
    used, greatest = connection.execute(_IDS_USED).fetchone()
    if used < greatest:
        raise ValueError("the counter of file ids is behind")
    wrong: set[int] = set()
    live: dict[int, int] = {}
    for row in connection.execute(rows.FILES):
        file = rows.known_file(row)
        if file.state != "pending":
            live[file.id] = file.passages
        if not rows.file_is_sound(row):
            wrong.add(file.id)
    counted: Counter[int] = Counter()
    for file_id, state, *passage in connection.execute(_ALL_PASSAGES):
        counted[file_id] += rows.passage_state(state) == "live"
        if not rows.passage_is_sound(tuple(passage), file_id):
            wrong.add(file_id)
    wrong |= {file_id for file_id, count in live.items() if counted[file_id] != count}
    wrong |= queue.wrongly_queued(connection)
    orphans = connection.execute(_ORPHANS).fetchone()[0]
    return Findings(tuple(sorted(wrong)), keywords=bool(orphans or wrong or not keywords.is_intact(connection)))
