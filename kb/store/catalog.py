"""The catalog: what kb knows of the files and their passages, in SQLite, so that an index can always be made again."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from operator import attrgetter
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from kb.errors import CatalogDamaged
from kb.records import Failure
from kb.store import catalog_changes
from kb.store import catalog_links as links
from kb.store import catalog_middles as middle
from kb.store import catalog_rows as rows
from kb.store import catalog_schema as schema
from kb.store import catalog_statements as sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from kb.records import FileChange, FoundFile, Holding, KeywordMatches, KnownFile, Link, Name, StoredPassage
    from kb.store.catalog_rows import PassageState

_T = TypeVar("_T")

_COMPLETED = "completed"
_PAGE = 500
# Ids are reserved on the disk this many at a time: a run over 10,000 new files must not wait for 10,000 commits.
_ID_BLOCK = 1000


class SqliteCatalog:
    """The record of what is indexed, in one SQLite file that several threads may use.

    Every method is atomic: other threads and processes see all of it or nothing, and what it wrote is on the disk when
    it returns. Texts of forgotten passages are overwritten, not only unlinked.

    Args:
        path: The file, made where it does not exist; ``":memory:"`` keeps all in memory.
        copy: Work on a copy in memory and leave the file as it is, for a store that cannot be written.

    Attributes:
        damage: How the file turned out to be damaged; empty where it did not.

    Raises:
        StoreError: It cannot be opened; ``CatalogDamaged`` where it is not a sound database.
    """

    def __init__(self, path: str, *, copy: bool = False) -> None:
        self._path = path
        self._lock = RLock()
        self._connection = schema.connect(path, copy=copy)
        self.damage = ""
        self._ids: Iterator[int] = iter(())

    def close(self) -> None:
        """Let go of the file. Closing again is allowed."""
        with self._lock:
            self._connection.close()

    def compact(self) -> None:
        """Give back the space of what was forgotten, and leave no trace of it in the write-ahead log."""
        with self._lock, self._errors():
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def meta(self, key: str) -> str | None:
        """A remembered value."""
        found = self._read("SELECT value FROM meta WHERE key = ?", (key,), lambda row: rows.text_of(row[0]))
        return found[0] if found else None

    def set_meta(self, key: str, value: str) -> None:
        """Remember a value durably."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO meta (key, value) VALUES (?, CAST(? AS TEXT)) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, rows.text_bytes(value)),
            )

    def completed(self, when: datetime) -> None:
        """A run that covered everything ended at this time, which must know its time zone."""
        if when.tzinfo is None:
            raise ValueError("the time of a complete run needs a time zone")
        self.set_meta(_COMPLETED, when.astimezone(UTC).isoformat())

    def as_of(self) -> datetime | None:
        """When the last complete run ended, in UTC."""
        value = self.meta(_COMPLETED)
        if value is None:
            return None
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise schema.damaged(self._path, str(error)) from error

    def new_id(self) -> int:
        """A file id that was never used before; those not used by the end of the process are skipped."""
        with self._lock:
            number = next(self._ids, None)
            if number is None:
                self._ids = iter(self._reserve_ids())
                number = next(self._ids)
            return number

    def files(self) -> list[KnownFile]:
        """All known files in order of (folder, path), failed and pending ones included."""
        found = self._read(sql.FILES, (), rows.known_file)
        found.sort(key=attrgetter("folder", "path"))
        return found

    def problems(self) -> list[Failure]:
        """Every file that could not be indexed, with its reason, in order of (folder, path)."""
        return [Failure(file.folder, file.path, file.reason) for file in self.files() if file.state == "failed"]

    def begin(self, changes: Sequence[FileChange]) -> None:
        """Write down, in one transaction, what is about to happen to files before the vectors change.

        A file that is known by its id takes over the path of its change. Files of one call may swap their paths.

        Raises:
            ValueError: A path belongs to another file, which has to be removed first; or an id stands twice.
        """
        rows.refuse_doubles(changes)
        file_ids = [change.file_id for change in changes]
        with self._writing() as connection, _keywords(connection, file_ids):
            catalog_changes.free_places(connection, changes)
            known = self._states(file_ids)
            middle.forget(connection, file_ids)
            for change in changes:
                catalog_changes.write_change(connection, change, known[change.file_id])

    def finish(self, file_ids: Sequence[int], middles: Mapping[int, NDArray[np.float32]] | None = None) -> None:
        """The vectors of these files are in place: leaving passages are forgotten, coming ones become live.

        ``middles`` are the unit vectors in the middle of those files' passages.
        """
        listed = json.dumps(list(file_ids))
        with self._writing() as connection:
            connection.execute(sql.FORGET_LEAVING, (listed,))
            connection.execute(sql.BRING_COMING, (listed,))
            connection.execute(sql.FINISH_FILES, (time.time_ns(), listed))
            middle.keep(connection, middles or {})

    def middles(self, file_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """The unit vector in the middle of each of these files' passages, where it is known."""
        return dict(self._read(middle.MIDDLES, (json.dumps(list(file_ids)),), middle.middle_of))

    def keep_middles(self, middles: Mapping[int, NDArray[np.float32]]) -> None:
        """Keep the unit vectors in the middle of files' passages; a file that changes afterwards loses its own."""
        with self._writing() as connection:
            middle.keep(connection, middles)

    def without_middle(self, file_ids: Sequence[int] | None = None) -> list[int]:
        """Those of some files, or of all, that have several live passages and no known middle."""
        listed = None if file_ids is None else json.dumps(list(file_ids))
        return self._read(middle.WITHOUT, (listed, listed), lambda row: int(row[0]))

    def unsettle(self, file_ids: Sequence[int] | None = None) -> None:
        """The vectors of these files (None: of all) cannot be relied on: passages are coming again, files pending.

        A file that failed has no vectors, and stays failed.
        """
        listed = None if file_ids is None else json.dumps(list(file_ids))
        with self._writing() as connection:
            connection.execute(sql.COMING_AGAIN, (listed, listed))
            connection.execute(sql.PENDING_AGAIN, (listed, listed))
            middle.forget(connection, file_ids)

    def read_again(self, file_ids: Sequence[int]) -> None:
        """Have files read again by the next run: what their rows say may not be what was written into them.

        Their passages stay part of answers until then. The keyword index, which may be of other words, is made anew.
        """
        from kb.store import keywords

        with self._writing() as connection:
            connection.execute(sql.READ_AGAIN, (json.dumps(list(file_ids)),))
            keywords.forget(connection)

    def look_over(self) -> int:
        """Look at every row, and prepare what is not as it was written to be mended; how many files it concerns.

        Raises:
            CatalogDamaged: It cannot be mended row by row.
        """
        from kb.store import keywords
        from kb.store.audit import audit

        with self._writing() as connection:
            try:
                found = audit(connection)
            # What kb never wrote has values of any type.
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                raise schema.damaged(self._path, str(error)) from error
            connection.execute(sql.READ_AGAIN, (json.dumps(found.files),))
            connection.execute(sql.FORGET_ORPHANS)
            # They have no checksum; the next run computes them again from the cache.
            middle.forget(connection, None)
            if found.keywords:
                keywords.forget(connection)
        return len(found.files)

    def refresh(self, files: Iterable[tuple[int, FoundFile, int]]) -> None:
        """Take over new stats, as (file id, file with its stat, read_ns), where only those changed."""
        values = [(*rows.stat_values(file.stat), read_ns, file_id) for file_id, file, read_ns in files]
        with self._writing() as connection:
            connection.executemany(sql.REFRESH, values)

    def remove(self, file_ids: Sequence[int]) -> None:
        """Forget files and their passages; call it after their vectors are gone."""
        with self._writing() as connection, _keywords(connection, file_ids):
            connection.execute(
                "DELETE FROM files WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(file_ids)),)
            )

    def passage_ids(self, file_ids: Sequence[int]) -> dict[int, dict[str, bool]]:
        """For each file, its passage ids of every state; True where the passage is live (vector surely there)."""
        return {
            file_id: {id_: state == "live" for id_, state in states.items()}
            for file_id, states in self._states(file_ids).items()
        }

    def passages(self, ids: Sequence[str]) -> dict[str, StoredPassage]:
        """The live passages among the ids, with their files."""
        found = self._read_passages("p.id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))
        return {passage.id: passage for passage in found}

    def passages_of(self, file_id: int) -> list[StoredPassage]:
        """The live passages of one file, in order."""
        return self._read_passages("p.file_id = ? ORDER BY p.ordinal", (file_id,))

    def all_passages(self) -> Iterator[StoredPassage]:
        """Every live passage, by file id and order, a page at a time; other calls may come in between."""
        last = (0, -1)
        while page := self._read_passages(
            "(p.file_id, p.ordinal) > (?, ?) ORDER BY p.file_id, p.ordinal LIMIT ?", (*last, _PAGE)
        ):
            yield from page
            last = (page[-1].file.id, page[-1].ordinal)

    def live(self) -> list[tuple[str, int, bytes]]:
        """Every live passage as (id, file id, digest), by file id and order."""
        return self._read(sql.LIVE, (), lambda row: (rows.text_of(row[0]), int(row[1]), bytes(row[2])))

    def unsettled_ids(self) -> list[str]:
        """The ids of the passages whose vector may or may not be in the vector index."""
        return self._read(sql.UNSETTLED, (), lambda row: rows.text_of(row[0]))

    def links_from(self, file_id: int | None = None) -> list[tuple[int, Link]]:
        """The links of one file, or of all, each with the id of its file."""
        if file_id is None:
            return self._read(links.LINKS, (), links.link_of)
        return self._read(links.LINKS_FROM, (file_id,), links.link_of)

    def links_to(self, keys: Sequence[str]) -> list[tuple[int, Link]]:
        """The links with one of these keys, each with the id of its file."""
        return self._read(links.LINKS_TO, (json.dumps(list(keys)),), links.link_of)

    def names_of(self, file_id: int) -> list[Name]:
        """What links can call a file and its parts."""
        return [name for _, name in self._read(links.NAMES_OF, (file_id,), links.name_of)]

    def named(self, keys: Sequence[str]) -> list[tuple[int, Name]]:
        """The other names and blocks with one of these keys, each with the id of its file."""
        return self._read(links.NAMED, (json.dumps(list(keys)),), links.name_of)

    def sample(self, count: int) -> list[str]:
        """The ids of about so many passages from all over the index, the same ones each time; for statistics only."""
        return self._read(sql.SAMPLE, (count,), lambda row: str(row[0].decode()))

    def count(self) -> int:
        """How many live passages there are."""
        return self._read("SELECT coalesce(sum(live), 0) FROM files", (), lambda row: int(row[0]))[0]

    def keyword_matches(
        self,
        question: str,
        count: int,
        files: Sequence[int] | None = None,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
        also: Sequence[str] = (),
        beside: float = 0.0,
    ) -> KeywordMatches:
        """The ``count`` best live passages for a question by BM25, and the scores of those in ``also``.

        Passages of other ``files``, those that are not in ``only`` and those in ``without`` are left out before the
        best are taken; more than ``count`` come back where the last ones are equal, though not
        more than four times as many. With ``beside`` the best are those of which the words say most where the score of
        the whole file has this share, 0..1, and that of the passage the rest.
        """
        from kb.store import keywords

        with self._asking() as connection:
            return keywords.matches(
                connection, question, count, files=files, only=only, without=without, also=also, beside=beside
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
        """The best live passages that hold this share of a question by the weight of its words, and its rarest word.

        Passages of other ``files``, those that are not in ``only`` and those in ``without`` do not count.
        """
        from kb.store import keywords

        with self._asking() as connection:
            return keywords.holding(connection, question, share, files=files, only=only, without=without)

    def containing(self, phrase: str) -> set[str]:
        """The ids of the passages with a phrase in their text or headings, as whole words, whatever its case."""
        from kb.store import keywords

        with self._asking() as connection:
            return keywords.containing(connection, phrase)

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        """The connection, with a keyword index that is of this version of kb."""
        from kb.store import keywords

        with self._lock, self._errors():
            if not keywords.ready(self._connection):
                with self._writing() as connection:
                    keywords.make(connection)
            yield self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What SQLite has against the file as kb's own errors; damage is remembered."""
        try:
            with schema.sqlite_errors(self._path):
                yield
        except CatalogDamaged as error:
            self.damage = error.message
            raise

    def _states(self, file_ids: Sequence[int]) -> dict[int, dict[str, PassageState]]:
        states: dict[int, dict[str, PassageState]] = {file_id: {} for file_id in file_ids}
        found = self._read(
            sql.STATES,
            (json.dumps(list(file_ids)),),
            lambda row: (row[0], row[1].decode(), rows.passage_state(row[2])),
        )
        for file_id, id_, state in found:
            states[file_id][id_] = state
        return states

    def _reserve_ids(self) -> range:
        with self._writing() as connection:
            connection.execute("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'files'", (_ID_BLOCK,))
            last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'files'").fetchone()
        if last is None:
            raise schema.damaged(self._path, "the counter of file ids is gone")
        return range(last[0] - _ID_BLOCK + 1, last[0] + 1)

    def _read_passages(self, condition: str, parameters: tuple[Any, ...]) -> list[StoredPassage]:
        files: dict[int, KnownFile] = {}
        sound_files: dict[int, bool] = {}

        def passage(row: tuple[Any, ...]) -> StoredPassage:
            file = files.get(row[0])
            if file is None:
                file = files[row[0]] = rows.known_file(row[: rows.FILE_WIDTH])
                sound_files[row[0]] = rows.file_is_sound(row[: rows.FILE_WIDTH])
            of_passage = row[rows.FILE_WIDTH :]
            sound = sound_files[row[0]] and rows.passage_is_sound(of_passage, row[0])
            return rows.stored_passage(of_passage, file, sound=sound)

        return self._read(sql.LIVE_PASSAGES + condition, parameters, passage)

    def _read(self, statement: str, parameters: tuple[Any, ...], record: Callable[[tuple[Any, ...]], _T]) -> list[_T]:
        with self._lock, self._errors():
            try:
                return [record(row) for row in self._connection.execute(statement, parameters)]
            # A damaged page that SQLite lets pass gives values of any type where kb wrote none such.
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                raise schema.damaged(self._path, f"a row makes no sense ({error})") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk at the end, or nothing where anything is raised."""
        with self._lock, self._errors():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _keywords(connection: sqlite3.Connection, file_ids: Sequence[int]) -> AbstractContextManager[None]:
    """Keep the keyword index in step with what happens to some files meanwhile, in the same transaction."""
    from kb.store import keywords

    return keywords.followed(connection, file_ids)
