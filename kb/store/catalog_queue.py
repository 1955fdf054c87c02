"""The queue of the catalog: the live passages that have no vector yet, with what the model reads of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kb.records import Unembedded, digest_of
from kb.store import catalog_rows as rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from kb.records import Passage

# Passages of a later run come before those of earlier ones, and within a run those of files that were modified last.
TABLES = (
    """
    CREATE TABLE unembedded (
        passage INTEGER PRIMARY KEY REFERENCES passages (key) ON DELETE CASCADE,
        file_id INTEGER NOT NULL,
        run INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        text TEXT NOT NULL
    )
    """,
    "CREATE INDEX unembedded_of_file ON unembedded (file_id, tokens)",
    "CREATE INDEX unembedded_in_order ON unembedded (run, mtime_ns)",
)

# json_each passes a list of any length as one parameter, regardless of SQLite's limit.
BY_FILE = (
    "SELECT file_id, count(*), sum(tokens) FROM unembedded "
    "WHERE file_id IN (SELECT value FROM json_each(?)) GROUP BY file_id"
)
SIZE = "SELECT count(DISTINCT file_id), count(*), coalesce(sum(tokens), 0) FROM unembedded"
NEXT_RUN = "SELECT coalesce(max(run), 0) + 1 FROM unembedded"
NEXT = f"""
    SELECT {rows.FILE_COLUMNS}, {rows.PASSAGE_COLUMNS}, u.tokens, u.text
    FROM unembedded u CROSS JOIN passages p ON p.key = u.passage CROSS JOIN files f ON f.id = p.file_id
    WHERE u.run = (SELECT max(run) FROM unembedded) AND u.run >= ?
    ORDER BY u.mtime_ns DESC, u.passage DESC LIMIT ?
"""  # noqa: S608  (only constants are put in)
# Times that need more than 64 bits are cut to them.
_ADD = """
    INSERT INTO unembedded (passage, file_id, run, mtime_ns, tokens, text)
    SELECT p.key, p.file_id, ?, CAST(f.mtime_ns AS INTEGER), ?, CAST(? AS TEXT)
    FROM passages p JOIN files f ON f.id = p.file_id WHERE p.id = ?
"""
_REMOVE = (
    "DELETE FROM unembedded WHERE passage IN (SELECT key FROM passages WHERE id IN (SELECT value FROM json_each(?)))"
)
_REMOVE_FILES = "DELETE FROM unembedded WHERE TRUE"
_REMOVE_LEAVING = (
    "DELETE FROM unembedded WHERE passage IN (SELECT key FROM passages "
    "WHERE state = 'leaving' AND file_id IN (SELECT value FROM json_each(?)))"
)
_BESIDE_PASSAGES = """
    SELECT u.passage, u.file_id, u.text, p.file_id, p.digest, p.state
    FROM unembedded u LEFT JOIN passages p ON p.key = u.passage
"""


def unembedded_of(row: tuple[Any, ...]) -> tuple[int, Unembedded]:
    """The file id of a row of ``BY_FILE``, and what waits of that file."""
    return int(row[0]), Unembedded(int(row[1]), int(row[2]))


def add(connection: sqlite3.Connection, passages: Sequence[Passage], run: int) -> None:
    """Queue live passages in an index run."""
    connection.executemany(_ADD, ((run, one.tokens, rows.text_bytes(one.embedded), one.id) for one in passages))


def remove(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Take passages out of the queue."""
    connection.execute(_REMOVE, (json.dumps(list(ids)),))


def remove_files(connection: sqlite3.Connection, file_ids: Sequence[int] | None) -> None:
    """Take all passages of these files, or of all, out of the queue."""
    connection.execute(*rows.only(_REMOVE_FILES, "file_id", file_ids))


def remove_leaving(connection: sqlite3.Connection, file_ids: Sequence[int]) -> None:
    """Take those passages of these files out of the queue that are being deleted."""
    connection.execute(_REMOVE_LEAVING, (json.dumps(list(file_ids)),))


def wrongly_queued(connection: sqlite3.Connection) -> set[int]:
    """The files with a queued text that is not that of its passage; entries without a passage are deleted."""
    wrong: set[int] = set()
    for key, file_id, text, owner, digest, state in connection.execute(_BESIDE_PASSAGES).fetchall():
        if owner is None:
            connection.execute("DELETE FROM unembedded WHERE passage = ?", (key,))
        elif (file_id, state, digest) != (owner, b"live", digest_of(rows.text_of(text))):
            wrong.add(owner)
    return wrong
