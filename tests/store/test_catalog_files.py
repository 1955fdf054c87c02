"""The list of files in memory: after any change it is what the catalog has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_catalog import memory_catalog

from kb.records import Document, FileChange, FileStat, FoundFile
from kb.store import catalog_rows as rows
from kb.store import noted_changes
from kb.store.catalog import SqliteCatalog

if TYPE_CHECKING:
    from pathlib import Path

    from kb.records import KnownFile

STAT = FileStat(1, 2, 3, 4, 5)


def change(number: int, path: str, title: str = "T") -> FileChange:
    """A file without passages."""
    return FileChange(number, FoundFile("/f", path, STAT), b"hash", 9, Document("", "text", title))


def reread(catalog: SqliteCatalog) -> list[KnownFile]:
    """The files by their rows alone."""
    return sorted(catalog._database.rows(rows.FILES, (), rows.known_file), key=lambda one: one.path)


def same(catalog: SqliteCatalog) -> None:
    """List and numbers are those of the rows."""
    files = reread(catalog)
    assert catalog.count_files() == sum(one.state == "done" for one in files)
    assert catalog.files() == files
    assert catalog.count_files() == sum(one.state == "done" for one in files)
    assert catalog.count() == sum(one.passages for one in files)


numbers = st.integers(1, 5)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), numbers, st.sampled_from("abcdefg")),
        st.tuples(st.just("remove"), numbers, st.just("")),
        st.tuples(st.just("pending"), numbers, st.just("")),
        st.tuples(st.just("refresh"), numbers, st.just("")),
        st.tuples(st.just("look"), numbers, st.just("")),
    ),
    max_size=30,
)


def test_following_a_change_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept until the next change is not read again for it, but where the notes of changes are too many."""
    with closing(memory_catalog()) as catalog:
        same(catalog)
        catalog.begin([change(1, "a")])
        version = catalog.version()
        same(catalog)
        assert catalog.version() == version

        monkeypatch.setattr(noted_changes, "_MOST_NOTES", 1)
        for number in range(2, 6):
            catalog.begin([change(number, f"a{number}")])
            same(catalog)
        notes = catalog._database.rows("SELECT count(*) FROM temp.changed_files", (), lambda row: int(row[0]))
        assert notes[0] <= 1


def test_nothing_is_read_until_something_changes() -> None:
    """Each question asks for the numbers several times."""
    with closing(memory_catalog()) as catalog:
        catalog.begin([change(1, "a")])
        same(catalog)
        said: list[str] = []
        catalog._database.connection.set_trace_callback(said.append)
        for _ in range(3):
            catalog.count_files()
        assert set(said) == {"PRAGMA data_version"}
        catalog.set_meta("other", "value")
        same(catalog)


@given(steps)
def test_the_list_follows_every_change(script: list[tuple[str, int, str]]) -> None:
    """Whatever is changed between two looks at it, and in whatever order."""
    with closing(memory_catalog()) as catalog:
        for kind, number, name in script:
            if kind == "change" and all(one.path != name or one.id == number for one in reread(catalog)):
                catalog.begin([change(number, name)])
                catalog.finish([number])
            elif kind == "remove":
                catalog.remove([number])
            elif kind == "pending":
                catalog.mark_pending([number])
            elif kind == "refresh":
                catalog.refresh([(number, FoundFile("/f", "a", FileStat(number, 0, 0, 0, 0)), number)])
            elif kind == "look":
                same(catalog)
        same(catalog)


def test_a_change_reads_no_other_rows_again(tmp_path: Path) -> None:
    """The records of the other files are the same objects; lists that were given out stay as they were."""
    with closing(SqliteCatalog(str(tmp_path / "c"))) as catalog:
        catalog.begin([change(number, f"{number:03}") for number in range(1, 300)])
        before = catalog.files()
        catalog.begin([change(7, "007", "Other")])
        after = catalog.files()

    assert [one.title for one in after if one.id == 7] == ["Other"]
    assert all(one is other for one, other in zip(before, after, strict=True) if one.id != 7)
    assert {one.title for one in before} == {"T"}


def test_what_was_rolled_back_did_not_happen(tmp_path: Path) -> None:
    """A path that belongs to another file fails the whole transaction."""
    with closing(SqliteCatalog(str(tmp_path / "c"))) as catalog:
        catalog.begin([change(1, "a"), change(2, "b")])
        before = catalog.files()
        with pytest.raises(ValueError, match="another file"):
            catalog.begin([change(3, "c"), change(4, "a")])

        assert catalog.files() == before == reread(catalog)


def test_what_a_transaction_has_written_is_gone_with_it() -> None:
    """It lists and counts what it has written; once it is rolled back, everything is there again."""
    with closing(memory_catalog()) as catalog:
        catalog.begin([change(1, "a"), change(2, "b")])
        catalog.finish([1, 2])
        same(catalog)

        with pytest.raises(RuntimeError, match="stop"), catalog._database.writing() as connection:  # noqa: PT012
            connection.execute("DELETE FROM files WHERE id = 1")
            assert catalog.count_files() == len(catalog.files()) == 1
            raise RuntimeError("stop")

        same(catalog)


def test_changes_of_another_connection_are_read(tmp_path: Path) -> None:
    """As of a restore, which replaces the content of the catalog."""
    path = str(tmp_path / "c")
    with closing(SqliteCatalog(path)) as catalog:
        catalog.begin([change(1, "a"), change(2, "b")])
        catalog.finish([1, 2])
        same(catalog)
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("DELETE FROM files WHERE id = 1")

        same(catalog)
        assert [one.path for one in catalog.files()] == ["b"]


def test_files_are_found_by_place_size_and_state() -> None:
    """A name that begins like a directory is not in it; a folder has all of its files."""
    with closing(memory_catalog()) as catalog:
        names = ["a", "a/one", "a/b/two", "a-b", "ab", "z"]
        catalog.begin([change(number, name) for number, name in enumerate(names, 1)])
        catalog.finish([1, 2, 3, 4, 5])
        other = FileChange(9, FoundFile("/g", "a/one", FileStat(70, 2, 3, 4, 5)), b"", 9, reason="no text")
        catalog.begin([other])
        catalog.finish([9])

        assert sorted(one.id for one in catalog.files_at({("/f", "a"), ("/f", "a/one")})) == [1, 2, 3]
        assert sorted(one.id for one in catalog.files_at({("/f", "")})) == [1, 2, 3, 4, 5, 6]
        assert sorted(one.id for one in catalog.files_of_size({1, 70})) == [1, 2, 3, 4, 5]
        assert {(one.id, one.state) for one in catalog.unsettled()} == {(6, "pending"), (9, "failed")}
        assert (catalog.has_others("/f", [1, 2]), catalog.has_others("/g", [9])) == (True, False)
