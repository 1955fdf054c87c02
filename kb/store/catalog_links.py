"""Links and names in the catalog: the links of each document, and the names by which links refer to it or its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kb.records import Link, Name
from kb.store.catalog_rows import text_bytes, text_of

if TYPE_CHECKING:
    import sqlite3

    from kb.records import Document, LinkStyle
    from kb.records.documents import NameKind

TABLES = (
    """
    CREATE TABLE links (
        file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
        line INTEGER NOT NULL,
        style TEXT NOT NULL,
        embeds INTEGER NOT NULL,
        target TEXT NOT NULL,
        key TEXT NOT NULL
    )
    """,
    "CREATE INDEX links_of_file ON links (file_id)",
    "CREATE INDEX links_by_key ON links (key)",
    """
    CREATE TABLE names (
        file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
        line INTEGER NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        key TEXT NOT NULL
    )
    """,
    "CREATE INDEX names_of_file ON names (file_id)",
    # Headings are looked up in one file, other names in all files.
    "CREATE INDEX names_by_key ON names (key) WHERE kind != 'heading'",
)

# json_each passes a list of any length as one parameter, regardless of SQLite's limit.
LINKS = "SELECT file_id, target, line, style, embeds FROM links"
LINKS_FROM = f"{LINKS} WHERE file_id = ? ORDER BY rowid"
LINKS_TO = f"{LINKS} WHERE key IN (SELECT value FROM json_each(?)) ORDER BY file_id, rowid"  # noqa: S608  (a constant)
EMBEDDED_KEYS = "SELECT DISTINCT key FROM links WHERE embeds"
NAMES_OF = "SELECT file_id, kind, name, line FROM names WHERE file_id = ? ORDER BY rowid"
NAMED = (
    "SELECT file_id, kind, name, line FROM names "
    "WHERE kind != 'heading' AND key IN (SELECT value FROM json_each(?)) ORDER BY file_id, rowid"
)
_ADD_LINK = (
    "INSERT INTO links (file_id, line, style, embeds, target, key) "
    "VALUES (?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT))"
)
_ADD_NAME = "INSERT INTO names (file_id, line, kind, name, key) VALUES (?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT))"


def write_links(connection: sqlite3.Connection, file_id: int, document: Document | None) -> None:
    """Replace the links and names of a file by those of a document; None removes them."""
    connection.execute("DELETE FROM links WHERE file_id = ?", (file_id,))
    connection.execute("DELETE FROM names WHERE file_id = ?", (file_id,))
    if document is None:
        return
    names = [*(Name("alias", alias) for alias in document.aliases), *document.names]
    names += [Name("heading", heading.text, heading.first_line) for heading in document.headings if heading.text]
    connection.executemany(
        _ADD_LINK,
        [
            (file_id, link.line, link.style, link.embeds, text_bytes(link.target), text_bytes(link.key))
            for link in document.links
        ],
    )
    connection.executemany(
        _ADD_NAME,
        [(file_id, name.line, name.kind, text_bytes(name.name), text_bytes(name.key)) for name in names],
    )


def link_of(row: tuple[Any, ...]) -> tuple[int, Link]:
    """The file id and link of a row of ``LINKS``."""
    file_id, target, line, style, embeds = row
    kind: LinkStyle = style.decode()
    return file_id, Link(text_of(target), line, kind, bool(embeds))


def name_of(row: tuple[Any, ...]) -> tuple[int, Name]:
    """The file id and name of a row of names."""
    file_id, kind, name, line = row
    named: NameKind = kind.decode()
    return file_id, Name(named, text_of(name), line)
