"""The tables of the catalog, and the steps that lead to them from older versions."""

from __future__ import annotations

from typing import Final

from kb.errors import CatalogDamaged
from kb.sqlite import Schema
from kb.store.catalog_links import TABLES as LINK_TABLES
from kb.store.catalog_rows import checksum

# Stands in SQLite's header, so that a database of another program is told apart from an empty one ("kbct").
_APPLICATION_ID = 0x6B626374

# Numbers of ``stat`` have no affinity: inodes and far dates may pass 63 bits and are then kept as decimal text.
# A passage's text stands last, so that reading the other columns never walks over it; its integer key is what a
# full-text table can refer to, since SQLite may renumber rows that have none.
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
    # AUTOINCREMENT's own counter is where new ids are reserved; without a row it would start at the first file.
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('files', 0)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
)

_LANGUAGE = ("ALTER TABLE files ADD COLUMN language TEXT NOT NULL DEFAULT ''",)
# Documents that are not plain text say who wrote them, and where in their own terms a passage stands.
_PLACES = (
    "ALTER TABLE files ADD COLUMN author TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE passages ADD COLUMN place TEXT NOT NULL DEFAULT ''",
)

# The passages with a term in a range of keys, for keyword search; filled from the passages where it is first needed.
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

# What each row said when it was written, so that one that was changed since is told from one that was not.
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

# The unit vector in the middle of the passages of each file that has several.
_MIDDLES = (
    """
    CREATE TABLE middles (
        file_id INTEGER PRIMARY KEY REFERENCES files (id) ON DELETE CASCADE,
        vector BLOB NOT NULL
    )
    """,
)

# What a passage's words are taken from, where its text is not what is read: empty where it is.
_SEARCHED = ("ALTER TABLE passages ADD COLUMN searched TEXT NOT NULL DEFAULT ''",)

# What of a file was not read: empty where all of it was.
_UNREAD = ("ALTER TABLE files ADD COLUMN unread TEXT NOT NULL DEFAULT ''",)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _FIRST,
    _LANGUAGE,
    _PLACES,
    LINK_TABLES,
    _KEYWORDS,
    _CHECKSUMS,
    _MIDDLES,
    _SEARCHED,
    _UNREAD,
)
"""The statements that lead from each version to the next; the version of a catalog is how many it has behind it."""

SCHEMA: Final = Schema(
    name="catalog",
    application_id=_APPLICATION_ID,
    migrations=MIGRATIONS,
    tables=frozenset({b"meta", b"files", b"passages"}),
    # Texts of forgotten passages are overwritten, not only unlinked.
    pragmas=("secure_delete = ON", "foreign_keys = ON"),
    checksum=checksum,
    damaged=CatalogDamaged,
    remedy="Run kb index: it is set aside, every file is read again, and vectors are taken from the embedding cache",
)
