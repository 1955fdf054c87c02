"""The catalog: files and passages in SQLite, from which the vector index can always be rebuilt."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kb.records import Failure, Queued, QueuedPassage
from kb.sqlite import Database
from kb.store import catalog_links as links
from kb.store import catalog_outbox as outbox
from kb.store import catalog_queue as queue
from kb.store import catalog_rows as rows
from kb.store import catalog_schema as schema
from kb.store.catalog_files import FileList

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from kb.records import (
        FileChange,
        FoundFile,
        Holding,
        KeywordMatches,
        KnownFile,
        Link,
        Name,
        Passage,
        StoredPassage,
        Subtree,
        Unembedded,
    )
    from kb.store.catalog_rows import PassageState
    from kb.store.indexed_passages import IndexedPassages, PassageTable

_T = TypeVar("_T")
_COMPLETED = "completed"
_PAGE = 500
# The mount points that index runs record (kb/indexing/sync.py), with their folders.
_MOUNTS = "mounts"
_FOLDERS = "SELECT DISTINCT folder FROM files"
# Ids are reserved in blocks of this size, so that 10,000 new files do not need 10,000 commits.
_ID_BLOCK = 1000

# json_each passes a list of any length as one parameter, regardless of SQLite's limit.
_DELETE_LEAVING = "DELETE FROM passages WHERE state = 'leaving' AND file_id IN (SELECT value FROM json_each(?))"
_MAKE_COMING_LIVE = (
    "UPDATE passages SET state = 'live' WHERE state = 'coming' AND file_id IN (SELECT value FROM json_each(?))"
)
_MAKE_LIVE_COMING = "UPDATE passages SET state = 'coming' WHERE state = 'live'"
# A failed file has no vectors; live passages of a pending one become coming.
_MARK_PENDING = "UPDATE files SET state = 'pending', live = 0 WHERE state != 'failed'"
_STATES = (
    "SELECT file_id, id, state, key IN (SELECT passage FROM unembedded) FROM passages "
    "WHERE file_id IN (SELECT value FROM json_each(?)) ORDER BY file_id, ordinal"
)
# Knuth's multiplicative hash spreads consecutive keys.
_SAMPLE = """
    SELECT id FROM passages WHERE key IN (
        SELECT key FROM passages WHERE key NOT IN (SELECT passage FROM unembedded)
        ORDER BY (key * 2654435761) & 4294967295 LIMIT ?
    )
"""
_REFRESH = "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, device = ?, read_ns = ? WHERE id = ?"
_WRITE_FILE = """
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
_ADD_PASSAGE = """
    INSERT INTO passages (ordinal, state, digest, heading, first_line, last_line, page, place, text, searched, crc,
                          file_id, id)
    VALUES (?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)
"""
_KEEP_PASSAGE = """
    UPDATE passages SET ordinal = ?, state = ?, digest = ?, heading = ?, first_line = ?, last_line = ?, page = ?,
                        place = CAST(? AS TEXT), text = CAST(? AS TEXT), searched = CAST(? AS TEXT), crc = ?
    WHERE file_id = ? AND id = ?
"""
# The passages are kept and used until the next run has read their file again.
_READ_AGAIN = "UPDATE files SET state = 'pending' WHERE id IN (SELECT value FROM json_each(?))"
_FINISH_FILES = """
    UPDATE files SET
        state = CASE WHEN reason = '' THEN 'done' ELSE 'failed' END,
        live = (SELECT count(*) FROM passages p WHERE p.file_id = files.id),
        indexed_at = ?
    WHERE id IN (SELECT value FROM json_each(?))
"""
_DIGESTS = (
    "SELECT file_id, digest FROM passages WHERE state = 'live' AND file_id IN (SELECT value FROM json_each(?)) "
    "ORDER BY file_id, ordinal"
)
_DIGESTS_OF = "SELECT id, digest FROM passages WHERE state = 'live' AND id IN (SELECT value FROM json_each(?))"
_LIVE_PASSAGES = f"""
    SELECT {rows.FILE_COLUMNS}, {rows.PASSAGE_COLUMNS}
    FROM passages p JOIN files f ON f.id = p.file_id
    WHERE p.state = 'live' AND
"""  # noqa: S608  (only constants are put in)
_DELETE_ORPHANS = "DELETE FROM passages WHERE file_id NOT IN (SELECT id FROM files)"
_CENTROIDS = "SELECT file_id, vector FROM middles WHERE file_id IN (SELECT value FROM json_each(?))"
_WITHOUT_CENTROID = """
    SELECT id FROM files f
    WHERE live > 1 AND NOT EXISTS (SELECT 1 FROM middles m WHERE m.file_id = f.id)
    AND NOT EXISTS (SELECT 1 FROM unembedded u WHERE u.file_id = f.id)
"""
_DELETE_CENTROIDS = "DELETE FROM middles WHERE TRUE"
# A file may have been deleted since its centroid was computed.
_STORE_CENTROID = """
    INSERT INTO middles (file_id, vector) SELECT id, ? FROM files WHERE id = ?
    ON CONFLICT (file_id) DO UPDATE SET vector = excluded.vector
"""
_ANOTHER = "SELECT 1 FROM files WHERE folder = ? AND id NOT IN (SELECT value FROM json_each(?)) LIMIT 1"
_LIVE = "SELECT coalesce(sum(live), 0) FROM files"
_DONE_FILES = "SELECT count(*) FROM files WHERE state = 'done'"


class _UntilChanged(Generic[_T]):
    """What was read from a database last; it is read again after each change.

    Args:
        database: The database.
        read: Reads it.
    """

    def __init__(self, database: Database, read: Callable[[Database], _T]) -> None:
        self._database = database
        self._read = read
        self._last: tuple[tuple[int, int], _T] | None = None

    def get(self) -> _T:
        """What is there now. The caller must not change it."""
        with self._database.reading() as connection:
            version = _version(connection)
            if self._last is not None and self._last[0] == version:
                return self._last[1]
            found = self._read(self._database)
            # What a transaction has written may still be rolled back.
            self._last = None if connection.in_transaction else (version, found)
            return found


class SqliteCatalog:
    """The record of indexed files, in one SQLite file that several threads may use.

    Implements ``kb.ports.Catalog``, which describes the methods that have no description here.

    Every method is one transaction, durable when it returns. Texts of deleted passages are overwritten on disk.

    Args:
        path: The file; created if it does not exist. ``":memory:"`` for an in-memory catalog.
        copy: Work on a copy in memory, for a read-only store.

    Raises:
        StoreError: It cannot be opened; ``CatalogDamaged`` if it is damaged.
    """

    def __init__(self, path: str, *, copy: bool = False) -> None:
        self._database = Database(path, schema.SCHEMA, access="copy" if copy else "write")
        self._lock = RLock()
        self._ids: Iterator[int] = iter(())
        self._files = FileList(self._database)
        self._queued = _UntilChanged(self._database, _read_queue_size)
        self._passages = _UntilChanged(self._database, lambda database: _read_number(database, _LIVE))
        self._embedded_keys = _UntilChanged(self._database, _read_embedded_keys)
        self._done = _UntilChanged(self._database, lambda database: _read_number(database, _DONE_FILES))
        self._indexed: PassageTable | None = None

    def close(self) -> None:
        """Close the file. Closing again is allowed."""
        self._database.close()

    @property
    def damage(self) -> str:
        """How the file is damaged; empty if no damage was found."""
        return self._database.damage

    def compact(self) -> None:
        """Free the space of deleted rows, and truncate the write-ahead log."""
        self._database.compact()

    def meta(self, key: str) -> str | None:
        found = self._database.rows("SELECT value FROM meta WHERE key = ?", (key,), lambda row: rows.text_of(row[0]))
        return found[0] if found else None

    def set_meta(self, key: str, value: str) -> None:
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO meta (key, value) VALUES (?, CAST(? AS TEXT)) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, rows.text_bytes(value)),
            )

    def mounts(self) -> list[tuple[str, str]]:
        return next(iter(self._database.rows(rows.MOUNTS, (), rows.mounts)), [])

    def completed(self, when: datetime) -> None:
        """Record the end of a complete run, with a time zone."""
        if when.tzinfo is None:
            raise ValueError("the time of a complete run needs a time zone")
        self.set_meta(_COMPLETED, when.astimezone(UTC).isoformat())

    def as_of(self) -> datetime | None:
        """The end of the last complete run, in UTC."""
        value = self.meta(_COMPLETED)
        if value is None:
            return None
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise self._database.damaged(str(error)) from error

    def new_id(self) -> int:
        """A file id that was never used; ids that this process does not use are skipped."""
        with self._lock:
            number = next(self._ids, None)
            if number is None:
                self._ids = iter(self._reserve_ids())
                number = next(self._ids)
            return number

    def files(self) -> list[KnownFile]:
        """All files, including failed and pending ones, sorted by folder and path; only changed ones are read again."""
        return self._files.get()

    def files_at(self, places: Collection[Subtree]) -> list[KnownFile]:
        found: dict[int, KnownFile] = {}
        for folder, path in places:
            whole, name = os.fsencode(folder), os.fsencode(path)
            statement = rows.FILES_AT if path else rows.FILES_OF_FOLDER
            # Of all bytes, "0" is the one after "/".
            parameters = (whole, name, whole, name + b"/", name + b"0") if path else (whole,)
            found.update((file.id, file) for file in self._database.rows(statement, parameters, rows.known_file))
        return list(found.values())

    def files_of_size(self, sizes: Collection[int]) -> list[KnownFile]:
        return self._database.rows(rows.FILES_OF_SIZE, (json.dumps(list(sizes)),), rows.known_file)

    def unsettled(self) -> list[KnownFile]:
        return self._database.rows(rows.UNSETTLED_FILES, (), rows.known_file)

    def has_others(self, folder: str, file_ids: Collection[int]) -> bool:
        parameters = (os.fsencode(folder), json.dumps(list(file_ids)))
        return bool(self._database.rows(_ANOTHER, parameters, lambda row: row[0]))

    def problems(self) -> list[Failure]:
        """All files that could not be indexed, with reasons, sorted by folder and path."""
        failed = (file for file in self.unsettled() if file.state == "failed")
        return [Failure(file.folder, file.path, file.reason) for file in sorted(failed, key=lambda file: file.key)]

    def begin(self, changes: Sequence[FileChange]) -> None:
        """Record planned changes of files in one transaction, before the vectors change.

        A known file gets the path of its change. Files in one call may swap paths.

        Raises:
            ValueError: A path belongs to another file, which has to be removed first, or an id is repeated.
        """
        rows.require_unique(changes)
        file_ids = [change.file_id for change in changes]
        with self._database.writing() as connection, _keywords(connection, file_ids):
            _free_places(connection, changes)
            known = self._states(file_ids)
            _delete_centroids(connection, file_ids)
            for change in changes:
                _write_change(connection, change, known[change.file_id])
            queue.remove_leaving(connection, file_ids)

    def finish(
        self,
        file_ids: Sequence[int],
        centroids: Mapping[int, NDArray[np.float32]] | None = None,
        unembedded: Sequence[Passage] = (),
        run: int = 1,
    ) -> None:
        listed = json.dumps(list(file_ids))
        with self._database.writing() as connection:
            connection.execute(_DELETE_LEAVING, (listed,))
            connection.execute(_MAKE_COMING_LIVE, (listed,))
            connection.execute(_FINISH_FILES, (time.time_ns(), listed))
            queue.remove_files(connection, file_ids)
            queue.add(connection, unembedded, run)
            _store_centroids(connection, centroids or {})

    def next_run(self) -> int:
        return _read_number(self._database, queue.NEXT_RUN)

    def queued(self, count: int, since_run: int = 0) -> list[QueuedPassage]:
        found = self._read_passages(queue.NEXT, (since_run, count), extra=2)
        return [QueuedPassage(passage, rows.text_of(text), tokens) for passage, (tokens, text) in found]

    def embedded(self, ids: Sequence[str], centroids: Mapping[int, NDArray[np.float32]] | None = None) -> None:
        with self._database.writing() as connection:
            queue.remove(connection, ids)
            _store_centroids(connection, centroids or {})

    def digests_of(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The digests of those passages that are live, by id."""
        return dict(
            self._database.rows(
                _DIGESTS_OF, (json.dumps(list(ids)),), lambda row: (rows.text_of(row[0]), bytes(row[1]))
            )
        )

    def defer(self, ids: Sequence[str]) -> None:
        """Record that the vector index does not have some passages as they are here, until ``sent``."""
        with self._database.writing() as connection:
            outbox.add(connection, ids)

    def deferred(self, count: int) -> list[str]:
        """The ids of passages that were deferred and not sent since; ``count`` of them at most."""
        return self._database.rows(outbox.NEXT, (count,), lambda row: rows.text_of(row[0]))

    def count_deferred(self) -> int:
        """How many passages were deferred and not sent since."""
        return _read_number(self._database, outbox.COUNT)

    def sent(self, ids: Sequence[str] | None = None) -> None:
        """Record that the vector index has passages, or all, as they are here."""
        with self._database.writing() as connection:
            outbox.remove(connection, ids)

    def version(self) -> tuple[int, int]:
        """A value that is another one after each change, by this process or another."""
        with self._database.reading() as connection:
            return _version(connection)

    def unembedded(self, file_ids: Sequence[int]) -> dict[int, Unembedded]:
        return dict(self._database.rows(queue.BY_FILE, (json.dumps(list(file_ids)),), queue.unembedded_of))

    def queue_size(self) -> Queued:
        """What waits to be embedded in all; counted again after each change."""
        return self._queued.get()

    def digests(self, file_ids: Sequence[int]) -> dict[int, list[bytes]]:
        found: dict[int, list[bytes]] = {}
        for file_id, digest in self._database.rows(
            _DIGESTS, (json.dumps(list(file_ids)),), lambda row: (int(row[0]), bytes(row[1]))
        ):
            found.setdefault(file_id, []).append(digest)
        return found

    def centroids(self, file_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        return dict(self._database.rows(_CENTROIDS, (json.dumps(list(file_ids)),), _centroid_of))

    def store_centroids(self, centroids: Mapping[int, NDArray[np.float32]]) -> None:
        with self._database.writing() as connection:
            _store_centroids(connection, centroids)

    def files_without_centroid(self, file_ids: Sequence[int] | None = None) -> list[int]:
        return self._database.rows(*rows.only(_WITHOUT_CENTROID, "id", file_ids), lambda row: int(row[0]))

    def mark_pending(self, file_ids: Sequence[int] | None = None) -> None:
        with self._database.writing() as connection:
            connection.execute(*rows.only(_MAKE_LIVE_COMING, "file_id", file_ids))
            connection.execute(*rows.only(_MARK_PENDING, "id", file_ids))
            queue.remove_files(connection, file_ids)
            _delete_centroids(connection, file_ids)

    def read_again(self, file_ids: Sequence[int]) -> None:
        """Schedule files with changed rows to be read again by the next run.

        Their passages stay part of answers until then. The keyword index is rebuilt, since its words may differ.
        """
        from kb.store import keywords

        with self._database.writing() as connection:
            connection.execute(_READ_AGAIN, (json.dumps(list(file_ids)),))
            keywords.invalidate(connection)

    def audit(self) -> int:
        """Check every row, and schedule the files of changed rows to be read again.

        Returns:
            The number of these files.

        Raises:
            CatalogDamaged: It cannot be repaired row by row.
        """
        from kb.store import keywords
        from kb.store.audit import audit

        with self._database.writing() as connection:
            try:
                found = audit(connection)
            # A row that kb did not write may have values of any type.
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                raise self._database.damaged(str(error)) from error
            connection.execute(_READ_AGAIN, (json.dumps(found.files),))
            connection.execute(_DELETE_ORPHANS)
            # Centroids have no checksum; the next run recomputes them from the cache.
            _delete_centroids(connection, None)
            if found.keywords:
                keywords.invalidate(connection)
        return len(found.files)

    def refresh(self, files: Iterable[tuple[int, FoundFile, int]]) -> None:
        values = [(*rows.stat_values(file.stat), read_ns, file_id) for file_id, file, read_ns in files]
        with self._database.writing() as connection:
            connection.executemany(_REFRESH, values)

    def folders(self) -> list[str]:
        """The folders of all files, sorted."""
        return sorted(self._database.rows(_FOLDERS, (), lambda row: os.fsdecode(row[0])))

    def move_folders(self, moved: Mapping[str, str]) -> None:
        """Record that folders are elsewhere now, each as old and new path. Two may take each other's place.

        Raises:
            ValueError: Two folders would become one that has a file twice.
        """
        with self._database.writing() as connection:
            for mounts in connection.execute("SELECT value FROM meta WHERE key = ?", (_MOUNTS,)).fetchall():
                known = json.loads(rows.text_of(mounts[0]))
                here = json.dumps(sorted([moved.get(folder, folder), path] for folder, path in known))
                connection.execute("UPDATE meta SET value = ? WHERE key = ?", (here, _MOUNTS))
            found = {os.fsencode(old): os.fsencode(new) for old, new in moved.items() if old != new}
            changed = [row for row in connection.execute(rows.FILES).fetchall() if row[1] in found]
            # Paths contain no NUL byte, so this conflicts with none.
            connection.executemany(
                "UPDATE files SET folder = CAST(x'00' || folder AS BLOB) WHERE id = ?", ((row[0],) for row in changed)
            )
            try:
                connection.executemany(
                    "UPDATE files SET folder = ?, crc = ? WHERE id = ?",
                    (rows.moved_values(row, found[row[1]]) for row in changed),
                )
            except sqlite3.IntegrityError as error:
                raise ValueError("two folders become one, and a file of each has the same path") from error

    def remove(self, file_ids: Sequence[int]) -> None:
        with self._database.writing() as connection, _keywords(connection, file_ids):
            connection.execute(
                "DELETE FROM files WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(file_ids)),)
            )

    def passage_ids(self, file_ids: Sequence[int]) -> dict[int, dict[str, bool]]:
        found: dict[int, dict[str, bool]] = {file_id: {} for file_id in file_ids}
        for file_id, id_, state, queued in self._read_states(file_ids):
            found[file_id][id_] = state == "live" and not queued
        return found

    def passages(self, ids: Sequence[str]) -> dict[str, StoredPassage]:
        found = self._live_passages("p.id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))
        return {passage.id: passage for passage in found}

    def passages_of(self, file_id: int) -> list[StoredPassage]:
        return self._live_passages("p.file_id = ? ORDER BY p.ordinal", (file_id,))

    def all_passages(self) -> Iterator[StoredPassage]:
        """All live passages by file id and order, read in pages; other calls are allowed in between."""
        last = (0, -1)
        while page := self._live_passages(
            "(p.file_id, p.ordinal) > (?, ?) ORDER BY p.file_id, p.ordinal LIMIT ?", (*last, _PAGE)
        ):
            yield from page
            last = (page[-1].file.id, page[-1].ordinal)

    def with_vectors(self) -> list[tuple[str, int, bytes]]:
        return self._database.rows(rows.EMBEDDED, (), lambda row: (rows.text_of(row[0]), int(row[1]), bytes(row[2])))

    def pending_ids(self) -> list[str]:
        """The ids of passages whose vectors may be missing from the vector index."""
        return self._database.rows(rows.UNSETTLED, (), lambda row: rows.text_of(row[0]))

    def links_from(self, file_id: int | None = None) -> list[tuple[int, Link]]:
        if file_id is None:
            return self._database.rows(links.LINKS, (), links.link_of)
        return self._database.rows(links.LINKS_FROM, (file_id,), links.link_of)

    def links_to(self, keys: Sequence[str]) -> list[tuple[int, Link]]:
        return self._database.rows(links.LINKS_TO, (json.dumps(list(keys)),), links.link_of)

    def embedded_keys(self) -> frozenset[str]:
        """The keys of all links that embed a file; read again after each change."""
        return self._embedded_keys.get()

    def names_of(self, file_id: int) -> list[Name]:
        return [name for _, name in self._database.rows(links.NAMES_OF, (file_id,), links.name_of)]

    def named(self, keys: Sequence[str]) -> list[tuple[int, Name]]:
        return self._database.rows(links.NAMED, (json.dumps(list(keys)),), links.name_of)

    def sample(self, count: int) -> list[str]:
        return self._database.rows(_SAMPLE, (count,), lambda row: str(row[0].decode()))

    def count(self) -> int:
        totals = self._files.totals()
        return self._passages.get() if totals is None else totals.passages

    def count_files(self) -> int:
        totals = self._files.totals()
        return self._done.get() if totals is None else totals.done

    def count_embedded(self) -> int:
        return self.count() - self.queue_size().passages

    def keyword_matches(
        self,
        question: str,
        count: int,
        files: Sequence[int] | None = None,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
        also: Sequence[str] = (),
        file_weight: float = 0.0,
    ) -> KeywordMatches:
        from kb.store import keywords

        return self._by_keywords(
            lambda connection: keywords.matches(
                connection,
                self._indexed_passages(connection),
                question,
                count,
                files=files,
                only=only,
                without=without,
                also=also,
                file_weight=file_weight,
            )
        )

    def holding(
        self,
        question: str,
        share: float,
        files: Sequence[int] | None = None,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> Holding:
        from kb.store import keywords

        return self._by_keywords(
            lambda connection: keywords.holding(
                connection,
                self._indexed_passages(connection),
                question,
                share,
                files=files,
                only=only,
                without=without,
            )
        )

    def containing(self, phrase: str) -> set[str]:
        from kb.store import keywords

        return self._by_keywords(lambda connection: keywords.containing(connection, phrase))

    def _by_keywords(self, ask: Callable[[sqlite3.Connection], _T]) -> _T:
        """The answer of the keyword index, which is rebuilt if it is damaged, or was made by another version of kb.

        It follows from the passages, so that damage to it costs no more than that.
        """
        from kb.store import keywords

        with self._database.reading() as connection:
            if keywords.is_current(connection):
                try:
                    return ask(connection)
                # A damaged page that SQLite accepts may contain values of any type.
                except (ValueError, TypeError, LookupError):
                    pass
            with self._database.writing():
                keywords.rebuild(connection)
            return ask(connection)

    def _indexed_passages(self, connection: sqlite3.Connection) -> IndexedPassages:
        """The passages of the keyword index as they are now."""
        if self._indexed is None:
            from kb.store.indexed_passages import PassageTable

            self._indexed = PassageTable()
        return self._indexed.get(connection)

    def _states(self, file_ids: Sequence[int]) -> dict[int, dict[str, PassageState]]:
        states: dict[int, dict[str, PassageState]] = {file_id: {} for file_id in file_ids}
        for file_id, id_, state, _ in self._read_states(file_ids):
            states[file_id][id_] = state
        return states

    def _read_states(self, file_ids: Sequence[int]) -> list[tuple[int, str, PassageState, bool]]:
        """The passages of some files as (file id, id, state, whether it waits to be embedded)."""
        return self._database.rows(
            _STATES,
            (json.dumps(list(file_ids)),),
            lambda row: (row[0], row[1].decode(), rows.passage_state(row[2]), bool(row[3])),
        )

    def _reserve_ids(self) -> range:
        with self._database.writing() as connection:
            connection.execute("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'files'", (_ID_BLOCK,))
            last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'files'").fetchone()
        if last is None:
            raise self._database.damaged("the counter of file ids is missing")
        return range(last[0] - _ID_BLOCK + 1, last[0] + 1)

    def _live_passages(self, condition: str, parameters: tuple[Any, ...]) -> list[StoredPassage]:
        return [passage for passage, _ in self._read_passages(_LIVE_PASSAGES + condition, parameters)]

    def _read_passages(
        self, statement: str, parameters: tuple[Any, ...], extra: int = 0
    ) -> list[tuple[StoredPassage, tuple[Any, ...]]]:
        """The passages of a query for columns of file and passage, each with the ``extra`` columns after those."""

        def passage(row: tuple[Any, ...]) -> tuple[StoredPassage, tuple[Any, ...]]:
            row, more = (row[:-extra], row[-extra:]) if extra else (row, ())
            file, sound_file = rows.examined_file(row[: rows.FILE_WIDTH])
            of_passage = row[rows.FILE_WIDTH :]
            sound = sound_file and rows.passage_is_sound(of_passage, row[0])
            return rows.stored_passage(of_passage, file, sound=sound), more

        return self._database.rows(statement, parameters, passage)


def _read_queue_size(database: Database) -> Queued:
    return database.rows(queue.SIZE, (), lambda row: Queued(*map(int, row)))[0]


def _read_embedded_keys(database: Database) -> frozenset[str]:
    return frozenset(database.rows(links.EMBEDDED_KEYS, (), lambda row: rows.text_of(row[0])))


def _read_number(database: Database, statement: str) -> int:
    return database.rows(statement, (), lambda row: int(row[0]))[0]


def _keywords(connection: sqlite3.Connection, file_ids: Sequence[int]) -> AbstractContextManager[None]:
    """Update the keyword index in the same transaction as a change of files."""
    from kb.store import keywords

    return keywords.updating(connection, file_ids)


def _version(connection: sqlite3.Connection) -> tuple[int, int]:
    """The rows changed by this connection, and a number that changes where another one wrote."""
    return connection.total_changes, connection.execute("PRAGMA data_version").fetchone()[0]


def _free_places(connection: sqlite3.Connection, changes: Sequence[FileChange]) -> None:
    """Clear the paths of moved files, so that they can take each other's."""
    wanted = {change.file_id: rows.place(change.file) for change in changes}
    known = connection.execute(
        "SELECT id, folder, name FROM files WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(wanted)),),
    ).fetchall()
    moved = [(id_,) for id_, folder, name in known if (folder, name) != wanted[id_]]
    # Paths contain no NUL byte, so this conflicts with none.
    connection.executemany("UPDATE files SET name = CAST(x'00' || id AS BLOB) WHERE id = ?", moved)


def _write_change(connection: sqlite3.Connection, change: FileChange, known: Mapping[str, PassageState]) -> None:
    """Write the row of a file, its links and its passages; old passages become leaving."""
    states = rows.next_states(known, frozenset(passage.id for passage in change.passages))
    live = sum(state == "live" for state in states.values())
    try:
        connection.execute(_WRITE_FILE, rows.file_values(change, live))
        links.write_links(connection, change.file_id, change.document)
        for ordinal, passage in enumerate(change.passages):
            statement = _KEEP_PASSAGE if passage.id in known else _ADD_PASSAGE
            connection.execute(statement, rows.passage_values(passage, change.file_id, ordinal, states[passage.id]))
    except sqlite3.IntegrityError as error:
        raise ValueError(
            f"{change.file.path!r} or one of its passages belongs to another file of the catalog; remove that first"
        ) from error
    leaving = [(id_,) for id_, state in states.items() if state == "leaving"]
    connection.executemany("UPDATE passages SET state = 'leaving' WHERE id = ?", leaving)


def _store_centroids(connection: sqlite3.Connection, vectors: Mapping[int, NDArray[np.float32]]) -> None:
    connection.executemany(_STORE_CENTROID, ((vector.astype("<f4").tobytes(), id_) for id_, vector in vectors.items()))


def _delete_centroids(connection: sqlite3.Connection, file_ids: Sequence[int] | None) -> None:
    """Delete the centroids of these files, or of all."""
    connection.execute(*rows.only(_DELETE_CENTROIDS, "file_id", file_ids))


def _centroid_of(row: tuple[Any, ...]) -> tuple[int, NDArray[np.float32]]:
    """The file id and vector of a row of ``_CENTROIDS``."""
    import numpy as np

    return int(row[0]), np.frombuffer(row[1], "<f4")
