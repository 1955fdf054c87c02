"""The statements by which the catalog reads and writes its tables."""

from __future__ import annotations

from kb.store import catalog_rows as rows

# json_each: a list of any length is one parameter of a statement, whatever SQLite's limit of parameters.
FORGET_LEAVING = "DELETE FROM passages WHERE state = 'leaving' AND file_id IN (SELECT value FROM json_each(?))"
BRING_COMING = (
    "UPDATE passages SET state = 'live' WHERE state = 'coming' AND file_id IN (SELECT value FROM json_each(?))"
)
COMING_AGAIN = (
    "UPDATE passages SET state = 'coming' "
    "WHERE state = 'live' AND (? IS NULL OR file_id IN (SELECT value FROM json_each(?)))"
)
# A failed file has no vectors that could be lost; a pending one may have live passages, which are live no more.
PENDING_AGAIN = (
    "UPDATE files SET state = 'pending', live = 0 "
    "WHERE state != 'failed' AND (? IS NULL OR id IN (SELECT value FROM json_each(?)))"
)
STATES = (
    "SELECT file_id, id, state FROM passages WHERE file_id IN (SELECT value FROM json_each(?)) "
    "ORDER BY file_id, ordinal"
)
# Knuth's multiplicative hash: keys that follow one another come to lie far apart.
SAMPLE = (
    "SELECT id FROM passages WHERE key IN (SELECT key FROM passages ORDER BY (key * 2654435761) & 4294967295 LIMIT ?)"
)
REFRESH = "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, device = ?, read_ns = ? WHERE id = ?"
FILES = f"SELECT {rows.FILE_COLUMNS} FROM files f"  # noqa: S608  (only a constant is put in)
WRITE_FILE = """
    INSERT INTO files (id, folder, name, size, mtime_ns, ctime_ns, inode, device, content_hash, read_ns,
                       title, kind, tags, date, reason, replaced, live, language, author, unread, crc,
                       state)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT),
            CAST(? AS TEXT), ?, 'pending')
    ON CONFLICT (id) DO UPDATE SET
        folder = excluded.folder, name = excluded.name, size = excluded.size, mtime_ns = excluded.mtime_ns,
        ctime_ns = excluded.ctime_ns, inode = excluded.inode, device = excluded.device,
        content_hash = excluded.content_hash, read_ns = excluded.read_ns, title = excluded.title,
        kind = excluded.kind, tags = excluded.tags, date = excluded.date, reason = excluded.reason,
        replaced = excluded.replaced, live = excluded.live, language = excluded.language, author = excluded.author,
        unread = excluded.unread, crc = excluded.crc, state = excluded.state
"""
ADD_PASSAGE = """
    INSERT INTO passages (ordinal, state, digest, heading, first_line, last_line, page, place, text, searched, crc,
                          file_id, id)
    VALUES (?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)
"""
KEEP_PASSAGE = """
    UPDATE passages SET ordinal = ?, state = ?, digest = ?, heading = ?, first_line = ?, last_line = ?, page = ?,
                        place = CAST(? AS TEXT), text = CAST(? AS TEXT), searched = CAST(? AS TEXT), crc = ?
    WHERE file_id = ? AND id = ?
"""
# The passages stay as they are: they answer until the next run has read their file again.
READ_AGAIN = "UPDATE files SET state = 'pending' WHERE id IN (SELECT value FROM json_each(?))"
FINISH_FILES = """
    UPDATE files SET
        state = CASE WHEN reason = '' THEN 'done' ELSE 'failed' END,
        live = (SELECT count(*) FROM passages p WHERE p.file_id = files.id),
        indexed_at = ?
    WHERE id IN (SELECT value FROM json_each(?))
"""
LIVE = "SELECT id, file_id, digest FROM passages WHERE state = 'live' ORDER BY file_id, ordinal"
UNSETTLED = "SELECT id FROM passages WHERE state != 'live'"
# For looking through everything: each file, each passage of every state by file, passages of no file, file ids used up.
ALL_PASSAGES = f"SELECT p.file_id, p.state, {rows.PASSAGE_COLUMNS} FROM passages p ORDER BY p.file_id"  # noqa: S608
ORPHANS = "SELECT count(*) FROM passages WHERE file_id NOT IN (SELECT id FROM files)"
FORGET_ORPHANS = "DELETE FROM passages WHERE file_id NOT IN (SELECT id FROM files)"
IDS_USED = """
    SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'files'), -1),
           coalesce((SELECT max(id) FROM files), 0)
"""
LIVE_PASSAGES = f"""
    SELECT {rows.FILE_COLUMNS}, {rows.PASSAGE_COLUMNS}
    FROM passages p JOIN files f ON f.id = p.file_id
    WHERE p.state = 'live' AND
"""  # noqa: S608  (only constants are put in)
