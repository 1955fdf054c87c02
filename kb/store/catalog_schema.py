"""The tables of the catalog, and the migrations from older versions."""

from __future__ import annotations

from typing import Final

from kb.errors import CatalogDamaged
from kb.sqlite import Schema
from kb.store.catalog_links import TABLES as LINK_TABLES
from kb.store.catalog_outbox import TABLES as OUTBOX_TABLES
from kb.store.catalog_queue import TABLES as QUEUE_TABLES
from kb.store.catalog_rows import checksum

# The application id in SQLite's header ("kbct"), which distinguishes a catalog from databases of other programs.
_APPLICATION_ID = 0x6B626374

# Numbers of ``stat`` have no affinity: inodes and dates over 63 bits are stored as decimal text. The text of a passage
# is the last column, so that SQLite need not skip it to read the others. The integer key is what postings refer to; a
# row without one may get another rowid.
_FIRST = (
    """
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE files (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        folder BLOB NOT NULL,
        name BLOB NOT NULL,
        size BLOB NOT NULL,
        mtime_ns BLOB NOT NULL,
        ctime_ns BLOB NOT NULL,
        inode BLOB NOT NULL,
        device BLOB NOT NULL,
        content_hash BLOB NOT NULL,
        read_ns INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
        title TEXT NOT NULL,
        kind TEXT NOT NULL,
        tags TEXT NOT NULL,
        date TEXT,
        reason TEXT NOT NULL,
        replaced INTEGER NOT NULL,
        live INTEGER NOT NULL,
        indexed_at INTEGER,
        UNIQUE (folder, name)
    )
    """,
    """
    CREATE TABLE passages (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
        ordinal INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('live', 'coming', 'leaving')),
        digest BLOB NOT NULL,
        heading TEXT NOT NULL,
        first_line INTEGER NOT NULL,
        last_line INTEGER NOT NULL,
        page INTEGER,
        text TEXT NOT NULL
    )
    """,
    "CREATE INDEX passages_of_file ON passages (file_id, ordinal)",
    # New ids are reserved in AUTOINCREMENT's own counter, which has no row before the first insert.
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('files', 0)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
)

_LANGUAGE = ("ALTER TABLE files ADD COLUMN language TEXT NOT NULL DEFAULT ''",)
# The author of a document, and the place of a passage in the document's own terms, such as a page.
_PLACES = (
    "ALTER TABLE files ADD COLUMN author TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE passages ADD COLUMN place TEXT NOT NULL DEFAULT ''",
)

# The passages with a term in a range of keys, for keyword search; filled from the passages on first use.
_KEYWORDS = (
    """
    CREATE TABLE postings (
        term TEXT NOT NULL,
        part INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (term, part)
    ) WITHOUT ROWID
    """,
)

# A checksum of each row, which reveals later changes.
_CHECKSUMS = (
    "ALTER TABLE files ADD COLUMN crc INTEGER",
    "ALTER TABLE passages ADD COLUMN crc INTEGER",
    """
    UPDATE files SET crc = kb_checksum(
        id, folder, name, content_hash, CAST(title AS BLOB), kind, tags, date, CAST(reason AS BLOB), replaced,
        language, CAST(author AS BLOB)
    )
    """,
    """
    UPDATE passages SET crc = kb_checksum(
        id, file_id, ordinal, digest, heading, first_line, last_line, page, CAST(place AS BLOB), CAST(text AS BLOB)
    )
    """,
)

# The centroid ("middle") of each file with several passages, as a unit vector.
_CENTROIDS = (
    """
    CREATE TABLE middles (
        file_id INTEGER PRIMARY KEY REFERENCES files (id) ON DELETE CASCADE,
        vector BLOB NOT NULL
    )
    """,
)

# The text that a passage's words are taken from; empty if it is the text that is shown.
_SEARCHED = ("ALTER TABLE passages ADD COLUMN searched TEXT NOT NULL DEFAULT ''",)

# The parts of a file that were not read; empty if there are none.
_UNREAD = ("ALTER TABLE files ADD COLUMN unread TEXT NOT NULL DEFAULT ''",)

# What is asked after each change, however many files there are.
_BY_STATE_AND_SIZE = (
    "CREATE INDEX files_by_state ON files (state, live)",
    "CREATE INDEX files_by_size ON files (size)",
)

# Before, the passages of a file counted alike in its centroid. The next run fills them in again.
_LEADING = ("DELETE FROM middles", "DELETE FROM meta WHERE key = 'middles'")

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _FIRST,
    _LANGUAGE,
    _PLACES,
    LINK_TABLES,
    _KEYWORDS,
    _CHECKSUMS,
    _CENTROIDS,
    _SEARCHED,
    _UNREAD,
    QUEUE_TABLES,
    OUTBOX_TABLES,
    _BY_STATE_AND_SIZE,
    _LEADING,
)
"""The migrations from each version to the next; the version of a catalog is the number of those applied."""

SCHEMA: Final = Schema(
    name="catalog",
    application_id=_APPLICATION_ID,
    migrations=MIGRATIONS,
    tables=frozenset({b"meta", b"files", b"passages"}),
    # Texts of deleted passages are overwritten, not only unlinked.
    pragmas=("secure_delete = ON", "foreign_keys = ON"),
    checksum=checksum,
    damaged=CatalogDamaged,
    remedy="Run kb index: it sets the catalog aside and reads every file again; vectors come from the embedding cache",
)
