"""Writes into the catalog what files are about to become."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from kb.store import catalog_links as links
from kb.store import catalog_rows as rows
from kb.store import catalog_statements as sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kb.records import FileChange
    from kb.store.catalog_rows import PassageState


def free_places(connection: sqlite3.Connection, changes: Sequence[FileChange]) -> None:
    """Take the old paths from the files that move, so that one of them can have the path of another."""
    wanted = {change.file_id: rows.place(change.file) for change in changes}
    known = connection.execute(
        "SELECT id, folder, name FROM files WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(wanted)),),
    ).fetchall()
    moved = [(id_,) for id_, folder, name in known if (folder, name) != wanted[id_]]
    # No path holds a NUL byte, so this stands in the way of none.
    connection.executemany("UPDATE files SET name = CAST(x'00' || id AS BLOB) WHERE id = ?", moved)


def write_change(connection: sqlite3.Connection, change: FileChange, known: Mapping[str, PassageState]) -> None:
    """Write the row of a file, its links and its passages; those it no longer has are leaving."""
    states = rows.next_states(known, frozenset(passage.id for passage in change.passages))
    live = sum(state == "live" for state in states.values())
    try:
        connection.execute(sql.WRITE_FILE, rows.file_values(change, live))
        links.write_links(connection, change.file_id, change.document)
        for ordinal, passage in enumerate(change.passages):
            statement = sql.KEEP_PASSAGE if passage.id in known else sql.ADD_PASSAGE
            connection.execute(statement, rows.passage_values(passage, change.file_id, ordinal, states[passage.id]))
    except sqlite3.IntegrityError as error:
        raise ValueError(
            f"{change.file.path!r} or one of its passages belongs to another file of the catalog, to be removed first"
        ) from error
    leaving = [(id_,) for id_, state in states.items() if state == "leaving"]
    connection.executemany("UPDATE passages SET state = 'leaving' WHERE id = ?", leaving)
