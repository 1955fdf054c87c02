"""The outbox of the catalog: the passages whose records on a Chroma server are not as the catalog has them.

Only ids are kept, not what has to be done: that follows from what the catalog holds when they are sent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kb.store.catalog_rows import only

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

TABLES = ("CREATE TABLE unsent (id TEXT PRIMARY KEY) WITHOUT ROWID",)

COUNT = "SELECT count(*) FROM unsent"
NEXT = "SELECT id FROM unsent ORDER BY id LIMIT ?"


def add(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Put passages into the outbox."""
    connection.execute("INSERT OR IGNORE INTO unsent SELECT value FROM json_each(?)", (json.dumps(list(ids)),))


def remove(connection: sqlite3.Connection, ids: Sequence[str] | None) -> None:
    """Take passages, or all, out of the outbox."""
    connection.execute(*only("DELETE FROM unsent WHERE TRUE", "id", ids))
