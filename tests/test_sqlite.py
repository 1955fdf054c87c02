"""The one way to open SQLite, held to by both files that kb keeps in it."""

from __future__ import annotations

import errno
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kb import sqlite
from kb.embedding.cache import SCHEMA as CACHE
from kb.errors import StoreError
from kb.sqlite import Access, Database, Schema, set_aside
from kb.store.catalog_schema import SCHEMA as CATALOG

if TYPE_CHECKING:
    from pathlib import Path

both = pytest.mark.parametrize("schema", [CATALOG, CACHE], ids=lambda schema: schema.name)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the database lies."""
    return str(tmp_path / "kept.db")


@both
@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            "*** in database main ***\nPage 41: btreeInitPage() returns error code 11",
            "Page 41: btreeInitPage() returns error code 11",
        ),
        ("*** in database main ***\nTree 3: a\nTree 4: b\n", "Tree 3: a Tree 4: b"),
        ("file is not a database", "file is not a database"),
    ],
)
def test_what_sqlite_finds_is_told_on_one_line(schema: Schema, found: str, told: str) -> None:
    """SQLite writes some lines, and a heading."""
    assert schema.damage("kept.db", found).message == f"the {schema.name} kept.db is damaged: {told}"


@both
def test_foreign_table_is_damage(path: str, schema: Schema) -> None:
    """A trigger of another program could change what kb writes, and a table of its own is not kb's to keep."""
    Database(path, schema).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")

    with pytest.raises(schema.damaged, match=f"the {schema.name} .*not those of kb"):
        Database(path, schema)


@both
@pytest.mark.parametrize("suffix", sqlite.BESIDE)
@pytest.mark.parametrize("kind", ["link", "folder"])
def test_nothing_else_stays_where_sqlite_writes(
    tmp_path: Path, path: str, schema: Schema, suffix: str, kind: str
) -> None:
    """SQLite would write through a link, and a folder would stand in its way."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    place = tmp_path / f"kept.db{suffix}"
    if kind == "link":
        place.symlink_to(elsewhere)
    else:
        place.mkdir()

    with closing(Database(path, schema)) as database, database.writing() as connection:
        connection.execute("CREATE TEMP TABLE passing (x)")

    assert elsewhere.read_text() == "untouched"
    assert not place.is_symlink()
    assert not place.is_dir()


@both
def test_only_the_owner_may_read(tmp_path: Path, path: str, schema: Schema) -> None:
    """A file with a wider mode is narrowed."""
    Database(path, schema).close()
    (tmp_path / "kept.db").chmod(0o644)

    with closing(Database(path, schema)) as database, database.writing() as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = seq" if schema is CATALOG else "DELETE FROM entries")
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


@both
def test_read_only_disk_is_told_as_one(path: str, schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions are not what is wrong, so changing them is not what helps."""

    def refuse(_path: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(sqlite, "_make_private", refuse)

    with pytest.raises(StoreError, match=r"mounted read-only.*Mount it for writing"):
        Database(path, schema)


@both
def test_failed_transaction_leaves_no_trace(path: str, schema: Schema) -> None:
    """Whatever ends it, an exception of the caller included."""
    with closing(Database(path, schema)) as database:
        with suppress(ZeroDivisionError), database.writing() as connection:
            connection.execute("PRAGMA user_version = 77")
            raise ZeroDivisionError
        with database.reading() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]

    assert version == len(schema.migrations)


@both
def test_read_only_database_stays_as_it_is(tmp_path: Path, path: str, schema: Schema) -> None:
    """An older version is read through a copy in memory, and nothing is written beside the file."""
    Database(path, replace(schema, migrations=schema.migrations[:1])).close()
    before = (tmp_path / "kept.db").read_bytes()

    accesses: tuple[Access, ...] = ("read", "copy")
    for access in accesses:
        with closing(Database(path, schema, access=access)) as database, database.reading() as connection:
            assert connection.execute("PRAGMA user_version").fetchone()[0] == len(schema.migrations)

    assert (tmp_path / "kept.db").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["kept.db"]


@both
def test_damage_found_while_reading_is_remembered(path: str, schema: Schema) -> None:
    """Whoever closes the store notes it, so that the next run does not take the file for sound."""
    with closing(Database(path, schema)) as database:
        assert database.damage == ""
        with pytest.raises(schema.damaged):
            database.rows("SELECT 'x'", (), lambda row: int(row[0]))

        assert "a row makes no sense" in database.damage


@both
def test_an_error_while_reading_leaves_the_database_to_other_threads(path: str, schema: Schema) -> None:
    """Each kind of error is translated, or passed on as it is, and ends the turn of its thread."""
    with closing(Database(path, schema)) as database:
        for error, raised in ((OSError(errno.ENOSPC, "full"), StoreError), (LookupError("key"), LookupError)):
            with pytest.raises(raised) as found, database.reading():
                raise error
            assert error in {found.value, found.value.__cause__}
        with ThreadPoolExecutor(1) as another:
            assert another.submit(database.rows, "SELECT 1", (), lambda row: row[0]).result(10) == [1]
        assert not database.damage


@both
def test_what_was_set_aside_takes_no_older_log_along(tmp_path: Path, path: str, schema: Schema) -> None:
    """The log of an older damaged file would change what the newer one says."""
    for name in ("kept.db.damaged", "kept.db.damaged-wal", "kept.db.damaged-shm"):
        (tmp_path / name).write_bytes(b"older")
    (tmp_path / "kept.db").write_bytes(b"newer")

    assert set_aside(path, schema) == f"{path}.damaged"
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"kept.db.damaged": b"newer"}


def test_an_error_of_a_disk_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it was full cannot be asked any more."""

    def refuse(_path: str) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr(sqlite, "_make_private", refuse)

    with pytest.raises(StoreError, match=r"disk I/O error.*that the disk works"):
        Database(str(tmp_path / "gone" / "kept.db"), CATALOG)
