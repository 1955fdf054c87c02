"""Looks through a whole catalog: whether each row still holds what kb wrote into it.

SQLite keeps its pages in order and has no checksum of what stands in them, so a flipped bit, an edit by another program
or pages of another database may well be read without an error. Rows have checksums of kb's own; they are looked at
where a row is shown, and all of them here, when the file is not as kb left it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import CatalogDamaged
from kb.own_files import unusable, write_whole
from kb.store import catalog_rows as rows
from kb.store import keywords
from kb.store.catalog_schema import SCHEMA

if TYPE_CHECKING:
    import sqlite3

# How kb left the catalog's files, so that a change by anything else is noticed before they are relied on.

STAMP_FILE: Final = "catalog.left"
_DAMAGED: Final = "damaged"


class CatalogStamp:
    """What was noted about a catalog when it was last closed. Only the holder of the store's lock may write it.

    Args:
        catalog: The catalog's file.
    """

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._place = Path(catalog).with_name(STAMP_FILE)

    def in_order(self) -> bool:
        """Whether the files are as they were left.

        Raises:
            CatalogDamaged: The catalog turned out to be damaged while it was last used.
        """
        left = self._left()
        if isinstance(left, dict) and _DAMAGED in left:
            raise CatalogDamaged(str(left[_DAMAGED]), SCHEMA.remedy)
        return left is not None and left == self._now()

    def leave(self, damage: str) -> None:
        """Note how the files are, or that they are damaged, so that the next run does not take them for sound.

        Raises:
            StoreError: It cannot be written.
        """
        left = {_DAMAGED: damage} if damage else self._now()
        if left == self._left():
            return
        try:
            write_whole(self._place, json.dumps(left))
        except OSError as error:
            raise unusable(f"the store at {self._place.parent}", error, str(self._place)) from error

    def _left(self) -> object:
        try:
            return json.loads(self._place.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None

    def _now(self) -> list[list[int]]:
        """Size and modification time of the database, and of its log where there is one."""
        files = (Path(self._catalog), Path(f"{self._catalog}-wal"))
        stats = [path.stat() for path in files if path.is_file()]
        return [[one.st_size, one.st_mtime_ns] for one in stats if one.st_size]


# For looking through everything: each file, each passage of every state by file, passages of no file, file ids used up.
_ALL_PASSAGES = f"SELECT p.file_id, p.state, {rows.PASSAGE_COLUMNS} FROM passages p ORDER BY p.file_id"  # noqa: S608
_ORPHANS = "SELECT count(*) FROM passages WHERE file_id NOT IN (SELECT id FROM files)"
_IDS_USED = """
    SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'files'), -1),
           coalesce((SELECT max(id) FROM files), 0)
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong in a catalog whose pages are in order.

    Attributes:
        files: The ids of the files that have to be read again, since a row of theirs is not as it was written.
        keywords: Whether the keyword index has to be made again.
    """

    files: tuple[int, ...] = ()
    keywords: bool = False


def audit(connection: sqlite3.Connection) -> Findings:
    """Look at every row of a catalog. The caller holds a transaction.

    Raises:
        ValueError: It cannot be mended row by row.
    """
    for (told,) in connection.execute("PRAGMA integrity_check(1)"):
        if told != b"ok":
            raise ValueError(told.decode("utf-8", "replace"))
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
    orphans = connection.execute(_ORPHANS).fetchone()[0]
    return Findings(tuple(sorted(wrong)), keywords=bool(orphans or wrong or not keywords.sound(connection)))
