"""A store that cannot be written is searched without changes, and reported once."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from damaged_stores import QUESTION, Store, said, write_notes

from kb.errors import StoreError
from kb.own_files import forbidden, store_error_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An indexed store over four notes."""
    write_notes(tmp_path / "notes")
    store = Store(tmp_path / "notes", tmp_path / "store")
    store.do("kb index")
    return store


@pytest.fixture
def read_only(store: Store) -> Iterator[Store]:
    """The store, which the system reports as read-only."""
    access = os.access

    def refuse(path: str, mode: int) -> bool:
        return access(path, mode) and not (mode & os.W_OK and Path(path) == store.path)

    with mock.patch("os.access", refuse):
        yield store


def state(path: Path) -> dict[str, tuple[str, int]]:
    """Every file of a store with its content and modification time."""
    return {
        str(one.relative_to(path)): (hashlib.sha256(one.read_bytes()).hexdigest(), one.stat().st_mtime_ns)
        for one in sorted(path.rglob("*"))
        if one.is_file()
    }


@pytest.mark.parametrize("mode", ["hybrid", "cosine", "keyword"])
def test_read_only_store_is_searched_in_every_mode_and_not_written(read_only: Store, mode: str) -> None:
    """The answer is the same as from a writable store, the store does not change, and it is reported once."""
    before = state(read_only.path)
    with read_only.open() as kb:
        hits = said(kb.search(QUESTION, mode=mode, weak=True))
        kb.search("something that was never asked", mode=mode)
        kb.documents()
        kb.show(str(read_only.folder / "boiler.md"))

    assert hits[0][0] == "boiler.md"
    assert state(read_only.path) == before
    assert [("cannot be written" in told) for told in read_only.told] == [True]


def test_every_connection_to_a_read_only_store_is_closed(read_only: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """That to the cache of vectors beside the one in memory too."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def recorded(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", recorded)
    with read_only.open() as kb:
        kb.search(QUESTION, mode="hybrid")

    assert opened
    for one in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            one.execute("SELECT 1")


@pytest.mark.slow
def test_store_on_a_read_only_disk_is_searched(tmp_path: Path) -> None:
    """As root, whom permissions do not restrict, on a disk that is really mounted read-only."""
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    probe = subprocess.run([*namespace, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip("this system gives no mount namespace for a read-only disk")

    done = subprocess.run(
        [*namespace, sys.executable, str(Path(__file__).with_name("read_only_disk.py")), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    *hits, told, refused = done.stdout.splitlines() or [done.stderr, "", ""]
    assert hits == ["boiler.md"] * 3
    assert told.startswith("3 the store at")
    assert "mounted read-only. Mount it for writing" in refused


def test_read_only_store_without_cache_is_searched_in_a_copy_of_its_index(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vectors come from a copy of ChromaDB's files, which is deleted after the search."""
    expected = store.ask("cosine")
    with closing(sqlite3.connect(store.path / "embeddings.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM entries")
    before = state(store.path)

    with store.open() as kb:
        monkeypatch.setattr("kb.container.only_readable", lambda _: True)
        assert said(kb.search(QUESTION, mode="cosine", weak=True)) == expected

    assert state(store.path) == before


def test_a_store_on_a_full_disk_is_searched_as_it_stands(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite could not even open the catalog for writing."""
    expected, before = store.ask("hybrid"), state(store.path)

    used = shutil.disk_usage(store.path)._replace(free=4096)
    monkeypatch.setattr("kb.integrity.shutil.disk_usage", lambda _: used)
    with store.open() as kb:
        assert said(kb.search(QUESTION, mode="hybrid", weak=True)) == expected

    assert state(store.path) == before
    assert store.told == [f"the store at {store.path} cannot be written: it is asked as it stands"]


def test_indexing_a_read_only_store_is_an_error(store: Store) -> None:
    """An index run does not pretend to succeed."""
    with (
        mock.patch("kb.store.lock.write_atomically", side_effect=OSError(errno.EROFS, "Read-only file system")),
        store.open() as kb,
        pytest.raises(StoreError, match=r"mounted read-only.*Mount it for writing"),
    ):
        kb.index()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full.*Free some space"),
        (errno.EDQUOT, "the disk is full.*Free some space"),
        (errno.ENOMEM, "too little memory.*End other programs"),
        (errno.EROFS, "mounted read-only.*Mount it"),
        (errno.EACCES, r"may not be read and written.*Run chmod -R u\+rwX"),
        (errno.EMFILE, "too many files are open.*ulimit"),
        (errno.EIO, "cannot be used.*disk"),
    ],
)
def test_system_errors_have_a_remedy(tmp_path: Path, number: int, message: str) -> None:
    """One sentence and one remedy for each."""
    assert re.search(message, str(store_error_for("the store", OSError(number, "no"), str(tmp_path))))


def test_store_of_another_user_is_reported_as_such(tmp_path: Path) -> None:
    """The user's own permissions would not help."""
    with mock.patch("os.geteuid", return_value=tmp_path.stat().st_uid + 12345):
        told = str(forbidden("the store", str(tmp_path)))

    assert "belongs to another user" in told
    assert "chmod" not in told
