"""The middles of files in the catalog: how they are written, forgotten and read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

TABLES: Final = (
    """
    CREATE TABLE middles (
        file_id INTEGER PRIMARY KEY REFERENCES files (id) ON DELETE CASCADE,
        vector BLOB NOT NULL
    )
    """,
)
"""The unit vector in the middle of the passages of each file that has several."""

MIDDLES: Final = "SELECT file_id, vector FROM middles WHERE file_id IN (SELECT value FROM json_each(?))"
WITHOUT: Final = """
    SELECT id FROM files f
    WHERE live > 1 AND NOT EXISTS (SELECT 1 FROM middles m WHERE m.file_id = f.id)
    AND (? IS NULL OR id IN (SELECT value FROM json_each(?)))
"""
_FORGET: Final = "DELETE FROM middles WHERE ? IS NULL OR file_id IN (SELECT value FROM json_each(?))"
# A file may have gone since its middle was computed.
_KEEP: Final = """
    INSERT INTO middles (file_id, vector) SELECT id, ? FROM files WHERE id = ?
    ON CONFLICT (file_id) DO UPDATE SET vector = excluded.vector
"""


def keep(connection: sqlite3.Connection, vectors: Mapping[int, NDArray[np.float32]]) -> None:
    """Keep the middles of these files."""
    connection.executemany(_KEEP, ((vector.astype("<f4").tobytes(), id_) for id_, vector in vectors.items()))


def forget(connection: sqlite3.Connection, file_ids: Sequence[int] | None) -> None:
    """Forget the middles of these files, or of all."""
    listed = None if file_ids is None else json.dumps(list(file_ids))
    connection.execute(_FORGET, (listed, listed))


def middle_of(row: tuple[Any, ...]) -> tuple[int, NDArray[np.float32]]:
    """The file and the vector of a row of ``MIDDLES``."""
    import numpy as np

    return int(row[0]), np.frombuffer(row[1], "<f4")
