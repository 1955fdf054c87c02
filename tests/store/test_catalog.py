"""What ``SqliteCatalog`` guarantees: the contract of ``kb.ports.Catalog``, even after crashes and damage."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from memory_catalog import memory_catalog

from kb import sqlite
from kb.errors import CatalogDamaged, ForeignStore, StoreBusy, StoreError
from kb.records import (
    Document,
    Failure,
    FileChange,
    FileStat,
    FoundFile,
    Heading,
    KnownFile,
    Link,
    Name,
    Passage,
    Queued,
    StoredPassage,
    Unembedded,
)
from kb.store import catalog_schema
from kb.store.catalog import SqliteCatalog
from kb.store.catalog_rows import next_states

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = "/home/ada/notes"


def passage(id_: str, text: str = "", first_line: int = 1) -> Passage:
    """A passage with distinct text and lines."""
    text = text or f"text of {id_}"
    return Passage(text, f"Title\n\n{text}", 5, first_line, first_line + 2, ("A", "B"), id=id_)


def change(
    file_id: int, path: str, *ids: str, reason: str = "", folder: str = FOLDER, inode: int = 7, shift: int = 0
) -> FileChange:
    """A change of a file to passages with these ids, or to a failure with a reason."""
    return FileChange(
        file_id,
        FoundFile(folder, path, FileStat(10, 20, 30, inode, 1)),
        b"hash of " + os.fsencode(path),
        40,
        None if reason else Document("", "markdown", f"Title of {path}", tags=("a", "b"), date=date(2026, 11, 22)),
        tuple(passage(id_, first_line=10 * place + 1 + shift) for place, id_ in enumerate(ids)),
        reason,
    )


def index(catalog: SqliteCatalog, *changes: FileChange) -> None:
    """Begin and finish changes, as an index run does before and after writing vectors."""
    catalog.begin(changes)
    catalog.finish([one.file_id for one in changes])


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of a test's catalog."""
    return str(tmp_path / "catalog.db")


@pytest.fixture
def catalog(path: str) -> Iterator[SqliteCatalog]:
    """A new catalog."""
    with closing(SqliteCatalog(path)) as opened:
        yield opened


def test_passages_of_a_new_file_are_not_found_until_it_is_finished(catalog: SqliteCatalog) -> None:
    """Between begin and finish the vectors may be missing."""
    catalog.begin([change(1, "a.md", "p", "q")])

    assert [file.state for file in catalog.files()] == ["pending"]
    assert catalog.passages(["p", "q"]) == {}
    assert catalog.passages_of(1) == []
    assert list(catalog.all_passages()) == []
    assert catalog.count() == 0
    assert catalog.passage_ids([1]) == {1: {"p": False, "q": False}}


def test_a_finished_file_has_all_its_values(catalog: SqliteCatalog) -> None:
    """The records are those that were passed to begin."""
    index(catalog, change(3, "deep/a.md", "p"))

    expected = KnownFile(
        3,
        FOLDER,
        "deep/a.md",
        FileStat(10, 20, 30, 7, 1),
        b"hash of deep/a.md",
        40,
        "done",
        title="Title of deep/a.md",
        kind="markdown",
        tags=("a", "b"),
        date=date(2026, 11, 22),
        passages=1,
    )
    one = passage("p")
    assert catalog.files() == [expected]
    assert catalog.passages_of(3) == [
        StoredPassage("p", expected, one.text, ("A", "B"), 1, 3, None, one.digest, 0),
    ]
    assert catalog.passages(["p", "unknown"]) == {"p": catalog.passages_of(3)[0]}


def test_kept_passages_take_their_new_lines_and_order_at_once(catalog: SqliteCatalog) -> None:
    """A line inserted above moves live passages without hiding them."""
    index(catalog, change(1, "a.md", "p", "q", "gone"))

    catalog.begin([change(1, "a.md", "q", "new", "p", shift=100)])

    live = catalog.passages_of(1)
    assert [(one.id, one.ordinal, one.first_line) for one in live] == [("q", 0, 101), ("p", 2, 121)]
    assert catalog.passage_ids([1]) == {1: {"q": True, "new": False, "p": True, "gone": False}}
    assert catalog.files()[0].passages == catalog.count() == 2


def test_finishing_deletes_leaving_passages_and_makes_coming_ones_live(catalog: SqliteCatalog) -> None:
    """Afterwards the file has exactly the passages of its change, in order."""
    index(catalog, change(1, "a.md", "p", "q"))

    index(catalog, change(1, "a.md", "q", "new"))

    assert [one.id for one in catalog.passages_of(1)] == ["q", "new"]
    assert catalog.passage_ids([1]) == {1: {"q": True, "new": True}}
    assert catalog.files()[0].passages == catalog.count() == 2


def test_a_leaving_passage_that_is_wanted_again_is_coming(catalog: SqliteCatalog) -> None:
    """Its vector may have been deleted before the run was interrupted, so it is not live."""
    index(catalog, change(1, "a.md", "p", "q"))
    catalog.begin([change(1, "a.md", "q")])

    catalog.begin([change(1, "a.md", "p", "q")])

    assert catalog.passage_ids([1]) == {1: {"p": False, "q": True}}


def test_files_marked_pending_have_coming_passages(catalog: SqliteCatalog) -> None:
    """After vectors were lost, their passages are not found; other files stay as they are."""
    index(catalog, change(1, "a.md", "p", "q"), change(2, "b.md", "r"), change(3, "c.md", reason="is no text"))
    catalog.begin([change(1, "a.md", "p")])

    catalog.mark_pending([1, 99])

    assert catalog.passage_ids([1, 2]) == {1: {"p": False, "q": False}, 2: {"r": True}}
    assert [(file.state, file.passages) for file in catalog.files()] == [("pending", 0), ("done", 1), ("failed", 0)]
    catalog.mark_pending()
    assert catalog.count() == 0
    assert [file.state for file in catalog.files()] == ["pending", "pending", "failed"]
    catalog.finish([1, 2])
    assert catalog.passage_ids([1, 2]) == {1: {"p": True}, 2: {"r": True}}


def test_a_file_that_fails_keeps_no_passage_and_is_listed_with_its_reason(catalog: SqliteCatalog) -> None:
    """A failure replaces the passages; a later success replaces the failure."""
    index(catalog, change(1, "a.md", "p"), change(2, "b.md", "r"))

    index(catalog, change(1, "a.md", reason="is no text"))

    failed = catalog.files()[0]
    assert (failed.state, failed.reason, failed.title, failed.tags, failed.date) == (
        "failed",
        "is no text",
        "",
        (),
        None,
    )
    assert catalog.problems() == [Failure(FOLDER, "a.md", "is no text")]
    assert catalog.count() == 1
    index(catalog, change(1, "a.md", "p"))
    assert catalog.problems() == []


def test_a_file_moves_with_its_passages(catalog: SqliteCatalog) -> None:
    """A change with a known id and a new path moves the file, and its passages stay live."""
    index(catalog, change(1, "a.md", "p"))

    catalog.begin([change(1, "deep/b.md", "p")])

    assert [(file.id, file.path) for file in catalog.files()] == [(1, "deep/b.md")]
    assert catalog.passages(["p"])["p"].file.path == "deep/b.md"


def test_files_can_swap_and_rotate_their_paths_in_one_call(catalog: SqliteCatalog) -> None:
    """In any order, if each path is free in the end."""
    index(catalog, change(1, "a"), change(2, "b"), change(3, "c"), change(4, "d"))

    index(catalog, change(1, "b"), change(2, "a"), change(3, "d"), change(4, "e"), change(5, "c"))

    assert [(file.path, file.id) for file in catalog.files()] == [("a", 2), ("b", 1), ("c", 5), ("d", 3), ("e", 4)]


def test_a_path_of_another_file_is_refused_and_nothing_of_the_call_is_kept(catalog: SqliteCatalog) -> None:
    """The other file has to be removed first, and no part of the call is stored."""
    index(catalog, change(1, "a.md", "p"))

    with pytest.raises(ValueError, match=r"'a\.md'.*remove that first"):
        catalog.begin([change(2, "b.md", "q"), change(3, "a.md", "r")])

    assert [(file.id, file.path, file.state) for file in catalog.files()] == [(1, "a.md", "done")]


def test_a_passage_id_belongs_to_one_file(catalog: SqliteCatalog) -> None:
    """An id that occurs twice, in one file or two, is a bug in the caller."""
    index(catalog, change(1, "a.md", "p"))

    with pytest.raises(ValueError, match="belongs to another file"):
        catalog.begin([change(2, "b.md", "p")])
    with pytest.raises(ValueError, match="occurs twice"):
        catalog.begin([change(2, "b.md", "q", "q")])
    with pytest.raises(ValueError, match="occurs twice"):
        catalog.begin([change(2, "b.md"), change(2, "c.md")])

    assert catalog.passages(["p"])["p"].file.id == 1


def test_removing_files_deletes_their_passages_and_frees_their_paths(catalog: SqliteCatalog) -> None:
    """Unknown ids are ignored, so that a removal can be repeated."""
    index(catalog, change(1, "a.md", "p"), change(2, "b.md", "q"))

    catalog.remove([1, 99])
    catalog.remove([1])

    assert [file.id for file in catalog.files()] == [2]
    assert catalog.passage_ids([1, 2]) == {1: {}, 2: {"q": True}}
    index(catalog, change(3, "a.md", "p"))
    assert catalog.count() == 2


def test_refreshing_updates_only_stats(catalog: SqliteCatalog) -> None:
    """A touched file keeps its hash, its state and its passages."""
    index(catalog, change(1, "a.md", "p"))
    before = catalog.files()[0]
    new = FileStat(11, 21, 31, 8, 2)

    catalog.refresh((1, FoundFile(FOLDER, "a.md", new), 41) for _ in range(1))

    assert catalog.files() == [replace(before, stat=new, read_ns=41)]


def test_files_come_in_order_of_folder_and_path(catalog: SqliteCatalog) -> None:
    """In the order of Python's strings, as in a scan, even if the order of bytes differs."""
    paths = ["b", "a/b", "a.md", "Z", "é", "\udcff", "\uffee", "😀"]
    index(catalog, *(change(id_, path) for id_, path in enumerate(paths, 1)), change(50, "a", folder="/home/ada/all"))

    keys = [file.key for file in catalog.files()]

    assert keys == sorted(keys)
    assert len(keys) == len(paths) + 1


def test_files_are_read_again_after_every_change(path: str) -> None:
    """By this catalog, by another process's, and one that is rolled back; a list that was returned stays as it was."""
    with closing(SqliteCatalog(path)) as catalog, closing(SqliteCatalog(path)) as other:
        before = catalog.files()
        index(catalog, change(1, "a.md", "p"))
        first = catalog.files()
        index(other, change(2, "b.md", "q"))
        second = catalog.files()
        with pytest.raises(ValueError, match="belongs to another file"):
            catalog.begin([change(3, "c.md", "r"), change(4, "d.md", "q")])
        catalog.files().clear()

        paths = [[file.path for file in found] for found in (before, first, second, catalog.files())]
        assert paths == [[], ["a.md"], ["a.md", "b.md"], ["a.md", "b.md"]]


@given(
    name=st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name),
    title=st.text(st.characters(), max_size=30),
    text=st.text(st.characters(), max_size=60),
    number=st.integers(-(2**70), 2**70),
)
def test_any_name_text_and_stat_is_stored_unchanged(name: bytes, title: str, text: str, number: int) -> None:
    """Undecodable names, lone surrogates, NUL and numbers over 63 bits."""
    file = FoundFile(FOLDER, os.fsdecode(name), FileStat(abs(number), number, -number, abs(number), abs(number)))
    document = Document("", "text", title, tags=(title, text))
    one = Passage(text, text, 1, 1, 1, (title, text), 3, id="p")
    with closing(memory_catalog()) as catalog:
        index(
            catalog,
            FileChange(1, file, b"h", 1, document, (one,)),
            change(2, file.path, folder="/r", reason=title or "r"),
        )
        catalog.set_meta("key", text)

        known, failed = catalog.files()
        stored = catalog.passages_of(1)[0]

        assert (known.path, known.stat, known.title, known.tags) == (file.path, file.stat, title, (title, text))
        assert (stored.text, stored.heading, stored.page, stored.digest) == (text, (title, text), 3, one.digest)
        assert failed.reason == (title or "r")
        assert catalog.meta("key") == text


def test_ids_are_never_used_again(path: str) -> None:
    """Neither after a removal nor in a later process, so that a label in ChromaDB never means another file."""
    seen: list[int] = []
    for _ in range(3):
        with closing(SqliteCatalog(path)) as catalog:
            fresh = [catalog.new_id() for _ in range(1500)]
            assert not set(fresh) & set(seen)
            seen += fresh
            index(catalog, change(fresh[-1], "a.md"))
            catalog.remove([fresh[-1]])
            catalog.compact()

    assert len(set(seen)) == 4500


def test_all_passages_come_by_file_and_order_across_pages(catalog: SqliteCatalog) -> None:
    """Over several pages, without pending files, and with other calls in between."""
    for file_id in (2, 1, 3):
        index(catalog, change(file_id, f"{file_id}.md", *(f"{file_id}-{n}" for n in range(400))))
    catalog.begin([change(3, "3.md", "3-5", *(f"new-{n}" for n in range(5)), "3-4")])

    found = []
    for one in catalog.all_passages():
        catalog.count()
        found.append((one.file.id, one.ordinal, one.id))

    expected = [(file_id, n, f"{file_id}-{n}") for file_id in (1, 2) for n in range(400)]
    assert found == [*expected, (3, 0, "3-5"), (3, 6, "3-4")]
    live = [(id_, file_id) for id_, file_id, digest in catalog.with_vectors() if len(digest) == 32]
    assert live == [(id_, file_id) for file_id, _, id_ in found]


def test_a_sample_is_taken_from_all_files(catalog: SqliteCatalog) -> None:
    """Not from those that were indexed first: the distribution of cosines is measured on it. It is always the same."""
    index(catalog, *(change(number, f"{number}.md", f"p{number}") for number in range(200)))

    sample = {int(id_[1:]) for id_ in catalog.sample(40)}

    assert len(sample) == 40
    assert all(len(sample & set(range(start, start + 50))) >= 5 for start in range(0, 200, 50))
    assert {int(id_[1:]) for id_ in catalog.sample(40)} == sample


def test_what_a_transaction_has_counted_is_gone_with_it(catalog: SqliteCatalog) -> None:
    """It counts what it has written; once that is rolled back, passages and queue are counted again."""
    catalog.begin([change(1, "a.md", "p")])
    catalog.finish([1], unembedded=[passage("p")])

    with pytest.raises(RuntimeError, match="stop"), catalog._database.writing() as connection:  # noqa: PT012
        connection.execute("DELETE FROM files")
        assert (catalog.count(), catalog.queue_size().passages) == (0, 0)
        raise RuntimeError("stop")

    assert (catalog.count(), catalog.queue_size().passages) == (1, 1)


def test_lists_may_be_longer_than_sqlite_has_parameters(catalog: SqliteCatalog) -> None:
    """SQLite allows 32,766 parameters; a store has more passages."""
    index(catalog, change(1, "a.md", "p"))
    many = [*range(2, 40_000), 1]

    assert list(catalog.passages([str(number) for number in many] + ["p"])) == ["p"]
    assert catalog.passage_ids(many)[1] == {"p": True}
    catalog.finish(many)
    catalog.remove(many[:-1])
    assert catalog.count() == 1


def test_values_and_the_last_complete_run_are_durable(path: str) -> None:
    """A later process reads them; a time is returned in UTC."""
    when = datetime(2026, 11, 22, 10, 0, 0, 123456, timezone(timedelta(hours=2)))
    with closing(SqliteCatalog(path)) as catalog:
        assert catalog.meta("fingerprint") is None
        assert catalog.as_of() is None
        catalog.set_meta("fingerprint", "old")
        catalog.set_meta("fingerprint", "new")
        catalog.completed(when)
        with pytest.raises(ValueError, match="time zone"):
            catalog.completed(when.replace(tzinfo=None))

    with closing(SqliteCatalog(path)) as catalog:
        assert catalog.meta("fingerprint") == "new"
        assert catalog.as_of() == when
        assert catalog.as_of() is not None
        assert catalog.as_of().tzinfo is UTC  # type: ignore[union-attr]


def test_the_files_are_private_to_the_user(path: str, tmp_path: Path) -> None:
    """The catalog contains the text of all notes; wider permissions are narrowed."""
    with closing(SqliteCatalog(path)) as catalog:
        catalog.set_meta("key", "value")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {"catalog.db": 0o600, "catalog.db-wal": 0o600, "catalog.db-shm": 0o600}

    (tmp_path / "catalog.db").chmod(0o644)
    SqliteCatalog(path).close()
    assert stat.S_IMODE((tmp_path / "catalog.db").stat().st_mode) == 0o600


def test_the_text_of_a_deleted_passage_is_in_no_file(path: str, tmp_path: Path) -> None:
    """Deleting a note deletes its text, including long texts on overflow pages."""
    private = "the combination is 12-34-56 "
    with closing(SqliteCatalog(path)) as catalog:
        for file_id in range(1, 9):
            many = (
                passage(f"{file_id}-s", private * 2),
                passage(f"{file_id}-l", private * 1000),
                passage(f"{file_id}-k"),
            )
            index(catalog, replace(change(file_id, f"{file_id}.md"), passages=many))
        catalog.compact()
        assert private.encode() in (tmp_path / "catalog.db").read_bytes()

        index(catalog, *(change(file_id, f"{file_id}.md", f"{file_id}-k") for file_id in range(1, 5)))
        catalog.remove(range(5, 9))
        catalog._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"text of 1-k" in left
        assert b"combination" not in left


def test_compacting_frees_space_and_changes_nothing_else(path: str, tmp_path: Path) -> None:
    """The database shrinks and the write-ahead log is empty."""
    with closing(SqliteCatalog(path)) as catalog:
        index(catalog, *(replace(change(n, f"{n}.md"), passages=(passage(f"{n}", "x" * 4000),)) for n in range(1, 101)))
        catalog.remove(range(2, 101))
        catalog.compact()

        assert (tmp_path / "catalog.db").stat().st_size < 100_000
        assert (tmp_path / "catalog.db-wal").stat().st_size == 0
        assert [one.id for one in catalog.all_passages()] == ["1"]


def test_a_full_disk_is_reported_and_leaves_the_catalog_unchanged(catalog: SqliteCatalog) -> None:
    """The transaction is rolled back, and the catalog works again once there is space."""
    index(catalog, change(1, "a.md", "p"))
    pages = catalog._database.connection.execute("PRAGMA page_count").fetchone()[0]
    catalog._database.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    big = replace(change(2, "b.md"), passages=tuple(passage(f"b{n}", "x" * 5000) for n in range(50)))

    with pytest.raises(StoreError, match="disk is full") as caught:
        catalog.begin([change(1, "a.md", "q"), big])

    assert "Free some space" in str(caught.value)
    assert [file.state for file in catalog.files()] == ["done"]
    catalog._database.connection.execute("PRAGMA max_page_count = 1000000")
    index(catalog, big)
    assert catalog.count() == 51


def test_a_catalog_of_the_first_kb_is_migrated(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files stay, without what the first kb did not read."""
    with monkeypatch.context() as first:
        first.setattr(
            catalog_schema, "SCHEMA", replace(catalog_schema.SCHEMA, migrations=catalog_schema.MIGRATIONS[:1])
        )
        with closing(SqliteCatalog(path)) as catalog:
            catalog._database.connection.execute(
                "INSERT INTO files (folder, name, size, mtime_ns, ctime_ns, inode, device, content_hash, read_ns, "
                "state, title, kind, tags, reason, replaced, live) "
                "VALUES (x'2f', x'61', 1, 1, 1, 1, 1, x'00', 1, 'done', 'T', 'text', '[\"t\"]', '', 0, 0)"
            )

    with closing(SqliteCatalog(path)) as catalog:
        (file,) = catalog.files()
        assert (file.path, file.tags, file.language) == ("a", ("t",), "")
        assert (catalog.links_from(), catalog.names_of(file.id)) == ([], [])


def test_unread_parts_of_a_file_are_stored(catalog: SqliteCatalog) -> None:
    """With their text; the checksum of a file without unread parts does not change."""
    document = Document("", "pdf", "T", unread=("2 of 9 pages are damaged", "the sheet \udcff is missing"))
    index(catalog, replace(change(1, "a.pdf", "p"), document=document), change(2, "b.pdf", "q"))

    assert [file.unread for file in catalog.files()] == [
        "2 of 9 pages are damaged; the sheet \udcff is missing",
        "",
    ]
    assert (catalog.problems(), catalog.audit()) == ([], 0)
    catalog._database.connection.execute("UPDATE files SET unread = ''")
    assert catalog.audit() == 1
    index(catalog, replace(change(1, "a.pdf", "p"), document=replace(document, unread=())))
    assert (catalog.files()[0].unread, catalog.audit()) == ("", 0)


def test_a_catalog_without_unread_parts_is_migrated(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and passages of the previous kb stay done, live and sound."""
    with monkeypatch.context() as before:
        before.setattr(catalog_schema, "MIGRATIONS", catalog_schema.MIGRATIONS[:8])
        with closing(SqliteCatalog(path)) as catalog:
            catalog._database.connection.execute(
                "INSERT INTO files (folder, name, size, mtime_ns, ctime_ns, inode, device, content_hash, read_ns, "
                "state, title, kind, tags, reason, replaced, live, crc) VALUES (x'2f', x'61', 1, 1, 1, 1, 1, x'00', 1, "
                "'done', 'T', 'text', '[]', '', 0, 0, "
                "kb_checksum(1, x'2f', x'61', x'00', CAST('T' AS BLOB), 'text', '[]', NULL, CAST('' AS BLOB), 0, '', "
                "CAST('' AS BLOB)))"
            )

    with closing(SqliteCatalog(path)) as catalog:
        assert [(file.state, file.unread) for file in catalog.files()] == [("done", "")]
        assert catalog.audit() == 0


def test_a_catalog_without_a_queue_is_migrated(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All passages of the previous kb have a vector, and nothing is queued."""
    with monkeypatch.context() as before:
        before.setattr(
            catalog_schema, "SCHEMA", replace(catalog_schema.SCHEMA, migrations=catalog_schema.MIGRATIONS[:9])
        )
        with closing(SqliteCatalog(path)) as catalog:
            catalog._database.connection.executescript(
                """
                INSERT INTO files (folder, name, size, mtime_ns, ctime_ns, inode, device, content_hash, read_ns, state,
                                   title, kind, tags, reason, replaced, live)
                VALUES (x'2f', x'61', 1, 1, 1, 1, 1, x'00', 1, 'done', 'T', 'text', '[]', '', 0, 1);
                INSERT INTO passages (id, file_id, ordinal, state, digest, heading, first_line, last_line, text)
                VALUES ('p', 1, 0, 'live', x'01', '[]', 1, 2, 'text');
                """
            )

    with closing(SqliteCatalog(path)) as catalog:
        assert (catalog.with_vectors(), catalog.queue_size()) == ([("p", 1, b"\x01")], Queued())
        assert catalog.passage_ids([1]) == {1: {"p": True}}
        assert (catalog.count(), catalog.count_embedded(), catalog.audit()) == (1, 1, 0)


def test_centroids_of_an_earlier_kb_are_forgotten(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All passages counted alike in them. The next run fills them in, as it has no note of having done so."""
    old, new = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    with monkeypatch.context() as before:
        before.setattr(
            catalog_schema, "SCHEMA", replace(catalog_schema.SCHEMA, migrations=catalog_schema.MIGRATIONS[:12])
        )
        with closing(SqliteCatalog(path)) as catalog:
            index(catalog, change(1, "a.md", "p", "q"))
            catalog.store_centroids({1: old})
            catalog.set_meta("middles", "model")

    with closing(SqliteCatalog(path)) as catalog:
        assert (catalog.centroids([1]), catalog.files_without_centroid(), catalog.meta("middles")) == ({}, [1], None)
        catalog.store_centroids({1: new})
    with closing(SqliteCatalog(path)) as catalog:
        assert catalog.centroids([1])[1].tolist() == new.tolist()


def test_what_changes_one_file_looks_at_no_row_of_others(catalog: SqliteCatalog) -> None:
    """However many there are: an index leads to the rows of the file."""
    index(catalog, *(change(number, f"{number}.md", f"p{number}", f"q{number}") for number in range(1, 9)))
    catalog.store_centroids({number: np.ones(2, np.float32) for number in range(1, 8)})
    statements: list[str] = []
    with catalog._database.reading() as connection:
        connection.set_trace_callback(statements.append)

    queue(catalog, change(1, "1.md", "p1", "r1"))
    catalog.embedded(["p1", "r1"], {1: np.ones(2, np.float32)})
    catalog.mark_pending([2])
    found = catalog.files_without_centroid([7, 8]), list(catalog.centroids([7, 8]))
    catalog.passage_ids([2])
    catalog.remove([2])

    assert found == ([8], [7])
    with catalog._database.reading() as connection:
        connection.set_trace_callback(None)
        read_whole = {
            step
            for statement in dict.fromkeys(statements)
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
            if step.decode().startswith(("SCAN f", "SCAN p", "SCAN m", "SCAN u"))
        }
    assert read_whole == set()


def queue(catalog: SqliteCatalog, *changes: FileChange, run: int | None = None) -> None:
    """Begin and finish changes none of whose passages has a vector."""
    catalog.begin(changes)
    waiting = [one for change in changes for one in change.passages]
    number = catalog.next_run() if run is None else run
    catalog.finish([one.file_id for one in changes], unembedded=waiting, run=number)


def test_queued_passages_are_live_without_a_vector(catalog: SqliteCatalog) -> None:
    """Words find them; everything that is compared with the vector index knows that they have none."""
    index(catalog, change(1, "a.md", "p"))
    queue(catalog, change(2, "b.md", "q", "r"))

    assert catalog.count() == 3
    assert set(catalog.keyword_matches("text of q", 9).scores) == {"p", "q", "r"}
    assert (catalog.count_embedded(), [id_ for id_, *_ in catalog.with_vectors()]) == (1, ["p"])
    assert (catalog.sample(9), sorted(catalog.pending_ids())) == (["p"], ["q", "r"])
    assert catalog.passage_ids([1, 2]) == {1: {"p": True}, 2: {"q": False, "r": False}}
    assert catalog.unembedded([1, 2, 3]) == {2: Unembedded(2, 10)}
    assert catalog.queue_size() == Queued(files=1, passages=2, tokens=10)
    assert catalog.files_without_centroid() == []

    catalog.embedded(["q", "r"], {2: np.ones(2, np.float32)})

    assert (catalog.unembedded([2]), catalog.count_embedded(), catalog.pending_ids()) == ({}, 3, [])
    assert catalog.queue_size() == Queued()
    assert list(catalog.centroids([2])) == [2]


def test_the_queue_is_in_the_order_of_the_runs_and_of_the_files(catalog: SqliteCatalog) -> None:
    """The latest run alone, and of that the files that were modified last."""
    old, new, late = (change(number, f"{number}.md", f"p{number}") for number in (1, 2, 3))
    new = replace(new, file=replace(new.file, stat=replace(new.file.stat, mtime_ns=2**70)))
    queue(catalog, old, new)
    queue(catalog, late)

    assert [one.passage.id for one in catalog.queued(9)] == ["p3"]
    catalog.embedded(["p3"])
    assert [(one.passage.id, one.embedded, one.tokens, one.sound) for one in catalog.queued(9)] == [
        ("p2", "Title\n\ntext of p2", 5, True),
        ("p1", "Title\n\ntext of p1", 5, True),
    ]
    assert [one.passage.id for one in catalog.queued(1)] == ["p2"]
    assert catalog.queued(9, since_run=2) == []


def test_what_leaves_the_catalog_leaves_the_queue(catalog: SqliteCatalog) -> None:
    """Changed, marked and deleted passages; those that stay in a file stay queued."""
    queue(catalog, change(1, "a.md", "p", "q"), change(2, "b.md", "r"), change(3, "c.md", "s"))
    catalog.begin([change(1, "a.md", "q")])
    assert catalog.unembedded([1])[1].passages == 1
    catalog.finish([1], unembedded=[passage("q")])
    catalog.mark_pending([2])
    catalog.remove([3])

    assert [one.passage.id for one in catalog.queued(9)] == ["q"]
    index(catalog, change(1, "a.md", "q"))
    assert catalog.queue_size() == Queued()


def test_a_queued_text_that_is_not_its_passage_is_found(catalog: SqliteCatalog) -> None:
    """Its file is read again; the text of a sound one is not."""
    own = Passage("text", "embedded", 5, 1, 2, id="p")
    queue(
        catalog,
        replace(change(1, "a.md"), passages=(own,)),
        replace(change(2, "b.md"), passages=(replace(own, id="q"),)),
    )
    assert catalog.audit() == 0

    catalog._database.connection.execute("UPDATE unembedded SET text = 'other' WHERE file_id = 2")

    assert (catalog.audit(), [file.state for file in catalog.files()]) == (1, ["done", "pending"])


def test_an_audit_deletes_passages_without_a_file(catalog: SqliteCatalog) -> None:
    """Their file was lost with a damaged page; no later run would delete their text."""
    index(catalog, change(1, "a.md", "p"), change(2, "b.md", "q"))
    connection = catalog._database.connection
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("DELETE FROM files WHERE id = 1")
    connection.execute("PRAGMA foreign_keys = ON")

    assert catalog.audit() == 0

    assert connection.execute("SELECT id FROM passages").fetchall() == [(b"q",)]


def test_links_and_names_belong_to_their_file(catalog: SqliteCatalog) -> None:
    """The next change replaces them, they are looked up by key, and deleted with the file."""
    document = Document(
        "",
        "markdown",
        "T",
        headings=(Heading("H", 1, 2, 2),),
        aliases=("x/Other",),
        links=(Link("A/B#c", 3, "wiki", embeds=True), Link("b.md", 4, "path")),
        names=(Name("block", "Id", 5),),
    )
    index(catalog, replace(change(1, "a.md", "p"), document=document))

    assert catalog.links_from(1) == catalog.links_from() == [(1, link) for link in document.links]
    assert catalog.links_to(["b", "c"]) == [(1, document.links[0])]
    assert catalog.embedded_keys() == {"b"}
    assert catalog.names_of(1) == [Name("alias", "x/Other"), Name("block", "Id", 5), Name("heading", "H", 2)]
    assert catalog.named(["other", "h", "id"]) == [(1, Name("alias", "x/Other")), (1, Name("block", "Id", 5))]

    index(catalog, replace(change(1, "a.md", "p"), document=replace(document, links=(), names=())))
    assert (catalog.links_from(), len(catalog.names_of(1))) == ([], 2)
    assert catalog.embedded_keys() == set()
    catalog.remove([1])
    assert catalog.named(["other"]) == []


def test_a_catalog_of_a_newer_kb_is_refused(path: str) -> None:
    """Its tables may mean something else, so it is not changed."""
    SqliteCatalog(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(catalog_schema.MIGRATIONS) + 1}")

    with pytest.raises(StoreError, match="newer kb") as caught:
        SqliteCatalog(path)

    assert not isinstance(caught.value, CatalogDamaged)


def test_the_database_of_another_program_is_refused(path: str) -> None:
    """No tables are added to a database that kb did not create."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")

    with pytest.raises(ForeignStore, match="another program"):
        SqliteCatalog(path)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    """Whatever is at the path, the error says what is wrong and what to do."""
    noise = tmp_path / "noise.db"
    noise.write_bytes(random.Random(1).randbytes(5000))
    (tmp_path / "folder.db").mkdir()

    with pytest.raises(CatalogDamaged, match=r"noise\.db is damaged.*Run kb index"):
        SqliteCatalog(str(noise))
    with pytest.raises(CatalogDamaged, match=r"folder\.db is damaged.*Run kb index"):
        SqliteCatalog(str(tmp_path / "folder.db"))
    with pytest.raises(StoreError, match="cannot be used"):
        SqliteCatalog(str(tmp_path / "absent" / "catalog.db"))


def test_overwritten_bytes_give_only_errors_of_kb(tmp_path: Path) -> None:
    """Whatever bytes are overwritten, every call works or raises an error of kb."""
    sound = str(tmp_path / "sound.db")
    with closing(SqliteCatalog(sound)) as catalog:
        index(catalog, *(change(n, f"{n}.md", *(f"{n}-{k}" for k in range(5))) for n in range(1, 60)))
        catalog.completed(datetime(2026, 1, 1, tzinfo=UTC))
    randomness = random.Random(7)
    failed = 0
    for number in range(60):
        broken = tmp_path / f"broken{number}.db"
        shutil.copy(sound, broken)
        data = bytearray(broken.read_bytes())
        for _ in range(randomness.choice((1, 20, 400))):
            data[randomness.randrange(len(data))] = randomness.randrange(256)
        broken.write_bytes(data[: randomness.choice((len(data), len(data) // 2))])

        try:
            with closing(SqliteCatalog(str(broken))) as catalog:
                _use_everything(catalog)
        except StoreError:
            failed += 1
    assert failed > 20


def _use_everything(catalog: SqliteCatalog) -> None:
    catalog.files()
    catalog.problems()
    catalog.count()
    catalog.as_of()
    list(catalog.all_passages())
    catalog.passages(["3-1"])
    catalog.passage_ids(range(60))
    index(catalog, change(catalog.new_id(), "new.md", "new"), change(3, "3.md", "3-1", "3-9"))
    catalog.remove([5])
    catalog.compact()


def test_a_catalog_that_another_process_writes_is_reported_as_busy(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not damaged, and the call does not wait forever."""
    SqliteCatalog(path).close()
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, closing(SqliteCatalog(path)) as catalog:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreBusy, match="another process"):
            catalog.set_meta("key", "value")

        other.execute("ROLLBACK")
        catalog.set_meta("key", "value")


def test_a_closed_catalog_raises_an_error(catalog: SqliteCatalog) -> None:
    """A bug in the caller is not reported as a damaged store."""
    catalog.close()
    catalog.close()

    with pytest.raises(sqlite3.ProgrammingError):
        catalog.files()


def test_threads_share_a_catalog(catalog: SqliteCatalog) -> None:
    """Concurrent readers see only complete files, and nothing is lost."""
    wrong: list[object] = []

    def write(first: int) -> None:
        for number in range(first, first + 20):
            index(catalog, change(number, f"{number}.md", f"{number}-a", f"{number}-b"))

    def read() -> None:
        for _ in range(60):
            wrong.extend(file for file in catalog.files() if file.passages != (2 if file.state == "done" else 0))

    threads = [threading.Thread(target=write, args=(first,)) for first in (1, 101, 201)]
    threads += [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert catalog.count() == 120


_CRASHING = """
import sys
from kb.records import Document, FileChange, FileStat, FoundFile, Passage
from kb.store.catalog import SqliteCatalog

def change(number, version):
    ids = (f"{number}-all", f"{number}-v{version}")
    return FileChange(
        number, FoundFile("/notes", f"{number}-{version % 3}.md", FileStat(1, 2, 3, 4, 5)), b"hash", 1,
        Document("", "text", "Title"), tuple(Passage(id_ * 500, id_, 1, 1, 1, id=id_) for id_ in ids),
    )

catalog = SqliteCatalog(sys.argv[1])
version = int(sys.argv[2])
while True:
    version += 1
    catalog.begin([change(number, version) for number in range(1, 6)])
    print(version, "begun", flush=True)
    catalog.finish(range(1, 6))
    print(version, "done", flush=True)
"""


@pytest.mark.slow
def test_every_file_is_consistent_after_a_kill_at_any_moment(path: str) -> None:
    """After kill -9, all files of a call are at the same version, and nothing acknowledged is lost."""
    randomness = random.Random(3)
    version = 0
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", _CRASHING, path, str(version)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        with child:
            assert child.stdout is not None
            acked = [child.stdout.readline() for _ in range(randomness.randrange(1, 40))]
            child.send_signal(signal.SIGKILL)
            acked += child.stdout.readlines()
        assert acked[-1].endswith("\n")
        version = _check_after_crash(path, *acked[-1].split())


def _check_after_crash(path: str, acked_version: str, acked_step: str) -> int:
    """The version of all files, which is at most one step after the last one that the child reported."""
    with closing(SqliteCatalog(path)) as catalog:
        files = catalog.files()
        (state,) = {file.state for file in files}
        ids = catalog.passage_ids(range(1, 6))
        live = {file.id: [one.id for one in catalog.passages_of(file.id)] for file in files}
        (version,) = {max(int(id_.split("-v")[1]) for id_ in known if "-v" in id_) for known in ids.values()}
    steps = 2 * version + (state == "done")
    told = 2 * int(acked_version) + (acked_step == "done")
    assert told <= steps <= told + 1
    for number in range(1, 6):
        latest = f"{number}-v{version}"
        if state == "done":
            assert live[number] == [f"{number}-all", latest]
            assert ids[number] == {f"{number}-all": True, latest: True}
        else:
            assert {f"{number}-all", latest} <= set(ids[number])
            assert [id_ for id_, is_live in ids[number].items() if is_live] == live[number]
            assert set(live[number]) <= {f"{number}-all"}
            # Whatever is leaving stays known until the vectors are in place.
            assert version == 1 or f"{number}-v{version - 1}" in ids[number]
    assert {file.path for file in files} == {f"{number}-{version % 3}.md" for number in range(1, 6)}
    return version


@given(
    known=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(("live", "coming", "leaving"))),
    wanted=st.frozensets(st.sampled_from("abcdefgh")),
)
def test_the_next_state_of_a_passage_never_promises_a_vector_that_may_be_missing(
    known: dict[str, str], wanted: frozenset[str]
) -> None:
    """Every known and wanted passage has a state; live are only wanted ones that were live."""
    states = next_states(known, wanted)  # type: ignore[arg-type]

    assert set(states) == set(known) | wanted
    assert {id_ for id_, state in states.items() if state == "leaving"} == set(known) - wanted
    assert {id_ for id_, state in states.items() if state == "live"} == {
        id_ for id_ in wanted if known.get(id_) == "live"
    }


class CatalogMachine(RuleBasedStateMachine):
    """Begin, finish and remove in any order, compared with a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.catalog = memory_catalog()
        self.paths: dict[int, str] = {}
        self.states: dict[int, str] = {}
        self.reasons: dict[int, str] = {}
        self.order: dict[int, list[str]] = {}
        self.passages: dict[int, dict[str, str]] = {}

    def teardown(self) -> None:
        """Close the database."""
        self.catalog.close()

    @rule(
        wanted=st.dictionaries(
            st.integers(1, 3),
            st.tuples(st.sampled_from("uvwxyz"), st.lists(st.sampled_from("abc"), unique=True), st.booleans()),
            min_size=1,
            max_size=3,
        )
    )
    def begin(self, wanted: dict[int, tuple[str, list[str], bool]]) -> None:
        """Files get paths and passages, or fail."""
        changes = [
            change(id_, path, *([] if fails else [f"{id_}{name}" for name in names]), reason="bad" if fails else "")
            for id_, (path, names, fails) in wanted.items()
        ]
        after = {**self.paths, **{one.file_id: one.file.path for one in changes}}
        if len(set(after.values())) < len(after):
            with pytest.raises(ValueError, match="remove that first"):
                self.catalog.begin(changes)
            return
        self.catalog.begin(changes)
        self.paths = after
        for one in changes:
            ids = [each.id for each in one.passages]
            known = self.passages.get(one.file_id, {})
            kept = {id_: "live" if known.get(id_) == "live" else "coming" for id_ in ids}
            self.passages[one.file_id] = dict.fromkeys(known, "leaving") | kept
            self.order[one.file_id] = ids
            self.states[one.file_id] = "pending"
            self.reasons[one.file_id] = one.reason

    @rule(ids=st.sets(st.integers(1, 3)))
    def finish(self, ids: set[int]) -> None:
        """The vectors of some files are written."""
        self.catalog.finish(sorted(ids))
        for id_ in ids & set(self.paths):
            self.passages[id_] = {one: "live" for one, state in self.passages[id_].items() if state != "leaving"}
            self.states[id_] = "failed" if self.reasons[id_] else "done"

    @rule(ids=st.none() | st.sets(st.integers(1, 3)))
    def mark_pending(self, ids: set[int] | None) -> None:
        """The vectors of some files, or of all, are lost."""
        self.catalog.mark_pending(None if ids is None else sorted(ids))
        for id_ in set(self.paths) if ids is None else ids & set(self.paths):
            self.passages[id_] = {
                one: "leaving" if state == "leaving" else "coming" for one, state in self.passages[id_].items()
            }
            self.states[id_] = "failed" if self.states[id_] == "failed" else "pending"

    @precondition(lambda self: self.paths)
    @rule(ids=st.sets(st.integers(1, 3), max_size=2))
    def remove(self, ids: set[int]) -> None:
        """Remove some files."""
        self.catalog.remove(sorted(ids))
        for id_ in ids:
            for known in (self.paths, self.states, self.reasons, self.order, self.passages):
                known.pop(id_, None)

    @invariant()
    def require_model(self) -> None:
        """All methods agree with the dict."""
        live = {
            id_: [one for one in self.order[id_] if self.passages[id_][one] == "live"] for id_ in sorted(self.paths)
        }
        files = self.catalog.files()
        assert {file.id: (file.path, file.state, file.passages) for file in files} == {
            id_: (path, self.states[id_], len(live[id_])) for id_, path in self.paths.items()
        }
        assert self.catalog.passage_ids(range(1, 6)) == {
            id_: {one: state == "live" for one, state in self.passages.get(id_, {}).items()} for id_ in range(1, 6)
        }
        assert {id_: [one.id for one in self.catalog.passages_of(id_)] for id_ in live} == live
        assert [one.id for one in self.catalog.all_passages()] == [one for ids in live.values() for one in ids]
        assert self.catalog.count() == sum(map(len, live.values()))
        assert set(self.catalog.passages([one for known in self.passages.values() for one in known])) == {
            one for ids in live.values() for one in ids
        }
        assert {failure.path for failure in self.catalog.problems()} == {
            self.paths[id_] for id_, state in self.states.items() if state == "failed"
        }


TestCatalogMachine = CatalogMachine.TestCase
